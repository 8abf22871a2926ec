# SPDX-License-Identifier: GPL-2.0-only
"""Full speed on keep-alive connections, and what is left of it in the tables."""
import json
import os
import signal
import subprocess

from lib.config import DOORS, config, route
from lib.data import pattern
from lib.http1 import Conn
from lib.load import Load, Wrk
from lib.runner import test

HERE = os.path.dirname(os.path.abspath(__file__))
FRONT = ("127.0.0.1", 8000)


def gone(t, s):
    """After the clients: no session is left, every lane is idle, all is in one place."""
    s.check()
    t.wait(lambda: s.stats().tree["sessions"]["open"] == 0, "no session is left")
    lanes = s.stats().tree["lanes"]
    assert lanes["open"] == lanes["idle"], f"lanes that are not idle: {lanes}"
    s.check()


@test(seconds=60)
def wrk_tutorial(t):
    """64 co-located connections on the tutorial's routes: 99.9 % of requests in the kernel."""
    t.backends.nginx({9001: "service1", 9002: "service1a", 9003: "service2"})
    s = t.sluice(f"{HERE}/config/2-weighted-25.v3.yaml")

    def wrk(seconds):
        result = Wrk(t, "http://127.0.0.1:8000/", 64, seconds=seconds,
                     script=f"{HERE}/clients/tutorial.lua").result()
        result.check()
        t.wait(lambda: s.stats().tree["sessions"]["open"] == 0, "no session is left")
        return result

    wrk(1)  # makes the lanes
    before = s.stats()
    result, after = wrk(6), s.stats()
    total, kernel = after.total - before.total, after.kernel - before.kernel
    t.note(f"{result.rate:.0f} requests/s, {after}")
    assert result.requests <= total <= result.requests + 64, \
        f"wrk had {result.requests} answers, stats {total}"
    assert kernel >= 0.999 * total, f"{kernel} of {total}: {before}, then {after}"
    gone(t, s)


@test(seconds=60)
def wrk_hundred(t):
    """100 connections for 10 s lose no request and leave no lane behind."""
    t.backends.nginx({9001: "service1", 9002: "service1a", 9003: "service2"})
    s = t.sluice(f"{HERE}/config/2-weighted-25.v2.yaml")
    Wrk(t, "http://127.0.0.1:8000/", 100, seconds=10,
        script=f"{HERE}/clients/tutorial.lua").result().check()
    gone(t, s)


@test(seconds=60, each=[door for door in DOORS if door != "both"])
def wrk_doors(t, door):
    t.backends.nginx({9001: "one"})
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")], DOORS[door]))
    result = Wrk(t, "http://127.0.0.1:8000/who", 64, seconds=3).result()
    result.check()
    stats = s.stats()
    t.note(f"{result.rate:.0f} requests/s, {stats}")
    assert stats.by_door(door) >= 0.99 * stats.total, stats
    gone(t, s)


@test(seconds=60)
def crowd_comes_and_goes(t):
    """100 clients that leave after some requests, in the middle of answers too."""
    t.backends.nginx({9001: "one"}, echo=True)
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")]))

    def step(conn, me, n):
        if n % 17 == 16:  # leaves without reading its answer
            with Conn(FRONT) as rude:
                rude.send(b"GET /bytes/1000000/1 HTTP/1.1\r\nHost: x\r\n\r\n")
                rude.sock.recv(1000)
        if n % 29 == 28:  # ... and in the middle of its request
            with Conn(FRONT) as rude:
                rude.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\nabc")
        size = (0, 100, 8192, 65536)[(me + n) % 4]
        r = conn.get(f"/bytes/{size}/1")
        assert r.status == 200 and r.body == pattern(size, 1), f"{size}: {r}"

    with Load(FRONT, 100, step) as load:
        load.wait_requests(t, 6000, seconds=40)
    load.check()
    gone(t, s)


@test(seconds=60, each=list(DOORS))
def tenants(t, door):
    """Every client gets the answer to its own request, with its own header in it."""
    t.backends.one("python", "one", 9001)
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")], DOORS[door]))

    def step(conn, me, n):
        r = conn.get(f"/head/{me}/{n}", [("X-Tenant", f"{me}-{n}" * (1 + n % 20))])
        text = r.body.decode()
        assert text.startswith(f"GET /head/{me}/{n} HTTP/1.1\r\n"), text
        assert f"X-Tenant: {f'{me}-{n}' * (1 + n % 20)}\r\n" in text, text

    with Load(FRONT, 30, step) as load:
        load.wait_requests(t, 2000, seconds=40)
    load.check()
    gone(t, s)


@test()
def two_instances(t):
    """Two instances with one address in two namespaces: each has its own clients."""
    other = t.netns()
    found = []
    for ns, name in ((t.main_ns, "here"), (other, "there")):
        with ns:
            t.backends.nginx({9001: name})
            found.append((ns, name, t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]},
                                                    [route(to="one")]))))
    for ns, name, s in found:
        with ns, Conn(FRONT) as conn:
            for _ in range(200):
                assert conn.get("/").body.decode() == name
        stats = s.stats()
        assert stats.total == 200 and stats.kernel >= 195, f"{name}: {stats}"
        s.check()


@test()
def check_finds_what_is_planted(t):
    """`stats --check` is not blind: a lane that is in no place is found, by name."""
    t.backends.nginx({9001: "one"})
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")]))
    with Conn(FRONT) as conn:
        assert conn.get("/").status == 200
    t.wait(lambda: s.stats().tree["lanes"]["idle"] == 1, "one idle lane")
    s.check()
    dump = subprocess.run(["bpftool", "-j", "map", "dump", "pinned", s.pin("lanes")],
                          capture_output=True, text=True, check=True)
    lane = next(one for one in json.loads(dump.stdout) if one["formatted"]["value"]["endpoint"] == 0
                and one["formatted"]["value"]["back_fd"] > 0)
    idle = [int(byte, 16) for byte in lane["value"]]
    lost = [idle[0] & 0xf0 | 3, *idle[1:]]  # SL_LANE_KERNEL, and no session has it
    os.kill(s.worker(), signal.SIGSTOP)  # it would find the lane itself, and close it
    try:
        for value, code in ((lost, 1), (idle, 0)):
            subprocess.run(["bpftool", "map", "update", "pinned", s.pin("lanes"), "key", "hex",
                            *(byte[2:] for byte in lane["key"]), "value", "hex",
                            *(f"{byte:02x}" for byte in value)], check=True)
            text = s.run("stats", "--check", code=code)
            assert code == 0 or "lane" in text, text
    finally:
        os.kill(s.worker(), signal.SIGCONT)
