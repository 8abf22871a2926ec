# SPDX-License-Identifier: GPL-2.0-only
"""STRICT_DNS and LOGICAL_DNS: names are looked up again and again, and no request notices."""
import collections
import os
import time

from lib import linux
from lib.config import cluster, dump, listener, route
from lib.dns import A, AAAA, Dns
from lib.http1 import Conn
from lib.load import Load, Wrk
from lib.proc import wait_until
from lib.runner import test

from test_reload import kill_in_the_middle, reload as reload_to

FRONT = ("127.0.0.1", 8000)
PORT = 9001
WHERE = {"127.0.0.1": "a", "127.0.0.2": "b", "127.0.0.3": "c", "::1": "v6"}
CARES = "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig"


def server(address="127.0.0.1", port=5353):
    return {"socket_address": {"address": address, "port_value": port}}


def dns_cluster(name="one", host="app.test", kind="STRICT_DNS", resolvers=True, **keys):
    hosts = [host] if isinstance(host, str) else host
    one = {**cluster(name, [(h, PORT) for h in hosts]), "type": kind, "dns_refresh_rate": "0.1s",
           "dns_failure_refresh_rate": {"base_interval": "0.05s", "max_interval": "0.2s"}}
    if resolvers:
        one["typed_dns_resolver_config"] = {
            "name": "envoy.network.dns_resolver.cares",
            "typed_config": {"@type": CARES, "resolvers": [server()],
                             "query_timeout_seconds": 1, "query_tries": 2}}
    return {**one, **keys}


def conf(*clusters, kernel=True, **root):
    to = clusters[0]["name"]
    tree = {"static_resources": {"listeners": [listener("front", FRONT, [route(to=to)])],
                                 "clusters": list(clusters)}, **root}
    if not kernel:
        tree["sluice"] = {"kernel_path": False}
    return dump(tree) + "\n"


def backends(t, *addresses):
    for a in addresses or ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
        t.backends.nginx({PORT: WHERE[a]}, address=a)


def who(conn, n=1):
    return collections.Counter(conn.get("/").get("x-backend") for _ in range(n))


def ends(s, name="one"):
    return sorted(e["endpoint"] for e in s.stats().tree["endpoints"]
                  if e["cluster"] == name and not e["health"])


def becomes(s, *addresses, name="one"):
    want = sorted(f"[{a}]:{PORT}" if ":" in a else f"{a}:{PORT}" for a in addresses)
    wait_until(lambda: ends(s, name) == want, f"endpoints {want}")


@test()
def addresses_change(t):
    """Each address is an endpoint; new ones get requests, others none; on both paths."""
    backends(t)
    dns = Dns(t, port=5353)
    for kernel in (True, False):
        dns.set("app.test", ["127.0.0.1"])
        s = t.sluice(conf(dns_cluster(), kernel=kernel))
        with Conn(FRONT) as conn:
            assert who(conn, 10) == {"a": 10}
            dns.set("app.test", ["127.0.0.3", "127.0.0.1", "127.0.0.2"])
            becomes(s, "127.0.0.1", "127.0.0.2", "127.0.0.3")
            assert who(conn, 30) == {"a": 10, "b": 10, "c": 10}
            dns.set("app.test", ["127.0.0.2"])
            becomes(s, "127.0.0.2")
            assert who(conn, 30) == {"b": 30}
            before = s.stats()
            assert who(conn, 10) == {"b": 10}
            stats = s.stats()
            assert stats.kernel - before.kernel == (10 if kernel else 0), (before, stats)
            wait_until(lambda: len(s.stats().tree["endpoints"]) == 1, "the slots are free")
        limits = s.stats().clusters["one"]["limits"]
        assert limits["membership_change"] == 2 and limits["update_success"] > 2, limits
        s.check()
        s.stop()


