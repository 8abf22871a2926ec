# SPDX-License-Identifier: GPL-2.0-only
"""Large answers between remote ends go through a pipe: byte for byte, cut where they were cut, and no
pipe is left behind."""
import os
import random
import signal
import socket
import struct
import threading

from lib.data import differ, pattern
from lib.envoy import FRONT, conf
from lib.http1 import Closed, Conn, build
from lib.proc import wait_until
from lib.runner import test
from lib.servers import serve_each
from test_limits import heap
from test_scarce import limited

KIB = 1024
DOORS = ["remote-both", "user"]
LARGE = 5 << 20
PIPE = 256 * KIB  # PIPE_BYTES


class Origin:
    """GET /SIZE/SENT/END: a head for SIZE bytes, SENT of them, and then END: stay, fin or rst."""

    def __init__(self, t, port=9001):
        self.listener = t.listen(port)
        serve_each(self.listener, self._serve)

    def _serve(self, conn):
        buf = b""
        with conn:
            try:
                while data := conn.recv(65536):
                    buf += data
                    while b"\r\n\r\n" in buf:
                        head, _, buf = buf.partition(b"\r\n\r\n")
                        if not self._answer(conn, head):
                            return
            except OSError:
                pass

    @staticmethod
    def _answer(conn, head):
        size, sent, end = head.split()[1].decode().split("/")[1:]
        conn.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode() +
                     pattern(int(sent), 3))
        if end == "rst":
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return end == "stay"


def pipes(s):
    """How many pipes' ends the worker, which has the supervisor's descriptors, holds."""
    n = 0
    for fd in os.listdir(f"/proc/{s.worker()}/fd"):
        try:
            n += os.readlink(f"/proc/{s.worker()}/fd/{fd}").startswith("pipe:")
        except FileNotFoundError:
            pass
    return n


def whole(conn, size):
    r = conn.get(f"/{size}/{size}/stay")
    wrong = differ(r.body, pattern(size, 3))
    assert r.status == 200 and wrong is None, f"{size}: {r} {wrong}"


@test(seconds=60, each=DOORS)
def sizes(t, door):
    """Around what makes an answer large, what a pipe holds, and what is left to the ordinary way."""
    Origin(t)
    s = t.sluice(conf(door), concurrency=1)
    before = pipes(s)
    marks = [64, 128, 192, 256, 320, 384, 448, 576, 1024, 3000]
    with Conn(FRONT) as conn:
        for size in [k * KIB + d for k in marks for d in (-1, 0, 1, 1500)]:
            whole(conn, size)
        assert pipes(s) == before + 2, "no pipe was used"
        rng = random.Random(t.name)
        for _ in range(60):
            whole(conn, rng.randrange(1 << 20))
    assert pipes(s) == before + 2
    s.check()


@test(seconds=60, each=DOORS)
def slow_readers(t, door):
    """Readers of any speed at once, in pieces of any size; others are not held up."""
    Origin(t)
    s = t.sluice(conf(door))

    def read(seed, out):
        rng = random.Random(seed)
        with Conn(FRONT, timeout=30) as conn:
            conn.send(build("GET", f"/{LARGE}/{LARGE}/stay"))
            head, body = b"", bytearray()
            while b"\r\n\r\n" not in head:
                head += conn.sock.recv(1)
            while len(body) < LARGE:
                out[seed] = len(body)
                got = conn.sock.recv(rng.randrange(1, 20000))
                assert got, f"EOF after {len(body)}"
                body += got
            out[seed] = differ(bytes(body), pattern(LARGE, 3)) or "same"

    out = {}
    threads = [threading.Thread(target=read, args=(i, out)) for i in range(6)]
    for thread in threads:
        thread.start()
    with Conn(FRONT) as conn:
        for _ in range(20):
            whole(conn, 1000)
    for thread in threads:
        thread.join(5)
    assert out == {i: "same" for i in range(6)}, out
    s.check()


