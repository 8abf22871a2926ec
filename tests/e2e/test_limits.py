# SPDX-License-Identifier: GPL-2.0-only
"""Circuit breakers, heads, open sessions: at a limit a status and a counter, below it nothing."""
import contextlib
import os
import resource
import selectors
import socket
import struct
import threading

from lib import linux
from lib.config import route
from lib.envoy import FRONT, conf, limits
from lib.http1 import Conn, build
from lib.load import Load
from lib.runner import test
from lib.scripted import Scripted

OVERFLOW = b"upstream connect error or disconnect/reset before headers. reset reason: overflow\n"


def breakers(**thresholds):
    return {"circuit_breakers": {"thresholds": [thresholds]}}


def together(n, path):
    """Statuses and bodies of @n requests at a time, each on a connection of its own."""
    with contextlib.ExitStack() as stack:
        conns = [stack.enter_context(Conn(FRONT)) for _ in range(n)]
        for conn in conns:
            conn.send(build("GET", path))
        answers = [conn.response() for conn in conns]
        for conn, r in zip(conns, answers):  # a refused request ends no session
            r.after = conn.get("/fast").status
    return answers


def check_refused(answers, ok, refused):
    statuses = [r.status for r in answers]
    assert statuses.count(200) == ok and statuses.count(503) == refused, statuses
    for r in answers:
        if r.status == 503:
            assert r.body == OVERFLOW and r.get("x-envoy-overloaded") == "true", f"{r} {r.body}"
        assert r.after == 200, r.after


@test(seconds=40, each=["both", "remote-both", "user"])
def max_connections(t, door):
    """More requests than connections wait in turn; as many as may wait, wait."""
    back = Scripted(t)
    s = t.sluice(conf(door, back=breakers(max_connections=3, max_pending_requests=4)))
    together(3, "/slow/100")
    n = back.connections
    check_refused(together(12, "/slow/500"), 7, 5)
    assert back.most <= 3 and back.connections <= max(n, 3), f"{back.most}, {back.connections}"
    found = limits(s, "one")
    assert found["upstream_rq_pending_overflow"] == 5, found
    assert found["upstream_cx_overflow"] >= 9, found
    with Load(FRONT, 7, lambda conn, me, i: conn.get("/fast").status) as load:
        load.wait_requests(t, 1500)
    load.check()
    assert list(load.counts) == [200], load.counts
    assert limits(s, "one")["upstream_rq_pending_overflow"] == 5, limits(s, "one")
    s.check()


def turns(clients, n):
    """
    How often each of so many clients is served, of @n times in all. Each has asked at all times: one thread
    is all of them, for of threads that wait for the interpreter Python serves whom it likes.
    """
    served = [0] * clients
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as ready:
        conns = [stack.enter_context(Conn(FRONT)) for _ in range(clients)]
        for i, conn in enumerate(conns):
            ready.register(conn.sock, selectors.EVENT_READ, (i, conn))
            conn.send(build("GET", "/fast"))
        while sum(served) < n:
            for key, _ in ready.select(20):
                i, conn = key.data
                assert conn.response().status == 200
                served[i] += 1
                conn.send(build("GET", "/fast"))
        for conn in conns:
            assert conn.response().status == 200
    return served


@test(seconds=40, each=["both", "user"])
def waiting(t, door):
    """Requests that wait have their timeout, leave no trace when their client goes, and have their
    turn: nobody is passed over."""
    back = Scripted(t)
    short = route(prefix="/short", to="one")
    short["route"]["timeout"] = "0.3s"
    s = t.sluice(conf(door, [short, route(to="one")],
                      back=breakers(max_connections=1, max_pending_requests=5)))
    with Conn(FRONT) as hog, Conn(FRONT) as late:
        hog.send(build("GET", "/slow/3000"))
        t.wait(lambda: back.active == 1, "the lane is taken", 5, 0.01)
        gone = [Conn(FRONT) for _ in range(5)]
        for conn in gone:
            conn.send(build("GET", "/fast"))
        t.wait(lambda: limits(s, "one").get("upstream_cx_overflow") == 5, "all wait", 5, 0.01)
        for conn in gone:  # by RST: a FIN alone could be a client that still reads
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            conn.close()
        t.wait(lambda: s.stats().tree["sessions"]["open"] == 2, "they are gone", 5, 0.01)
        late.send(build("GET", "/short/fast"))
        r = late.response()
        assert r.status == 504, f"{r} {r.body}"
        assert limits(s, "one")["upstream_rq_timeout"] == 1, limits(s, "one")
        assert hog.response().status == 200
    assert back.requests == 1, back.requests

    served = turns(6, 1500)
    assert min(served) > max(served) / 2, served
    assert back.most == 1, back.most
    assert "upstream_rq_pending_overflow" not in limits(s, "one"), limits(s, "one")
    s.check()


