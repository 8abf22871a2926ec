# SPDX-License-Identifier: GPL-2.0-only
"""Sticky splits: one user, one version, whatever path, restart or change of weights."""
import json
import socket

from lib.config import DOORS, config, route
from lib.http1 import Conn, build
from lib.runner import test

from test_cli import run
from test_tunnel import UPGRADE, Switcher

FRONT = ("127.0.0.1", 8000)
PORTS = {9001: "old", 9002: "new", 9003: "other"}
CLUSTERS = {name: [("127.0.0.1", port)] for port, name in PORTS.items()}
LADDER = (1, 5, 10, 50, 100)
USERS = 1000


def sticky(policies, prefix="/", name="x", weights=None):
    r = route(prefix=prefix, name=name, weights=weights or {"old": 99, "new": 1})
    r["route"]["weighted_clusters"]["use_hash_policy"] = True
    r["route"]["hash_policy"] = policies
    return r


BY_HEADER = [{"header": {"header_name": "x-user"}}]


def who(conn, user):
    r = conn.get("/", [("X-User", f"user-{user}")])
    assert r.status == 200, f"{user}: {r}"
    return r.get("x-backend")


def cohort(users=range(USERS)):
    """The users that the new version serves."""
    with Conn(FRONT) as conn:
        return {u for u in users if who(conn, u) == "new"}


@test()
def ladder(t):
    """1, 5, 10, 50, 100 %: each cohort holds the one before; back down the same ones."""
    t.backends.nginx(PORTS)
    s = t.sluice(config(FRONT, CLUSTERS, [sticky(BY_HEADER)]))
    seen, last = {}, set()
    for percent in LADDER:
        s.weights("x", old=100 - percent, new=percent)
        now = cohort()
        assert last <= now, f"{len(last - now)} users went back at {percent} %"
        spread = 5 * (USERS * percent * (100 - percent)) ** 0.5 / 100
        assert abs(len(now) - USERS * percent / 100) <= spread, f"{percent} %: {len(now)} users"
        seen[percent] = last = now
    for percent in reversed(LADDER):
        s.weights("x", old=100 - percent, new=percent)
        assert cohort() == seen[percent], f"another cohort at {percent} % on the way down"
    stats = s.stats()
    assert stats.kernel > 0.95 * stats.total, stats


@test()
def same_everywhere(t):
    """The same users on every door, after a restart, and with the worker killed."""
    t.backends.nginx(PORTS)
    cohorts = {}
    for door, options in DOORS.items():
        s = t.sluice(config(FRONT, CLUSTERS,
                            [sticky(BY_HEADER, weights={"old": 60, "other": 10, "new": 30})],
                            sluice=options))
        users = range(300)
        cohorts[door] = cohort(users)
        old = s.kill_worker()
        s.worker(other_than=old)
        assert cohort(users) == cohorts[door], f"{door}: another cohort after a crash"
        stats = s.stats()
        assert stats.by_door(door) > stats.total / 2, f"{door}: {stats}"
        s.stop()
    assert len(set(map(frozenset, cohorts.values()))) == 1, \
        {door: len(c) for door, c in cohorts.items()}


@test()
def made_cookies(t):
    """A cookie with ttl that is missing is made on the user path, and holds from then on."""
    t.backends.nginx(PORTS)
    policy = [{"cookie": {"name": "cohort", "ttl": "3600s", "path": "/shop",
                          "attributes": [{"name": "SameSite", "value": "Lax"}]}}]
    s = t.sluice(config(FRONT, CLUSTERS, [sticky(policy, weights={"old": 50, "new": 50})]))
    values, versions = set(), set()
    with Conn(FRONT) as conn:
        conn.get("/", [("Cookie", "cohort=warm")])
        conn.get("/", [("Cookie", "cohort=up")])
        for _ in range(20):
            before = s.stats()
            first = conn.get("/", [("Cookie", "other=1")])
            text = first.get("set-cookie")
            assert text, f"no cookie: {first}"
            pair, *rest = text.split("; ")
            assert rest == ["Max-Age=3600", "Path=/shop", "SameSite=Lax", "HttpOnly"], text
            name, value = pair.split("=")
            assert name == "cohort" and len(value) == 18 and value[0] == value[-1] == '"', text
            for sent in (value, value.strip('"')):
                again = conn.get("/", [("Cookie", f"a=b; cohort={sent}; c=d")])
                assert again.get("set-cookie") is None, again
                assert again.get("x-backend") == first.get("x-backend"), f"{text}: moved"
            values.add(value)
            versions.add(first.get("x-backend"))
            stats = s.stats()
            assert stats.reasons["route_needs_user"] == 1 + before.reasons.get(
                "route_needs_user", 0), stats
    assert len(values) == 20 and versions == {"old", "new"}, (values, versions)
    assert s.stats().kernel >= 35, s.stats()


