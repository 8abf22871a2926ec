# SPDX-License-Identifier: GPL-2.0-only
"""Endpoints that fail: active checks and outlier detection, on both paths."""
import collections
import errno
import os
import time

from lib import envoy, seccomp
from lib.config import DOORS, cluster, dump, listener, route
from lib.http1 import Conn
from lib.keeper import OK, Keeper
from lib.proc import wait_until
from lib.runner import test

import test_pipes
from test_actions import action, add
from test_answers import lines

FRONT = ("127.0.0.1", 8000)
PORTS = {9001: "a", 9002: "b", 9003: "c"}
CONNECT = {"x86_64": 42, "aarch64": 203}[os.uname().machine]
SOCKADDR_IN = 16  # bytes
FAST = {"timeout": "5s", "interval": "0.05s", "no_traffic_interval": "0.05s",
        "unhealthy_threshold": 1, "healthy_threshold": 1}


def conf(path=True, ports=PORTS, **keys):
    one = {**cluster("one", [("127.0.0.1", p) for p in ports]), **keys}
    tree = {"static_resources": {"listeners": [listener("front", FRONT, [route(to="one")])],
                                 "clusters": [one]}}
    if not path:
        tree["sluice"] = {"kernel_path": False}
    return dump(tree) + "\n"


def http_check(path="/healthz", **keys):
    return [{**FAST, "http_health_check": {"path": path, **keys}}]


class Service:
    """A backend that says what it is told to."""

    def __init__(self, t, name, port):
        self.name, self.status, self.health = name, 200, 200
        self.checks = []
        self.keeper = Keeper(t, port, self.answer)

    def answer(self, request, n):
        check = request.target == "/healthz"
        if check:
            self.checks.append((n, request))
        status = self.health if check else self.status
        return (f"HTTP/1.1 {status} X\r\nX-Backend: {self.name}\r\n"
                "Content-Length: 2\r\n\r\nok").encode()


def services(t):
    return {name: Service(t, name, port) for port, name in PORTS.items()}


def endpoint(s, port):
    return next(e for e in s.stats().tree["endpoints"] if e["endpoint"] == f"127.0.0.1:{port}")


def healthy(s, port, want=True):
    wait_until(lambda: endpoint(s, port)["checks"] and (endpoint(s, port)["health"] == "") == want,
               f"{port} is {'healthy' if want else 'not'}")


def ask(conn, n):
    """Who answered n requests."""
    return collections.Counter(conn.get("/").get("x-backend") for _ in range(n))


@test()
def one_check(t):
    """An endpoint whose check fails gets nothing more, whose check passes is back; both paths."""
    all_ = services(t)
    for path in (True, False):
        s = t.sluice(conf(path, health_checks=http_check(host="check.test")))
        for port in PORTS:
            healthy(s, port)
        with Conn(FRONT) as conn:
            assert ask(conn, 30) == {"a": 10, "b": 10, "c": 10}
            all_["b"].health = 500
            healthy(s, 9002, False)
            assert "failed_active_hc" in s.run("stats"), s.run("stats")
            assert ask(conn, 30) == {"a": 15, "c": 15}
            all_["b"].health = 200
            healthy(s, 9002)
            assert ask(conn, 30) == {"a": 10, "b": 10, "c": 10}
        stats = s.stats()
        assert (stats.kernel > 80) if path else (stats.kernel == 0), stats
        assert stats.clusters["one"]["limits"].get("health_check_failure"), stats.clusters
        s.check()
        s.stop()
    n, request = all_["a"].checks[0]
    assert request.line == b"GET /healthz HTTP/1.1" or request.line == "GET /healthz HTTP/1.1"
    assert request.get("host") == "check.test", request
    used = all_["a"].keeper.connections
    assert used < len(all_["a"].checks), "the connection of checks was not used again"


