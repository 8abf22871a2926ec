# SPDX-License-Identifier: GPL-2.0-only
"""Envoy's timeouts on both paths: each at its time, not before, with its status and its counter."""
import contextlib
import os
import signal
import socket
import struct
import threading
import time

from lib import linux
from lib.config import DOORS, cluster, dump, listener, route
from lib.envoy import BACK, FRONT, conf, limits
from lib.http1 import Closed, Conn, build, head_of
from lib.keeper import Keeper
from lib.runner import test
from lib.scripted import Scripted
from lib.servers import serve_each
from test_reload import reload

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SL_S_FRONT, SL_S_BUSY = 0x2, 0x30  # include/sl_session.h
SL_L_STATE, SL_LANE_KERNEL = 0xf, 3
SLACK = 2.0  # seconds that a timeout may be late, on a machine that is busy


def timed(prefix, timeout=None, idle=None):
    r = route(prefix=prefix, to="one", name=prefix.strip("/") or "rest")
    if timeout is not None:
        r["route"]["timeout"] = timeout
    if idle is not None:
        r["route"]["idle_timeout"] = idle
    return r


class Clock:
    def __enter__(self):
        self.start = time.monotonic()
        return self

    def __exit__(self, *exc):
        self.took = time.monotonic() - self.start

    def about(self, seconds):
        assert seconds - 0.05 <= self.took <= seconds + SLACK, \
            f"after {self.took:.3f} s, not {seconds}"


def warm(conn, path="/fast"):
    """Makes the lane and finds the session idle: what follows can take the kernel path."""
    for _ in range(3):
        r = conn.get(path)
        assert r.status == 200, r


def under_way(t, s, door, path):
    """
    An exchange on @path, which is not answered, gets to where it ought to be. Not each one does: on
    a slow machine a request may come while the daemon still has the session or the lane in hand,
    and is the user path's by right.
    """
    places = {"user": ["user"], "remote-both": ["user", "in_exchange"]}.get(door, ["in_exchange"])
    for _ in range(20):
        with Conn(FRONT) as conn:
            warm(conn)
            conn.send(build("GET", path))
            found = t.wait(lambda: [p for p in ("in_exchange", "user")
                                    if s.stats().tree["sessions"][p] == 1],
                           "the exchange is somewhere", 5, 0.01)
            if found[0] in places:
                return
            # By RST: a FIN alone could be a client that still reads.
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        t.wait(lambda: s.stats().tree["sessions"]["open"] == 0, "it is gone", 5, 0.01)
    raise AssertionError(f"no exchange is {places}")


@test(seconds=30, each=list(DOORS))
def route_timeout(t, door):
    """504 when the answer does not begin in time, a cut when it does not end in time."""
    Scripted(t)
    s = t.sluice(conf(door, [timed("/short", "0.4s"), timed("/none", "0s"), timed("/")]))
    under_way(t, s, door, "/none/hang")
    with Conn(FRONT) as conn:
        warm(conn)
        conn.send(build("GET", "/short/hang"))
        with Clock() as clock:
            r = conn.response()
        clock.about(0.4)
        assert r.status == 504 and r.body == b"upstream request timeout\n", f"{r} {r.body}"
    with Conn(FRONT) as conn:
        warm(conn)
        with Clock() as clock:
            conn.send(build("GET", "/short/half"))
            try:
                r = conn.response()
                raise AssertionError(f"not cut: {r} {r.body}")
            except Closed as e:
                assert e.got == b"0123456789", e.got
        clock.about(0.4)
    assert limits(s, "one") == {"upstream_rq_timeout": 2}, limits(s, "one")
    with Conn(FRONT) as none, Conn(FRONT) as long, Conn(FRONT) as upload:
        for conn in (none, long, upload):
            warm(conn)
        none.send(build("GET", "/none/drip/8"))
        long.send(build("GET", "/hang"))
        # The time runs from the end of the request.
        whole = build("POST", "/short/take", body=b"x" * 40)
        for at in range(0, len(whole), 20):
            upload.send(whole[at:at + 20])
            time.sleep(0.1)
        assert upload.response().status == 200
        assert none.response().body == b"0123456789" * 8
        long.sock.settimeout(0.01)
        try:
            raise AssertionError(f"timed out before its time: {long.sock.recv(99)!r}")
        except socket.timeout:
            pass
    assert limits(s, "one") == {"upstream_rq_timeout": 2}, limits(s, "one")
    s.check()


