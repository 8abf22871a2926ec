# SPDX-License-Identifier: GPL-2.0-only
"""Answers of a hostile backend: 502, or an answer that is seen to be cut; never a wrong end taken
as the right one, and never a byte of one exchange in another."""
import socket
import struct

from lib.config import config, route
from lib.http1 import BadResponse, Closed, Conn
from lib.recorder import ANSWER, Recorder
from lib.runner import test

FRONT = ("127.0.0.1", 8000)
PATHS = {"kernel": {}, "user": {"kernel_path": False}}

OK = b"HTTP/1.1 200 OK\r\n"
TE = OK + b"Transfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL"
HINT = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
LEN2 = b"Content-Length: 2\r\n\r\nok"

# Answered 502 by sluice: the backend's bytes go nowhere.
REFUSED = {
    "line-2.0": b"HTTP/2.0 200 OK\r\n" + LEN2,
    "line-1.2": b"HTTP/1.2 200 OK\r\n" + LEN2,
    "line-lower": b"http/1.1 200 OK\r\n" + LEN2,
    "line-icy": b"ICY 200 OK\r\n" + LEN2,
    "line-no-version": b"200 OK\r\n" + LEN2,
    "line-2-digits": b"HTTP/1.1 20 OK\r\n" + LEN2,
    "line-4-digits": b"HTTP/1.1 2000 OK\r\n" + LEN2,
    "line-letter": b"HTTP/1.1 2x0 OK\r\n" + LEN2,
    "line-sign": b"HTTP/1.1 +20 OK\r\n" + LEN2,
    "line-099": b"HTTP/1.1 099 OK\r\n" + LEN2,
    "line-600": b"HTTP/1.1 600 OK\r\n" + LEN2,
    "line-two-spaces": b"HTTP/1.1  200 OK\r\n" + LEN2,
    "line-tab": b"HTTP/1.1\t200 OK\r\n" + LEN2,
    "line-space-first": b" HTTP/1.1 200 OK\r\n" + LEN2,
    "line-empty-first": b"\r\nHTTP/1.1 200 OK\r\n" + LEN2,
    "line-nul": b"HTTP/1.1 200 O\0K\r\n" + LEN2,
    "line-lf": b"HTTP/1.1 200 OK\n" + LEN2,
    "line-cr": b"HTTP/1.1 200 OK\rX: y\r\n" + LEN2,
    "line-long": b"HTTP/1.1 200 " + b"x" * 70000 + b"\r\n" + LEN2,
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 9,
    "body-only": b"<html>EVIL</html>\r\n\r\n",
    "request": b"GET /evil HTTP/1.1\r\nHost: evil\r\n\r\n",
    "lf-end": OK + b"Content-Length: 2\r\n\nok",
    "lf-field": OK + b"X: y\n" + LEN2,
    "cr-field": OK + b"X: a\rContent-Length: 4\r\n" + LEN2,
    "fold": OK + b"X: a\r\n Content-Length: 4\r\n" + LEN2,
    "fold-first": OK + b" X: a\r\n" + LEN2,
    "name-space-colon": OK + b"Content-Length : 4\r\n" + LEN2,
    "name-empty": OK + b": y\r\n" + LEN2,
    "name-none": OK + b"nonsense\r\n" + LEN2,
    "name-nul": OK + b"X\0: y\r\n" + LEN2,
    "value-nul": OK + b"X: \0\r\n" + LEN2,
    "value-esc": OK + b"X: \x1b\r\n" + LEN2,
    "head-70000": OK + (b"X: " + b"y" * 2000 + b"\r\n") * 35 + LEN2,
    "headers-65": OK + b"X: y\r\n" * 64 + LEN2,
    "head-half": OK + b"X: y\r\n",
    "cl-te": OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + END + EVIL,
    "te-cl": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + END + EVIL,
    "cl-twice": OK + b"Content-Length: 0\r\nContent-Length: 4\r\n\r\n" + EVIL,
    "cl-twice-same": OK + b"Content-Length: 2\r\n" + LEN2,
    "cl-list": OK + b"Content-Length: 2, 2\r\n\r\nok",
    "cl-plus": OK + b"Content-Length: +2\r\n\r\nok",
    "cl-minus": OK + b"Content-Length: -1\r\n\r\nok",
    "cl-hex": OK + b"Content-Length: 0x2\r\n\r\nok",
    "cl-empty": OK + b"Content-Length:\r\n\r\nok",
    "cl-2-64": OK + b"Content-Length: 18446744073709551618\r\n\r\nok",
    "te-twice": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + END,
    "te-list": OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + END,
    "te-gzip": OK + b"Transfer-Encoding: gzip\r\n\r\nok",
    "te-gzip-chunked": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + END,
    "te-identity": OK + b"Transfer-Encoding: identity\r\n\r\nok",
    "te-x": OK + b"Transfer-Encoding: xchunked\r\n\r\n" + END,
    "te-space-colon": OK + b"Transfer-Encoding : chunked\r\n\r\n" + END,
    "te-http10": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + END,
    "101": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" + EVIL,
    "100-length": b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nHTTP/" + EVIL,
    "103-chunked": b"HTTP/1.1 103 Hints\r\nTransfer-Encoding: chunked\r\n\r\n" + END + EVIL,
    "204-length": b"HTTP/1.1 204 None\r\nContent-Length: 4\r\n\r\nEVIL",
    "204-chunked": b"HTTP/1.1 204 None\r\nTransfer-Encoding: chunked\r\n\r\n" + END,
    "nothing": b"",
    "hints-only": HINT * 3,
}

