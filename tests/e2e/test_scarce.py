# SPDX-License-Identifier: GPL-2.0-only
"""Out of descriptors: who is served goes on, who is not waits or is told, and nothing spins."""
import contextlib
import glob
import os
import re

from lib import linux
from lib.config import DOORS, config, route
from lib.envoy import FRONT, conf, limits
from lib.http1 import BadResponse, Conn, build
from lib.runner import test
from lib.scripted import Scripted

DESCRIPTORS = 180  # about 90 of them are maps and programs
CLIENTS = 150


def cpu(pid):
    """Seconds that a process has run."""
    fields = linux.stat(f"/proc/{pid}/stat")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def limited(t):
    """`sluice` with a hard limit, which it cannot raise."""
    path = t.write("limited", f"#!/bin/sh\nulimit -n {DESCRIPTORS}\nexec {t.sluice_bin} \"$@\"\n")
    os.chmod(path, 0o755)
    t.sluice_bin = path


@test(seconds=60, each=list(DOORS))
def descriptors(t, door):
    back = Scripted(t)
    limited(t)
    s = t.sluice(conf(door))
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(Conn(FRONT))
        assert first.get("/fast").status == 200
        conns = [stack.enter_context(Conn(FRONT, timeout=20)) for _ in range(CLIENTS)]
        worker = s.worker()
        t.wait(lambda: limits(s).get("downstream_cx_accept_wait"), "some wait", 10)
        before, start = cpu(worker), os.times().elapsed
        for _ in range(300):  # who has a connection, and a lane, notices nothing
            assert first.get("/fast").status == 200
        t.wait(lambda: os.times().elapsed - start > 1.5, "a while")
        used = (cpu(worker) - before) / (os.times().elapsed - start)
        t.note(f"{door}: {used:.0%} of a CPU meanwhile")
        assert used < 0.5, f"the worker takes {used:.0%} of a CPU"
        for conn in conns:
            conn.send(build("GET", "/fast"))
        while conns:  # each that leaves makes room for another
            with conns.pop(0) as conn:
                try:
                    r = conn.response()
                except (BadResponse, ConnectionResetError) as e:
                    raise AssertionError(f"{len(conns)} more: {e!r}") from None
                assert r.status == 200, r
        assert first.get("/fast").status == 200
    t.wait(lambda: s.stats().tree["sessions"]["open"] == 0, "no session is left")
    with Conn(FRONT) as conn:
        assert conn.get("/fast").status == 200
    assert s.worker() == worker and back.requests > CLIENTS
    s.check()


def clusters(t):
    """Backends on five ports, a cluster each; what a config needs of them."""
    names = {f"c{port}": [("127.0.0.1", port)] for port in range(9001, 9006)}
    for [(_, port)] in names.values():
        Scripted(t, port)
    return names, [route(f"/{name}/", to=name) for name in names]


def at_once(conns, name):
    """Each of the connections needs a lane to the cluster."""
    for conn in conns:
        conn.send(build("GET", f"/{name}/slow/300"))
    assert [conn.response().status for conn in conns] == [200] * len(conns), name


def by_thread(worker, conns):
    """The connections of each thread: of whose epoll set they are."""
    found = []
    ports = {f"socket:[{row[9]}]": int(row[2].split(":")[1], 16)
             for row in linux.tcp_sockets(worker, FRONT[1])}
    for path in glob.glob(f"/proc/{worker}/fd/*"):
        if os.readlink(path) == "anon_inode:[eventpoll]":
            with open(path.replace("/fd/", "/fdinfo/")) as f:
                fds = re.findall(r"^tfd:\s*(\d+)", f.read(), re.M)
            mine = {ports.get(os.readlink(f"/proc/{worker}/fd/{fd}")) for fd in fds}
            found.append([conn for conn in conns if conn.sock.getsockname()[1] in mine])
    return [one for one in found if one]


@test(seconds=60, each=[(door, n) for door in ("remote-both", "user") for n in (1, 4)])
def idle_lanes(t, case):
    """Idle lanes of other clusters, and of other threads, go before a request finds no descriptor."""
    door, threads = case
    names, routes = clusters(t)
    limited(t)
    s = t.sluice(config(FRONT, names, routes, DOORS[door]), concurrency=threads)
    with contextlib.ExitStack() as stack:
        conns = [stack.enter_context(Conn(FRONT)) for _ in range(16)]
        for name in list(names) * 2:
            at_once(conns, name)
        lanes = s.stats().tree["lanes"]
        t.note(f"{door}, {threads}: {lanes}")
        assert lanes["open"] > 1.5 * len(conns), lanes  # what fits stays
    t.wait(lambda: s.stats().tree["sessions"]["open"] == 0, "no session is left")
    s.check()


@test(seconds=60, each=["remote-both", "user"])
def idle_lanes_elsewhere(t, door):
    """A thread that has none to give up asks the others."""
    names, routes = clusters(t)
    limited(t)
    s = t.sluice(config(FRONT, names, routes, DOORS[door]), concurrency=4)

    def lanes():
        return s.stats().tree["lanes"]["open"]
    with contextlib.ExitStack() as stack:
        conns = [stack.enter_context(Conn(FRONT)) for _ in range(16)]
        t.wait(lambda: sum(map(len, by_thread(s.worker(), conns))) == len(conns), "all are accepted")
        few, *rest = sorted(by_thread(s.worker(), conns), key=len)
        for name in names:
            at_once([conn for one in rest for conn in one], name)
        before = lanes()
        assert before < 5 * (len(conns) - len(few)), "there was room for all"
        at_once(few, "c9001")
        t.note(f"{door}: {len(few)} of {len(conns)} connections, {before} lanes before, {lanes()} after")
        assert lanes() <= before, (before, lanes())
    t.wait(lambda: s.stats().tree["sessions"]["open"] == 0, "no session is left")
    s.check()
