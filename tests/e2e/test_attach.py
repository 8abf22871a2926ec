# SPDX-License-Identifier: GPL-2.0-only
"""sluice attach: in front of a port that is in use, and away again."""
import collections
import ctypes
import glob
import os
import re
import signal
import socket
import subprocess
import time

from lib import linux
from lib.config import DOORS, cluster, config, dump, listener, route
from lib.data import pattern
from lib.http1 import Conn
from lib.load import Load, Wrk
from lib.proc import accepts, wait_until
from lib.runner import test
from lib.sluice import Sluice

APP = ("127.0.0.1", 8080)
NEW = ("127.0.0.1", 8081)
SPLIT = [route(name="all", weights={"v1": 100, "v2": 0})]


def text_of(where):
    return f"[{where[0]}]:{where[1]}" if ":" in where[0] else f"{where[0]}:{where[1]}"


def attached(where, clusters, routes=SPLIT, netns=None, **settings):
    """A config with one attached listener at @where; @settings: more of its `sluice:`."""
    front = listener("front", where, routes)
    front["sluice"] = {"attach": True, **settings}
    tree = {"listeners": [front], "clusters": [cluster(n, e) for n, e in clusters.items()]}
    if netns:
        front["address"]["socket_address"]["network_namespace_filepath"] = netns
        endpoint = tree["clusters"][0]["load_assignment"]["endpoints"][0]["lb_endpoints"][0]
        endpoint["endpoint"]["address"]["socket_address"]["network_namespace_filepath"] = netns
    return dump({"static_resources": tree}) + "\n"


class Background(Sluice):
    """An instance that `sluice attach` started."""

    def __init__(self, t, *words):
        self.t, self.instance, self.proc, self.ns = t, t.instance(), None, None
        t.stack.callback(self.close)
        self.said = self.run("attach", *words)

    @property
    def supervisor(self):
        """An orphan of `sluice attach`: the runner adopts it."""
        for pid in linux.children(os.getpid()):
            with open(f"/proc/{pid}/cmdline") as f:
                if self.instance in f.read().split("\0"):
                    return pid
        return None

    def workers(self):
        return linux.children(self.supervisor)

    def kill(self):
        pid = self.supervisor
        for one in [*linux.children(pid), pid] if pid else []:
            os.kill(one, signal.SIGKILL)
        if pid:
            os.waitpid(pid, 0)

    def ended(self):
        """Waits for the end that it comes to by itself."""
        pid = self.supervisor
        if pid:
            wait_until(lambda: os.waitpid(pid, os.WNOHANG)[0], "the instance ends by itself", 15)
        assert not os.path.exists(self.pins), self.pins

    def close(self):
        self.kill()
        subprocess.run(["rm", "-rf", self.pins, *glob.glob(f"/run/sluice/{self.instance}.*")],
                       check=False)


def who(where=APP):
    with Conn(where) as conn:
        return conn.get("/who").body.decode()


def names(where=APP, n=10):
    return collections.Counter(who(where) for _ in range(n))


