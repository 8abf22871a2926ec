# SPDX-License-Identifier: GPL-2.0-only
"""The torture (tests/e2e/torture) at every door: no wrong byte, no hang, no answer that is not due,
and afterwards every session and lane in its place. hunt_torture.py is the long run of it."""
from lib.config import DOORS
from lib.runner import test
from lib.torture import MIXES, Torture


@test(seconds=120, each=list(DOORS))
def short(t, door):
    torture = Torture(t, door, "steady")
    for mix in MIXES:
        torture.mix = mix
        t.note(f"{mix}: {torture.run(2, threads=12)}")
    stats = torture.sluice.stats()
    t.note(stats)
    assert stats.by_door(door) > 100, stats
    torture.settles()
    torture.sluice.stop()


@test(seconds=120, each=list(DOORS))
def short_killed(t, door):
    """The worker dies again and again: connections may end, but no byte is wrong."""
    torture = Torture(t, door, "hostile")
    t.note(torture.run(4, threads=12, kill_every=0.7))
    torture.settles()
    torture.sluice.stop()


@test(seconds=120, each=["both", "remote-both"])
def short_lossy(t, door):
    """Packets are lost: what TCP sends again overlaps what has come, in a verdict's hands as well."""
    torture = Torture(t, door, "steady")
    t.note(torture.run(4, threads=100, loss=30))
    torture.settles(lossy=True)


@test(seconds=120, each=["both", "user"])
def short_failing(t, door):
    """The daemon's own calls fail: connections may end and requests be refused, and no more."""
    torture = Torture(t, door, "hostile", failing=50)
    t.note(torture.run(4, threads=12))
    torture.settles()
    torture.sluice.stop()
