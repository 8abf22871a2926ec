#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The compatibility table, tests/compat/ENVOY.md: each key of Envoy's that the config knows, what
becomes of it, and the test that shows it. The keys are those of tests/compat/keys.txt, which
tests/unit/test_schema.c proves to be those of the tables in user/config. --check (default) or --write."""
import ast
import glob
import os
import re
import sys

TABLE = "tests/compat/ENVOY.md"
KEYS = "tests/compat/keys.txt"
HEAD = """# Envoy's configuration, key by key

Made by `scripts/compat.py --write`; `scripts/check.sh` fails when it is out of date, and tests/unit/test_schema.c when
a key is missing, is not treated as it says, or is in no test. What is not listed is no key of Envoy's that we know: an
error, with the nearest known one.

| state | means |
|---|---|
| kernel | has its meaning on both paths |
| user | has its meaning; requests that it concerns take the user path, and `sluice explain` says so; answers of `direct_response` and `redirect` that are the same for all requests are given in the kernel too, see README |
| warns | accepted with a warning: it tunes Envoy itself, or cannot matter here |
| refused | an error that names it, with its place |

A test is FILE.FUNCTION of tests/e2e, config/NAME of tests/unit/config, or unit/FILE of tests/unit.
"""
# What makes a route, or all of them, take the user path (sl_route_action.why).
USER = {
    "route entry": "redirect direct_response",
    "route": "cluster_header cluster_not_found_response_code prefix_rewrite regex_rewrite "
             "host_rewrite_literal host_rewrite host_rewrite_header auto_host_rewrite_header "
             "host_rewrite_path_regex append_x_forwarded_host auto_host_rewrite path_rewrite path_rewrite_policy retry_policy request_mirror_policies",
    "match": "safe_regex regex grpc path_match_policy",
    "header matcher": "safe_regex_match regex_match",
    "string_match": "safe_regex regex",
    "regex": "regex google_re2",
    "virtual host": "retry_policy request_mirror_policies require_tls include_request_attempt_count "
                    "include_attempt_count_in_response",
    "route_config": "request_mirror_policies most_specific_header_mutations_wins vhost_header "
                    "internal_only_headers",
    "weighted cluster": "cluster_header host_rewrite_literal",
    "address": "pipe",
    "weighted_clusters": "header_name",
    "router": "suppress_envoy_headers",
    "HTTP connection manager":
        "use_remote_address internal_address_config xff_num_trusted_hops skip_xff_append append_x_forwarded_port "
        "generate_request_id preserve_external_request_id always_set_request_id_in_response "
        "server_name server_header_transformation via normalize_path merge_slashes "
        "path_with_escaped_slashes_action strip_any_host_port strip_matching_host_port "
        "strip_trailing_host_dot",
}
USER_MESSAGES = {"direct_response", "body", "body_format", "json_format_options", "redirect", "header to add", "header", "regex rewrite",
                 "retry_policy", "retry_back_off", "retry host predicate", "previous hosts",
                 "path_match_policy", "path_rewrite_policy", "URI template matcher", "URI template rewriter",
                 "mirror policy", "pipe", "internal_address_config", "CIDR range"}
ALWAYS_USER = re.compile(r"(request|response)_headers_to_(add|remove)$")
OURS = {"sluice"}  # no message of Envoy's


# The end-to-end tests of a message, the first that has the key: of keys that are words of other messages, too.
ROWS = "rows.explain_is_true matching.matchers"
OF_MESSAGE = {
    "match": ROWS, "header matcher": ROWS, "string_match": ROWS, "cookie matcher": ROWS,
    "query parameter matcher": ROWS, "range_match": ROWS, "runtime_fraction": ROWS,
    "fractional percent": ROWS, "regex": ROWS,
    "route entry": ROWS + " actions.redirects actions.order_of_levels actions.append_actions",
    "route": "actions.rewrites actions.hosts actions.formats actions.cluster_header timeouts.route_timeout "
             "timeouts.stream_idle timeouts.stream_duration retry.conditions retry.mirror " + ROWS,
    "redirect": "actions.redirects", "regex rewrite": "actions.rewrites", "body": "actions.body_sources",
    "direct_response": "actions.own_answers actions.body_format " + ROWS,
    "header to add": "actions.append_actions actions.order_of_levels", "header": "actions.append_actions actions.values",
    "hash policy": "cohorts.made_cookies cohorts.by_parameter_and_terminal cohorts.by_rewritten_header balance.by_hash",
    "header of a hash policy": "cohorts.by_rewritten_header balance.by_hash",
    "cookie of a hash policy": "cohorts.made_cookies cohorts.without_ttl",
    "cookie attribute": "cohorts.made_cookies",
    "query_parameter of a hash policy": "cohorts.by_parameter_and_terminal",
    "weighted cluster": "actions.cluster_header_in_split actions.order_of_levels actions.removes_at_every_level actions.split_header",
    "weighted_clusters": "actions.split_header cli.explain_cohorts",
    "virtual host": "actions.order_of_levels actions.removes_at_every_level retry.virtual_host_policy retry.mirror_none matching.ten_thousand_routes",
    "route_config": "actions.order_of_levels actions.removes_at_every_level retry.mirror_none",
    "mirror policy": "retry.mirror_by_header retry.mirror_fraction retry.mirror",
    "retry_back_off": "retry.back_off", "retry host predicate": "retry.previous_hosts",
    "path_match_policy": "templates.uri_templates", "path_rewrite_policy": "templates.uri_templates",
    "health check": "health.one_check health.tcp_and_thresholds", "http_health_check": "health.one_check",
    "outlier_detection": "health.outliers health.gateway_failures", "slow_start_config": "health.slow_start",
    "round_robin_lb_config": "health.slow_start", "lb_endpoint": "balance.weighted_round_robin",
    "endpoints": "balance.priorities", "range of statuses": "health.one_check", "a percentage": "health.panic",
    "cluster": "health.outliers balance.by_hash dns.at_the_start pipes.both_kinds timeouts.lane_life "
               "timeouts.lane_requests",
    "address": "pipes.both_kinds", "pipe": "pipes.both_kinds",
    "dns_failure_refresh_rate": "dns.failures dns.addresses_change",
    "circuit_breakers": "limits.max_connections", "typed_dns_resolver_config": "dns.addresses_change",
    "common_http_protocol_options": "timeouts.lane_life timeouts.idle_connections timeouts.stream_duration",
    "c-ares resolver": "dns.addresses_change", "upgrade config": "tunnel",
    "internal_address_config": "forwarded.request_id_at_the_edge",
    "sluice of a listener": "attach attach_l4",
}


def known():
    """{message: {key: (accepted, warns or refused; its test)}}"""
    out = {}
    for line in open(KEYS):
        what, key, state, test = line.rstrip("\n").split(" | ")
        out.setdefault(what, {})[key] = (state, test)
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
    return found


def camel(key):
    return re.sub(r"_([a-z])", lambda m: m.group(1).upper(), key)


def test_of(key, all_tests, golden):
    """An end-to-end test that has the key, as a key of YAML or of a dict or as an argument; else
    @golden."""
    words = f"(?:{re.escape(key)}|{camel(key)})"
    pattern = re.compile(rf"""(?<![\w@.]){words}(?:"?\s*:|=(?!=))""")
    for name, text in all_tests:
        if pattern.search(text):
            return name
    return golden


