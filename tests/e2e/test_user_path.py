# SPDX-License-Identifier: GPL-2.0-only
"""The proxy in user space: statuses, odd requests, odd backends, odd ways to send."""
import contextlib
import socket

from lib.config import DOORS, config, route
from lib.data import pattern
from lib.http1 import Closed, Conn, build
from lib.keeper import Keeper
from lib.runner import test
from lib.servers import serve_each

FRONT = ("127.0.0.1", 8000)
PATHS = {"kernel": {}, "user": {"kernel_path": False}}
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
TE = POST + b"Transfer-Encoding:"

BAD = {
    "bare-lf": b"GET / HTTP/1.1\nHost: x\n\n",
    "bare-lf-in-head": b"GET / HTTP/1.1\r\nHost: x\nX: y\r\n\r\n",
    "bare-cr": b"GET / HTTP/1.1\r\nHost: x\rX: y\r\n\r\n",
    "no-host": b"GET / HTTP/1.1\r\n\r\n",
    "two-hosts": GET + b"Host: y\r\n\r\n",
    "obs-fold": GET + b"X: a\r\n b\r\n\r\n",
    "space-before-colon": GET + b"X : y\r\n\r\n",
    "space-before-name": b"GET / HTTP/1.1\r\n Host: x\r\n\r\n",
    "no-colon": GET + b"nonsense\r\n\r\n",
    "empty-name": GET + b": y\r\n\r\n",
    "nul-in-value": GET + b"X: a\0b\r\n\r\n",
    "ctl-in-target": b"GET /a\x01b HTTP/1.1\r\nHost: x\r\n\r\n",
    "space-in-target": b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
    "two-spaces": b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
    "method-not-token": b"G(T / HTTP/1.1\r\nHost: x\r\n\r\n",
    "no-version": b"GET /\r\nHost: x\r\n\r\n",
    "lower-version": b"GET / http/1.1\r\nHost: x\r\n\r\n",
    "two-lengths": POST + b"Content-Length: 0\r\nContent-Length: 36\r\n\r\n" + SMUGGLED,
    "length-list": POST + b"Content-Length: 0, 36\r\n\r\n" + SMUGGLED,
    "length-sign": POST + b"Content-Length: +0\r\n\r\n" + SMUGGLED,
    "length-hex": POST + b"Content-Length: 0x0\r\n\r\n" + SMUGGLED,
    "length-empty": POST + b"Content-Length: \r\n\r\n" + SMUGGLED,
    "length-huge": POST + b"Content-Length: 99999999999999999999\r\n\r\n",
    "length-and-chunked": TE + b" chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunked-twice": TE + b" chunked, chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunked-not-last": TE + b" chunked, gzip\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunked-by-vt": TE + b"\x0bchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunk-size-bad": TE + b" chunked\r\n\r\nzz\r\n\r\n" + SMUGGLED,
    "chunk-no-crlf": TE + b" chunked\r\n\r\n3\r\nabcX\r\n0\r\n\r\n",
    "chunked-http10": TE.replace(b"1.1", b"1.0") + b" chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "tls-hello": bytes.fromhex("16030100b1010000ad0303") + b"x" * 80 + b"\r\n\r\n",
    "garbage": bytes(range(128, 256)) + b"\r\n\r\n",
}
STATUS = {"lower-version": {400, 505}, "chunked-twice": {400, 501},
          "chunked-not-last": {400, 501}, "chunked-by-vt": {400, 501},
          "length-huge": {400, 413}, "no-version": {400, 505}}


def serve(t, sluice=None, back="python", **kw):
    if back:
        t.backends.one(back, "one", 9001)
    return t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)], "down": [("127.0.0.1", 9009)]}, [
        route(prefix="/down", to="down"),
        route(prefix="/direct", direct=(418, "short and stout")),
        route(prefix="/empty", direct=(200, None)),
        route(prefix="/none/", direct=(404, "not here")),
        route(prefix="/service", to="one"),
        route(path="/", to="one"),
        route(prefix="/who", to="one"),
    ], sluice, **kw))


def goes_on(conn):
    r = conn.get("/who")
    assert r.status == 200 and r.body == b"one", r


