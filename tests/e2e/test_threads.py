# SPDX-License-Identifier: GPL-2.0-only
"""Threads of the worker: all serve, what they share is right, one at a time changes it."""
import contextlib
import glob
import os
import signal

from lib import linux
from lib.config import cluster
from lib.envoy import FRONT, conf, limits
from lib.http1 import Conn, build
from lib.keeper import Keeper
from lib.load import Load, Wrk
from lib.runner import test
from lib.scripted import Scripted

THREADS = 4
REMOTE = ["remote-client", "remote-both", "user"]


def thread_ticks(pid):
    """{thread: clock ticks that it has run} of a process."""
    ticks = {}
    for path in glob.glob(f"/proc/{pid}/task/*/stat"):
        with open(path.replace("/stat", "/comm")) as f:
            if f.read().strip() == "sluice-grace":
                continue  # waits for RCU, if it has anything to do
        fields = linux.stat(path)
        ticks[path.split("/")[-2]] = int(fields[11]) + int(fields[12])
    return ticks


def idle(t, s):
    """Nothing is under way: what the clients have was not in the worker's hands any more."""
    def lanes():
        return s.stats().tree["lanes"]
    t.wait(lambda: lanes()["open"] == lanes()["idle"], "all lanes are idle")


def settled(t, s):
    """No session is left, every lane is idle, every slot is where it belongs."""
    t.wait(lambda: s.stats().tree["sessions"]["open"] == 0, "no session is left")
    idle(t, s)
    s.check()


@test(seconds=30)
def policy(t):
    """Threads are SCHED_BATCH, unless somebody has chosen a policy for them."""
    t.backends.nginx({9001: "one"})
    for wrap, given, expected in (((), os.SCHED_OTHER, os.SCHED_BATCH),
                                  (("chrt", "--idle", "0"), os.SCHED_IDLE, os.SCHED_IDLE)):
        s = t.sluice(conf("user"), concurrency=THREADS, wrap=wrap)

        def policies():
            return [os.sched_getscheduler(int(thread)) for thread in thread_ticks(s.worker())]
        t.wait(lambda: policies() == [expected] * THREADS, f"{policies()}, not {expected}")
        assert os.sched_getscheduler(s.supervisor) == given
        s.stop()


@test(seconds=60, each=REMOTE)
def all_serve(t, door):
    """Sessions of remote clients are spread evenly, every request is counted once."""
    t.backends.nginx({9001: "one"})
    s = t.sluice(conf(door), concurrency=THREADS)
    worker = s.worker()
    t.wait(lambda: len(thread_ticks(worker)) == THREADS, "all threads are there")
    before = thread_ticks(worker)
    result = Wrk(t, "http://127.0.0.1:8000/who", 64, seconds=3).result()
    result.check()
    after = thread_ticks(worker)
    used = sorted(after[thread] - before.get(thread, 0) for thread in after)
    t.note(f"{door}: {result.rate:.0f} requests/s, ticks {used}")
    assert used[0] > used[-1] / 4, f"clock ticks of the threads: {used}"
    assert result.requests <= s.stats().total <= result.requests + 64
    settled(t, s)


@test(seconds=60, each=["remote-both", "user"])
def few_lanes(t, door):
    """Two lanes for the clients of four threads: they are passed on, nobody starves or is refused."""
    back = Scripted(t)
    s = t.sluice(conf(door, back={"circuit_breakers": {"thresholds": [{"max_connections": 2}]}}),
                 concurrency=THREADS)

    def step(conn, me, n):
        assert conn.get("/fast").status == 200
        return me
    with Load(FRONT, 24, step) as load:
        load.wait_requests(t, 2400)
    load.check()
    assert len(load.counts) == 24 and min(load.counts.values()) > 10, load.counts
    assert back.most <= 2, back.most
    settled(t, s)


@test(seconds=60, each=["remote-both", "user"])
def idle_elsewhere(t, door):
    """A lane that is idle in one thread is no reason to refuse what another one is asked."""
    back = Scripted(t)
    s = t.sluice(conf(door, back={"circuit_breakers": {"thresholds": [{"max_requests": 1}]}}),
                 concurrency=THREADS)
    with contextlib.ExitStack() as stack:
        conns = [stack.enter_context(Conn(FRONT)) for _ in range(16)]
        for _ in range(20):
            for conn in conns:
                assert conn.get("/fast").status == 200
        conns[0].send(build("GET", "/slow/500"))
        t.wait(lambda: back.active == 1, "the lane is taken", 5, 0.01)
        assert [conn.get("/fast").status for conn in conns[1:]] == [503] * 15
        assert conns[0].response().status == 200
    assert back.most == 1 and limits(s, "one")["upstream_rq_pending_overflow"] == 15, limits(s, "one")
    settled(t, s)