@test(seconds=30, each=list(DOORS))
def reloads(t, door):
    """What began before a reload keeps its route's timeout, or none, though the route has gone and
    another has its place."""
    Scripted(t)
    s = t.sluice(conf(door, [timed("/short", "4s"), timed("/none", "0s"), timed("/")]))
    with Conn(FRONT) as short, Conn(FRONT) as none:
        for conn in (short, none):
            warm(conn)
        none.send(build("GET", "/none/hang"))
        clock, answers = Clock(), []

        def ask():
            with clock:
                answers.append(short.get("/short/hang"))
        asks = threading.Thread(target=ask, daemon=True)
        asks.start()
        t.wait(lambda: sum(s.stats().tree["sessions"][p] for p in ("in_exchange", "user")) == 2,
               "both are under way")
        # These take their time, too, on a machine that is busy: it is not the timeout's.
        for _ in range(2):
            reload(s, conf(door, [timed("/x", "0.2s"), timed("/y", "0.2s"), timed("/")]))
        asks.join(20)
        r, = answers
        clock.about(4)
        assert r.status == 504 and r.body == b"upstream request timeout\n", f"{r} {r.body}"
        none.sock.settimeout(0.01)
        try:
            raise AssertionError(f"it had no timeout: {none.sock.recv(99)!r}")
        except socket.timeout:
            pass
        with Conn(FRONT) as conn:
            assert conn.get("/x/hang").status == 504
    s.check()


@contextlib.contextmanager
def steered(s):
    """
    As if BPF, just now, was about to move what the server has sent: lane.moved is odd. A program of
    the kernel's that stands still there cannot be had.
    """
    size, word = linux.member_of(s.pin("lanes"), "sl_lane", "word")
    _, moved = linux.member_of(s.pin("lanes"), "sl_lane", "moved")
    with linux.mapped(s.pin("lanes"), size * 1024) as lanes:
        at = [i * size for i in range(1024)
              if lanes[i * size + word] & SL_L_STATE == SL_LANE_KERNEL]
        assert len(at) == 1 and not lanes[at[0] + moved] & 1, at
        lanes[at[0] + moved] |= 1
        yield


@test(each=["both", "remote-client"])
def answered_in_the_last_moment(t, door):
    """A 504 is not written behind a head that is on its way: the client would read it as its body."""
    Scripted(t)
    s = t.sluice(conf(door, [timed("/short", "2s"), timed("/")]))
    with Conn(FRONT) as conn:
        warm(conn)
        conn.send(build("GET", "/short/hang"))
        t.wait(lambda: s.stats().tree["sessions"]["in_exchange"] == 1, "it is the kernel's", 5, 0.01)
        with steered(s):
            try:
                raise AssertionError(f"answered: {conn.response()}")
            except (Closed, ConnectionResetError) as e:
                assert not getattr(e, "got", b""), e.got
    assert limits(s, "one") == {"upstream_rq_timeout": 1}, limits(s, "one")


@test()
def answer_never_lands(t):
    """An answer that BPF has booked and the kernel never moved: its client does not wait for ever."""
    Scripted(t)
    s = t.sluice(conf("both"))
    pin = s.pin("sessions")
    size, mover = linux.member_of(pin, "sl_session", "mover")
    last, word = (linux.member_of(pin, "sl_session", name)[1] for name in ("last_ns", "word"))
    with Conn(FRONT) as conn, linux.mapped(pin, size * 1024) as sessions:
        warm(conn)
        at = [i * size for i in range(1024) if sessions[i * size + word] & SL_S_FRONT]
        assert len(at) == 1, at
        t.wait(lambda: not sessions[at[0] + word] & SL_S_BUSY, "it is idle, and notes no more")
        struct.pack_into("<Q", sessions, at[0] + last, time.monotonic_ns() - int(14e9))
        struct.pack_into("<I", sessions, at[0] + mover, 1)
        with Clock() as clock:
            assert conn.sock.recv(1) == b""
        clock.about(1)


