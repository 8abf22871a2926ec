# SPDX-License-Identifier: GPL-2.0-only
"""Framing at every door: how heads and bodies may be sent, and what may stand around them."""
import os
import socket

from lib import linux
from lib.config import DOORS, config, route
from lib.data import differ, pattern
from lib.http1 import Closed, Conn, build
from lib.runner import test
from lib.servers import serve_each

FRONT = ("127.0.0.1", 8000)
TRAILED = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" \
          b"5;ext=\"a b\"\r\nhello\r\n1\r\n,\r\n00a\r\n 0123\r\n567\r\n0\r\nOne: x\r\nTwo: y\r\n\r\n"
BODY = pattern(30_000, 2)


def head(*lines):
    return "\r\n".join(("HTTP/1.1 200 OK", *lines, "", "")).encode()


LENGTH = head(f"Content-Length: {len(BODY)}")
CHUNKED = head("Transfer-Encoding: chunked") + b"%x;n=1;m=\"x y\"\r\n" % len(BODY) + BODY + \
    b"\r\n0\r\nT: x\r\nU: y\r\n\r\n"
HINT = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
WHOLE = {  # path: (bytes in one send, whether the connection ends)
    "/length": (LENGTH + BODY, False),
    "/chunked": (CHUNKED, False),
    "/hints": (HINT * 3 + LENGTH + BODY, False),
    "/http10": (LENGTH.replace(b"1.1", b"1.0") + BODY, True),
    "/http10-keeps": (LENGTH.replace(b"1.1", b"1.0").replace(
        b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n") + BODY, False),
    "/http10-end": (b"HTTP/1.0 200 OK\r\n\r\n" + BODY, True),
    "/until-end": (head() + BODY, True),
    "/says-close": (head("Connection: close", f"Content-Length: {len(BODY)}") + BODY, True),
    "/says-close-stays": (head("Connection: close", f"Content-Length: {len(BODY)}") + BODY, False),
}


class Backend:
    """Reads strictly; answers by the path, see WHOLE and _special()."""

    def __init__(self, t, port=9001):
        self._listener = t.listen(port, backlog=512)
        self._file = f"{t.tmpdir('sent')}/body"
        with open(self._file, "wb") as f:
            f.write(BODY)
        serve_each(self._listener, self._serve)

    def _serve(self, conn):
        reader = Reader(conn)
        with conn:
            try:
                while self._one(conn, reader):
                    pass
            except (OSError, EOFError):
                pass

    def _one(self, conn, reader):
        path, headers = reader.head()
        if path == "/refuses":
            conn.sendall(b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\n"
                         b"Content-Length: 3\r\n\r\nno\n")
            return False
        body = reader.body(headers)
        if path == "/echo":
            conn.sendall(head(f"Content-Length: {len(body)}") + body)
            return True
        if path in WHOLE:
            conn.sendall(WHOLE[path][0])
            return not WHOLE[path][1]
        return self._special(conn, path)

    def _special(self, conn, path):
        if path == "/writev":
            conn.sendmsg([LENGTH[:9], LENGTH[9:], BODY[:1], BODY[1:20_000], BODY[20_000:]])
        elif path == "/more":
            conn.send(LENGTH, socket.MSG_MORE)
            conn.send(BODY[:5000], socket.MSG_MORE)
            conn.sendall(BODY[5000:])
        elif path == "/sendfile":
            conn.send(LENGTH, socket.MSG_MORE)
            with open(self._file, "rb") as f:
                at = 0
                while at < len(BODY):
                    at += os.sendfile(conn.fileno(), f.fileno(), at, len(BODY) - at)
        elif path == "/hints-apart":
            for _ in range(3):
                conn.sendall(HINT)
            conn.sendall(LENGTH)
            conn.sendall(BODY)
        elif path == "/204":
            conn.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif path == "/304":
            conn.sendall(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5000\r\n\r\n")
        elif path == "/head":
            conn.sendall(LENGTH)
        return True


class Reader:
    def __init__(self, conn):
        self.conn, self.buf = conn, bytearray()

    def _fill(self):
        data = self.conn.recv(262144)
        if not data:
            raise EOFError
        self.buf += data

    def _line(self):
        while b"\r\n" not in self.buf:
            self._fill()
        line, _, self.buf = self.buf.partition(b"\r\n")
        return bytes(line).decode()

    def _exactly(self, n):
        while len(self.buf) < n:
            self._fill()
        out = bytes(self.buf[:n])
        del self.buf[:n]
        return out

    def head(self):
        path, headers = self._line().split(" ")[1], {}
        while True:
            line = self._line()
            if not line:
                return path, headers
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()

    def body(self, headers):
        if "transfer-encoding" not in headers:
            return self._exactly(int(headers.get("content-length", 0)))
        out = b""
        while True:
            n = int(self._line().split(";")[0], 16)
            if not n:
                while self._line():
                    pass
                return out
            out += self._exactly(n)
            assert self._line() == ""


def same(r, want, what):
    assert r.status == 200, f"{what}: {r}"
    wrong = differ(r.body, want)
    assert wrong is None, f"{what}: {wrong}"


def answers(t):
    """Each shape of answer again and again on one connection, as far as it stays."""
    shapes = [*WHOLE, "/writev", "/more", "/sendfile", "/hints-apart"]
    for shape in shapes:
        conn = Conn(FRONT)
        for n in range(4):
            same(conn.get("/length"), BODY, f"before {shape}")
            r = conn.get(shape)
            same(r, BODY, f"{shape}, {n}")
            if "hints" in shape:
                assert [i.status for i in r.informational] == [103] * 3, r.informational
                assert r.informational[2].get("link") == "</a>", r.informational[2]
            if r.until_close or (r.get("connection") or "").lower() == "close":
                assert conn.at_eof(), shape
                conn.close()
                conn = Conn(FRONT)
        conn.close()
    with Conn(FRONT) as conn:
        for path, method in (("/204", "GET"), ("/304", "GET"), ("/head", "HEAD")) * 3:
            r = conn.request(method, path)
            assert r.status in (200, 204, 304) and r.body == b"", f"{method} {path}: {r}"
            same(conn.get("/chunked"), BODY, f"after {method} {path}")


def senders(t):
    """Requests by writev, MSG_MORE and sendfile; heads and chunks in any pieces."""
    path = f"{t.tmpdir('up')}/body"
    with open(path, "wb") as f:
        f.write(BODY)
    whole = build("POST", "/echo", body=BODY)
    end = len(whole) - len(BODY)
    with Conn(FRONT) as conn, open(path, "rb") as f:
        for n in range(5):
            conn.sock.sendmsg([whole[:7], whole[7:end], whole[end:end + 1], whole[end + 1:]])
            same(conn.response(), BODY, f"writev {n}")
            conn.sock.send(whole[:7], socket.MSG_MORE)
            conn.sock.send(whole[7:end], socket.MSG_MORE)
            conn.send(whole[end:])
            same(conn.response(), BODY, f"MSG_MORE {n}")
            conn.sock.send(whole[:end], socket.MSG_MORE)
            at = 0
            while at < len(BODY):
                at += os.sendfile(conn.sock.fileno(), f.fileno(), at, len(BODY) - at)
            same(conn.response(), BODY, f"sendfile {n}")
            conn.send(build("GET", "/length"))
            same(conn.response(), BODY, "a plain one")
    small = build("POST", "/echo", [("X-Some", "thing")], b"0123456789")
    with Conn(FRONT) as conn:
        for what, raw, want in (("head", small, b"0123456789"),
                                ("empty lines", b"\r\n\r\n" + small, b"0123456789"),
                                ("chunks", TRAILED, b"hello, 0123\r\n567")):
            for cut in range(1, len(raw)):
                conn.send_pieces([raw[:cut], raw[cut:]])
                same(conn.response(), want, f"{what} cut at {cut}")
            conn.send_pieces([raw[i:i + 1] for i in range(len(raw))])
            same(conn.response(), want, f"{what} byte by byte")


def trains(t):
    """Several requests in one send, and split where it hurts; answered in order."""
    with Conn(FRONT) as conn:
        for n in range(10):
            bodies = [pattern(1000 * i, i + n) for i in range(8)]
            raw = b"".join(build("POST", "/echo", body=b) + build("GET", "/chunked")
                           for b in bodies)
            step = len(raw) // (n + 1) + 1
            conn.send_pieces([raw[i:i + step] for i in range(0, len(raw), step)])
            for i, body in enumerate(bodies):
                same(conn.response(), body, f"train {n}, {i}")
                same(conn.response(), BODY, f"train {n}, {i}")
    for n in range(5):
        with Conn(FRONT) as conn:
            same(conn.get("/length"), BODY, "warm")
            conn.send(build("GET", "/length") * 3 +
                      build("GET", "/chunked", [("Connection", "close")]))
            for i in range(4):
                same(conn.response(), BODY, f"closed train, {i}")
            assert conn.at_eof()


def early(t):
    """A backend that refuses a body and closes: its answer arrives, and nothing is mistaken."""
    for size in (10, 100_000, 2_000_000):
        for warm in (0, 3):
            with Conn(FRONT) as conn:
                for _ in range(warm):
                    same(conn.get("/length"), BODY, "warm")
                try:
                    r = conn.request("POST", "/refuses", body=pattern(size, 1))
                    assert r.status in (413, 502), f"{size}: {r}"
                    assert r.status == 502 or r.body == b"no\n", f"{size}: {r}"
                except (Closed, ConnectionResetError):
                    assert size > 100_000, f"no answer to {size} bytes"


def old_clients(t):
    """HTTP/1.0 without and with keep-alive, to every shape of answer."""
    for shape in ("/length", "/chunked", "/hints", "/until-end", "/http10"):
        with Conn(FRONT) as conn:
            conn.send(build("GET", shape, version="HTTP/1.0"))
            r = conn.response()
            same(r, BODY, f"1.0 {shape}")
            assert not r.get("transfer-encoding") and not r.informational and conn.at_eof(), r
    with Conn(FRONT) as conn:
        for _ in range(3):
            conn.send(build("POST", "/echo", [("Connection", "keep-alive")], BODY,
                            version="HTTP/1.0"))
            same(conn.response(), BODY, "1.0 keep-alive")
            same(conn.get("/length"), BODY, "1.1 behind it")


@test(seconds=90, each=list(DOORS))
def by_door(t, door):
    Backend(t)
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")], DOORS[door]))
    wrong = []
    for subject in (answers, senders, trains, early, old_clients):
        try:
            subject(t)
        except (AssertionError, OSError) as e:
            wrong.append(f"{subject.__name__}: {type(e).__name__}: {e}")
    assert not wrong, "; ".join(wrong)
    s.check()


@test(each=list(DOORS))
def cut_empty_lines(t, door):
    """An empty line before a request may come in two halves, however far apart; one that is never
    whole is no request."""
    Backend(t)
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")], DOORS[door]))

    def all_is_read():
        return all(row[4].endswith(":00000000") for row in linux.tcp_sockets(s.worker(), FRONT[1])
                   if row[3] == "01")

    def send(conn, *pieces):
        for piece in pieces:
            t.wait(all_is_read, "the daemon has what was sent before")
            conn.send(piece)
    for warm in (0, 3):
        with Conn(FRONT) as conn:
            for _ in range(warm):
                same(conn.get("/length"), BODY, "warm")
            for lines in ((b"\r", b"\n"), (b"\r\n", b"\r", b"\n\r\n\r", b"\n")):
                send(conn, *lines[:-1], lines[-1] + build("GET", "/length"))
                same(conn.response(), BODY, f"{lines} after {warm}")
            send(conn, build("GET", "/length") + b"\r", b"\n" + build("GET", "/chunked"))
            same(conn.response(), BODY, "before half a line")
            same(conn.response(), BODY, "behind half a line")
            send(conn, b"\r")
            conn.sock.shutdown(socket.SHUT_WR)
            assert conn.at_eof(), "an answer to no request"
        with Conn(FRONT) as conn:
            send(conn, b"\r", b"\r")
            assert conn.response().status == 400 and conn.at_eof()
    s.check()


@test()
def reasons(t):
    """What the kernel path leaves to the daemon of a body is counted for what it is."""
    Backend(t)
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")]))
    body = pattern(1000, 1)

    def count(reason, send):
        """BPF may be the one that ends an exchange: then it counts as the kernel path's."""
        before = s.stats().reasons
        for _ in range(60):
            with Conn(FRONT) as conn:
                same(conn.get("/length"), BODY, "warm")
                send(conn)
                same(conn.response(), body, reason)
            more = {r for r, n in s.stats().reasons.items() if n > before.get(r, 0)}
            assert not more & {"not_canonical", "body_large", "door_off"}, more
            if reason in more:
                return
        raise AssertionError(f"{reason} is not among {more}")

    chunks = build("POST", "/echo", body=[body[i:i + 5] for i in range(0, 1000, 5)], chunked=True)
    count("chunks_many", lambda conn: conn.send(chunks))
    whole = build("POST", "/echo", body=body)
    count("body_parts", lambda conn: conn.send_pieces([whole[:-400], whole[-400:]]))
    s.check()