@test(each=list(DOORS))
def made_cookies_by_answer(t, door):
    """A cookie is in the answer to its own request if a backend gives one, be it a 101; an answer of
    our own has none, nor has the next one on the connection."""
    Switcher(t)
    policy = [{"cookie": {"name": "cohort", "ttl": "3600s", "path": "/shop"}}]
    shop, down = route("/shop", to="one"), route("/down", to="down")
    for r in (shop, down):
        r["route"]["hash_policy"] = policy
    text = config(FRONT, {"one": [("127.0.0.1", 9001)], "down": [("127.0.0.1", 9009)]},
                  [shop, down, route(to="one")], DOORS[door])
    s = t.sluice(text.replace('lb_policy: "ROUND_ROBIN"', 'lb_policy: "RING_HASH"'))
    with Conn(FRONT) as conn:
        for n in range(3):
            for path, status, made in (("/other", 200, False), ("/shop", 200, True),
                                       ("/down", 503, False), ("/other", 200, False)):
                r = conn.get(path)
                assert r.status == status and bool(r.get("set-cookie")) == made, f"{n}, {path}: {r}"
        conn.send(build("GET", "/shop", UPGRADE))
        r = conn.head()
        assert r.status == 101 and r.get("set-cookie", "").startswith("cohort="), r
    s.check()


@test()
def without_ttl(t):
    """A cookie without ttl is not made: such requests are shared out exactly, as ever."""
    t.backends.nginx(PORTS)
    t.sluice(config(FRONT, CLUSTERS, [
        sticky([{"cookie": {"name": "cohort"}}], weights={"old": 50, "new": 50})]))
    with Conn(FRONT) as conn:
        got = [conn.get("/") for _ in range(40)]
        new = sum(r.get("x-backend") == "new" for r in got)
        assert 16 <= new <= 24, new
        assert all(r.get("set-cookie") is None for r in got)
        held = {conn.get("/", [("Cookie", "cohort=me")]).get("x-backend") for _ in range(10)}
        assert len(held) == 1, held


def from_address(address, path="/"):
    sock = socket.socket()
    sock.settimeout(10)
    sock.bind((address, 0))
    sock.connect(FRONT)
    conn = Conn.__new__(Conn)
    conn.sock, conn.buf = sock, bytearray()
    with conn:
        return [conn.get(path).get("x-backend") for _ in range(3)]


@test()
def by_address(t):
    """source_ip: a client's address decides, not its port, on both paths alike."""
    t.backends.nginx(PORTS)
    policy = [{"connection_properties": {"source_ip": True}}]
    answers = []
    for options in ({}, {"colocated_clients": False}, {"kernel_path": False}):
        s = t.sluice(config(FRONT, CLUSTERS, [sticky(policy, weights={"old": 50, "new": 50})],
                            sluice=options))
        found = {}
        for i in range(1, 31):
            got = set(from_address(f"127.0.1.{i}") + from_address(f"127.0.1.{i}"))
            assert len(got) == 1, f"127.0.1.{i}: {got}"
            found[i] = got.pop()
        answers.append(found)
        s.stop()
    assert answers[0] == answers[1] == answers[2], answers
    assert 5 <= sum(v == "new" for v in answers[0].values()) <= 25, answers[0]


@test()
def by_parameter_and_terminal(t):
    """A query parameter; and `terminal`: with the first policy's hash the second does not count."""
    t.backends.nginx(PORTS)
    half = {"old": 50, "new": 50}
    both = [{"header": {"header_name": "x-user"}, "terminal": True},
            {"query_parameter": {"name": "user"}}]
    t.sluice(config(FRONT, CLUSTERS, [sticky([{"query_parameter": {"name": "user"}}], "/q", "q",
                                             half), sticky(both, "/t", "t", half)]))
    with Conn(FRONT) as conn:
        def version(path, user=None):
            return conn.get(path, [("X-User", user)] if user else []).get("x-backend")

        by_query = {u: version(f"/q?a=b&user={u}") for u in range(60)}
        assert set(by_query.values()) == {"old", "new"}
        for u, version_of in by_query.items():
            assert version(f"/q/other?user={u}&z") == version_of, u
            assert version(f"/t?user={u}") == version_of, u
        by_user = {version(f"/t?user={u}", "alice") for u in range(60)}
        assert len(by_user) == 1, by_user
        # A head in two sends goes by the user path, to the same version.
        for u in range(10):
            whole = build("GET", f"/q?user={u}")
            conn.send_pieces([whole[:9], whole[9:]])
            assert conn.response().get("x-backend") == by_query[u], u


@test()
def by_rewritten_header(t):
    """regex_rewrite of a hash policy's header: what it leaves of the value is who the user is."""
    t.backends.nginx(PORTS)
    half = {"old": 50, "new": 50}
    policy = {"header": {"header_name": "X-User", "regex_rewrite": {
        "pattern": {"regex": "@.*"}, "substitution": ""}}}
    s = t.sluice(config(FRONT, CLUSTERS, [sticky([policy], "/r", "r", half),
                                          sticky(BY_HEADER, "/", "x", half)]))
    with Conn(FRONT) as conn:
        def version(path, user):
            return conn.get(path, [("x-user", user)]).get("x-backend")

        plain = [version("/", f"user{u}") for u in range(40)]
        assert set(plain) == {"old", "new"}, plain
        for where in ("home", "work"):
            assert [version("/r", f"user{u}@{where}") for u in range(40)] == plain, where
    told = json.loads(run(t, "explain", "-c", s.config_path, "--json", "GET", "/r", "-H",
                          "x-user: user3@home").stdout)
    assert told["cohort"]["cluster"] == plain[3], told