@test()
def flush(t):
    """flush_timeout of a route, else stream_flush_timeout of the listener, stands for the idle timeout
    while an answer that is complete waits for its client alone."""
    body = b"x" * 60000
    Keeper(t, 9001, b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + body)
    routes = [timed("/route", "0s", "0s"), timed("/")]
    routes[0]["route"]["flush_timeout"] = "0.4s"
    s = t.sluice(conf("user", routes,
                      {"stream_idle_timeout": "0s", "stream_flush_timeout": "0.8s"}))
    for n, (path, seconds) in enumerate((("/route", 0.4), ("/", 0.8))):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(FRONT)
            with Clock() as clock:
                # Answers beyond what the sockets' buffers take.
                sock.sendall(build("GET", path) * 150)
                t.wait(lambda: limits(s).get("downstream_rq_idle_timeout") == n + 1, "a timeout")
        assert clock.took >= seconds, (path, clock.took)
    s.check()


@test(seconds=30, each=list(DOORS))
def stream_idle(t, door):
    """An exchange without a byte for too long ends: 504, 408, or cut; one that moves goes on."""
    Scripted(t)
    s = t.sluice(conf(door, [timed("/short", "0s", "1s"), timed("/off", "0s", "0s"), timed("/")],
                      {"stream_idle_timeout": "0.5s"}))
    under_way(t, s, door, "/off/hang")
    with Conn(FRONT) as conn:
        warm(conn)
        conn.send(build("GET", "/short/hang"))
        with Clock() as clock:
            r = conn.response()
        clock.about(1)
        assert r.status == 504 and r.body == b"stream timeout\n", f"{r} {r.body}"
    with Conn(FRONT) as conn:
        warm(conn)
        with Clock() as clock:
            conn.send(build("GET", "/half"))  # the listener's time
            try:
                raise AssertionError(f"not cut: {conn.response()}")
            except Closed as e:
                assert e.got == b"0123456789", e.got
        clock.about(0.5)
    with Conn(FRONT) as conn:
        warm(conn)
        with Clock() as clock:
            conn.send(build("POST", "/short/take", body=b"x" * 100)[:-1])
            r = conn.response()
        clock.about(1)
        assert r.status == 408 and r.body == b"stream timeout\n" and conn.at_eof(), f"{r} {r.body}"
    assert limits(s) == {"downstream_rq_idle_timeout": 3}, limits(s)
    with Conn(FRONT) as drip, Conn(FRONT) as off, Conn(FRONT) as upload:
        for conn in (drip, off, upload):
            warm(conn)
        drip.send(build("GET", "/short/drip/15"))
        off.send(build("GET", "/off/hang"))
        whole = build("POST", "/short/take", body=b"x" * 240)
        for at in range(0, len(whole), 20):
            upload.send(whole[at:at + 20])
            time.sleep(0.1)
        assert upload.response().status == 200
        assert drip.response().body == b"0123456789" * 15
        off.sock.settimeout(0.01)
        try:
            raise AssertionError(f"timed out without a timeout: {off.sock.recv(99)!r}")
        except socket.timeout:
            pass
    assert limits(s) == {"downstream_rq_idle_timeout": 3}, limits(s)
    s.check()