@test(seconds=60, each=DOORS)
def cut(t, door):
    """The server ends in the middle: what it sent is passed on, and never taken for the whole."""
    Origin(t)
    s = t.sluice(conf(door))
    for end in ("fin", "rst"):
        for sent in (70 * KIB, 200 * KIB, 1 << 20, LARGE - 1, LARGE - 60 * KIB):
            with Conn(FRONT) as conn:
                try:
                    r = conn.get(f"/{LARGE}/{sent}/{end}")
                except Closed as e:
                    assert e.got == pattern(LARGE, 3)[:len(e.got)], f"{end} after {sent}"
                    assert end == "rst" or len(e.got) == sent, f"{len(e.got)} of {sent}"
                except ConnectionResetError:
                    assert end == "rst", f"reset after {sent}"
                else:
                    raise AssertionError(f"{end} after {sent}: {r} taken for the whole")
    with Conn(FRONT) as conn:
        whole(conn, LARGE)
    s.check()


@test(seconds=60, each=DOORS)
def nothing_left(t, door):
    """Clients that leave in the middle, and workers that die there, leave no pipe behind."""
    Origin(t)
    s = t.sluice(conf(door), concurrency=2)

    def half():
        conn = Conn(FRONT)
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        conn.send(build("GET", f"/{LARGE}/{LARGE}/stay"))
        conn.sock.recv(100000)
        return conn

    for _ in range(40):
        half().close()
    wait_until(lambda: s.stats().tree["sessions"]["open"] == 0, "no session is left")
    for _ in range(6):
        conns = [half() for _ in range(4)]
        old = s.worker()
        os.kill(old, signal.SIGKILL)
        s.worker(other_than=old)
        for conn in conns:
            with conn:
                try:
                    while conn.sock.recv(1 << 20):
                        pass
                except ConnectionResetError:
                    pass
    with Conn(FRONT) as conn:
        whole(conn, LARGE)
    # One pipe at hand for each thread, none of the 24 that were in use.
    wait_until(lambda: pipes(s) <= 4, "the dead workers' pipes are closed")
    s.check()


def stuck(n=1):
    """Clients that have begun to read a large answer each, and do not go on."""
    conns = []
    for _ in range(n):
        conn = Conn(FRONT)
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        conn.send(build("GET", f"/{LARGE}/{LARGE}/stay"))
        conn.sock.recv(1000)
        conns.append(conn)
    return conns


@test(seconds=60, each=DOORS)
def few_descriptors(t, door):
    """Pipes take none that sessions and lanes need: beside answers that nobody reads all others
    get theirs."""
    Origin(t)
    limited(t)
    s = t.sluice(conf(door), concurrency=1)
    before = pipes(s)
    slow = stuck(15)
    conns = [Conn(FRONT) for _ in range(40)]
    for conn in conns:
        conn.send(build("GET", "/1000/1000/stay"))
    while conns:  # some wait to be accepted, until others have left
        with conns.pop(0) as conn:
            r = conn.response()
            assert r.status == 200 and r.body == pattern(1000, 3), (len(conns), r, pipes(s))
    t.note(f"{door}: {pipes(s) - before} ends of pipes for {len(slow)} answers")
    for conn in slow:
        conn.close()
    t.wait(lambda: s.stats().tree["sessions"]["open"] == 0, "no session is left")
    s.check()


@test(seconds=60, each=DOORS)
def heap_limit(t, door):
    """What waits in pipes is memory that clients make us hold, as what waits in buffers is."""
    Origin(t)
    s = t.sluice(conf(door, root=heap(4 << 20)), concurrency=1)
    before = pipes(s)
    slow = []

    def full():
        slow.extend(stuck())
        return s.stats().tree["heap"] >= 4 << 20
    t.wait(full, "the limit is reached", 30)
    held = (pipes(s) - before) // 2 * PIPE
    t.note(f"{door}: {len(slow)} answers, {held >> 10} KiB in pipes, heap {s.stats().tree['heap'] >> 10} KiB")
    told = s.stats().tree["heap"]
    assert held <= told < 5 << 20, f"{len(slow)} answers, {held} bytes in pipes, {told} told"
    with Conn(FRONT) as conn:
        assert conn.get("/10/10/stay").status == 503
    for conn in slow:
        conn.close()
    t.wait(lambda: s.stats().tree["heap"] < 1 << 20, "the memory is free again")
    with Conn(FRONT) as conn:
        whole(conn, LARGE)
    s.check()
