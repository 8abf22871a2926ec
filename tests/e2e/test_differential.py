# SPDX-License-Identifier: GPL-2.0-only
"""The same conversations by the kernel path and by the user path: the same bytes at the backend and
at the client, but for what the user path is documented to change (README: headers of one hop,
where they stand, `connection: close`).

A seed makes the conversations; $DIFFERENTIAL_SEED repeats one.
"""
import os
import random
import socket
import threading

from lib.config import DOORS, config, route
from lib.http1 import Conn
from lib.runner import test
from lib.servers import serve_each

FRONT, BACK = ("127.0.0.1", 8000), 9001
ONE_HOP = {"connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"}
CONVERSATIONS = 60


def chunked(rnd, data):
    out, at = bytearray(), 0
    while at < len(data):
        n = min(len(data) - at, rnd.choice((1, 16, 700, 20_000)))
        out += b"%x%b\r\n%b\r\n" % (n, rnd.choice((b"", b"", b";e=1")), data[at:at + n])
        at += n
    return bytes(out) + b"0\r\n" + rnd.choice((b"", b"", b"X-Trailer: 1\r\n")) + b"\r\n"


def headers(rnd):
    some = [f"X-{rnd.randrange(100)}: {'v' * rnd.randrange(50)}", "Accept: */*", "X-Empty:",
            "Connection: keep-alive", "Keep-Alive: timeout=9", "TE: trailers", "Cookie: a=b; c=d",
            "x-lower:tight", "X-Tab:\ta\tb \t"]
    return "".join(line + "\r\n" for line in rnd.sample(some, rnd.randrange(5)))


def size(rnd):
    return rnd.choice((0, 1, 20, 300, 2000, 9000, 40_000, 90_000))


