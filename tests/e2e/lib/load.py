# SPDX-License-Identifier: GPL-2.0-only
"""Load from many connections: threads with checks of each answer, and wrk."""
import collections
import re
import signal
import subprocess
import threading

from .http1 import Conn

WRK = "/usr/bin/wrk"


class Load:
    """
    @clients threads, a keep-alive connection each, calling @step(conn, number of the client,
    number of the request) until stop(). A step that raises is a failed request; the client
    then goes on with a new connection. counts: what the steps returned.
    """

    def __init__(self, addr, clients, step, timeout=20):
        self._addr, self._step, self._timeout = addr, step, timeout
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.requests = 0
        self.failures = []
        self.counts = collections.Counter()
        self._threads = [threading.Thread(target=self._client, args=(i,), daemon=True)
                         for i in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc):
        self.stop()

    def _client(self, me):
        done, counts, conn = 0, collections.Counter(), None
        while not self._stop.is_set():
            try:
                conn = conn or Conn(self._addr, self._timeout)
                counts[self._step(conn, me, done)] += 1
                done += 1
                self.requests += 1  # a hint, for wait_requests(): counts are exact
            except Exception as e:
                with self._lock:
                    self.failures.append(f"client {me}, request {done}: {type(e).__name__}: {e}")
                if conn:
                    conn.close()
                conn = None
                if len(self.failures) > 200:
                    break
        if conn:
            conn.close()
        with self._lock:
            self.counts.update(counts)

    def wait_requests(self, t, more, seconds=20):
        """Waits until @more further requests are answered."""
        goal = self.requests + more
        t.wait(lambda: self.requests >= goal or self.failures, f"{more} more requests", seconds)

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def check(self):
        self.stop()
        assert not self.failures, f"{len(self.failures)} failed of {self.requests}: " \
                                  f"{self.failures[:3]}"


class Wrk:
    """wrk in the background; result() when it has ended."""

    def __init__(self, t, url, connections=64, seconds=5, threads=2, script=None, headers=()):
        argv = [WRK, "-c", connections, "-t", threads, "-d", f"{seconds}s", "--latency"]
        for name, value in headers:
            argv += ["-H", f"{name}: {value}"]
        if script:
            argv += ["-s", script]
        self.seconds = seconds
        self.proc = t.start([*argv, url], name="wrk")

    def stop(self):
        """Ends it before its time; wrk reports as usual."""
        self.proc.signal(signal.SIGINT)
        return self.result()

    def result(self):
        code = self.proc.wait(self.seconds + 30)
        text = self.proc.log()
        assert code == 0, f"wrk: exit {code}: {text}"
        return WrkResult(text)


class WrkResult:
    def __init__(self, text):
        self.text = text
        found = re.search(r"(\d+) requests in", text)
        assert found, f"wrk: {text}"
        self.requests = int(found.group(1))
        found = re.search(r"Requests/sec:\s+([\d.]+)", text)
        self.rate = float(found.group(1)) if found else 0.0
        found = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        self.bad_status = int(found.group(1)) if found else 0
        found = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)",
                          text)
        self.socket_errors = tuple(int(n) for n in found.groups()) if found else (0, 0, 0, 0)

    def check(self):
        assert self.requests > 0 and not self.bad_status and not any(self.socket_errors), \
            self.text.replace("\n", "; ")  # a failed test's first line is what is seen of it


def curl(*args, seconds=30):
    """stdout bytes of curl; AssertionError unless it exits 0."""
    done = subprocess.run(["/usr/bin/curl", "-sS", "--max-time", str(seconds), *args],
                          capture_output=True)
    assert done.returncode == 0, f"curl {' '.join(args)}: exit {done.returncode}: {done.stderr!r}"
    return done.stdout
