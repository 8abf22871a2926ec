# SPDX-License-Identifier: GPL-2.0-only
"""Who sends and takes faster than we read gets turns like everyone else.

The worker stands still while many turns' bytes come, with room for all of them beyond it, and then a
small request: from then on no end of the large one makes the worker wait. Whom it served first is
seen by when the kernel got the bytes, so it does not matter how long a test waits for a CPU."""
import fcntl
import os
import signal
import socket
import struct
import termios

from lib import net
from lib.config import DOORS, config, route
from lib.http1 import Conn, build, head_of
from lib.runner import test
from test_tunnel import Switcher, dig

FRONT = ("127.0.0.1", 8000)
MUCH = 24 << 20
ROOM = 128 << 20
SO_TIMESTAMPNS = 35


def roomy():
    """Sockets that are made from here on take all that is sent, whether it is read or not."""
    room = f"4096 {ROOM} {ROOM}"
    for name, value in (("rmem", room), ("wmem", room), ("slow_start_after_idle", "0")):
        net.sysctl(f"net.ipv4.tcp_{name}", value)


def received(sock, n):
    """Reads @n bytes; when the last of them came, if the kernel has noted it."""
    sock.setblocking(True)
    when = None
    while n:
        data, notes, _, _ = sock.recvmsg(n, 256)
        assert data, f"EOF, {n} bytes before the end"
        n -= len(data)
        when = next((struct.unpack("qq", note[:16]) for level, kind, note in notes
                     if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS)), None)
    return when


class Small:
    """A client whose requests the worker answers itself."""

    def __init__(self, t):
        self.conn = t.stack.enter_context(Conn(FRONT))
        self.conn.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.ask()
        self.n = len(self.conn.sock.recv(1000))
        # The kernel begins to note the time a moment after it was told to.
        t.wait(lambda: self.ask() or self.answered(), "bytes are stamped")

    def ask(self):
        self.conn.send(build("GET", "/small"))

    def answered(self):
        return received(self.conn.sock, self.n)


def overtaken(t, s, source, sink):
    """What comes behind much that @source sends to @sink is answered before that is through."""
    small = Small(t)
    # By the first of it the windows open: the second is not held up by anything but us.
    source.sendall(bytes(MUCH))
    received(sink, MUCH)
    sink.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    worker = s.stop_worker()
    try:
        source.sendall(bytes(MUCH))
        t.wait(lambda: not struct.unpack("i", fcntl.ioctl(source, termios.TIOCOUTQ, bytes(4)))[0],
               "the worker's socket has all of it")
        small.ask()
    finally:
        os.kill(worker, signal.SIGCONT)
    half = received(sink, MUCH // 2)
    answered = small.answered()
    assert answered < half, f"answered at {answered}, {MUCH // 2} bytes were through at {half}"
    received(sink, MUCH - MUCH // 2)


def start(t):
    return t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]},
                           [route("/small", direct=(200, "small")), route(to="one")],
                           DOORS["user"]), concurrency=1)


def begin(t, request):
    """An exchange of which the server has the head of @request, and nothing is answered."""
    listener = t.listen(9001)
    conn = t.stack.enter_context(Conn(FRONT))
    conn.send(request)
    server = t.stack.enter_context(listener.accept()[0])
    head_of(server)
    return conn.sock, server


FRAMINGS = {"spliced": f"Content-Length: {4 * MUCH}\r\n\r\n",
            "copied": f"Transfer-Encoding: chunked\r\n\r\n{4 * MUCH:x}\r\n"}


@test(each=list(FRAMINGS))
def answer(t, how):
    """A large answer, through a pipe and not."""
    roomy()
    s = start(t)
    client, server = begin(t, build("GET", "/"))
    head, _, rest = f"HTTP/1.1 200 OK\r\n{FRAMINGS[how]}".encode().partition(b"\r\n\r\n")
    server.sendall(head + b"\r\n\r\n" + rest)
    head_of(client)
    received(client, len(rest))
    overtaken(t, s, server, client)


@test()
def request(t):
    """A large request."""
    roomy()
    s = start(t)
    overtaken(t, s, *begin(t, build("POST", "/", [("Content-Length", 4 * MUCH)])))


@test(each=["up", "down"])
def tunnel(t, way):
    """What goes through a tunnel, either way."""
    roomy()
    s = start(t)
    client, server = dig(Switcher(t))
    with client, server:
        ends = client.sock, server
        overtaken(t, s, *(ends if way == "up" else reversed(ends)))
