# SPDX-License-Identifier: GPL-2.0-only
"""Clients and servers that do what HTTP allows and nobody expects, at random, with both paths on
one connection. Every body is made from its request's id: a lost, doubled, foreign or
overtaken byte is seen by whoever reads it.

$ADVERSARY_SEED repeats a run, $ADVERSARY_SECONDS makes the random tests longer.
"""
import collections
import hashlib
import os
import random
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lib.config import DOORS, config, route  # noqa: E402
from lib.data import differ, pattern  # noqa: E402
from lib.http1 import BadResponse, Closed, Conn, build  # noqa: E402

FRONT = ("127.0.0.1", 8000)
PORTS = (9001, 9002)


def body_of(what, size):
    """The bytes that belong to a request's id: a line that names it, then a pattern of its own."""
    line = f"{what}|".encode()
    seed = int.from_bytes(hashlib.md5(line).digest()[:3], "big")
    return (line + pattern(max(0, size - len(line)), seed))[:size]


def quiet_close(sock, reset=False):
    try:
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    except OSError:
        pass


# --- the server: a process of its own, a thread for each connection ---

class Request:
    def __init__(self, method, path, headers):
        self.method, self.path, self.headers = method, path, headers
        self.id = headers.get("x-id", "?")
        op, *args = headers.get("x-op", "plain:10").split(":")
        self.op, self.args = op, [int(a) for a in args]
        self.random = random.Random(self.id)


