# SPDX-License-Identifier: GPL-2.0-only
"""Millions of exchanges: random clients and servers in C (tests/e2e/torture), at every door.

$TORTURE_SECONDS makes a run longer; $TORTURE_ARGS goes to the client as it is: `--go-on`, or
`--seed N --first N --connections N` of a fault that was printed.
"""
import os

from lib.config import DOORS
from lib.runner import test
from lib.torture import MIXES, Torture

SECONDS = int(os.environ.get("TORTURE_SECONDS", 20))


def go(t, door, mix, loss=0, failing=None, **kw):
    torture = Torture(t, door, mix, failing=failing)
    print(f"    {t.name}: seed {torture.seed}", flush=True)
    counts = torture.run(SECONDS, extra=os.environ.get("TORTURE_ARGS", "").split(), loss=loss, **kw)
    print(f"    {counts}\n    {torture.sluice.stats()}", flush=True)
    torture.settles(lossy=loss)
    if not loss:
        torture.sluice.stop()


@test(seconds=SECONDS + 120, each=[(d, m) for d in DOORS for m in MIXES])
def mixed(t, case):
    go(t, *case)


@test(seconds=SECONDS + 120, each=list(DOORS))
def killed(t, door):
    """The worker dies again and again: connections may end, but no byte is wrong."""
    go(t, door, "hostile", kill_every=1.5)


@test(seconds=SECONDS + 120, each=[(d, k) for d in DOORS for k in ("lives", "killed")])
def failing(t, case):
    """The daemon's own calls fail (see torture/failing.c, which $FAILING_ONLY is for): connections may
    end and requests be refused, but no byte is wrong, nobody hangs and nothing is lost. A worker
    makes more than a hundred calls to begin, and is not to fail for ever at that."""
    door, worker = case
    killed = worker == "killed"
    go(t, door, "hostile", failing=2000 if killed else 100, kill_every=1.5 if killed else None)


@test(seconds=SECONDS + 120, each=list(DOORS))
def lossy(t, door):
    """Packets are lost ($TORTURE_LOSS of a thousand): what TCP sends again overlaps what has come."""
    go(t, door, "steady", loss=int(os.environ.get("TORTURE_LOSS", 30)), threads=100)
