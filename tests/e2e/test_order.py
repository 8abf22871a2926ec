# SPDX-License-Identifier: GPL-2.0-only
"""
An answer is moved into the client's queue after the program that steered it, and that may take as
long as somebody has the client's socket locked. What the daemon answers to a next request, which the
client did not wait to send, must not get in before it.
"""
import contextlib
import socket
import threading
import time

from lib import linux
from lib.config import DOORS, config, route
from lib.data import differ, pattern
from lib.fault import PAGE, Memory
from lib.http1 import Conn, build, head_of
from lib.runner import test

FRONT = ("127.0.0.1", 8000)
SL_S_FRONT = 2  # of sl_session.word, whose bits come before its generation
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


def warm(s, conn, lane):
    """On @lane is a request of @conn: answers that, and further ones, until BPF has steered one and the answer.
    The next is on its way then."""
    for _ in range(50):  # the first by the daemon, then the lane is there and it has time
        before = s.stats().kernel
        head_of(lane)
        lane.sendall(answer(b"warm"))
        assert conn.response().body == b"warm"
        conn.send(build("GET", "/"))
        if s.stats().kernel > before:
            break


def warmed(s, conn, listener):
    """The lane that @conn's requests go to, on which one has been sent that BPF steers."""
    conn.send(build("GET", "/"))
    lane, _ = listener.accept()
    warm(s, conn, lane)
    return lane


def someone_moves(sessions, size, mover):
    """Whether a member `mover`, a thread's number of four bytes, is set in any of the sessions."""
    return any(any(sessions[at:at + 4]) for at in range(mover, 1024 * size, size))


def swallow(send, data):
    with contextlib.suppress(OSError):
        send(data)


def serve_next(listener, text):
    """Answers the next connection's first request."""
    with contextlib.suppress(OSError):
        listener.settimeout(10)
        conn, _ = listener.accept()
        with conn:
            head_of(conn)
            conn.sendall(answer(text))
            conn.recv(1)


def rest_of(sock):
    """All that comes until the connection ends, in whatever way, or rests."""
    got = b""
    sock.settimeout(2)
    with contextlib.suppress(ConnectionError, TimeoutError):
        while data := sock.recv(65536):
            got += data
    return got


@test(seconds=40)
def next_answer(t):
    one, two = t.listen(9001), t.listen(9002)
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)], "two": [("127.0.0.1", 9002)]},
                        [route(prefix="/two", to="two"), route(to="one")]))
    threading.Thread(target=early, args=(two,), daemon=True).start()
    size, mover = linux.member_of(s.pin("sessions"), "sl_session", "mover")
    with Conn(FRONT) as conn, linux.mapped(s.pin("sessions"), size * 1024) as sessions:
        conn.sock.settimeout(None)
        lane = warmed(s, conn, one)
        head_of(lane)
        before = s.stats().kernel
        request = build("POST", "/two", body=b"x" * 700_000)
        memory = Memory(t, request, (0, LATE))
        sender = threading.Thread(target=conn.send, args=(memoryview(memory.map)[:len(request)],), daemon=True)
        sender.start()
        assert memory.wanted() == 0  # the client's socket is locked now
        first = threading.Thread(target=lane.sendall, args=(answer(b"one"),), daemon=True)
        first.start()
        t.wait(lambda: someone_moves(sessions, size, mover), "it is steered", 10, 0.01)
        assert s.stats().kernel == before
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