class Server:
    """Reads strictly. What must never be seen is a line "WRONG ..." of its output."""

    def __init__(self, port, name):
        self.name = name
        self.seen = collections.Counter()
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=512)

    def wrong(self, text):
        print(f"WRONG {self.name}: {text}", flush=True)

    def run(self):
        while True:
            sock, _ = self.listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        buf = bytearray()
        try:
            while self.one(sock, buf):
                pass
            quiet_close(sock)
        except OSError:
            quiet_close(sock)

    def fill(self, sock, buf):
        data = sock.recv(65536)
        buf += data
        return len(data)

    def head(self, sock, buf):
        while b"\r\n\r\n" not in buf:
            if not self.fill(sock, buf):
                return None
            if len(buf) > 20 and not buf.startswith((b"GET /", b"POST /", b"HEAD /", b"PUT /")):
                self.wrong(f"not a request: {bytes(buf[:80])!r}")
                return None
        raw, _, rest = bytes(buf).partition(b"\r\n\r\n")
        buf[:] = rest
        first, *lines = raw.decode("latin-1").split("\r\n")
        method, path, version = first.split(" ")
        headers = {}
        for line in lines:
            n, _, v = line.partition(": ")
            headers[n.lower()] = v
        r = Request(method, path, headers)
        if method not in ("GET", "POST", "HEAD", "PUT") or path != f"/{r.id}":
            self.wrong(f"request line {first!r} of {r.id}")
        return r

    def exactly(self, sock, buf, n):
        while len(buf) < n:
            if not self.fill(sock, buf):
                raise OSError("EOF in a body")
        out = bytes(buf[:n])
        del buf[:n]
        return out

    def line(self, sock, buf):
        while b"\r\n" not in buf:
            if len(buf) > 100:
                self.wrong(f"chunk line {bytes(buf[:80])!r}")
                raise OSError("chunk line")
            if not self.fill(sock, buf):
                raise OSError("EOF in a chunk line")
        raw, _, rest = bytes(buf).partition(b"\r\n")
        buf[:] = rest
        return raw

    def body(self, sock, buf, r, pause=0):
        """Reads the request's body and compares it with what the id says."""
        if r.headers.get("transfer-encoding") == "chunked":
            got = bytearray()
            while True:
                raw = self.line(sock, buf)
                try:
                    n = int(raw, 16)
                except ValueError:
                    self.wrong(f"chunk size {raw!r} of {r.id}")
                    raise OSError("chunk size") from None
                if not n:
                    break
                got += self.exactly(sock, buf, n)
                if self.exactly(sock, buf, 2) != b"\r\n":
                    self.wrong(f"chunk's end of {r.id}")
            self.line(sock, buf)
        else:
            n, got = int(r.headers.get("content-length", 0)), bytearray()
            while len(got) < n:
                if pause:
                    time.sleep(pause)
                got += self.exactly(sock, buf, min(n - len(got), 65536 if pause else 1 << 30))
        want = body_of(r.id, len(got))
        if got != want:
            self.wrong(f"body of {r.id}: {differ(got, want)}")

    def send_split(self, sock, r, data, pieces):
        """In @pieces sends at random places, with gaps in half of the cases."""
        cuts = sorted(r.random.sample(range(1, len(data)), min(pieces - 1, len(data) - 1)))
        gaps = r.random.random() < 0.5
        for a, b in zip([0] + cuts, cuts + [len(data)]):
            sock.sendall(data[a:b])
            if gaps and r.random.random() < 0.3:
                time.sleep(0.0005)

    def answer(self, r, size, extra="", length=True, chunked=False):
        head = f"HTTP/1.1 200 OK\r\nX-Id: {r.id}\r\nX-Server: {self.name}\r\n{extra}"
        body = b"" if r.method == "HEAD" else body_of(r.id, size)
        if chunked:
            head += "Transfer-Encoding: chunked\r\n"
            if r.method != "HEAD":
                out, at = bytearray(), 0
                while at < size:
                    n = min(size - at, r.random.choice((1, 7, 300, 5000, 40000)))
                    out += b"%x\r\n%b\r\n" % (n, body[at:at + n])
                    at += n
                body = bytes(out) + b"0\r\n\r\n"
        elif length:
            head += f"Content-Length: {size}\r\n"
        return head.encode() + b"\r\n", body

    def one(self, sock, buf):
        """One exchange. False: the connection ends."""
        r = self.head(sock, buf)
        if not r:
            return False
        with self.lock:
            self.seen[r.id] += 1
            if self.seen[r.id] > 1 and r.method == "POST":
                self.wrong(f"POST {r.id} came {self.seen[r.id]} times")
        has_body = "transfer-encoding" in r.headers or int(r.headers.get("content-length", 0))
        if r.op not in ("early", "early_close"):
            if r.headers.get("expect"):
                sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            if has_body:
                self.body(sock, buf, r, pause=0.001 if r.op == "slow" else 0)
        return getattr(self, "op_" + r.op)(sock, buf, r, *r.args)

    def op_plain(self, sock, buf, r, size):
        head, body = self.answer(r, size)
        sock.sendall(head + body)
        return True

    op_slow = op_plain

    def op_split(self, sock, buf, r, size, pieces):
        head, body = self.answer(r, size)
        self.send_split(sock, r, head + body, pieces)
        return True

    def op_chunked(self, sock, buf, r, size, pieces):
        head, body = self.answer(r, size, chunked=True)
        self.send_split(sock, r, head + body, pieces)
        return True

    def op_chunked_at(self, sock, buf, r, size, cut):
        head, body = self.answer(r, size, chunked=True)
        data = head + body
        sock.sendall(data[:cut])
        sock.sendall(data[cut:])
        return True

    def op_close(self, sock, buf, r, size):
        head, body = self.answer(r, size, length=False)
        self.send_split(sock, r, head + body, 3)
        return False

    def op_cl_close(self, sock, buf, r, size):
        head, body = self.answer(r, size)
        self.send_split(sock, r, head + body, 2)
        return False

    def op_said_close(self, sock, buf, r, size):
        head, body = self.answer(r, size, "Connection: close\r\n")
        self.send_split(sock, r, head + body, 2)
        return False

    def op_early(self, sock, buf, r, size):
        """Answers before it reads the body, and then goes on."""
        head, body = self.answer(r, size)
        sock.sendall(head + body)
        self.body(sock, buf, r)
        return True

    def op_early_close(self, sock, buf, r, size):
        head, body = self.answer(r, size)
        sock.sendall(head + body)
        return False

    def op_interim(self, sock, buf, r, size, n):
        early = b"HTTP/1.1 103 Early Hints\r\nLink: <%d>\r\n\r\n" % n
        head, body = self.answer(r, size)
        if r.random.random() < 0.5:
            sock.sendall(early * n + head + body)
        else:
            for _ in range(n):
                sock.sendall(early)
            self.send_split(sock, r, head + body, 2)
        return True

    def op_surplus(self, sock, buf, r, size, way):
        """Bytes behind the answer that nobody asked for."""
        head, body = self.answer(r, size)
        more = b"SURPLUS of %b\r\n" % r.id.encode()
        if way:
            sock.sendall(head + body)
            sock.sendall(more)
        else:
            sock.sendall(head + body + more)
        return False

    def op_timeout(self, sock, buf, r, size):
        """Says 408 to the idle connection and closes it."""
        head, body = self.answer(r, size)
        sock.sendall(head + body)
        time.sleep(0.002 * r.random.random())
        sock.sendall(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        return False

    def op_die(self, sock, buf, r, way):
        """Ends without an answer."""
        quiet_close(sock, reset=way)
        raise OSError

    def op_die_mid(self, sock, buf, r, size, way):
        head, body = self.answer(r, size)
        sock.sendall(head + body[:size // 2])
        quiet_close(sock, reset=way)
        raise OSError


# --- the client ---

# name: (arguments, may the exchange fail for this op's own sake)
OPS = {
    "plain": (lambda rnd: [size(rnd)], False),
    "slow": (lambda rnd: [size(rnd)], False),
    "split": (lambda rnd: [size(rnd), rnd.randrange(2, 8)], False),
    "chunked": (lambda rnd: [size(rnd), rnd.randrange(1, 9)], False),
    "close": (lambda rnd: [size(rnd)], False),
    "cl_close": (lambda rnd: [size(rnd)], False),
    "said_close": (lambda rnd: [size(rnd)], False),
    "early": (lambda rnd: [size(rnd)], False),
    "early_close": (lambda rnd: [size(rnd)], True),
    "interim": (lambda rnd: [size(rnd), rnd.randrange(1, 4)], False),
    "surplus": (lambda rnd: [size(rnd), rnd.randrange(2)], False),
    "timeout": (lambda rnd: [size(rnd)], False),
    "die": (lambda rnd: [rnd.randrange(2)], True),
    "die_mid": (lambda rnd: [rnd.choice((100, 100_000)), rnd.randrange(2)], True),
}
# Lanes that these leave behind may die under the next request: a POST on one is answered 502.
UNSTEADY = {"cl_close", "timeout", "surplus", "early_close", "die", "die_mid"}


def size(rnd):
    return rnd.choice((0, 1, 17, 200, 1500, 8000, 33_000, 70_000, 300_000))


class Wrong(AssertionError):
    pass


class Want:
    """A request and what its answer must be."""

    def __init__(self, rnd, ident, ops):
        self.id = ident
        self.op = rnd.choice(ops)
        make, self.may_fail = OPS[self.op]
        self.args = make(rnd)
        self.size = self.args[0] if self.op != "die" else 0
        self.method = rnd.choice(("GET", "GET", "GET", "POST", "POST", "HEAD"))
        if self.op in ("close", "die_mid") and self.method == "HEAD":
            self.method = "GET"
        headers = [("X-Id", ident), ("X-Op", ":".join([self.op, *map(str, self.args)]))]
        self.last = False
        version, chunked, body = "HTTP/1.1", False, None
        odd = rnd.random()
        if odd < 0.05:
            headers.append(("Connection", "close"))
            self.last = True
        elif odd < 0.08:
            version, self.last = "HTTP/1.0", True
        if self.method == "POST":
            body = body_of(ident, rnd.choice((0, 1, 100, 5000, 20_000, 70_000, 200_000)))
            if version == "HTTP/1.1" and rnd.random() < 0.3:
                chunked = True
                cut = rnd.randrange(len(body) + 1)
                body = [body[:cut], body[cut:]]
            if version == "HTTP/1.1" and rnd.random() < 0.1:
                headers.append(("Expect", "100-continue"))
        self.data = build(self.method, f"/{ident}", headers, body, chunked, version=version)

    def check(self, r, unsteady):
        if r.get("x-id") is None and r.status in (502, 503, 504):
            if self.may_fail or (unsteady and r.status == 502):
                return
            raise Wrong(f"{self}: {r}")
        if r.get("x-id") is None and r.status == 408 and unsteady:
            return  # a server's own, sent as the lane was taken
        if r.status != 200 or r.get("x-id") != self.id:
            raise Wrong(f"{self}: {r} {r.body[:60]!r}")
        want = b"" if self.method == "HEAD" else body_of(self.id, self.size)
        if r.body != want:
            raise Wrong(f"{self}: {differ(r.body, want)}")

    def __repr__(self):
        return f"{self.method} {self.id} {self.op}:{self.args} {len(self.data)} bytes"


class Adversary:
    """One client: connections at random until it is told to stop."""

    def __init__(self, seed, me, ops, kills=None, front=FRONT):
        self.random = random.Random(f"{seed}/{me}")
        self.me, self.ops, self.front = me, ops, front
        self.unsteady = bool(UNSTEADY & set(ops))
        self.kills = kills  # a worker is killed now and then: connections may end
        self.n = self.answered = 0
        self.unsent = False  # on this connection
        self.ways = collections.Counter()

    def want(self):
        self.n += 1
        return Want(self.random, f"{self.me}-{self.n}", self.ops)

    def connection(self):
        rnd = self.random
        way = rnd.choice(("serial", "serial", "serial", "pipeline", "train", "half", "reset",
                          "reset_mid", "dribble"))
        self.ways[way] += 1
        self.unsent = False
        conn = Conn(self.front, timeout=30, rcvbuf=rnd.choice((None, None, 4096)))
        trail = []
        try:
            getattr(self, "way_" + way)(conn, rnd, trail)
        except Wrong:
            raise
        except (BadResponse, OSError) as e:
            if not self.excused(trail, e):
                raise Wrong(f"{way}: {type(e).__name__} {str(e)[:300]} at {trail[-3:]}") from None
        finally:
            quiet_close(conn.sock, reset=way.startswith("reset"))

    def excused(self, trail, e):
        """Whether the connection may end so: never with bytes that are no answer."""
        if isinstance(e, BadResponse) and not isinstance(e, Closed):
            return False
        if isinstance(e, TimeoutError):
            return False
        if self.unsent and (self.unsteady or self.kills):
            return True
        if isinstance(e, Closed) and e.got and trail and trail[-1].op not in ("die_mid",):
            if not self.kills or not (body_of(trail[-1].id, trail[-1].size).startswith(e.got) or
                                      e.got.startswith((b"HTTP/1.1 ", b"\r\n")) or
                                      b"HTTP/1.1 200 OK".startswith(e.got)):
                return bool(trail[-1].may_fail)
        # A server that answers early and hangs up ends the session behind its answer.
        early = any(want.op == "early_close" and want.method == "POST" for want in trail[-8:])
        return bool(self.kills or early or (trail and trail[-1].may_fail))

    def read(self, conn, want):
        r = conn.response(want.method)
        want.check(r, self.unsteady)
        self.answered += 1
        if (r.get("connection") or "").lower() == "close" or r.until_close:
            if not conn.at_eof():
                raise Wrong(f"{want}: bytes behind the last answer {bytes(conn.buf[:80])!r}")
            return False
        return not want.last

    def way_serial(self, conn, rnd, trail):
        for _ in range(rnd.randrange(1, 20)):
            want = self.want()
            trail.append(want)
            cuts = rnd.choice((0, 0, 0, 1, 2))
            self.send(conn, want.data, cuts, rnd)
            if rnd.random() < 0.02:
                time.sleep(0.02)
            if not self.read(conn, want):
                return
        if conn.buf:
            raise Wrong(f"bytes behind the last answer {bytes(conn.buf[:80])!r}")

    def send(self, conn, data, cuts, rnd):
        """A send that fails on a connection that lives (see tests/e2e/torture/wire.c) ends it."""
        at = [0] + sorted(rnd.randrange(len(data)) for _ in range(cuts)) + [len(data)]
        try:
            for a, b in zip(at, at[1:]):
                if b > a:
                    conn.send(data[a:b])
        except BrokenPipeError:
            if is_established(conn.sock):
                self.unsent = True
                quiet_shutdown(conn.sock)
        except ConnectionResetError:
            pass  # answered early, perhaps

    def way_dribble(self, conn, rnd, trail):
        """A short request byte by byte, then an ordinary one on the same connection."""
        for _ in range(2):
            want = self.want()
            trail.append(want)
            head = want.data.index(b"\r\n\r\n") + 4
            for i in range(head):
                conn.send(want.data[i:i + 1])
            self.send(conn, want.data[head:], 0, rnd) if head < len(want.data) else None
            if not self.read(conn, want):
                return

    def many(self, rnd, trail):
        wants = [self.want() for _ in range(rnd.randrange(2, 6))]
        for i, want in enumerate(wants):
            if want.last:
                del wants[i + 1:]
                break
        trail += wants
        return wants

    def read_all(self, conn, wants, trail):
        """True if the connection goes on."""
        return all(trail.append(want) or self.read(conn, want) for want in wants)

    def way_pipeline(self, conn, rnd, trail):
        for _ in range(rnd.randrange(1, 4)):
            wants = self.many(rnd, trail)
            data = b"".join(w.data for w in wants)
            # Both ends would wait for each other if this did not read meanwhile.
            sender = threading.Thread(target=self.send, args=(conn, data, 0, rnd))
            sender.start()
            more = False
            try:
                more = self.read_all(conn, wants, trail)
            finally:
                if not more:
                    quiet_shutdown(conn.sock)
                sender.join()
            if not more:
                return

    def way_train(self, conn, rnd, trail):
        """Requests in sends of their own, without waiting, with tiny gaps."""
        wants = self.many(rnd, trail)

        def sender():
            for want in wants:
                self.send(conn, want.data, rnd.choice((0, 0, 1)), rnd)
                if rnd.random() < 0.5:
                    time.sleep(rnd.random() * 0.001)
        thread = threading.Thread(target=sender)
        thread.start()
        try:
            self.read_all(conn, wants, trail)
        finally:
            quiet_shutdown(conn.sock)
            thread.join()

    def way_half(self, conn, rnd, trail):
        """Requests, then half-close right behind the last."""
        for _ in range(rnd.randrange(0, 3)):
            want = self.want()
            trail.append(want)
            self.send(conn, want.data, 0, rnd)
            if not self.read(conn, want):
                return
        want = self.want()
        trail.append(want)
        self.send(conn, want.data, rnd.choice((0, 1)), rnd)
        quiet_shutdown(conn.sock, socket.SHUT_WR)
        if self.read(conn, want) and not conn.at_eof():
            raise Wrong(f"{want}: bytes behind the last answer {bytes(conn.buf[:80])!r}")

    def way_reset(self, conn, rnd, trail):
        """RST (see connection()) in the middle of a request, or right behind it."""
        for _ in range(rnd.randrange(0, 3)):
            want = self.want()
            trail.append(want)
            self.send(conn, want.data, 0, rnd)
            if not self.read(conn, want):
                return
        want = self.want()
        self.send(conn, want.data[:rnd.randrange(1, len(want.data) + 1)], 0, rnd)

    def way_reset_mid(self, conn, rnd, trail):
        """RST in the middle of the answer."""
        want = self.want()
        trail.append(want)
        self.send(conn, want.data, 0, rnd)
        conn.sock.recv(rnd.choice((1, 50, 300, 30_000)))


def is_established(sock):
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1
    except OSError:
        return False


def quiet_shutdown(sock, how=socket.SHUT_RDWR):
    try:
        sock.shutdown(how)
    except OSError:
        pass


class Crowd:
    """@clients adversaries, each in a thread, for @seconds or until one finds something wrong."""

    def __init__(self, seed, clients, ops, kills=False, front=FRONT):
        self.stop = threading.Event()
        self.wrong = []
        self.all = [Adversary(seed, i, ops, kills, front) for i in range(clients)]
        self.threads = [threading.Thread(target=self.run, args=(a,), daemon=True)
                        for a in self.all]
        for thread in self.threads:
            thread.start()

    def run(self, a):
        while not self.stop.is_set():
            try:
                a.connection()
            except Exception as e:
                self.wrong.append(f"client {a.me}: {type(e).__name__}: {e}")
                if os.environ.get("ADVERSARY_GO_ON"):
                    print("   ", self.wrong[-1], flush=True)
                    continue
                self.stop.set()

    def join(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(60)
        return sum(a.answered for a in self.all)


def server_wrong(t):
    return [line for p in t.procs if p.name == "adversary"
            for line in p.log().splitlines() if line.startswith(("WRONG", "Traceback"))]


def serve_all(t, door, split=True):
    for port in PORTS:
        p = t.start(["/usr/bin/python3", os.path.abspath(__file__), port, f"s{port}"],
                    name="adversary")
        p.wait_port(("127.0.0.1", port))
    clusters = {f"s{port}": [("127.0.0.1", port)] for port in PORTS}
    routes = [route(weights={name: 50 for name in clusters}, name="all")]
    return t.sluice(config(FRONT, clusters, routes, DOORS[door], connect_timeout="5s"))


def go(t, door, ops, seconds, clients=8, kills=False):
    seed = os.environ.get("ADVERSARY_SEED") or str(random.randrange(1 << 32))
    seconds = float(os.environ.get("ADVERSARY_SECONDS") or seconds)
    print(f"    {t.name}: seed {seed}", flush=True)
    rnd = random.Random(seed)
    s = serve_all(t, door)
    crowd = Crowd(seed, clients, ops, kills)
    end = time.monotonic() + seconds
    killed = time.monotonic()
    while time.monotonic() < end and not crowd.stop.wait(0.02):
        weight = rnd.randrange(101)
        s.weights("all", s9001=weight, s9002=100 - weight)
        if kills and time.monotonic() - killed > 1.5:
            s.kill_worker()
            killed = time.monotonic()
    answered = crowd.join()
    assert not crowd.wrong, f"seed {seed}: {len(crowd.wrong)} wrong: {crowd.wrong[:4]}"
    assert not server_wrong(t), f"seed {seed}: {server_wrong(t)[:4]}"
    stats = s.stats()
    t.note(f"{answered} answers, {stats}")
    assert answered > 0
    if not kills:
        assert "worker died" not in s.proc.log(), s.proc.log()[-2000:]
    t.wait(lambda: s.stats().tree["sessions"]["open"] == 0, "no session is left", 20)
    s.check()
    s.stop()


STEADY = sorted(set(OPS) - UNSTEADY)


if __name__ == "__main__":
    threading.stack_size(256 * 1024)
    Server(int(sys.argv[1]), sys.argv[2]).run()
