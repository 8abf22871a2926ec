# SPDX-License-Identifier: GPL-2.0-only
"""Routes' own answers, direct responses and redirects: what BPF writes over the request of a
co-located client is what the user path answers, but for white space."""
import email.utils
import os
import random
import socket
import threading
import time

from lib.config import DOORS, config, route
from lib.http1 import Conn, answer_with, build
from lib.keeper import Keeper
from lib.runner import test

FRONT = ("127.0.0.1", 8000)
LONG = "part of a long answer " * 140  # 3080 bytes
PAD = ("X-Pad", "p" * 300)              # room for every short answer
DIRECT = {
    "/tea": (418, "short and stout"),
    "/empty": (200, None),
    "/none": (404, "not here"),
    "/odd": (299, "a status without a phrase"),
    "/nothing": (204, "never sent"),
    "/same": (304, None),
    "/long": (200, LONG),
    "/too-long": (200, "x" * 4096),
    "/bytes": (200, "\u00fc\u4e2d: HTTP/1.1 200 OK"),
}
REDIRECTS = {
    "/fixed": {"scheme_redirect": "http", "host_redirect": "other.example",
               "path_redirect": "/new"},
    "/stripped": {"https_redirect": True, "host_redirect": "other.example",
                  "path_redirect": "new", "strip_query": True},
    "/own": {"host_redirect": "other.example", "path_redirect": "/new?own", "port_redirect": 8443,
             "https_redirect": True, "response_code": "PERMANENT_REDIRECT"},
    # The rest depend on the request.
    "/proto": {"host_redirect": "other.example", "path_redirect": "/new"},
    "/host": {"host_redirect": "other.example"},
    "/path": {"path_redirect": "/new"},
    "/secure": {"https_redirect": True},
}


def routes():
    out = [route(path=path, direct=answer) for path, answer in DIRECT.items()]
    for path, redirect in REDIRECTS.items():
        r = route(path=path, to="one")
        del r["route"]
        r["redirect"] = redirect
        out.append(r)
    changed = route(path="/changed", direct=(200, "body"))
    changed["response_headers_to_add"] = [{"header": {"key": "x-why", "value": "%RESPONSE_CODE%"}}]
    return [*out, changed, route(prefix="/", to="one")]


def serve(t, sluice=None, own=None):
    Keeper(t, 9001)
    return t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, own or routes(), sluice))


def said(r):
    """What an answer says, without its date, which is checked."""
    fields = dict(r.headers)
    if "date" in fields:
        at = email.utils.parsedate_to_datetime(fields["date"]).timestamp()
        assert abs(at - time.time()) < 5, (fields["date"], time.time())
        assert email.utils.formatdate(at, usegmt=True) == fields["date"]
    return (r.version, r.status, r.reason,
            [(n, "" if n == "date" else v) for n, v in r.headers], r.body)


def rest(t, s):
    """Lets BPF take the next request: the daemon has no session in hand."""
    t.wait(lambda: s.stats().tree["sessions"]["user"] == 0, "the session is at rest")


# The paths that BPF answers, if there is room, and with a query too.
KERNEL = [p for p in DIRECT if p != "/too-long"] + ["/fixed", "/stripped", "/own"]
QUERY = [p for p in KERNEL if p != "/fixed"]


def requests():
    """[(name, method of the answer, bytes, whether BPF answers it)]"""
    big = [("X-Pad", "q" * 3500)]
    for path in [*DIRECT, *REDIRECTS, "/changed"]:
        for query in ("", "?", "?q=1"):
            for pad in ([], [PAD]) if path != "/long" else ([PAD], big):
                room = pad == (big if path == "/long" else [PAD])
                kernel = path in (QUERY if query else KERNEL) and bool(room)
                yield (f"{path}{query} {len(str(pad))}", "GET",
                       build("GET", path + query, pad, host="h.example"), kernel)
    for path in ("/tea", "/fixed"):
        for method in ("DELETE", "OPTIONS", "PATCH", "BREW"):
            yield f"{method} {path}", method, build(method, path, [PAD]), True
        yield f"POST empty {path}", "POST", build("POST", path, [PAD], b""), True
        yield f"HEAD {path}", "HEAD", build("HEAD", path, [PAD]), False
        yield f"POST {path}", "POST", build("POST", path, [PAD], b"body" * 20), False
        yield (f"chunked {path}", "POST", build("POST", path, [PAD], [b"body"], True), False)
        yield (f"absolute {path}", "GET",
               build("GET", "http://test" + path, [PAD]), False)