@test()
def failures(t):
    """SERVFAIL and silence leave the addresses; a name that is gone has none: 503 (Envoy)."""
    backends(t)
    dns = Dns(t, port=5353)
    dns.set("app.test", ["127.0.0.1", "127.0.0.2"])
    s = t.sluice(conf(dns_cluster()))
    with Conn(FRONT) as conn:
        for trouble in ("servfail", "silent"):
            dns.set("app.test", trouble)
            failed = s.stats().clusters["one"]["limits"].get("update_failure", 0)
            wait_until(lambda: s.stats().clusters["one"]["limits"].get("update_failure", 0) >
                       failed, f"{trouble} is noticed", 20)
            assert who(conn, 10) == {"a": 5, "b": 5}
        assert "cannot resolve 'app.test'" in s.proc.log(), s.proc.log()
        dns.set("app.test", ["127.0.0.3"])
        becomes(s, "127.0.0.3")
        wait_until(lambda: "'app.test' resolves again" in s.proc.log(), "the log")
        assert who(conn, 10) == {"c": 10}
        for gone in ("nxdomain", []):
            dns.set("app.test", gone)
            becomes(s)
            assert conn.get("/").status == 503
            dns.set("app.test", ["127.0.0.1"])
            becomes(s, "127.0.0.1")
            assert who(conn, 4) == {"a": 4}
    s.check()


@test()
def at_the_start(t):
    """Ready with the first answers; a name without one is warned of and answered 503 until then."""
    backends(t)
    dns = Dns(t, port=5353)
    dns.set("app.test", ["127.0.0.1"])
    other = dns_cluster("other", "later.test")
    tree = {"static_resources": {
        "listeners": [listener("front", FRONT, [route(prefix="/later", to="other"),
                                                route(to="one")])],
        "clusters": [dns_cluster(), other]}}
    s = t.sluice(dump(tree) + "\n")
    assert "warning: cannot resolve 'later.test' now: it has no address" in s.proc.log()
    with Conn(FRONT) as conn:
        assert who(conn, 2) == {"a": 2}
        assert conn.get("/later").status == 503
        dns.set("later.test", ["127.0.0.2"])
        becomes(s, "127.0.0.2", name="other")
        assert conn.get("/later").get("x-backend") == "b"
    s.check()


@test()
def no_network_for_check(t):
    """check and explain ask no name server: there is none, and they are at once there."""
    path = t.write("c.yaml", conf(dns_cluster()))
    start = time.monotonic()
    for words in (["check", "-c", path], ["explain", "-c", path, "GET", "/"]):
        p = t.start([t.sluice_bin, *words])
        assert p.wait(10) == 0, p.log()
    assert "app.test:9001" in p.log() and "kernel path" in p.log().lower(), p.log()
    assert time.monotonic() - start < 3


@test()
def families(t):
    """dns_lookup_family: A and AAAA."""
    backends(t, "127.0.0.1", "::1")
    dns = Dns(t, port=5353)
    dns.set("app.test", ["127.0.0.1", "::1"])
    dns.set("six.test", ["::1"])
    dns.set("half.test", {"A": ["127.0.0.1"], "AAAA": "servfail"})
    cases = {"V4_ONLY": ["127.0.0.1"], "V6_ONLY": ["::1"], "ALL": ["127.0.0.1", "::1"],
             "V4_PREFERRED": ["127.0.0.1"], "AUTO": ["127.0.0.1"]}
    all_ = [dns_cluster(f, dns_lookup_family=f) for f in cases]
    all_ += [dns_cluster("six", "six.test", dns_lookup_family="V4_PREFERRED"),
             dns_cluster("auto6", "six.test"),
             dns_cluster("half", "half.test", dns_lookup_family="ALL")]
    s = t.sluice(conf(*all_))
    for name, want in cases.items():
        becomes(s, *want, name=name)
    becomes(s, "::1", name="six")
    becomes(s, "::1", name="auto6")
    becomes(s, "127.0.0.1", name="half")
    # A family that fails keeps what it had.
    dns.set("half.test", ["127.0.0.1", "::1"])
    becomes(s, "127.0.0.1", "::1", name="half")
    n = dns.count("half.test", AAAA)
    dns.set("half.test", {"A": ["127.0.0.1"], "AAAA": "servfail"})
    wait_until(lambda: dns.count("half.test", AAAA) > n + 4, "looked up again")
    becomes(s, "127.0.0.1", "::1", name="half")
    s.stop()
    # Where this host has IPv6, AUTO takes it.
    t.link(t.main_ns, t.netns())
    s = t.sluice(conf(dns_cluster()))
    becomes(s, "::1")
    with Conn(FRONT) as conn:
        assert who(conn, 4) == {"v6": 4}