@test(seconds=40, each=["both", "remote-both", "user"])
def max_requests(t, door):
    """Over max_requests: 503 at once; up to it never, though lanes end and are made all the time."""
    back = Scripted(t)
    s = t.sluice(conf(door, back={**breakers(max_requests=4),
                                  "max_requests_per_connection": 7}))
    check_refused(together(12, "/slow/500"), 4, 8)
    assert limits(s, "one")["upstream_rq_pending_overflow"] == 8, limits(s, "one")
    with Load(FRONT, 4, lambda conn, me, i: conn.get("/fast").status) as load:
        load.wait_requests(t, 1500)
    load.check()
    assert list(load.counts) == [200], load.counts
    assert limits(s, "one")["upstream_rq_pending_overflow"] == 8, limits(s, "one")
    assert back.most <= 4, back.most
    stats = s.stats()
    assert stats.by_door(door) > 500, stats
    s.check()


@test(each=["both", "user"])
def none_at_all(t, door):
    """max_requests: 0 refuses everything."""
    Scripted(t)
    s = t.sluice(conf(door, back=breakers(max_requests=0)))
    with Conn(FRONT) as conn:
        for _ in range(3):
            r = conn.get("/fast")
            assert r.status == 503 and r.body == OVERFLOW, f"{r} {r.body}"
    s.check()


def head_of(n):
    """A request whose head has @n bytes."""
    whole = build("GET", "/fast", [("X", "")])
    return build("GET", "/fast", [("X", "x" * (n - len(whole)))])


@test(each=["both", "remote-client", "user"])
def heads(t, door):
    """Heads over max_request_headers_kb or max_headers_count: 431, on the kernel path too."""
    Scripted(t)
    s = t.sluice(conf(door, hcm={"max_request_headers_kb": 2, "common_http_protocol_options":
                                 {"max_headers_count": 10}}))
    most = [(f"X-{i}", "y") for i in range(9)]  # and Host
    refused = 0
    for request, status in ((head_of(2048), 200), (head_of(2049), 431), (head_of(4000), 431),
                            (head_of(60000), 431), (build("GET", "/fast", most), 200),
                            (build("GET", "/fast", most + [("Y", "z")]), 431)):
        with Conn(FRONT) as conn:
            for _ in range(3):
                assert conn.get("/fast").status == 200
            conn.send(request)
            r = conn.response()
            assert r.status == status, f"{len(request)} bytes: {r}"
            if status == 431:
                assert conn.at_eof(), r
                refused += 1
    assert limits(s) == {"downstream_rq_head_too_large": refused}, limits(s)
    s.check()


@test(each=["both", "user"])
def heads_by_default(t, door):
    """60 KiB, as in Envoy; in one piece and in many."""
    Scripted(t)
    s = t.sluice(conf(door))
    for size, status in ((61440, 200), (61441, 431)):
        for piece in (size, 1000):
            with Conn(FRONT) as conn:
                whole = head_of(size)
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    conn.send_pieces(whole[at:at + piece] for at in range(0, size, piece))
                assert conn.response().status == status, f"{size} by {piece}"
    s.check()


def queued(port):
    """Connections to a listener that nobody has accepted yet."""
    return sum(int(row[4].split(":")[1], 16) for row in linux.listening(os.getpid(), port))


