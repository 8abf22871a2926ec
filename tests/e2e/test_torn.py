# SPDX-License-Identifier: GPL-2.0-only
"""
A lane ends before all of its request has been sent. Where a server resets it in the microsecond
between a program's look at our end and the move of the bytes there, what was to be moved is lost, and
only the client's kernel knows it: the send fails, or says that it took less. What the client sends
behind that must not be taken for what it is not.
"""
import socket
import struct
import subprocess
import threading

from lib import linux
from lib.config import DOORS, config, route
from lib.fault import PAGE, Memory
from lib.http1 import Closed, Conn, build, head_of
from lib.runner import test

FRONT = ("127.0.0.1", 8000)
RUN = 17 * 32768  # bytes of a send that a program sees at a time, at most (MAX_SKB_FRAGS of 32 KB)
LATE = (RUN // PAGE) + 10  # a page that the second run copies
TCP_ESTABLISHED = 1
SL_S_RESP_DONE = 0x80  # include/sl_session.h
ALIEN = build("GET", "/alien")


def answer(text, *headers):
    lines = b"".join(line + b"\r\n" for line in headers)
    return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (lines, len(text), text)


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def lives(sock):
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == TCP_ESTABLISHED


def knows_end(s):
    """The server's FIN is at our lane, and the daemon, which it wakes up, has nothing left to do."""
    lives = subprocess.run(["ss", "-Htn", "state", "established", "dport", "9001"],
                           capture_output=True, text=True, check=True).stdout
    with open(f"/proc/{s.worker()}/wchan") as f:
        return not lives and "poll" in f.read()


class Server:
    """A server whose connections the test has in its hands, one after another."""

    def __init__(self, t):
        self.listener = t.listen(9001)
        self.listener.settimeout(10)
        self.lane = None

    def serve(self, text, *headers):
        """Reads a head, on a new connection if there is none, and answers."""
        if not self.lane:
            self.lane, _ = self.listener.accept()
            self.lane.settimeout(10)
            self.lane.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        got = head_of(self.lane)
        self.lane.sendall(answer(text, *headers))
        return got

    def reset(self):
        reset(self.lane)
        self.lane = None


class Held:
    """Our end of @sock's connection is locked until release(): what comes for it by TCP waits, and so
    does whoever wants to send through it."""

    def __init__(self, t, s, sock):
        there, here = sock.getpeername(), sock.getsockname()
        self.sock = linux.socket_of(s.worker(), lambda x: x.getsockname() == there and
                                    x.getpeername() == here)
        t.stack.callback(self.sock.close)
        self.memory = Memory(t, b"x" * 10, (0,))
        self.thread = threading.Thread(target=self._send, daemon=True)
        self.thread.start()
        assert self.memory.wanted() == 0

    def _send(self):
        try:
            self.sock.send(memoryview(self.memory.map)[:10])
        except OSError:
            pass

    def release(self):
        self.memory.give(0)
        self.thread.join()


def waits(t, thread):
    """@thread is in the kernel and waits for a socket's lock."""
    def locked():
        with open(f"/proc/self/task/{thread.native_id}/wchan") as f:
            return f.read() == "__lock_sock"
    t.wait(locked, "the sender waits for the lane's lock", 10, 0.001)


def fails(t, held, sock, data):
    """@sock's send waits for what is @held, and fails though its own connection lives."""
    failed = []

    def send():
        try:
            sock.sendall(data)
        except OSError as e:
            failed.append(e)
    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    waits(t, sender)
    held.release()
    sender.join()
    assert failed and isinstance(failed[0], ConnectionError) and lives(sock), failed
    t.note(failed[0])


def started(s, server, door="remote-server"):
    """A connection whose next request has an idle lane, and goes as those of @door do."""
    conn = Conn(FRONT, timeout=10)
    for _ in range(50):
        before = s.stats().by_door(door)
        conn.send(build("GET", "/"))
        server.serve(b"warm")
        assert conn.response().body == b"warm"
        if s.stats().by_door(door) > before:
            return conn
        s.idle()
    raise AssertionError(f"no request is the kernel's: {s.stats()}")


def is_answered(t, s):
    """Waits until all of the answer is with the client, and not all of the request with the server."""
    size, word = linux.member_of(s.pin("sessions"), "sl_session", "word")
    with linux.mapped(s.pin("sessions"), size * 1024) as sessions:
        t.wait(lambda: any(sessions[i * size + word] & SL_S_RESP_DONE for i in range(1024)),
               "the answer is complete", 10, 0.005)


def ends(conn):
    """No answer comes, and the connection ends."""
    try:
        got = conn.response()
    except (Closed, ConnectionResetError) as e:
        assert not getattr(e, "got", b""), e.got
    else:
        raise AssertionError(f"answered: {got} {got.body}")


def conf(door):
    return config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")], DOORS[door],
                  connect_timeout="5s")


