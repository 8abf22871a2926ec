# SPDX-License-Identifier: GPL-2.0-only
"""
What an application sends goes out through our own end of a connection. Where that has no room for all of
it the application's send would fail, or take a part, and its own socket be writable: one that waits for
an edge (EPOLLET) waits for ever. So nothing goes there that TCP may not take. Where it does not all the
same, since others have taken the memory since that look, both connections end: no wrong message.
"""
import contextlib
import errno
import select
import socket
import struct
import threading

from lib import linux, net
from lib.config import DOORS, config, route
from lib.data import differ, pattern
from lib.http1 import Closed, Conn, build, head_of
from lib.runner import test

from test_moved import NO_LIMIT, PAGE, Group
from test_torn import Held, waits
from test_tunnel import SWITCH, UPGRADE

FRONT = ("127.0.0.1", 8000)
LOWAT = "/proc/sys/net/ipv4/tcp_notsent_lowat"
SEND = 65536
BODY = pattern(16 << 20, 7)  # more than all buffers on its way
# include/sl_session.h
FRONT_IS, TUNNEL_UP, TUNNEL_DOWN, TORN = 0x2, 0x2000, 0x4000, 0x8000


def with_length(body):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def serve(t, door="remote-client"):
    one = t.listen(9001)
    text = config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")], DOORS[door])
    return one, t.sluice(text, concurrency=1)  # another thread's lanes are its own


def steered(t, one, conn):
    """The lane of @conn's requests, of which BPF has its part, behind the head of one more."""
    conn.send(build("GET", "/"))
    lane, _ = one.accept()
    t.stack.callback(lane.close)
    lane.settimeout(5)
    lane.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for _ in range(3):
        head_of(lane)
        lane.sendall(with_length(b"one"))
        assert conn.response().body == b"one"
        conn.send(build("GET", "/"))
    head_of(lane)
    return lane


def send_some(sock, data):
    """What is left of @data when @sock takes no more. Then it is not writable."""
    sock.setblocking(False)
    try:
        while data:
            data = data[sock.send(data[:SEND]):]
    except BlockingIOError:
        assert not select.select([], [sock], [], 0.5)[1], "nothing is taken, and there is room"
    sock.setblocking(True)
    return data


@test(each=["16384", "131072"])
def lowat(t, least):
    """tcp_notsent_lowat is less than the answer: TCP takes no more behind so much that is not sent yet."""
    one, s = serve(t)
    with Conn(FRONT, timeout=10) as conn:
        lane = steered(t, one, conn)
        lane.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 1 << 30)
        with net.changed(LOWAT, least):
            left = send_some(lane, with_length(BODY))
            rest = threading.Thread(target=lane.sendall, args=(left,))
            rest.start()
            assert differ(conn.response().body, BODY) is None
            rest.join()
    s.check()


def tear(t, s, group, near, far, data, meanwhile=None):
    """
    @near's send of @data goes out through our end, the other end of @far, and when the kernel comes to it
    there is no memory for all of it. @meanwhile it waits. What it did not take.
    """
    held, took = Held(t, s, far), []

    def send():
        try:
            took.append(near.send(data))
        except OSError as e:
            assert e.errno in (errno.EAGAIN, errno.ENOMEM), e
            took.append(0)
    near.settimeout(0)
    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    waits(t, sender)
    if meanwhile:
        meanwhile()
    group.limit(PAGE * 4)
    held.memory.refuse()
    sender.join()
    held.thread.join()
    held.sock.close()
    group.limit(NO_LIMIT)
    near.settimeout(10)
    assert took[0] < len(data), "there was memory"
    return data[took[0]:]


def ends(conn):
    """The connection ends, and no answer was whole."""
    try:
        got = conn.response()
    except (Closed, ConnectionResetError):
        return
    raise AssertionError(f"answered: {got} {got.body[:100]}")


