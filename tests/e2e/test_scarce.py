# SPDX-License-Identifier: GPL-2.0-only
"""Out of descriptors: who is served goes on, who is not waits or is told, and nothing spins."""
import contextlib
import os

from lib.config import DOORS
from lib.envoy import FRONT, conf, limits
from lib.http1 import BadResponse, Conn, build
from lib.runner import test
from lib.scripted import Scripted

DESCRIPTORS = 180  # about 90 of them are maps and programs
CLIENTS = 150


def cpu(pid):
    """Seconds that a process has run."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
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