@test()
def at_rest(t):
    """Between checks on a connection that is kept nobody has anything to do."""
    a = Service(t, "a", 9001)
    s = t.sluice(conf(ports=[9001], health_checks=[{**http_check()[0], "interval": "0.4s",
                                                   "no_traffic_interval": "0.4s"}]), concurrency=1)

    def used_ns():
        with open(f"/proc/{s.worker()}/schedstat", encoding="ascii") as f:
            return int(f.read().split()[0])

    healthy(s, 9001)
    seen, used, begun = len(a.checks), used_ns(), time.monotonic_ns()
    wait_until(lambda: len(a.checks) >= seen + 3, "checks go on")
    used, took = used_ns() - used, time.monotonic_ns() - begun
    assert a.keeper.connections == 1, "the connection was not kept"
    assert used < took / 10, f"{used} ns of the CPU in {took} ns"


@test()
def panic(t):
    """Below half: everybody is asked. With no threshold: nobody, 503."""
    all_ = services(t)
    all_["a"].health = all_["b"].health = 500
    s = t.sluice(conf(health_checks=http_check()))
    for port in (9001, 9002):
        healthy(s, port, False)
    with Conn(FRONT) as conn:
        assert ask(conn, 30) == {"a": 10, "b": 10, "c": 10}
        with open(s.config_path, "w") as f:
            f.write(conf(health_checks=http_check(),
                         common_lb_config={"healthy_panic_threshold": {"value": 0}}))
        s.run("reload")
        assert ask(conn, 10) == {"c": 10}
        all_["c"].health = 500
        healthy(s, 9003, False)
        assert conn.get("/").status == 503
        for one in all_.values():
            one.health = 200
        for port in PORTS:
            healthy(s, port)
        assert ask(conn, 30) == {"a": 10, "b": 10, "c": 10}


@test()
def tcp_and_thresholds(t):
    """TCP: a listener that is gone is missed after unhealthy_threshold checks; then it is back."""
    all_ = services(t)
    check = [{**FAST, "unhealthy_threshold": 3, "healthy_threshold": 2, "tcp_health_check": {}}]
    s = t.sluice(conf(health_checks=check, close_connections_on_host_health_failure=True))
    for port in PORTS:
        healthy(s, port)
    with Conn(FRONT) as conn:
        ask(conn, 9)
        all_["b"].keeper.stop()
        all_["b"].keeper.listener.close()
        healthy(s, 9002, False)
        assert endpoint(s, 9002)["failed_checks"] >= 3, endpoint(s, 9002)
        assert ask(conn, 20) == {"a": 10, "c": 10}
        wait_until(lambda: not endpoint(s, 9002)["idle_lanes"], "its lanes are closed")
        before = endpoint(s, 9002)
        Service(t, "new", 9002)
        healthy(s, 9002)
        now = endpoint(s, 9002)
        good = now["checks"] - before["checks"] - (now["failed_checks"] - before["failed_checks"])
        assert good >= 2, (before, now)
        assert ask(conn, 30) == {"a": 10, "new": 10, "c": 10}
    s.check()


@test()
def next_worker(t):
    """A worker that follows one that was killed knows who is well and goes on with the checks."""
    all_ = services(t)
    all_["b"].health = 500
    s = t.sluice(conf(health_checks=http_check()))
    healthy(s, 9002, False)
    with Conn(FRONT) as conn:
        assert ask(conn, 20) == {"a": 10, "c": 10}
        s.worker(other_than=s.kill_worker())
        assert ask(conn, 20) == {"a": 10, "c": 10}
        before = len(all_["a"].checks)
        t.wait(lambda: len(all_["a"].checks) > before + 2, "checks go on")
        all_["b"].health = 200
        healthy(s, 9002)
        assert ask(conn, 30) == {"a": 10, "b": 10, "c": 10}