@test()
def many_by_tcp(t):
    """An answer that does not fit a UDP message comes by TCP; use_tcp asks by nothing else."""
    backends(t)
    dns = Dns(t, port=5353)
    many = [f"127.0.1.{i}" for i in range(1, 61)]
    dns.set("app.test", many)
    s = t.sluice(conf(dns_cluster()))
    becomes(s, *many)
    assert dns.count("app.test", A, "udp") and dns.count("app.test", A, "tcp")
    s.stop()
    dns.set("tcp.test", ("cname", "app.test", 7))
    s = t.sluice(conf(dns_cluster(host="tcp.test", resolvers=False, use_tcp_for_dns_lookups=True,
                                  dns_resolvers=[server()])))
    becomes(s, *many)
    assert dns.count("tcp.test", how="tcp") and not dns.count("tcp.test", how="udp")


@test()
def ttl(t):
    """respect_dns_ttl: asked again when the answer is old, however short the refresh rate is."""
    backends(t)
    dns = Dns(t, port=5353, ttl=1)
    dns.set("short.test", ["127.0.0.1"])
    s = t.sluice(conf(dns_cluster(host="short.test", respect_dns_ttl=True,
                                  dns_lookup_family="V4_ONLY")))
    start = time.monotonic()
    wait_until(lambda: dns.count("short.test") >= 4, "the fourth time")
    assert 2.5 < time.monotonic() - start + 0.5, "too often"
    s.stop()
    # A long TTL is not waited for without it; jitter is added.
    dns.ttl = 3600
    s = t.sluice(conf(dns_cluster(host="long.test", dns_jitter="0.1s")))
    n = dns.count("long.test")
    wait_until(lambda: dns.count("long.test") > n + 6, "asked again")


@test()
def logical(t):
    """LOGICAL_DNS: new connections go to the first address, those that there are stay in use."""
    backends(t)
    dns = Dns(t, port=5353)
    dns.set("app.test", ["127.0.0.2", "127.0.0.1"])
    s = t.sluice(conf(dns_cluster(kind="LOGICAL_DNS")))
    with Conn(FRONT) as conn:
        becomes(s, "127.0.0.2")
        assert who(conn, 10) == {"b": 10}
        dns.set("app.test", ["127.0.0.1", "127.0.0.2"])
        becomes(s, "127.0.0.1")
        before = s.stats()
        assert who(conn, 10) == {"b": 10}, "its connection is not closed"
        assert s.stats().kernel == before.kernel + 10
        # As many requests at a time as make new connections.
        with Load(FRONT, 8, lambda c, *_: c.get("/").get("x-backend")) as load:
            wait_until(lambda: load.requests > 200, "requests")
        load.check()
        assert load.counts["a"] and load.counts["b"], load.counts
        dns.set("app.test", "nxdomain")
        wait_until(lambda: s.stats().clusters["one"]["limits"].get("update_failure", 0), "no name")
        assert conn.get("/").status == 200
        assert ends(s) == [f"127.0.0.1:{PORT}"]
    s.check()


@test()
def system_files(t):
    """/etc/hosts, and the server of /etc/resolv.conf, also when that file changes."""
    backends(t)
    first, second = Dns(t, "127.0.0.1", 53), Dns(t, "127.0.0.2", 53)
    first.set("app.test", ["127.0.0.1"])
    second.set("app.test", ["127.0.0.2"])
    second.set("short.search.test", ["127.0.0.3"])
    files = {"/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n127.0.0.3 static.test\n",
             "/etc/resolv.conf": "nameserver 127.0.0.1\n"}
    for path, text in files.items():
        own = t.write(os.path.basename(path), text)
        linux.mount(own, path, None, linux.MS_BIND)
        t.stack.callback(linux.umount, path)
    s = t.sluice(conf(*[dns_cluster(n, h, resolvers=False)
                        for n, h in (("app", "app.test"), ("host", "static.test"),
                                     ("local", "localhost"), ("short", "short"))]))
    becomes(s, "127.0.0.1", name="app")
    becomes(s, "127.0.0.3", name="host")
    becomes(s, "127.0.0.1", name="local")
    with open("/etc/resolv.conf", "w") as f:
        f.write("nameserver 127.0.0.2\nsearch search.test\n")
    becomes(s, "127.0.0.2", name="app")
    becomes(s, "127.0.0.3", name="short")
    assert not first.count("static.test", A) and not first.count("localhost")
    with open("/etc/hosts", "w") as f:
        f.write("127.0.0.2 static.test\n")
    becomes(s, "127.0.0.2", name="host")