@test(seconds=60, each=["both", "remote-client", "remote-server", "user"])
def rest_of_a_body(t, door):
    """Behind an answer that came before its request was whole the rest is waited for 15 s, or as long since
    its last part that the kernel moved; and the exchange is counted as what it was."""
    listener = t.listen(9001)
    s = t.sluice(conf(door, [timed("/", "0s")]))
    with Conn(FRONT, timeout=30) as conn:
        conn.send(build("GET", "/"))
        lane = t.stack.enter_context(listener.accept()[0])
        lane.recv(65536)
        lane.sendall(OK)
        assert conn.response().status == 200
        body = build("POST", "/", body=b"x" * 1000)
        conn.send(body[:-900])
        assert lane.recv(65536)
        lane.sendall(OK)
        with Clock() as clock:
            assert conn.response().status == 200
            more = door in ("both", "remote-server")  # a part that BPF moves
            if more:
                time.sleep(2)
                conn.send(body[-900:-100])
            assert conn.at_eof()
        clock.about(17 if more else 15)
    counts = s.stats().routes["rest"]
    assert counts["requests"] == counts["status"]["2xx"] == 2, counts
    s.check()


@test()
def promised_and_never_written(t):
    """Bytes of an answer that the kernel has promised to a remote client: nothing is written before
    them, and when they do not come the session ends."""
    Scripted(t)
    s = t.sluice(conf("remote-client", [timed("/")], {"stream_idle_timeout": "0.5s"}))
    size, promised = linux.member_of(s.pin("sessions"), "sl_session", "front_tx")
    with Conn(FRONT) as conn, linux.mapped(s.pin("sessions"), size * 1024) as sessions:
        warm(conn)
        slot = next(i for i in range(1024) if sessions[i * size] & SL_S_FRONT) * size
        sessions[slot + promised] ^= 0x80
        conn.send(build("GET", "/fast"))
        with Clock() as clock:
            assert conn.sock.recv(1) == b"", "an answer, though it would overtake another"
        clock.about(0.5)
    s.check()


@test(seconds=30, each=["both", "remote-both", "user"])
def stream_duration(t, door):
    """max_stream_duration ends an exchange that moves all the time; a route's own, even 0, counts."""
    Scripted(t)
    free = timed("/free")
    free["route"]["max_stream_duration"] = {"max_stream_duration": "0s"}
    s = t.sluice(conf(door, [free, timed("/")],
                      {"common_http_protocol_options": {"max_stream_duration": "0.7s"}}))
    with Conn(FRONT) as cut, Conn(FRONT) as late, Conn(FRONT) as whole:
        for conn in (cut, late, whole):
            warm(conn)
        with Clock() as clock:
            cut.send(build("GET", "/drip/30"))
            late.send(build("GET", "/hang"))
            whole.send(build("GET", "/free/drip/12"))
            r = late.response()
            try:
                raise AssertionError(f"not cut: {cut.response()}")
            except Closed:
                pass
        clock.about(0.7)
        assert r.status == 504 and r.body == b"downstream duration timeout\n", f"{r} {r.body}"
        assert whole.response().body == b"0123456789" * 12
    assert limits(s) == {"downstream_rq_max_duration_reached": 2}, limits(s)
    s.check()


@test(seconds=30, each=["both", "remote-client", "user"])
def slowloris(t, door):
    """A head that dribbles, and a body that does, are answered 408 in their time and no later."""
    Scripted(t)
    s = t.sluice(conf(door, hcm={"request_headers_timeout": "0.5s", "request_timeout": "0.8s"}))
    for first, seconds, text, count in (
            (b"GET /fast HTTP/1.1\r\nHost: x\r\nX: ", 0.5, b"request header timeout\n",
             "downstream_rq_header_timeout"),
            (b"POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n", 0.8,
             b"request timeout\n", "downstream_rq_timeout")):
        for used in (False, True):
            with Conn(FRONT) as conn:
                if used:
                    warm(conn)
                conn.send(first)
                conn.sock.settimeout(0.1)
                with Clock() as clock:
                    while True:
                        try:
                            if conn._fill():
                                break
                        except socket.timeout:
                            conn.send(b"x")
                clock.about(seconds)
                conn.sock.settimeout(5)
                r = conn.response()
                assert r.status == 408 and r.body == text, f"{r} {r.body}"
                assert r.get("connection") == "close" and conn.at_eof(), r
        assert limits(s)[count] == 2, limits(s)
    with Conn(FRONT) as conn:  # an idle connection is no slow head
        warm(conn)
        time.sleep(0.9)
        warm(conn)
    s.check()


