# SPDX-License-Identifier: GPL-2.0-only
"""Upgrade: WebSocket and any other 101, by every door; then bytes both ways, and the ends."""
import asyncio
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time

from lib import linux, net
from lib.config import DOORS, config, route
from lib.data import differ, pattern
from lib.http1 import Conn, build
from lib.keeper import Keeper
from lib.runner import test
from lib.servers import serve_each

HERE = os.path.dirname(os.path.abspath(__file__))
FRONT = ("127.0.0.1", 8000)
UPGRADE = [("Connection", "keep-alive, Upgrade"), ("Upgrade", "rot/1")]
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: rot/1\r\n" \
         b"X-Kept: yes\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Switcher:
    """
    A backend that answers "ok", and 101 to whoever asks for an upgrade; the test has the
    server's end of the tunnel: next(), with what came behind the head in .early.
    """

    def __init__(self, t, port=9001, answer=SWITCH):
        self._listener, self.answer = t.listen(port, backlog=256), answer
        self._tunnels, self._came = [], threading.Condition()
        self.heads = []
        serve_each(self._listener, self._serve)

    def _serve(self, conn):
        got = b""
        while True:
            while b"\r\n\r\n" not in got:
                data = conn.recv(65536)
                if not data:
                    conn.close()
                    return
                got += data
            head, _, got = got.partition(b"\r\n\r\n")
            if b"\nupgrade:" in head.lower():
                conn.settimeout(20)
                conn.sendall(self.answer)
                with self._came:
                    self.heads.append(head)
                    self._tunnels.append((conn, got))
                    self._came.notify()
                return
            self.heads.append(head)
            conn.sendall(OK)

    def next(self):
        with self._came:
            assert self._came.wait_for(lambda: self._tunnels, 30), "no tunnel at the backend"
            conn, self.early = self._tunnels.pop(0)
            return conn


def dig(server, early=b""):
    """A tunnel: the client's connection and the server's. @early: sent behind the request."""
    conn = Conn(FRONT)
    r = conn.get("/")
    assert r.status == 200 and r.body == b"ok", r
    conn.send(build("GET", "/dig", UPGRADE) + early)
    r = conn.head()
    assert r.status == 101 and r.get("upgrade") == "rot/1", r
    assert r.get("connection").lower() == "upgrade" and r.get("x-kept") == "yes", r
    return conn, server.next()


def exactly(sock, n):
    out = bytearray()
    while len(out) < n:
        data = sock.recv(1 << 20)
        assert data, f"EOF after {len(out)} of {n} bytes"
        out += data
    return bytes(out)


def rest(sock):
    out = bytearray()
    while True:
        data = sock.recv(1 << 20)
        if not data:
            return bytes(out)
        out += data


def ping(near, far, n, size=100):
    for i in range(n):
        for one, other in ((near, far), (far, near)):
            data = pattern(size, i)
            one.sendall(data)
            assert exactly(other, size) == data, f"turn {i}"


def send_all(sock, data, result, step=50_000):
    def run():
        try:
            for at in range(0, len(data), step):
                sock.sendall(data[at:at + step])
        except OSError as e:
            result.append(e)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def websocket(t, s, server):
    """python3-websockets on both ends: messages of all sizes, many connections, closes."""
    import websockets
    p = t.start(["/usr/bin/python3", f"{HERE}/backends/websocket.py", 9002], name="websocket")
    p.wait_port(("127.0.0.1", 9002))

    async def talk(me):
        async with websockets.connect("ws://127.0.0.1:8000/chat", max_size=None,
                                      subprotocols=["echo"]) as ws:
            assert ws.subprotocol == "echo"
            for size in (0, 1, 125, 126, 65535, 65536, 300_000):
                await ws.send(pattern(size, me))
                assert await ws.recv() == pattern(size, me), f"{size} bytes"
                await ws.send(f"{size} bytes")
                assert await ws.recv() == pattern(size, 1), f"{size} bytes asked for"
            for i in range(100):
                await ws.send(f"{me} says {i}")
                assert await ws.recv() == f"{me} says {i}"
            await (await ws.ping())
            if me % 2:
                return
            await ws.send("close")
            await ws.wait_closed()
            assert (ws.close_code, ws.close_reason) == (4000, "asked to")

    async def all_of_them():
        await asyncio.gather(*(talk(me) for me in range(12)))
    asyncio.run(asyncio.wait_for(all_of_them(), 40))
    assert s.stats().by_route()["chat"] == 12, s.stats().by_route()


