# SPDX-License-Identifier: GPL-2.0-only
"""sluice attach: cycles of attach and detach under load, and every kind of death."""
import ctypes
import os
import signal
import time

from lib import linux
from lib.attach import APP, NEW, attached, is_dead, names, who
from lib.config import route
from lib.load import Load, Wrk
from lib.runner import test


@test()
def a_thousand_cycles(t):
    """Attach and detach, 1,000 times, under 2,000 new connections a second: none is lost. By the
    store that both commands end with, since a thousand processes each would take a minute on two
    cores; the commands themselves run beside it."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as f:
        f.write("10000 65000")
    t.backends.nginx({8080: "app"})
    s = t.sluice(attached(APP, {"v1": [APP]}, [route(name="all", weights={"v1": 1})]))
    wrk = Wrk(t, "http://127.0.0.1:8080/who", 8, seconds=50, headers=[("Connection", "close")])
    loop = f"""while :; do
        {t.sluice_bin} detach 127.0.0.1:8080
        {t.sluice_bin} attach 127.0.0.1:8080 --instance {s.instance}
    done >/dev/null 2>&1"""
    commands = t.start(["/bin/sh", "-c", loop], name="commands")
    with linux.mapped(s.pin("attach_points"), 4) as points:
        flags = ctypes.c_uint32.from_buffer(points)  # SL_A_ON is 2
        for _ in range(1000):
            flags.value &= ~2
            time.sleep(0.001)
            flags.value |= 2
            time.sleep(0.001)
        del flags
    commands.close()
    result = wrk.stop()
    result.check()
    assert result.rate > 2000, result.text
    t.wait(lambda: s.stats().tree["sessions"]["open"] == 0, "no session is left")
    steered = s.stats().total
    assert result.requests * 0.05 < steered < result.requests * 0.95, (steered, result.text)
    s.check()


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