@test()
def health_stays(t):
    """Endpoints that stay keep their checks and ejections; those that come are checked first."""
    backends(t)
    dns = Dns(t, port=5353)
    dns.set("app.test", ["127.0.0.1", "127.0.0.9"])
    check = [{"timeout": "1s", "interval": "60s", "no_traffic_interval": "60s",
              "unhealthy_threshold": 1, "healthy_threshold": 1, "tcp_health_check": {}}]
    s = t.sluice(conf(dns_cluster(health_checks=check)))

    def known():
        return {e["endpoint"]: (e["checks"], e["health"]) for e in s.stats().tree["endpoints"]}
    wait_until(lambda: known()[f"127.0.0.9:{PORT}"][0] == 1 ==
               known()[f"127.0.0.1:{PORT}"][0], "a check of each")
    dns.set("app.test", ["127.0.0.2", "127.0.0.9", "127.0.0.1"])
    becomes(s, "127.0.0.1", "127.0.0.2")
    got = known()
    assert got[f"127.0.0.1:{PORT}"] == (1, "") and got[f"127.0.0.2:{PORT}"] == (1, ""), got
    assert got[f"127.0.0.9:{PORT}"][0] == 1, got
    assert got[f"127.0.0.9:{PORT}"][1].startswith("failed_active_hc"), got
    with Conn(FRONT) as conn:
        assert who(conn, 10) == {"a": 5, "b": 5}


@test()
def next_worker(t):
    """A worker that follows another goes on with the addresses that are in the maps."""
    backends(t)
    dns = Dns(t, port=5353)
    dns.set("app.test", ["127.0.0.1"])
    s = t.sluice(conf(dns_cluster()))
    for reloaded in (False, True):
        if reloaded:
            s.run("reload")
        dns.set("app.test", ["127.0.0.1", "127.0.0.2"])
        becomes(s, "127.0.0.1", "127.0.0.2")
        dns.set("app.test", "silent")
        old = s.kill_worker()
        s.worker(other_than=old)
        with Conn(FRONT) as conn:
            assert who(conn, 10) == {"a": 5, "b": 5}
            dns.set("app.test", ["127.0.0.2", "127.0.0.3"])
            wait_until(lambda: ends(s) == [f"127.0.0.2:{PORT}", f"127.0.0.3:{PORT}"], "c", 20)
            assert who(conn, 10) == {"b": 5, "c": 5}
            dns.set("app.test", ["127.0.0.1"])
            becomes(s, "127.0.0.1")
    s.check()


@test()
def reload(t):
    """A reload keeps names' addresses without asking, waits for new names, and nothing else does."""
    backends(t)
    dns = Dns(t, port=5353)
    dns.set("app.test", ["127.0.0.1"])
    dns.set("new.test", ["127.0.0.2"])
    s = t.sluice(conf(dns_cluster()))
    dns.set("app.test", "silent")
    both = conf(dns_cluster(host=["new.test", "app.test", "127.0.0.3"]))
    with open(s.config_path, "w") as f:
        f.write(both)
    with Conn(FRONT) as conn:
        assert who(conn, 4) == {"a": 4}
        before = s.stats()
        assert "warning" not in s.run("reload")
        assert who(conn, 30) == {"a": 10, "b": 10, "c": 10}
        dns.set("slow.test", "silent")
        with open(s.config_path, "w") as f:
            f.write(conf(dns_cluster(host=["slow.test", "new.test"])))
        with Load(FRONT, 2, lambda c, *_: c.get("/").get("x-backend")) as load:
            said = s.run("reload")
            assert load.requests > 100, "requests were served while the reload waited"
        load.check()
        assert "warning: cannot resolve 'slow.test' now" in said, said
        wait_until(lambda: who(conn, 4) == {"b": 4}, "the new config")
    assert s.stats().kernel > before.kernel
    s.check()