@test(seconds=30, each=list(DOORS))
def idle_connections(t, door):
    """Sessions and lanes without a request end in their time; those in use do not."""
    back = Scripted(t)
    s = t.sluice(conf(door, hcm={"common_http_protocol_options": {"idle_timeout": "0.6s"}},
                      back={"common_http_protocol_options": {"idle_timeout": "0.3s"}}))
    with Conn(FRONT) as idle, Conn(FRONT) as busy, Conn(FRONT) as fresh, Conn(FRONT) as waits:
        with Clock() as clock:
            warm(idle)
            warm(busy)
            waits.send(build("GET", "/drip/9"))
            for _ in range(8):
                time.sleep(0.1)
                assert busy.get("/fast").status == 200
            assert idle.at_eof() and fresh.at_eof()
        clock.about(0.8)
        assert busy.get("/fast").status == 200
        assert waits.response().status == 200
        with Clock() as clock:
            assert busy.at_eof()
    t.wait(lambda: s.stats().tree["lanes"]["open"] == 0, "no lane is left", 2, 0.02)
    assert limits(s)["downstream_cx_idle_timeout"] >= 3, limits(s)
    assert limits(s, "one")["upstream_cx_idle_timeout"] == back.connections, limits(s, "one")
    s.check()


@test(seconds=30, each=["both", "remote-client", "user"])
def connection_duration(t, door):
    """max_connection_duration: idle ones end after drain_timeout, one more request is told so."""
    Scripted(t)
    s = t.sluice(conf(door, hcm={"drain_timeout": "0.5s", "common_http_protocol_options":
                                 {"max_connection_duration": "0.4s"}}))
    with contextlib.ExitStack() as stack:
        with Clock() as clock:
            idle, used, busy = [stack.enter_context(Conn(FRONT)) for _ in range(3)]
            for conn in (idle, used, busy):
                warm(conn)
            busy.send(build("GET", "/drip/12"))
            time.sleep(0.5)
            r = used.get("/fast")
            assert r.status == 200 and r.get("connection") == "close" and used.at_eof(), r
            assert idle.at_eof()
        clock.about(0.9)
        r = busy.response()
        assert r.status == 200 and r.body == b"0123456789" * 12, r
        assert busy.at_eof()
    assert limits(s) == {"downstream_cx_max_duration_reached": 3}, limits(s)
    s.check()


@test(seconds=30, each=["both", "remote-both", "user"])
def lane_life(t, door):
    """max_connection_duration of a cluster."""
    Scripted(t)
    s = t.sluice(conf(door, back={"common_http_protocol_options": {"max_connection_duration": "2s"}}))
    with Conn(FRONT) as conn:
        assert int(conn.get("/number").body) == 1
        time.sleep(2.2)
        assert int(conn.get("/number").body) == 1
    assert limits(s, "one")["upstream_cx_max_duration_reached"] == 1, limits(s, "one")
    s.check()


@test(seconds=30, each=["both", "remote-both", "user"])
def lane_requests(t, door):
    """max_requests_per_connection of a cluster. Without a duration, which a machine that is busy would reach."""
    Scripted(t)
    s = t.sluice(conf(door, back={"max_requests_per_connection": 3}))
    with Conn(FRONT) as conn:
        numbers = []
        for _ in range(30):
            numbers.append(int(conn.get("/number").body))
            time.sleep(0.003)  # for the daemon to give the session back
        assert numbers == [1, 2, 3] * 10, numbers
        assert s.stats().by_door(door) >= 5, s.stats()
        t.wait(lambda: limits(s, "one").get("upstream_cx_max_requests") == 10, "ten lanes counted",
               5, 0.02)
        assert int(conn.get("/number").body) == 1
    s.check()