@test()
def slow_start(t):
    """Back from a failed check it gets little at first, and its share in the end."""
    all_ = services(t)
    slow = {"slow_start_config": {"slow_start_window": "30s"}}
    for path in (True, False):
        s = t.sluice(conf(path, health_checks=http_check(), round_robin_lb_config=slow))
        for port in PORTS:
            healthy(s, port)
        with Conn(FRONT) as conn:
            assert ask(conn, 30) == {"a": 10, "b": 10, "c": 10}, "all are there from the start"
            all_["b"].health = 500
            healthy(s, 9002, False)
            all_["b"].health = 200
            healthy(s, 9002)
            first = ask(conn, 60)["b"]
            assert 0 < first <= 15, first  # 10 % of the others' weight for 3 s, then more
            with open(s.config_path, "w") as f:
                f.write(conf(path, health_checks=http_check(), round_robin_lb_config={
                    "slow_start_config": {"slow_start_window": "0.5s"}}))
            s.run("reload")
            wait_until(lambda: ask(conn, 30)["b"] == 10, "its share again")
        s.check()
        s.stop()


OUTLIERS = {"consecutive_5xx": 4, "interval": "0.05s", "base_ejection_time": "3s",
            "max_ejection_percent": 40, "enforcing_success_rate": 0}


@test()
def outliers(t):
    """Four failures one after another, seen by both paths: out for a while, a second one stays."""
    all_ = services(t)
    for path in (True, False):
        s = t.sluice(conf(path, outlier_detection=OUTLIERS))
        with Conn(FRONT) as conn:
            assert ask(conn, 30) == {"a": 10, "b": 10, "c": 10}
            all_["b"].status = 500
            assert ask(conn, 9)["b"] == 3
            all_["b"].status = 200
            assert ask(conn, 3)["b"] == 1
            all_["b"].status = all_["c"].status = 503
            assert ask(conn, 9)["b"] == 3
            ask(conn, 3)  # the fourth of b or of c: one of three may go
            wait_until(lambda: sum(e["ejections"] for e in s.stats().tree["endpoints"]) == 1,
                       "one is out")
            assert len(ask(conn, 20)) == 2
            all_["b"].status = all_["c"].status = 200
            wait_until(lambda: not any(e["health"] for e in s.stats().tree["endpoints"]),
                       "it is back")
            assert ask(conn, 30) == {"a": 10, "b": 10, "c": 10}
        stats = s.stats()
        assert (stats.kernel > 80) if path else (stats.kernel == 0), stats
        counts = stats.clusters["one"]["limits"]
        assert counts["ejections_enforced_total"] == 1 and counts["ejections_overflow"], counts
        s.check()
        s.stop()


@test()
def gateway_failures(t):
    """502 to 504 count by themselves, 500 does not; connections refused do."""
    all_ = services(t)
    rules = {**OUTLIERS, "consecutive_5xx": 0, "consecutive_gateway_failure": 3,
             "enforcing_consecutive_gateway_failure": 100, "base_ejection_time": "60s"}
    s = t.sluice(conf(outlier_detection=rules))
    with Conn(FRONT) as conn:
        all_["b"].status = 500
        assert ask(conn, 30)["b"] == 10
        all_["b"].status = 502
        ask(conn, 9)
        wait_until(lambda: endpoint(s, 9002)["health"].startswith("failed_outlier_check"),
                   "b is out")
        assert ask(conn, 20) == {"a": 10, "c": 10}


# What connect() says, and whether that is the endpoint's fault.
REFUSALS = {errno.ECONNREFUSED: True, errno.ENETUNREACH: True, errno.EADDRNOTAVAIL: False,
            errno.ENOBUFS: False}


@test(each=[errno.errorcode[n] for n in REFUSALS])
def not_connected(t, name):
    """No connection for want of a port or of memory here: no endpoint is out for that."""
    number = getattr(errno, name)
    Keeper(t, 9001)
    s = t.sluice(conf(ports=[9001], outlier_detection={**OUTLIERS, "base_ejection_time": "60s",
                                                       "max_ejection_percent": 100}),
                 concurrency=1, wrap=seccomp.wrap(seccomp.refusal(CONNECT, number)))
    with Conn(FRONT) as conn:
        assert [conn.get("/").status for _ in range(4)] == [503] * 4
    assert bool(endpoint(s, 9001)["ejections"]) == REFUSALS[number], endpoint(s, 9001)


