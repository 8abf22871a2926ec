# SPDX-License-Identifier: GPL-2.0-only
"""
Answers that come before all of their request has been written: what is left of it still is theirs who
sent it, and goes where its beginning went or nowhere. What follows a torn request on its lane would be
taken for its rest. The buffers are so small that a lane takes a few kilobytes.
"""
import contextlib
import select
import socket
import subprocess
import time

from lib import net
from lib.config import DOORS, config, route
from lib.data import pattern
from lib.envoy import conf
from lib.http1 import Conn, answer_with, build, exactly, head_of
from lib.keeper import Keeper
from lib.runner import test

from test_actions import CLUSTERS, FRONT, action
from test_limits import breakers
from test_tunnel import send_all

SIZE = 50_000
BODY = pattern(SIZE, 1)
# A route with either keeps the request's body.
KEEPS = {
    "retry": {"retry_policy": {"retry_on": "5xx"}},
    "mirror": {"request_mirror_policies": [{"cluster": "down"}]},
}


class Server:
    """Takes of what it is sent only what the test reads."""

    def __init__(self, t, wmem="4096 4096 4096"):
        net.sysctl("net.ipv4.tcp_wmem", wmem)
        self.t, self.listener, self.lanes = t, t.listen(9001), []
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
        self.listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)

    def lane(self):
        """Where the next bytes have come."""
        while True:
            ready = select.select([self.listener, *self.lanes], [], [], 5)[0]
            assert ready, "nothing comes"
            if ready[0] is not self.listener:
                return ready[0]
            lane = self.t.stack.enter_context(self.listener.accept()[0])
            lane.settimeout(5)
            lane.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.lanes.append(lane)

    def serve(self, target):
        """The next bytes are a request for @target, which is answered. The lane."""
        lane = self.lane()
        got = head_of(lane)
        assert got.startswith(b"GET %b HTTP/1.1\r\n" % target.encode()), got[:200]
        lane.sendall(answer_with(target.encode()))
        return lane


def is_read(conn):
    """All that was sent is in the daemon's hands; it writes what it can before it reads an answer."""
    out = subprocess.run(["ss", "-HtnOe", "sport", "8000", "or", "dport", "8000"], capture_output=True,
                         text=True, check=True).stdout
    port = f":{conn.sock.getsockname()[1]}"
    queues = [line.split()[1:3] for line in out.splitlines()
              if line.startswith("ESTAB") and port in " ".join(line.split()[3:5])]
    return len(queues) == 2 and all(q == ["0", "0"] for q in queues)


def stage(t, routes, door="user", **how):
    server = Server(t, **how)
    # Another thread's lanes are its own.
    return server, t.sluice(config(FRONT, CLUSTERS, routes, DOORS[door]), concurrency=1)


def begin(t, server, conn, body=BODY):
    """A request of which the lane, which is returned, has the head, and the daemon all."""
    conn.send(build("POST", "/", body=body))
    lane = server.lane()
    head_of(lane)
    t.wait(lambda: is_read(conn), "the daemon has the request")
    return lane


@test(each=list(KEEPS))
def kept_body(t, why):
    server, s = stage(t, [action("/", **KEEPS[why])])
    with Conn(FRONT, timeout=5) as conn:
        lane = begin(t, server, conn)
        lane.sendall(answer_with(b"early"))
        assert conn.response().body == b"early"
        with Conn(FRONT, timeout=5) as other:
            other.send(build("GET", "/other"))
            server.lanes.remove(lane)
            assert server.serve("/other") is not lane
            assert other.response().body == b"/other"
        assert exactly(lane, SIZE) == BODY
        server.lanes.append(lane)
        conn.send(build("GET", "/next"))
        server.serve("/next")
        assert conn.response().body == b"/next"
    s.check()


