# SPDX-License-Identifier: GPL-2.0-only
"""
What an application sends goes out through our own end of a connection. Where that has no room for all of
it the application's send would fail, or take a part, and its own socket be writable: one that waits for
an edge (EPOLLET) waits for ever. So nothing goes there that TCP may not take.
"""
import select
import socket
import threading

from lib import net
from lib.config import DOORS, config, route
from lib.data import differ, pattern
from lib.http1 import Conn, build, head_of
from lib.runner import test

FRONT = ("127.0.0.1", 8000)
LOWAT = "/proc/sys/net/ipv4/tcp_notsent_lowat"
SEND = 65536
BODY = pattern(16 << 20, 7)  # more than all buffers on its way


def with_length(body):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def serve(t, door="remote-client"):
    one = t.listen(9001)
    return one, t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")], DOORS[door]))


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
