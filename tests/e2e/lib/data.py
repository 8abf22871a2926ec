# SPDX-License-Identifier: GPL-2.0-only
"""The bodies that every backend and client can make: a table of 65521 bytes (a prime:
no power-of-two shift goes unseen), repeated, begun at a place given by the seed."""

PERIOD = 65521


def _table():
    x, out = 1, bytearray()
    for _ in range(PERIOD):
        x = (x * 1103515245 + 12345) & 0x7fffffff
        out.append((x >> 16) & 0xff)
    return bytes(out)


TABLE = _table()


def pattern(size, seed):
    start = seed * 7919 % PERIOD
    whole = TABLE[start:] + TABLE * (size // PERIOD + 1)
    return whole[:size]


def differ(got, want):
    """None if equal, else a short text that says where they differ."""
    if got == want:
        return None
    if len(got) != len(want):
        text = f"{len(got)} bytes instead of {len(want)}"
    else:
        text = f"{len(got)} bytes"
    at = next((i for i, (g, w) in enumerate(zip(got, want)) if g != w), min(len(got), len(want)))
    return f"{text}, first difference at {at}: {bytes(got[at:at + 24])!r}, " \
           f"not {bytes(want[at:at + 24])!r}"
