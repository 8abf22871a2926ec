# SPDX-License-Identifier: GPL-2.0-only
"""Idle lanes rest by the CPU that used them last (include/sl_pool.h)."""
import os
import threading

from lib.config import config, route
from lib.http1 import Conn, answer_with
from lib.keeper import Keeper
from lib.runner import test

FRONT = ("127.0.0.1", 8000)
BACKS = {"one": [("127.0.0.1", 9001)]}


class Pinned:
    """Answers with the number of the CPU that the connection's thread runs on: the first one's on
    @cpus[0], the second one's on @cpus[1]. Two requests for /both are answered when both are here."""

    def __init__(self, t, port, cpus):
        self.cpus, self.own = list(cpus), threading.local()
        self.lock, self.both = threading.Lock(), threading.Barrier(2)
        Keeper(t, port, self.answer)

    def answer(self, request, _):
        if not hasattr(self.own, "cpu"):
            with self.lock:
                self.own.cpu = self.cpus.pop(0)
            os.sched_setaffinity(0, {self.own.cpu})
        if request.target == "/both":
            self.both.wait(10)
        return answer_with(b"%d" % self.own.cpu)


def get_both(conns):
    for conn in conns:
        conn.send(b"GET /both HTTP/1.1\r\nHost: a\r\n\r\n")
    for conn in conns:
        assert conn.response().status == 200


@test()
def of_the_same_cpu(t):
    """A request goes to the server that ran on the CPU it is sent from; without one there, to another,
    which is found in its CPU's pool."""
    all_cpus = os.sched_getaffinity(0)
    cpus = (sorted(all_cpus) * 2)[:2]
    Pinned(t, 9001, cpus)
    s = t.sluice(config(FRONT, BACKS, [route(to="one")]))
    t.stack.callback(os.sched_setaffinity, 0, all_cpus)
    with Conn(FRONT) as first, Conn(FRONT) as second:
        get_both((first, second))  # opens a lane to each, by the daemon
        s.idle()
        get_both((first, second))  # in the kernel: each lane into its server's pool
        before = s.stats()
        for cpu, conn in list(zip(cpus, (first, second))) * 20:
            os.sched_setaffinity(0, {cpu})
            assert [conn.get("/x").body for _ in range(5)] == [b"%d" % cpu] * 5
        # Both at once from one CPU: the second takes the other CPU's.
        get_both((first, second))
        after = s.stats()
        assert (after.kernel - before.kernel, after.user - before.user) == (202, 0), (before, after)
    s.check()
