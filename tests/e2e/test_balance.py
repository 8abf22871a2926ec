# SPDX-License-Identifier: GPL-2.0-only
"""Which endpoint of a cluster: every policy, on both paths, weights exact."""
import collections
import socket
import struct

from lib.config import cluster, config, dump, listener, route
from lib.http1 import Conn
from lib.proc import wait_until
from lib.runner import test
from lib.scripted import Scripted

FRONT = ("127.0.0.1", 8000)
PORTS = {9001: "a", 9002: "b", 9003: "c"}
BY_USER = [{"header": {"header_name": "x-user"}}]


def balanced(policy, weights=(1, 1, 1), path=True, hash_policy=None, ports=PORTS, **keys):
    """A config with one cluster of @policy over @ports; @path: with the kernel path."""
    one = cluster("one", [("127.0.0.1", p) for p in ports])
    one["lb_policy"] = policy
    one.update(keys)
    for lb, weight in zip(one["load_assignment"]["endpoints"][0]["lb_endpoints"], weights):
        lb["load_balancing_weight"] = weight
    all_ = route(to="one", name="all")
    if hash_policy:
        all_["route"]["hash_policy"] = hash_policy
    tree = {"static_resources": {"listeners": [listener("front", FRONT, [all_])],
                                 "clusters": [one]}}
    if not path:
        tree["sluice"] = {"kernel_path": False}
    return dump(tree) + "\n"


def who(conn, user=None):
    r = conn.get("/", [("X-User", user)] if user else [])
    assert r.status == 200, r
    return r.get("x-backend")


def rest(s):
    """Nothing is under way: no endpoint has a busy lane."""
    wait_until(lambda: not any(e["busy_lanes"] for e in s.stats().tree["endpoints"]),
               "no lane is busy")
    s.check()


@test()
def weighted_round_robin(t):
    """Each round of six requests is one, two and three, whichever path serves it."""
    t.backends.nginx(PORTS)
    for path in (True, False):
        s = t.sluice(balanced("ROUND_ROBIN", (1, 2, 3), path))
        with Conn(FRONT) as conn:
            for n in range(20):
                got = collections.Counter(who(conn) for _ in range(6))
                assert got == {"a": 1, "b": 2, "c": 3}, f"round {n}: {got}"
        stats = s.stats()
        assert (stats.kernel >= 100) if path else (stats.kernel == 0), stats
        rest(s)
        s.stop()


@test()
def rounds_across_paths(t):
    """Both paths share one rotation."""
    t.backends.nginx(PORTS)
    s = t.sluice(balanced("ROUND_ROBIN"))
    with Conn(FRONT) as conn:
        for n in range(12):
            got = {who(conn)}
            for _ in range(2):
                if n % 2:
                    conn.send_pieces([b"GET / HTTP/1.1\r\n", b"Host: x\r\n\r\n"])
                    got.add(conn.response().get("x-backend"))
                else:
                    got.add(who(conn))
            assert got == {"a", "b", "c"}, f"round {n}: {got}"
    stats = s.stats()
    assert stats.kernel >= 10 and stats.user >= 12, stats


@test()
def by_chance(t):
    """RANDOM goes by weight; no endpoint is left out."""
    t.backends.nginx(PORTS)
    for path in (True, False):
        s = t.sluice(balanced("RANDOM", (1, 2, 3), path))
        with Conn(FRONT) as conn:
            got = collections.Counter(who(conn) for _ in range(600))
        for name, want in (("a", 100), ("b", 200), ("c", 300)):
            assert abs(got[name] - want) < 6 * want ** 0.5, got
        s.stop()