@test(seconds=60)
def held_up(t):
    """The answer is being moved, and waits for the client's lock, when its server's connection ends. Whatever
    becomes of that one, and however long it takes, nothing else gets in: no answer to the request sent once more."""
    one = t.listen(9001)
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")]), concurrency=1)
    size, mover = linux.member_of(s.pin("sessions"), "sl_session", "mover")
    with Conn(FRONT) as conn, linux.mapped(s.pin("sessions"), size * 1024) as sessions:
        lane = warmed(s, conn, one)
        head_of(lane)
        memory = Memory(t, b"x" * PAGE, (0,))
        sender = threading.Thread(target=swallow, args=(conn.sock.send, memoryview(memory.map)), daemon=True)
        sender.start()
        assert memory.wanted() == 0  # the client's socket is locked now
        first = threading.Thread(target=swallow, args=(lane.sendall, answer(b"one")), daemon=True)
        first.start()
        t.wait(lambda: someone_moves(sessions, size, mover), "it is steered", 10, 0.01)
        lane.shutdown(socket.SHUT_WR)
        other = threading.Thread(target=serve_next, args=(one, b"two"), daemon=True)
        other.start()
        until = time.monotonic() + 3
        t.wait(lambda: time.monotonic() > until, "what is to be written has its time", 5, 0.05)
        memory.give(0)
        got = rest_of(conn.sock)
        assert b"two" not in got and answer(b"one").startswith(got), got
        sender.join()
        first.join()
        lane.close()
    s.check()


@test()
def next_answer_is_moved_too(t):
    """The move of one answer is under way (here it looks as if) when the daemon sends the next request:
    BPF must not begin a second move, which could be the first to have the client's lock."""
    back = t.listen(9001)
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")],
                        connect_timeout="5s"))
    size, mover = linux.member_of(s.pin("sessions"), "sl_session", "mover")
    _, word = linux.member_of(s.pin("sessions"), "sl_session", "word")
    with Conn(FRONT) as conn, linux.mapped(s.pin("sessions"), size * 1024) as sessions:
        conn.send(build("GET", "/"))
        lane, _ = back.accept()
        for _ in range(3):
            head_of(lane)
            lane.sendall(answer(b"one"))
            assert conn.response().body == b"one"
            conn.send(build("GET", "/"))
        head_of(lane)
        lane.sendall(answer(b"one"))
        assert conn.response().body == b"one"
        assert s.stats().kernel, s.stats()
        slot = next(i for i in range(1024) if sessions[i * size + word] & SL_S_FRONT)
        sessions[slot * size + mover] = 1
        conn.send_pieces([b"GET / HTTP/1.1\r\n", b"Host: x\r\n\r\n"])  # the daemon's to send
        head_of(lane)
        lane.sendall(answer(b"two"))
        conn.sock.settimeout(0.3)
        try:
            assert not conn.sock.recv(1), "it came before the one that is being moved"
        except TimeoutError:
            pass
        sessions[slot * size + mover] = 0
        conn.sock.settimeout(10)
        assert conn.response().body == b"two"
        lane.close()
    s.check()


def push(t, sock, body, piece):
    """Sends @piece bytes at a time until no more is taken. Bytes taken."""
    sock.setblocking(False)
    sent = held = 0

    def full():
        nonlocal sent, held
        try:
            sent += sock.send(body[sent:sent + piece])
            held = 0
        except BlockingIOError:
            held += 1
        return held > 20
    t.wait(full, "the sender is held up", 20, 0.002)
    return sent


@test(seconds=40, each=["both", "remote-client", "remote-server"])
def not_accepted(t, door):
    """
    TCP's bytes for a server that has not accepted its connection wait in a queue that nobody
    empties, and what is redirected is read before them: what is too much for the one way and goes
    the other must not be overtaken when there is room again.
    """
    one = t.listen(9001)
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")], DOORS[door]))
    body = pattern(30_000_000, 3)
    for piece in (262144, 100_000, 65536, 400_000):
        with Conn(FRONT) as conn:
            conn.send(build("POST", "/", [("Content-Length", str(len(body)))]))
            sent = push(t, conn.sock, body, piece)
            lane, _ = one.accept()
            with lane:
                lane.settimeout(20)
                head_of(lane)
                got = b""
                while len(got) < sent:
                    got += lane.recv(1 << 20)
                assert differ(got, body[:sent]) is None, (piece, sent, differ(got, body[:sent]))
    s.check()
