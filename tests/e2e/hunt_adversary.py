# SPDX-License-Identifier: GPL-2.0-only
"""The adversary (lib/adversary.py) for longer than test_adversary.py runs it."""
from lib.adversary import OPS, STEADY, go
from lib.config import DOORS
from lib.runner import test


@test(seconds=120, each=list(DOORS))
def steady(t, door):
    """Servers that keep their connections: every answer is due, and right."""
    go(t, door, STEADY, 2)


@test(seconds=120, each=list(DOORS))
def unsteady(t, door):
    """... and servers that close, say too much, say too little, and die."""
    go(t, door, sorted(OPS), 2)


@test(seconds=120, each=["both", "remote-both"])
def killed(t, door):
    """... and the worker dies again and again: connections may end, but no byte is wrong."""
    go(t, door, sorted(OPS), 3, kills=True)
