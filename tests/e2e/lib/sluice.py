# SPDX-License-Identifier: GPL-2.0-only
"""One `sluice run` and the commands that talk to its instance."""
import json
import os
import signal
import subprocess

from . import linux
from .proc import kill_tree, wait_until

PIN_ROOT = "/sys/fs/bpf/sluice"


class Stats:
    """`sluice stats --json`."""

    def __init__(self, tree):
        self.tree = tree
        self.total = tree["requests"]["total"]
        self.kernel = tree["requests"]["kernel"]
        self.user = tree["requests"]["user"]
        self.direct = tree["requests"]["direct"]
        self.reasons = {name: n for name, n in tree["reasons"].items() if n}
        self.clusters = {c["cluster"]: c for c in tree["clusters"]}
        self.routes = {r["route"]: r for r in tree["routes"]}
        self.worker = tree["worker"]

    def by_cluster(self):
        """{cluster: requests}, those without any left out."""
        return {name: c["requests"] for name, c in self.clusters.items() if c["requests"]}

    def by_route(self):
        return {name: r["requests"] for name, r in self.routes.items() if r["requests"]}

    def by_door(self, door):
        """How many requests were served as those of @door (lib.config.DOORS) are to be: by BPF
        alone, by the daemon and BPF, or by the daemon for the reason that there is."""
        reason = {"remote-server": "remote_server", "remote-both": "remote_client",
                  "user": "kernel_path_off"}.get(door)
        if reason:
            return self.reasons.get(reason, 0)
        return self.kernel if door == "both" else self.direct

    def __repr__(self):
        return f"<{self.kernel} kernel, {self.user} user, {self.direct} direct: {self.reasons}>"


class Sluice:
    def __init__(self, t, config_path, instance=None, ready=True, ns=None, concurrency=None,
                 wrap=()):
        self.t = t
        self.instance = instance or t.instance()
        self.config_path = config_path
        self.proc = None
        self.ns = ns
        self.wrap = wrap  # a program that runs `sluice run` in its own place
        self.options = ["--concurrency", concurrency] if concurrency else []
        self.start(ready)

    # --- life ---
    def argv(self, *words):
        command, *rest = words
        return [self.t.sluice_bin, command, "--instance", self.instance, *map(str, rest)]

    def start(self, ready=True):
        argv = [*self.wrap, *self.argv("run", "-c", self.config_path, *self.options)]
        if self.ns:
            with self.ns:
                self.proc = self.t.start(argv, name="sluice")
        else:
            self.proc = self.t.start(argv, name="sluice")
        if ready:
            self.proc.wait_line("sluice: ready")
        return self

    @property
    def supervisor(self):
        return self.proc.pid

    def workers(self):
        return linux.children(self.proc.pid)

    def worker(self, other_than=None):
        """The worker's pid; waits for one that is not @other_than."""
        return wait_until(lambda: next((p for p in self.workers() if p != other_than), None),
                          "a worker runs")

    def kill_worker(self):
        old = self.worker()
        os.kill(old, signal.SIGKILL)
        return old

    def stop_worker(self):
        """No thread of the worker runs until its SIGCONT; its pid."""
        pid = self.worker()
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: all(linux.stat(f"/proc/{pid}/task/{thread}/stat")[0] == b"T"
                               for thread in os.listdir(f"/proc/{pid}/task")), "the worker is stopped")
        return pid

    def kill(self):
        """SIGKILL to the supervisor and the worker."""
        kill_tree(self.proc.pid)
        self.proc.wait()

    def stop(self, seconds=15):
        """SIGTERM; checks the exit code and that nothing stays pinned."""
        code = self.proc.stop(seconds)
        assert code == 0, f"sluice run ended with {code} after SIGTERM: {self.proc.log()[-500:]}"
        assert not os.path.exists(self.pins), f"{self.pins} still there: {os.listdir(self.pins)}"

    def close(self):
        """End of a test. A clean stop is what test_stop asks for; here it only has to end: what a
        test leaves under way, a request that is never answered, would be waited for."""
        if self.proc.running():
            self.proc.signal(signal.SIGTERM)
            try:
                self.proc.wait(0.5)
            except AssertionError:
                pass
        self.kill()
        subprocess.run(["rm", "-rf", self.pins], check=False)

    # --- commands ---
    @property
    def pins(self):
        return f"{PIN_ROOT}/{self.instance}"

    def pin(self, name):
        return f"{self.pins}/{name}"

    def run(self, *words, code=0, seconds=20):
        """Runs a command on this instance; yields its stdout. @code: expected exit code or None."""
        done = subprocess.run(self.argv(*words), capture_output=True, text=True, timeout=seconds)
        if code is not None:
            assert done.returncode == code, \
                f"sluice {' '.join(map(str, words))}: exit {done.returncode}, " \
                f"not {code}: {done.stdout}{done.stderr}"
        return done.stdout if code == 0 else done.stdout + done.stderr

    def stats(self):
        return Stats(json.loads(self.run("stats", "--json")))

    def check(self, seconds=10):
        """Conservation: every session and lane in exactly one place. Held when no exchange is
        under way, so it may take a moment after the last answer."""
        last = {}

        def holds():
            done = subprocess.run(self.argv("stats", "--check"), capture_output=True, text=True)
            last["text"] = f"exit {done.returncode}: {done.stdout}{done.stderr}"
            return done.returncode == 0
        try:
            wait_until(holds, "conservation", seconds, 0.1)
        except AssertionError:
            raise AssertionError(f"sluice stats --check: {last['text']}") from None

    def weights(self, route, **clusters):
        return self.run("weights", route, *(f"{n}={w}" for n, w in clusters.items()))

    def idle(self, seconds=10):
        """Waits until stats agree with themselves twice: every exchange is counted."""
        wait_until(lambda: self.stats().tree == self.stats().tree, "stats at rest", seconds)
