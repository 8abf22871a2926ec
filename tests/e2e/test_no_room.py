# SPDX-License-Identifier: GPL-2.0-only
"""
A lane that has no room for what is to be written to it, and what happens to it meanwhile. Where the
network namespace's tcp_notsent_lowat is 0 no TCP socket has room that has no TCP_NOTSENT_LOWAT of its
own, however little was sent; one that is given it has, and its owner is told.
"""
import contextlib
import errno
import os
import socket

from lib import linux, net, seccomp
from lib.http1 import build, exactly, head_of
from lib.runner import test

from test_torn import Server, answer, conf, stage, started
from test_tunnel import Switcher, dig, ping, was_reset

LOWAT = "/proc/sys/net/ipv4/tcp_notsent_lowat"
SL_L_STATE, SL_LANE_KERNEL = 0xf, 3  # include/sl_session.h

LONG = build("GET", "/" + "x" * 1000)
SENDTO = {"x86_64": 44, "aarch64": 206}[os.uname().machine]

# send() of len(LONG) bytes fails, as where bpf_tcp_ingress() finds no memory.
NO_MEMORY = [seccomp.load(seccomp.NR), seccomp.unless(SENDTO, 3),
             seccomp.load(seccomp.ARG2), seccomp.unless(len(LONG), 1),
             seccomp.returns(seccomp.ERRNO | errno.ENOMEM), seccomp.returns(seccomp.ALLOW)]


def without_memory(t, door):
    return t.sluice(conf(door), concurrency=1, wrap=seccomp.wrap(NO_MEMORY))


def give_room(sock):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 1 << 30)


def no_room():
    return net.changed(LOWAT, "0")


def end_at(s, there):
    """The worker's end of the connection whose other end is @there."""
    return linux.socket_of(s.worker(), lambda x: x.getpeername() == there.getsockname() and
                           x.getsockname() == there.getpeername())


@contextlib.contextmanager
def tried(t, s):
    """What is sent meanwhile has been read by the worker, which has done with it what it could."""
    size, rx = linux.member_of(s.pin("sessions"), "sl_session", "front_rx")
    worker = s.worker()

    def sleeps():
        with open(f"/proc/{worker}/wchan") as f:
            return "ep" in f.read()  # a function of epoll_wait()
    with linux.mapped(s.pin("sessions"), size * 1024) as sessions:
        def read():
            return [sessions[i * size + rx:i * size + rx + 4] for i in range(1024)]
        before = read()
        yield
        t.wait(lambda: read() != before and sleeps(), "it is read", 10, 0.001)


def is_shared(s):
    """Whether BPF has a part in the exchange of some lane."""
    size, word = linux.member_of(s.pin("lanes"), "sl_lane", "word")
    with linux.mapped(s.pin("lanes"), size * 1024) as lanes:
        return any(lanes[i * size + word] & SL_L_STATE == SL_LANE_KERNEL for i in range(1024))


@test(each=["GET", "POST"])
def lane_dies(t, method):
    """
    The lane is reset before a byte of the request is written to it: another one gets the request, which
    nobody has seen yet, whatever its method.
    """
    s, server, conn = stage(t, "remote-client")
    with conn:
        give_room(conn.sock)
        with no_room(), tried(t, s):
            conn.send(build(method, "/again", body=b"body" if method == "POST" else b""))
        assert is_shared(s)
        server.reset()
        try:
            got = server.serve(b"again")
        except TimeoutError:
            raise AssertionError(f"it is not repeated: {conn.response()}") from None
        assert got.startswith(method.encode() + b" /again"), got
        assert conn.response().body == b"again"
        conn.send(build("GET", "/next"))
        server.serve(b"next")
        assert conn.response().body == b"next"
    s.check()


@test(each=["remote-client", "user"])
def no_memory(t, door):
    """No lane takes a byte of the request, and none ends for that: nobody waits for the route's timeout."""
    server = Server(t)
    s = without_memory(t, door)
    conn = started(s, server, door)
    with conn:
        conn.send(LONG)
        assert conn.response().status == 502
    for lane in server.lane, server.listener.accept()[0]:  # another one was tried
        assert lane.recv(1) == b""
        lane.close()
    server.lane = None
    started(s, server, door).close()
    s.check()


@test()
def answered_first(t):
    """
    The last bytes of a request that BPF began wait for room, read to its end by the daemon, when the
    whole answer comes and goes out: they follow, and what comes behind them is the next request.
    """
    s, server, conn = stage(t)
    body = bytes(range(1, 101)) * 30
    with conn:
        give_room(conn.sock)
        give_room(server.lane)
        give_room(end_at(s, conn.sock))
        lane = end_at(s, server.lane)
        conn.send(build("POST", "/", [("Content-Length", str(len(body)))]) + body[:1000])
        head_of(server.lane)
        assert exactly(server.lane, 1000) == body[:1000]
        with no_room():
            with tried(t, s):
                conn.send(body[1000:])
            server.lane.sendall(answer(b"early"))
            assert conn.response().body == b"early"
        give_room(lane)
        assert exactly(server.lane, len(body) - 1000) == body[1000:]
        conn.send(build("GET", "/next"))
        server.lane = None
        assert server.serve(b"next").startswith(b"GET /next ")
        assert conn.response().body == b"next"
    s.check()


@test(each=["remote-client", "user"])
def no_memory_in_body(t, door):
    """The lane takes no more of a request: its server waits for a rest that never comes, and the client does not."""
    server = Server(t)
    s = without_memory(t, door)
    conn = started(s, server, door)
    with conn:
        conn.send(build("POST", "/torn", [("Content-Length", len(LONG))]))
        head_of(server.lane)
        conn.send(b"x" * len(LONG))
        try:
            assert server.lane.recv(1) == b""
        except TimeoutError:
            raise AssertionError("the server is told nothing") from None
        server.lane.close()
        server.lane = None
        assert conn.response().status == 502
    started(s, server, door).close()
    s.check()


@test(each=["remote-client", "user"])
def no_memory_in_tunnel(t, door):
    """What a tunnel's end does not take is lost: both see that it was cut."""
    server = Switcher(t)
    s = without_memory(t, door)
    conn, far = dig(server)
    with conn, far:
        ping(conn.sock, far, 3)
        conn.sock.sendall(b"x" * len(LONG))
        conn.sock.settimeout(10)
        assert was_reset(conn.sock)
        assert was_reset(far)
    s.check()
