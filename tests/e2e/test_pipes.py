# SPDX-License-Identifier: GPL-2.0-only
"""Endpoints that are UNIX-domain sockets: served by the user path."""
import contextlib
import os
import re
import socket

from lib.config import cluster, dump, listener, route
from lib.http1 import Conn
from lib.load import Load
from lib.proc import wait_until
from lib.runner import test
from lib.servers import serve_each

FRONT = ("127.0.0.1", 8000)


class Service:
    """Answers on @path ("@name": abstract) with its name and the request's body."""

    def __init__(self, t, name, path):
        self.name, self.connections, self.down = name, 0, False
        self.hosts = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind("\0" + path[1:] if path[0] == "@" else path)
        self.listener.listen(64)
        t.stack.callback(self.stop)
        serve_each(self.listener, self._serve)

    def stop(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _serve(self, sock):
        self.connections += 1
        with sock, sock.makefile("rb") as f, contextlib.suppress(OSError):
            while f.readline():
                length, line = 0, f.readline()
                while line not in (b"\r\n", b""):
                    found = re.match(rb"(?i)content-length: *(\d+)", line)
                    length = int(found.group(1)) if found else length
                    self.hosts += re.findall(r"(?i)^host: *(.*)\r\n", line.decode())
                    line = f.readline()
                body = f.read(length)
                if self.down:
                    return
                sock.sendall(b"HTTP/1.1 200 OK\r\nX-Backend: %s\r\nContent-Length: %d\r\n\r\n%s"
                             % (self.name.encode(), len(body), body))


def conf(*paths, **keys):
    one = {**cluster("one", []), **keys}
    one["load_assignment"]["endpoints"] = [{"lb_endpoints": [
        {"endpoint": {"address": {"pipe": {"path": p}} if isinstance(p, str) else
                      {"socket_address": {"address": p[0], "port_value": p[1]}}}}
        for p in paths]}]
    header = {"response_headers_to_add": [
        {"header": {"key": "x-upstream", "value": "%UPSTREAM_REMOTE_ADDRESS%"}}]}
    return dump({"static_resources": {
        "listeners": [listener("front", FRONT, [{**route(path="/named", to="one"), **header},
                                                route(to="one")])],
        "clusters": [one]}}) + "\n"


def where(t):
    return os.path.join(t.tmpdir("pipes"), "app.sock")


@test()
def both_kinds(t):
    """A path and an abstract name; lanes are used again; the reason is told."""
    path = where(t)
    a, b = Service(t, "a", path), Service(t, "b", "@sluice-test/b")
    s = t.sluice(conf(path, "@sluice-test/b"))
    with Conn(FRONT) as conn:
        got = [conn.get("/").get("x-backend") for _ in range(20)]
        assert got == ["a", "b"] * 10 or got == ["b", "a"] * 10, got
        assert (a.connections, b.connections) == (1, 1), "lanes are used again"
        body = os.urandom(200_000)
        r = conn.request("POST", "/", body=body)
        assert r.status == 200 and r.body == body
        assert conn.get("/named").get("x-upstream") in (path, "@sluice-test/b")
    stats = s.stats()
    assert stats.kernel == 0 and stats.reasons.get("pipe_endpoint"), stats
    assert {e["endpoint"] for e in stats.tree["endpoints"]} == {path, "@sluice-test/b"}
    assert path in s.run("stats")
    p = t.start([t.sluice_bin, "explain", "-c", s.config_path, "GET", "/"])
    assert p.wait(10) == 0
    assert "endpoint is a UNIX-domain socket" in p.log() and path in p.log(), p.log()
    s.check()


@test()
def without_host(t):
    """A request of HTTP/1.0 that has no Host is given the endpoint's name, and no address: a path is
    none that a server would know."""
    path = where(t)
    service = Service(t, "a", path)
    for hostname in (None, "app.test"):
        text = conf(path)
        if hostname:
            text = re.sub(r"- endpoint:(\n *)", rf'- endpoint:\1hostname: "{hostname}"\1', text)
        s = t.sluice(text)
        with Conn(FRONT) as conn:
            conn.send(b"GET / HTTP/1.0\r\n\r\n")
            assert conn.response().status == 200
        assert service.hosts[-1] == (hostname or "localhost"), service.hosts
        s.check()
        s.stop()


@test()
def comes_and_goes(t):
    """A server that is not there is a 503 or another's, also after a reload and a worker's end."""
    path = where(t)
    t.backends.nginx({9001: "tcp"})
    s = t.sluice(conf(path, circuit_breakers={"thresholds": [{"max_connections": 4}]}))
    with Conn(FRONT) as conn:
        assert conn.get("/").status == 503
        a = Service(t, "a", path)
        assert conn.get("/").get("x-backend") == "a"
        s.worker(other_than=s.kill_worker())
    with Conn(FRONT) as conn:
        wait_until(lambda: conn.get("/").get("x-backend") == "a", "the next worker")
        with Load(FRONT, 8, lambda c, *_: c.get("/").get("x-backend")) as load:
            load.wait_requests(t, 300)
            with open(s.config_path, "w") as f:
                f.write(conf(path, ("127.0.0.1", 9001)))
            s.run("reload")
            load.wait_requests(t, 300)
        load.check()
        assert load.counts["a"] and load.counts["tcp"], load.counts
        before = s.stats().kernel
        for _ in range(40):
            assert conn.get("/").status == 200
        assert s.stats().kernel > before, "the TCP endpoint's requests are the kernel's"
        a.stop()
    s.check()


@test()
def health(t):
    """Health checks go over the socket, too."""
    path = where(t)
    a = Service(t, "a", path)
    check = [{"timeout": "1s", "interval": "0.05s", "no_traffic_interval": "0.05s",
              "unhealthy_threshold": 1, "healthy_threshold": 1,
              "http_health_check": {"path": "/healthz"}}]
    s = t.sluice(conf(path, health_checks=check,
                      common_lb_config={"healthy_panic_threshold": {"value": 0}}))

    def health_is(text):
        return s.stats().tree["endpoints"][0]["health"].startswith(text)
    wait_until(lambda: s.stats().tree["endpoints"][0]["checks"] and health_is(""), "checked")
    with Conn(FRONT) as conn:
        assert conn.get("/").status == 200
        a.down = True
        wait_until(lambda: health_is("failed_active_hc"), "it fails")
        assert conn.get("/").status == 503
        a.down = False
        wait_until(lambda: s.stats().tree["endpoints"][0]["health"] == "", "it is back")
        assert conn.get("/").status == 200
    s.check()


@test(seconds=60)
def paths_for_ever(t):
    """Paths that no endpoint has any more make room: no number of reloads uses them up."""
    path = where(t)
    Service(t, "a", path)
    s = t.sluice(conf(path))

    def room(n):
        with open(s.config_path, "w") as f:
            f.write(conf(path, *(f"@sluice-test/{n}/{k}" for k in range(3000 if n else 0))))
        said = s.run("reload", code=None)
        if "too many endpoints, old and new" in said:
            return False  # those that left keep their slots for some seconds
        assert "config generation" in said, said
        return True
    for n in (1, 2, 3, 4, 0):
        wait_until(lambda n=n: room(n), "room", seconds=20)
    with Conn(FRONT) as conn:
        assert conn.get("/named").get("x-upstream") == path
    s.check()