@test()
def clusters_change_places(t):
    """Behind a reload that has clusters in another order, or one less, names are those of theirs."""
    backends(t)
    dns = Dns(t, port=5353)
    fixed, named = cluster("fixed", [("127.0.0.1", PORT)]), dns_cluster("named")
    routes = [route(prefix="/named", to="named"), route(to="fixed")]

    def text(*clusters):
        return dump({"static_resources": {"listeners": [listener("front", FRONT, routes)],
                                          "clusters": list(clusters)}}) + "\n"
    dns.set("app.test", ["127.0.0.2"])
    s = t.sluice(text(fixed, cluster("gone", [("127.0.0.1", 9)]), named))
    for order in ((named, fixed), (fixed, named)):
        with open(s.config_path, "w") as f:
            f.write(text(*order))
        s.run("reload")
        for address in ("127.0.0.3", "127.0.0.2"):
            dns.set("app.test", [address])
            becomes(s, address, name="named")
            with Conn(FRONT) as conn:
                assert who(conn, 4) == {"a": 4}
                assert conn.get("/named").get("x-backend") == WHERE[address]
        old = s.kill_worker()
        s.worker(other_than=old)
        dns.set("app.test", ["127.0.0.3"])
        becomes(s, "127.0.0.3", name="named")
        assert ends(s, "fixed") == [f"127.0.0.1:{PORT}"]
    s.check()


@test(seconds=60)
def reload_dies_in_the_middle(t):
    """Behind a worker that died while it applied a config, names have their addresses at once."""
    backends(t)
    dns = Dns(t, port=5353)
    dns.set("app.test", ["127.0.0.2"])

    def text(*clusters):
        routes = [*(route(prefix=f"/{i}/", weights={"fixed": 1, "named": 1}) for i in range(1500)),
                  route(to="named")]
        return dump({"static_resources": {"listeners": [listener("front", FRONT, routes)],
                                          "clusters": list(clusters)}}) + "\n"
    fixed = cluster("fixed", [("127.0.0.1", PORT)])
    old = text(dns_cluster("named"), fixed)
    s = t.sluice(old)
    reload_to(s, old)  # the first config of all is in memory
    for _ in range(20):
        dns.set("app.test", "silent")
        code, said = kill_in_the_middle(s, text(fixed, cluster("named", [("127.0.0.3", PORT)])))
        with Conn(FRONT) as conn:
            assert who(conn, 4) == {"b" if code else "c": 4}, said
        dns.set("app.test", ["127.0.0.2"])
        if code:
            break
        reload_to(s, old)
    else:
        raise AssertionError("no reload was hit")
    dns.set("app.test", ["127.0.0.3"])
    becomes(s, "127.0.0.3", name="named")
    s.check()


@test(seconds=90)
def under_load(t):
    """Addresses that change all the time, under load on both paths: no request fails."""
    backends(t)
    dns = Dns(t, port=5353)
    sets = [["127.0.0.1"], ["127.0.0.2", "127.0.0.3"], ["127.0.0.3", "127.0.0.1"], "servfail",
            ["127.0.0.1", "127.0.0.2", "127.0.0.3"], ["127.0.0.2"]]
    dns.set("app.test", sets[0])
    s = t.sluice(conf(dns_cluster(dns_refresh_rate="0.02s")))
    wrk = Wrk(t, "http://127.0.0.1:8000/x", connections=8, seconds=60)

    def by_user(conn, me, n):
        # In two pieces: by the user path.
        conn.send_pieces([b"GET / HTTP/1.1\r\n", b"Host: x\r\n\r\n"])
        r = conn.response()
        assert r.status == 200, r
        return r.get("x-backend")
    with Load(FRONT, 3, by_user) as load:
        for n in range(1, 61):
            answer = sets[n % len(sets)]
            dns.set("app.test", answer)
            if answer == "servfail":
                wait_until(lambda: dns.count("app.test") > 0, "asked")
                load.wait_requests(t, 20)
            else:
                becomes(s, *answer)
                load.wait_requests(t, 10)
    load.check()
    wrk.stop().check()
    assert set(load.counts) == {"a", "b", "c"}, load.counts
    assert s.stats().clusters["one"]["limits"]["membership_change"] >= 40
    s.check()
