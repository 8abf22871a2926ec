# SPDX-License-Identifier: GPL-2.0-only
"""Envoy's matchers and virtual hosts, on both paths; ten thousand routes."""
import os
import random
import time

from lib import linux
from lib.config import config, dump, listener, cluster, route
from lib.http1 import Conn
from lib.runner import test

FRONT = ("127.0.0.1", 8000)
SECOND = ("127.0.0.1", 8001)
PORTS = {9001: "a", 9002: "b"}
CLUSTERS = {name: [("127.0.0.1", port)] for port, name in PORTS.items()}


def match(to, **fields):
    return {"match": fields, "route": {"cluster": to}}


def header(name, **string_match):
    return {"name": name, "string_match": string_match}


ROUTES = [
    match("a", path_separated_prefix="/api/dev", case_sensitive=False),
    match("a", prefix="/h", headers=[header("x", prefix="ab"), header("y", suffix="z")]),
    match("a", prefix="/h", headers=[header("x", contains="MID", ignore_case=True)]),
    match("a", prefix="/h", headers=[{"name": "n", "range_match": {"start": -5, "end": 5}}]),
    match("a", prefix="/h", query_parameters=[{"name": "k", "string_match": {"exact": "1"}}]),
    match("a", prefix="/h", cookies=[{"name": "beta", "string_match": {"exact": "on"}}]),
    match("a", prefix="/h", headers=[header(":method", exact="PUT"), header(":scheme", exact="http")]),
    match("a", prefix="/tls", headers=[header(":scheme", exact="https")]),
    match("a", prefix="/plain", headers=[{"name": ":scheme", "invert_match": True,
                                          "safe_regex_match": {"regex": "https"}}]),
    match("a", prefix="/rpc", grpc={}),
    match("a", safe_regex={"regex": "/users/[0-9]+"}),
    match("a", prefix="/never", runtime_fraction={"default_value": {"numerator": 0}}),
    match("a", prefix="/always", runtime_fraction={"default_value": {"numerator": 100}}),
    match("b", prefix="/"),
]