def wait_accepted(t, conn):
    """BPF serves a connection that the daemon has not even accepted: here it has, all of them."""
    t.wait(lambda: not queued(FRONT[1]), "every connection is accepted")
    conn.send_pieces([b"GET /fast HTTP/1.1\r\n", b"Host: x\r\n\r\n"])  # the daemon's own turn
    assert conn.response().status == 200


@test(seconds=40, each=["both", "remote-client", "user"])
def max_sessions(t, door):
    """Connections over the limit are told so; those below it are served as ever."""
    Scripted(t)
    s = t.sluice(conf(door, sluice={"max_sessions": 20}))
    with contextlib.ExitStack() as stack:
        conns = [stack.enter_context(Conn(FRONT)) for _ in range(20)]
        for _ in range(5):
            for conn in conns:
                assert conn.get("/fast").status == 200
        wait_accepted(t, conns[0])
        before = s.stats()
        for n in range(5):
            with Conn(FRONT) as more:
                r = more.get("/fast")
                assert r.status == 503 and r.body == b"too many connections\n", f"{r} {r.body}"
                assert r.get("connection") == "close" and more.at_eof(), r
        assert limits(s) == {"downstream_cx_overflow": 5}, limits(s)
        for conn in conns:
            assert conn.get("/fast").status == 200
        assert s.stats().by_door(door) - before.by_door(door) >= 18, s.stats()
        conns.pop().close()

        def room():
            with Conn(FRONT) as conn:
                return conn.get("/fast").status == 200
        t.wait(room, "room for one more", 5)
    s.check()


@test(each=["both"])
def envoys_overload_manager(t, door):
    """Envoy's name for max_sessions."""
    Scripted(t)
    monitor = "envoy.extensions.resource_monitors.downstream_connections.v3." \
              "DownstreamConnectionsConfig"
    s = t.sluice(conf(door, root={"overload_manager": {"resource_monitors": [{
        "name": "envoy.resource_monitors.global_downstream_max_connections",
        "typed_config": {"@type": f"type.googleapis.com/{monitor}",
                         "max_active_downstream_connections": 1}}]}}))
    with Conn(FRONT) as first, Conn(FRONT) as second:
        assert first.get("/fast").status == 200
        assert second.get("/fast").status == 503
    s.check()


@test(seconds=40)
def burst_over_max_sessions(t):
    """Far more connections at once than may be: each has an answer or an end, none hangs."""
    Scripted(t)
    s = t.sluice(conf("both", sluice={"max_sessions": 10}))
    found, lock = [], threading.Lock()

    def one():
        try:
            with Conn(FRONT, timeout=15) as conn:
                what = conn.get("/fast").status
        except TimeoutError:
            what = "hang"
        except (OSError, AssertionError):
            what = "end"
        with lock:
            found.append(what)
    threads = [threading.Thread(target=one) for _ in range(400)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) <= {200, 503, "end"} and 200 in found, {x: found.count(x) for x in found}
    t.wait(lambda: s.stats().tree["sessions"]["open"] == 0, "all are gone")
    with Conn(FRONT) as conn:
        assert conn.get("/fast").status == 200
    s.check()


@test(seconds=60)
def session_table_full(t):
    """More connections than the kernel path has slots: the others are served by the daemon."""
    slots, more = 8192, 40
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert hard > slots + 1000, f"this test needs {slots + 1000} descriptors, not {hard}"
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    back = Scripted(t)
    s = t.sluice(conf("both"))
    with contextlib.ExitStack() as stack:
        first = [stack.enter_context(Conn(FRONT)) for _ in range(20)]
        for conn in first * 3:
            assert conn.get("/fast").status == 200
        for _ in range(slots - len(first)):
            stack.enter_context(Conn(FRONT))
        t.wait(lambda: s.stats().tree["sessions"]["open"] == slots, "all slots are taken", 20)
        others = [stack.enter_context(Conn(FRONT)) for _ in range(more)]
        before = s.stats()
        for conn in others * 2:
            assert conn.get("/fast").status == 200
        after = s.stats()
        assert after.reasons["sessions_full"] == 2 * more, after
        assert after.tree["no_session"] >= more, after.tree["no_session"]
        for conn in first:
            assert conn.get("/fast").status == 200
        assert s.stats().kernel - before.kernel >= 18, s.stats()
    t.wait(lambda: s.stats().tree["sessions"]["open"] == 0, "all are gone", 20)
    assert back.requests == 20 * 3 + 2 * more + 20
    s.check()


