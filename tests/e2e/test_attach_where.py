# SPDX-License-Identifier: GPL-2.0-only
"""sluice attach: addresses, groups of listening sockets, network namespaces."""
import socket
import subprocess

from lib import net
from lib.attach import (APP, NEW, Background, Greeter, attached, greeting, names, refused, ss,
                        text_of, who)
from lib.config import cluster, dump, listener, route
from lib.data import pattern
from lib.http1 import Conn
from lib.proc import accepts
from lib.runner import test


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
    with Conn((dials[0], 8080)) as conn:  # while it is open the instance can be asked
        assert conn.get("/who").body == b"app"
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


@test()
def port_of_another(t):
    """The steered socket's port is its own on its own address alone: others have it on theirs."""
    t.backends.nginx({8080: "app"})
    s = Background(t, "127.0.0.1:8080")
    port, = {int(line.split()[3].rsplit(":", 1)[1]) for line in ss("-l") if "sluice" in line}
    Greeter(t, "other", port, address="127.0.0.2")
    assert greeting(("127.0.0.2", port)) == f"other {port}"
    assert not accepts(("127.0.0.1", port))
    assert names() == {"app": 10} and s.stats().total == 10


@test()
def mapped(t):
    """A socket on ::ffff:127.0.0.1, as Java opens them, is one on 127.0.0.1."""
    t.backends.one("python", "app", 8080, "::ffff:127.0.0.1")
    with Conn(APP) as old:
        assert old.get("/who").status == 200
        s = Background(t, "127.0.0.1:8080")
        assert "1 open one stays as it is" in s.said, s.said
        assert names() == {"app": 10} and s.stats().total == 10
    s.run("detach", "127.0.0.1:8080")
    s.ended()
    Greeter(t, "app", 8085, address="::ffff:127.0.0.1")
    s = Background(t, "[::ffff:127.0.0.1]:8085", "--l4")
    assert greeting(("127.0.0.1", 8085)) == "app 8085"
    out = subprocess.run([t.sluice_bin, "attach"], capture_output=True, text=True).stdout
    line = next(x for x in out.splitlines() if x.startswith("127.0.0.1:8085"))
    assert line.split()[-1] == "1", out


@test()
def no_ipv6(t):
    """A container without IPv6 where the application listens on [::]: by an address that is."""
    box = t.netns()
    link = t.link(t.main_ns, box)
    with box:
        app = t.backends.nginx({8080: "app"}, "::")
        net.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
    s = Background(t, "[::]:8080", "--netns", app.pid)
    assert names((link.b4, 8080)) == {"app": 10} and s.stats().total == 10


@test()
def out_of_reach(t):
    """Where sluice could not reach the application it does not stand in front of it."""
    box = t.netns()
    link = t.link(t.main_ns, box)
    with box:
        app = t.backends.nginx({8080: "app"}, "0.0.0.0")
        subprocess.run(["ip", "link", "set", "lo", "down"], check=True)
    said = refused(t, "attach", "0.0.0.0:8080", "--netns", str(app.pid), "--instance", t.instance())
    assert "could not reach 0.0.0.0:8080 itself" in said and "'lo'" in said, said
    assert names((link.b4, 8080)) == {"app": 10}


@test(each=["::", "fe80::77"])
def of_one_interface(t, address):
    """A socket that is bound to an interface answers there alone: not attached."""
    subprocess.run(["ip", "addr", "add", "fe80::77/64", "dev", "lo", "nodad"], check=True)
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as s:
        if address == "::":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        s.bind((address, 8080, 0, socket.if_nametoindex("lo")))
        s.listen()
        said = refused(t, "attach", text_of((address, 8080)), "--instance", t.instance())
    assert "bound to one network interface" in said, said


@test(each=["0.0.0.0", "::"])
def syn_cookies(t, address):
    """With SYN cookies an ACK is looked up again, of lanes, too: they are not steered back."""
    net.sysctl("net.ipv4.tcp_syncookies", 2)  # of each SYN, not just in need
    t.backends.nginx({8080: "app"}, address)
    s = Background(t, text_of((address, 8080)))
    for dial in ("127.0.0.1", "::1")[:1 + (address == "::")]:
        assert names((dial, 8080)) == {"app": 10}
    assert s.stats().total == 10 * (1 + (address == "::")), s.stats()
    s.run("detach", text_of((address, 8080)))
    assert names() == {"app": 10}


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

# Alone: two instances that may pair with the same address take each other's clients.
@test(each=["pid", "path"], alone=True)
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


@test()
def namespace_that_is_gone(t):
    """A container that ended while it was attached: listed, and given back without its name."""
    box = t.netns()
    with box:
        app = t.backends.nginx({8080: "app"}, "0.0.0.0")
    s = Background(t, "0.0.0.0:8080", "--netns", app.pid)
    app.stop()
    box.close()
    out = subprocess.run([t.sluice_bin, "attach"], capture_output=True, text=True).stdout
    assert f"0.0.0.0:8080 {s.instance} 0" in " ".join(out.split()), out
    assert "is not attached" in refused(t, "detach", "0.0.0.0:8080")
    assert "is given back" in s.run("detach", "0.0.0.0:8080")
    s.ended()


@test()
def ipv4_given_up(t):
    """[::] is attached again after it has left IPv4 to somebody else: that one keeps it."""
    with socket.create_server(("::", 8085), family=socket.AF_INET6, dualstack_ipv6=True):
        s = t.sluice(attached(("::", 8085), {"v1": [("::1", 8085)], "v2": [NEW]}))
        with socket.create_connection(("127.0.0.1", 8085)):
            t.wait(lambda: s.stats().tree["sessions"]["open"] == 1, "IPv4 goes through sluice")
        s.run("detach", "[::]:8085")
    with socket.create_server(("::", 8085), family=socket.AF_INET6), \
            socket.create_server(("0.0.0.0", 8085)) as four:
        s.run("attach", "[::]:8085")
        four.settimeout(5)
        with socket.create_connection(("127.0.0.1", 8085)):
            four.accept()[0].close()


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