def converse(t, s, kernel_path):
    """What each request is answered; @kernel_path: by the path that is expected."""
    got, before, taken = {}, s.stats(), True
    with Conn(FRONT) as conn:
        for name, method, raw, kernel in requests():
            if kernel_path and taken:
                rest(t, s)
            conn.send(raw)
            got[name] = said(conn.response(method))
            if kernel_path:
                after = s.stats()
                assert (after.kernel - before.kernel, after.user - before.user) == \
                    ((1, 0) if kernel else (0, 1)), (name, before, after)
                before, taken = after, not kernel
    return got


@test(seconds=180)
def same_as_user_path(t):
    """Status, reason, headers in their order and body are the user path's, for each kind of
    answer; and exactly those that fit are BPF's."""
    s = serve(t)
    kernel = converse(t, s, True)
    stats = s.stats()
    assert stats.reasons["answer_long"] >= len(KERNEL), stats
    s.check()
    s.stop()
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, routes(), DOORS["user"]))
    user = converse(t, s, False)
    assert kernel.keys() == user.keys()
    for name, answer in user.items():
        assert kernel[name] == answer, (name, kernel[name], answer)
    assert user["/tea 2"][1:3] == (418, "I'm a teapot") and user["/tea 2"][4] == b"short and stout"
    assert dict(user["/own?q=1 2"][3])["location"] == "https://other.example:8443/new?own"
    assert user["/bytes 2"][4] == DIRECT["/bytes"][1].encode()


@test(each=list(DOORS))
def keep_alive(t, door):
    """A series on one connection: all of it in the kernel where the client is co-located, counted
    to its route by status, latency and generation, and to no cluster."""
    s = serve(t, DOORS[door])
    n = 500
    with Conn(FRONT) as conn:
        for i in range(n):
            r = conn.get(f"/tea?{i}", [PAD])
            assert r.status == 418 and r.body == b"short and stout", (i, r)
        stats = s.stats()
        assert stats.total == n, stats
        colocated = door in ("both", "remote-server")
        assert stats.kernel >= n - 2 if colocated else stats.kernel == 0, stats
        tea = next(r for r in stats.tree["routes"] if r["requests"])
        assert tea["requests"] == tea["status"]["4xx"] == n and tea["kernel"] == stats.kernel, tea
        assert not stats.by_cluster(), stats.by_cluster()
        assert stats.tree["sessions"]["open"] == 1
    s.check()