def heap(max_bytes, threshold=1.0):
    """Envoy's limit of memory."""
    name, kind = "envoy.resource_monitors.fixed_heap", "resource_monitors.fixed_heap.v3.FixedHeapConfig"
    return {"overload_manager": {
        "resource_monitors": [{"name": name, "typed_config": {
            "@type": f"type.googleapis.com/envoy.extensions.{kind}", "max_heap_size_bytes": max_bytes}}],
        "actions": [{"name": "envoy.overload_actions.stop_accepting_requests",
                     "triggers": [{"name": name, "threshold": {"value": threshold}}]}]}}


def check_overloaded(r):
    assert r.status == 503 and r.body == b"envoy overloaded\n", f"{r} {r.body}"
    assert r.get("x-envoy-overloaded") == "true", r


@test(seconds=40, each=["remote-both", "user"])
def max_heap(t, door):
    """Over the limit of memory requests are answered 503; what is in hand goes on, and later all do."""
    Scripted(t)
    s = t.sluice(conf(door, root=heap(8 << 20, 0.5)))
    with contextlib.ExitStack() as stack:
        before = stack.enter_context(Conn(FRONT))
        slow = [stack.enter_context(Conn(FRONT)) for _ in range(100)]
        for conn in slow:  # each has its bytes in hand
            conn.send(b"POST /fast HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n1")
        t.wait(lambda: limits(s).get("downstream_rq_overload_close", 0) > 10, "some are refused")
        with Conn(FRONT) as late:
            check_overloaded(late.get("/fast"))
        check_overloaded(before.get("/fast"))
        t.wait(lambda: s.stats().tree["heap"] >= 4 << 20, "the limit is reached")
        served = 0
        for conn in slow:
            try:
                conn.send(b"2")
            except OSError:
                pass
            r = conn.response("POST")
            served += r.status == 200
            if r.status != 200:
                check_overloaded(r)
        assert 20 < served < 70, served
        assert s.stats().tree["heap"] < 5 << 20, s.stats().tree["heap"]
    with Conn(FRONT) as conn:
        assert conn.get("/fast").status == 200
    t.wait(lambda: s.stats().tree["heap"] < 1 << 20, "the memory is free again")
    s.check()


@test(seconds=40, each=["remote-both", "user"])
def max_heap_of_heads(t, door):
    """Heads that never end take no more than there is, and the next client is told so."""
    Scripted(t)
    s = t.sluice(conf(door, root=heap(4 << 20)))
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(Conn(FRONT)).send(b"GET /fast HTTP/1.1\r\nHost: ")
        t.wait(lambda: limits(s).get("downstream_rq_overload_close", 0) > 100, "some are refused")
        with Conn(FRONT) as conn:
            check_overloaded(conn.get("/fast"))
            assert conn.at_eof()
        t.wait(lambda: s.stats().tree["heap"] >= 4 << 20, "the limit is reached")
        assert s.stats().tree["heap"] < 5 << 20, s.stats().tree["heap"]

    def is_served():
        with Conn(FRONT) as conn:  # a new one: who is refused is closed
            return conn.get("/fast").status == 200
    t.wait(is_served, "there is room again")
    s.check()


@test()
def max_heap_and_the_kernel_path(t):
    """What BPF serves takes none of that memory, and is served."""
    Scripted(t)
    s = t.sluice(conf("both", root=heap(4 << 20)))
    with contextlib.ExitStack() as stack:
        good = stack.enter_context(Conn(FRONT))
        for _ in range(5):
            assert good.get("/fast").status == 200
        for _ in range(200):
            stack.enter_context(Conn(FRONT)).send(b"GET /fast HTTP/1.1\r\nHost: ")
        t.wait(lambda: limits(s).get("downstream_rq_overload_close", 0) > 20, "some are refused")
        before = s.stats().kernel
        for _ in range(50):
            assert good.get("/fast").status == 200
        assert s.stats().kernel - before == 50, s.stats()
    s.check()