# The client has seen the head, so only the end can tell: FIN, or RST with True.
CUT = {
    "length-short": (OK + b"Content-Length: 10\r\n\r\n012345678", False),
    "length-none": (OK + b"Content-Length: 10\r\n\r\n", False),
    "length-short-reset": (OK + b"Content-Length: 10\r\n\r\n012345678", True),
    "length-5-million": (OK + b"Content-Length: 5000000\r\n\r\n" + EVIL, False),
    "to-end-reset": (OK + b"\r\n0123456789", True),
    "http10-reset": (b"HTTP/1.0 200 OK\r\n\r\n0123456789", True),
    "chunks-no-end": (TE + b"1\r\na\r\n", False),
    "chunks-half-end": (TE + b"1\r\na\r\n0\r\n", False),
    "chunks-no-data": (TE + b"5\r\nab", False),
    "chunks-none": (TE, False),
    "chunks-reset": (TE + b"1\r\na\r\n0\r\n", True),
    "chunk-word": (TE + b"1\r\na\r\nzz\r\n" + END + EVIL, False),
    "chunk-empty-size": (TE + b"1\r\na\r\n\r\n" + END + EVIL, False),
    "chunk-0x": (TE + b"0x1\r\na\r\n" + END + EVIL, False),
    "chunk-minus": (TE + b"-1\r\na\r\n" + END + EVIL, False),
    "chunk-space": (TE + b"1 \r\na\r\n" + END + EVIL, False),
    "chunk-2-64": (TE + b"10000000000000001\r\na\r\n" + END + EVIL, False),
    "chunk-lf": (TE + b"1\na\r\n" + END + EVIL, False),
    "chunk-data-lf": (TE + b"1\r\na\n" + END + EVIL, False),
    "chunk-data-more": (TE + b"1\r\nab\r\n" + END + EVIL, False),
    "chunk-ext-lf": (TE + b"1;x\na\r\n" + END + EVIL, False),
    "chunk-ext-long": (TE + b"1;" + b"x" * 5000 + b"\r\na\r\n" + END + EVIL, False),
    "chunk-end-lf": (TE + b"1\r\na\r\n0\n\n" + EVIL, False),
    "chunk-end-cr": (TE + b"1\r\na\r\n0\r\n\rX" + EVIL, False),
    "trailer-nonsense": (TE + b"0\r\nnonsense\r\n\r\n" + EVIL, False),
    "trailer-fold": (TE + b"0\r\nX: y\r\n z\r\n\r\n" + EVIL, False),
    "trailer-long": (TE + b"0\r\nX: " + b"y" * 9000 + b"\r\n\r\n" + EVIL, False),
}

# Right answers: method, bytes, status and body; what stands behind them is nobody's.
TAKEN = {
    "plain": ("GET", OK + LEN2, 200, b"ok"),
    "no-reason": ("GET", b"HTTP/1.1 200\r\n" + LEN2, 200, b"ok"),
    "reason-high": ("GET", b"HTTP/1.1 200 \xff\r\n" + LEN2, 200, b"ok"),
    "status-own": ("GET", b"HTTP/1.1 599 x\r\n" + LEN2, 599, b"ok"),
    "length-zeros": ("GET", OK + b"Content-Length: 0002\r\n\r\nok", 200, b"ok"),
    "to-end": ("GET", OK + b"\r\n" + EVIL, 200, EVIL),
    "http10": ("GET", b"HTTP/1.0 200 OK\r\n" + LEN2, 200, b"ok"),
    "http10-to-end": ("GET", b"HTTP/1.0 200 OK\r\n\r\nok", 200, b"ok"),
    "said-close": ("GET", OK + b"Connection: close\r\n" + LEN2, 200, b"ok"),
    "length-nominated": ("GET", OK + b"Connection: content-length\r\n" + LEN2, 200, b"ok"),
    "chunks": ("GET", TE + b"1\r\na\r\n" + END, 200, b"a"),
    "chunks-ext": ("GET", TE + b'1;a="b"\r\na\r\n0;c\r\n\r\n', 200, b"a"),
    "chunks-trailers": ("GET", TE + b"1\r\na\r\n0\r\nContent-Length: 4\r\n\r\n", 200, b"a"),
    "chunks-hold-end": ("GET", TE + b"5\r\n0\r\n\r\n\r\n" + END, 200, b"0\r\n\r\n"),
    "chunks-empty": ("GET", TE + END, 200, b""),
    "headers-64": ("GET", OK + b"X: y\r\n" * 63 + LEN2, 200, b"ok"),
    "hint": ("GET", HINT + OK + LEN2, 200, b"ok"),
    "hints-50": ("GET", HINT * 50 + OK + LEN2, 200, b"ok"),
    "hints-2000": ("GET", HINT * 2000 + OK + LEN2, 200, b"ok"),
    "continue-unasked": ("GET", b"HTTP/1.1 100 Continue\r\n\r\n" + OK + LEN2, 200, b"ok"),
    "204": ("GET", b"HTTP/1.1 204 None\r\n\r\n", 204, b""),
    "204-length-0": ("GET", b"HTTP/1.1 204 None\r\nContent-Length: 0\r\n\r\n", 204, b""),
    "304-length": ("GET", b"HTTP/1.1 304 Same\r\nContent-Length: 4\r\n\r\n", 304, b""),
    "head-length": ("HEAD", OK + b"Content-Length: 4\r\n\r\n", 200, b""),
    "head-chunked": ("HEAD", OK + b"Transfer-Encoding: chunked\r\n\r\n", 200, b""),
    "surplus": ("GET", OK + LEN2 + b"EVIL", 200, b"ok"),
    "surplus-answer": ("GET", OK + b"Content-Length: 0\r\n\r\n" + EVIL, 200, b""),
    "surplus-many": ("GET", OK + LEN2 + EVIL * 50, 200, b"ok"),
    "surplus-chunks": ("GET", TE + b"1\r\na\r\n" + END + EVIL, 200, b"a"),
    "surplus-crlf": ("GET", OK + LEN2 + b"\r\n", 200, b"ok"),
    "surplus-204": ("GET", b"HTTP/1.1 204 None\r\n\r\n" + EVIL, 204, b""),
    "surplus-304": ("GET", b"HTTP/1.1 304 Same\r\nContent-Length: 4\r\n\r\nEVIL", 304, b""),
    "surplus-head": ("HEAD", OK + b"Content-Length: 4\r\n\r\nEVIL", 200, b""),
    "surplus-hint": ("GET", OK + LEN2 + HINT, 200, b"ok"),
}


