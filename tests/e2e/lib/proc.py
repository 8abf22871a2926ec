# SPDX-License-Identifier: GPL-2.0-only
"""Processes that end with the test, and conditions with deadlines."""
import os
import signal
import socket
import subprocess
import time

from . import linux


class Timeout(AssertionError):
    pass


def wait_until(condition, what, seconds=10, interval=0.005):
    """The first true value of condition(); Timeout after @seconds."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Timeout(f"not within {seconds} s: {what}")
        time.sleep(interval)


def accepts(addr, family=None):
    """True if a TCP connection to @addr (host, port) is accepted."""
    family = family or (socket.AF_INET6 if ":" in addr[0] else socket.AF_INET)
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(1)
        return s.connect_ex(addr) == 0


class Proc:
    """A started program; its output goes to a file, for wait_line() and failed tests."""

    def __init__(self, argv, log, name=None, cwd=None, env=None, user=None):
        self.argv = [str(a) for a in argv]
        self.name = name or os.path.basename(self.argv[0])
        self.log_path = log
        self._ended_ok = False
        with open(log, "ab") as out:
            self._p = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=subprocess.STDOUT, cwd=cwd, env=env, user=user,
                                       preexec_fn=linux.die_with_parent)

    @property
    def pid(self):
        return self._p.pid

    @property
    def returncode(self):
        return self._p.poll()

    def running(self):
        return self._p.poll() is None

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def wait_line(self, text, seconds=20):
        def seen():
            if text in self.log():
                return True
            if not self.running():
                raise AssertionError(f"{self.name} ended with {self.returncode} before it "
                                     f"printed '{text}': {self.log()[-600:]}")
            return False
        wait_until(seen, f"{self.name} prints '{text}'", seconds)

    def wait_port(self, addr, seconds=20):
        """
        The program accepts at @addr. Somebody listens there in its own network namespace, too: where
        an instance is attached a connection is accepted with nobody behind it.
        """
        def open_():
            if not self.running():
                raise AssertionError(f"{self.name} ended with {self.returncode} before it "
                                     f"listened: {self.log()[-600:]}")
            return linux.listening(self.pid, addr[1]) and accepts(addr)
        wait_until(open_, f"{self.name} accepts at {addr}", seconds)

    def signal(self, number):
        if self.running():
            self._p.send_signal(number)

    def wait(self, seconds=10):
        try:
            return self._p.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Timeout(f"not within {seconds} s: {self.name} ends") from None

    def stop(self, seconds=10):
        """SIGTERM, SIGKILL when that is not enough."""
        self.signal(signal.SIGTERM)
        try:
            return self.wait(seconds)
        except Timeout:
            self.kill()
            raise

    def kill(self):
        self.signal(signal.SIGKILL)
        return self._p.wait()

    def close(self):
        """Ends it and all that it started."""
        if self.running():
            kill_tree(self.pid)
            self._p.wait()


def descendants(pid):
    found = []
    for child in linux.children(pid):
        found += [child, *descendants(child)]
    return found


def kill_tree(pid):
    """SIGKILL to a process and all below it."""
    for p in [pid, *descendants(pid)]:
        try:
            os.kill(p, signal.SIGKILL)
        except ProcessLookupError:
            pass
