# SPDX-License-Identifier: GPL-2.0-only
"""How long wrk, the proxy and the origin wait for a CPU once they could run, and for how long each runs
then: by `perf sched`, while wrk's requests are always under way. With more threads than CPUs that is what
most of a p99 consists of."""
import collections
import os
import re
import subprocess

from machine import BenchError

# timestamp [cpu] task[tid/pid]: milliseconds it was off, waited for a CPU, and ran
LINE = re.compile(r"\s*\d+\.\d+\s+\[\d+\]\s+(.+?)(?:\[.*\])?\s+(\d+\.\d+)\s+(\d+\.\d+)\s+(\d+\.\d+)\s*$")
ROLES = {"wrk": "wrk", "origin": "origin"}
PROXIES = ("nginx", "haproxy", "sluice")
ORDER = ("wrk", "proxy", "origin")


def _role(task):
    return ROLES.get(task) or ("proxy" if task.startswith(PROXIES) else None)


def _percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def _parse(text):
    """{role: [(waited, ran)]} in microseconds, of `perf sched timehist`."""
    found = collections.defaultdict(list)
    for match in map(LINE.match, text.splitlines()):
        role = match and _role(match[1].strip())
        if role:
            found[role].append((1e3 * float(match[3]), 1e3 * float(match[4])))
    return found


def _record(rig, load, system, case, seconds, where):
    data = os.path.join(where, "sched.data")
    with load.background(rig, system, case):
        done = subprocess.run(["perf", "sched", "record", "-q", "-a", "-o", data, "--", "sleep", str(seconds)],
                              capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"perf sched: {done.stderr.strip()[-300:]}")
    text = subprocess.run(["perf", "sched", "timehist", "-i", data], capture_output=True, text=True,
                          check=True).stdout
    os.unlink(data)
    return _parse(text)


def measure(rig, load, case, record, chosen, where):
    """Adds to each system's entry of @record `waits`: {role: microseconds}."""
    for system in chosen:
        waits = record["systems"][system.family]["waits"] = {}
        for role, found in _record(rig, load, system, case, 1, where).items():
            waited, ran = zip(*found)
            waits[role] = {"wait_p50": _percentile(waited, 0.5), "wait_p99": _percentile(waited, 0.99),
                           "run_p50": _percentile(ran, 0.5), "run_p99": _percentile(ran, 0.99)}


def show(record):
    print(f"{'us, p50 and p99':24}" + "".join(f"{role + ' waits':>16}{'runs':>14}" for role in ORDER))
    for name, entry in record["systems"].items():
        cells = ""
        for role in ORDER:
            w = entry["waits"].get(role)
            cells += (f"{w['wait_p50']:9.0f}{w['wait_p99']:7.0f}{w['run_p50']:7.0f}{w['run_p99']:7.0f}"
                      if w else f"{'-':>16}{'-':>14}")
        print(f"  {name:22}{cells}", flush=True)
