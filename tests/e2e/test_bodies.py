# SPDX-License-Identifier: GPL-2.0-only
"""Bodies byte for byte, from 0 to 10 MB, both directions: every backend, every door."""
from lib.backends import KINDS, SIZES
from lib.config import DOORS, config, route
from lib.data import differ, pattern
from lib.http1 import Conn
from lib.load import Load
from lib.runner import test

FRONT = ("127.0.0.1", 8000)
BACK = 9001
KIND_PORTS = {kind: BACK + i for i, kind in enumerate(KINDS)}


def serve(t, door, front=FRONT, back="127.0.0.1"):
    return t.sluice(config(front, {"one": [(back, BACK)]}, [route(prefix="/", to="one")],
                           DOORS[door]))


class Under:
    """A connection whose every path begins with a prefix."""

    def __init__(self, front, prefix=""):
        self.conn, self.prefix = Conn(front), prefix

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.conn.close()

    def get(self, path, headers=()):
        return self.conn.get(self.prefix + path, headers)

    def request(self, method, path, **kw):
        return self.conn.request(method, self.prefix + path, **kw)


def same(r, want, what):
    assert r.status == 200, f"{what}: {r}"
    wrong = differ(r.body, want)
    assert wrong is None, f"{what}: {wrong}"


def get(conn, size, seed, how="bytes"):
    same(conn.get(f"/{how}/{size}/{seed}"), pattern(size, seed), f"GET {how} {size}")


def echo(conn, size, seed, chunked=False, path="/echo"):
    body = pattern(size, seed)
    sent = [body[i:i + 5000] for i in range(0, size, 5000)] if chunked else body
    r = conn.request("POST", path, body=sent, chunked=chunked)
    same(r, body, f"POST {size}{' chunked' if chunked else ''} to {path}")


def no_body(conn):
    """Answers that end with their head; the next request on the connection proves it."""
    r = conn.request("HEAD", "/bytes/1000/1")
    assert r.status == 200 and r.body == b"", f"HEAD: {r}"
    get(conn, 100, 1)
    for status in (204, 304):
        r = conn.get(f"/status/{status}")
        assert r.status == status and r.body == b"", f"{status}: {r}"
        get(conn, 1, 2)


def exchange(front, kind, prefix=""):
    with Under(front, prefix) as conn:
        for size in SIZES:
            get(conn, size, 1)
        for size in reversed(SIZES):  # large and small ones by turns on one connection
            get(conn, size, 2)
            get(conn, 1000 if size > 8192 else 65536, 1)
        no_body(conn)
    with Under(front, prefix) as conn:
        for size in SIZES:
            echo(conn, size, 3)
            get(conn, 100, 1)
    if kind in ("python", "node", "java"):
        with Under(front, prefix) as conn:
            for size in SIZES[:-1]:
                get(conn, size, 4, "chunked")
                echo(conn, size, 5, chunked=True)
                echo(conn, size, 6, path="/echo-chunked")
    elif kind == "nginx":  # it makes chunks of its own behind its proxy
        with Under(front, prefix) as conn:
            for size in SIZES[:-1]:
                get(conn, size, 4, "chunked")
                echo(conn, size, 5, chunked=True)


def crowd(t, front, prefix="", clients=20, requests=1000):
    """Every client its own order of sizes, so that answers to different ones meet."""
    sizes = [0, 1, 100, 1000, 8192, 16384, 65536, 100_000]

    def step(raw, me, n):
        conn = Under.__new__(Under)
        conn.conn, conn.prefix = raw, prefix
        size = sizes[(me * 3 + n * 5) % len(sizes)]
        seed = 1 + (me + n) % 2
        if n % 3 == 2:
            echo(conn, size, me * 100 + n % 50)
        else:
            get(conn, size, seed)

    with Load(front, clients, step) as load:
        load.wait_requests(t, requests, seconds=40)
    load.check()


def by_door(stats, door):
    assert stats.by_door(door) > stats.total // 2, f"{door}: {stats}"
    assert door != "user" or not stats.kernel + stats.direct, stats


