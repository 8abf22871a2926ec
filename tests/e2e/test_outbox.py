# SPDX-License-Identifier: GPL-2.0-only
"""Writes of one wake-up go to the kernel together (io_uring): all of them, once, in order."""
import errno
import glob
import os
import socket
import struct
import threading

from lib import seccomp
from lib.data import pattern
from lib.envoy import FRONT, conf
from lib.http1 import Conn, build
from lib.load import Wrk
from lib.runner import test

THREADS = 2
DOORS = ["remote-both", "remote-client", "user"]

IO_URING_SETUP = 425


def rings(pid):
    """{fd: writes and the like that it was given} of a process's rings."""
    found = {}
    for path in glob.glob(f"/proc/{pid}/fd/*"):
        fd = path.split("/")[-1]
        try:
            if os.readlink(path) != "anon_inode:[io_uring]":
                continue
            with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as f:
                tail = next(line for line in f if line.startswith("SqTail:"))
        except OSError:
            continue
        found[fd] = int(tail.split()[1], 0)
    return found


def load(t):
    result = Wrk(t, "http://127.0.0.1:8000/who", 64, seconds=1).result()
    result.check()
    return result


@test(seconds=60, each=["remote-both", "user"])
def together(t, door):
    """They do go together, where BPF has no part in them; a worker's ring ends with it."""
    t.backends.nginx({9001: "one"})
    s = t.sluice(conf(door), concurrency=THREADS)
    first = s.worker()
    assert not rings(first), "a ring before it is needed"
    result = load(t)
    given = rings(first)
    t.note(f"{door}: {result.requests} requests, writes given to the rings {sorted(given.values())}")
    assert len(given) == THREADS and sum(given.values()) > result.requests / 10, given
    s.kill_worker()
    second = s.worker(other_than=first)
    load(t)
    t.wait(lambda: len(rings(second)) == THREADS, "the dead worker's rings are closed")
    assert len(rings(s.supervisor)) <= THREADS
    s.check()


@test(seconds=60)
def refused(t):
    """Where io_uring may not be used, as in a container with the default profile, all is as well."""
    t.backends.nginx({9001: "one"})
    s = t.sluice(conf("user"), concurrency=THREADS,
                 wrap=seccomp.wrap(seccomp.refusal(IO_URING_SETUP, errno.EPERM)))
    load(t)
    assert not rings(s.worker())
    s.check()


def deaf(go, results, me, n):
    """A client that asks @n times and reads nothing until everyone has."""
    with Conn(FRONT, rcvbuf=4096) as conn:
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        sender = threading.Thread(target=conn.send, args=(b"".join(
            build("GET", f"/bytes/1000/{(me + i) % 2 + 1}") for i in range(n)),))
        sender.start()
        go.wait(15)
        for i in range(n):
            r = conn.response()
            assert r.status == 200 and r.body == pattern(1000, (me + i) % 2 + 1), f"client {me}: {i}: {r}"
        sender.join()
    results.append(me)


@test(seconds=60, each=DOORS)
def no_room(t, door):
    """Clients that do not read: a write of several that finds no room, or room for a part, goes on
    where it stopped."""
    t.backends.nginx({9001: "one"})
    s = t.sluice(conf(door), concurrency=1)
    go, results = threading.Event(), []
    clients = [threading.Thread(target=deaf, args=(go, results, me, 3000)) for me in range(8)]
    for c in clients:
        c.start()

    def stuck():
        total = s.stats().total
        return total > 800 and total == stuck.before or setattr(stuck, "before", total)
    stuck.before = 0
    t.wait(stuck, "nothing is answered any more", 20, 0.3)
    go.set()
    for c in clients:
        c.join()
    assert sorted(results) == list(range(8)), results
    s.check()


@test(seconds=60, each=DOORS)
def gone(t, door):
    """Clients that reset while their answers wait to be written do not hurt others."""
    t.backends.nginx({9001: "one"})
    s = t.sluice(conf(door), concurrency=1)
    with Conn(FRONT) as well:
        for i in range(100):
            others = [Conn(FRONT) for _ in range(8)]
            for n, conn in enumerate(others):
                conn.send(build("GET", f"/bytes/1000/{n % 2 + 1}"))
                conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            well.send(build("GET", f"/bytes/1000/{i % 2 + 1}"))
            for conn in others[::2]:
                conn.close()
            r = well.response()
            assert r.status == 200 and r.body == pattern(1000, i % 2 + 1), f"{i}: {r}"
            for n, conn in list(enumerate(others))[1::2]:
                r = conn.response()
                assert r.status == 200 and r.body == pattern(1000, n % 2 + 1), f"{i}: {n}: {r}"
                conn.close()
    s.check()
