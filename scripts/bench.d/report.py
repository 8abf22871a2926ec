# SPDX-License-Identifier: GPL-2.0-only
"""Medians, ratios, floors; and the tables that people read."""
from statistics import median

from cases import FLOOR_ALL, FLOORS, FLOORS_USER

PEERS = ("nginx", "haproxy")
MEASURES = ("rps", "mb_s", "p50", "p99", "p999", "cpu", "cpu_proxy", "cpu_kthreads", "cores_proxy",
            "foreign", "steal")
FOREIGN_MAX = 0.1  # cores that others had, at the median: above it a case is marked
WORDS = {
    "direct": "x direct, req/s", "peer": "x best peer, req/s", "p50_direct": "x direct, p50",
    "p99_peer": "x best peer, p99", "paced_peer": "x best peer, p99 at half load", "cpu_peer": "x best peer, CPU a request",
    "cores": "cores used by the daemon",
}
AT_LEAST = ("direct", "peer")  # the other measures are bounds from above


def _ratio(entry, other, measure, which="rounds"):
    """Median of the rounds' ratios: what a slow second did to both is not in it."""
    pairs = zip(entry[which], other[which])
    ratios = [a[measure] / b[measure] for a, b in pairs if b[measure]]
    return median(ratios) if ratios else None


def summarize(record):
    """Adds to each system of @record its median, min, max and ratios; and to @record the floors."""
    systems = record["systems"]
    for entry in systems.values():
        for name, of in (("median", median), ("min", min), ("max", max)):
            entry[name] = {m: of(r[m] for r in entry["rounds"]) for m in MEASURES}
        if entry["paced"]:
            entry["median"]["paced"] = median(r["p99"] for r in entry["paced"])
        entry["errors"] = sum(r["errors"] for r in entry["rounds"] + entry["paced"])
    peers = {name: systems[name] for name in PEERS if name in systems}
    best = {"peer": _best(peers, "rps", max), "p99": _best(peers, "p99", min),
            "paced": _best(peers, "paced", min), "cpu": _best(peers, "cpu", min)}
    record["best_peer"] = best["peer"]
    for what in ("foreign", "steal"):
        record[what] = median(r[what] for e in systems.values() for r in e["rounds"])
    record["noisy"] = record["foreign"] + record["steal"] > FOREIGN_MAX
    for entry in systems.values():
        ratios = entry["ratios"] = {"cores": entry["median"]["cores_proxy"]}
        if "direct" in systems:
            ratios["direct"] = _ratio(entry, systems["direct"], "rps")
            ratios["p50_direct"] = _ratio(entry, systems["direct"], "p50")
        if peers:
            ratios["peer"] = _ratio(entry, peers[best["peer"]], "rps")
            ratios["p99_peer"] = _ratio(entry, peers[best["p99"]], "p99")
            ratios["paced_peer"] = _ratio(entry, peers[best["paced"]], "p99", "paced")
            ratios["cpu_peer"] = _ratio(entry, peers[best["cpu"]], "cpu")
    record["floors"] = _floors(record)
    return record


def _best(peers, measure, of):
    return of(peers, key=lambda name: peers[name]["median"][measure]) if peers else None


def _floors(record):
    key = record["topology"], record["case"]
    floors = []
    for system, wanted in (("sluice", {**FLOORS.get(key, {}), **FLOOR_ALL}),
                           ("sluice-user", FLOORS_USER.get(key, {}))):
        ratios = record["systems"].get(system, {}).get("ratios", {})
        for measure, bound in wanted.items():
            value = ratios.get(measure)
            if value is None:
                continue
            reached = value >= bound if measure in AT_LEAST else value <= bound
            floors.append({"system": system, "measure": measure, "bound": bound, "value": value,
                           "reached": reached})
    return floors


def print_machine(m):
    print(f"Linux {m['kernel']}, {m['cpus']} CPUs ({m['cpu']}), {m['system_call_us']:.2f} us a system "
          f"call; {m['sluice']}, {m['nginx']}, {m['haproxy']}, {m['wrk']}; TCP by {m['congestion']}")
    if m["load_at_start"] > 0.5:
        print(f"bench: load average {m['load_at_start']:.2f} at start: others use this machine, "
              "and the numbers will show it")


HEAD = ("system", "req/s", "min", "max", "x direct", "x peer", "p50 us", "p99 us", "p99.9",
        "p99 half", "CPU us", "proxy us", "")
WIDTHS = (13, 8, 8, 8, 9, 7, 8, 8, 8, 9, 8, 9, 0)


