# SPDX-License-Identifier: GPL-2.0-only
"""Exact weights, and their change by one map write."""
import collections
import json
import struct
import subprocess

from lib.config import config, route
from lib.http1 import Conn, build
from lib.load import Wrk
from lib.runner import test

FRONT = ("127.0.0.1", 8000)
NAMES = ("a", "b", "c", "d")
PORTS = {9001 + i: name for i, name in enumerate(NAMES)}
CLUSTERS = {name: [("127.0.0.1", port)] for port, name in PORTS.items()}
TOP = 2 ** 32 - 1

SPLITS = {
    "25-75": (25, 75),
    "1-99": (1, 99),
    "100-0": (100, 0),
    "0-100": (0, 100),
    "20-30": (20, 30),
    "1-2-10-87": (1, 2, 10, 87),
    "0-1-0-1": (0, 1, 0, 1),
    "1-1-1": (1, 1, 1),
    "top-1": (TOP - 1, 1),
    "halves": (2 ** 31, 2 ** 31 - 1),
    "thirds": (TOP // 3, TOP // 3, TOP // 3),
    "all": (0, TOP),
}


def split_routes():
    return [route(prefix=f"/service/{name}/", name=name, weights=dict(zip(NAMES, weights)))
            for name, weights in SPLITS.items()]


class Share:
    """What each cluster got, checked after every request."""

    def __init__(self, weights):
        self.weights = dict(zip(NAMES, weights))
        self.total = sum(weights)
        self.seen = collections.Counter()
        self.n = 0

    def add(self, who):
        self.seen[who] += 1
        self.n += 1
        for name, weight in self.weights.items():
            share = self.n * weight / self.total
            assert abs(self.seen[name] - share) <= 4, \
                f"{name} has {self.seen[name]} of {self.n}, its share is {share:.2f}: {self.seen}"
            assert weight or not self.seen[name], f"{name} of weight 0: {self.seen}"


class Mixed:
    """Requests over several connections; every third goes by the user path."""

    def __init__(self):
        self.conns = [Conn(FRONT) for _ in range(5)]
        self.n = 0

    def get(self, path):
        turn = self.n % len(self.conns)
        conn = self.conns[turn]
        self.n += 1
        if self.n % 9 == 3:  # a head in two sends
            whole = build("GET", path)
            conn.send_pieces([whole[:20], whole[20:]])
            r = conn.response()
        elif self.n % 9 == 6:
            r = conn.get(path, [("Connection", "close")])
            conn.close()
            self.conns[turn] = Conn(FRONT)
        elif self.n % 9 == 0:  # an empty body is allowed to expect
            r = conn.request("POST", path, [("Expect", "100-continue")], body=b"")
        else:
            r = conn.get(path)
        assert r.status == 200, f"{path}: {r}"
        return r.get("x-backend")


@test(seconds=90)
def exact(t):
    """Each cluster is within 4 of its share after every request, on both paths together."""
    t.backends.nginx(PORTS)
    s = t.sluice(config(FRONT, CLUSTERS, split_routes()))
    client = Mixed()
    for name, weights in SPLITS.items():
        share = Share(weights)
        paths = [f"/service/{name}/x", f"/service/{name}/y?z=1", f"/service/{name}/"]
        before = s.stats()
        for n in range(1200):
            try:
                share.add(client.get(paths[n % 3]))
            except AssertionError as e:
                raise AssertionError(f"{name}: {e}") from e
        stats = s.stats()
        assert stats.routes[name]["requests"] == share.n, f"{name}: {stats.routes[name]}"
        kernel, user = stats.kernel - before.kernel, stats.user - before.user
        assert kernel >= 400 and user >= 350, f"{name}: not a mixture: {kernel} and {user}: {stats}"


@test()
def interleaved(t):
    """Splits do not disturb one another: each is exact while all are used by turns."""
    t.backends.nginx(PORTS)
    t.sluice(config(FRONT, CLUSTERS, split_routes()))
    client = Mixed()
    shares = {name: Share(weights) for name, weights in SPLITS.items()}
    for n in range(3600):
        name = list(SPLITS)[n * 5 % len(SPLITS)]
        shares[name].add(client.get(f"/service/{name}/x"))


@test()
def sums_refused(t):
    """A sum of 0 and one over 2^32 - 1 are config errors, and `weights` refuses them too."""
    for weights in ((0, 0), (TOP, 1)):
        path = t.write("bad.yaml", config(FRONT, CLUSTERS, [
            route(name="x", weights=dict(zip(NAMES, weights)))]))
        done = subprocess.run([t.sluice_bin, "check", "-c", path], capture_output=True, text=True)
        assert done.returncode == 1, f"{weights}: exit {done.returncode}: {done.stdout}"
    t.backends.nginx(PORTS)
    s = t.sluice(config(FRONT, CLUSTERS, [route(name="x", weights={"a": 1, "b": 1})]))
    before = s.run("weights", "x")
    for words in (["a=0", "b=0"], [f"a={TOP}"], ["a=-1"], ["a=1x"], ["a="],
                  ["nobody=1"], ["a=4294967296"]):
        s.run("weights", "x", *words, code=1 if words == ["a=0", "b=0"] else None)
        assert s.run("weights", "x") == before, f"{words} changed something"


def two(t, first=100, second=0):
    t.backends.nginx(PORTS)
    return t.sluice(config(FRONT, CLUSTERS, [
        route(prefix="/service/x", name="x", weights={"a": first, "b": second}),
        route(prefix="/", to="c")]))


@test(seconds=60)
def next_request(t):
    """While wrk loads the route, the very next request of each connection sees new weights."""
    s = two(t)
    wrk = Wrk(t, "http://127.0.0.1:8000/service/x/", connections=16, seconds=50)
    with Conn(FRONT) as one, Conn(FRONT) as other:
        for turn in range(1, 41):
            a, b = (0, 100) if turn % 2 else (100, 0)
            s.weights("x", a=a, b=b)
            want = "b" if turn % 2 else "a"
            for conn in (one, other, one):
                got = conn.get("/service/x/").get("x-backend")
                assert got == want, f"turn {turn}: {got} right after a={a} b={b}"
    wrk.stop().check()
    s.check()


@test()
def shown(t):
    """`weights` lists split routes by name with shares; a change of one cluster keeps the rest."""
    s = two(t, 25, 75)
    text = s.run("weights")
    for word in ("x", "a", "25", "b", "75"):
        assert word in text.split() or f"{word}" in text, f"no {word} in: {text}"
    s.weights("x", b=175)
    tree = json.loads(s.run("weights", "--json", "x"))
    text = json.dumps(tree)
    assert '"weight": 25' in text and '"weight": 175' in text, text
    s.run("weights", "nosuch", code=1)


def dump(s, name):
    done = subprocess.run(["bpftool", "-j", "map", "dump", "pinned", s.pin(name)],
                          capture_output=True, text=True)
    assert done.returncode == 0, f"bpftool map dump {name}: {done.stderr}"
    return json.loads(done.stdout)


def split_bytes(split, weights):
    """struct sl_split as the README documents it: n_targets, route, {cluster, weight} x 16."""
    flat = [len(split["targets"][:split["n_targets"]]), split["route"]]
    for i in range(16):
        target = split["targets"][i]
        flat += [target["cluster"], weights[i] if i < len(weights) else 0]
    return struct.pack("=34I", *flat)


@test()
def by_bpftool(t):
    """`bpftool map update` with the documented bytes does what `sluice weights` does."""
    s = two(t)
    entry = dump(s, "splits")[0]["formatted"]
    key, value = struct.pack("=I", entry["key"]), split_bytes(entry["value"], [0, 100])
    with Conn(FRONT) as conn:
        assert conn.get("/service/x/").get("x-backend") == "a"
        subprocess.run(["bpftool", "map", "update", "pinned", s.pin("splits"), "key", "hex",
                        *key.hex(" ").split(), "value", "hex", *value.hex(" ").split()], check=True)
        assert conn.get("/service/x/").get("x-backend") == "b"
    text = subprocess.run(["bpftool", "map", "dump", "pinned", s.pin("splits")],
                          capture_output=True, text=True).stdout
    for field in ("n_targets", "targets", "cluster", "weight"):
        assert f'"{field}"' in text, f"no field {field}: {text[:300]}"


@test()
def field_names(t):
    """`bpftool map dump pinned` prints the fields of every public map by name."""
    s = two(t)
    with Conn(FRONT) as conn:
        conn.get("/service/x/")
        for name, field in {"routes": "match", "splits": "weight", "clusters": "first_endpoint",
                            "endpoints": "port", "sessions": "word", "lanes": "endpoint",
                            "route_stats": "latency_ns", "cluster_stats": "status"}.items():
            text = json.dumps(dump(s, name)[:4])
            assert f'"{field}"' in text, f"{name}: no field {field}: {text[:300]}"
        dump(s, "reasons")


@test()
def daemon_dead(t):
    """With supervisor and worker killed, `weights` still reads and writes the pinned maps."""
    s = two(t)
    with Conn(FRONT) as conn:
        assert conn.get("/service/x/").get("x-backend") == "a"
        s.kill()
        s.weights("x", a=7, b=3)
        split = dump(s, "splits")[0]["formatted"]["value"]
        assert [x["weight"] for x in split["targets"][:2]] == [7, 3], split
        tree = json.dumps(json.loads(s.run("weights", "--json", "x")))
        assert '"weight": 7' in tree and '"weight": 3' in tree, tree
        s.run("stats", "--json")
