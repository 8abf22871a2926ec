# SPDX-License-Identifier: GPL-2.0-only
"""
The kernel moves what BPF has steered when the program is over, element by element of the send, and
stops where the reader's memory ends: some of it is moved, or nothing, and the sender alone is told.
A memory cgroup (version 1) lets a test say where. The bytes come all the same, in order and once.
"""
import contextlib
import os
import socket
import threading

from lib import linux
from lib.config import DOORS, config, route
from lib.data import differ, pattern
from lib.http1 import Closed, Conn, build, head_of
from lib.runner import test

FRONT = ("127.0.0.1", 8000)
PAGE = 4096
BODY = pattern(40_000, 7)  # two elements of a send, or three
NO_LIMIT = 1 << 40
LIMITS = [PAGE * n for n in (1, 2, 4, 7, 8, 9, 10)]


def with_length(body):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def with_chunks(body):
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


class Group:
    """A memory cgroup of version 1 for sockets' memory; they stay in the one that they were made in."""

    def __init__(self, t):
        self.root = self._mounted() or self._mount(t)
        self.dir = f"{self.root}/sluice-{os.getpid()}"
        os.mkdir(self.dir)
        t.stack.callback(os.rmdir, self.dir)
        self.limit(NO_LIMIT)  # from the first one on its sockets are counted

    @staticmethod
    def _mounted():
        with open("/proc/self/mountinfo") as f:
            for line in f:
                left, right = line.split(" - ", 1)
                if right.split()[0] == "cgroup" and "memory" in right.split()[2].split(","):
                    return left.split()[4]
        return None

    @staticmethod
    def _mount(t):
        point = t.tmpdir("memory")
        linux.mount("memory", point, "cgroup")
        t.stack.callback(linux.umount, point)
        return point

    def limit(self, size):
        with open(f"{self.dir}/memory.kmem.tcp.limit_in_bytes", "w") as f:
            f.write(str(size))

    @contextlib.contextmanager
    def entered(self):
        """What this thread makes meanwhile is the group's."""
        me = str(threading.get_native_id())
        for where in (self.dir, self.root):
            with open(f"{where}/tasks", "w") as f:
                f.write(me)
            if where == self.dir:
                yield

    def take(self, t, pid):
        """What process @pid makes from now on, too, until the end of the test."""
        self._move(self.dir, pid)
        t.stack.callback(self._move, self.root, pid)

    @staticmethod
    def _move(where, pid):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"{where}/tasks", "w") as f:
                f.write(task)


def send_all(sock, data):
    """As servers do that send again what was not taken; how often the kernel took less than all."""
    short = 0
    while data:
        try:
            n = sock.send(data)
        except OSError as e:
            if e.errno != 12:  # ENOMEM
                raise
            n = 0
        short += n < len(data)
        data = data[n:]
    return short


def is_over(sock):
    try:
        return not sock.recv(1)
    except ConnectionResetError:
        return True


class Pair:
    """A client and the lane that its requests go to, with BPF between them; @of: whose memory is the group's."""

    def __init__(self, t, group, one, s, of):
        self.s, self.group, self.of, self.one, self.t = s, group, of, one, t
        with self.entered("client"):
            self.conn = Conn(FRONT, timeout=5)
        t.stack.callback(self.conn.close)
        self.conn.send(build("GET", "/"))
        self.accept()
        self.answer(with_length(b"one"), b"one")
        t.wait(self.is_steered, "BPF has its part", 10)

    def accept(self):
        with self.entered("server"):  # the socket is its who accepts it
            self.lane, _ = self.one.accept()
        self.t.stack.callback(self.lane.close)
        self.lane.settimeout(5)
        self.lane.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def entered(self, who):
        return self.group.entered() if who == self.of else contextlib.nullcontext()

    def answer(self, data, body):
        head_of(self.lane)
        self.lane.sendall(data)
        assert self.conn.response().body == body

    def is_steered(self):
        before = self.s.stats().kernel
        self.conn.send(build("GET", "/"))
        self.answer(with_length(b"one"), b"one")
        return self.s.stats().kernel > before or not self.of  # with a remote end it is not counted so

    @contextlib.contextmanager
    def limited(self, size):
        """For a moment that begins now there are @size bytes for the group's sockets."""
        self.group.limit(size)
        timer = threading.Timer(0.1, self.group.limit, (NO_LIMIT,))
        timer.start()
        try:
            yield
        finally:
            timer.join()

    def close(self):
        self.conn.close()
        self.lane.close()