@test()
def least_request(t):
    """An endpoint that has requests in hand is left alone while another is free."""
    backends = {name: Scripted(t, port) for port, name in PORTS.items()}
    for path in (True, False):
        s = t.sluice(balanced("LEAST_REQUEST", path=path,
                              least_request_lb_config={"choice_count": 32}))
        before = {n: b.requests for n, b in backends.items()}
        with Conn(FRONT) as first, Conn(FRONT) as second, Conn(FRONT) as conn:
            for _ in range(30):  # lanes to all
                assert conn.get("/fast").status == 200
            used = {n for n, b in backends.items() if b.requests > before[n]}
            assert used == {"a", "b", "c"}, used
            for hung in (first, second):
                hung.send_pieces([b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n"])
                wait_until(lambda: sum(e["busy_lanes"] for e in s.stats().tree["endpoints"]) ==
                           (1 if hung is first else 2), "the request is under way")
            busy = {n for n, b in backends.items() if b.active}
            assert len(busy) == 2, busy
            free, = set(backends) - busy
            before = {n: b.requests for n, b in backends.items()}
            for _ in range(40):
                assert conn.get("/fast").status == 200
            for hung in (first, second):
                hung.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                     struct.pack("ii", 1, 0))
            assert backends[free].requests - before[free] >= 39, (free, before)
        rest(s)
        stats = s.stats()
        assert (stats.kernel > 60) if path else (stats.kernel == 0), stats
        s.stop()


@test()
def by_hash(t):
    """One user, one endpoint: on both paths, after a restart, by ring and by Maglev."""
    t.backends.nginx(PORTS)
    users = [f"user-{n}" for n in range(150)]
    for policy in ("RING_HASH", "MAGLEV"):
        seen = []
        for path in (True, False):
            s = t.sluice(balanced(policy, path=path, hash_policy=BY_USER))
            with Conn(FRONT) as conn:
                for again in range(2):
                    seen.append([who(conn, u) for u in users])
                without = {who(conn) for _ in range(30)}
            assert without == {"a", "b", "c"}, without
            stats = s.stats()
            assert (stats.kernel > 0.9 * stats.total) if path else (stats.kernel == 0), stats
            s.stop()
        assert all(one == seen[0] for one in seen), policy
        spread = collections.Counter(seen[0])
        assert all(20 < spread[n] < 90 for n in "abc"), (policy, spread)


@test(each=["kernel", "user"])
def by_hash_of_a_named_cluster(t, path):
    """A route's hash_policy holds for the cluster that a header names, too: the same endpoint as
    where the route names it, and a cookie is made."""
    t.backends.nginx(PORTS)
    one = {**cluster("one", [("127.0.0.1", p) for p in PORTS]), "lb_policy": "RING_HASH"}
    policy = [{**BY_USER[0], "terminal": True}, {"cookie": {"name": "c", "ttl": "60s"}}]
    named, by_header = route(prefix="/named", to="one"), route(prefix="/", to="one")
    by_header["route"] = {"cluster_header": "x-cluster", "hash_policy": policy}
    named["route"]["hash_policy"] = policy
    tree = {"static_resources": {"listeners": [listener("front", FRONT, [named, by_header])],
                                 "clusters": [one]}, "sluice": {"kernel_path": path == "kernel"}}
    s = t.sluice(dump(tree) + "\n")
    with Conn(FRONT) as conn:
        def ask(where, *headers):
            return conn.get(where, [("x-cluster", "one"), *headers])
        for n in range(30):
            user = ("x-user", f"user-{n}")
            got = {ask(where, user).get("x-backend") for where in ("/", "/", "/", "/named")}
            assert len(got) == 1, (n, got)
        r = ask("/")
        assert r.get("set-cookie"), r
        cookie = ("cookie", r.get("set-cookie").split(";")[0].replace('"', ""))
        assert {ask("/", cookie).get("x-backend") for _ in range(9)} == {r.get("x-backend")}
    rest(s)


@test()
def priorities(t):
    """health_status: by priority 0 while 72 % of it are well, else the rest spills over."""
    t.backends.nginx(PORTS)
    def conf(well):
        one = cluster("one", [("127.0.0.1", p) for p in PORTS])
        lb = one["load_assignment"]["endpoints"][0]["lb_endpoints"]
        for e, status in zip(lb, well):
            e["health_status"] = status
        one["load_assignment"]["endpoints"] = [{"lb_endpoints": lb[:2]},
                                               {"priority": 1, "lb_endpoints": lb[2:]}]
        return dump({"static_resources": {
            "listeners": [listener("front", FRONT, [route(to="one")])],
            "clusters": [one]}}) + "\n"

    s = t.sluice(conf(("HEALTHY", "UNKNOWN", "HEALTHY")))

    def shares(n=100):
        with Conn(FRONT) as conn:
            return collections.Counter(who(conn) for _ in range(n))

    def now(*well):
        with open(s.config_path, "w") as f:
            f.write(conf(well))
        s.run("reload")
        return shares()

    assert shares() == {"a": 50, "b": 50}
    got = now("HEALTHY", "UNHEALTHY", "HEALTHY")  # half of them: 70 %
    assert abs(got["a"] - 70) <= 2 and abs(got["c"] - 30) <= 2 and not got["b"], got
    assert now("DRAINING", "TIMEOUT", "HEALTHY") == {"c": 100}
    got = now("UNHEALTHY", "UNHEALTHY", "UNHEALTHY")  # panic: all, by the number of endpoints
    assert all(abs(got[n] - 33) <= 2 for n in "abc"), got
    rest(s)
