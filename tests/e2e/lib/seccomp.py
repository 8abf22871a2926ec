# SPDX-License-Identifier: GPL-2.0-only
"""Filters of system calls. As a program: `seccomp.py CODE PROGRAM ...` runs @PROGRAM under one."""
import ctypes
import json
import os
import struct
import sys

NR, ARG2 = 0, 32  # offsets in struct seccomp_data: the call, the lower half of its third argument
ALLOW, ERRNO = 0x7fff0000, 0x00050000
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
SECCOMP_MODE_FILTER = 2


def load(offset):
    return (0x20, 0, 0, offset)


def unless(value, skip):
    """Skips @skip lines if what was loaded is another."""
    return (0x15, 0, skip, value)


def returns(what):
    return (0x06, 0, 0, what)


def refusal(nr, error):
    """The filter that lets call @nr fail with @error."""
    return [load(NR), unless(nr, 1), returns(ERRNO | error), returns(ALLOW)]


def install(code):
    """For this thread, and what it starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    text = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
    prog = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(text)))
    assert not libc.prctl(PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero)
    assert not libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), prog, zero, zero), \
        ctypes.get_errno()


def wrap(code):
    """For t.sluice(wrap=): it runs under @code."""
    return ("/usr/bin/python3", os.path.abspath(__file__), json.dumps(code))


if __name__ == "__main__":
    install(json.loads(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