@test(each=list(PATHS))
def bad_requests(t, path):
    """Each is answered 400 (or as RFC 9112 allows) and the connection ends; nothing of what
    stands behind it is taken for a request."""
    s = serve(t, PATHS[path])
    wrong = []
    for name, raw in BAD.items():
        with Conn(FRONT, timeout=5) as conn:
            try:
                goes_on(conn)
                conn.send(raw)
                r = conn.response()
                if r.status not in STATUS.get(name, {400}):
                    wrong.append(f"{name}: {r.status}")
                elif not conn.at_eof():
                    wrong.append(f"{name}: bytes after the {r.status}: {bytes(conn.buf[:80])!r}")
            except (AssertionError, OSError) as e:
                wrong.append(f"{name}: {type(e).__name__}: {e}")
    assert not wrong, f"{len(wrong)} of {len(BAD)}: " + "; ".join(wrong)
    s.check()


@test(each=list(PATHS))
def statuses(t, path):
    s = serve(t, PATHS[path])
    with Conn(FRONT) as conn:
        for _ in range(3):
            goes_on(conn)
            t.wait(lambda: s.stats().tree["sessions"]["user"] == 0, "the session is at rest")
            assert conn.get("/nowhere").status == 404
            r = conn.get("/down")
            assert r.status == 503, r
            r = conn.get("/direct/x")
            assert r.status == 418 and r.body == b"short and stout", r
            r = conn.request("HEAD", "/direct/x")
            assert r.status == 418 and r.get("content-length") == "15", r
            r = conn.get("/empty")
            assert r.status == 200 and r.body == b"", r
            assert conn.get("/none/x").status == 404
            r = conn.request("POST", "/nowhere", body=b"x" * 1000)
            assert r.status == 404, r
            goes_on(conn)
    reasons = s.stats().reasons
    assert reasons.get("no_route" if path == "kernel" else "kernel_path_off", 0) >= 3, reasons
    s.check()


@test(each=list(PATHS))
def head_too_large(t, path):
    """A head of 5 KB is served (by the user path), one of 100 KB is answered 431."""
    s = serve(t, PATHS[path])
    with Conn(FRONT) as conn:
        goes_on(conn)
        r = conn.get("/service/1/head", [("X-Long", "v" * 5000)])
        assert r.status == 200 and b"X-Long: " + b"v" * 5000 + b"\r\n" in r.body, r
        r = conn.get("/service/1/head", [(f"X-{i}", "v") for i in range(50)])
        assert r.status == 200 and b"X-49: v\r\n" in r.body, r
        conn.send(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"v" * 100_000)
        with contextlib.suppress(OSError):
            conn.send(b"\r\n\r\n")
        assert conn.response().status == 431
    with Conn(FRONT) as conn:
        r = conn.get("/", [(f"X-{i}", "v") for i in range(200)])
        assert r.status == 431, r
    s.check()


@test(each=list(PATHS))
def expect_continue(t, path):
    """The body is only sent after 100 Continue; the answer to it is whole."""
    s = serve(t, PATHS[path])
    body = pattern(20_000, 3)

    def head(target):
        return build("POST", target, [("Expect", "100-continue")], body)[:-len(body)]

    with Conn(FRONT) as conn:
        for _ in range(3):
            goes_on(conn)
            conn.send(head("/service/1/echo"))
            early = conn._head()
            assert early.status == 100, early
            conn.send(body)
            r = conn.response()
            assert r.status == 200 and r.body == body, r
        conn.send(head("/nowhere"))
        assert conn.head().status == 404
    s.check()


@test(each=list(PATHS))
def expect_refused(t, path):
    """The backend's answer comes before the body: the client may send that or not, so nothing behind
    the answer is taken for a body, or for a request, and the connection ends."""
    answer = b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n"
    s = serve(t, PATHS[path], back=None)
    back = Misbehaves(t, 9001, answer, False)
    for behind in (SMUGGLED, b"x" * len(SMUGGLED), b""):
        back.heads.clear()
        with Conn(FRONT, timeout=5) as conn:
            conn.send(build("POST", "/service/1", [("Expect", "100-continue"), ("Content-Length", "36")]))
            r = conn.response()
            assert r.status == 417 and r.get("connection") == "close", r
            conn.send(behind)
            with contextlib.suppress(ConnectionResetError):
                assert conn.at_eof(), bytes(conn.buf)
        assert len(back.heads) == 1, back.heads
    s.check()


