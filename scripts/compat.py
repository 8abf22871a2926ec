#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The compatibility table, tests/compat/ENVOY.md: each key of Envoy's that the config knows, what
becomes of it, and the test that shows it. All of it is taken from the tables of keys
(user/config) and from the tests, so it cannot drift. --check (default) or --write."""
import ast
import glob
import re
import subprocess
import sys

TABLE = "tests/compat/ENVOY.md"
HEAD = """# Envoy's configuration, key by key

Made by `scripts/compat.py --write` from the tables in user/config and from the tests; `scripts/check.sh`
fails when it is out of date or an accepted key has no test. What is not listed is no key of Envoy's
that we know: an error, with the nearest known one.

| state | means |
|---|---|
| kernel | has its meaning on both paths |
| user | has its meaning; requests that it concerns take the user path, and `sluice explain` says so |
| warns | accepted with a warning: it tunes Envoy itself, or cannot matter here |
| refused | an error that names it, with its place |

A test is FILE.FUNCTION of tests/e2e, config/NAME of tests/unit/config, or unit/FILE of tests/unit.
"""
# What makes a route, or all of them, take the user path (sl_route_action.why).
USER = {
    "route entry": "redirect direct_response",
    "route": "cluster_header cluster_not_found_response_code prefix_rewrite regex_rewrite "
             "host_rewrite_literal host_rewrite host_rewrite_header auto_host_rewrite_header "
             "host_rewrite_path_regex append_x_forwarded_host retry_policy request_mirror_policies",
    "match": "safe_regex regex grpc",
    "header matcher": "safe_regex_match regex_match",
    "string_match": "safe_regex regex",
    "regex": "regex google_re2",
    "virtual host": "retry_policy request_mirror_policies",
    "route_config": "request_mirror_policies most_specific_header_mutations_wins",
    "weighted cluster": "host_rewrite_literal",
    "weighted_clusters": "header_name",
    "router": "suppress_envoy_headers",
    "HTTP connection manager":
        "use_remote_address xff_num_trusted_hops skip_xff_append append_x_forwarded_port "
        "generate_request_id preserve_external_request_id always_set_request_id_in_response "
        "server_name server_header_transformation via",
}
USER_MESSAGES = {"direct_response", "body", "redirect", "header to add", "header", "regex rewrite",
                 "retry_policy", "retry_back_off", "mirror policy"}
ALWAYS_USER = re.compile(r"(request|response)_headers_to_(add|remove)$")
OURS = {"sluice"}  # no message of Envoy's


def preprocessed():
    text = ""
    for path in sorted(glob.glob("user/config/*.c")):
        done = subprocess.run(["gcc", "-E", "-P", "-std=gnu11", "-D_GNU_SOURCE", "-Iinclude",
                               "-Iuser", path], capture_output=True, text=True, check=True)
        text += done.stdout
    return " ".join(text.split())


def schemas(text):
    """{message: {key: accepted, warns or refused}}"""
    tables = dict(re.findall(r"struct sl_key (\w+)\[\] = \{(.*?)\};", text))
    lists = dict(re.findall(r"char \*const (\w+)\[\] = \{(.*?)\};", text))
    out = {}
    for body in re.findall(r"struct sl_schema \w+ = \{(.*?)\};", text):
        part = dict(re.findall(r"\.(keys|unsupported|tuning) = (\w+)", body))
        what = re.search(r'\.what = "([^"]*)"', body).group(1)
        keys = out.setdefault(what, {})
        for name, kind in re.findall(r'\.name = "([^"]+)", \.type = SL_KEY_(\w+)',
                                     tables[part["keys"]]):
            keys[name] = "warns" if kind == "WARN" else "accepted"
        for field, state in (("unsupported", "refused"), ("tuning", "warns")):
            for name in re.findall(r'"([^"]+)"', lists[part[field]]) if field in part else ():
                keys[name] = state
    return {what: keys for what, keys in out.items() if what not in OURS}


def tests_of(path):
    """Each test of the file with what it uses of the file: functions and values by their names."""
    text = open(path, errors="replace").read()
    lines, parts, found = text.split("\n"), {}, []
    for node in ast.parse(text).body:
        source = "\n".join(lines[node.lineno - 1:node.end_lineno])
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            found.append((f"{path[15:-3]}.{node.name}", source))
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            parts[node.name] = source
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            parts[node.targets[0].id] = source
    return [(name, with_parts(source, dict(parts))) for name, source in found]


def with_parts(source, parts):
    for name in [n for n in parts if re.search(rf"\b{n}\b", source)]:
        if name in parts:
            source += "\n" + with_parts(parts.pop(name), parts)
    return source


def tests():
    """[(name, text)], end-to-end tests first."""
    found = []
    # What is about something else, last.
    for path in sorted(glob.glob("tests/e2e/test_*.py"),
                       key=lambda p: (bool(re.search("attach|cli|reload|stop", p)), p)):
        found += tests_of(path)
    # What every test's config has.
    first = next(name for name, _ in found if name.startswith("tutorial."))
    found.append((first, open("tests/e2e/lib/config.py").read()))
    for path in sorted(glob.glob("tests/unit/config/*.yaml")):
        found.append((f"config/{path[18:-5]}", open(path, errors="replace").read()))
    for path in sorted(glob.glob("tests/unit/test_*.c")):
        found.append((f"unit/{path[11:-2]}", open(path, errors="replace").read()))
    return found


def camel(key):
    return re.sub(r"_([a-z])", lambda m: m.group(1).upper(), key)


def test_of(key, state, all_tests):
    # As a key of YAML or of a dict, or as an argument of that name.
    words = f"(?:{re.escape(key)}|{camel(key)})"
    pattern = re.compile(rf"""(?<![\w@.]){words}(?:"?\s*:|=(?!=))""")
    if state in ("kernel", "user"):
        order = all_tests
        if "_" not in key:  # a word that means many things in a test's source
            order = [x for x in all_tests if x[0].startswith("config/ok-")] + all_tests
    else:
        first = "config/bad-" if state == "refused" else "config/ok-"
        order = [x for x in all_tests if x[0].startswith(first)]
        order += [x for x in all_tests if x[0].startswith("config/")]
    for name, text in order:
        if pattern.search(text):
            return name
    # One rule for all keys of these lists.
    return {"refused": "config/bad-unsupported-key", "warns": "config/ok-warn-tuning"}.get(state)


def state_of(what, key, state):
    if state != "accepted":
        return state
    user = what in USER_MESSAGES or key in USER.get(what, "").split() or ALWAYS_USER.match(key)
    return "user" if user else "kernel"


def main():
    all_tests = tests()
    names = {name for name, _ in all_tests}
    lines, missing = [HEAD], []
    for what, keys in sorted(schemas(preprocessed()).items(), key=lambda x: x[0].lower()):
        lines += [f"## {what}", "", "| key | state | test |", "|---|---|---|"]
        for key, accepted in sorted(keys.items()):
            state = state_of(what, key, accepted)
            test = test_of(key, state, all_tests)
            if test not in names:
                missing.append(f"{what}: '{key}' is {state}, but no test has it (found: {test})")
            lines.append(f"| `{key}` | {state} | {test} |")
        lines.append("")
    text = "\n".join(lines).rstrip() + "\n"
    if missing:
        print("\n".join(missing))
        return 1
    if "--write" in sys.argv:
        open(TABLE, "w").write(text)
        return 0
    if open(TABLE).read() != text:
        print(f"{TABLE} is out of date: scripts/compat.py --write")
        return 1
    return 0


sys.exit(main())
