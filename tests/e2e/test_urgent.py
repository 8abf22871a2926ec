# SPDX-License-Identifier: GPL-2.0-only
"""
Urgent data (MSG_OOB): a byte of the stream like any other, at every door.

RFC 6093: urgent data is in band. A reader that does not say SO_OOBINLINE has the kernel take one
byte out of the stream, and one that stops at the mark, as recv() does, sees less than there is. To
take the byte away, or to let the next reader take it away, is to differ about where a message ends.
So the backend here reads as most do, without SO_OOBINLINE, and must have each byte.

What BPF redirects out through a socket of ours (of a client on this host to a remote server, of a
server on this host to a remote client) the kernel sends there with the application's own flags, of
which the program is not told: it has to see from the call that sends that these can be redirected.
"""
import socket
import threading
import time

from lib import senders
from lib.config import DOORS, config, route
from lib.http1 import Conn, answer_with
from lib.recorder import Recorder
from lib.runner import test
from lib.servers import serve_each
from test_smuggling import FRONT
from test_tunnel import Switcher, dig, exactly, ping

URGENT = socket.MSG_OOB
BODY = bytes(range(48, 112))
LARGE = 5 << 20  # through the pipe, between remote ends


def post(body, path="/x"):
    return b"POST %b HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(body)) + body


GET = b"GET /x HTTP/1.1\r\nHost: test\r\nA: b\r\n\r\n"
CHUNKED = b"POST /x HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"

# What is sent, send by send: the last byte of the urgent ones is marked.
REQUESTS = {
    "whole": ([(GET, URGENT)], b""),
    "one-byte": ([(GET[:1], URGENT), (GET[1:], 0)], b""),
    "in-head": ([(GET[:20], 0), (GET[20:30], URGENT), (GET[30:], 0)], b""),
    "head-then-body": ([(post(BODY)[:-64], URGENT), (BODY, 0)], BODY),
    "in-body": ([(post(BODY)[:-40], 0), (BODY[-40:-20], URGENT), (BODY[-20:], 0)], BODY),
    "body-end": ([(post(BODY)[:-1], 0), (BODY[-1:], URGENT)], BODY),
    "whole-body": ([(post(BODY), URGENT)], BODY),
    "each": ([(bytes([b]), URGENT) for b in post(BODY)], BODY),
    "chunk-size": ([(CHUNKED + b"4", 0), (b"0", URGENT), (b"\r\n" + BODY + b"\r\n0\r\n\r\n", 0)], BODY),
    "chunk-end": ([(CHUNKED + b"40\r\n" + BODY, 0), (b"\r\n0\r\n\r\n", URGENT)], BODY),
}


def start(t, door):
    return t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")], DOORS[door]))


class Bench:
    def __init__(self, t, door, answer=None):
        self.backend = Recorder(t, 9001, answer)
        self.sluice = start(t, door)

    def warm(self):
        conn = Conn(FRONT, timeout=4)
        for _ in range(2):
            assert conn.get("/warm").status == 200
        self.backend.take()
        return conn


def speak(bench, sends, body, pause):
    with bench.warm() as conn:
        for data, flags in sends:
            conn.sock.send(data, flags)
            time.sleep(pause)
        assert conn.response().status == 200
        # The lane has lost no byte, nor has it one too many: others' requests are what they are.
        for path in ("/a", "/b"):
            assert conn.get(path).status == 200
    got = [(r.target, r.body) for r in bench.backend.take()]
    assert got == [("/x", body), ("/a", b""), ("/b", b"")], got


@test(each=DOORS)
def requests(t, door):
    bench = Bench(t, door)
    wrong = {}
    for name, (sends, body) in REQUESTS.items():
        for pause in (0, 0.02):
            try:
                speak(bench, sends, body, pause if len(sends) < 10 else 0)
            except (AssertionError, OSError) as e:
                wrong[f"{name}, {pause}"] = f"{type(e).__name__} {e}"
            assert len(wrong) < 5, wrong
    assert not wrong, f"{len(wrong)} of {2 * len(REQUESTS)}: {wrong}"
    stats = bench.sluice.stats()
    assert stats.by_door(door) > 0
    assert door != "remote-server" or stats.reasons["send_flags"] > 0, stats
    bench.sluice.check()


