# SPDX-License-Identifier: GPL-2.0-only
"""
An answer is moved into the client's queue after the program that steered it has ended the exchange,
and that may take as long as somebody has the client's socket locked. What the daemon answers to a
next request, which the client did not wait to send, must not get in before it.
"""
import threading
import time

from lib.config import config, route
from lib.fault import PAGE, Memory
from lib.http1 import Conn, build
from lib.runner import test

FRONT = ("127.0.0.1", 8000)
RUN = 17 * 32768  # bytes of a send that a program sees at a time, at most (MAX_SKB_FRAGS of 32 KB)
LATE = (RUN // PAGE) + 10  # a page that the second run copies


def answer(text):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)


def early(listener):
    """Answers before it has read the body."""
    conn, _ = listener.accept()
    got = b""
    while b"\r\n\r\n" not in got:
        got += conn.recv(1000)
    conn.sendall(answer(b"two"))
    while conn.recv(1 << 20):
        pass


def head(sock):
    got = b""
    while not got.endswith(b"\r\n\r\n"):
        got += sock.recv(1)


@test(seconds=40)
def next_answer(t):
    one, two = t.listen(9001), t.listen(9002)
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)], "two": [("127.0.0.1", 9002)]},
                        [route(prefix="/two", to="two"), route(to="one")]))
    threading.Thread(target=early, args=(two,), daemon=True).start()
    with Conn(FRONT) as conn:
        conn.sock.settimeout(None)
        conn.send(build("GET", "/"))
        lane, _ = one.accept()
        for _ in range(50):  # the first by the daemon, then the lane is there and it has time
            before = s.stats().kernel
            head(lane)
            lane.sendall(answer(b"warm"))
            assert conn.response().body == b"warm"
            conn.send(build("GET", "/"))
            if s.stats().kernel > before:
                break
        head(lane)
        before = s.stats().kernel
        request = build("POST", "/two", body=b"x" * 700_000)
        memory = Memory(t, request, (0, LATE))
        sender = threading.Thread(target=conn.send, args=(memoryview(memory.map)[:len(request)],), daemon=True)
        sender.start()
        assert memory.wanted() == 0  # the client's socket is locked now
        first = threading.Thread(target=lane.sendall, args=(answer(b"one"),), daemon=True)
        first.start()
        t.wait(lambda: s.stats().kernel == before + 1, "the exchange is over", 10, 0.01)
        memory.give(0)
        assert memory.wanted() == LATE  # the next request is at the daemon, and the lock still held
        until = time.monotonic() + 0.3
        t.wait(lambda: time.monotonic() > until, "the next answer has its time", 5, 0.01)
        memory.give(LATE)
        bodies = [conn.response().body for _ in range(2)]
        assert bodies == [b"one", b"two"], bodies
        first.join()
        sender.join()
        lane.close()
    s.check()
