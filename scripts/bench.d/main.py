# SPDX-License-Identifier: GPL-2.0-only
"""Arguments, and the order in which things are measured."""
import argparse
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from statistics import median

import breakdown
import cases
import extras
import plot
import report
import routes
import waits
from load import Load
from machine import BenchError, describe
from systems import Rig

FAMILIES = ("direct", "nginx", "haproxy", "sluice", "sluice-user")
PACE = 0.5  # of the best peer's requests/s: the load of the paced rounds
PACED = 0.6  # of the length of a round: that of a paced one


def arguments():
    p = argparse.ArgumentParser(
        prog="scripts/bench", description="Measures sluice beside a direct connection, nginx and "
        "HAProxy with the same routes: in network namespaces of its own, interleaved, several "
        "rounds, medians. Root.")
    p.add_argument("scenario", nargs="*",
                   help="TOPOLOGY, CASE or TOPOLOGY/CASE, with * and ?; or 'routes' (default: all of "
                   "--list)")
    p.add_argument("--quick", action="store_true", help="few cases and short rounds")
    p.add_argument("--json", metavar="FILE", help="write everything that was measured to FILE")
    p.add_argument("--plot", metavar="FILE", help="draw the ratios to FILE, an SVG (gnuplot)")
    p.add_argument("--list", action="store_true", help="list topologies and cases")
    p.add_argument("--rounds", type=int, metavar="N", help="rounds (default 5; quick 3)")
    p.add_argument("--seconds", type=float, metavar="S",
                   help="length of a run (default 0.5; quick 0.4)")
    p.add_argument("--systems", metavar="NAME,...", default=",".join(FAMILIES),
                   help="which of " + ", ".join(FAMILIES))
    p.add_argument("--threads", type=int, default=min(2, os.cpu_count()), help=argparse.SUPPRESS)
    p.add_argument("--no-extras", action="store_true",
                   help="leave out BPF times, memory and weight changes")
    p.add_argument("--profile", action="store_true",
                   help="show where the CPU of a request goes in each case, and who waits for one (perf)")
    p.add_argument("--check-arguments", action="store_true", help=argparse.SUPPRESS)
    p.add_argument("--sluice", default="build/sluice", help=argparse.SUPPRESS)
    args = p.parse_args()
    args.rounds = args.rounds or (3 if args.quick else 5)
    args.seconds = args.seconds or (0.4 if args.quick else 0.5)
    args.families = args.systems.split(",")
    if args.rounds < 1 or not 0.1 <= args.seconds <= 60:
        p.error("--rounds is at least 1, --seconds from 0.1 to 60")
    for family in args.families:
        if family not in FAMILIES:
            p.error(f"--systems: unknown '{family}'; there are {', '.join(FAMILIES)}")
    if args.plot and not plot.available():
        p.error("--plot needs gnuplot: apt-get install gnuplot-nox")
    if args.profile and not breakdown.available():
        p.error("--profile needs perf: apt-get install linux-perf")
    args.routes = "routes" in args.scenario or not (args.scenario or args.quick)
    wanted = [s for s in args.scenario if s != "routes"]
    args.plan, unknown = [], None
    if wanted or not args.scenario:
        args.plan, unknown = cases.select(wanted, args.quick)
    if unknown:
        p.error(f"unknown scenario '{unknown}'; --list shows them")
    return args


def list_scenarios():
    for topo in cases.TOPOLOGIES.values():
        print(f"{topo.name}: {topo.about}")
        names = topo.cases
        print("    " + (" ".join(names) if names else "(only when named)"))
    print(f"routes: time of BPF programs with {routes.SIZES[0]} and {routes.SIZES[1]} routes")
    print()
    for case in cases.CASES.values():
        print(f"{case.name:10} {case.about}")


def choose(rig, load, case, families):
    """One system of each family: of several worker counts the best one in two short runs."""
    variants = {}
    for system in rig.systems:
        if system.family in families:
            variants.setdefault(system.family, []).append(system)
    score = {}
    for _ in range(2):
        for found in variants.values():
            if len(found) > 1:
                for system in found:
                    rps = load.run(rig, system, case, 0.25)["rps"]
                    score[system] = max(rps, score.get(system, 0))
            else:
                load.run(rig, found[0], case, 0.1)  # warm: lanes exist, files are cached
    return [max(found, key=lambda s: score.get(s, 0)) for found in variants.values()]


