#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Every error and warning about a config is shown: by a golden file (tests/unit/config/*.err), or by a
unit test that has its text or the limit that it names."""
import glob
import re
import sys

# Shown elsewhere, or by nothing that a file can do.
ELSEWHERE = {
    "cannot read: %s": "cli.no_config",
    "out of memory": "no memory",
    "internal error: the compiled table is wrong: %s": "a bug of ours",
    "more than %u addresses; the rest is ignored": "a name server with as many",
}
CALLS = r"\b(?:sl_error|sl_warning|sl_diag_add|error_at|sl_oneof|refuse)\("
STRING = r'"((?:[^"\\]|\\.)*)"'


def arguments(text, at):
    """The text from @at to the parenthesis that closes the call."""
    depth, end = 1, at
    for piece in re.finditer(r'"(?:[^"\\]|\\.)*"|[()]', text[at:]):
        depth += {"(": 1, ")": -1}.get(piece.group(), 0)
        end = at + piece.start()
        if not depth:
            break
    return text[at:end]


def messages():
    """{format: file:line}"""
    found = {}
    for path in sorted(glob.glob("user/config/*.c") + ["user/util/regex.c"]):
        text = open(path).read()
        for call in re.finditer(CALLS, text):
            where = f"{path}:{text.count(chr(10), 0, call.start()) + 1}"
            for run in re.finditer(rf"(?:{STRING}\s*)+", arguments(text, call.end())):
                whole = "".join(re.findall(STRING, run.group()))
                if " " in whole:  # else it is a part of a message
                    found.setdefault(whole.replace('\\"', '"').replace("\\\\", "\\"), where)
    return found


def pattern(message):
    """Matches what printf makes of @message."""
    parts = re.split(r"%[-.0-9*]*(?:ll|l|z)?[a-z]", message)
    return ".*".join(re.escape(p.replace("%%", "%")) for p in parts)


def main():
    golden = "\n".join(open(p, errors="replace").read()
                       for p in glob.glob("tests/unit/config/*.err"))
    units = "\n".join(open(p, errors="replace").read() for p in glob.glob("tests/unit/*.c"))
    found, missing = messages(), []
    if len(found) < 100:
        missing.append(f"only {len(found)} messages found")
    for message, where in found.items():
        limit = re.search(r"\((SL_\w+)\)", message)
        shown = re.search(pattern(message), golden) or message in ELSEWHERE or \
            (limit and f'"{limit.group(1)}"' in units) or message.split("%")[0] in units
        if not shown:
            missing.append(f"{where}: no golden file has '{message}'")
    print("\n".join(missing), end="\n" if missing else "")
    return bool(missing)


if __name__ == "__main__":
    sys.exit(main())