def any_protocol(t, s, server):
    """Another 101 than WebSocket's: early bytes of both ends, large ones both ways at a time."""
    server.answer = SWITCH + b"hello from the far end"
    for early in (b"", b"early", pattern(200_000, 9)):
        conn, far = dig(server, early)
        near = conn.sock
        got = server.early
        assert got + exactly(far, len(early) - len(got)) == early
        assert conn._exactly(22) == b"hello from the far end"
        assert b"Upgrade: rot/1" in server.heads[-1] or b"upgrade: rot/1" in server.heads[-1]
        ping(near, far, 50)
        failed, up, down = [], pattern(5_000_000, 3), pattern(7_000_000, 4)
        threads = [send_all(near, up, failed), send_all(far, down, failed)]
        wrong = []
        threads.append(threading.Thread(
            target=lambda: wrong.append(differ(exactly(far, len(up)), up))))
        threads[-1].start()
        wrong.append(differ(exactly(near, len(down)), down))
        for thread in threads:
            thread.join()
        assert wrong == [None, None] and not failed, f"{wrong} {failed}"
        ping(near, far, 50)
        near.close()
        assert rest(far) == b""
        far.close()
    server.answer = SWITCH


def half_closed(t, s, server):
    """Each end in turn says that it has no more, and still gets all that the other sends."""
    size = 300_000
    for first in ("client", "server"):
        for moved in (0, 20):
            conn, far = dig(server)
            one, other = (conn.sock, far) if first == "client" else (far, conn.sock)
            ping(one, other, moved)
            one.sendall(b"last words")
            one.shutdown(socket.SHUT_WR)
            assert rest(other) == b"last words", f"{first} ends first"
            for _ in range(10):
                other.sendall(b"are you there?")
                assert exactly(one, 14) == b"are you there?"
            failed = []
            thread = send_all(other, pattern(size, 5), failed)
            assert differ(exactly(one, size), pattern(size, 5)) is None
            thread.join()
            other.shutdown(socket.SHUT_WR)
            assert rest(one) == b"" and not failed
            one.close()
            other.close()
    t.wait(lambda: s.stats().tree["sessions"]["open"] == 0, "the sessions are over")
    assert s.stats().tree["lanes"]["open"] <= 2, "a tunnel's lane is not used again"


def was_reset(sock):
    try:
        while sock.recv(65536):
            pass
        return False
    except ConnectionResetError:
        return True


def cut(t, s, server):
    """An end that is reset resets the other: what came is not taken for all there was."""
    reset = struct.pack("ii", 1, 0)
    for first in ("client", "server"):
        conn, far = dig(server)
        one, other = (conn.sock, far) if first == "client" else (far, conn.sock)
        ping(one, other, 5)
        one.sendall(b"half a mess")
        assert exactly(other, 11) == b"half a mess"
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        one.close()
        assert was_reset(other), f"the {first} was reset, the other end saw an orderly end"
        other.close()
    # One that closes with bytes unread has said its last words all the same.
    conn, far = dig(server)
    far.sendall(b"goodbye")
    conn.send(b"too late" * 10)
    t.wait(lambda: exactly(conn.sock, 7) == b"goodbye", "last words")
    far.close()
    conn.close()
    s.check()


def held_up(t, s, server):
    """A reader that does not read holds the sender up, in both directions; no byte is lost."""
    net.default_buffers()
    for first in ("client", "server"):
        conn, far = dig(server)
        one, other = (conn.sock, far) if first == "client" else (far, conn.sock)
        ping(one, other, 5)
        data = memoryview(pattern(60_000_000, 6))
        one.setblocking(False)
        sent, full = 0, 0

        def push():
            nonlocal sent, full
            try:
                sent += one.send(data[sent:sent + 100_000])
                full = 0
            except BlockingIOError:
                full += 1
            return full > 50 or sent == len(data)
        t.wait(push, "the sender is held up", 20, 0.002)
        assert sent < 40_000_000, f"{first}: {sent} bytes taken and nobody reads"
        wrong = differ(exactly(other, sent), bytes(data[:sent]))
        assert wrong is None, f"{first}: {wrong}"
        one.settimeout(20)
        ping(one, other, 20)  # and it goes on
        one.close()
        assert rest(other) == b""
        other.close()
    s.check()


def tcp_bytes(*filters):
    """Bytes that the sockets chosen by @filters have received and sent by TCP."""
    out = subprocess.run(["ss", "-tinHO", "state", "established", *filters], capture_output=True,
                         text=True, check=True).stdout
    return sum(int(n) for n in re.findall(r"bytes_(?:received|acked):(\d+)", out))


