# SPDX-License-Identifier: GPL-2.0-only
"""sluice attach --l4: connections split at SYN time."""
import subprocess

from lib.attach import (APP, NEW, SPLIT, Background, Greeter, attached, greeting, greetings, is_dead,
                        names)
from lib.config import cluster, dump, listener
from lib.keeper import Keeper
from lib.runner import test


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


class Checked:
    """An HTTP server that says its name, and whether it is well."""

    def __init__(self, t, name, port):
        self.name, self.well = name, True
        Keeper(t, port, self.answer)

    def answer(self, request, n):
        status = 500 if request.target == "/healthz" and not self.well else 200
        return f"HTTP/1.1 {status} X\r\nContent-Length: {len(self.name)}\r\n\r\n{self.name}".encode()


def checked():
    """v1 at the attached address and v2, which has two endpoints, all with checks."""
    tree = {"v1": [APP], "v2": [NEW, ("127.0.0.1", 8082)]}
    check = {"timeout": "5s", "interval": "0.05s", "no_traffic_interval": "0.05s",
             "unhealthy_threshold": 1, "healthy_threshold": 1,
             "http_health_check": {"path": "/healthz"}}
    front = listener("front", APP, SPLIT)
    front["sluice"] = {"attach": True, "l4": True}
    return dump({"static_resources": {"listeners": [front], "clusters": [
        {**cluster(name, ends), "health_checks": [check]} for name, ends in tree.items()]}}) + "\n"


@test(seconds=60)
def l4_without_health(t):
    """An endpoint that fails its check gets no connection; a cluster of a split that has no other
    gets none either, its share goes to the others, while one of them is well."""
    app, new, twin = (Checked(t, n, p) for n, p in (("app", 8080), ("new", 8081), ("twin", 8082)))
    s = t.sluice(checked())

    def settled(**want):
        """The health of each, by the port."""
        t.wait(lambda: all(e["checks"] and (e["health"] == "") == want[e["endpoint"][-4:]]
                           for e in s.stats().tree["endpoints"]), f"health is {want}", 10)

    def set_well(a, n, w):
        app.well, new.well, twin.well = a, n, w
        settled(**{"8080": a, "8081": n, "8082": w})
    set_well(True, True, True)
    s.weights("all", v1=50, v2=50)
    assert names(n=40) == {"app": 20, "new": 10, "twin": 10}
    set_well(True, False, True)
    assert names(n=40) == {"app": 20, "twin": 20}
    set_well(True, False, False)
    assert names(n=40) == {"app": 40}
    s.weights("all", v1=0, v2=50)  # all of the weight is there: panic serves
    assert set(names(n=20)) == {"new", "twin"}
    s.weights("all", v1=50, v2=50)
    set_well(False, True, True)
    assert names(n=40) == {"new": 20, "twin": 20}
    set_well(False, False, False)
    assert names(n=40) == {"app": 20, "new": 10, "twin": 10}
    set_well(True, True, True)
    assert names(n=40) == {"app": 20, "new": 10, "twin": 10}


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