class Hostile(Recorder):
    """Answers /evil with what .evil says: bytes, whether by RST after them."""

    evil, reset = b"", False

    def __init__(self, t, port):
        super().__init__(t, port, self.reply)

    def reply(self, request):
        return (self.evil, False) if request.target == "/evil" else (ANSWER, True)

    def converse(self, sock):
        super().converse(sock)
        if self.reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Bench:
    def __init__(self, t, path):
        self.backend = Hostile(t, 9001)
        self.sluice = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]},
                                      [route(to="one")], PATHS[path]))

    def ask(self, data, method="GET", reset=False):
        """On a session and a lane that are warm. The connection, with the answer still to be read."""
        conn = Conn(FRONT, timeout=10)
        for _ in range(2):
            self.good(conn)
        self.backend.evil, self.backend.reset = data, reset
        conn.send(f"{method} /evil HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        return conn

    @staticmethod
    def good(conn):
        r = conn.get("/good")
        assert r.status == 200 and r.body == b"ok" and not r.informational, (r, r.body[:80])

    def goes_on(self, conn, r):
        """The connection, where it does; and others in any case."""
        if (r.get("connection") or "").lower() == "close" or r.until_close:
            assert conn.at_eof(), f"bytes behind the answer: {bytes(conn.buf[:80])!r}"
        else:
            self.good(conn)
        with Conn(FRONT, timeout=10) as other:
            self.good(other)
            self.good(other)


def refused(bench, data):
    with bench.ask(data) as conn:
        r = conn.response()
        assert r.status == 502 and b"EVIL" not in r.body, (r, r.body[:80])
        bench.goes_on(conn, r)


def cut(bench, data, reset):
    with bench.ask(data, reset=reset) as conn:
        try:
            r = conn.response()
        except (Closed, ConnectionResetError):
            pass
        except ValueError:
            pass  # a chunk size that is none, where it is seen: no wrong end
        else:
            raise AssertionError(f"whole: {r} {r.body[:80]!r}")
    with Conn(FRONT, timeout=10) as other:
        bench.good(other)


def taken(bench, method, data, status, body):
    with bench.ask(data, method) as conn:
        r = conn.response(method)
        assert r.status == status and r.body == body, (r, r.body[:80])
        bench.goes_on(conn, r)


def each(bench, table, check):
    wrong = {}
    for name, args in table.items():
        try:
            check(bench, *(args if isinstance(args, tuple) else (args,)))
        except (AssertionError, BadResponse, Closed, OSError) as e:
            wrong[name] = f"{type(e).__name__} {e}"
    assert not wrong, f"{len(wrong)} of {len(table)}: {wrong}"
    bench.backend.take()
    bench.sluice.check()


@test(each=list(PATHS))
def answers_refused(t, path):
    each(Bench(t, path), REFUSED, refused)


@test(each=list(PATHS))
def answers_cut(t, path):
    each(Bench(t, path), CUT, cut)


@test(each=list(PATHS))
def answers_taken(t, path):
    bench = Bench(t, path)
    each(bench, TAKEN, taken)
    stats = bench.sluice.stats()
    assert (stats.kernel > len(TAKEN)) == (path == "kernel"), stats