@test(seconds=60, each=["remote-both", "user"])
def reload(t, door):
    """All threads have the new config when the reload is done, and lose no request by it."""
    t.backends.nginx({9001: "one", 9002: "two"})
    texts = [conf(door, back=cluster("one", [("127.0.0.1", port)])) for port in (9001, 9002)]
    path = t.write("sluice.yaml", texts[0])
    s = t.sluice(path, concurrency=THREADS)
    with Load(FRONT, 8, lambda conn, me, n: conn.get("/who").body.split()[0]) as load, \
            contextlib.ExitStack() as stack:
        conns = [stack.enter_context(Conn(FRONT)) for _ in range(16)]
        for i in range(1, 7):
            with open(path, "w") as f:
                f.write(texts[i % 2])
            s.run("reload")
            names = {conn.get("/who").body.split()[0] for conn in conns}
            assert names == {(b"one", b"two")[i % 2]}, f"reload {i}: {names}"
    load.check()
    settled(t, s)


@test(seconds=60, each=["remote-both", "user"])
def outliers(t, door):
    """Failures that any thread sees eject the endpoint for all."""
    answers = {9001: 200, 9002: 503}
    for port, status in answers.items():
        Keeper(t, port, lambda request, n, status=status:
               f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode())
    rules = {"consecutive_5xx": 3, "interval": "60s", "base_ejection_time": "60s",
             "max_ejection_percent": 50}
    s = t.sluice(conf(door, back={**cluster("one", [("127.0.0.1", port) for port in answers]),
                                  "outlier_detection": rules}), concurrency=THREADS)
    with contextlib.ExitStack() as stack:
        conns = [stack.enter_context(Conn(FRONT)) for _ in range(8)]
        for conn in conns:
            conn.get("/")
        t.wait(lambda: [c.get("/").status for c in conns] == [200] * 8, "the bad one is out", 5)
    assert s.stats().clusters["one"]["limits"]["ejections_enforced_total"] == 1
    s.check()


@test(seconds=60, each=["remote-both", "user"])
def failed_endpoint(t, door):
    """close_connections_on_host_health_failure: of the lanes of all threads none is left."""
    health = {9001: 200, 9002: 200}
    for port in health:
        Keeper(t, port, lambda request, n, port=port:
               f"HTTP/1.1 {health[port] if request.target == '/health' else 200} X\r\n"
               "Content-Length: 0\r\n\r\n".encode())
    check = {"timeout": "5s", "interval": "0.05s", "no_traffic_interval": "0.05s",
             "unhealthy_threshold": 1, "healthy_threshold": 1,
             "http_health_check": {"path": "/health"}}
    s = t.sluice(conf(door, back={**cluster("one", [("127.0.0.1", port) for port in health]),
                                  "health_checks": [check],
                                  "close_connections_on_host_health_failure": True}),
                 concurrency=THREADS)

    def idle_lanes():
        return {e["endpoint"]: e["idle_lanes"] for e in s.stats().tree["endpoints"]}
    with contextlib.ExitStack() as stack:
        conns = [stack.enter_context(Conn(FRONT)) for _ in range(15)]  # odd: each is asked in turn
        for _ in range(8):
            for conn in conns:
                assert conn.get("/").status == 200
        t.wait(lambda: all(n >= THREADS for n in idle_lanes().values()), "each thread has lanes")
        health[9002] = 500
        t.wait(lambda: not idle_lanes()["127.0.0.1:9002"], "its lanes are closed", 5)
        assert idle_lanes()["127.0.0.1:9001"] >= THREADS, idle_lanes()
        for conn in conns:
            assert conn.get("/").status == 200
    settled(t, s)


@test(seconds=60, each=REMOTE)
def worker_killed(t, door):
    """The next worker has the sessions and lanes of all threads; those that were idle go on."""
    Scripted(t)
    s = t.sluice(conf(door), concurrency=THREADS)
    with contextlib.ExitStack() as stack:
        conns = [stack.enter_context(Conn(FRONT)) for _ in range(16)]
        for _ in range(3):
            for conn in conns:
                assert conn.get("/fast").status == 200
            idle(t, s)
            old = s.worker()
            os.kill(old, signal.SIGKILL)
            assert len(thread_ticks(s.worker(other_than=old))) >= 1
        for conn in conns:
            assert conn.get("/fast").status == 200
        t.wait(lambda: len(thread_ticks(s.worker())) == THREADS, "all threads are there")
    settled(t, s)


@test(seconds=60, each=REMOTE)
def stop(t, door):
    """Each thread finishes what it has in hand; answers that take longer than that are waited for."""
    Scripted(t)
    s = t.sluice(conf(door), concurrency=THREADS)
    with contextlib.ExitStack() as stack:
        conns = [stack.enter_context(Conn(FRONT)) for _ in range(16)]
        for conn in conns:
            assert conn.get("/fast").status == 200
        for conn in conns[::2]:
            conn.send(build("GET", "/slow/1000"))
        t.wait(lambda: s.stats().tree["lanes"]["open"] - s.stats().tree["lanes"]["idle"] == 8,
               "all are under way", 5, 0.01)
        s.proc.signal(signal.SIGTERM)
        for conn in conns[::2]:
            assert conn.response().status == 200
    s.stop()
