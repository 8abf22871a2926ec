# SPDX-License-Identifier: GPL-2.0-only
"""The README's commands, as printed, against `sluice demo`: in its indented blocks a line that
begins with "$ " is a command, what follows it is its output.

SL_README_UPDATE=1 writes the outputs into the README instead: read the difference.
"""
import os
import re
import subprocess

from lib.runner import test

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
README = os.path.join(TOP, "README.md")
UPDATE = os.environ.get("SL_README_UPDATE") == "1"
# Latencies, shares of the two paths, and what a tool prints of itself differ from run to run.
VARYING = re.compile(r"sluice (stats|attach|detach)|bpftool")


def examples(lines):
    """(index of the command's line, command, expected output) in order."""
    found = []
    for i, line in enumerate(lines):
        if line.startswith("    $ "):
            found.append([i, line[6:], []])
        elif found and line.startswith("    ") and i == found[-1][0] + len(found[-1][2]) + 1:
            found[-1][2].append(line[4:])
        elif found and not line and i == found[-1][0] + len(found[-1][2]) + 1:
            found[-1][2].append("")  # within a block, or after it
    for one in found:
        while one[2] and not one[2][-1]:
            one[2].pop()
    return found


def comparable(command, text):
    text = [line.rstrip() for line in text]
    if not VARYING.search(command):
        return text
    # Numbers and units, and the width of the columns that follows from them.
    return [" ".join(re.sub(r"[\d.]+ (us|ms|s)\b|\d[\d.]*|(?<= )-(?= |$)", "N", line).split())
            for line in text]


def path_with_sudo(t):
    """A `sudo` that needs no set-up: the tests are root."""
    where = t.tmpdir("bin")
    with open(f"{where}/sudo", "w") as f:
        f.write('#!/bin/sh\nexec "$@"\n')
    os.chmod(f"{where}/sudo", 0o755)
    return f"{where}:{os.environ['PATH']}:/usr/sbin:/sbin"


@test(seconds=120)
def commands(t):
    """Every command of the README prints what the README says."""
    with open(README) as f:
        lines = f.read().split("\n")
    demo = t.start([t.sluice_bin, "demo"], name="demo")
    demo.wait_line("Ctrl-C ends the demo.", seconds=30)
    env = dict(os.environ, PATH=path_with_sudo(t), TMPDIR=t.tmpdir("tmp"))
    found = examples(lines)
    assert len(found) >= 10, f"{len(found)} commands in the README"
    wrong = []
    for index, command, expected in found:
        done = subprocess.run(["sh", "-c", command.replace("build/sluice", t.sluice_bin)], cwd=TOP,
                              env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=30)
        got = done.stdout.rstrip("\n").split("\n") if done.stdout else []
        if comparable(command, got) != comparable(command, expected):
            wrong.append((index, command, expected, got))
    if UPDATE:
        for index, _, expected, got in reversed(wrong):
            lines[index + 1:index + 1 + len(expected)] = [f"    {g}".rstrip() for g in got]
        with open(README, "w") as f:
            f.write("\n".join(lines))
    for index, command, expected, got in wrong:
        t.note(f"README.md:{index + 1}: $ {command}\n" + "\n".join(got))
    assert UPDATE or not wrong, "\n".join(
        f"README.md:{index + 1}: $ {command}: " + " | ".join(got) for index, command, _, got in wrong)
    subprocess.run(["rm", "-f", "/tmp/bad.yaml", *(f"/run/sluice/front.{end}" for end in
                                                  ("yaml", "log", "lock"))], check=True)
    assert demo.stop(20) == 0, demo.log()
