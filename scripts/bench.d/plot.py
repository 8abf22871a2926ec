# SPDX-License-Identifier: GPL-2.0-only
"""Requests a second over a direct connection's, as bars, by gnuplot."""
import os
import shutil
import subprocess

from machine import BenchError

COLOURS = {"nginx": "#9aa5b1", "haproxy": "#616e7c", "sluice-user": "#7cc4fa", "sluice": "#0967d2"}

SCRIPT = """
set terminal svg size {width},{height} font "sans,12" background "white"
set output "{output}"
set title "Requests per second, as a multiple of a direct connection's"
set style data histogram
set style histogram clustered gap 1
set style fill solid noborder
set boxwidth 0.9
set yrange [0:*]
set grid y lc rgb "#dddddd"
set xtics rotate by -30 scale 0
set rmargin 14
set key outside top right horizontal
plot 1 with lines lc rgb "#333333" title "direct", {bars}
"""


def available():
    return shutil.which("gnuplot") is not None


def write(result, output, workdir):
    """Draws the cases of @result that have a ratio to direct into the SVG file @output."""
    recorded = [c for c in result["cases"] if "direct" in c["systems"]]
    names = [n for n in COLOURS if any(n in c["systems"] for c in recorded)]
    if not recorded or not names:
        raise BenchError("nothing to plot: no case with a direct connection and another system")
    data = os.path.join(workdir, "plot.dat")
    with open(data, "w") as f:
        for case in recorded:
            values = [case["systems"].get(n, {}).get("ratios", {}).get("direct") for n in names]
            f.write(f'"{case["topology"]} {case["case"]}" '
                    + " ".join("?" if v is None else f"{v:.4f}" for v in values) + "\n")
    bars = ", ".join(f'"{data}" using {i + 2}:xtic(1) lc rgb "{COLOURS[n]}" title "{n}"'
                     for i, n in enumerate(names))
    script = SCRIPT.format(output=os.path.abspath(output), width=max(640, 60 * len(recorded) + 160),
                           height=420, bars=bars)
    done = subprocess.run(["gnuplot"], input=script, capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"gnuplot: {done.stderr.strip()}")
