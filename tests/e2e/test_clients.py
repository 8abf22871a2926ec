# SPDX-License-Identifier: GPL-2.0-only
"""Clients as people use them: curl, Python's http.client, Node's fetch."""
import http.client
import os
import subprocess

from lib.config import DOORS, config, route
from lib.data import pattern
from lib.load import curl
from lib.runner import test

HERE = os.path.dirname(os.path.abspath(__file__))
BASE = "http://127.0.0.1:8000"
SIZES = (0, 1, 1000, 65536, 1_000_000)


@test(each=list(DOORS))
def by_door(t, door):
    t.backends.one("node", "one", 9001)
    s = t.sluice(config(("127.0.0.1", 8000), {"one": [("127.0.0.1", 9001)]}, [route(to="one")],
                        DOORS[door]))
    wrong = []
    for client in (with_curl, with_http_client, with_fetch):
        try:
            client(t)
        except (AssertionError, OSError, http.client.HTTPException) as e:
            wrong.append(f"{client.__name__}: {type(e).__name__}: {e}")
    assert not wrong, "; ".join(wrong)
    s.check()


def with_curl(t):
    urls = [f"{BASE}/bytes/{size}/{seed}" for size in SIZES for seed in (1, 2)]
    want = b"".join(pattern(size, seed) for size in SIZES for seed in (1, 2))
    assert curl(*urls) == want, "several URLs on one connection"
    for size in SIZES:
        path = f"{t.tmpdir('up')}/body"
        with open(path, "wb") as f:
            f.write(pattern(size, 5))
        assert curl("--data-binary", f"@{path}", f"{BASE}/echo") == pattern(size, 5), f"POST {size}"
        if size:  # curl hangs on an empty file in chunks, with any server
            assert curl("-T", path, "-H", "Transfer-Encoding: chunked", "-X", "POST",
                        f"{BASE}/echo") == pattern(size, 5), f"chunked POST {size}"
    head = curl("-I", f"{BASE}/bytes/1000/1").decode().lower()
    assert head.startswith("http/1.1 200") and "content-length: 1000" in head, head
    assert curl("--http1.0", f"{BASE}/bytes/1000/1") == pattern(1000, 1)
    assert curl("--http2", f"{BASE}/bytes/1000/1") == pattern(1000, 1), "h2c is declined"


def with_http_client(t):
    conn = http.client.HTTPConnection("127.0.0.1", 8000, timeout=20)
    for size in SIZES + tuple(reversed(SIZES)):
        body = pattern(size, 3)
        for method, path, sent in (("GET", f"/bytes/{size}/3", None), ("POST", "/echo", body),
                                   ("GET", f"/chunked/{size}/3", None)):
            conn.request(method, path, body=sent)
            r = conn.getresponse()
            assert r.status == 200 and r.read() == body, f"{method} {path}: {r.status}"
        conn.request("POST", "/echo", body=iter([body[:500], body[500:]]), encode_chunked=True)
        assert conn.getresponse().read() == body, f"chunked POST {size}"
    conn.close()


def with_fetch(t):
    done = subprocess.run(["/usr/bin/node", f"{HERE}/clients/fetch.mjs", BASE], capture_output=True,
                          text=True, timeout=50)
    assert done.returncode == 0 and "all equal" in done.stdout, done.stderr[-800:]
