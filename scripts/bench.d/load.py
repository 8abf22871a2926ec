# SPDX-License-Identifier: GPL-2.0-only
"""One run of wrk against one system, with the CPU that it took."""
import contextlib
import os
import signal
import subprocess

from machine import BenchError, CpuMark, die_with_parent

# wrk's own report rounds; this one does not.
LUA_DONE = """
done = function(s, latency, _)
	local e = s.errors
	io.write(string.format("RESULT %.0f %.0f %.0f %.0f %.0f %.0f %.0f %.0f\\n",
		s.requests, s.duration, s.bytes, e.connect + e.read + e.write + e.timeout, e.status,
		latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
"""
# Each connection waits before each request, for a time of its own between 0 and twice the mean.
LUA_THINK = """
local threads = 0
function setup(thread)
	threads = threads + 1
	thread:set("number", threads)
end
function init()
	math.randomseed(number)
end
function delay()
	return math.random(0, %d)
end
"""
LUA_POST = """
wrk.method = "POST"
wrk.body = string.rep("x", %d)
"""


class Load:
    """@threads of wrk at most; scripts go to @workdir."""

    def __init__(self, workdir, threads):
        self._dir = workdir
        self._threads = threads

    def _script(self, case, think_ms):
        path = os.path.join(self._dir, f"{case.name}.{think_ms}.lua")
        if not os.path.exists(path):
            with open(path, "w") as f:
                f.write((LUA_POST % case.body if case.body else "") +
                        (LUA_THINK % (2 * think_ms) if think_ms else "") + LUA_DONE)
        return path

    def run(self, rig, system, case, seconds, think_ms=0):
        """{measure: value}: requests, rps, latencies and CPU a request in microseconds, ...
        @think_ms: how long each connection waits before a request, on average; 0: it does not."""
        for attempt in range(4):
            text, cpu = self._once(rig, system, case, seconds * (1 + attempt), think_ms)
            line = next((t for t in text.splitlines() if t.startswith("RESULT ")), None)
            words = [int(word) for word in line.split()[1:]] if line else [0]
            # None: interrupted before it had begun, on a machine that is that slow.
            if words[0]:
                return _result(words, cpu)
        raise BenchError(f"wrk at {system.family}, {case.name}: no answer; {text.strip()[-300:]}")

    @contextlib.contextmanager
    def background(self, rig, system, case):
        """wrk runs while the body does."""
        wrk = self._start(rig, system, case)
        try:
            yield
        finally:
            wrk.kill()
            wrk.communicate()

    def _start(self, rig, system, case, think_ms=0):
        argv = ["wrk", "-t", str(min(self._threads, case.connections)),
                "-c", str(case.connections), "-d", "1h", "--timeout", "10s",
                "-s", self._script(case, think_ms)]
        for header in case.headers:
            argv += ["-H", header]
        with rig.client:
            return subprocess.Popen(argv + [system.url + case.path], stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, text=True,
                                    preexec_fn=die_with_parent)

    def _once(self, rig, system, case, seconds, think_ms):
        mark = CpuMark(rig.origin, system.daemon)
        before = os.times()
        wrk = self._start(rig, system, case, think_ms)
        try:
            text = _output(wrk, seconds)
        finally:
            if wrk.poll() is None:
                wrk.kill()
                wrk.wait()
        after = os.times()
        cpu = mark.done()
        cpu["wrk"] = 1e6 * (after.children_user - before.children_user +
                            after.children_system - before.children_system)
        return text, cpu


def _output(wrk, seconds):
    """What @wrk prints when it is stopped after @seconds. Its own -d knows only whole seconds;
    interrupted, it reports what it has. Again and again: the first time may be before it sleeps."""
    for _ in range(100):
        try:
            return wrk.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            wrk.send_signal(signal.SIGINT)
            seconds = 0.3
    raise BenchError("wrk does not end")


def _result(words, cpu):
    requests, duration, size, errors, status, p50, p99, p999 = words
    each = max(requests, 1)
    known = cpu["wrk"] + cpu["origin"] + cpu["proxy"] + cpu["kthreads"]
    return {
        "requests": requests, "errors": errors + status,
        "rps": requests * 1e6 / max(duration, 1), "mb_s": size / max(duration, 1),
        "p50": p50, "p99": p99, "p999": p999,
        "cpu": cpu["busy"] / each,
        "cpu_proxy": (cpu["proxy"] + cpu["kthreads"]) / each,
        "cpu_kthreads": cpu["kthreads"] / each,
        "cores_proxy": cpu["proxy"] / max(duration, 1),
        # CPU that none of ours used, and that the host took: the noise of a run.
        "foreign": max(0.0, cpu["busy"] - known) / max(duration, 1),
        "steal": cpu["steal"] / max(duration, 1),
    }
