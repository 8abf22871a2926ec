# SPDX-License-Identifier: GPL-2.0-only
"""Clients that open a connection for each request: their process is told by that, its next
connections are not captured, and nobody else's are concerned."""
import json
import subprocess
import sys
import threading
import time

from lib.config import config, route
from lib.data import pattern
from lib.http1 import Closed, Conn, build
from lib.load import Load, curl
from lib.runner import test

FRONT = ("127.0.0.1", 8000)
URL = "http://127.0.0.1:8000"
CLOSE = (("Connection", "close"),)
STREAK = 16     # SL_STREAK_MIN: captured in vain before others are not captured
MOST = 256      # SL_STREAK_MAX
WINDOW = 0.2    # SL_STREAK_NS
MISJUDGED = 1000  # ONE_SHOT_MAX

# A process of its own, with a session that is kept alive.
POOL = """
import http.client, sys
conn = http.client.HTTPConnection("127.0.0.1", 8000, timeout=20)
for i in range(int(sys.argv[1])):
    conn.request("GET", f"/bytes/1000/{i}")
    body = conn.getresponse().read()
    assert len(body) == 1000, len(body)
conn.close()
"""


def serve(t, sluice=None):
    t.backends.one("python", "one", 9001)
    return t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")], sluice))


def single(i, size=None):
    """A connection for one request, as a client of no pool makes it."""
    size = i * 37 % 5000 if size is None else size
    with Conn(FRONT) as conn:
        if i % 3:
            r, want = conn.get(f"/bytes/{size}/{i % 200}", CLOSE), pattern(size, i % 200)
        else:
            want = pattern(size, i % 200)
            r = conn.request("POST", "/echo", CLOSE, body=want)
        assert r.status == 200 and r.body == want, f"request {i}: {r}"
        assert conn.at_eof(), f"request {i}: it goes on"


def singles(n):
    for i in range(n):
        single(i)


def captures(n):
    """Which ones of @n in vain, one behind the other, are captured behind the first STREAK."""
    i, vain = STREAK, STREAK
    while (i := i + min(vain, MOST)) < n:
        yield i
        i, vain = i + 1, vain + 1


def uncaptured(s):
    return s.stats().reasons.get("client_one_shot", 0)


def at_rest(t, s):
    t.wait(lambda: s.stats().tree["sessions"]["open"] == 0, "no session is left")
    s.check()


@test()
def burst(t):
    """Most of a burst is not captured, its answers are right, and each has its reason."""
    s = serve(t)
    singles(400)
    stats = s.stats()
    seen = stats.reasons.get("client_one_shot", 0)
    # A pause of the machine's ends the streak: another STREAK of them are captured.
    assert 200 <= seen <= 400 - STREAK - sum(1 for _ in captures(400)), stats
    assert seen + stats.reasons["connection_header"] == 400 == stats.total, stats
    at_rest(t, s)


