# SPDX-License-Identifier: GPL-2.0-only
"""A day's load in minutes: memory and descriptors reach a plateau and come back.

$SOAK_SECONDS (default 30) is the length; 600 is the run of the README.
"""
import json
import os
import subprocess
import time

from lib.runner import test
from lib.torture import Torture

SECONDS = int(os.environ.get("SOAK_SECONDS", 30))
NOISE = 2 << 20  # bytes: a buffer of the daemon's pool more or less, not a leak


def rss(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/statm") as f:
            total += int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return total


def kernel_slab():
    with open("/proc/meminfo") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("Slab:"))


def tcp(what):
    """"inuse": sockets of this network namespace, those in TIME-WAIT left out; "mem": bytes that the
    sockets of the host have, in whole pages of what they may take without asking."""
    with open("/proc/thread-self/net/sockstat") as f:
        words = next(line.split() for line in f if line.startswith("TCP:"))
    n = int(words[words.index(what) + 1])
    return n * os.sysconf("SC_PAGE_SIZE") if what == "mem" else n


def tcp_sockets():
    return tcp("inuse")


def maps_memory(pins):
    """Bytes of the instance's maps, as the kernel counts them."""
    total = 0
    for name in os.listdir(pins):
        done = subprocess.run(["bpftool", "-j", "map", "show", "pinned", f"{pins}/{name}"],
                              capture_output=True, text=True)
        if done.returncode == 0:
            total += int(json.loads(done.stdout).get("bytes_memlock", 0))
    return total


class Watch:
    """Samples of what could grow."""

    def __init__(self, sluice):
        self.sluice, self.samples, self.last = sluice, [], 0
        self.start, self.rows = time.monotonic(), []

    def pids(self):
        return [self.sluice.supervisor, *self.sluice.workers()]

    def now(self):
        return {"rss": rss(self.pids()),
                "fds": len(os.listdir(f"/proc/{self.sluice.worker()}/fd")),
                "sockets": tcp_sockets(), "tcp": tcp("mem"), "slab": kernel_slab()}

    def __call__(self):
        if time.monotonic() - self.last >= 0.5:
            self.last = time.monotonic()
            self.samples.append(self.now())
        if time.monotonic() - self.start >= 60 * len(self.rows):
            self.row(f"{len(self.rows)} min")

    def row(self, when):
        """A line of the README's table."""
        now = {**self.now(), "maps": maps_memory(self.sluice.pins)}
        cells = [f"{now[what] / (1 << 20):.1f}" for what in ("rss", "maps", "tcp", "slab")]
        self.rows.append(" | ".join(["", when, *cells, str(now["fds"]), str(now["sockets"]), ""]).strip())

    def peak(self, what, part):
        """In a third of the run: 1, or 2, the last."""
        third = len(self.samples) // 3
        return max(s[what] for s in self.samples[part * third:(part + 1) * third])


@test(seconds=SECONDS + 120, alone=True)
def plateau(t):
    torture = Torture(t, "both", "hostile")
    torture.run(2, threads=24)  # pools fill, lanes are opened
    torture.settles()
    watch = Watch(torture.sluice)
    before = watch.now()
    counts = torture.run(SECONDS, threads=24, each=watch)
    torture.settles()
    t.wait(lambda: tcp_sockets() <= before["sockets"] + 50, "sockets that nobody holds are gone")
    after = watch.now()
    watch.row("after")
    t.note("time | RSS of the daemon, MiB | its maps | TCP's memory | slab | descriptors | sockets")
    for row in watch.rows:
        t.note(row)
    stats = torture.sluice.stats()
    for what in before:
        t.note(f"{what}: {before[what]} before, {watch.peak(what, 1)} in the middle, "
               f"{watch.peak(what, 2)} at the end, {after[what]} after")
    t.note(f"{counts} {stats}")
    assert watch.peak("rss", 2) <= watch.peak("rss", 1) + NOISE
    assert after["rss"] <= before["rss"] + 2 * NOISE
    # What is open afterwards is listeners and idle lanes, each with its server's end.
    lanes = stats.tree["lanes"]["open"]
    assert after["fds"] - before["fds"] <= lanes, (before, after, lanes)
    assert after["sockets"] <= 2 * lanes + 8, (after, lanes)
    assert watch.peak("fds", 2) <= 1.5 * watch.peak("fds", 1) + 50
    torture.sluice.stop()