@test(each=list(DOORS))
def odd_sends(t, door):
    """Heads in pieces, several in one send, a last request that closes, HTTP/1.0: the same answers,
    in order, whoever gives them."""
    s = serve(t, DOORS[door])
    raw = build("GET", "/tea", [PAD])
    for cut in (1, 20, 100, len(raw) - 1):
        with Conn(FRONT) as conn:
            for _ in range(3):
                conn.send_pieces([raw[:cut], raw[cut:]], 0.001)
                assert conn.response().status == 418
                assert conn.get("/tea", [PAD]).status == 418
    with Conn(FRONT) as conn:
        for _ in range(5):
            conn.send(raw + build("GET", "/who", [PAD]) + build("GET", "/fixed", [PAD]) + raw)
            assert [conn.response().status for _ in range(4)] == [418, 200, 301, 418]
            assert conn.get("/tea", [PAD]).status == 418
        assert conn.get("/tea", [PAD, ("Connection", "close")]).get("connection") == "close"
        assert conn.at_eof()
    with Conn(FRONT) as conn:
        assert conn.get("/tea", [PAD]).status == 418
        conn.send(raw.replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert conn.response().status == 418 and conn.at_eof()
    s.check()


def talk(seed, seconds, most, wrong, counts):
    """Random requests to both kinds of routes, up to @most sent before the first one's answer."""
    rnd = random.Random(seed)
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            with Conn(FRONT) as conn:
                for _ in range(rnd.randrange(1, 200)):
                    expected = []
                    for _ in range(rnd.choice((1, 1, 1, min(2, most), most))):
                        name = f"{seed}-{rnd.randrange(1 << 30)}"
                        own = rnd.random() < 0.6
                        path = f"/tea?{name}" if own else f"/who?{name}"
                        conn.send(build("GET", path, [("X-Pad", "p" * rnd.randrange(400))]))
                        expected.append((418, b"short and stout") if own else
                                        (200, f"/who?{name}".encode()))
                        if rnd.random() < 0.05:
                            time.sleep(0.006)
                    for status, body in expected:
                        r = conn.response()
                        assert (r.status, r.body) == (status, body), (r, status, body)
                        counts[0] += 1
    except (AssertionError, OSError) as e:
        wrong.append(f"{seed}: {type(e).__name__}: {e}")


@test(seconds=60, each=["both", "remote-client", "remote-server", "user"])
def order(t, door):
    """Beside a server's answers on the same connections: each answer is that of its request."""
    def answer(request, _):
        body = request.target.encode()
        return answer_with(body)
    Keeper(t, 9001, answer)
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, routes(), DOORS[door]))
    seed = os.environ.get("CANNED_SEED") or str(random.randrange(1 << 32))
    wrong, counts = [], [0]
    most = 6 if door in ("remote-client", "user") else 1
    threads = [threading.Thread(target=talk, args=(f"{seed}/{i}", 3, most, wrong, counts))
               for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong
    stats = s.stats()
    t.note(stats)
    assert counts[0] > 200, counts
    assert (stats.kernel > 0) == (door in ("both", "remote-server")), stats
    s.check()


@test()
def reader_that_does_not_read(t):
    """Answers wait for their reader up to a limit; behind it the requests go by TCP, and the
    answers come in order."""
    s = serve(t)
    n = 1500
    with Conn(FRONT) as conn:
        sent = [build("GET", "/tea" if i % 3 else "/empty",
                      [("X-Pad", "p" * (500 + i % 700))]) for i in range(n)]

        def send():
            for raw in sent:
                conn.send(raw)
        sender = threading.Thread(target=send)
        sender.start()
        t.wait(lambda: s.stats().reasons.get("reader_slow"), "the reader is found slow", 20)
        for i in range(n):
            r = conn.response()
            assert r.status == (418 if i % 3 else 200), (i, r)
        sender.join()
        rest(t, s)
        before = s.stats().kernel
        assert conn.get("/tea", [PAD]).status == 418 and s.stats().kernel == before + 1
    stats = s.stats()
    assert stats.total == n + 1 and stats.kernel > 100, stats
    s.check()


@test()
def reload(t):
    """A reload's new answer is given from the next request on, and counted to its generation."""
    s = serve(t)
    with Conn(FRONT) as conn:
        for i, (status, body) in enumerate([(418, "short and stout"), (200, "x" * 150),
                                            (410, "gone")]):
            if i:
                own = [r for r in routes() if r["match"].get("path") != "/tea"]
                own.insert(0, route(path="/tea", direct=(status, body)))
                with open(s.config_path, "w") as file:
                    file.write(config(FRONT, {"one": [("127.0.0.1", 9001)]}, own))
                s.run("reload")
                rest(t, s)
            before = s.stats().kernel
            for _ in range(20):
                r = conn.get("/tea", [PAD])
                assert (r.status, r.body) == (status, body.encode()), r
            assert s.stats().kernel >= before + 18, s.stats()
    s.check()


@test()
def worker_killed(t):
    """Answers of BPF need no running worker."""
    s = serve(t)
    with Conn(FRONT) as conn:
        conn.get("/tea", [PAD])
        rest(t, s)
        for _ in range(5):
            old = s.kill_worker()
            for _ in range(200):
                assert conn.get("/tea", [PAD]).status == 418
            s.worker(other_than=old)
    assert s.stats().kernel >= 1000, s.stats()
    s.check()


@test()
def what_was_sent_stays(t):
    """BPF writes over its own copy: file, pipe and buffer that a request was sent from keep their
    bytes."""
    s = serve(t)
    raw = build("GET", "/tea", [PAD])
    path = t.write("request", raw.decode())
    with Conn(FRONT) as conn, open(path, "rb") as file:
        conn.get("/tea", [PAD])
        rest(t, s)
        before = s.stats().kernel
        for _ in range(3):
            assert os.sendfile(conn.sock.fileno(), file.fileno(), 0, len(raw)) == len(raw)
            assert conn.response().status == 418
            r, w = os.pipe()
            assert os.splice(file.fileno(), w, len(raw), offset_src=0) == len(raw)
            assert os.splice(r, conn.sock.fileno(), len(raw)) == len(raw)
            assert conn.response().status == 418
            os.close(r)
            os.close(w)
            conn.sock.setsockopt(socket.SOL_SOCKET, 60, 1)  # SO_ZEROCOPY
            buf = bytearray(raw)
            conn.sock.send(buf, 0x4000000)  # MSG_ZEROCOPY
            assert conn.response().status == 418 and buf == raw
            conn.sock.sendmsg([raw[:50], raw[50:51], raw[51:]])
            assert conn.response().status == 418
        assert s.stats().kernel == before + 12, s.stats()
    with open(path, "rb") as file:
        assert file.read() == raw
    s.check()
