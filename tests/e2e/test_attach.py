# SPDX-License-Identifier: GPL-2.0-only
"""sluice attach: in front of a port that is in use, and away again."""
import contextlib
import json
import os
import re
import subprocess

from lib.attach import APP, NEW, Background, attached, ends, names, refused, ss, who
from lib.config import DOORS, route
from lib.data import pattern
from lib.http1 import Conn
from lib.load import Wrk
from lib.runner import test


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


class Host:
    """Where the application of the story is: on this host."""
    address, text, netns = "127.0.0.1", "127.0.0.1:8080", []
    dial = APP

    def __init__(self, t):
        self.ns = contextlib.nullcontext()

    def of(self, app):
        pass


class Container(Host):
    """... in another network namespace, which is reached over veth, and named by its pid."""
    address, text = "0.0.0.0", "0.0.0.0:8080"

    def __init__(self, t):
        self.ns = t.netns()
        self.dial = (t.link(t.main_ns, self.ns).b4, 8080)

    def of(self, app):
        self.netns = ["--netns", app.pid]


PLACES = {"host": Host, "container": Container}


@test(seconds=120, each=list(PLACES))
def story(t, where):
    """Attach, a second cluster, 1 %, 50 %, all, stop and upgrade the application, detach: wrk
    loses nothing."""
    at = PLACES[where](t)
    tune = "keepalive_requests 500;"  # so that old connections come to an end

    def nginx(name, port=8080):
        with at.ns:
            return t.backends.nginx({port: name}, at.address, tune=tune)

    app = nginx("app")
    nginx("new", 8081)
    at.of(app)
    wrk = Wrk(t, f"http://{at.dial[0]}:8080/who", 16, seconds=110)
    t.wait(lambda: ss("dport = :8080"), "wrk is at the application itself")
    s = Background(t, at.text, "--as", "v1", *at.netns)
    assert re.search(r"stay as they are|stays as it is", s.said), s.said
    shown = s.run("weights").split()
    assert shown[4:8] == ["all", "v1", "100", "100.00"], shown
    t.wait(lambda: s.stats().kernel > 2000, "sluice serves wrk", 20)

    # The second cluster is added to the config that was made.
    with open(f"/run/sluice/{s.instance}.yaml") as f:
        text = f.read()
    v1 = text.split("\n  clusters:\n")[1]
    v2 = v1.replace('"v1"', '"v2"').replace("8080", "8081")
    weight = '                    - {name: "v1", weight: 100}\n'
    text = text.replace(weight, weight + weight.replace("v1", "v2").replace("100", "0")) + v2
    path = t.write("service.yaml", text)
    old = s.supervisor
    said = s.run("attach", at.text, "-c", path, "--dry-run", *at.netns)
    assert "would take" in said and "v2" in said, said
    s.run("attach", at.text, "--as", "v1", "-c", path, *at.netns)
    assert s.supervisor == old and "v2" in s.run("weights")

    def share_of_new(requests):
        before = s.stats()
        t.wait(lambda: s.stats().total >= before.total + requests, f"{requests} requests", 30)
        after = s.stats()
        # Of what is read at about one moment: wrk goes on meanwhile.
        old, new = (after.clusters[v]["requests"] - before.clusters[v]["requests"] for v in ("v1", "v2"))
        return new / (old + new)

    assert share_of_new(5000) == 0
    s.weights("all", v1=99, v2=1)
    assert 0.005 < share_of_new(5000) < 0.02
    s.weights("all", v1=50, v2=50)
    assert 0.45 < share_of_new(5000) < 0.55
    s.weights("all", v1=0, v2=100)

    def direct():
        """Connections of wrk that are the application's own: from before."""
        clients = ends("dport = :8080", "wrk", 3)
        with at.ns:
            return clients & ends("sport = :8080", "nginx", 4)
    # The application sees an idle socket: whoever is connected to it is a lane.
    t.wait(lambda: not direct(), "wrk has left the old one", 20)
    share_of_new(1000)  # what was under way is counted
    before = s.stats()
    assert share_of_new(5000) > 0.99  # counters are not read all at one moment
    assert s.stats().kernel - before.kernel > 4000, (before, s.stats())

    app.stop()
    netns = ["--netns", at.ns.path] if at.netns else []  # the process is gone
    assert "nobody listens" in refused(t, "detach", at.text, *netns)
    assert share_of_new(2000) > 0.99
    app = nginx("app2")  # upgraded: another version on the same port
    at.of(app)
    assert who(at.dial) == "new"
    s.run("detach", at.text, *at.netns)
    assert names(at.dial) == {"app2": 10}
    assert share_of_new(2000) > 0.99  # wrk's connections are sluice's, until they end
    assert s.stats().clusters["v1"]["requests"] == before.clusters["v1"]["requests"]
    wrk.stop().check()
    s.ended()
    assert names(at.dial) == {"app2": 10}


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
    left = json.loads(subprocess.run(["bpftool", "-j", "map", "dump", "pinned", s.pin(
        "connecting")], capture_output=True, text=True, check=True).stdout)
    assert len(left) == s.stats().tree["lanes"]["open"], left
    s.check()