def stage(t, door="remote-server"):
    server = Server(t)
    s = t.sluice(conf(door), concurrency=1)  # another thread's lanes are its own
    return s, server, started(s, server, door)


@test()
def send_fails(t):
    """
    A client that goes on behind a send that failed: what it says is no part of the body that the
    program saw before, and the session does not wait for the rest of that.
    """
    s, server, conn = stage(t)
    with conn:
        conn.send(build("POST", "/", [("Content-Length", "100000")]) + b"x" * 1000)
        server.serve(b"early")
        assert conn.response().body == b"early"
        is_answered(t, s)
        held = Held(t, s, server.lane)
        server.reset()
        fails(t, held, conn.sock, b"y" * 1000)
        conn.send(build("GET", "/"))
        ends(conn)
    started(s, server).close()
    s.check()


@test(each=["answered", "unanswered"])
def send_takes_less(t, when):
    """
    A send that took less than it was given: its client sends the rest again, which is a part of
    the body still, though the program has seen it before. Nothing of it is a request.
    """
    s, server, conn = stage(t)
    body = (ALIEN + b"\r\n" * 1000) * (3 * RUN // (len(ALIEN) + 2000) + 1)
    request = build("POST", "/", body=body)
    memory = Memory(t, request, (LATE,))
    left, sent = memoryview(memory.map)[:len(request)], []

    def send():
        try:
            while sum(sent) < len(request):
                sent.append(conn.sock.send(left[sum(sent):]))
        except OSError as e:
            t.note(e)
    with conn:
        conn.sock.settimeout(None)
        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        assert memory.wanted() == LATE
        if when == "answered":
            server.serve(b"early")
            is_answered(t, s)
        held = Held(t, s, server.lane)
        server.reset()
        memory.give(LATE)
        waits(t, sender)
        held.release()
        t.wait(lambda: sent, "the send takes less", 10, 0.001)
        assert sent[0] < len(request) - RUN // 2, (sent, len(request))
        conn.sock.settimeout(10)
        got = conn.response()
        assert got.status == 502 if when == "unanswered" else got.body == b"early", got
        server.listener.settimeout(1)
        try:
            server.lane, _ = server.listener.accept()
            raise AssertionError(f"the server is sent {server.lane.recv(100)}")
        except TimeoutError:
            server.listener.settimeout(10)
        ends(conn)
        sender.join()
    started(s, server).close()
    s.check()


@test(each=list(DOORS))
def says_close(t, door):
    """An answer that comes first, and says that its server takes no more: the client is told, too."""
    s, server, conn = stage(t, door)
    with conn:
        conn.send(build("POST", "/", [("Content-Length", "100000")]) + b"x" * 1000)
        server.serve(b"early", b"Connection: close")
        server.lane.close()
        server.lane = None
        got = conn.response()
        assert got.body == b"early" and got.get("connection") == "close", got
        ends(conn)
    started(s, server, door).close()
    s.check()


@test(each=["both", "remote-server"])
def goes_on(t, door):
    """A server that has gone behind its early answer, and nothing was lost: where that is certain, the rest
    of the body is dropped and the next request is served; else the connection ends."""
    s, server, conn = stage(t, door)
    with conn:
        conn.send(build("POST", "/", [("Content-Length", "3000")]) + b"x" * 1000)
        server.serve(b"early")
        assert conn.response().body == b"early"
        is_answered(t, s)
        server.lane.close()
        server.lane = None
        t.wait(lambda: knows_end(s), "the daemon has been told of the server's end", 10, 0.001)
        conn.send(b"x" * 1000)
        conn.send(b"x" * 1000)
        if door == "both":
            ends(conn)
        else:
            conn.send(build("GET", "/next"))
            server.serve(b"next")
            assert conn.response().body == b"next"
    started(s, server, door).close()
    s.check()


@test()
def answer_is_nobodys(t):
    """
    A client resets its connection as the end of its answer is moved there: the server's send fails,
    though the exchange is over and the lane is in the pool. One that does not close it for that is
    asked again there.
    """
    s, server, conn = stage(t, "remote-client")
    conn.send(build("GET", "/"))
    head_of(server.lane)
    held = Held(t, s, conn.sock)
    reset(conn.sock)
    fails(t, held, server.lane, answer(b"late"))
    with Conn(FRONT) as conn:
        conn.send(build("POST", "/", body=b"x"))
        head_of(server.lane)
        assert server.lane.recv(10) == b"x"
        server.lane.sendall(answer(b"next"))
        assert conn.response().body == b"next"
    s.check()
