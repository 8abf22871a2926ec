# SPDX-License-Identifier: GPL-2.0-only
"""What is not requests a second: time of BPF programs, memory, how soon a weight is obeyed."""
import ctypes
import glob
import json
import os
import platform
import socket
import struct
import subprocess
import sys
import time

from cases import CASES
from machine import BenchError, run, tree
from systems import PIN_ROOT

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/e2e"))
from lib.net import changed  # noqa: E402

STATS_SWITCH = "/proc/sys/kernel/bpf_stats_enabled"
# Maps with an entry for each session (or its sockets), and for each lane.
SESSION_MAPS = ("sessions", "request_heads", "clients", "fronts")
LANE_MAPS = ("lanes", "response_heads", "servers", "backs", "backs_msg")
# Either has entries for both: a session and a lane weigh the same.
SHARED_MAPS = ("by_cookie",)
BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, BPF_OBJ_GET = 1, 2, 7
SPLIT_SIZE = 136  # struct sl_split
NR_BPF = {"x86_64": 321, "aarch64": 280}


def of_sluice(rig):
    return next(s for s in rig.systems if s.family == "sluice")


# --- BPF programs ---
def programs(system):
    """{id: program} of bpftool, those that the instance holds."""
    ids = set()
    for pid in tree(system.daemon.pid):
        for path in glob.glob(f"/proc/{pid}/fdinfo/*"):
            try:
                with open(path) as f:
                    ids.update(int(line.split()[1]) for line in f if line.startswith("prog_id:"))
            except FileNotFoundError:
                pass
    shown = json.loads(run("bpftool", "--json", "prog", "show"))
    return {p["id"]: p for p in shown if p["id"] in ids}


def timed():
    """The kernel measures the time of programs, which costs time itself."""
    return changed(STATS_SWITCH, "1")


def bpf(rig, load, case):
    """What each program takes, while its time is measured."""
    system = of_sluice(rig)
    with timed():
        before = programs(system)
        requests = max(load.run(rig, system, case, 1)["requests"], 1)
        after = programs(system)
    found = []
    for number, p in sorted(after.items()):
        was = before.get(number, {})
        runs = p.get("run_cnt", 0) - was.get("run_cnt", 0)
        ns = p.get("run_time_ns", 0) - was.get("run_time_ns", 0)
        if runs:
            found.append({"name": p["name"], "runs": runs, "ns_run": ns / runs,
                          "runs_request": runs / requests, "ns_request": ns / requests})
    return {"topology": rig.topology.name, "case": case.name, "requests": requests,
            "programs": found, "ns_request": sum(p["ns_request"] for p in found)}


# --- memory ---
def _rss(system):
    """Bytes of memory of the daemon's own, without what is mapped from BPF maps."""
    total = 0
    for pid in tree(system.daemon.pid):
        with open(f"/proc/{pid}/status") as f:
            total += sum(int(line.split()[1]) << 10 for line in f if line.startswith("RssAnon:"))
    return total


def _connections(rig, system, count):
    """@count idle connections that had a request each."""
    request = f"GET /service/1 HTTP/1.1\r\nHost: {system.addr}:{system.port}\r\n\r\n".encode()
    opened = []
    with rig.client:
        for _ in range(count):
            opened.append(socket.create_connection((system.addr, system.port), 10))
    for s in opened:
        s.sendall(request)
    for s in opened:
        if not s.recv(4096):
            raise BenchError("sluice closed a connection")
    return opened


def memory(rig, connections=512):
    system = of_sluice(rig)
    maps = {}
    for path in glob.glob(f"{PIN_ROOT}/{system.instance}/*"):
        done = subprocess.run(["bpftool", "--json", "map", "show", "pinned", path],
                              capture_output=True, text=True)
        if done.returncode == 0 and "max_entries" in done.stdout:  # a link is no map
            maps[os.path.basename(path)] = json.loads(done.stdout)

    def each(names):
        found = (maps[name] for name in names if name in maps)
        return round(sum(m["bytes_memlock"] / m["max_entries"] for m in found))
    before = _rss(system)
    opened = _connections(rig, system, connections)
    after = _rss(system)
    for s in opened:
        s.close()
    shared = each(SHARED_MAPS)
    return {
        "session_bytes": each(SESSION_MAPS) + shared, "lane_bytes": each(LANE_MAPS) + shared,
        "sessions": maps["sessions"]["max_entries"], "lanes": maps["lanes"]["max_entries"],
        "maps_bytes": sum(m["bytes_memlock"] for m in maps.values()),
        "daemon_rss": after, "connections": connections,
        "rss_connection": max(0, after - before) // connections,
        "maps": {name: {k: m[k] for k in ("type", "bytes_key", "bytes_value", "max_entries",
                                          "bytes_memlock")} for name, m in sorted(maps.items())},
    }