def test_in(what, key, all_tests):
    """The first test of OF_MESSAGE that has the key; None."""
    for prefix in OF_MESSAGE.get(what, "").split():
        found = [t for t in all_tests if t[0] == prefix or t[0].startswith(prefix + ".")]
        if not found:
            sys.exit(f"scripts/compat.py: there is no test {prefix}")
        if name := test_of(key, found, None):
            return name
    return None


def state_of(what, key, state):
    if state != "accepted":
        return state
    user = what in USER_MESSAGES or key in USER.get(what, "").split() or ALWAYS_USER.match(key)
    return "user" if user else "kernel"


def exists(test):
    where, _, name = test.partition("/")
    path = {"config": f"tests/unit/config/{name}.yaml", "unit": f"tests/unit/{name}.c"}.get(where)
    return path is None or os.path.exists(path)


def main():
    all_tests, lines, missing = tests(), [HEAD], []
    messages = known()
    everywhere = [key for keys in messages.values() for key in keys]
    for what, keys in sorted(messages.items(), key=lambda x: x[0].lower()):
        lines += [f"## {what}", "", "| key | state | test |", "|---|---|---|"]
        for key, (accepted, test) in sorted(keys.items()):
            # A word that other messages have too, or a test's source for another reason, says nothing.
            if accepted == "accepted":
                test = test_in(what, key, all_tests) or test
            if accepted == "accepted" and test.startswith("config/") and "_" in key and everywhere.count(key) == 1:
                test = test_of(key, all_tests, test)
            if not exists(test):
                missing.append(f"{what}: '{key}' has no test {test}")
            lines.append(f"| `{key}` | {state_of(what, key, accepted)} | {test} |")
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