# Target, headers, cluster; whether the kernel can tell.
CASES = [
    ("/API/dev/x", [], "a", True),
    ("/api/developer", [], "b", True),
    ("/h", [("X", "abc"), ("y", "xyz")], "a", True),
    ("/h", [("X", "abc"), ("y", "xy")], "b", True),
    ("/h", [("x", "a-mid-b")], "a", True),
    ("/h", [("n", "-5")], "a", True),
    ("/h", [("n", "5")], "b", True),
    ("/h?a=2&k=1", [], "a", True),
    ("/h?k=12", [], "b", True),
    ("/h", [("Cookie", "a=b; beta=on")], "a", True),
    ("/h", [("Cookie", "a=b; beta=onn")], "b", True),
    ("/h", [("x", "1")], "b", True),
    # The scheme is what a proxy before us says that it was there.
    ("/tls", [], "b", True),
    ("/tls", [("X-Forwarded-Proto", "HTTPS")], "a", True),
    ("/tls", [("X-Forwarded-Proto", "ftp")], "b", True),
    ("/tls", [("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "http")], "b", False),
    ("/plain", [], "a", True),
    ("/plain", [("X-Forwarded-Proto", "https")], "b", True),
    ("/rpc", [("Content-Type", "application/grpc")], "a", False),
    ("/rpc", [("Content-Type", "application/grpc+proto")], "a", False),
    ("/rpc", [("Content-Type", "application/grpc-web")], "b", False),
    ("/rpc", [], "b", True),
    ("/users/12?q", [], "a", False),
    ("/users/1x", [], "b", False),
    ("/usersx", [], "b", True),
    ("/never", [], "b", True),
    ("/always", [], "a", True),
    # Repeated: joined, and only the user path does that.
    ("/h", [("x", "c"), ("x", "mid")], "a", False),
]


@test(seconds=90)
def matchers(t):
    """Each request gets the route that Envoy would give it, in the kernel where that can be told."""
    t.backends.nginx(PORTS)
    s = t.sluice(config(FRONT, CLUSTERS, ROUTES))
    with Conn(FRONT) as conn:
        for to in ("/always", "/never"):  # a lane to each
            conn.get(to)
        warm = s.stats().reasons
        for target, headers, want, kernel in CASES:
            before = s.stats()
            r = conn.get(target, headers)
            after = s.stats()
            assert r.get("x-backend") == want, f"{target} {headers}: {r.get('x-backend')}"
            assert after.kernel - before.kernel == int(kernel), f"{target} {headers}: {after}"
    assert set(s.stats().reasons) - set(warm) == {"route_needs_user"}, s.stats()


@test()
def own_routes_of_listeners(t):
    """Two listeners, two route configurations; the same names in both."""
    t.backends.nginx(PORTS)
    tree = {"static_resources": {
        "listeners": [listener("one", FRONT, [route(to="a")]),
                      listener("two", SECOND, [route(path="/only", to="b")])],
        "clusters": [cluster(n, e) for n, e in CLUSTERS.items()]}}
    s = t.sluice(dump(tree) + "\n")
    for _ in range(3):
        with Conn(FRONT) as one, Conn(SECOND) as two:
            assert one.get("/only").get("x-backend") == "a"
            assert two.get("/only").get("x-backend") == "b"
            assert two.get("/other").status == 404
    stats = s.stats()
    assert stats.kernel >= 4, stats
    assert len(stats.routes) == 2, stats.routes


def large():
    """1,000 virtual hosts of ten routes, 500 clusters, 5,000 endpoints. The first 50 clusters have
    one endpoint each, which lives: c0 at a, c1 at b, and so on in turn."""
    clusters = [cluster(f"c{c}", [("127.0.0.1", 9001 + c % 2)]) for c in range(50)]
    clusters += [cluster(f"c{c}", [(f"127.1.{c // 250}.{c % 250 + 1}", 9100 + k) for k in range(11)])
                 for c in range(50, 500)]
    hosts = []
    for v in range(1000):
        routes = [match(f"c{(v * 7 + i * 3) % 500}", prefix=f"/service{i}/v{v}/") for i in range(9)]
        hosts.append({"name": f"v{v}", "domains": [f"tenant{v}.example", f"*.tenant{v}.example"],
                      "routes": routes + [match(f"c{v % 50}", prefix="/")]})
    front = listener("front", FRONT, [])
    manager = front["filter_chains"][0]["filters"][0]["typed_config"]
    manager["route_config"]["virtual_hosts"] = hosts
    text = dump({"static_resources": {"listeners": [front], "clusters": clusters}}) + "\n"
    return hosts, text


def cpu_seconds(*pids):
    """Time on a CPU of the processes, and of their children that have ended."""
    ticks = 0
    for pid in pids:
        ticks += sum(map(int, linux.stat(f"/proc/{pid}/stat")[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def samples(hosts, n):
    """[(host, path, route, cluster)] of @n routes, from all over the table."""
    rng, found = random.Random(10000), []
    while len(found) < n:
        v, i = rng.randrange(1000), rng.randrange(10)
        to = hosts[v]["routes"][i]["route"]["cluster"]
        if int(to[1:]) < 50:
            found.append((rng.choice(["", "www."]) + f"tenant{v}.example",
                          f"/service{i}/v{v}/x" if i < 9 else f"/v{v}", f"v{v}/{i}", to))
    return found


@test(seconds=90)
def ten_thousand_routes(t):
    """10,000 routes load in less than 2 s, are routed in the kernel to where they lead, and reload soon."""
    t.backends.nginx(PORTS)
    hosts, text = large()
    began = time.monotonic()
    s = t.sluice(text)
    spent = cpu_seconds(s.supervisor, s.worker())
    t.note(f"10,000 routes: started in {time.monotonic() - began:.2f} s, {spent:.2f} s of a CPU")
    assert spent < 2, spent  # time on a CPU: others may have the machine as well
    table = samples(hosts, 150)
    with Conn(FRONT) as conn:
        for host in {f"tenant{v}.example" for v in range(50)}:
            assert conn.request("GET", "/", host=host).status == 200  # a lane to each cluster
        before = s.stats()
        for host, path, name, to in table:
            r = conn.request("GET", path, host=host)
            assert r.get("x-backend") == PORTS[9001 + int(to[1:]) % 2], (host, path, name, to, r)
        after = s.stats()
        assert after.kernel - before.kernel == len(table), (before, after)
        for name in {name for _, _, name, _ in table}:
            want = sum(row[2] == name for row in table)
            got = after.routes[name]["requests"] - before.routes[name]["requests"]
            assert got == want, (name, got, want)
        assert conn.request("GET", "/", host="tenant1000.example").status == 404
        began = time.monotonic()
        assert "config generation 2" in s.run("reload")
        t.note(f"reloaded in {time.monotonic() - began:.2f} s")
        assert cpu_seconds(s.supervisor, s.worker()) - spent < 2, "the reload"
        host, path, name, to = table[0]
        assert conn.request("GET", path, host=host).get("x-backend") == \
            PORTS[9001 + int(to[1:]) % 2]
        assert s.stats().kernel == after.kernel + 1, s.stats()
    s.check()
