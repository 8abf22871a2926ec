# SPDX-License-Identifier: GPL-2.0-only
"""sluice attach: cycles of attach and detach under load, and every kind of death."""
import ctypes
import fcntl
import os
import signal
import subprocess
import time

from lib import linux, net
from lib.attach import APP, NEW, Background, attached, is_dead, names, who
from lib.config import route
from lib.http1 import Conn
from lib.load import Load, Wrk
from lib.runner import test


CYCLES = int(os.environ.get("ATTACH_CYCLES", "20"))  # by hand: 1000


def new_connections(t, seconds, clients=8):
    """wrk with a connection for each request, as fast as it goes."""
    net.sysctl("net.ipv4.ip_local_port_range", "10000 65000")
    return Wrk(t, "http://127.0.0.1:8080/who", clients, seconds,
               headers=[("Connection", "close")])


@test()
def a_thousand_cycles(t):
    """Attach and detach, 1,000 times, under 2,000 new connections a second: none is lost. By the
    store that both commands end with, since a thousand processes each would take a minute on two
    cores; cycles_by_command has those."""
    t.backends.nginx({8080: "app"})
    s = t.sluice(attached(APP, {"v1": [APP]}, [route(name="all", weights={"v1": 1})]))
    wrk = new_connections(t, 50)
    with linux.mapped(s.pin("attach_points"), 4) as points:
        flags = ctypes.c_uint32.from_buffer(points)  # SL_A_ON is 2
        for _ in range(1000):
            flags.value &= ~2
            time.sleep(0.001)
            flags.value |= 2
            time.sleep(0.001)
        del flags
    result = wrk.stop()
    result.check()
    assert result.rate > 2000, result.text
    t.wait(lambda: s.stats().tree["sessions"]["open"] == 0, "no session is left")
    steered = s.stats().total
    assert result.requests * 0.05 < steered < result.requests * 0.95, (steered, result.text)
    s.check()


@test(seconds=60 + CYCLES)
def cycles_by_command(t):
    """The same by the commands themselves, ATTACH_CYCLES times."""
    t.backends.nginx({8080: "app"})
    s = t.sluice(attached(APP, {"v1": [APP]}, [route(name="all", weights={"v1": 1})]))
    wrk = new_connections(t, 50 + CYCLES, clients=2)  # the commands have two cores, too
    for _ in range(CYCLES):
        s.run("detach", "127.0.0.1:8080")
        s.run("attach", "127.0.0.1:8080")
    result = wrk.stop()
    result.check()
    t.note(f"{CYCLES} cycles, {result.rate:.0f} connections a second, {result.requests} in all, "
           f"{s.stats().total} of them steered")
    assert CYCLES < 100 or result.rate > 2000, result.text
    t.wait(lambda: s.stats().tree["sessions"]["open"] == 0, "no session is left")
    assert 0 < s.stats().total < result.requests
    s.check()


@test(seconds=120)
def from_nothing_and_back(t):
    """Instances that start, attach, are detached and end by themselves, under the same load."""
    t.backends.nginx({8080: "app"})
    wrk = new_connections(t, 110)
    for _ in range(3):
        s = Background(t, "127.0.0.1:8080")
        t.wait(lambda: s.stats().total > 100, "it serves")
        s.run("detach", "127.0.0.1:8080")
        s.ended()
    wrk.stop().check()


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


# --- at the same time ---

def slow_answer(t, backend):
    """A request at APP that is under way, by @backend: call what is returned to end it."""
    conn = Conn(APP)
    conn.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    lane = backend.accept()[0]
    t.wait(lambda: lane.recv(1000), "the request is there")

    def end():
        lane.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert conn.response().status == 200
        conn.close()
        lane.close()
    return end


@test(each=["sigterm", "supervisor-killed"])
def attach_as_it_ends(t, how):
    """An instance that ends takes no address any more: the next one does, when it is gone."""
    backend = t.listen(*reversed(APP))
    s = Background(t, "127.0.0.1:8080")
    old, end = s.supervisor, slow_answer(t, backend)
    os.kill(old, signal.SIGTERM if how == "sigterm" else signal.SIGKILL)
    t.wait(lambda: not s.is_on(), "it gives the address back")
    attach = t.start(s.argv("attach", "127.0.0.1:8080"), name="attach")
    other = t.start(s.argv("attach", "127.0.0.1:8080"), name="other")
    waits = "waiting for another command"
    t.wait(lambda: waits in attach.log() + other.log(), "one waits for the other")
    end()
    assert sorted(p.wait(30) for p in (attach, other)) == [0, 1], attach.log() + other.log()
    assert "is attached already" in attach.log() + other.log()
    os.waitpid(old, 0)
    assert s.supervisor != old and s.is_on()
    end = slow_answer(t, backend)
    t.wait(lambda: s.stats().tree["sessions"]["open"] == 1, "it goes through the new one")
    end()


@test()
def two_at_once(t):
    """Two attaches of two addresses to one instance, and of one address to two: one wins, and
    what it says is so."""
    t.backends.nginx({8080: "app", 8081: "new"})
    name = t.instance()

    def both(*each):
        procs = [t.start([t.sluice_bin, "attach", *words], name=f"attach{i}")
                 for i, words in enumerate(each)]
        codes = [p.wait(40) for p in procs]
        assert sorted(codes) == [0, 1], "".join(p.log() for p in procs)
        return codes.index(0)
    where = [("127.0.0.1:8080", APP), ("127.0.0.1:8081", NEW)]
    first = both(*([text, "--instance", name] for text, _ in where))
    s = Background(t, where[1 - first][0])  # the other one, by another instance
    for i, (_, address) in enumerate(where):
        who(address)
        assert s.stats().total == (1 - first <= i), (i, first)
    s.run("detach", where[1 - first][0])
    s.ended()
    other = [t.instance(), t.instance()]
    both(*([where[1 - first][0], "--instance", one] for one in other))
    for one in [name, *other]:
        Background.adopt(t, one)


@test()
def killed_in_the_middle(t):
    """kill -9 of an instance at any moment of its start: told, the application serves, and the
    next attach finds nothing in its way."""
    t.backends.nginx({8080: "app"})
    s = Background(t, "127.0.0.1:8080")
    s.kill()
    moments = [lambda: s.supervisor, lambda: os.path.exists(s.pins),
               lambda: os.path.exists(s.pin("attached")), lambda: s.supervisor and s.workers()]
    for moment in moments:
        subprocess.run(["rm", "-rf", s.pins], check=True)
        attach = t.start(s.argv("attach", "127.0.0.1:8080"), name="attach")
        t.wait(moment, "it starts", 20, 0.0005)
        s.kill()
        assert attach.wait(20) in (0, 3)
        assert attach.returncode == 0 or "was killed before it served" in attach.log(), attach.log()
        assert names() == {"app": 10}
    s.run("attach", "127.0.0.1:8080")
    assert names() == {"app": 10} and s.stats().total == 10
    s.run("detach", "127.0.0.1:8080")
    s.ended()


@test()
def asked_while_it_starts(t):
    """`sluice attach` that asks whether an instance runs does not keep it from starting."""
    s = Background(t, *["--help"])
    with open(f"/run/sluice/{s.instance}.lock", "w") as f:
        fcntl.flock(f, fcntl.LOCK_SH)  # what it did for a moment, before
        t.backends.nginx({8080: "app"})
        s.run("attach", "127.0.0.1:8080")
