# SPDX-License-Identifier: GPL-2.0-only
"""Runs tests side by side: each worker is a process with mounts and orphans of its own."""
import fcntl
import mmap
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


class _Results:
    """What the workers tell: of each test how it went, and by worker which one it is at."""

    def __init__(self, workers):
        self._out, self._into = os.pipe()
        self._at = mmap.mmap(-1, 4 * workers)

    def run(self, worker, i, f):
        struct.pack_into("i", self._at, 4 * worker, i)
        os.write(self._into, b"1" if f() else b"0")
        struct.pack_into("i", self._at, 4 * worker, -1)

    def at(self, worker):
        """The number of the test that @worker has begun and not ended; -1: none."""
        return struct.unpack_from("i", self._at, 4 * worker)[0]

    def passed(self):
        """How many, when no worker is left."""
        os.close(self._into)
        outcome = b""
        while block := os.read(self._out, 4096):
            outcome += block
        os.close(self._out)
        return outcome.count(b"1")


def _work(worker, queue, tests, last, prepare, run, results, lock_path):
    linux.die_with_parent()
    random.seed()
    with open(lock_path) as lock:
        prepare()
        for i in queue:
            results.run(worker, i, lambda: _captured(lock, lambda: run(tests[i])))
        for i, one in enumerate(last, len(tests)):
            results.run(worker, i, lambda: _captured(lock, lambda: run(one)))


def _start(*args):
    """A worker's pid."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            _work(*args)
            status = 0
        finally:
            for child in linux.children(os.getpid()):
                kill_tree(child)
            sys.stdout.flush()
            os._exit(status)
    return pid


def run_parallel(n, tests, last, prepare, run):
    """(passed, failed) of @tests in @n workers, and of @last in each behind its share; run(test)
    tells which. A test whose worker dies has failed, and another worker goes on with the rest. So has
    what no worker was left for."""
    queue, results = _Queue(len(tests)), _Results(n)
    with tempfile.NamedTemporaryFile() as lock:
        args = (queue, tests, last, prepare, run, results, lock.name)
        workers = {_start(i, *args): i for i in range(n)}
        while workers:
            pid, status = os.wait()
            if (worker := workers.pop(pid, None)) is None or status == 0:
                continue
            i, why = results.at(worker), os.waitstatus_to_exitcode(status)
            name = (tests + last)[i].name if i >= 0 else "(none)"
            print(f"FAIL {name}: the worker that ran it ended with {why}", flush=True)
            if 0 <= i < len(tests):
                workers[_start(worker, *args)] = worker
    os.close(queue.out)
    passed = results.passed()
    return passed, len(tests) + n * len(last) - passed
