# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of `sluice attach` share: instances in the background, who answers, who listens."""
import collections
import contextlib
import glob
import os
import signal
import socket
import subprocess

from . import linux
from .config import cluster, dump, listener, route
from .http1 import Conn
from .proc import wait_until
from .sluice import Sluice

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
        self.said = self.run("attach", *words, seconds=60)

    @classmethod
    def adopt(cls, t, instance):
        """One that was started by hand, or not: it ends with the test."""
        s = cls.__new__(cls)
        s.t, s.instance, s.proc, s.ns = t, instance, None, None
        t.stack.callback(s.close)
        return s

    def is_on(self):
        """Whether anything is steered to it: any SL_A_ON of its points."""
        with linux.mapped(self.pin("attach_points"), 4) as points:
            return bool(points[0] & 2)

    @property
    def supervisor(self):
        """An orphan of `sluice attach`: the runner adopts it."""
        for pid in linux.children(os.getpid()):
            with open(f"/proc/{pid}/cmdline", errors="replace") as f:
                if self.instance in f.read().split("\0"):
                    return pid
        return None

    def workers(self):
        return linux.children(self.supervisor)

    def kill(self):
        """All of it: one that another has replaced may still be ending."""
        while pid := self.supervisor:
            for one in [*linux.children(pid), pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one, signal.SIGKILL)
            os.waitpid(pid, 0)

    def ended(self):
        """Waits for the end that it comes to by itself."""
        pid = self.supervisor
        if pid:
            wait_until(lambda: os.waitpid(pid, os.WNOHANG)[0], "the instance ends by itself", 15)
        assert not os.path.exists(self.pins), self.pins

    def close(self):
        self.kill()
        subprocess.run(["rm", "-rf", self.pins, *glob.glob(f"/run/sluice/{self.instance}.*"),
                        f"/run/sluice/.{self.instance}.attach"],
                       check=False)


def who(where=APP):
    with Conn(where) as conn:
        return conn.get("/who").body.decode()


def names(where=APP, n=10):
    return collections.Counter(who(where) for _ in range(n))


def ss(*words):
    done = subprocess.run(["ss", "-Hntp", *words], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def ends(which, process, column):
    """Addresses in a column (3: local, 4: far) of @process's connections."""
    return {line.split()[column] for line in ss(which) if process in line}


def is_dead(pid):
    """Gone, or a zombie, and so are its threads: its descriptors are closed."""
    for path in glob.glob(f"/proc/{pid}/task/*/stat"):
        try:
            if linux.stat(path)[0] not in b"ZX":
                return False
        except (FileNotFoundError, ProcessLookupError):
            pass
    return True


def refused(t, *words):
    """What `sluice attach` says when it refuses."""
    done = subprocess.run([t.sluice_bin, *words], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1, f"exit {done.returncode}: {done.stdout}{done.stderr}"
    assert not done.stdout, done.stdout
    return done.stderr


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
