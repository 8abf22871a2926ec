# SPDX-License-Identifier: GPL-2.0-only
"""Runs the torture's client and backend (tests/e2e/torture) on both sides of a sluice."""
import contextlib
import json
import os
import random
import time

from .config import DOORS, config, route
from .http1 import Conn
from .linux import lossy

FRONT = 8000
PORTS = (9001, 9002)
MIXES = {"steady": "s", "closing": "c", "hostile": "h"}


def program(t, name):
    path = os.environ.get("TORTURE") or f"{os.path.dirname(t.sluice_bin)}/tests/e2e/torture"
    return f"{path}/{name}"


def wrongs(p):
    return [line for line in p.log().splitlines() if line.startswith("WRONG")]


class Torture:
    """One door, one mix of servers, one seed."""

    def __init__(self, t, door, mix, seed=None, address="127.0.0.1", failing=None):
        """@failing: one in so many of the daemon's calls fails while the clients run, see failing.c."""
        self.t, self.mix, self.address = t, mix, address
        self.seed = seed if seed is not None else random.randrange(1 << 32)
        self.backend = t.start([program(t, "backend"), address, *PORTS], name="backend")
        for port in PORTS:
            self.backend.wait_port((address, port))
        self.fails = f"{t.dir}/fails" if failing else None
        wrap = ["env", f"LD_PRELOAD={program(t, 'failing.so')}", f"FAILING_WHILE={self.fails}",
                f"FAILING_ONE={failing}"] if failing else ()
        clusters = {f"s{port}": [(address, port)] for port in PORTS}
        routes = [route(weights={name: 50 for name in clusters}, name="all")]
        self.sluice = t.sluice(config((address, FRONT), clusters, routes, DOORS[door],
                                      connect_timeout="5s"), wrap=wrap)
        self.random = random.Random(self.seed)
        self.first = 0

    def weights(self):
        weight = self.random.randrange(101)
        self.sluice.weights("all", s9001=weight, s9002=100 - weight)

    def run(self, seconds, threads=16, patience_ms=20000, kill_every=None, extra=(), each=None, loss=0):
        """Yields the client's counts; fails on a fault that either side saw. @kill_every: seconds
        between two kills of the worker. @each: is called again and again meanwhile. @loss: of a
        thousand packets so many are lost, both ways."""
        argv = [program(self.t, "client"), "--seed", self.seed, "--first", self.first, "--seconds", seconds,
                "--threads", threads, "--mix", MIXES[self.mix], "--patience", patience_ms,
                *(["--kills"] if kill_every else []), *(["--starved"] if self.fails else []),
                *extra, self.address, FRONT]
        self.first += 1 << 32  # no request of this instance is made twice
        client = self.t.start([str(word) for word in argv], name="client")
        end = time.monotonic() + int(seconds) + 3 * patience_ms / 1000 + 10
        with lossy("lo", loss) if loss else contextlib.nullcontext(), self._failing():
            self._until_over(client, end, kill_every, each)
        wrong = wrongs(client) + wrongs(self.backend)
        assert not wrong, f"{len(wrong)} wrong: " + " | ".join(wrong[:3])
        counts = json.loads(client.log().splitlines()[-1])
        assert counts["exchanges"] > 0, counts
        return counts

    @contextlib.contextmanager
    def _failing(self):
        """The daemon's calls fail while the body runs, but not before a worker has begun to serve."""
        if not self.fails:
            yield
            return
        with Conn((self.address, FRONT)) as c:
            c.send(b"no HTTP\r\n\r\n")
            assert c.response().status == 400
        with open(self.fails, "w", encoding="ascii"):
            pass
        try:
            yield
        finally:
            os.unlink(self.fails)

    def _until_over(self, client, end, kill_every, each):
        killed = time.monotonic()
        while client.running():
            assert time.monotonic() < end, f"seed {self.seed}: the client hangs"
            self.weights()
            if each:
                each()
            time.sleep(0.02)
            if kill_every and time.monotonic() - killed > kill_every:
                with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                    self.sluice.kill_worker()
                killed = time.monotonic()

    def settles(self, lossy=False):
        """Nobody is connected any more: every session and lane is in its place. @lossy: an RST that
        was lost is not sent again, so some sessions wait for their timeout."""
        if not lossy:
            self.t.wait(lambda: self.sluice.stats().tree["sessions"]["open"] == 0,
                        "no session is left", 20)
        self.sluice.check()
