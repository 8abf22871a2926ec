# SPDX-License-Identifier: GPL-2.0-only
"""Runs tests side by side: each worker is a process with mounts and orphans of its own."""
import fcntl
import os
import random
import struct
import sys
import tempfile

from . import linux
from .proc import kill_tree

_INDEX = struct.Struct("=i")


class _Queue:
    """Numbers of tests in a pipe: whoever reads one has it."""

    def __init__(self, n):
        self.out, into = os.pipe()
        fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, 1 << 20)
        for i in range(n):
            os.write(into, _INDEX.pack(i))
        os.close(into)

    def __iter__(self):
        while record := os.read(self.out, _INDEX.size):
            yield _INDEX.unpack(record)[0]


def _captured(lock, f):
    """Runs f(); what it prints comes out in one piece. Its result."""
    with tempfile.TemporaryFile() as text:
        sys.stdout.flush()
        terminal = os.dup(1)
        os.dup2(text.fileno(), 1)
        try:
            return f()
        finally:
            sys.stdout.flush()
            os.dup2(terminal, 1)
            os.close(terminal)
            text.seek(0)
            fcntl.flock(lock, fcntl.LOCK_EX)
            while block := text.read(65536):
                os.write(1, block)
            fcntl.flock(lock, fcntl.LOCK_UN)


def _work(queue, tests, last, prepare, run, results, lock_path):
    linux.die_with_parent()
    random.seed()
    with open(lock_path) as lock:
        prepare()
        for i in queue:
            os.write(results, b"1" if _captured(lock, lambda: run(tests[i])) else b"0")
        for one in last:
            os.write(results, b"1" if _captured(lock, lambda: run(one)) else b"0")


def run_parallel(n, tests, last, prepare, run):
    """(passed, failed) of @tests in @n workers, and of @last in each behind its share; run(test)
    tells which. What a dead worker did not tell of has failed."""
    queue, (told, results), pids = _Queue(len(tests)), os.pipe(), []
    with tempfile.NamedTemporaryFile() as lock:
        sys.stdout.flush()
        for _ in range(n):
            pid = os.fork()
            if pid == 0:
                os.close(told)
                try:
                    _work(queue, tests, last, prepare, run, results, lock.name)
                finally:
                    for child in linux.children(os.getpid()):
                        kill_tree(child)
                    sys.stdout.flush()
                    os._exit(0)
            pids.append(pid)
        os.close(results)
        outcome = b""
        while block := os.read(told, 4096):
            outcome += block
        for pid in pids:
            os.waitpid(pid, 0)
    os.close(told)
    os.close(queue.out)
    passed, total = outcome.count(b"1"), len(tests) + n * len(last)
    if len(outcome) < total:
        print(f"FAIL: a worker of the runner died; tests without a result: {total - len(outcome)}")
    return passed, total - passed