@test(seconds=180, each=list(DOORS))
def one_host(t, door):
    """Client, sluice and each kind of backend in one namespace."""
    for kind, port in KIND_PORTS.items():
        t.backends.one(kind, kind, port)
    s = t.sluice(config(FRONT, {kind: [("127.0.0.1", port)] for kind, port in KIND_PORTS.items()},
                        [route(prefix=f"/service/{kind}/", to=kind) for kind in KINDS],
                        DOORS[door]))
    wrong = []
    for kind in KINDS:
        try:
            exchange(FRONT, kind, f"/service/{kind}")
            crowd(t, FRONT, f"/service/{kind}", requests=600)
        except (AssertionError, OSError) as e:
            wrong.append(f"{kind}: {type(e).__name__}: {e}")
    assert not wrong, "; ".join(wrong)
    stats = s.stats()
    t.note(f"{door}: {stats}")
    s.check()
    by_door(stats, door)


@test(seconds=60)
def dual_stack(t):
    """Backends that listen on :: and are dialled by IPv4 and by IPv6; clients of both kinds."""
    kinds = ("node", "java", "caddy", "python", "nginx")
    clusters, routes = {}, []
    for kind in kinds:
        t.backends.one(kind, kind, KIND_PORTS[kind], "::")
        for family, host in (("4", "127.0.0.1"), ("6", "::1")):
            clusters[kind + family] = [(host, KIND_PORTS[kind])]
            routes.append(route(prefix=f"/service/{kind}{family}/", to=kind + family))
    s = t.sluice(config([FRONT, ("::1", 8000)], clusters, routes))
    for front in (FRONT, ("::1", 8000)):
        with Conn(front) as conn:
            for n in range(20):
                for name in clusters:
                    r = conn.get(f"/service/{name}/bytes/1000/1")
                    same(r, pattern(1000, 1), f"{front} {name}")
    stats = s.stats()
    assert stats.total == 400, stats
    for name, one in stats.clusters.items():
        assert one["kernel"] >= 38, f"{name}: {one['kernel']} of 40 in the kernel: {stats.reasons}"
    s.check()


@test()
def wildcard(t):
    """A listener on all addresses takes clients of each of them on the kernel path."""
    other = t.netns()
    wire = t.link(t.main_ns, other)
    t.backends.nginx({BACK: "one"})
    s = t.sluice(config([("0.0.0.0", 8000), ("::", 8000)], {"one": [("127.0.0.1", BACK)]},
                        [route(to="one")]))
    for ns, host in ((t.main_ns, "127.0.0.1"), (t.main_ns, "127.0.0.5"), (t.main_ns, wire.a4),
                     (t.main_ns, "::1"), (t.main_ns, wire.a6), (other, wire.a4), (other, wire.a6)):
        before = s.stats()
        with ns, Conn((host, 8000)) as conn:
            for _ in range(50):
                same(conn.get("/bytes/1000/1"), pattern(1000, 1), host)
        kernel = s.stats().kernel - before.kernel
        assert kernel >= 45, f"{host}: {kernel} of 50 on the kernel path: {s.stats().reasons}"
    s.check()


@test(seconds=90, each=[(family, door) for family in ("ipv4", "ipv6") for door in DOORS])
def namespaces(t, case):
    """Client, sluice and backend in three namespaces, over two veth pairs."""
    family, door = case
    client, server = t.netns(), t.netns()
    inner, outer = t.link(t.main_ns, server), t.link(client, t.main_ns)
    front = (outer.b4 if family == "ipv4" else outer.b6, 8000)
    back = inner.b4 if family == "ipv4" else inner.b6
    with server:
        t.backends.one("node", "node", BACK, "::")
    s = serve(t, door, front, back)
    with client:
        exchange(front, "node")
        crowd(t, front, clients=10, requests=400)
    s.check()
    stats = s.stats()
    t.note(f"{stats}")
    by_door(stats, door)  # "both": one host all the same, found by sequence numbers