@test(each=["idle", "taken"])
def answer_torn(t, lane_is):
    """
    An answer counts as passed and its lane as idle, or as another client's by now, before the kernel
    finds no room for it. Its client sees that it is cut, and nobody gets what its server sends again.
    """
    one, s = serve(t)
    group = Group(t)
    group.take(t, s.worker())
    with Conn(FRONT, timeout=10) as conn, Conn(FRONT, timeout=10) as other:
        lane = steered(t, one, conn)

        def take():
            other.send(build("GET", "/other"))
            t.wait(lambda: select.select([lane], [], [], 0)[0], "the lane has the other's request", 10)
        # From wherever it is cut, what looks like an answer of its own is near.
        alien = with_length(b"alien") * 1000
        rest = tear(t, s, group, lane, conn.sock, with_length(alien), take if lane_is == "taken" else None)
        assert len(rest) < len(alien), "nothing was taken"
        if lane_is == "idle":
            other.send(build("GET", "/other"))
        with contextlib.suppress(ConnectionError):
            lane.sendall(rest[len(rest) % len(with_length(b"alien")):])
        lane.close()
        with contextlib.suppress(TimeoutError):
            one.settimeout(2)
            again, _ = one.accept()
            t.stack.callback(again.close)
            head_of(again)
            again.sendall(with_length(b"other"))
        try:
            got = other.response()
            assert got.status == 502 or got.body == b"other", got.body
        except (Closed, ConnectionResetError) as e:
            t.note(e)
        ends(conn)
    s.check()


@test()
def request_torn(t):
    """The same of a request, whose client sends it again: that is no second one behind it."""
    one, s = serve(t, "remote-server")
    group = Group(t)
    group.take(t, s.worker())
    with Conn(FRONT, timeout=10) as conn:
        lane = steered(t, one, conn)
        lane.sendall(with_length(b"one"))
        assert conn.response().body == b"one"
        alien = build("GET", "/alien")
        rest = tear(t, s, group, conn.sock, lane, build("POST", "/", body=alien * 1000))
        with contextlib.suppress(ConnectionError):
            conn.send(rest + alien)
        ends(conn)
        one.settimeout(1)
        got = b""
        with contextlib.suppress(ConnectionResetError):
            while data := lane.recv(1 << 16):
                got += data
        assert got.count(alien) < 1000, "the server has all of it"
        with contextlib.suppress(TimeoutError):
            raise AssertionError(one.accept()[0].recv(1000))
    s.check()


@contextlib.contextmanager
def words(s):
    """Counts the sessions whose word has one of some bits, and sets others there."""
    size, word = linux.member_of(s.pin("sessions"), "sl_session", "word")
    with linux.mapped(s.pin("sessions"), size * 1024) as sessions:
        def have(bits, more=0):
            found = 0
            for at in range(word, len(sessions), size):
                got, = struct.unpack_from("<H", sessions, at)
                if got & bits:
                    found += 1
                    if more:
                        struct.pack_into("<H", sessions, at, got | more)
            return found
        yield have


def is_reset(sock):
    """How its connection ends."""
    try:
        while sock.recv(1 << 16):
            pass
    except ConnectionResetError:
        return True
    return False


@test(each=["down", "up"])
def tunnel_torn(t, way):
    """The same of a tunnel: it is reset at both its ends, since a FIN would say that this was all."""
    one, s = serve(t, "remote-client" if way == "down" else "remote-server")
    group = Group(t)
    group.take(t, s.worker())
    with Conn(FRONT, timeout=10) as conn, words(s) as have:
        lane = steered(t, one, conn)
        lane.sendall(with_length(b"one"))
        assert conn.response().body == b"one"
        conn.send(build("GET", "/", UPGRADE))
        head_of(lane)
        lane.sendall(SWITCH)
        assert conn.head().status == 101
        t.wait(lambda: have(TUNNEL_DOWN if way == "down" else TUNNEL_UP), "BPF has its part", 10)
        near, far = (lane, conn.sock) if way == "down" else (conn.sock, lane)
        tear(t, s, group, near, far, b"x" * 60_000)
        assert is_reset(far), "it looks whole"
        assert is_reset(near)
    s.check()


@test()
def torn_untold(t):
    """The daemon does not hear that a session is torn, or dies as it does: the session ends all the same."""
    one, s = serve(t)
    with Conn(FRONT, timeout=10) as conn, words(s) as have:
        lane = steered(t, one, conn)
        lane.sendall(with_length(b"one"))
        assert conn.response().body == b"one"
        s.idle()
        assert have(FRONT_IS, TORN) == 1
        assert conn.at_eof()
    s.check()