@test(seconds=30, each=["both", "remote-client"])
def after_a_crash(t, door):
    """What the next worker finds under way is timed, too."""
    Scripted(t)
    s = t.sluice(conf(door, [timed("/short", "1.5s"), timed("/idle", "0s", "1.5s"), timed("/")],
                      {"common_http_protocol_options": {"idle_timeout": "2s"}}))
    with Conn(FRONT) as answer, Conn(FRONT) as stream, Conn(FRONT) as idle:
        for conn in (answer, stream):  # a lane for each
            conn.send(build("GET", "/slow/200"))
        for conn in (answer, stream):
            assert conn.response().status == 200
        for conn in (answer, stream, idle):
            warm(conn)
        answer.send(build("GET", "/short/hang"))
        stream.send(build("GET", "/idle/half"))
        t.wait(lambda: s.stats().tree["sessions"]["in_exchange"] == 2, "both are under way", 2)
        s.worker(other_than=s.kill_worker())
        r = answer.response()
        assert r.status == 504, r
        try:
            raise AssertionError(f"not cut: {stream.response()}")
        except Closed as e:
            assert e.got == b"0123456789", e.got
        assert idle.at_eof()
    s.check()


@contextlib.contextmanager
def full_queue(t, port):
    """A backend that does not answer the SYN."""
    full = t.listen(port, backlog=0)
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        yield


@test(seconds=40, each=["both", "user"])
def defaults(t, door):
    """What a config without any timeout gives: 5 s to connect, 15 s to answer."""
    Scripted(t)
    routes = [route(prefix="/full", to="full"), timed("/")]
    clusters = [cluster("one", [BACK]), cluster("full", [(BACK[0], 9002)])]
    for one in clusters:
        del one["connect_timeout"]
    tree = {"listeners": [listener("front", FRONT, routes)], "clusters": clusters}
    with full_queue(t, 9002):
        s = t.sluice(dump({"static_resources": tree, "sluice": DOORS[door]}) + "\n")
        with Conn(FRONT) as to_full, Conn(FRONT) as hung, Clock() as answer:
            warm(hung)
            hung.send(build("GET", "/hang"))
            with Clock() as connect:
                assert to_full.get("/full").status == 503
            connect.about(5)
            assert hung.response().status == 504
        answer.about(15)
    assert limits(s, "one") == {"upstream_rq_timeout": 1}, limits(s, "one")
    assert limits(s, "full") == {"upstream_cx_connect_timeout": 1}, limits(s, "full")


@test(seconds=30, each=["both", "user"])
def connect_timeout(t, door):
    """A backend whose queue is full does not answer the SYN: 503 after connect_timeout."""
    with full_queue(t, 9001):
        s = t.sluice(conf(door, back={"connect_timeout": "0.2s"}))
        with Conn(FRONT) as conn, Clock() as clock:
            r = conn.get("/fast")
        assert r.status == 503, r
        assert r.body.startswith(b"upstream connect error") and b"connection timeout" in r.body, r.body
        clock.about(0.2)
        assert limits(s, "one") == {"upstream_cx_connect_timeout": 1}, limits(s, "one")


def answer_one(conn):
    with conn:
        head_of(conn)
        conn.sendall(OK)


@test(seconds=60)
def connected_in_time(t):
    """More than one look at the events holds are connected in time by the kernel, and the daemon has no CPU until
    the timeout is over: none of them is too late."""
    n = 400
    listener = t.listen(9001, backlog=0)
    s = t.sluice(conf("user", back={"connect_timeout": "3s"}), concurrency=1)
    with contextlib.ExitStack() as stack:
        conns = [stack.enter_context(Conn(FRONT, timeout=30)) for _ in range(n)]
        start = time.monotonic()
        for conn in conns:
            conn.send(build("GET", "/fast"))
        t.wait(lambda: s.stats().tree["lanes"]["open"] == n, "all connect")
        pid = s.stop_worker()
        listener.listen(1024)  # their SYNs come again
        t.wait(lambda: sum(row[3] == "01" for row in linux.tcp_sockets(pid, 9001)) == n, "all are connected", 20)
        t.wait(lambda: time.monotonic() - start > 4, "the timeout is over", 20)
        os.kill(pid, signal.SIGCONT)
        serve_each(listener, answer_one)
        assert [conn.response().status for conn in conns] == [200] * n
    s.check()