# --- weights ---
class Splits:
    """The pinned map of weights, by the bpf system call itself."""

    def __init__(self, path):
        if platform.machine() not in NR_BPF:
            raise BenchError(f"no number of bpf(2) known for {platform.machine()}")
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._nr = NR_BPF[platform.machine()]
        name = ctypes.create_string_buffer(path.encode())
        self._fd = self._bpf(BPF_OBJ_GET, struct.pack("=QII", ctypes.addressof(name), 0, 0))
        self._key = ctypes.create_string_buffer(struct.pack("=I", 0), 4)
        self._value = ctypes.create_string_buffer(SPLIT_SIZE)
        self._elem = struct.pack("=IIQQQ", self._fd, 0, ctypes.addressof(self._key),
                                 ctypes.addressof(self._value), 0)
        self._bpf(BPF_MAP_LOOKUP_ELEM, self._elem)

    def _bpf(self, command, attr):
        attr = ctypes.create_string_buffer(attr.ljust(128, b"\0"), 128)
        got = self._libc.syscall(self._nr, command, attr, 128)
        if got < 0:
            raise BenchError(f"bpf({command}): {os.strerror(ctypes.get_errno())}")
        return got

    def set(self, weights):
        for i, weight in enumerate(weights):
            struct.pack_into("=I", self._value, 8 + 8 * i + 4, weight)
        self._bpf(BPF_MAP_UPDATE_ELEM, self._elem)

    def close(self):
        os.close(self._fd)


def _percentiles(values):
    ordered = sorted(values)
    return {"p50": ordered[len(ordered) // 2], "p99": ordered[len(ordered) * 99 // 100],
            "max": ordered[-1]}


def weights(rig, changes=400):
    """On one connection, again and again: all weight to the other cluster, then a request."""
    system = of_sluice(rig)
    request = f"GET /service/1 HTTP/1.1\r\nHost: {system.addr}:{system.port}\r\n\r\n".encode()
    splits = Splits(f"{PIN_ROOT}/{system.instance}/splits")
    with rig.client:
        conn = socket.create_connection((system.addr, system.port), 10)
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    write, obeyed, plain, wrong = [], [], [], 0

    def exchange():
        start = time.perf_counter_ns()
        conn.sendall(request)
        answer = conn.recv(4096)
        return answer, (time.perf_counter_ns() - start) / 1000
    try:
        for i in range(changes):
            canary = i % 2 == 0
            plain.append(exchange()[1])
            start = time.perf_counter_ns()
            splits.set((100, 0) if canary else (0, 100))  # service1a, service1
            write.append((time.perf_counter_ns() - start) / 1000)
            answer, _ = exchange()
            obeyed.append((time.perf_counter_ns() - start) / 1000)
            wrong += answer.endswith(b"service1a\n") != canary
        start = time.perf_counter_ns()
        run(rig.sluice, "weights", "--instance", system.instance, "service1", "service1a=25",
            "service1=75")
        command = (time.perf_counter_ns() - start) / 1e6
    finally:
        conn.close()
        splits.set((25, 75))
        splits.close()
    return {"changes": changes, "disobeyed": wrong, "write_us": _percentiles(write),
            "obeyed_us": _percentiles(obeyed), "request_us": _percentiles(plain),
            "command_ms": command}


def measure(rig, load):
    """Memory, and weights without and under load; in the co-located topology."""
    result = {"memory": memory(rig), "weights": weights(rig)}
    with load.background(rig, of_sluice(rig), CASES["small-16"]):
        result["weights_under_load"] = weights(rig)
    return result