def ss(*words):
    done = subprocess.run(["ss", "-Hntp", *words], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def ports(which, process, column):
    """Ports in a column (3: local, 4: far) of @process's connections."""
    return {line.split()[column].rsplit(":", 1)[1] for line in ss(which) if process in line}


def listens(port, process):
    return any(process in line for line in ss("-l", f"sport = :{port}"))


def is_dead(pid):
    """Gone, or a zombie: its descriptors are closed."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def refused(t, *words):
    """What `sluice attach` says when it refuses."""
    done = subprocess.run([t.sluice_bin, *words], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1, f"exit {done.returncode}: {done.stdout}{done.stderr}"
    assert not done.stdout, done.stdout
    return done.stderr


@test()
def another_config(t):
    """A config that a reload cannot apply starts the instance anew; a wrong one changes nothing."""
    t.backends.nginx({8080: "app"})
    s = Background(t, "127.0.0.1:8080", "--as", "v1")
    with open(f"/run/sluice/{s.instance}.yaml") as f:
        text = f.read()
    old = s.supervisor
    wrong = t.write("wrong.yaml", text.replace("cluster: ", "kluster: ").replace("name: ", "nam: "))
    said = refused(t, "attach", "127.0.0.1:8080", "-c", wrong, "--instance", s.instance)
    assert "unknown key" in said and s.supervisor == old, said
    s.run("attach", "127.0.0.1:8080", "-c",
          t.write("user.yaml", text + "\nsluice: {kernel_path: false}\n"))
    os.waitpid(old, 0)
    assert s.supervisor != old
    assert names() == {"app": 10} and s.stats().total == 10 and s.stats().kernel == 0, s.stats()
    s.run("detach", "127.0.0.1:8080")
    s.ended()


# --- the story ---

@test(seconds=90)
def story(t):
    """Attach, a second cluster, 1 %, 50 %, all, stop and upgrade the application, detach: wrk
    loses nothing."""
    tune = "keepalive_requests 500;"  # so that old connections come to an end
    app = t.backends.nginx({8080: "app"}, tune=tune)
    t.backends.nginx({8081: "new"}, tune=tune)
    wrk = Wrk(t, "http://127.0.0.1:8080/who", 16, seconds=80)
    t.wait(lambda: ss("dport = :8080"), "wrk is at the application itself")
    s = Background(t, "127.0.0.1:8080", "--as", "v1")
    assert re.search(r"stay as they are|stays as it is", s.said), s.said
    shown = s.run("weights").split()
    assert shown[4:8] == ["all", "v1", "100", "100.00"], shown
    t.wait(lambda: s.stats().kernel > 2000, "sluice serves wrk")

    # The second cluster is added to the config that was made.
    with open(f"/run/sluice/{s.instance}.yaml") as f:
        text = f.read()
    v1 = text.split("\n  clusters:\n")[1]
    v2 = v1.replace('"v1"', '"v2"').replace("8080", "8081")
    weight = '                    - {name: "v1", weight: 100}\n'
    text = text.replace(weight, weight + weight.replace("v1", "v2").replace("100", "0")) + v2
    path = t.write("service.yaml", text)
    old = s.supervisor
    said = s.run("attach", "127.0.0.1:8080", "-c", path, "--dry-run")
    assert "would take" in said and "v2" in said, said
    s.run("attach", "127.0.0.1:8080", "--as", "v1", "-c", path)
    assert s.supervisor == old and "v2" in s.run("weights")

    def share_of_new(requests):
        before = s.stats()
        t.wait(lambda: s.stats().total >= before.total + requests, f"{requests} requests", 30)
        after = s.stats()
        new = after.clusters["v2"]["requests"] - before.clusters["v2"]["requests"]
        return new / (after.total - before.total)

    assert share_of_new(5000) == 0
    s.weights("all", v1=99, v2=1)
    assert 0.005 < share_of_new(5000) < 0.02
    s.weights("all", v1=50, v2=50)
    assert 0.45 < share_of_new(5000) < 0.55
    s.weights("all", v1=0, v2=100)
    # The application sees an idle socket: whoever is connected to it is a lane.
    t.wait(lambda: not ports("dport = :8080", "wrk", 3) & ports("sport = :8080", "nginx", 4),
           "wrk has left the old one")
    share_of_new(1000)  # what was under way is counted
    before = s.stats()
    assert share_of_new(5000) > 0.99  # counters are not read all at one moment
    assert s.stats().kernel - before.kernel > 4000, (before, s.stats())

    app.stop()
    assert not listens(8080, "nginx")
    assert "nobody listens" in refused(t, "detach", "127.0.0.1:8080")
    assert share_of_new(2000) > 0.99
    t.backends.nginx({8080: "app2"}, tune=tune)  # upgraded: another version on the same port
    t.wait(lambda: listens(8080, "nginx"), "the upgraded application listens")
    assert who() == "new"
    s.run("detach", "127.0.0.1:8080")
    assert names() == {"app2": 10}
    assert share_of_new(2000) > 0.99  # wrk's connections are sluice's, until they end
    assert s.stats().clusters["v1"]["requests"] == before.clusters["v1"]["requests"]
    wrk.stop().check()
    s.ended()
    assert names() == {"app2": 10}


@test()
def without_a_config(t):
    """One command puts sluice in front, one takes it away; it ends with its last connection."""
    t.backends.nginx({8080: "app"})
    with Conn(APP) as old:
        assert old.get("/who").status == 200
        s = Background(t, "127.0.0.1:8080", "--as", "v1")
        assert "1 open one stays as it is" in s.said and "Started instance" in s.said, s.said
        assert [s.run("weights").split()[i] for i in (5, 6)] == ["v1", "100"]
        with Conn(APP) as conn:
            for _ in range(10):
                r = conn.get("/bytes/1000/1")
                assert r.status == 200 and r.body == pattern(1000, 1)
            assert s.stats().total == 10 and s.stats().kernel >= 8, s.stats()
            assert old.get("/who").status == 200
            assert s.stats().total == 10  # the old connection is the application's
            row = next(x for x in s.run("stats").splitlines() if "sessions" in x)
            assert "1 co-located" in row, row
            # listed
            out = subprocess.run([t.sluice_bin, "attach"], capture_output=True, text=True).stdout
            line = next(x for x in out.splitlines() if x.startswith("127.0.0.1:8080"))
            assert line.split()[1:] == ["nginx", line.split()[2], s.instance, "1"], out
            s.run("detach", "127.0.0.1:8080")
            assert conn.get("/who").status == 200
            assert s.stats().total == 11
            assert names() == {"app": 10}
            assert s.stats().total == 11
        s.ended()
    assert names() == {"app": 10}


@test()
def by_config(t):
    """`sluice: {attach: true}`: steered from the start; given back and taken again; SIGTERM."""
    t.backends.nginx({8080: "app", 8081: "new"})
    s = t.sluice(attached(APP, {"v1": [APP], "v2": [NEW]}, [route(name="all", weights={
        "v1": 1, "v2": 1})]))
    assert names() == {"app": 5, "new": 5}
    assert "attached already" in s.run("attach", "127.0.0.1:8080", code=1)
    s.run("detach", "127.0.0.1:8080")
    assert names() == {"app": 10}
    assert "does not have 127.0.0.1:8080" in s.run("attach", "127.0.0.1:8080", "--as", "v2", code=1)
    assert "no cluster 'v3'" in s.run("attach", "127.0.0.1:8080", "--as", "v3", code=1)
    s.run("attach", "127.0.0.1:8080", "--as", "v1")
    assert set(names()) == {"app", "new"}
    s.check()
    s.stop()
    assert names() == {"app": 10}


@test(each=list(DOORS))
def doors(t, door):
    """Whatever else is switched off, attached works, and leaves no trace of its connects."""
    t.backends.nginx({8080: "app", 8081: "new"})
    dead = {"v1": [APP], "v2": [NEW], "gone": [("127.0.0.1", 9)]}
    tree = attached(APP, dead, [route("/gone", to="gone"), route(weights={"v1": 1, "v2": 1})])
    options = "".join(f"  {key}: {str(value).lower()}\n" for key, value in DOORS[door].items())
    s = t.sluice(tree + ("sluice:\n" + options if options else ""))
    assert names() == {"app": 5, "new": 5}
    with Conn(APP) as conn:
        assert conn.get("/gone").status == 503
    assert s.stats().total == 11, s.stats()
    left = subprocess.run(["bpftool", "-j", "map", "dump", "pinned", s.pin("connecting")],
                          capture_output=True, text=True, check=True).stdout
    assert left.strip() == "[]", left
    s.check()


# --- cycles ---

@test()
def a_thousand_cycles(t):
    """Attach and detach, 1,000 times, under 2,000 new connections a second: none is lost. By the
    store that both commands end with, since a thousand processes each would take a minute on two
    cores; the commands themselves run beside it."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as f:
        f.write("10000 65000")
    t.backends.nginx({8080: "app"})
    s = t.sluice(attached(APP, {"v1": [APP]}, [route(name="all", weights={"v1": 1})]))
    wrk = Wrk(t, "http://127.0.0.1:8080/who", 8, seconds=50, headers=[("Connection", "close")])
    loop = f"""while :; do
        {t.sluice_bin} detach 127.0.0.1:8080
        {t.sluice_bin} attach 127.0.0.1:8080 --instance {s.instance}
    done >/dev/null 2>&1"""
    commands = t.start(["/bin/sh", "-c", loop], name="commands")
    with linux.mapped(s.pin("attach_points"), 4) as points:
        flags = ctypes.c_uint32.from_buffer(points)  # SL_A_ON is 2
        for _ in range(1000):
            flags.value &= ~2
            time.sleep(0.001)
            flags.value |= 2
            time.sleep(0.001)
        del flags
    commands.close()
    result = wrk.stop()
    result.check()
    assert result.rate > 2000, result.text
    t.wait(lambda: s.stats().tree["sessions"]["open"] == 0, "no session is left")
    steered = s.stats().total
    assert result.requests * 0.05 < steered < result.requests * 0.95, (steered, result.text)
    s.check()


# --- death ---

@test()
def both_killed(t):
    """kill -9 of supervisor and worker under load: new connections reach the application."""
    t.backends.nginx({8080: "app", 8081: "new"})
    s = t.sluice(attached(APP, {"v1": [APP], "v2": [NEW]},
                          [route(name="all", weights={"v1": 0, "v2": 1})]))
    assert names() == {"new": 10}

    def step(conn, me, n):
        conn.close()
        return who()

    with Load(APP, 4, step) as load:
        load.wait_requests(t, 100)
        worker = s.worker()
        s.kill()
        t.wait(lambda: is_dead(worker), "both are dead")
        load.stop()
    assert load.counts["new"] >= 100, load.counts
    assert os.path.exists(s.pins)  # left behind
    with Load(APP, 4, step) as load:
        load.wait_requests(t, 400)
    load.check()
    assert load.counts.keys() == {"app"}, load.counts
    s.start()
    assert names() == {"new": 10}


@test()
def worker_killed(t):
    """The next worker goes on; nobody is given to the application, or refused, meanwhile."""
    t.backends.nginx({8080: "app", 8081: "new"})
    s = t.sluice(attached(APP, {"v1": [APP], "v2": [NEW]},
                          [route(name="all", weights={"v1": 0, "v2": 1})]))
    for _ in range(3):
        old = s.kill_worker()
        assert names() == {"new": 10}
        s.worker(other_than=old)
    s.check()


@test(each=["sigterm", "supervisor-killed"])
def given_back_at_the_end(t, how):
    """A clean stop, and the worker's own when its supervisor is gone: no new connection is lost."""
    t.backends.nginx({8080: "app"})
    s = t.sluice(attached(APP, {"v1": [APP]}, [route(to="v1")]))

    def step(conn, me, n):
        conn.close()
        return who()

    with Load(APP, 4, step) as load:
        t.wait(lambda: s.stats().total > 100, "sluice serves")
        worker = s.worker()
        if how == "sigterm":
            s.stop()
        else:
            os.kill(s.supervisor, signal.SIGKILL)
            s.proc.wait()
        t.wait(lambda: is_dead(worker), "the worker ends")
        load.wait_requests(t, 100)
    load.check()


# --- addresses ---

WHERE = {
    "ipv4": ("127.0.0.1", ["127.0.0.1"]),
    "ipv4-any": ("0.0.0.0", ["127.0.0.1", "10.1.1.1"]),
    "ipv6": ("::1", ["::1"]),
    "dual-stack": ("::", ["::1", "127.0.0.1", "10.1.1.1"]),
}


@test(each=list(WHERE))
def addresses(t, case):
    """Every kind of address; the kernel path serves it; its lanes are not steered back."""
    address, dials = WHERE[case]
    subprocess.run(["ip", "addr", "add", "10.1.1.1/32", "dev", "lo"], check=True)
    t.backends.nginx({8080: "app"}, address)
    s = Background(t, text_of((address, 8080)), "--as", "v1")
    for dial in dials:
        before = s.stats()
        with Conn((dial, 8080)) as conn:
            for _ in range(10):
                r = conn.get("/bytes/1000/1")
                assert r.status == 200 and r.body == pattern(1000, 1), r
        now = s.stats()
        assert now.total == before.total + 10, f"{dial}: {now}"
        assert now.kernel >= before.kernel + 8, f"{dial}: {now}"
    s.check()
    s.run("detach", text_of((address, 8080)))
    before = s.stats().total
    for dial in dials:
        assert names((dial, 8080)) == {"app": 10}
    assert s.stats().total == before
    s.ended()


@test()
def one_address_of_a_wildcard(t):
    """Only what was named is taken; and below a wildcard others keep their addresses."""
    subprocess.run(["ip", "addr", "add", "10.1.1.1/32", "dev", "lo"], check=True)
    t.backends.nginx({8080: "app"}, "0.0.0.0")
    s = Background(t, "10.1.1.1:8080")
    assert names(("10.1.1.1", 8080)) == {"app": 10} and s.stats().total == 10
    assert names() == {"app": 10} and s.stats().total == 10
    s.run("detach", "10.1.1.1:8080")
    s.ended()
    Greeter(t, "other", 8085, reuse=True, address="10.1.1.1")
    Greeter(t, "wide", 8085, reuse=True, address="0.0.0.0")
    s = Background(t, "0.0.0.0:8085", "--l4")
    assert greeting(("127.0.0.1", 8085)) == "wide 8085"
    assert greeting(("10.1.1.1", 8085)) == "other 8085"
    out = subprocess.run([t.sluice_bin, "attach"], capture_output=True, text=True).stdout
    line = next(x for x in out.splitlines() if x.startswith("0.0.0.0:8085"))
    assert line.split()[-1] == "1", out


@test()
def steered_socket_is_no_address(t):
    """The socket that connections are steered to has a port, which nobody can dial."""
    t.backends.nginx({8080: "app"}, "::")
    s = Background(t, "[::]:8080")
    ports = {line.split()[3].rsplit(":", 1)[1] for line in ss("-l") if "sluice" in line}
    assert len(ports) == 1, ss("-l")
    for where in ("127.0.0.1", "::1"):
        assert not accepts((where, int(*ports))), where
        assert names((where, 8080)) == {"app": 10}
    assert s.stats().total == 20


REUSEPORT = """
daemon off; user root; worker_processes 2; error_log stderr warn; pid {dir}/nginx.pid;
events {{ worker_connections 512; }}
http {{ access_log off; server {{
    listen 127.0.0.1:8080 reuseport; location / {{ return 200 $pid; }} }} }}
"""


def reuseport(t):
    where = t.tmpdir("nginx")
    conf = t.write("nginx.conf", REUSEPORT.format(dir=where))
    p = t.start(["/usr/sbin/nginx", "-c", conf, "-p", where, "-e", "stderr"])
    p.wait_port(APP)
    return p


@test()
def reuseport_group(t):
    """Several listening sockets on one port: all of them get lanes, and all come back."""
    reuseport(t)
    t.wait(lambda: len(names(APP, 40)) == 2, "both workers serve")
    assert "2 sockets (SO_REUSEPORT)" in subprocess.run(
        [t.sluice_bin, "attach", "127.0.0.1:8080", "--dry-run", "--instance", t.instance()],
        capture_output=True, text=True, check=True).stdout
    s = Background(t, "127.0.0.1:8080")

    def many():
        """Lanes by different source ports, so of different members of the group."""
        conns = [Conn(APP) for _ in range(16)]
        for conn in conns:
            conn.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        seen = {conn.response().body for conn in conns}
        for conn in conns:
            conn.close()
        return len(seen) == 2
    t.wait(many, "both workers serve through sluice")
    s.run("detach", "127.0.0.1:8080")
    t.wait(lambda: len(names(APP, 40)) == 2, "both workers serve again")


# --- namespaces ---

@test(each=["pid", "path"])
def container(t, how):
    """An application in another network namespace, its neighbours inside and outside."""
    box = t.netns()
    link = t.link(t.main_ns, box)
    with box:
        app = t.backends.nginx({8080: "app"}, "::")
    t.backends.nginx({8081: "new"}, "0.0.0.0")
    outside = [(link.b4, 8080), (link.b6, 8080)]
    inside = [("127.0.0.1", 8080), ("::1", 8080), (link.b4, 8080)]
    netns = str(app.pid) if how == "pid" else f"/proc/{app.pid}/ns/net"
    s = Background(t, "[::]:8080", "--as", "v1", "--netns", netns)

    def asked(where, ns, through):
        before = s.stats()
        with ns, Conn(where) as conn:
            for _ in range(8):
                r = conn.get("/bytes/1000/1")
                assert r.status == 200 and r.body == pattern(1000, 1), f"{where}: {r}"
        now = s.stats()
        assert now.total == before.total + (8 if through else 0), f"{where}: {before} {now}"
        assert not through or now.kernel >= before.kernel + 6, f"{where}: {now}"

    for where in outside:
        asked(where, t.main_ns, True)
    for where in inside:
        asked(where, box, True)
    # The same address here is another one.
    t.backends.nginx({8080: "mine"})
    assert who() == "mine"
    s.check()
    out = subprocess.run([t.sluice_bin, "attach", "--netns", netns], capture_output=True,
                         text=True, check=True).stdout
    row = [line.split() for line in out.splitlines()][1:]
    assert len(row) == 1 and row[0][:2] == ["[::]:8080", "nginx"], out
    assert row[0][3] == s.instance, out
    s.run("detach", "[::]:8080", "--netns", netns)
    for where in outside:
        asked(where, t.main_ns, False)
    for where in inside:
        asked(where, box, False)
    s.ended()


@test(seconds=90)
def container_story(t):
    """The story over veth: wrk outside, the application in a container, the new version here."""
    box = t.netns()
    link = t.link(t.main_ns, box)
    with box:
        app = t.backends.nginx({8080: "app"}, "0.0.0.0", tune="keepalive_requests 200;")
    t.backends.nginx({8081: "new"})
    conf = attached(("0.0.0.0", 8080), {"v1": [APP], "v2": [NEW]}, netns=box.path)
    wrk = Wrk(t, f"http://{link.b4}:8080/who", 8, seconds=80)
    s = t.sluice(conf)
    t.wait(lambda: s.stats().kernel > 2000, "wrk comes through sluice")
    s.weights("all", v1=1, v2=1)
    t.wait(lambda: s.stats().clusters["v2"]["requests"] > 1000, "half of it to the new one")
    s.weights("all", v1=0, v2=1)
    with box:
        t.wait(lambda: not [x for x in ss("sport = :8080") if "nginx" in x and link.a4 in x],
               "wrk has left the old one")
    app.stop()
    before = s.stats().total
    t.wait(lambda: s.stats().total > before + 2000, "the new one serves alone")
    with box:
        t.backends.nginx({8080: "app2"}, "0.0.0.0")
        t.wait(lambda: listens(8080, "nginx"), "the upgraded application listens")
    s.run("detach", "0.0.0.0:8080", "--netns", box.path)
    assert names((link.b4, 8080)) == {"app2": 10}
    wrk.stop().check()
    s.stop()
    assert names((link.b4, 8080)) == {"app2": 10}


@test()
def lanes_from_outside(t):
    """An endpoint that is dialled from this namespace over veth is not steered back either."""
    box = t.netns()
    link = t.link(t.main_ns, box)
    with box:
        t.backends.nginx({8080: "app"}, "0.0.0.0")
    front = listener("front", (link.b4, 8080), [route(to="v1")])
    front["sluice"] = {"attach": True}
    front["address"]["socket_address"]["network_namespace_filepath"] = box.path
    s = t.sluice(dump({"static_resources": {
        "listeners": [front], "clusters": [cluster("v1", [(link.b4, 8080)])]}}) + "\n")
    assert names((link.b4, 8080)) == {"app": 10}
    assert s.stats().total == 10, s.stats()


# --- L4 ---

class Greeter:
    """A protocol that is not HTTP: the server speaks first."""

    def __init__(self, t, name, port, reuse=False, address="127.0.0.1"):
        argv = ["/usr/bin/python3", "-c", GREETER, name, str(port), str(int(reuse)), address]
        self.proc = t.start(argv, name=f"greeter-{name}")
        self.proc.wait_line("listens")


GREETER = """
import socket, sys
name, port, reuse = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
s = socket.socket(socket.AF_INET6 if ':' in sys.argv[4] else socket.AF_INET)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
if reuse:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
s.bind((sys.argv[4], port))
s.listen(128)
print("listens", flush=True)
while True:
    c = s.accept()[0]
    c.sendall(f"{name} {c.getsockname()[1]}".encode())
    c.close()
"""


def greeting(where=APP):
    with socket.create_connection(where, timeout=5) as s:
        got = b""
        while data := s.recv(100):
            got += data
        return got.decode()


def greetings(n):
    return dict(collections.Counter(greeting() for _ in range(n)))


@test()
def l4(t):
    """Connections are split by weight at SYN time, without a hop; restarts and kill -9."""
    Greeter(t, "app", 8080)
    new = Greeter(t, "new", 8081, reuse=True)
    twin = Greeter(t, "new", 8081, reuse=True)
    s = t.sluice(attached(APP, {"v1": [APP], "v2": [NEW]}, l4=True))
    assert greetings(20) == {"app 8080": 20}
    s.weights("all", v1=75, v2=25)
    # The accepted socket has the address that was dialled.
    assert greetings(40) == {"app 8080": 30, "new 8080": 10}
    s.weights("all", v1=0, v2=1)
    assert greetings(20) == {"new 8080": 20}
    assert s.stats().total == 0 and s.stats().tree["sessions"]["open"] == 0
    out = subprocess.run([t.sluice_bin, "attach"], capture_output=True, text=True).stdout
    line = next(x for x in out.splitlines() if x.startswith("127.0.0.1:8080"))
    assert f"{s.instance}, L4" in line and line.split()[-1] == "80", out
    assert [line.split()[-1] for line in out.splitlines()[-2:]] == ["50", "30"], out
    # One of a group ends: the other goes on. Both: the application itself.
    twin.proc.kill()
    assert greetings(10) == {"new 8080": 10}
    new.proc.kill()
    s.run("detach", "127.0.0.1:8080")
    done = subprocess.run(s.argv("attach", "127.0.0.1:8080"), capture_output=True, text=True)
    assert done.returncode == 0 and "nobody listens on 127.0.0.1:8081" in done.stderr, done
    got = greetings(10)
    assert got == {"app 8080": 10}, got
    Greeter(t, "newer", 8081)
    t.wait(lambda: greeting() == "newer 8080", "its new socket is found")
    s.run("detach", "127.0.0.1:8080")
    assert greetings(10) == {"app 8080": 10}
    s.run("attach", "127.0.0.1:8080", "--l4")
    assert greetings(10) == {"newer 8080": 10}
    worker = s.worker()
    s.kill()
    t.wait(lambda: is_dead(worker), "both are dead")
    assert greetings(10) == {"app 8080": 10}


@test()
def l4_in_a_container(t):
    """The same in another namespace, IPv6, told by a process in it."""
    box = t.netns()
    link = t.link(t.main_ns, box)
    with box:
        app = Greeter(t, "app", 8080, address="::")
    s = Background(t, "[::]:8080", "--l4", "--netns", app.proc.pid)
    assert greeting((link.b6, 8080)) == greeting((link.b4, 8080)) == "app 8080"
    out = subprocess.run([t.sluice_bin, "attach", "--netns", str(app.proc.pid)],
                         capture_output=True, text=True).stdout
    assert out.split()[-1] == "2", out
    s.run("detach", "[::]:8080", "--netns", app.proc.pid)
    assert greeting((link.b6, 8080)) == "app 8080"
    s.ended()


@test()
def l4_without_a_config(t):
    """The application's own socket is the only backend: nothing changes, but it is counted."""
    Greeter(t, "app", 8080)
    s = Background(t, "127.0.0.1:8080", "--as", "v1", "--l4")
    assert greetings(20) == {"app 8080": 20}
    assert s.run("weights").split()[5] == "v1"
    s.run("detach", "127.0.0.1:8080")
    assert greetings(20) == {"app 8080": 20}
    s.ended()


# --- said before it happens ---

@test()
def dry_run(t):
    """Listener, process, route, what stays: said; and nothing is changed."""
    t.backends.nginx({8080: "app"})
    name = t.instance()
    with Conn(APP) as conn:
        assert conn.get("/who").status == 200
        done = subprocess.run([t.sluice_bin, "attach", "127.0.0.1:8080", "--as", "v1", "--dry-run",
                               "--instance", name], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done
    out = done.stdout
    for want in (r"^Listener: 127\.0\.0\.1:8080 of nginx \(pid \d+\)", f"'{name}' would be started",
                 r"^  all +prefix / +v1 +100\.00 % +127\.0\.0\.1:8080$",
                 r"^Established connections stay with nginx \(pid \d+\): 1 now\.$",
                 r"^Dry run: nothing was changed\.$"):
        assert re.search(want, out, re.M), f"{want}: {out}"
    assert not os.path.exists(f"/sys/fs/bpf/sluice/{name}")
    assert not os.path.exists(f"/run/sluice/{name}.yaml")


@test()
def refusals(t):
    """Twice, to nothing, to sluice's own port, to an address that the instance does not know."""
    t.backends.nginx({8080: "app", 8081: "new"})
    s = t.sluice(config(("127.0.0.1", 8000), {"v1": [APP]}, [route(to="v1")]))
    said = refused(t, "attach", "127.0.0.1:8000", "--instance", t.instance())
    assert f"sluice's own (instance '{s.instance}')" in said, said
    said = refused(t, "attach", "127.0.0.1:8999")
    assert "nobody listens on 127.0.0.1:8999" in said, said
    said = refused(t, "attach", "0.0.0.0:8080")
    assert re.search(r"nginx \(pid \d+\) listens on 127\.0\.0\.1:8080", said), said
    said = refused(t, "attach", "127.0.0.1:8080", "--instance", s.instance)
    assert "has no listener on 127.0.0.1:8080 with 'sluice: {attach: true}'" in said, said
    said = refused(t, "detach", "127.0.0.1:8080")
    assert "is not attached" in said, said
    two = Background(t, "127.0.0.1:8080")
    said = refused(t, "attach", "127.0.0.1:8080", "--instance", t.instance())
    assert f"attached already (instance '{two.instance}')" in said, said
    # A config that wants what another instance has.
    s2 = t.start([t.sluice_bin, "run", "--instance", t.instance(), "-c",
                  t.write("again.yaml", attached(APP, {"v1": [APP], "v2": [NEW]}))], name="again")
    assert s2.wait() == 1, s2.log()
    assert "another sk_lookup program ('attach', id" in s2.log(), s2.log()
    # Two instances on two addresses of one namespace.
    three = Background(t, "127.0.0.1:8081")
    assert who() == "app" and who(NEW) == "new"
    assert two.stats().total == 1 and three.stats().total == 1


@test()
def another_program(t):
    """Where a foreign sk_lookup program decides: refused; where it does not: no matter."""
    t.backends.nginx({8080: "app"})
    passing = linux.sk_lookup_program(1)
    s = Background(t, "127.0.0.1:8080")
    assert who() == "app" and s.stats().total == 1
    s.run("detach", "127.0.0.1:8080")
    s.ended()
    dropping = linux.sk_lookup_program(0)
    said = refused(t, "attach", "127.0.0.1:8080", "--instance", t.instance())
    assert "another sk_lookup program ('e2e', id" in said and "bpftool link" in said, said
    for fd in (passing, dropping):
        os.close(fd)
