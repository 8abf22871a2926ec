# SPDX-License-Identifier: GPL-2.0-only
"""Readers that are slow or do not read: nothing is lost, memory is bounded, others go on."""
import os
import re
import subprocess

from lib import net
from lib.config import DOORS, config, route
from lib.data import differ, pattern
from lib.http1 import Conn, build
from lib.runner import test

FRONT = ("127.0.0.1", 8000)
SIZE = 50_000_000
# Bytes held by two connections: their buffers at two hops each (default_buffers()), not the bodies.
LIMIT = 64 * 1000 * 1000


def queued():
    """Bytes of memory that the namespace's TCP sockets hold (skmem: r, w, f, o, bl)."""
    out = subprocess.run(["ss", "-tmnaH"], capture_output=True, text=True, check=True).stdout
    total = 0
    for found in re.finditer(r"skmem:\(r(\d+),rb\d+,t(\d+),tb\d+,f\d+,w(\d+),o\d+,bl(\d+)", out):
        total += sum(int(n) for n in found.groups())
    return total


def resident(pids):
    """Bytes of memory of processes, pages shared with files left out."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status") as f:
            total += int(re.search(r"RssAnon:\s+(\d+)", f.read()).group(1)) * 1024
    return total


def serve(t, door):
    net.default_buffers()
    t.backends.nginx({9001: "one"}, echo=True)
    big = f"{t.www}/bytes/{SIZE}"
    if not os.path.exists(big):
        os.makedirs(big)
        with open(f"{big}/1", "wb") as f:
            f.write(pattern(SIZE, 1))
    return t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")], DOORS[door]))


@test(seconds=90, each=list(DOORS))
def download(t, door):
    """50 MB to one that reads slowly and one that does not read, while a third goes on."""
    s = serve(t, door)
    want = pattern(SIZE, 1)
    slow, still, quick = Conn(FRONT), Conn(FRONT), Conn(FRONT)
    for conn in (slow, still, quick):
        assert conn.get("/who").status == 200
    for conn in (slow, still):
        conn.send(build("GET", f"/bytes/{SIZE}/1"))
        assert conn.head().status == 200
    most, got = 0, bytearray()
    for n in range(300):
        r = quick.get("/bytes/1000/2")
        assert r.status == 200 and r.body == want_small, f"request {n} beside them: {r}"
        got += slow._exactly(20_000)
        if n % 20 == 0:
            most = max(most, queued() + resident([s.supervisor, *s.workers()]))
    t.note(f"{door}: at most {most / 1e6:.1f} MB held")
    assert most < LIMIT, f"{most} bytes held for two slow readers"
    got += slow._exactly(SIZE - len(got))
    wrong = differ(bytes(got), want) or differ(still._exactly(SIZE), want)
    assert wrong is None, wrong
    for conn in (slow, still):
        assert conn.get("/who").status == 200, "the connection goes on after it"
        conn.close()
    quick.close()
    s.check()


want_small = pattern(1000, 2)


@test(seconds=60, each=list(DOORS))
def upload(t, door):
    """A backend that does not read: the client is held up, memory is bounded, nothing is lost."""
    net.default_buffers()
    server = t.listen(9001)
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")], DOORS[door]))
    size = 30_000_000
    body = pattern(size, 7)
    whole = memoryview(build("POST", "/sink", body=body))
    with Conn(FRONT) as conn:
        conn.sock.setblocking(False)
        sent = 0
        held = [0]

        def push():
            """Sends what is taken; true when nothing more is, three times in a row."""
            nonlocal sent
            try:
                sent += conn.sock.send(whole[sent:sent + 262144])
                held[0] = 0
            except BlockingIOError:
                held[0] += 1
            return held[0] > 20 or sent == len(whole)
        t.wait(push, "the sender is held up", 20, 0.002)
        most = queued() + resident([s.supervisor, *s.workers()])
        t.note(f"{door}: {sent} bytes taken, {most / 1e6:.1f} MB held")
        assert sent < len(whole) and most < LIMIT, f"{sent} bytes taken, {most} held"
        back, _ = server.accept()
        with back:
            back.settimeout(20)
            got = bytearray()
            while b"\r\n\r\n" not in got:
                got += back.recv(65536)
            del got[:got.index(b"\r\n\r\n") + 4]
            while len(got) < size:
                while sent < len(whole):
                    try:
                        sent += conn.sock.send(whole[sent:sent + 262144])
                    except BlockingIOError:
                        break
                data = back.recv(1 << 20)
                assert data, f"EOF after {len(got)} of {size} bytes"
                got += data
            wrong = differ(bytes(got), body)
            assert wrong is None, wrong
            back.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            conn.sock.settimeout(20)
            r = conn.response()
            assert r.status == 200 and r.body == b"ok", r
    s.check()