def answer_all(listener, size):
    """Answers each request with @size bytes, some of them urgent."""
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        with sock:
            while sock.recv(65536):
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
                sock.sendall(b"a" * (size // 2))
                sock.send(b"bcd", URGENT)
                sock.sendall(b"e" * (size - size // 2 - 4))
                sock.send(b"f", URGENT)


@test(each=[(door, size) for door in DOORS for size in (100, LARGE)])
def answers(t, case):
    door, size = case
    listener = t.listen(9001)
    threading.Thread(target=answer_all, args=(listener, size), daemon=True).start()
    s = start(t, door)
    want = b"a" * (size // 2) + b"bcd" + b"e" * (size - size // 2 - 4) + b"f"
    with Conn(FRONT, timeout=10) as conn:
        for _ in range(5):
            assert conn.get("/").body == want
    s.check()


@test(each=["both", "remote-server"])
def senders_of_requests(t, door):
    """Whatever the call by which a client sends."""
    bench = Bench(t, door)
    for send in senders.FLAGGED:
        for lead, marked, tail, body in ((b"", GET, b"", b""), (post(BODY)[:-40], BODY[-40:-20], BODY[-20:], BODY)):
            with bench.warm() as conn:
                if lead:
                    conn.send(lead)
                send(conn.sock, marked, URGENT)
                if tail:
                    conn.send(tail)
                assert conn.response().status == 200, send.__name__
                assert [conn.get(path).status for path in ("/a", "/b")] == [200, 200], send.__name__
            got = [(r.target, r.body) for r in bench.backend.take()]
            assert got == [("/x", body), ("/a", b""), ("/b", b"")], (send.__name__, got)
    bench.sluice.check()


@test(each=DOORS)
def tunnels(t, door):
    """Both ways, between sends that are not marked."""
    server = Switcher(t)
    start(t, door)
    conn, far = dig(server)
    for send in senders.FLAGGED:
        for near, other in ((conn.sock, far), (far, conn.sock)):
            ping(conn.sock, far, 3)
            send(near, BODY, URGENT)
            near.sendall(BODY)
            assert exactly(other, 2 * len(BODY)) == 2 * BODY, send.__name__
    conn.close()
    far.close()


class Answerer:
    """A server that answers each request by .send(socket, answer)."""

    def __init__(self, t):
        self.send, self.wrong = None, []
        self.listener = t.listen(9001)
        serve_each(self.listener, self.serve)

    def serve(self, sock):
        with sock:
            while sock.recv(65536):
                try:
                    self.send(sock, answer_with(BODY))
                except (AssertionError, OSError) as e:
                    self.wrong.append(f"{self.send}: {type(e).__name__} {e}")
                    return


@test(each=["both", "remote-client"])
def senders_of_answers(t, door):
    """Whatever the call by which a server sends."""
    server = Answerer(t)
    s = start(t, door)
    with Conn(FRONT, timeout=10) as conn:
        for send in senders.FLAGGED:
            for flags in (URGENT, 0):
                server.send = lambda sock, data, one=send, way=flags: one(sock, data, way)
                for _ in range(3):
                    r = conn.get("/")
                    assert (r.status, r.body) == (200, BODY), (send.__name__, r.body, server.wrong)
    s.check()


@test(each=["both", "remote-server", "remote-client"])
def plain(t, door):
    """What is sent without the mark goes by BPF all the same."""
    server = Answerer(t)
    server.send = senders.sendto
    s = start(t, door)
    with Conn(FRONT, timeout=10) as conn:
        for _ in range(3):
            conn.get("/")
        for send in senders.PLAIN:
            if door == "remote-client":
                server.send = send
            before = s.stats().by_door(door)
            for _ in range(5):
                if door == "remote-client":
                    conn.send(GET)
                else:
                    send(conn.sock, GET)
                assert conn.response().body == BODY, (send.__name__, server.wrong)
            stats = s.stats()
            assert stats.by_door(door) > before and "send_flags" not in stats.reasons, (send.__name__, stats)
    s.check()
