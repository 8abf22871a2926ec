# SPDX-License-Identifier: GPL-2.0-only
"""`sluice reload`: a changed file applies as a whole, and nothing that runs notices."""
import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time

from lib import linux
from lib.config import cluster, config, dump, listener, route
from lib.http1 import Conn, build
from lib.keeper import Keeper
from lib.load import Load, Wrk
from lib.proc import wait_until
from lib.runner import test

FRONT = ("127.0.0.1", 8000)
PORTS = {9001: "a", 9002: "b", 9003: "c"}


def clusters(*names):
    return {n: [("127.0.0.1", p) for p, n2 in PORTS.items() if n2 == n] for n in names}


def rewrite(s, text):
    """As careful editors do: another file in its place."""
    with open(s.config_path + ".new", "w") as f:
        f.write(text)
    os.rename(s.config_path + ".new", s.config_path)


def reload(s, text, code=0):
    rewrite(s, text)
    return s.run("reload", code=code)


def who(conn, path="/"):
    r = conn.get(path)
    assert r.status == 200, f"{path}: {r}"
    return r.get("x-backend")


def start(t, names=("a", "b"), routes=None):
    t.backends.nginx(PORTS)
    return t.sluice(config(FRONT, clusters(*names), routes or [route(to="a", name="all")]))


@test()
def next_request(t):
    """Open connections see new routes with their next request; lanes of the cluster live on."""
    s = start(t)
    with Conn(FRONT) as conn:
        assert [who(conn) for _ in range(5)] == ["a"] * 5
        lanes = s.run("stats")
        reload(s, config(FRONT, clusters("b", "c", "a"), [route(prefix="/new", to="c"),
                                                         route(to="a", name="all")]))
        before = s.stats()
        assert who(conn) == "a" and who(conn, "/new/x") == "c"
        stats = s.stats()
        assert stats.kernel == before.kernel + 1, f"its lane was not kept: {lanes} {stats}"
        assert stats.by_route()["all"] == 6, stats.routes
        reload(s, config(FRONT, clusters("b"), [route(to="b")]))
        assert who(conn, "/new/x") == "b" and who(conn) == "b"
        assert "config generation 3" in s.run("stats")
    s.check()


@test()
def refused(t):
    """A file that is wrong changes nothing and says where it is wrong."""
    s = start(t)
    good = open(s.config_path).read()
    with Conn(FRONT) as conn:
        said = reload(s, good.replace('cluster: "a"', 'cluster: "nobody"'), code=1)
        assert "unknown cluster 'nobody'" in said and f"{s.config_path}:" in said, said
        assert who(conn) == "a"
        for text, word in ((": [", "error"), ("", "error"),
                           (config(("127.0.0.1", 8001), clusters("a"), [route(to="a")]),
                            f"{s.config_path}:3: listener 'front' is not one that runs"),
                           (config(FRONT, clusters("a"), [route(to="a")],
                                   sluice={"kernel_path": False}), "restart")):
            said = reload(s, text, code=1)
            assert word in said, said
            assert who(conn) == "a"
        os.unlink(s.config_path)
        assert "cannot read" in s.run("reload", code=1)
        assert "config generation 1" in s.run("stats")
        assert "config generation 2" in reload(s, good)


@test()
def nobody_to_ask(t):
    """Of an instance that was killed only pins are left: whoever has its pid now is not signalled."""
    s = start(t)
    s.kill()
    other = t.start(["sleep", "60"])
    size, at = linux.member_of(s.pin("control"), "sl_control", "supervisor")
    with linux.mapped(s.pin("control"), size) as control:
        control[at:at + 4] = other.pid.to_bytes(4, sys.byteorder)
    assert "does not run" in s.run("reload", code=3)
    assert other.running()


