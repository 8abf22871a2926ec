# SPDX-License-Identifier: GPL-2.0-only
"""A day's load in minutes: memory and descriptors reach a plateau and come back.

$SOAK_SECONDS (default 30) is the length; 600 is the run of the README.
"""
import os
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


def tcp_sockets():
    """Of this network namespace, those in TIME-WAIT left out."""
    with open("/proc/thread-self/net/sockstat") as f:
        words = next(line.split() for line in f if line.startswith("TCP:"))
    return int(words[words.index("inuse") + 1])


class Watch:
    """Samples of what could grow."""

    def __init__(self, sluice):
        self.sluice, self.samples, self.last = sluice, [], 0

    def pids(self):
        return [self.sluice.supervisor, *self.sluice.workers()]

    def now(self):
        return {"rss": rss(self.pids()),
                "fds": len(os.listdir(f"/proc/{self.sluice.worker()}/fd")),
                "sockets": tcp_sockets(), "slab": kernel_slab()}

    def __call__(self):
        if time.monotonic() - self.last >= 0.5:
            self.last = time.monotonic()
            self.samples.append(self.now())

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