class Exchange:
    """What the client sends, and what the server answers, both to the byte."""

    def __init__(self, rnd, name):
        self.method = rnd.choice(("GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "X"))
        head = f"{self.method} /{name}?q={rnd.randrange(9)} HTTP/1.1\r\nHost: h{rnd.randrange(3)}\r\n"
        head += headers(rnd)
        body = b""
        if self.method in ("POST", "PUT"):
            body = rnd.randbytes(size(rnd))
            if rnd.random() < 0.4:
                head += "Transfer-Encoding: chunked\r\n"
                body = chunked(rnd, body)
            else:
                head += f"Content-Length: {len(body)}\r\n"
        self.request = head.encode() + b"\r\n" + body
        status = rnd.choice((200, 200, 200, 200, 201, 204, 304, 404, 503))
        answer = f"HTTP/1.1 {status} {rnd.choice(('OK', 'Odd Reason', ''))}\r\nX-Of: {name}\r\n"
        answer += headers(rnd)
        body, bare = rnd.randbytes(size(rnd)), self.method == "HEAD" or status in (204, 304)
        if status == 204:
            pass
        elif rnd.random() < 0.4:
            answer += "Transfer-Encoding: chunked\r\n"
            body = chunked(rnd, body)
        else:
            answer += f"Content-Length: {len(body)}\r\n"
        hint = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" if rnd.random() < 0.05 else b""
        self.answer = hint + answer.encode() + b"\r\n" + (b"" if bare else body)
        self.cuts = sorted(rnd.randrange(1, len(self.answer))
                           for _ in range(rnd.choice((0, 0, 1, 3))))


    def messages(self):
        """Of the answer: an interim one has no body."""
        if not self.answer.startswith(b"HTTP/1.1 103"):
            return [self.answer]
        end = self.answer.index(b"\r\n\r\n") + 4
        return [self.answer[:end], self.answer[end:]]


class Conversation:
    def __init__(self, seed, number):
        rnd = random.Random(f"{seed}/{number}")
        self.exchanges = [Exchange(rnd, f"{number}-{i}") for i in range(rnd.randrange(1, 8))]
        self.pipelined = rnd.random() < 0.2
        self.cuts = rnd.choice((0, 0, 0, 1, 4))
        self.random = rnd


def cut(rnd, data, n):
    at = [0, *sorted(rnd.randrange(len(data)) for _ in range(n)), len(data)]
    return [data[a:b] for a, b in zip(at, at[1:]) if a < b]


class Scripted:
    """A server that keeps what it is sent, by exchange, and answers by the script."""

    def __init__(self, t, exchanges):
        self.by_name = {x.request.split(b" ", 2)[1]: x for x in exchanges}
        self.got = {}
        self.listener = t.listen(BACK, backlog=64)
        serve_each(self.listener, self.serve)

    def serve(self, sock):
        reader = Reader(sock)
        with sock:
            while True:
                raw = reader.message(request=True)
                if raw is None:
                    return
                target = raw.split(b" ", 2)[1]
                self.got[target] = raw
                x = self.by_name[target]
                for a, b in zip([0, *x.cuts], [*x.cuts, len(x.answer)]):
                    sock.sendall(x.answer[a:b])


class Reader:
    """Messages as they are on the wire, to the byte."""

    def __init__(self, sock):
        self.sock, self.buf = sock, b""

    def until(self, end, start=0):
        """Offset behind the next @end from @start on."""
        while True:
            at = self.buf.find(end, start)
            if at >= 0:
                return at + len(end)
            if not self.more():
                return None

    def more(self):
        data = self.sock.recv(262144)
        self.buf += data
        return bool(data)

    def message(self, request=False, bare=False):
        end = self.until(b"\r\n\r\n")
        if end is None:
            assert not self.buf, f"EOF in a head: {self.buf[:100]!r}"
            return None
        fields = dict(parse(self.buf[:end])[1])
        if not bare and "transfer-encoding" in fields:
            end = self.chunks(end)
        elif not bare:
            end += int(fields.get("content-length", 0))
        while len(self.buf) < end:
            assert self.more(), "EOF in a body"
        raw, self.buf = self.buf[:end], self.buf[end:]
        return raw

    def chunks(self, at):
        while True:
            line = self.until(b"\r\n", at)
            n = int(self.buf[at:line].split(b";")[0], 16)
            if n == 0:
                while self.until(b"\r\n", line) != line + 2:
                    line = self.until(b"\r\n", line)
                return line + 2
            at = line + n + 2
            while len(self.buf) < at:
                assert self.more(), "EOF in a chunk"


def parse(head):
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = [line.partition(":")[::2] for line in lines if line]
    return first, [(n.lower(), v.strip(" \t")) for n, v in fields]


def comparable(raw):
    """First line, headers that are not for one hop in their order, and the body with its framing."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, fields = parse(head)
    return first, [f for f in fields if f[0] not in ONE_HOP], body


def converse(c):
    """What the client gets, message by message."""
    got = []
    with Conn(FRONT, timeout=15) as conn:
        reader = Reader(conn.sock)

        def answers(x):
            while True:
                raw = reader.message(bare=x.method == "HEAD" or is_bare(reader))
                assert raw is not None, f"EOF before the answer to {x.request[:60]!r}"
                got.append(raw)
                if not raw.startswith(b"HTTP/1.1 1"):
                    return
        if c.pipelined:
            data = b"".join(x.request for x in c.exchanges)
            sender = threading.Thread(target=conn.send_pieces, args=(cut(c.random, data, c.cuts),))
            sender.start()
            for x in c.exchanges:
                answers(x)
            sender.join()
        else:
            for x in c.exchanges:
                conn.send_pieces(cut(c.random, x.request, c.cuts))
                answers(x)
    return got


def is_bare(reader):
    """Has the next answer no body by its status?"""
    while len(reader.buf) < 12:
        assert reader.more(), f"EOF in a status line: {reader.buf!r}"
    return reader.buf[9:12] in (b"204", b"304") or reader.buf[9:10] == b"1"


def script(seed):
    return [Conversation(seed, i) for i in range(CONVERSATIONS)]


def run(t, seed, settings):
    """All conversations. Returns what the backend got by target, and the clients, and stats."""
    conversations = script(seed)
    server = Scripted(t, [x for c in conversations for x in c.exchanges])
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", BACK)]}, [route(to="one")], settings))
    with Conn(FRONT):  # the listener is there
        pass
    clients = [converse(c) for c in conversations]
    stats = s.stats()
    s.stop()
    server.listener.shutdown(socket.SHUT_RDWR)
    server.listener.close()
    return server.got, clients, stats


def same(seed, said, *paths):
    """What came by each path is what was said."""
    for got in paths:
        a, b = comparable(said), comparable(got)
        assert a == b, f"seed {seed}: {a!r:.300} became {b!r:.300}"


@test(seconds=120, each=[d for d in DOORS if d != "user"])
def paths(t, door):
    seed = os.environ.get("DIFFERENTIAL_SEED") or str(random.randrange(1 << 32))
    print(f"    {t.name}: seed {seed}", flush=True)
    kernel_back, kernel_clients, stats = run(t, seed, DOORS[door])
    user_back, user_clients, _ = run(t, seed, DOORS["user"])
    t.note(stats)
    assert stats.by_door(door) > 20, f"seed {seed}: {stats}"
    for c, one, two in zip(script(seed), kernel_clients, user_clients):
        for x in c.exchanges:
            target = x.request.split(b" ", 2)[1]
            same(seed, x.request, kernel_back[target], user_back[target])
        said = [raw for x in c.exchanges for raw in x.messages()]
        assert len(said) == len(one) == len(two), f"seed {seed}: {said[0][:60]!r}"
        for raw in zip(said, one, two):
            same(seed, *raw)