def serve(t, door="both"):
    one = t.listen(9001)
    return one, t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")], DOORS[door]))


@test(each=["length", "chunked"])
def answer(t, kind):
    """
    Whatever part of an answer there is memory for, the client has all of it. Or its connection ends at
    once: of a chunked one it is not known how to go on behind the first part.
    """
    one, s = serve(t)
    group = Group(t)
    data = with_length(BODY) if kind == "length" else with_chunks(BODY)
    whole, short = [], 0
    for size in LIMITS * 2:
        pair = Pair(t, group, one, s, "client")
        pair.conn.send(build("GET", "/"))
        head_of(pair.lane)
        try:
            with pair.limited(size):
                short += send_all(pair.lane, data)
            got = pair.conn.response().body
            assert differ(got, BODY) is None, (size, short, differ(got, BODY))
            pair.is_steered()
            whole.append(size)
        except (Closed, ConnectionResetError) as e:
            assert kind == "chunked" and PAGE < size <= 10 * PAGE, (size, e)
        pair.close()
    assert short, "there was memory for all"
    assert len(whole) == 2 * len(LIMITS) if kind == "length" else PAGE in whole, whole
    s.check()


def read_request(pair, kind):
    """What the server finds to be the body of the next request, which may come on a new lane."""
    if not pair.lane.recv(1, socket.MSG_PEEK):
        pair.lane.close()
        pair.accept()
    head_of(pair.lane)
    got = b""
    while len(got) < len(BODY) if kind != "chunked" else not got.endswith(b"\r\n0\r\n\r\n"):
        data = pair.lane.recv(1 << 18)
        if not data:
            raise Closed("EOF", got)
        got += data
    return got


@test(each=["at-once", "head-first", "chunked"])
def request(t, kind):
    """The same of a request. What comes behind the part that was moved is no request of its own."""
    one, s = serve(t)
    group = Group(t)
    chunked = kind == "chunked"
    data = build("POST", "/", body=BODY, chunked=chunked)
    at = data.index(b"\r\n\r\n") + 4 if kind == "head-first" else 0
    sent = data.partition(b"\r\n\r\n")[2]
    whole, short = [], 0
    for size in LIMITS * 2:
        pair = Pair(t, group, one, s, "server")
        if at:
            pair.conn.send(data[:at])
        with pair.limited(size):
            short += send_all(pair.conn.sock, data[at:])
        try:
            got = read_request(pair, kind)
            assert differ(got, sent) is None, (size, short, differ(got, sent))
            pair.lane.sendall(with_length(b"done"))
            assert pair.conn.response().body == b"done"
            pair.is_steered()
            whole.append(size)
        except (Closed, ConnectionResetError) as e:
            assert chunked and PAGE < size <= 10 * PAGE and is_over(pair.conn.sock), (size, e)
        pair.close()
    assert short or at, "there was memory for all"
    assert len(whole) == 2 * len(LIMITS) if not chunked else PAGE in whole, whole
    s.check()


@test(each=["answer", "request"])
def out(t, what):
    """
    Out through the daemon's own end of a connection, whose memory is the daemon's: there TCP takes a
    part, and the sender's own socket is writable. What is sent again is no second answer or request.
    """
    one, s = serve(t, "remote-client" if what == "answer" else "remote-server")
    group = Group(t)
    group.take(t, s.worker())
    for size in LIMITS:
        pair = Pair(t, group, one, s, None)
        with pair.limited(size):
            if what == "answer":
                pair.conn.send(build("GET", "/"))
                head_of(pair.lane)
                send_all(pair.lane, with_length(BODY))
            else:
                send_all(pair.conn.sock, build("POST", "/", body=BODY))
        if what == "request":
            got = read_request(pair, "at-once")
            assert differ(got, BODY) is None, (size, differ(got, BODY))
            pair.lane.sendall(with_length(BODY))
        got = pair.conn.response().body
        assert differ(got, BODY) is None, (size, differ(got, BODY))
        pair.close()
    s.check()