@test(each=list(DOORS))
def head_and_body(t, door):
    """A head of which a part is written, and the body behind it."""
    server, s = stage(t, [route(to="one")], door)
    lines = [(f"X-{i}", "v" * 1000) for i in range(SIZE // 1000)]
    with Conn(FRONT, timeout=5) as conn:
        conn.send(build("GET", "/first"))
        server.serve("/first")
        assert conn.response().body == b"/first"
        conn.send(build("POST", "/", lines, body=b"behind the head"))
        lane = server.lane()
        first = exactly(lane, 100)
        t.wait(lambda: is_read(conn), "the daemon has the request")
        lane.sendall(answer_with(b"early"))
        assert conn.response().body == b"early"
        got = first + head_of(lane)
        assert got.count(b"v" * 1000 + b"\r\n") == len(lines), got
        assert exactly(lane, 15) == b"behind the head"
        conn.send(build("GET", "/next"))
        assert server.serve("/next") is lane
        assert conn.response().body == b"/next"
    s.check()


ECHO = {
    "keep-alive": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE,
    "close": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % SIZE,
    "until-close": b"HTTP/1.0 200 OK\r\n\r\n",
}


@test(each=list(ECHO))
def echo(t, how):
    """The answer is made of the request's body, and begins before that is written."""
    server, s = stage(t, [action("/", **KEEPS["retry"])])
    with Conn(FRONT, timeout=5) as conn:
        lane = begin(t, server, conn)
        lane.sendall(ECHO[how])
        assert conn.head().status == 200
        for at in range(0, SIZE, 1000):
            lane.sendall(exactly(lane, 1000))
            assert conn._exactly(1000) == BODY[at:at + 1000], at
        if how == "keep-alive":
            conn.send(build("GET", "/next"))
            assert server.serve("/next") is lane
            assert conn.response().body == b"/next"
        else:
            server.lanes.remove(lane)
            lane.close()
            if how == "until-close":
                assert conn.at_eof()
    s.check()


def is_over(lane):
    """Whether it was reset; what is there to read stays there."""
    over = select.poll()
    over.register(lane, 0)
    return over.poll(0)


def rest_of(lane):
    """All that comes until the lane ends, in whatever way."""
    got = b""
    try:
        while data := lane.recv(65536):
            got += data
    except ConnectionResetError:
        pass
    return got


@test()
def says_close(t):
    """A lane that ends behind its answer takes no more: its client, whose request is whole, goes on at once,
    on another."""
    server, s = stage(t, [action("/", **KEEPS["retry"])])
    with Conn(FRONT, timeout=5) as conn:
        lane = begin(t, server, conn)
        lane.sendall(b"HTTP/1.1 413 Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        assert conn.response().status == 413
        conn.send(build("GET", "/next"))
        server.lanes.remove(lane)
        server.serve("/next")
        assert conn.response().body == b"/next"
        got = rest_of(lane)
        assert BODY.startswith(got) and len(got) < SIZE, len(got)
    s.check()


@test(each=[(size, door) for size in (SIZE, 800_000) for door in ("remote-both", "user")])
def never_taken(t, case):
    """A server that answers and takes no more of the request: its client, once it has sent all, is served on
    another lane. What the sockets hold counts as taken, which at other doors is more."""
    size, door = case
    server, s = stage(t, [route(to="one")], door)
    with Conn(FRONT, timeout=10) as conn:
        conn.send(build("GET", "/first"))
        server.serve("/first")
        assert conn.response().body == b"/first"
        sender = send_all(conn.sock, build("POST", "/", body=pattern(size, 1)) + build("GET", "/next"), [])
        lane = server.lane()
        head_of(lane)
        lane.sendall(answer_with(b"early"))
        assert conn.response().body == b"early"
        start = time.monotonic()
        server.lanes.remove(lane)
        server.serve("/next")
        assert conn.response().body == b"/next"
        took = time.monotonic() - start
        assert took < (3 if size == SIZE else 6), f"{took:.1f} s"
        assert pattern(size, 1).startswith(rest_of(lane))
        sender.join()
    s.check()


@test(each=[(when, door) for when in ("next", "idle", "reads") for door in DOORS])
def swallowed(t, case):
    """What our own socket has taken of a request, and its server does not, is not taken: no other request waits
    behind it, whether BPF or the daemon sees the end of the answer. A server that reads it has the next."""
    when, door = case
    body = pattern(2_000_000 if door in ("both", "remote-client") else SIZE, 1)  # more than BPF steers
    server, s = stage(t, [route(to="one")], door, wmem="4096 4194304 4194304")
    with Conn(FRONT, timeout=5) as conn:
        conn.send(build("GET", "/first"))
        server.serve("/first")
        assert conn.response().body == b"/first"
        lane = begin(t, server, conn, body)
        lane.sendall(answer_with(b"early"))
        assert conn.response().body == b"early"
        if when == "reads":
            assert exactly(lane, len(body)) == body
            conn.send(build("GET", "/next"))
            assert server.serve("/next") is lane
            assert conn.response().body == b"/next"
        else:
            server.lanes.remove(lane)
            if when == "idle":
                time.sleep(1.5)
            for c in (conn, t.stack.enter_context(Conn(FRONT, timeout=5))):
                start = time.monotonic()
                c.send(build("GET", "/next"))
                server.serve("/next")
                assert c.response().body == b"/next"
                assert time.monotonic() - start < (0.9 if when == "next" else 0.09), "it has waited"
            t.wait(lambda: is_over(lane), "the lane is reset", 5)
            assert len(rest_of(lane)) < len(body)
    s.check()


@test()
def copied(t):
    """The same where the request is a copy (a mirror), whose answer nobody waits for."""
    server = Server(t, wmem="4096 4194304 4194304")
    Keeper(t, 9002)
    copied = action("/copied", cluster="two", request_mirror_policies=[{"cluster": "one"}])
    s = t.sluice(config(FRONT, CLUSTERS, [copied, route(to="one")], DOORS["user"]), concurrency=1)
    with Conn(FRONT, timeout=5) as conn:
        conn.send(build("POST", "/copied", body=BODY))
        assert conn.response().status == 200
        lane = server.lane()
        head_of(lane)
        lane.sendall(answer_with(b"early"))
        server.lanes.remove(lane)
        s.idle()
        conn.send(build("GET", "/next"))
        server.serve("/next")
        assert conn.response().body == b"/next"
        t.wait(lambda: is_over(lane), "the lane is reset", 5)
        assert len(rest_of(lane)) < SIZE
    s.check()


@test()
def other_thread(t):
    """Who waits for such a lane, as the cluster may have no other, waits no longer on another thread."""
    server = Server(t, wmem="4096 4194304 4194304")
    s = t.sluice(conf("remote-client", back=breakers(max_connections=1)), concurrency=2)
    with contextlib.ExitStack() as stack:
        conn, *others = [stack.enter_context(Conn(FRONT, timeout=5)) for _ in range(8)]
        conn.send(build("GET", "/first"))
        server.serve("/first")
        assert conn.response().body == b"/first"
        for other in others:
            lane = begin(t, server, conn, pattern(2_000_000, 1))
            lane.sendall(answer_with(b"early"))
            assert conn.response().body == b"early"
            server.lanes.remove(lane)
            start = time.monotonic()
            other.send(build("GET", "/next"))
            server.serve("/next")
            assert other.response().body == b"/next"
            assert time.monotonic() - start < 0.9, "it has waited"
    s.check()


@test(each=list(DOORS))
def never_taken_at_all(t, door):
    """More than the sockets hold, and than we drop of a request that BPF has no part in: its client does not wait
    for the lane, but goes on on another, or is told to end."""
    server, s = stage(t, [route(to="one")], door)
    body = pattern(8_000_000, 1)
    with Conn(FRONT, timeout=10) as conn:
        conn.send(build("GET", "/first"))
        server.serve("/first")
        assert conn.response().body == b"/first"
        sender = send_all(conn.sock, build("POST", "/", body=body) + build("GET", "/next"), [])
        lane = server.lane()
        head_of(lane)
        lane.sendall(answer_with(b"early"))
        assert conn.response().body == b"early"
        start = time.monotonic()
        if door in ("remote-both", "user"):
            assert conn.at_eof()
        else:
            server.lanes.remove(lane)
            server.serve("/next")
            assert conn.response().body == b"/next"
        took = time.monotonic() - start
        assert took < 8, f"{took:.1f} s"
        sender.join()
        assert body.startswith(rest_of(lane))
    s.check()


@test(each=[(why, door) for why in ("bad", "idle", "late") for door in DOORS])
def answered_once(t, case):
    """What is wrong with the rest of a request, behind its whole answer, is no answer of its own: the client
    would take it for that to its next request."""
    why, door = case
    one = route(to="one")
    one["route"].update({"bad": {}, "idle": {"idle_timeout": "0.5s"},
                         "late": {"max_stream_duration": {"max_stream_duration": "0.5s"}}}[why])
    listener = t.listen(9001)
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [one], DOORS[door]), concurrency=1)
    with Conn(FRONT, timeout=5) as conn:
        conn.send(build("GET", "/"))
        lane = t.stack.enter_context(listener.accept()[0])
        head_of(lane)
        lane.sendall(answer_with(b"first"))
        assert conn.response().body == b"first"
        conn.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        head_of(lane)
        assert exactly(lane, 10) == b"5\r\nhello\r\n"
        lane.sendall(answer_with(b"early"))
        assert conn.response().body == b"early"
        if why == "bad":
            conn.send(b"zz\r\n")
        assert conn.at_eof(), bytes(conn.buf)
    s.check()
    counts = s.stats().tree["routes"][0]
    assert counts["requests"] == counts["status"]["2xx"] == 2, counts
