# SPDX-License-Identifier: GPL-2.0-only
"""What is measured where, and what sluice has to reach."""
import fnmatch
from dataclasses import dataclass

SMALL = "/service/1"
# About what a browser sends: 1.5 KB with the request line and Host.
BROWSER = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/120.0.0.0 Safari/537.36",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
    "image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
    "Accept-Encoding: gzip, deflate, br",
    "Accept-Language: en-GB,en;q=0.9,de;q=0.8",
    'Sec-Ch-Ua: "Not_A Brand";v="8", "Chromium";v="120", "Google Chrome";v="120"',
    "Sec-Ch-Ua-Mobile: ?0",
    'Sec-Ch-Ua-Platform: "Linux"',
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Site: same-origin",
    "Sec-Fetch-User: ?1",
    "Upgrade-Insecure-Requests: 1",
    "Referer: http://shop.example/catalogue/garden/tools?page=3&sort=price&order=ascending",
    "Cookie: session=" + "0123456789abcdef" * 16 + "; consent=" + "YES+" * 20 +
    "; _track=" + "GA1.2." * 35,
    "Cache-Control: max-age=0",
)


@dataclass(frozen=True)
class Case:
    name: str
    connections: int
    about: str
    path: str = SMALL
    size: int = 0  # bytes of the answer's body; 0: small
    headers: tuple = ()
    body: int = 0  # bytes that each request sends


@dataclass(frozen=True)
class Topology:
    name: str
    about: str
    client_away: bool
    origin_away: bool
    pairing: bool  # sluice may pair with clients and servers in other namespaces
    cases: tuple
    more_routes: int = 0  # that do not match, before the tutorial's


CASES = {c.name: c for c in (
    Case("small-1", 1, "GET, small answer, 1 connection"),
    Case("small-16", 16, "GET, small answer, 16 connections"),
    Case("small-64", 64, "GET, small answer, 64 connections"),
    Case("small-256", 256, "GET, small answer, 256 connections"),
    Case("64k-16", 16, "GET, 64 KiB, 16 connections", "/service/1/64k", 64 << 10),
    Case("1m-16", 16, "GET, 1 MiB, 16 connections", "/service/1/1m", 1 << 20),
    Case("post-16", 16, "POST of 16 KiB, 16 connections", body=16 << 10),
    Case("head-64", 64, "GET with a browser's head of 1.5 KB, 64 connections", headers=BROWSER),
    Case("conn-64", 64, "a connection for each request, 64 at a time",
         headers=("Connection: close",)),
    Case("chunked-64", 64, "GET, a chunked answer of 4 KiB, 64 connections",
         "/service/1/chunked", 4 << 10),
    Case("header-64", 64, "GET by the header route, 64 connections",
         headers=("x-canary-version: service1a",)),
)}

_ALL = tuple(name for name in CASES if name != "header-64")
_AWAY = ("small-64", "small-256", "post-16", "64k-16", "1m-16")

TOPOLOGIES = {t.name: t for t in (
    Topology("colocated", "client, proxy and servers in one namespace",
             False, False, True, _ALL),
    Topology("remote-client", "client behind a veth pair and not paired; servers beside the proxy",
             True, False, False, _AWAY),
    Topology("remote-remote", "client and servers behind veth pairs, not paired",
             True, True, False, _AWAY),
    Topology("containers", "client and servers behind veth pairs, paired",
             True, True, True, ()),
    Topology("routes-10", "colocated, 7 more routes", False, False, True, (), 7),
    Topology("routes-500", "colocated, 497 more routes", False, False, True, (), 497),
)}

QUICK = ("colocated/small-64", "colocated/post-16", "colocated/64k-16", "colocated/conn-64",
         "remote-client/small-64", "remote-remote/small-64")

# What the kernel path (`sluice`) has to reach: {(topology, case): {measure: bound}}.
# direct, peer: requests/s over a direct connection's and the best peer's, at least;
# p50_direct: median latency, p99_peer: with requests always under way, paced_peer: p99 at half
# of the best peer's load, cpu_peer: CPU a request of the whole system, cores: of the daemon; at most.
FLOORS = {
    ("colocated", "small-1"): {"direct": 1.05},
    ("colocated", "small-64"): {"direct": 1.5, "p50_direct": 0.65, "cores": 0.01},
    ("colocated", "small-256"): {"direct": 1.45},
    ("colocated", "post-16"): {"direct": 1.4},
    ("colocated", "64k-16"): {"direct": 1.15},
    ("colocated", "1m-16"): {"direct": 0.85},
    ("colocated", "head-64"): {"direct": 1.35},
    ("colocated", "conn-64"): {"peer": 1.0},
    ("remote-client", "small-64"): {"peer": 1.3},
    ("remote-client", "small-256"): {"peer": 1.3},
    ("remote-client", "post-16"): {"peer": 1.3},
    ("remote-client", "64k-16"): {"peer": 1.1},
    ("remote-client", "1m-16"): {"peer": 1.0},
    ("remote-remote", "small-64"): {"peer": 1.1, "cpu_peer": 0.85},
    ("remote-remote", "small-256"): {"peer": 1.1, "cpu_peer": 0.85},
    ("remote-remote", "post-16"): {"peer": 1.05},
    ("remote-remote", "64k-16"): {"peer": 1.1},
    ("remote-remote", "1m-16"): {"peer": 1.0},
}
# ... everywhere:
FLOOR_ALL = {"p99_peer": 1.0, "paced_peer": 1.0}
# ... and the forced user path (`sluice-user`):
FLOORS_USER = {("colocated", "small-64"): {"peer": 0.95}}


def select(patterns, quick):
    """[(topology, [case])] in order. A pattern is TOPOLOGY, CASE or TOPOLOGY/CASE, with * and ?;
    yields the first pattern that selects nothing as second value, else None."""
    wanted, unknown = [], None
    if not patterns:
        patterns = QUICK if quick else [f"{t.name}/{c}" for t in TOPOLOGIES.values()
                                        for c in t.cases]
    for pattern in patterns:
        hits = [(t, c) for t in TOPOLOGIES for c in CASES if _hit(t, c, pattern)]
        if not hits and not unknown:
            unknown = pattern
        wanted += hits
    chosen = [(topo, [case for name, case in CASES.items() if (topo.name, name) in wanted])
              for topo in TOPOLOGIES.values()]
    return [(topo, cases) for topo, cases in chosen if cases], unknown


def _hit(topology, case, pattern):
    if "/" in pattern:
        return fnmatch.fnmatchcase(f"{topology}/{case}", pattern)
    if fnmatch.fnmatchcase(topology, pattern):
        return case in (TOPOLOGIES[topology].cases or ("small-64", "64k-16", "post-16"))
    if topology == "colocated" or case in TOPOLOGIES[topology].cases:
        return fnmatch.fnmatchcase(case, pattern)
    return False