def measure(rig, load, case, args, workdir):
    """Rounds of all systems, the order turned round each time; the case's record."""
    chosen = choose(rig, load, case, args.families)
    before = {s: rig.stats(s) for s in chosen if s.instance}
    rounds = {s: [] for s in chosen}
    for number in range(args.rounds):
        for system in chosen if number % 2 == 0 else reversed(chosen):
            rounds[system].append(load.run(rig, system, case, args.seconds))
    record = {"topology": rig.topology.name, "case": case.name, "systems": {}}
    think_ms = think_time(case, [rounds[s] for s in chosen if s.family in report.PEERS])
    paced = measure_paced(rig, load, case, args, chosen, think_ms)
    for system in chosen:
        entry = {"workers": system.workers, "rounds": rounds[system], "paced": paced[system]}
        if system.instance:
            entry["path"] = _path(before[system], rig.stats(system))
        record["systems"][system.family] = entry
    report.summarize(record)
    if args.profile:
        breakdown.measure(rig, load, case, record, chosen, workdir)
        waits.measure(rig, load, case, record, chosen, workdir)
    return record


def think_time(case, peers):
    """Milliseconds that a connection has to wait before each request for the best of @peers, of which
    these are the rounds, to have half of the requests/s that it can do; 0: there is none."""
    fastest = max((median(r["rps"] for r in rounds) for rounds in peers), default=0)
    return max(1, round(1e3 * case.connections / (PACE * fastest))) if fastest else 0


def measure_paced(rig, load, case, args, chosen, think_ms):
    """Rounds at a load that all carry, {system: [result]}: none for @think_ms of 0. With wrk's requests
    always under way a system that does more of them has busier clients and servers, and who waits
    for a CPU is behind them."""
    rounds = {s: [] for s in chosen}
    for number in range(args.rounds if think_ms else 0):
        for system in chosen if number % 2 == 0 else reversed(chosen):
            rounds[system].append(load.run(rig, system, case, PACED * args.seconds, think_ms))
    return rounds


def _path(before, after):
    """How many requests the kernel path served, and why not the others."""
    total, kernel = (after["requests"][k] - before["requests"][k] for k in ("total", "kernel"))
    reasons = {k: after["reasons"][k] - before["reasons"][k] for k in after["reasons"]}
    return {"total": total, "kernel": kernel, "reasons": {k: n for k, n in reasons.items() if n}}


def bench(args, workdir, result):
    """Fills @result as it goes: what was measured before an interruption stays."""
    result.update(format=1, complete=False, machine=describe(args.sluice), rounds=args.rounds,
                  seconds=args.seconds, cases=[], bpf=[])
    report.print_machine(result["machine"])
    load = Load(workdir, args.threads)
    tag = f"bench{os.getpid()}"
    workers = (1, 2) if os.cpu_count() > 1 else (1,)
    for topology, chosen in args.plan:
        rig = Rig(topology, args.sluice, workdir, tag, workers)
        try:
            rig.verify()
            for case in chosen:
                record = measure(rig, load, case, args, workdir)
                result["cases"].append(record)
                report.print_case(topology, case, record)
                if args.profile:
                    breakdown.show(record)
                    waits.show(record)
            if not args.no_extras:
                for name in ("small-64", "head-64") if topology.pairing else ("small-64",):
                    result["bpf"].append(extras.bpf(rig, load, cases.CASES[name]))
                    report.print_bpf(result["bpf"][-1])
                if topology.name == "colocated":
                    result.update(extras.measure(rig, load))
                    report.print_extras(result)
        finally:
            rig.close()
    if args.routes:
        result["routes"] = routes.measure(args.sluice, workdir, tag, args.rounds)
        routes.show(result["routes"])
    result["complete"] = True


def main():
    args = arguments()
    if args.list:
        list_scenarios()
        return 0
    if args.check_arguments:
        return 0
    if os.geteuid() != 0:
        print("bench: run as root", file=sys.stderr)
        return 3
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, _terminated)
    started = time.monotonic()
    workdir = tempfile.mkdtemp(prefix="sluice-bench.")
    result, status = {}, 0
    try:
        bench(args, workdir, result)
        if args.plot:
            plot.write(result, args.plot, workdir)
    except BenchError as e:
        print(f"bench: {e}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt as e:
        print(f"bench: {e or 'interrupted'}", file=sys.stderr)
        status = 130
    finally:
        shutil.rmtree(workdir, ignore_errors=True)
    result["took_seconds"] = round(time.monotonic() - started, 1)
    if result.get("cases"):
        report.print_end(result)
    if args.json:
        with open(args.json, "w") as f:
            json.dump(result, f, indent=1)
            f.write("\n")
    return status


def _terminated(*_):
    raise KeyboardInterrupt("ended by SIGTERM")


if __name__ == "__main__":
    sys.exit(main())