@test()
def asked_as_it_ends(t):
    """Who asks an instance that ends meanwhile is told so when it has ended, not a minute later."""
    s = start(t)
    pid = s.stop_worker()
    asked = subprocess.Popen(s.argv("reload"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    t.wait(lambda: linux.pending(pid, signal.SIGHUP), "the worker has been asked")
    s.kill()
    assert "does not run" in asked.communicate(timeout=5)[0] and asked.returncode == 3


@test()
def two_files(t):
    """Two that name a file each are served one behind the other; each is told of its own."""
    s = start(t, names=("a", "b", "c"))
    texts = {n: t.write(f"{n}.yaml", config(FRONT, clusters(n), [route(to=n)])) for n in "bc"}
    texts["wrong"] = t.write("wrong.yaml", ": [")
    for _ in range(5):
        asked = {n: subprocess.Popen(s.argv("reload", "-c", path), stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, text=True) for n, path in texts.items()}
        said = {n: (p.communicate(timeout=20)[0], p.returncode) for n, p in asked.items()}
        assert {n: code for n, (_, code) in said.items()} == {"b": 0, "c": 0, "wrong": 1}, said
        told = {said[n][0].splitlines()[-1] for n in "bc"}
        assert len(told) == 2, said


@test(seconds=60)
def signals_beside(t):
    """Who asks is told of what was asked, whatever signals come from elsewhere meanwhile."""
    s = start(t, names=("a", "b", "c"))
    texts = {n: t.write(f"{n}.yaml", config(FRONT, clusters(n), [route(to=n)])) for n in "bc"}
    wrong = t.write("wrong.yaml", ": [")
    done = threading.Event()

    def signals():
        while not done.wait(0.0005):
            os.kill(s.supervisor, signal.SIGHUP)
    thread = threading.Thread(target=signals)
    thread.start()
    try:
        for n in range(40):
            to = "bc"[n % 2]
            assert "config generation" in s.run("reload", "-c", texts[to])
            with Conn(FRONT) as conn:
                assert who(conn) == to
            said = s.run("reload", "-c", wrong, code=1)
            assert "wrong.yaml" in said, said
            with Conn(FRONT) as conn:
                assert who(conn) == to
    finally:
        done.set()
        thread.join()


@test()
def no_file(t):
    """What is no file, and would be waited for or read for ever, is refused; nobody waits."""
    s = start(t)
    path = os.path.join(t.tmpdir("odd"), "fifo")
    os.mkfifo(path)
    large = t.write("large.yaml", "")
    os.truncate(large, 1 << 40)
    for odd, why in ((path, "not a file"), ("/dev/zero", "not a file"), ("/", "not a file"),
                     (large, "over the limit")):
        said = s.run("reload", "-c", odd, code=1)
        assert f"{odd}: " in said and why in said, said
        with Conn(FRONT) as conn:
            assert who(conn) == "a"


def split(a, b, **kw):
    return route(weights={"a": a, "b": b}, name="x", **kw)


@test()
def by_generation(t):
    """Each answer is counted by the config that decided it, on both paths."""
    s = start(t)
    text = open(s.config_path).read()
    with Conn(FRONT) as conn:
        for n in range(1, 80):
            for _ in range(n % 3):
                who(conn)
            if n % 5 == 0:  # by the user path
                conn.send_pieces([b"GET / HTTP/1.1\r\n", b"Host: x\r\n\r\n"])
                assert conn.response().status == 200
            reload(s, text)
    got = {g["generation"]: g["requests"] for g in s.stats().tree["generations"]}
    want = {n: n % 3 + (n % 5 == 0) for n in range(17, 80)}
    want[80] = 0
    assert got == want, {n: (got.get(n), want.get(n)) for n in want if got.get(n) != want[n]}


@test()
def limits_change(t):
    """A listener's limit on heads holds for the kernel path from the reload on."""
    s = start(t)
    text = open(s.config_path).read()
    long = [("X-Long", "x" * 3000)]
    with Conn(FRONT) as conn:
        assert conn.get("/", long).status == 200 and conn.get("/", long).status == 200
        reload(s, text.replace('stat_prefix:', 'max_request_headers_kb: 1\n' +
                               ' ' * 16 + 'stat_prefix:'))
        assert conn.get("/", long).status == 431


@test()
def weights_by_hand(t):
    """Weights set by hand are kept unless the file has changed them, and the log says which."""
    s = start(t, routes=[split(50, 50)])
    s.weights("x", a=0, b=100)
    other = [route(path="/other", to="a")]
    said = reload(s, config(FRONT, clusters("a", "b"), other + [split(50, 50)]))
    assert "route 'x': weights that were set by hand are kept" in said, said
    with Conn(FRONT) as conn:
        assert {who(conn) for _ in range(20)} == {"b"}
        # Again, by a signal, and with clusters and routes in another order: the log says so, too.
        rewrite(s, config(FRONT, clusters("b", "a"), [split(50, 50)] + other))
        assert s.proc.log().count("route 'x': weights that were set by hand are kept") == 1
        os.kill(s.supervisor, signal.SIGHUP)
        s.proc.wait_line("config generation 3")
        assert s.proc.log().count("route 'x': weights that were set by hand are kept") == 2
        assert {who(conn) for _ in range(20)} == {"b"}
        said = reload(s, config(FRONT, clusters("a", "b"), other + [split(100, 0)]))
        assert "route 'x': weights are those of the file again" in said, said
        assert {who(conn) for _ in range(20)} == {"a"}
        assert "weights" not in reload(s, config(FRONT, clusters("a", "b"), [split(100, 0)]))
        s.weights("x", a=1, b=3)
        assert sum(who(conn) == "b" for _ in range(400)) in range(297, 304)


@test()
def endpoints_change(t):
    """A cluster's new endpoints take its requests at once, and the old ones' lanes are closed."""
    s = start(t, names=("a",))
    with Conn(FRONT) as conn:
        assert {who(conn) for _ in range(4)} == {"a"}
        both = {"a": [("127.0.0.1", 9002), ("127.0.0.1", 9003)]}
        reload(s, config(FRONT, both, [route(to="a", name="all")]))
        assert {who(conn) for _ in range(8)} == {"b", "c"}
        reload(s, config(FRONT, clusters("a"), [route(to="a", name="all")]))
        assert {who(conn) for _ in range(8)} == {"a"}
    s.check()


@test()
def endpoints_stay(t):
    """An endpoint that stays keeps its lanes and its health, whatever comes and goes beside it."""
    s = start(t, names=("a",))
    check = [{"timeout": "1s", "interval": "60s", "no_traffic_interval": "60s",
              "unhealthy_threshold": 1, "healthy_threshold": 1, "tcp_health_check": {}}]

    def text(*ports):
        one = {**cluster("a", [("127.0.0.1", p) for p in ports]), "health_checks": check}
        return dump({"static_resources": {"listeners": [listener("l", FRONT, [route(to="a")])],
                                          "clusters": [one]}}) + "\n"

    def ends():
        return {e["endpoint"]: e for e in s.stats().tree["endpoints"]}
    reload(s, text(9001, 9009))
    wait_until(lambda: ends()["127.0.0.1:9009"]["checks"] and ends()["127.0.0.1:9001"]["checks"],
               "a check of each")
    with Conn(FRONT) as conn:
        assert [who(conn) for _ in range(4)] == ["a"] * 4
        before = s.stats()
        reload(s, text(9002, 9009, 9001))
        after = ends()
        assert after["127.0.0.1:9009"]["health"].startswith("failed_active_hc"), after
        assert (after["127.0.0.1:9009"]["checks"], after["127.0.0.1:9001"]["checks"]) == (1, 1)
        wait_until(lambda: ends()["127.0.0.1:9002"]["health"] == "", "b has passed its check")
        assert [who(conn) for _ in range(6)].count("b") == 3
        stats = s.stats()
        assert stats.kernel >= before.kernel + 5, f"lanes were not kept: {stats}"
        reload(s, text(9002))
        assert {who(conn) for _ in range(4)} == {"b"}
        wait_until(lambda: len(ends()) == 1, "the others' slots are free")
    s.check()


@test()
def endpoints_for_ever(t):
    """Slots of endpoints that have left are used again: no number of reloads uses them up."""
    s = start(t, names=("a",))

    def text(n, count):
        many = [(f"127.{n}.{i >> 8}.{i & 255}", 9003) for i in range(count)]
        return config(FRONT, {**clusters("a"), "many": many}, [route(to="a")])
    reload(s, text(2, 5000))
    assert "too many endpoints, old and new" in reload(s, text(3, 5000), code=1)
    for n in range(4, 11):
        rewrite(s, text(n, 2000))
        wait_until(lambda: "too many" not in s.run("reload", code=None), "room", seconds=20)
    with Conn(FRONT) as conn:
        assert who(conn) == "a"
    t.wait(lambda: len(s.stats().tree["endpoints"]) == 2001, "those that left are gone", 20)
    s.check()


MAX_CLUSTERS = 1024  # include/sl_limits.h
RELEASES = 30  # of 60 clusters: names for 1,800, and there are fewer numbers
SERVED = 9009


def at(release, i):
    """Where cluster @i of @release is: nobody else is there."""
    return f"127.1.{release}.{i + 1}"


def release_of(k, others=None, routes=()):
    """Clusters called 0-vK to 59-vK, a route to each, and `stays`, which is in every release."""
    where = {f"{i}-v{k}": [(at(k, i), SERVED)] for i in range(60)}
    return config(FRONT, {**where, "stays": [("127.0.0.9", SERVED)], **(others or {})}, [
        *routes, route(prefix="/stays/", to="stays", name="stays"),
        route(prefix="/0/", weights={f"0-v{k}": 1}, name="split"),
        *(route(prefix=f"/{i}/", to=f"{i}-v{k}", name=str(i)) for i in range(1, 60))])


class Releases:
    """Release after release, while clients see that whoever answers them is of the one that is served."""

    def __init__(self, t, s):
        self.t, self.s, self.wrong = t, s, []
        self.served = self.asked = 0
        self.load = Load(FRONT, 4, self._step)

    def _step(self, conn, me, n):
        i = (me + n) % 10
        first = self.served
        if n % 17 == 3:  # by the user path
            conn.send_pieces([f"GET /{i}/ HTTP/1.1\r\n".encode(), b"Host: x\r\n\r\n"])
            got = conn.response()
        else:
            got = conn.get(f"/{i}/")
        assert got.status == 200, got
        if got.get("x-backend") not in {at(k, i) for k in range(first, self.asked + 1)}:
            self.wrong.append((i, first, self.asked, got.get("x-backend")))
        if who(conn, "/stays/") != "127.0.0.9":
            self.wrong.append((i, "stays"))

    def _ask(self, kill):
        asked = subprocess.Popen(self.s.argv("reload"), stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True)
        if kill:
            worker = self.s.worker()
            time.sleep(random.uniform(0.005, 0.03))
            os.kill(worker, signal.SIGKILL)
            self.s.worker(other_than=worker)
        return asked.communicate(timeout=20)[0], asked.returncode

    def next(self, kill=False, **more):
        """The next release is served, whatever became of the workers that were to serve it."""
        self.asked = k = self.served + 1
        rewrite(self.s, release_of(k, **more))
        said = self._ask(kill)
        if kill and said[1]:  # none of it
            self.look(self.served, range(10, 60, 7))

        def again():
            nonlocal said
            if said[1] and "too many clusters, old and new" in said[0] or "died" in said[0]:
                said = self._ask(False)
            return not said[1]
        wait_until(again, f"release {k}", seconds=30)
        self.served = k

    def look(self, k, those=range(10, 60)):
        with Conn(FRONT) as conn:
            for i in those:
                assert who(conn, f"/{i}/") == at(k, i), f"cluster {i} of {k}: {who(conn, f'/{i}/')}"

    def check(self):
        """Whoever is served has its name and its own counters, which began with it."""
        k = self.served
        self.look(k)
        assert not self.wrong, self.wrong[:3]
        stats = self.s.stats()
        names = [c["cluster"] for c in stats.tree["clusters"]]
        assert len(names) == len(set(names)) <= 1024, len(names)
        got = {f"{i}-v{k}": stats.clusters[f"{i}-v{k}"]["requests"] for i in range(10, 60)}
        odd = {name: n for name, n in got.items() if n != 1}
        assert not odd, odd


@test(each=["", "worker_killed"], seconds=180)
def clusters_for_ever(t, how):
    """Names of clusters may come and go for ever: the numbers of those long gone are used again."""
    t.backends.nginx({SERVED: "$server_addr"}, address="0.0.0.0")
    slow = t.listen(9001)
    slow.settimeout(5)

    def slow_to(k, **more):
        """Requests that outlive their config, those of the first one with a copy to make at the end."""
        return {"others": {f"slow-v{k}": [("127.0.0.1", 9001)], f"shadow-v{k}": [("127.0.0.8", SERVED)]},
                "routes": [{"name": "slow", "match": {"prefix": "/slow/"},
                            "route": {"cluster": f"slow-v{k}", "timeout": "0s", **more}}]}
    mirror = [{"cluster": "shadow-v0"}]
    s = t.sluice(release_of(0, **slow_to(0, request_mirror_policies=mirror)))
    all_of = Releases(t, s)
    l4 = t.stack.enter_context(linux.mapped(s.pin("l4_counts"), 8 * MAX_CLUSTERS))
    l4[:] = b"\1" * len(l4)
    with Conn(FRONT) as of_first, Conn(FRONT) as of_second, all_of.load:
        all_of.check()
        of_first.send(b"POST /slow/ HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
        with slow.accept()[0] as first:
            all_of.next(**slow_to(1))
            of_second.send(build("GET", "/slow/"))
            with slow.accept()[0] as second:
                for k in range(2, RELEASES):
                    all_of.next(kill=how and k % 4 == 3)
                    all_of.check()
                if not how:  # such requests end with their worker
                    still_there(s, [(of_first, first, b"cd"), (of_second, second, b"")])
    if not how:
        all_of.load.check()
    assert bytes(8) in (l4[i:i + 8] for i in range(0, len(l4), 8)), "connections of the one before are counted"
    t.note(f"{all_of.load.requests} requests beside {RELEASES} releases")
    s.check()


def still_there(s, under_way):
    """What they name was given to nobody, and they end as if nothing had happened."""
    clusters = s.stats().clusters
    missing = {"slow-v0", "shadow-v0", "slow-v1"} - set(clusters)
    assert not missing, missing
    assert "shadow-v1" not in clusters and "9-v1" not in clusters
    for conn, lane, rest in under_way:
        conn.send(rest)
        lane.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert conn.response().status == 200
    clusters = s.stats().clusters
    assert (clusters["slow-v0"]["requests"], clusters["slow-v1"]["requests"]) == (1, 1), clusters


@test()
def actions_change(t):
    """What routes do to requests is that of the new config, for clusters in any order."""
    one, two = Keeper(t, 9004), Keeper(t, 9005)
    where = {"one": [("127.0.0.1", 9004)], "two": [("127.0.0.1", 9005)]}
    header = [{"header": {"key": "x-cluster", "value": "%UPSTREAM_CLUSTER%"}}]
    to_header = {"match": {"prefix": "/by-header"}, "route": {"cluster_header": "x-to"}}
    routes = [to_header, split_of("one", "two", header)]
    s = t.sluice(config(FRONT, where, [route(to="one", name="all")]))
    with Conn(FRONT) as conn:
        assert conn.get("/").status == 200 and one.last().get("x-cluster") is None
        for order in (("two", "one"), ("one", "two")):
            reload(s, config(FRONT, {n: where[n] for n in order}, routes))
            assert conn.get("/").status == 200
            t.wait(lambda: two.requests and two.last().get("host").endswith("-shadow"),
                   "the mirrored request")
            assert one.last().get("x-cluster") == "one", one.last()
            n = len(two.requests)
            assert conn.get("/by-header", [("X-To", "two")]).status == 200
            assert len(two.requests) == n + 1
        reload(s, config(FRONT, {"one": where["one"]}, [to_header]))
        assert conn.get("/by-header", [("X-To", "two")]).status == 503, "its cluster is gone"
        assert conn.get("/by-header", [("X-To", "one")]).status == 200


def split_of(to, mirror, add):
    """All to @to, with headers added there, copied to @mirror."""
    return {"name": "split", "match": {"prefix": "/"}, "route": {
        "weighted_clusters": {"clusters": [{"name": mirror, "weight": 0},
                                           {"name": to, "weight": 1,
                                            "request_headers_to_add": add}]},
        "request_mirror_policies": [{"cluster": mirror}]}}


@test()
def another_file(t):
    """`-c FILE` is read from then on, and a link is followed as it is at the reload."""
    s = start(t)
    texts = {n: t.write(f"{n}.yaml", config(FRONT, clusters("b", "c"), [route(to=n)])) for n in "bc"}
    link = os.path.join(os.path.dirname(texts["b"]), "link.yaml")
    os.symlink(texts["b"], link)
    with Conn(FRONT) as conn:
        assert who(conn) == "a"
        s.run("reload", "-c", link)
        assert who(conn) == "b"
        os.unlink(link)
        os.symlink(texts["c"], link)
        s.run("reload")
        assert who(conn) == "b", "-c names the file"
        s.run("reload", "-c", texts["c"])
        assert who(conn) == "c"
        assert "wrong.yaml" in s.run("reload", "-c", t.write("wrong.yaml", ": ["), code=1)
        s.run("reload")
        assert who(conn) == "c"


@test()
def listeners_routes(t):
    """Each listener has its own routes, before and after; a matcher's regex is the new one."""
    t.backends.nginx(PORTS)
    second = ("127.0.0.1", 8001)

    def text(one, two):
        return dump({"static_resources": {
            "listeners": [listener("one", FRONT, one), listener("two", second, two)],
            "clusters": [cluster(n, e) for n, e in clusters("a", "b", "c").items()]}}) + "\n"

    def regex(pattern, to):
        return {"match": {"safe_regex": {"regex": pattern}}, "route": {"cluster": to}}
    s = t.sluice(text([regex("/[0-9]+", "a"), route(to="b")], [route(to="c")]))
    with Conn(FRONT) as one, Conn(second) as two:
        assert [who(one, "/12"), who(one, "/x"), who(two, "/12")] == ["a", "b", "c"]
        reload(s, text([route(to="c")], [regex("/[a-z]+", "b"), route(to="a")]))
        assert [who(one, "/12"), who(two, "/12"), who(two, "/x")] == ["c", "a", "b"]
        # They become the same, and are one.
        reload(s, text([route(to="b")], [route(to="b")]))
        assert [who(one, "/12"), who(two, "/x")] == ["b", "b"]
        alone = dump({"static_resources": {"listeners": [listener("one", FRONT, [route(to="a")])],
                                           "clusters": [cluster("a", clusters("a")["a"])]}}) + "\n"
        assert "listener 'two' is gone: that needs a restart" in reload(s, alone, code=1)
        assert [who(one, "/12"), who(two, "/x")] == ["b", "b"]


@test()
def worker_dies(t):
    """The next worker serves the reloaded config, also its answers of its own."""
    s = start(t)
    text = config(FRONT, clusters("c", "a"), [route(path="/hi", direct=(200, "hello")),
                                              route(to="c", name="all")])
    reload(s, text)
    rewrite(s, "rubbish")
    old = s.kill_worker()
    s.worker(other_than=old)
    with Conn(FRONT) as conn:
        assert conn.get("/hi").body == b"hello"
        assert who(conn) == "c"
        assert "config generation 2" in s.run("stats")
        assert "error" in s.run("reload", code=1)
        reload(s, text)
        assert conn.get("/hi").body == b"hello"


@test(each=["gone", "another", "twice"])
def begun_before(t, what):
    """A request that has begun ends by the route it began with: tries, their timeout, its headers."""
    listener = t.listen(9001)
    listener.settimeout(5)
    retry = {"retry_on": "5xx,retriable-headers", "num_retries": 3, "per_try_timeout": "0.6s",
             "retriable_headers": [{"name": "x-again", "string_match": {"exact": "yes"}}]}
    old = {"name": "old", "match": {"prefix": "/old"}, "response_headers_to_add": [
        {"header": {"key": "x-by", "value": "%ROUTE_NAME%"}}],
        "route": {"cluster": "one", "retry_policy": retry}}
    other = {**old, "route": {"cluster": "one"}, "response_headers_to_add": []}
    one = {"one": [("127.0.0.1", 9001)]}
    rest = [{"match": {"prefix": f"/{i}", "headers": [{"name": "x", "string_match": {"exact": str(i)}}]},
             "route": {"cluster": "one"}} for i in range(5)]
    s = t.sluice(config(FRONT, one, [*rest, old]))
    if what == "twice":  # the first one of all is never forgotten
        reload(s, config(FRONT, one, [*rest, old]))
    with Conn(FRONT) as conn, contextlib.ExitStack() as stack:
        def next_try():
            lane = stack.enter_context(listener.accept()[0])
            assert lane.recv(65536).startswith(b"GET /old ")
            return lane
        conn.send(build("GET", "/old"))
        lane = next_try()
        reload(s, config(FRONT, one, [other] if what == "another" else [route(to="one", name="new")]))
        lane.close()
        next_try()  # no answer within the time of a try
        next_try().sendall(b"HTTP/1.1 200 OK\r\nX-Again: yes\r\nContent-Length: 0\r\n\r\n")
        lane = next_try()
        if what == "twice":
            reload(s, config(FRONT, one, [route(to="one", name="newer")]))
        lane.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        r = conn.response()
        assert r.status == 200 and r.get("x-by") == (None if what == "twice" else "old"), r
        conn.send(build("GET", "/old"))
        lane.recv(65536)
        lane.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert conn.response().get("x-by") is None
    s.check()


@test()
def no_room_in_the_middle(t):
    """Where a map has no room for the last of a new config, all is as before the first of it."""
    s = start(t, routes=[split(1, 1)])
    linux.fill_hash(s.pin("splits"), range(1 << 20, 1 << 21))
    s.weights("x", a=0, b=1)
    with Conn(FRONT) as conn:
        said = reload(s, config(FRONT, clusters("c"), [route(weights={"c": 1}, name=n, prefix=f"/{n}")
                                                       for n in "xyz"]), code=1)
        assert "cannot write the maps" in said and "nothing is changed" in said, said
        assert [who(conn) for _ in range(10)] == ["b"] * 10
        assert s.stats().by_route() == {"x": 10}, s.stats().by_route()
        assert [e["cluster"] for e in s.stats().tree["endpoints"]] == ["a", "b"]
        # The next worker, too.
        s.worker(other_than=s.kill_worker())
        assert [who(conn) for _ in range(10)] == ["b"] * 10
        reload(s, config(FRONT, clusters("c"), [route(to="c", name="x")]))
        assert who(conn) == "c"
    s.check()


def many(to, name):
    """One cluster at another port, behind routes that take a while to be written."""
    return config(FRONT, {"x": [("127.0.0.1", to)], "y": [("127.0.0.1", 9003)]}, [
        *(route(prefix=f"/{i}/", weights={"x": 1, "y": 1}) for i in range(1500)),
        route(to="x", name=name)])


def kill_in_the_middle(s, text):
    """Kills the worker between the first and the last of a reload's writes; says what is told."""
    rewrite(s, text)
    size, flags = linux.member_of(s.pin("endpoints"), "sl_endpoint", "flags")
    worker = s.worker()
    with linux.mapped(s.pin("endpoints"), size) as first:
        asked = subprocess.Popen(s.argv("reload"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        while not first[flags] & 1 and asked.poll() is None:  # it leaves its cluster
            pass
        os.kill(worker, signal.SIGKILL)
    said = asked.communicate(timeout=20)[0]
    s.worker(other_than=worker)
    return asked.returncode, said


@test(seconds=60)
def dies_in_the_middle(t):
    """A worker that dies while it applies a config leaves the one before, whole, to the next."""
    t.backends.nginx(PORTS)
    one, two = many(9001, "one"), many(9002, "two")
    s = t.sluice(one)
    files = linux.descriptors(s.supervisor)
    for _ in range(20):
        code, said = kill_in_the_middle(s, two)
        with Conn(FRONT) as conn:
            assert {who(conn) for _ in range(6)} == {"a" if code else "b"}, said
        if code:
            break
        reload(s, one)
    else:
        raise AssertionError("no reload was hit")
    assert code == 1 and "nothing is changed" in said and "died" in said, (code, said)
    stats = s.stats()
    assert stats.by_route() == {"one": 6}, stats.by_route()
    def left():
        """Tables, and texts but that of the config that is served."""
        now = linux.descriptors(s.supervisor)
        return sum((now - files)[what] for what in now if "bpf-map" in what) + \
            max(0, sum(n for what, n in now.items() if "memfd" in what) - 1)
    t.wait(lambda: not left(), "the dead worker's descriptors are closed")
    reload(s, two)
    with Conn(FRONT) as conn:
        assert {who(conn) for _ in range(6)} == {"b"}
    s.check()


RELOADS = int(os.environ.get("RELOADS", 60))  # by hand: RELOADS=1000


@test(seconds=30 + RELOADS)
def under_load(t):
    """Many reloads under load, on both paths, without a failed request."""
    s = start(t, names=("a", "b", "c"), routes=[split(50, 50)])
    wrk = Wrk(t, "http://127.0.0.1:8000/x", connections=4, seconds=20 + RELOADS)
    done = threading.Event()
    seen, failed = [0], []

    def user_path():
        while not done.is_set() and not failed:
            try:
                with Conn(FRONT) as conn:  # a connection each: by the user path
                    r = conn.get("/y", [("Connection", "close")])
                    assert r.status == 200, r
                    seen[0] += 1
            except Exception as e:  # told by the test's thread
                failed.append(e)

    thread = threading.Thread(target=user_path)
    thread.start()
    texts = [config(FRONT, clusters("a", "b", "c"), [split(50, 50)]),
             config(FRONT, clusters("c", "b", "a"),
                    [route(path="/z", to="c"), route(prefix="/y", to="c", name="y"),
                     split(50, 50)]),
             config(FRONT, clusters("b", "a", "c"), [split(30, 70)])]
    try:
        for n in range(RELOADS):
            rewrite(s, texts[n % 3])
            if n % 20:
                s.run("reload", seconds=60)  # the one before it is settled when RCU says so
            else:
                before = s.stats().tree["generation"]
                os.kill(s.supervisor, signal.SIGHUP)
                wait_until(lambda: s.stats().tree["generation"] > before, "a generation more")
    finally:
        done.set()
        thread.join(20)
    result = wrk.stop()
    t.note(f"{RELOADS} reloads: {result.requests} requests of open connections, {seen[0]} of a "
           "connection each")
    result.check()
    assert not failed, failed
    assert seen[0] > RELOADS / 2, seen
    s.check()
