# SPDX-License-Identifier: GPL-2.0-only
"""Envoy's matchers and virtual hosts, on both paths; ten thousand routes."""
import time

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
        for target, headers, want, kernel in CASES:
            before = s.stats()
            r = conn.get(target, headers)
            after = s.stats()
            assert r.get("x-backend") == want, f"{target} {headers}: {r.get('x-backend')}"
            assert after.kernel - before.kernel == int(kernel), f"{target} {headers}: {after}"
    assert set(s.stats().reasons) == {"no_idle_lane", "route_needs_user"}, s.stats()


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


@test(seconds=90)
def ten_thousand_routes(t):
    """1,000 virtual hosts of ten routes, 500 clusters, 5,000 endpoints: loaded soon, kernel path."""
    t.backends.nginx(PORTS)
    hosts = []
    for v in range(1000):
        routes = [match(f"c{(v * 10 + i) % 500}", prefix=f"/service{i}/v{v}/") for i in range(9)]
        hosts.append({"name": f"v{v}", "domains": [f"tenant{v}.example", f"*.tenant{v}.example"],
                      "routes": routes + [match("a", prefix="/")]})
    clusters = [cluster("a", CLUSTERS["a"])] + [
        cluster(f"c{i}", [("127.0.0.1", 9002)] + [(f"127.1.{i // 250}.{i % 250 + 1}", 9100 + k)
                                                  for k in range(9)] if i else [("127.0.0.1", 9002)])
        for i in range(499)] + [cluster("c499", [("127.0.0.1", 9002)])]
    front = listener("front", FRONT, [])
    manager = front["filter_chains"][0]["filters"][0]["typed_config"]
    manager["route_config"]["virtual_hosts"] = hosts
    text = dump({"static_resources": {"listeners": [front], "clusters": clusters}}) + "\n"
    began = time.monotonic()
    s = t.sluice(text)
    seconds = time.monotonic() - began
    t.note(f"started in {seconds:.2f} s")
    with Conn(FRONT) as conn:
        for host in ("tenant0.example", "x.tenant999.example"):
            v = 0 if host.startswith("tenant0") else 999
            path = f"/service{0 if v == 0 else 9 - 1}/v{v}/x"
            for _ in range(4):
                r = conn.request("GET", "/", host=host)
                assert r.get("x-backend") == "a", r
            assert conn.request("GET", "/service0/v0/x" if v == 0 else "/", host=host).status == 200, path
    stats = s.stats()
    assert stats.kernel >= 6, stats
    assert stats.routes["v0/9"]["requests"] == 4, stats.routes["v0/9"]
    assert stats.routes["v0/0"]["requests"] == 1, stats.routes["v0/0"]
    with Conn(FRONT) as conn:
        assert conn.request("GET", "/", host="tenant1000.example").status == 404