@test(each=["102", "103"])
def expect_hinted(t, status):
    """No other interim answer stands for 100 Continue: the client does not send the body, and what it
    sends behind the refusal is none."""
    hint = b"HTTP/1.1 %b Hint\r\nLink: </x>\r\n\r\n" % status.encode()
    s = serve(t, PATHS["kernel"], back=None)
    back = Misbehaves(t, 9001, hint + b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno", False)
    with Conn(FRONT, timeout=5) as conn:
        conn.send(build("POST", "/service/1", [("Expect", "100-continue"), ("Content-Length", "36")]))
        r = conn.response()
        assert [i.status for i in r.informational] == [int(status)], r.informational
        assert r.status == 401 and r.body == b"no" and r.get("connection") == "close", r
        with contextlib.suppress(OSError):
            conn.send(SMUGGLED)
        with contextlib.suppress(ConnectionResetError):
            assert conn.at_eof(), bytes(conn.buf)
    assert len(back.heads) == 1, back.heads
    s.check()


@test(each=list(PATHS))
def http10(t, path):
    """Without keep-alive the answer ends with the connection; never in chunks."""
    s = serve(t, PATHS[path])
    for target in ("/service/1/bytes/1000/1", "/service/1/chunked/1000/1"):
        with Conn(FRONT) as conn:
            conn.send(build("GET", target, version="HTTP/1.0"))
            r = conn.response()
            assert r.status == 200 and r.body == pattern(1000, 1), r
            assert r.get("transfer-encoding") is None, r
            assert conn.at_eof()
    with Conn(FRONT) as conn:
        for _ in range(3):
            conn.send(build("GET", "/service/1/bytes/1000/1", [("Connection", "keep-alive")],
                            version="HTTP/1.0"))
            r = conn.response()
            assert r.status == 200 and r.body == pattern(1000, 1), r
            if (r.get("connection") or "").lower() != "keep-alive":
                break  # the right to close is the server's
    with Conn(FRONT) as conn:
        conn.send(b"GET /who HTTP/1.0\r\n\r\n")  # no Host: fine in 1.0
        assert conn.response().status == 200
    s.check()


@test(each=list(PATHS))
def pipelined(t, path):
    """Answers come in order: several requests in one send, in separate sends, with bodies."""
    s = serve(t, PATHS[path])
    sizes = [0, 1, 1000, 8192, 100_000, 10, 65536]
    for way in ("one send", "separate sends", "two and a half"):
        with Conn(FRONT) as conn:
            goes_on(conn)
            wholes = []
            for i, size in enumerate(sizes):
                wholes.append(build("GET", f"/service/1/bytes/{size}/{i}"))
                wholes.append(build("POST", "/service/1/echo", body=pattern(i * 1000, i)))
            data = b"".join(wholes)
            if way == "one send":
                conn.send(data)
            elif way == "separate sends":
                conn.send_pieces(wholes)
            else:
                step = len(wholes[0]) * 5 // 2
                conn.send_pieces([data[i:i + step] for i in range(0, len(data), step)])
            for i, size in enumerate(sizes):
                r = conn.response()
                assert r.status == 200 and r.body == pattern(size, i), f"{way}: {i}: {r}"
                r = conn.response()
                assert r.status == 200 and r.body == pattern(i * 1000, i), f"{way}: echo {i}: {r}"
            goes_on(conn)
    s.check()


@test(each=list(PATHS))
def split_everywhere(t, path):
    """A head and body cut at each of their bytes: two sends, the first read before the second."""
    s = serve(t, PATHS[path])
    body = b"0123456789"
    whole = build("POST", "/service/1/echo", [("X-Some", "thing")], body)
    with Conn(FRONT) as conn:
        for cut in range(1, len(whole)):
            conn.send_pieces([whole[:cut], whole[cut:]], pause=0.001 if cut % 4 == 0 else 0)
            r = conn.response()
            assert r.status == 200 and r.body == body, f"cut at {cut}: {r}"
        conn.send_pieces([whole[i:i + 1] for i in range(len(whole))])
        r = conn.response()
        assert r.status == 200 and r.body == body, f"byte by byte: {r}"
        goes_on(conn)
    s.check()


@test(each=list(PATHS))
def chunked_split(t, path):
    """A chunked upload cut at each byte; with extensions and trailers."""
    s = serve(t, PATHS[path])
    whole = b"POST /service/1/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" \
            b"5;ext=1\r\nhello\r\n1\r\n,\r\n00a\r\n 0123\r\n567\r\n0\r\nTrailer: x\r\n\r\n"
    want = b"hello, 0123\r\n567"
    with Conn(FRONT) as conn:
        for cut in range(1, len(whole)):
            conn.send_pieces([whole[:cut], whole[cut:]], pause=0.001 if cut % 4 == 0 else 0)
            r = conn.response()
            assert r.status == 200 and r.body == want, f"cut at {cut}: {r} {r.body!r}"
        goes_on(conn)
    s.check()


@test()
def hop_by_hop(t):
    """Connection and what it names stay on their own hop; the rest passes unchanged."""
    s = serve(t)
    with Conn(FRONT) as conn:
        r = conn.get("/service/1/head?q=a%20b&c", [
            ("Connection", "keep-alive, X-Hop"), ("X-Hop", "1"), ("X-End", " two  words "),
            ("Keep-Alive", "timeout=5")])
        assert r.status == 200, r
        text = r.body.decode()
        assert "GET /service/1/head?q=a%20b&c HTTP/1.1\r\n" in text, text
        assert "X-Hop" not in text and "Keep-Alive" not in text, text
        assert "X-End: two  words\r\n" in text and "Host: test\r\n" in text, text
    s.check()


@test()
def expect_of_http10(t):
    """Is ignored (RFC 9110 section 10.1.1): to the server the request is one of HTTP/1.1."""
    back = Keeper(t, 9001)
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")]))
    with Conn(FRONT) as conn:
        conn.send(build("POST", "/", [("Expect", "100-continue")], body=b"ten bytes!", version="HTTP/1.0"))
        assert conn.response().status == 200
    assert back.last().body == b"ten bytes!" and back.last().get("expect") is None, back.last()
    s.check()


@test()
def connection_close(t):
    """Connection: close of a client, and of a backend, on the user path and on the kernel's."""
    s = serve(t)
    with Conn(FRONT) as conn:
        goes_on(conn)
        goes_on(conn)
        r = conn.get("/who", [("Connection", "close")])
        assert r.status == 200 and (r.get("connection") or "").lower() == "close", r
        assert conn.at_eof()
    for _ in range(3):
        with Conn(FRONT) as conn:
            goes_on(conn)
            r = conn.get("/service/1/close")
            assert r.status == 200 and r.body == b"one", r
            with contextlib.suppress(Closed):
                goes_on(conn)
    s.check()


class Misbehaves:
    """A backend that answers each connection's requests with given bytes."""

    def __init__(self, t, port, answer, close):
        self._listener, self._answer, self._close = t.listen(port), answer, close
        self.heads = []
        serve_each(self._listener, self._serve)

    def _serve(self, conn):
        with conn:
            got = b""
            while True:
                try:
                    data = conn.recv(65536)
                    got += data
                    if not data:
                        return
                    if b"\r\n\r\n" in got:
                        self.heads.append(got)
                        got = b""
                        conn.sendall(self._answer)
                        if self._close:
                            conn.shutdown(socket.SHUT_WR)
                            return
                except OSError:
                    return


BACKENDS = {
    # name: (bytes, closes, statuses a client may be answered, or None: the answer is cut)
    "garbage": (b"\x00\x01garbage\r\n\r\n", True, {502}),
    "nothing": (b"", True, {502, 503}),
    "half-a-head": (b"HTTP/1.1 200 OK\r\nContent-Le", True, {502}),
    "no-status": (b"HTTP/1.1 OK\r\n\r\n", True, {502}),
    "two-lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", True,
                    {502}),
    "bare-lf": (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", True, {502}),
    "cut-body": (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", True, None),
    "cut-chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nabc", True, None),
    "until-close": (b"HTTP/1.1 200 OK\r\n\r\nall of it", True, {200}),
    "surplus": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n", False, {200}),
    "early-hints": (b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
                    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", False, {200}),
}


@test(each=list(PATHS))
def bad_backends(t, path):
    """What a backend does wrong is 502 or a cut connection, never a whole answer that is wrong."""
    clusters, wrong = {}, []
    for i, (name, (answer, close, _)) in enumerate(BACKENDS.items()):
        Misbehaves(t, 9010 + i, answer, close)
        clusters[name] = [("127.0.0.1", 9010 + i)]
    s = t.sluice(config(FRONT, clusters, [route(path=f"/{name}", to=name) for name in BACKENDS],
                        PATHS[path]))
    for name, (_, close, allowed) in BACKENDS.items():
        try:
            for _ in range(6):
                bad_backend(name, close, allowed)
        except (AssertionError, OSError) as e:
            wrong.append(f"{name}: {type(e).__name__}: {e}")
    assert not wrong, f"{len(wrong)} of {len(BACKENDS)}: " + "; ".join(wrong)
    s.check()


def bad_backend(name, close, allowed):
    with Conn(FRONT, timeout=5) as conn:
        for n in range(1 if close else 3):
            try:
                r = conn.get(f"/{name}")
            except (Closed, ConnectionResetError) as e:
                assert allowed is None, f"request {n}: {e}"
                return
            assert allowed and r.status in allowed, f"request {n}: {r} {r.body[:50]!r}"
            if r.status == 200:
                want = b"all of it" if name == "until-close" else b"ok"
                assert r.body == want, f"request {n}: {r} {r.body!r}"


@test()
def backend_restarts(t):
    """A backend that goes away and comes back: 503 in between, then it is served again; an idle
    lane that the backend closed fails no request."""
    p = t.backends.one("python", "one", 9001)
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")]))
    with Conn(FRONT) as conn:
        for _ in range(5):
            goes_on(conn)
        p.kill()
        t.wait(lambda: s.stats().tree["lanes"]["open"] == 0, "the dead lanes are noticed")
        assert conn.get("/who").status == 503
        t.backends.one("python", "one", 9001)
        for _ in range(5):
            goes_on(conn)
    s.check()


@test()
def round_robin(t):
    """Endpoints of a cluster take turns; a dead one of two does not fail requests for ever."""
    t.backends.nginx({9001: "one", 9002: "two", 9003: "three"})
    ends = [("127.0.0.1", 9001 + i) for i in range(3)]
    s = t.sluice(config(FRONT, {"all": ends}, [route(to="all")]))
    seen = {}
    with Conn(FRONT) as conn:
        for _ in range(300):
            who = conn.get("/").get("x-backend")
            seen[who] = seen.get(who, 0) + 1
    assert seen == {"one": 100, "two": 100, "three": 100}, seen
    s.check()


@test(each=list(DOORS))
def max_forwards(t, door):
    """OPTIONS and TRACE go as far as they say (RFC 9110 section 7.6.2); of others it says nothing."""
    keeper = Keeper(t, 9004)
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9004)]}, [route(to="one")], DOORS[door]))
    secret = [("Cookie", "a=b"), ("Authorization", "Basic x"), ("X-Seen", "yes")]

    def ask(method, *values):
        """What the server was told, or None, and the answer."""
        n = len(keeper.requests)
        r = conn.request(method, "/x", secret + [("Max-Forwards", v) for v in values])
        assert r.status == 200, r
        assert len(keeper.requests) - n in (0, 1)
        return (keeper.last().get("max-forwards") if len(keeper.requests) > n else None), r
    with Conn(FRONT) as conn:
        for _ in range(2):  # with a lane, too
            for method in ("OPTIONS", "TRACE"):
                for value, told in (("1", "0"), ("010", "9"), ("x", "x")):
                    assert ask(method, value)[0] == told, (method, value)
                told, r = ask(method, "0")
                assert told is None and r.get("allow") is None, r
                if method == "OPTIONS":
                    assert r.get("content-length") == "0"
                else:
                    assert r.get("content-type") == "message/http"
                    assert r.body.startswith(b"TRACE /x HTTP/1.1\r\n") and b"X-Seen: yes\r\n" in r.body
                    assert b"Cookie" not in r.body and b"Basic" not in r.body
            assert ask("GET", "0")[0] == "0"
    if door == "both":
        assert s.stats().reasons["max_forwards"], s.stats()
    s.check()