@test()
def long_burst(t):
    """The longer it goes on, the fewer are captured: not one in STREAK."""
    s = serve(t)
    n = 1400

    def captured():
        """A pause of the machine's may end the streak: not each time."""
        before = s.stats().reasons.get("connection_header", 0)
        singles(n)
        seen = s.stats().reasons["connection_header"] - before
        t.note(f"{seen} captured of {n}, {STREAK + sum(1 for _ in captures(n))} without a pause")
        return seen
    t.wait(lambda: captured() < STREAK + n // STREAK * 3 // 4, "a burst without a pause", 50)
    at_rest(t, s)


@test()
def side_by_side(t):
    """The same by sixteen threads of one process."""
    s = serve(t)
    threads = [threading.Thread(target=singles, args=(60,)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = s.stats()
    assert stats.total == 960 and stats.reasons.get("client_one_shot", 0) >= 480, stats
    at_rest(t, s)


@test()
def pool_later(t):
    """A process that has made a burst is captured like any other when it is over."""
    s = serve(t)
    singles(100)
    assert uncaptured(s), s.stats()
    time.sleep(2 * WINDOW)
    before = s.stats()
    conns = [Conn(FRONT) for _ in range(8)]
    for i in range(10):
        for conn in conns:
            assert conn.get(f"/bytes/100/{i}").body == pattern(100, i)
    after = s.stats()
    assert uncaptured(s) == before.reasons["client_one_shot"], after
    assert after.kernel - before.kernel >= 72, (before, after)
    for conn in conns:
        conn.close()
    at_rest(t, s)


@test()
def pool_at_once(t):
    """A process that changes its mind without a pause: the first captured connection that is
    served in the kernel ends the streak."""
    s = serve(t)
    singles(100)
    before = s.stats()
    assert before.reasons.get("client_one_shot", 0) >= 50, before
    for i in range(60):
        with Conn(FRONT) as conn:
            for k in range(4):
                assert conn.get(f"/bytes/100/{k}").body == pattern(100, k)
        t.wait(lambda: s.stats().tree["sessions"]["open"] == 0, "it has ended", 5)
    after = s.stats()
    # None of them, or as many as have been in vain before.
    most = 4 * (STREAK + sum(1 for _ in captures(100)))
    assert uncaptured(s) - before.reasons["client_one_shot"] <= most, after
    assert after.kernel - before.kernel >= 3 * 60 - most, (before, after)
    at_rest(t, s)


@test()
def misjudged(t):
    """A connection of a pool that was opened in the middle of a burst serves, and ends after some
    requests, so that the next one can be captured."""
    s = serve(t)
    conns, n = [], 4

    def misjudge():
        """A pause of the machine's ends a streak: not each time."""
        singles(STREAK + STREAK // 2)
        conn = Conn(FRONT)
        assert conn.get("/bytes/10/1").body == pattern(10, 1)
        if s.stats().tree["sessions"]["colocated"]:
            conn.close()
        else:
            conns.append(conn)
        return len(conns) == n
    t.wait(misjudge, "connections that are not captured", 40)
    seen = s.stats()
    ended = 0
    for conn in conns:
        try:
            for i in range(2, MISJUDGED + 20):
                want = pattern(i * 11, i % 200)
                r = conn.request("POST", "/echo", body=want)
                assert r.status == 200 and r.body == want, r
                if r.get("connection") == "close":
                    assert i == MISJUDGED and conn.at_eof(), i
                    ended += 1
                    break
        finally:
            conn.close()
    assert ended >= n - 1, (ended, seen)
    at_rest(t, s)


@test()
def others(t):
    """Other processes are captured while one makes a burst."""
    s = serve(t)
    stop = threading.Event()
    failures = []

    def keep_on():
        try:
            i = 0
            while not stop.is_set():
                single(i)
                i += 1
        except Exception as e:
            failures.append(repr(e))
    thread = threading.Thread(target=keep_on)
    thread.start()
    try:
        t.wait(lambda: uncaptured(s) > 20, "a burst is on")
        curl(f"{URL}/bytes/1000/1", f"{URL}/bytes/1000/1")
        before = s.stats()
        for _ in range(10):
            subprocess.run([sys.executable, "-c", POOL, "20"], check=True, timeout=30)
        # curl has a process for each of these.
        for i in range(20):
            assert curl(f"{URL}/bytes/1000/{i}") == pattern(1000, i)
        after = s.stats()
    finally:
        stop.set()
        thread.join()
    assert not failures, failures
    assert after.kernel - before.kernel >= 10 * 18 + 15, (before, after)
    at_rest(t, s)


@test()
def slow_rate(t):
    """Connections for one request each that come now and then are all captured."""
    s = serve(t)
    for i in range(STREAK + 8):
        single(i)
        time.sleep(1.2 * WINDOW)
    stats = s.stats()
    assert not uncaptured(s), stats
    assert stats.reasons["connection_header"] == STREAK + 8, stats
    at_rest(t, s)


@test()
def served_in_the_kernel(t):
    """Clients that open a connection for each request and do not say so are served in the
    kernel, however many they open."""
    s = serve(t)
    for i in range(100):
        with Conn(FRONT) as conn:
            assert conn.get(f"/bytes/100/{i}").body == pattern(100, i)
    stats = s.stats()
    assert not uncaptured(s) and stats.kernel >= 90, stats
    at_rest(t, s)


@test()
def cold_pool(t):
    """Nor do requests count that only lacked a lane: those that come first, all at once."""
    s = serve(t)
    conns = [Conn(FRONT) for _ in range(2 * STREAK)]
    for conn in conns:
        conn.send(build("GET", "/slow/300"))
    for conn in conns:
        assert conn.response().body == b"one"
        conn.close()
    before = s.stats()
    assert before.reasons["no_idle_lane"] > STREAK, before
    conns = [Conn(FRONT) for _ in range(STREAK)]
    for i in range(10):
        for conn in conns:
            assert conn.get(f"/bytes/100/{i}").body == pattern(100, i)
    after = s.stats()
    assert not uncaptured(s) and after.kernel - before.kernel >= 9 * STREAK, (before, after)
    for conn in conns:
        conn.close()
    at_rest(t, s)


@test()
def canned(t):
    """So are those that get a route's own answer, which no lane serves."""
    s = t.sluice(config(FRONT, {}, [route(prefix="/", direct=(200, "fine"))]))
    fill = (("X-Fill", "x" * 300),)
    for _ in range(100):
        with Conn(FRONT) as conn:
            assert conn.get("/", fill).body == b"fine"
    stats = s.stats()
    assert not uncaptured(s) and stats.kernel >= 90, stats
    at_rest(t, s)


@test()
def many_processes(t):
    """Nothing is left behind by processes that come and go, nor by connections without a
    request."""
    s = serve(t)
    for i in range(120):
        assert curl("-H", "Connection: close", f"{URL}/bytes/10/{i}") == pattern(10, i)
    assert not uncaptured(s), s.stats()
    for _ in range(300):
        Conn(FRONT).close()
    singles(20)
    at_rest(t, s)
    entries = json.loads(subprocess.run(["bpftool", "-j", "map", "dump", "pinned",
                                         s.pin("pairing")], check=True, capture_output=True).stdout)
    assert not entries, entries


@test()
def worker_dies(t):
    """Connections without a session are lost with the worker that has them, and only those: the
    client sees an end, never a wrong answer, and the next one serves."""
    s = serve(t)
    singles(60)
    cut = 0

    def step(conn, me, i):
        """Load wants a connection to be kept: this makes its own."""
        nonlocal cut
        try:
            single(me * 1000 + i, 3000)
        except (Closed, ConnectionError):
            cut += 1

    with Load(FRONT, 8, step) as load:
        for _ in range(3):
            load.wait_requests(t, 100)
            old = s.kill_worker()
            s.worker(other_than=old)
        load.wait_requests(t, 100)
        load.check()
    assert cut <= 3 * 8 * 2, cut
    t.wait(lambda: s.stats().tree["sessions"]["user"] == 0, "the sessions are at rest")
    singles(60)
    at_rest(t, s)
