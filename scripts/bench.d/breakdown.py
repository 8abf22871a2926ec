# SPDX-License-Identifier: GPL-2.0-only
"""Where the CPU of a request goes, and how much of the machine stands idle meanwhile: perf's samples
of all CPUs by what was running, beside what a request cost in the measured rounds."""
import collections
import os
import re
import shutil
import subprocess

from machine import BenchError

HERTZ = 4000
# What a stack belongs to: the first that any of its functions matches.
KINDS = [(name, re.compile(pattern)) for name, pattern in (
    ("BPF", r"bpf_prog_"),
    ("wake-ups", r"sock_def_readable|try_to_wake_up|__wake_up|ep_poll_callback|ttwu_|wake_affine|resched"),
    ("scheduler", r"schedule|__sched|finish_task_switch|pick_next|sched_"),
    ("copies", r"copy_to_iter|copy_from_iter|copy_user|copyin|copyout|memcpy|memmove|rep_movs"),
    ("epoll", r"epoll|ep_"),
    ("TCP and below", r"tcp_(?!bpf)|ip_|ip6_|net_rx|netif|veth|dev_|loopback|skb_|sock_wfree"),
    ("sockmap", r"tcp_bpf|sk_msg|sk_psock|sock_map"),
)]
ORDER = ["wrk", "origin", "proxy", "BPF", "sockmap", "TCP and below", "copies", "wake-ups", "scheduler",
         "epoll", "other"]
USER_END = 1 << 47  # addresses below are user space's


def available():
    return shutil.which("perf") is not None


def _kind(comm, frames):
    """@frames: (address, function), the innermost first. None: idle."""
    names = [name for _, name in frames]
    if comm.startswith("swapper") and not any(re.match(r"__do_softirq|handle_softirqs|irq_exit", n)
                                              for n in names):
        return None
    if frames and frames[0][0] < USER_END:
        return {"wrk": "wrk", "origin": "origin"}.get(comm, "proxy")
    for name, pattern in KINDS:
        if any(map(pattern.search, names)):
            return name
    return "other"


def _stacks(text):
    """(comm, [(address, function)]) of each sample of `perf script`."""
    for block in text.split("\n\n"):
        lines = block.strip("\n").split("\n")
        if lines[0].strip():
            frames = [line.split(None, 1) for line in lines[1:]]
            yield lines[0].strip(), [(int(f[0], 16), f[1] if len(f) > 1 else "") for f in frames]


def _samples(rig, load, system, case, seconds, where):
    """{kind: samples} of all CPUs while wrk runs against @system."""
    data = os.path.join(where, "perf.data")
    with load.background(rig, system, case):
        done = subprocess.run(["perf", "record", "-q", "-a", "-g", "-F", str(HERTZ), "-e", "cpu-clock",
                               "-o", data, "--", "sleep", str(seconds)],
                              capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"perf: {done.stderr.strip()[-300:]}")
    text = subprocess.run(["perf", "script", "-i", data, "-F", "comm,ip,sym"], capture_output=True,
                          text=True, check=True).stdout
    os.unlink(data)
    return collections.Counter(_kind(*stack) for stack in _stacks(text))


def measure(rig, load, case, record, chosen, where):
    """Adds to each system's entry of @record, summarized: `profile`, {kind: microseconds of CPU a
    request}, and `idle`, cores."""
    for system in chosen:
        entry = record["systems"][system.family]
        found = _samples(rig, load, system, case, 1, where)
        idle, busy = found.pop(None, 0), sum(found.values())
        if busy:
            each = entry["median"]["cpu"] / busy
            entry["profile"] = {kind: n * each for kind, n in found.items()}
            entry["idle"] = os.cpu_count() * idle / (idle + busy)


def show(record):
    systems = {n: e for n, e in record["systems"].items() if "profile" in e}
    print(f"{'us a request':16}" + "".join(f"{name:>15}" for name in systems))
    for kind in ORDER:
        if any(kind in e["profile"] for e in systems.values()):
            print(f"  {kind:14}" + "".join(f"{e['profile'].get(kind, 0):15.2f}"
                                           for e in systems.values()))
    print(f"{'idle cores':16}" + "".join(f"{e['idle']:15.2f}" for e in systems.values()), flush=True)
