# SPDX-License-Identifier: GPL-2.0-only
"""
Urgent data (MSG_OOB): a byte of the stream like any other, at every door.

RFC 6093: urgent data is in band. A reader that does not say SO_OOBINLINE has the kernel take one
byte out of the stream, and one that stops at the mark, as recv() does, sees less than there is. To
take the byte away, or to let the next reader take it away, is to differ about where a message ends.
So the backend here reads as most do, without SO_OOBINLINE, and must have each byte.

Not so where BPF sends an application's bytes out through a socket of ours (a client on this host
of a remote server, a server on this host of a remote client): the kernel hands MSG_OOB on with them,
and no program is told of it. These two doors are left out below, each in the one direction.
"""
import socket
import threading
import time

from lib.config import DOORS, config, route
from lib.http1 import Conn
from lib.recorder import Recorder
from lib.runner import test
from test_smuggling import FRONT

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


class Bench:
    def __init__(self, t, door, answer=None):
        self.backend = Recorder(t, 9001, answer)
        self.sluice = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")], DOORS[door]))

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


@test(each=[door for door in DOORS if door != "remote-server"])
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
    assert bench.sluice.stats().by_door(door) > 0
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


@test(each=[(door, size) for door in DOORS if door != "remote-client" for size in (100, LARGE)])
def answers(t, case):
    door, size = case
    listener = t.listen(9001)
    threading.Thread(target=answer_all, args=(listener, size), daemon=True).start()
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")], DOORS[door]))
    want = b"a" * (size // 2) + b"bcd" + b"e" * (size - size // 2 - 4) + b"f"
    with Conn(FRONT, timeout=10) as conn:
        for _ in range(5):
            assert conn.get("/").body == want
    s.check()
