# SPDX-License-Identifier: GPL-2.0-only
"""Some seconds of the adversary (lib/adversary.py), which can do what the torture cannot: both paths on
one connection, and answers in pieces that depend on one another. $ADVERSARY_SEED repeats a run."""
from lib.adversary import OPS, go
from lib.config import DOORS
from lib.runner import test


@test(seconds=120, each=list(DOORS))
def short(t, door):
    go(t, door, sorted(OPS), 2)