def in_the_kernel(t, s, server):
    """Between ends on this host a tunnel's bytes pass neither the daemon, which is stopped, nor
    TCP."""
    conn, far = dig(server)
    near = conn.sock
    ping(near, far, 20)
    legs = [["( sport = :8000 )"], ["( dport = :9001 )"]]
    before = [tcp_bytes(*leg) for leg in legs]
    os.kill(s.worker(), signal.SIGSTOP)
    try:
        ping(near, far, 500, 1000)
    finally:
        os.kill(s.worker(), signal.SIGCONT)
    moved = [tcp_bytes(*leg) - b for leg, b in zip(legs, before)]
    assert max(moved) <= 5000, f"{moved} bytes by TCP"
    near.sendall(b"bye")
    near.shutdown(socket.SHUT_WR)
    assert rest(far) == b"bye"
    far.close()
    assert rest(near) == b""
    conn.close()


@test(seconds=90, each=list(DOORS))
def by_door(t, door):
    server = Switcher(t)
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)], "chat": [("127.0.0.1", 9002)]}, [
        route(name="chat", prefix="/chat", to="chat"), route(to="one")], DOORS[door]))
    wrong = []
    for subject in (websocket, any_protocol, half_closed, cut, held_up):
        start = time.monotonic()
        try:
            subject(t, s, server)
            s.check()
        except (AssertionError, OSError) as e:
            wrong.append(f"{subject.__name__}: {type(e).__name__}: {e}")
        t.note(f"{subject.__name__}: {time.monotonic() - start:.1f} s")
    assert not wrong, "; ".join(wrong)
    if door == "both":
        in_the_kernel(t, s, server)
        s.check()


@test(each=[(why, door) for why in ("stop", "idle", "long") for door in DOORS])
def broken_by_us(t, case):
    """A tunnel that we end ourselves, since a drain's time or its own is over: neither end can take what it
    has for all there was."""
    why, door = case
    server = Switcher(t)
    one = route(to="one")
    one["route"].update({"stop": {}, "idle": {"idle_timeout": "0.5s"},
                         "long": {"max_stream_duration": {"max_stream_duration": "0.5s"}}}[why])
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [one], DOORS[door]))
    conn, far = dig(server)
    ping(conn.sock, far, 5)
    far.sendall(b"half a mess")
    assert exactly(conn.sock, 11) == b"half a mess"
    if why == "stop":
        s.proc.signal(signal.SIGTERM)
        s.proc.wait(20)
    ends = [was_reset(sock) for sock in (conn.sock, far)]
    assert ends == [True, True], ends
    conn.close()
    far.close()


@test(each=list(DOORS))
def required(t, door):
    """426 says which protocol the server wants, whether or not one was asked for, and the connection goes on."""
    server = Switcher(t, answer=b"HTTP/1.1 426 Upgrade Required\r\nConnection: upgrade\r\nUpgrade: rot/2\r\n"
                                b"Content-Length: 3\r\n\r\nno!")
    Keeper(t, 9002, server.answer)
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)], "two": [("127.0.0.1", 9002)]}, [
        route(prefix="/two", to="two"), route(to="one")], DOORS[door]))
    with Conn(FRONT) as conn:
        for path, headers in (("/", UPGRADE), ("/two", []), ("/two", []), ("/two", UPGRADE)):
            r = conn.get(path, headers)
            assert r.status == 426 and r.body == b"no!", r
            assert r.get("upgrade") == "rot/2" and r.get("connection") == "upgrade", f"{path}: {r}"
    with Conn(FRONT) as conn:
        conn.send(build("GET", "/two", version="HTTP/1.0"))
        r = conn.response()
        assert r.status == 426 and r.get("upgrade") is None and r.get("connection") == "close", r
    s.check()


@test(each=["client", "server"])
def reset_told_to_another(t, first):
    """A socket tells once that it was reset, and who is told may be a send that goes through it."""
    server = Switcher(t)
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")], DOORS["remote-both"]))
    conn, far = dig(server)
    one, other = (conn.sock, far) if first == "client" else (far, conn.sock)
    ping(one, other, 5)
    there = one.getsockname()
    ours = linux.socket_of(s.worker(), lambda x: x.getpeername() == there)
    worker = s.stop_worker()
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()
        t.wait(lambda: ours.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), "it is told")
    finally:
        os.kill(worker, signal.SIGCONT)
    ours.close()
    assert was_reset(other), f"the {first} was reset, the other end saw an orderly end"
    other.close()
    s.check()