@test(each=["refused", "ends", "answers"])
def mirrors(t, how):
    """A copy of a request counts as any request does: one that fails, and one that is answered."""
    Keeper(t, 9002)
    if how != "refused":
        copies = Keeper(t, 9001, None if how == "ends" else b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n")
    copied = route(to="two")
    copied["route"]["request_mirror_policies"] = [{"cluster": "one"}]
    rules = {**OUTLIERS, "base_ejection_time": "60s", "max_ejection_percent": 100}
    s = t.sluice(dump({"static_resources": {
        "listeners": [listener("front", FRONT, [copied])],
        "clusters": [{**cluster("one", [("127.0.0.1", 9001)]), "outlier_detection": rules},
                     cluster("two", [("127.0.0.1", 9002)])]}}) + "\n", concurrency=1)
    with Conn(FRONT) as conn:
        def copy(n):
            for _ in range(n):
                assert conn.get("/").status == 200
                s.idle()
        if how != "refused":
            copy(3)
            fails, copies.answer = copies.answer, OK
            copy(1)
            copies.answer = fails
        copy(3)
        assert not endpoint(s, 9001)["ejections"], "three in a row"
        copy(1)
        wait_until(lambda: endpoint(s, 9001)["ejections"] == 1, "it is out")
    s.check()


@test(each=list(DOORS))
def over_long(t, door):
    """A head that does not fit with what the route adds is one failure, whatever its status."""
    large = b"Y: %b\r\n" % (b"y" * 6000) + lines(b"X", 58)
    back = Keeper(t, 9001)
    rules = {**OUTLIERS, "base_ejection_time": "60s", "max_ejection_percent": 100}
    copied = action("/", top={"response_headers_to_add": [add("x-copy", "%RESP(y)%")]})
    s = t.sluice(envoy.conf(door, [copied], back={"outlier_detection": rules}))
    with Conn(FRONT) as conn:
        for status in (500, 200):
            back.answer = b"HTTP/1.1 %d X\r\n%bContent-Length: 2\r\n\r\nok" % (status, large)
            for _ in range(3):
                assert conn.get("/").status == 502
            assert not endpoint(s, 9001)["ejections"], f"three times {status}"
            back.answer = OK
            assert conn.get("/").status == 200
        back.answer = b"HTTP/1.1 200 X\r\n%bContent-Length: 2\r\n\r\nok" % large
        for _ in range(4):
            assert conn.get("/").status == 502
        wait_until(lambda: endpoint(s, 9001)["ejections"] == 1, "it is out")
    s.check()


@test()
def not_checked(t):
    """A check that cannot be made for want of a port here has no result."""
    path = test_pipes.where(t)
    test_pipes.Service(t, "a", path)
    Keeper(t, 9001)
    no_ports = [seccomp.load(seccomp.NR), seccomp.unless(CONNECT, 3), seccomp.load(seccomp.ARG2),
                seccomp.unless(SOCKADDR_IN, 1), seccomp.returns(seccomp.ERRNO | errno.EADDRNOTAVAIL),
                seccomp.returns(seccomp.ALLOW)]
    s = t.sluice(test_pipes.conf(path, ("127.0.0.1", 9001), health_checks=http_check()),
                 wrap=seccomp.wrap(no_ports))

    def by_pipe():
        return next(e for e in s.stats().tree["endpoints"] if e["endpoint"] == path)
    wait_until(lambda: by_pipe()["checks"] > 5, "the other endpoint's checks")
    assert endpoint(s, 9001)["checks"] == 0 and by_pipe()["failed_checks"] == 0, s.stats().tree
    s.check()


def split_conf(path, weights, sticky=False, **keys):
    """A cluster for each of PORTS, checked, and a split between them."""
    split = route(weights=weights, name="split")
    if sticky:
        split["route"]["weighted_clusters"]["use_hash_policy"] = True
        split["route"]["hash_policy"] = [{"header": {"header_name": "x-user"}}]
    by_number = route(prefix="/by-number", weights=weights, name="by-number")
    by_number["route"]["weighted_clusters"]["header_name"] = "x-n"
    tree = {"static_resources": {
        "listeners": [listener("front", FRONT, [by_number, split])],
        "clusters": [{**cluster(name, [("127.0.0.1", port)]), "health_checks": http_check(), **keys}
                     for port, name in PORTS.items()]}}
    if not path:
        tree["sluice"] = {"kernel_path": False}
    return dump(tree) + "\n"


def ask_on_both(conn, n):
    """Half of the n requests in two sends: by the user path."""
    got = ask(conn, n // 2)
    for _ in range(n // 2):
        conn.send_pieces([b"GET / HTTP/1.1\r\n", b"Host: x\r\n\r\n"])
        got[conn.response().get("x-backend")] += 1
    return got


def near(got, **want):
    """Exact splits are within 4 of their share."""
    assert set(got) <= set(want), (got, want)
    assert all(abs(got[name] - n) <= 4 for name, n in want.items()), (got, want)


@test(each=["kernel", "user"], seconds=60)
def split_without_health(t, path):
    """A cluster of a split that has no healthy endpoint gets nothing, its share goes to the others by
    their weights, but to none of weight 0; when no cluster has one, all keep their weights."""
    all_ = services(t)
    s = t.sluice(split_conf(path == "kernel", {"a": 60, "b": 30, "c": 10}))
    for port in PORTS:
        healthy(s, port)
    with Conn(FRONT) as conn:
        near(ask_on_both(conn, 100), a=60, b=30, c=10)
        all_["a"].health = 500
        healthy(s, 9001, False)
        before = s.stats()
        near(ask_on_both(conn, 80), b=60, c=20)
        if path == "kernel":
            assert s.stats().kernel - before.kernel >= 38, (before, s.stats())
        for n, name in ((0, "b"), (29, "b"), (30, "c"), (39, "c"), (40, "b")):
            assert conn.get("/by-number", [("x-n", str(n))]).get("x-backend") == name, n
        s.weights("split", b=0)
        assert ask_on_both(conn, 20) == {"c": 20}
        # The one that has all the weight keeps it: 0 gets nothing.
        s.weights("split", c=0)
        assert ask_on_both(conn, 20) == {"a": 20}
        s.weights("split", a=60, b=30, c=10)
        old = s.kill_worker()
        s.worker(other_than=old)
        with Conn(FRONT) as second:
            near(ask_on_both(second, 80), b=60, c=20)
    with Conn(FRONT) as conn:
        s.run("reload")
        near(ask_on_both(conn, 80), b=60, c=20)
        for name, port in (("b", 9002), ("c", 9003)):
            all_[name].health = 500
            healthy(s, port, False)
        near(ask_on_both(conn, 100), a=60, b=30, c=10)
        for name, port in (("a", 9001), ("b", 9002), ("c", 9003)):
            all_[name].health = 200
            healthy(s, port)
        near(ask_on_both(conn, 100), a=60, b=30, c=10)
    s.check()


@test(each=["kernel", "user"])
def sticky_split_without_health(t, path):
    """Of a sticky split only the users of the cluster that is gone go elsewhere, and come back."""
    all_ = services(t)
    s = t.sluice(split_conf(path == "kernel", {"a": 40, "b": 40, "c": 20}, sticky=True))
    for port in PORTS:
        healthy(s, port)
    with Conn(FRONT) as conn:
        def versions():
            return [conn.get("/", [("x-user", str(u))]).get("x-backend") for u in range(90)]
        first = versions()
        assert set(first) == {"a", "b", "c"}, first
        all_["b"].health = 500
        healthy(s, 9002, False)
        second = versions()
        assert [v for u, v in enumerate(second) if first[u] != "b"] == \
            [v for v in first if v != "b"]
        assert {v for u, v in enumerate(second) if first[u] == "b"} == {"a", "c"}
        for name, port in (("a", 9001), ("c", 9003)):
            all_[name].health = 500
            healthy(s, port, False)
        assert versions() == first, "all are down: by their weights"
        for name, port in (("a", 9001), ("b", 9002), ("c", 9003)):
            all_[name].health = 200
            healthy(s, port)
        assert versions() == first
    s.check()
