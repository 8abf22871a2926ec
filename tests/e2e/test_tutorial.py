# SPDX-License-Identifier: GPL-2.0-only
"""The tutorial: a header route, a split of 25 %, a release to 100 %; in both spellings."""
import collections
import os

from lib.http1 import Conn
from lib.runner import test

CONFIG = os.path.join(os.path.dirname(os.path.abspath(__file__)), "config")
FRONT = ("127.0.0.1", 8000)
CANARY = [("x-canary-version", "service1a")]
SPELLINGS = ("v2", "v3")


class Client:
    """Counts what it is answered, over several connections by turns."""

    def __init__(self, connections=10):
        self.conns = [Conn(FRONT) for _ in range(connections)]
        self.clusters = collections.Counter()
        self.classes = collections.Counter()
        self.n = 0

    def get(self, path, headers=()):
        r = self.conns[self.n % len(self.conns)].get(path, headers)
        self.n += 1
        self.classes[f"{r.status // 100}xx"] += 1
        who = r.get("x-backend")
        if r.status == 200:
            assert r.body.decode() == who, f"{path}: {r}"
            self.clusters[who] += 1
        return who if r.status == 200 else r.status

    def close(self):
        for conn in self.conns:
            conn.close()


def start(t, stage, spelling):
    t.backends.nginx({9001: "service1", 9002: "service1a", 9003: "service2"})
    return t.sluice(f"{CONFIG}/{stage}.{spelling}.yaml")


def counts_agree(s, client):
    """`sluice stats` has the client's own numbers, at once and exactly."""
    stats = s.stats()
    assert stats.total == client.n, f"{stats.total} requests counted of {client.n}"
    assert stats.by_cluster() == dict(client.clusters), \
        f"by cluster {stats.by_cluster()}, the client's {dict(client.clusters)}"
    ok = sum(c["status"]["2xx"] for c in stats.clusters.values())
    assert ok == client.classes["2xx"], f"{ok} 2xx counted of {client.classes['2xx']}"
    assert stats.kernel + stats.user == stats.total
    for cluster in stats.clusters.values():
        assert sum(cluster["status"].values()) == cluster["requests"], cluster
    for route in stats.routes.values():
        assert route["kernel"] + route["user"] == route["requests"], route
    assert sum(stats.by_route().values()) == sum(client.clusters.values()), stats.by_route()
    if stats.user:
        assert sum(stats.reasons.values()) == stats.user, stats.reasons
    return stats


def mostly_kernel(stats, misses):
    assert stats.user <= misses, f"{stats.user} of {stats.total} on the user path: {stats.reasons}"


@test(each=SPELLINGS)
def stage1_header(t, spelling):
    s = start(t, "1-header", spelling)
    client = Client()
    for _ in range(100):
        assert client.get("/service/1") == "service1"
        assert client.get("/service/1", CANARY) == "service1a"
        assert client.get("/service/1/deep?q=1", CANARY + [("x-other", "1")]) == "service1a"
        assert client.get("/service/1", [("X-CANARY-VERSION", "service1a")]) == "service1a"
        assert client.get("/service/1", [("x-canary-version", "Service1a")]) == "service1"
        assert client.get("/service/1", [("x-canary-versio", "service1a")]) == "service1"
        assert client.get("/service/1", CANARY * 2) == "service1"  # joined: "service1a,service1a"
        assert client.get("/service/2", CANARY) == "service2"
        assert client.get("/service/10") == "service1"  # a prefix of bytes, as in Envoy
    mostly_kernel(counts_agree(s, client), misses=200)
    for path in ("/", "/service", "/service/3", "/SERVICE/1"):
        assert client.get(path) == 404
    stats = counts_agree(s, client)
    assert stats.reasons.get("no_route") == 4, stats.reasons
    client.close()
    s.check()


@test(seconds=90, each=SPELLINGS)
def stage2_quarter(t, spelling):
    s = start(t, "2-weighted-25", spelling)
    client = Client()
    seen = collections.Counter()
    for n in range(1, 10_001):
        seen[client.get("/service/1")] += 1
        assert abs(seen["service1a"] - n / 4) <= 4, f"after {n} requests: {seen}"
        if n % 100 == 0:
            assert client.get("/service/1", CANARY) == "service1a"
            assert client.get("/service/2") == "service2"
    assert set(seen) == {"service1", "service1a"}, seen
    mostly_kernel(counts_agree(s, client), misses=200)
    client.close()
    s.check()


@test(each=SPELLINGS)
def stage3_released(t, spelling):
    s = start(t, "3-released-100", spelling)
    client = Client()
    for _ in range(2000):
        assert client.get("/service/1") == "service1a"
    assert client.get("/service/2") == "service2"
    mostly_kernel(counts_agree(s, client), misses=200)
    client.close()
    s.check()


@test(each=SPELLINGS)
def user_path_alone(t, spelling):
    """The same answers and counts with the kernel path off."""
    t.backends.nginx({9001: "service1", 9002: "service1a", 9003: "service2"})
    with open(f"{CONFIG}/2-weighted-25.{spelling}.yaml") as f:
        s = t.sluice(f.read() + "\nsluice:\n  kernel_path: false\n")
    client = Client()
    seen = collections.Counter(client.get("/service/1") for _ in range(1000))
    assert abs(seen["service1a"] - 250) <= 4, seen
    assert client.get("/service/1", CANARY) == "service1a"
    assert client.get("/service/2") == "service2"
    stats = counts_agree(s, client)
    assert stats.kernel == 0 and stats.reasons == {"kernel_path_off": 1002}, stats
    client.close()
    s.check()


@test()
def stats_status_classes(t):
    """204, 304, 404 and 503 of a backend are counted as what they are."""
    t.backends.one("node", "service1", 9001)
    t.backends.nginx({9002: "service1a", 9003: "service2"})
    s = t.sluice(f"{CONFIG}/1-header.v3.yaml")
    want = {"2xx": 0, "3xx": 0, "4xx": 0, "5xx": 0}
    with Conn(FRONT) as conn:
        for status in [200, 204, 304, 404, 503, 404] * 20:
            r = conn.get(f"/service/1/status/{status}")
            assert r.status == status, r
            want[f"{status // 100}xx"] += 1
        for status in (204, 404):
            r = conn.request("HEAD", f"/service/1/status/{status}")
            assert r.status == status, r
            want[f"{status // 100}xx"] += 1
    got = s.stats().clusters["service1"]["status"]
    assert {k: got[k] for k in want} == want, f"{got}, not {want}"
