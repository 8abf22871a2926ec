# SPDX-License-Identifier: GPL-2.0-only
"""Answers in every shape: cut at each byte, early, long-headed, from servers that hang up."""
import socket
import threading

from lib import linux, net
from lib.config import DOORS, config, route
from lib.data import pattern
from lib.http1 import Closed, Conn, build
from lib.keeper import Keeper
from lib.load import Load, Wrk
from lib.runner import test
from lib.servers import serve_each

from test_actions import action, add

FRONT = ("127.0.0.1", 8000)

ANSWER = b"HTTP/1.1 200 OK\r\nX-Some: thing\r\nContent-Length: 10\r\n\r\n0123456789"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" \
          b"4;x=y\r\n0123\r\n6\r\n456789\r\n0\r\nT: x\r\n\r\n"


class Script:
    """
    A backend that answers by the request's path: /cut/WHAT/AT sends an answer in two sends,
    /drip/WHAT a byte a send, /head/N one with N bytes of headers, /early/N before the body.
    """

    def __init__(self, t, port=9001):
        self._listener = t.listen(port, backlog=256)
        serve_each(self._listener, self._serve)

    def _serve(self, conn):
        got = bytearray()
        with conn:
            try:
                while True:
                    while b"\r\n\r\n" not in got:
                        data = conn.recv(65536)
                        if not data:
                            return
                        got += data
                    end = got.index(b"\r\n\r\n") + 4
                    head = bytes(got[:end]).decode()
                    del got[:end]
                    words = head.split(" ", 2)[1].strip("/").split("/")
                    if words[0] == "early":
                        conn.sendall(ANSWER)
                    length = head.lower().partition("content-length: ")[2].split("\r\n")[0]
                    length = int(length or 0)
                    while len(got) < length:
                        data = conn.recv(65536)
                        if not data:
                            return
                        got += data
                    del got[:length]
                    if words[0] != "early":
                        self._answer(conn, words)
            except OSError:
                pass

    @staticmethod
    def _answer(conn, words):
        what = {"length": ANSWER, "chunked": CHUNKED}.get(words[1], ANSWER)
        if words[0] == "cut":
            conn.sendall(what[:int(words[2])])
            conn.sendall(what[int(words[2]):])
        elif words[0] == "drip":
            for i in range(len(what)):
                conn.sendall(what[i:i + 1])
        elif words[0] == "head":
            size = int(words[1])
            lines = b"".join(b"X-%04d: %b\r\n" % (i, b"v" * 90) for i in range(size // 100))
            conn.sendall(ANSWER.replace(b"X-Some: thing\r\n", lines))
        elif words[0] == "continue":  # interim answers that nobody asked for
            conn.sendall(b"HTTP/1.1 102 Processing\r\n\r\n" * 2 + what)
        else:
            conn.sendall(what)


def serve(t, door):
    Script(t)
    return t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")], DOORS[door]))


def right(r, what):
    assert r.status == 200 and r.body == b"0123456789", f"{what}: {r} {r.body!r}"


@test(each=list(DOORS))
def cut_everywhere(t, door):
    """An answer in two sends, cut at each of its bytes; and one byte a send."""
    s = serve(t, door)
    with Conn(FRONT) as conn:
        for what, raw in (("length", ANSWER), ("chunked", CHUNKED)):
            for cut in range(1, len(raw)):
                right(conn.get(f"/cut/{what}/{cut}"), f"{what} cut at {cut}")
            for _ in range(3):
                right(conn.get(f"/drip/{what}"), f"{what} byte by byte")
                right(conn.get(f"/whole/{what}"), f"{what} after it")
    s.check()


@test(each=list(DOORS))
def shapes(t, door):
    """Heads over the kernel's limit, interim answers, answers before the request's body."""
    s = serve(t, door)
    with Conn(FRONT) as conn:
        for size in (100, 3000, 4000, 4100, 6000):
            for _ in range(3):
                r = conn.get(f"/head/{size}")
                right(r, f"head of {size}")
                assert sum(1 for name, _ in r.headers if name.startswith("x-0")) == size // 100, r
                right(conn.get("/whole/length"), f"after a head of {size}")
        for _ in range(3):
            r = conn.get("/continue/length")
            right(r, "interim")
            assert [i.status for i in r.informational] in ([102, 102], []), r.informational
    for size in (10, 100_000, 1_000_000):
        for _ in range(5):
            with Conn(FRONT) as conn:
                right(conn.get("/whole/length"), "first")
                right(conn.request("POST", "/early/x", body=pattern(size, 1)), f"early, {size}")
                try:
                    right(conn.get("/whole/length"), f"after an early answer to {size}")
                except Closed as e:
                    assert not e.got, f"cut answer after an early one: {e}"
    s.check()


@test(each=list(DOORS))
def half_closed(t, door):
    """A client that shuts its sending side down after its request is answered all the same."""
    t.backends.one("python", "one", 9001)
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")], DOORS[door]))
    for path, size in (("/who", None), ("/slow/100", None), ("/bytes/1000000/1", 1_000_000)):
        for warm in (0, 2):
            with Conn(FRONT) as conn:
                for _ in range(warm):
                    assert conn.get("/who").status == 200
                conn.send(build("GET", path))
                conn.sock.shutdown(socket.SHUT_WR)
                r = conn.response()
                assert r.status == 200, f"{path} after {warm}: {r}"
                assert r.body == (b"one" if size is None else pattern(size, 1)), f"{path}: {r}"
                assert conn.at_eof()
    s.check()


NGINX_LIMITS = {"few": "keepalive_requests 7;", "brief": "keepalive_timeout 50ms;"}


@test(seconds=60, each=[(limit, door) for limit in NGINX_LIMITS for door in ("both", "remote-both",
                                                                           "user")])
def servers_that_hang_up(t, case):
    """A server that closes after some requests, or some idle time: no request is lost by it."""
    limit, door = case
    t.backends.nginx({9001: "one"}, tune=NGINX_LIMITS[limit])
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")], DOORS[door]))
    if limit == "few":
        Wrk(t, "http://127.0.0.1:8000/who", 16, seconds=3).result().check()
    else:
        pace = threading.Event()

        def step(conn, me, n):
            pace.wait(0.045 + (me * 7 + n * 3) % 10 / 1000)  # about when the server hangs up
            r = conn.get("/bytes/100/1")
            assert r.status == 200 and r.body == pattern(100, 1), r

        with Load(FRONT, 16, step) as load:
            load.wait_requests(t, 800, seconds=30)
        load.check()
    t.note(f"{s.stats()}")
    s.check()


def lines(name, n, size=990):
    return b"".join(b"%b-%02d: %b\r\n" % (name, i, b"v" * size) for i in range(n))


@test(each=list(DOORS))
def over_long(t, door):
    """A head that does not fit with what the route adds: nothing of it goes out, before the 502 or
    anywhere. One that does not fit behind an interim head alone is sent after it."""
    heads = {
        "/copied": b"HTTP/1.1 200 OK\r\nY: %b\r\n" % (b"y" * 6000) + lines(b"X", 58) +
                   b"Content-Length: 2\r\n\r\nok",
        "/hinted": b"HTTP/1.1 103 Early Hints\r\n" + lines(b"Z", 18) + b"\r\n" +
                   b"HTTP/1.1 200 OK\r\n" + lines(b"X", 44) + b"Content-Length: 2\r\n\r\nok",
    }
    Keeper(t, 9001, lambda request, n: heads.get(request.target, ANSWER))
    added = [add("x-copy", "%RESP(y)%")] + [add(f"x-{i}", "w" * 2000) for i in range(4)]
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [
        action("/copied", top={"response_headers_to_add": added[:1]}),
        action("/hinted", top={"response_headers_to_add": added[1:]}), route(to="one")], DOORS[door]))
    with Conn(FRONT) as conn:
        for n in range(3):
            conn.send(build("GET", "/copied") + build("GET", "/next"))
            r = conn.response()
            assert r.status == 502 and r.get("y") is None and not r.get("x-copy"), f"{n}: {r}"
            right(conn.response(), f"{n}, behind it")
            r = conn.get("/hinted")
            assert r.status == 200 and r.body == b"ok" and r.get("x-43"), f"{n}: {r}"
            assert [i.status for i in r.informational] == [103], r.informational
            assert all(len(r.get(f"x-{i}")) == 2000 for i in range(4)), r
            right(conn.get("/next"), f"{n}, at last")
    s.check()


@test(each=list(DOORS))
def over_long_unread(t, door):
    """The same behind an interim head that the client has not read yet."""
    net.sysctl("net.ipv4.tcp_wmem", "4096 4096 4096")
    back = t.listen(9001)
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")], DOORS[door]))

    def all_is_read():
        """By the daemon: nothing is left between it and the server."""
        return all(row[4] == "00000000:00000000" for port in (9001, there[1])
                   for row in linux.tcp_sockets(s.worker(), port) if row[3] == "01")
    with Conn(FRONT, rcvbuf=2304) as conn:
        conn.send(build("GET", "/"))
        lane, there = back.accept()
        with lane:
            lane.settimeout(10)
            assert lane.recv(1000).endswith(b"\r\n\r\n")
            lane.sendall(b"HTTP/1.1 103 Early Hints\r\n" + lines(b"Z", 32) + b"\r\n" +
                         b"HTTP/1.1 200 OK\r\n" + lines(b"X", 40) +
                         b"Content-Length: 2\r\n\r\nok")
            t.wait(all_is_read, "the answer is in the daemon's hands")
            r = conn.response()
            assert r.status == 200 and r.body == b"ok" and r.get("x-39"), r
            assert [i.status for i in r.informational] == [103], r.informational
    s.check()