def _row(cells):
    text = cells[0].ljust(WIDTHS[0])
    for cell, width in zip(cells[1:-1], WIDTHS[1:-1]):
        text += " " + cell.rjust(width)
    return (text + "  " + cells[-1]).rstrip()


def _times(value):
    return "-" if value is None else f"{value:.2f}"


def print_case(topology, case, record):
    print(f"\n{topology.name}/{case.name}: {case.about}")
    print(_row(HEAD))
    for name, entry in record["systems"].items():
        med, notes = entry["median"], []
        if entry["errors"]:
            notes.append(f"{entry['errors']} ERRORS")
        if entry.get("path"):
            notes.append(_path_note(entry["path"]))
        label = f"{name} ({entry['workers']})" if entry["workers"] else name
        print(_row((
            label, f"{med['rps']:.0f}", f"{entry['min']['rps']:.0f}", f"{entry['max']['rps']:.0f}",
            _times(entry["ratios"].get("direct")), _times(entry["ratios"].get("peer")),
            f"{med['p50']:.0f}", f"{med['p99']:.0f}", f"{med['p999']:.0f}",
            f"{med['paced']:.0f}" if "paced" in med else "-", f"{med['cpu']:.1f}", f"{med['cpu_proxy']:.1f}" if name != "direct" else "-", ", ".join(notes))))
    for f in record["floors"]:
        sign = "at least" if f["measure"] in AT_LEAST else "at most"
        print(f"  {'reached' if f['reached'] else 'MISSED '}  {f['system']} {f['value']:.3g} "
              f"{WORDS[f['measure']]} ({sign} {f['bound']:.3g})")
    if record["noisy"]:
        print(f"  noisy: other processes had {record['foreign']:.2f} cores, the host took "
              f"{record['steal']:.2f}")


def _path_note(path):
    if not path["total"]:
        return "no requests counted"
    share = 100 * path["kernel"] / path["total"]
    note = f"kernel {share:.1f} %"
    if path["reasons"] and share < 99:
        why = max(path["reasons"], key=path["reasons"].get)
        note += f", {why} {100 * path['reasons'][why] / path['total']:.1f} %"
    return note


def print_bpf(bpf):
    print(f"\nBPF programs of sluice, {bpf['topology']}/{bpf['case']}")
    print(f"{'program':14} {'ns a run':>9} {'runs a request':>15} {'ns a request':>13}")
    for p in bpf["programs"]:
        print(f"{p['name']:14} {p['ns_run']:9.0f} {p['runs_request']:15.2f} "
              f"{p['ns_request']:13.0f}")
    print(f"{'all':14} {'':9} {'':15} {bpf['ns_request']:13.0f}")


def print_extras(result):
    m = result["memory"]
    print(f"\nMemory: {m['session_bytes']} bytes of maps a session, {m['lane_bytes']} a lane "
          f"({m['sessions']} and {m['lanes']} slots, made at start; all maps "
          f"{m['maps_bytes'] / 2**20:.1f} MiB); daemon {m['daemon_rss'] / 2**20:.1f} MiB, and "
          f"{m['rss_connection']} bytes more for each of {m['connections']} connections")
    print(f"\n{'weights; us, p50 and p99':24} {'map write':>14} {'write to answer':>17} "
          f"{'any request':>14} {'disobeyed':>12} {'sluice weights':>15}")
    for label, name in (("no load", "weights"), ("beside 16 connections", "weights_under_load")):
        w = result[name]
        pair = {k: f"{w[k]['p50']:.1f}, {w[k]['p99']:.1f}"
                for k in ("write_us", "obeyed_us", "request_us")}
        print(f"{label:24} {pair['write_us']:>14} "
              f"{pair['obeyed_us']:>17} {pair['request_us']:>14} "
              f"{w['disobeyed']:>5} of {w['changes']:>3} {w['command_ms'] * 1000:>15.0f}")


def print_end(result):
    missed = [(c, f) for c in result["cases"] for f in c["floors"] if not f["reached"]]
    count = sum(len(c["floors"]) for c in result["cases"])
    noisy = sum(c["noisy"] for c in result["cases"])
    if not result["complete"]:
        print("\nNOT COMPLETE: ended before all cases were measured")
    print(f"\n{len(result['cases'])} cases in {result['took_seconds']:.0f} s; "
          f"{count - len(missed)} of {count} floors reached"
          + (f"; {noisy} cases noisy: do not trust them" if noisy else ""))
    for case, f in missed:
        print(f"  missed: {case['topology']}/{case['case']}: {f['system']} {f['value']:.3g} "
              f"{WORDS[f['measure']]}, not {f['bound']:.3g}")
