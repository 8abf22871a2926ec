# SPDX-License-Identifier: GPL-2.0-only
"""Envoy's routing, row by row: what a request gets is what `sluice explain` says of it, route, path and
status, for every matcher and action that both paths have."""
import json
import shlex
import subprocess

from lib.config import cluster, dump, listener
from lib.http1 import Conn
from lib.keeper import Keeper
from lib.runner import test

from test_templates import template

FRONT = ("127.0.0.1", 8000)
CLUSTERS = {"one": [("127.0.0.1", 9001)], "two": [("127.0.0.1", 9002)]}


def to(name, *requests, status=200, route=None, entry=None, **match):
    """A row: a route called @name and requests, (target, headers, whether it takes them)."""
    r = {"name": name, "match": match, "route": {"cluster": "one", **(route or {})}}
    if route and {"weighted_clusters", "cluster_header"} & set(route):
        del r["route"]["cluster"]
    r.update(entry or {})
    if entry and {"redirect", "direct_response"} & set(entry):
        del r["route"]
    return r, requests, status


def header(name, *requests, of=None, **matcher):
    """A row with one header matcher, below a prefix of its own."""
    return to(name, *[(f"/{name}", headers, yes) for headers, yes in requests],
              path=f"/{name}", headers=[{"name": of or "x", **matcher}])


def x(*values):
    return [("X", value) for value in values]


def fraction(numerator):
    return {"default_value": {"numerator": numerator, "denominator": "TEN_THOUSAND"}}


REGEX = {"regex": "a+b?"}
MATCHES = [
    to("prefix", ("/prefix/x", [], True), ("/prefi", [], False), prefix="/prefix"),
    to("path", ("/path?q", [], True), ("/path/", [], False), path="/path"),
    to("separated", ("/sep", [], True), ("/sep/x?q", [], True), ("/separate", [], False),
       path_separated_prefix="/sep"),
    to("regex", ("/regex/12?q", [], True), ("/regex/1x", [], False),
       safe_regex={"regex": "/regex/[0-9]+"}),
    to("case", ("/CaSe/x", [], True), ("/cas", [], False), prefix="/case", case_sensitive=False),
    to("never", ("/never", [], False), prefix="/never", runtime_fraction=fraction(0)),
    to("always", ("/always", [], True), prefix="/always", runtime_fraction=fraction(10000)),
    to("and", ("/and", x("1") + [("Y", "2")], True), ("/and", x("1"), False), prefix="/and",
       headers=[{"name": "x", "string_match": {"exact": "1"}}, {"name": "y"}]),
    to("query", ("/query?a=b&k=v", [], True), ("/query?k=w&k=v", [], False), ("/query", [], False),
       prefix="/query", query_parameters=[{"name": "k", "string_match": {"exact": "v"}}]),
    to("query-present", ("/querp?k", [], True), ("/querp?kk=1", [], False), prefix="/querp",
       query_parameters=[{"name": "k", "present_match": True}]),
    to("query-regex", ("/querx?k=aab", [], True), ("/querx?k=c", [], False), prefix="/querx",
       query_parameters=[{"name": "k", "string_match": {"safe_regex": REGEX}}]),
    to("cookie", ("/cookie", [("Cookie", "a=b; k=v")], True), ("/cookie", [("Cookie", "k=w")], False),
       ("/cookie", [], False), prefix="/cookie",
       cookies=[{"name": "k", "string_match": {"exact": "v"}}]),
    to("cookie-not", ("/cooknot", [], True), ("/cooknot", [("Cookie", "k=v")], False),
       ("/cooknot", [("Cookie", "k=w")], True), prefix="/cooknot",
       cookies=[{"name": "k", "string_match": {"exact": "v"}, "invert_match": True}]),
    to("grpc", ("/grpc", [("Content-Type", "application/grpc+json")], True), ("/grpc", [], False),
       prefix="/grpc", grpc={}),
    header("exact", (x("v"), True), (x("V"), False), string_match={"exact": "v"}),
    header("exact-old", (x("v"), True), (x("w"), False), exact_match="v"),
    header("v1-value", (x("v"), True), (x("w"), False), value="v"),
    header("v1-regex", (x("aab"), True), (x("w"), False), value="a+b?", regex=True),
    header("begins", (x("abc"), True), (x("bc"), False), string_match={"prefix": "ab"}),
    header("begins-old", (x("abc"), True), (x("bc"), False), prefix_match="ab"),
    header("ends", (x("abc"), True), (x("ab"), False), string_match={"suffix": "bc"}),
    header("ends-old", (x("abc"), True), (x("ab"), False), suffix_match="bc"),
    header("holds", (x("abcd"), True), (x("acbd"), False), string_match={"contains": "bc"}),
    header("holds-old", (x("abcd"), True), (x("acbd"), False), contains_match="bc"),
    header("safe-regex", (x("aa"), True), (x("aac"), False), string_match={"safe_regex": REGEX}),
    header("safe-regex-old", (x("aa"), True), (x("aac"), False), safe_regex_match=REGEX),
    header("v2-regex", (x("aa"), True), (x("aac"), False), regex_match="a+b?"),
    header("folded", (x("ABC"), True), (x("AB"), False),
           string_match={"exact": "abc", "ignore_case": True}),
    header("range", (x("-1"), True), (x("0"), False), (x("-10"), True), (x("-1x"), False), ([], False),
           range_match={"start": -10, "end": 0}),
    header("present", (x(""), True), ([], False), present_match=True),
    header("presence", (x("any"), True), ([], False)),
    header("absent", (x(""), False), ([], True), present_match=False),
    header("inverted", (x("w"), True), (x("v"), False), ([], False), string_match={"exact": "v"},
           invert_match=True),
    header("empty", (x("w"), True), (x("v"), False), ([], True), string_match={"exact": "v"},
           invert_match=True, treat_missing_header_as_empty=True),
    header("joined", (x("a", "b"), True), (x("a"), False), string_match={"exact": "a,b"}),
    header("method", ([], True), of=":method", string_match={"exact": "GET"}),
    header("whole-path", ([], True), of=":path", string_match={"suffix": "path"}),
    header("authority", ([], True), of=":authority", string_match={"prefix": "te"}),
    header("host", ([], True), of="Host", string_match={"exact": "test"}),
    header("scheme", ([], True), ([("X-Forwarded-Proto", "https")], False), of=":scheme",
           string_match={"exact": "http"}),
]

TWO = [{"name": "one", "weight": 1}, {"name": "two", "weight": 0}]
CHANGE = [{"header": {"key": "x-added", "value": "%REQ(:path)%"}}]


def action(name, headers=(), status=200, entry=None, **route):
    return to(name, (f"/{name}/x", list(headers), True), status=status, prefix=f"/{name}/",
              route=route, entry=entry)


def regex_rewrite(pattern, substitution):
    return {"pattern": {"regex": pattern}, "substitution": substitution}


ACTIONS = [
    action("cluster"),
    action("cluster-header", [("x-to", "two")], cluster_header="x-to"),
    action("no-cluster", [("x-to", "no")], 404, cluster_header="x-to",
           cluster_not_found_response_code="NOT_FOUND"),
    action("weighted", weighted_clusters={"clusters": TWO}),
    action("by-number", [("x-n", "0")], weighted_clusters={"clusters": TWO, "header_name": "x-n"}),
    action("sticky", [("x-user", "me")], hash_policy=[{"header": {"header_name": "x-user"}}],
           weighted_clusters={"clusters": TWO, "use_hash_policy": True}),
    action("member-headers", weighted_clusters={"clusters": [
        {**TWO[0], "request_headers_to_add": CHANGE}, TWO[1]]}),
    action("prefix-rewrite", prefix_rewrite="/new/"),
    action("regex-rewrite", regex_rewrite=regex_rewrite("^/regex-rewrite", "/new")),
    action("path-rewrite", path_rewrite="/%REQ(:method)%"),
    action("host-literal", host_rewrite_literal="inner"),
    action("host-header", [("x-host", "inner")], host_rewrite_header="x-host"),
    action("host-regex", host_rewrite_path_regex=regex_rewrite("^/(.*)/x", "\\1")),
    action("auto-host", auto_host_rewrite=True),
    action("forwarded-host", host_rewrite_literal="inner", append_x_forwarded_host=True),
    action("timeouts", timeout="9s", idle_timeout="9s", flush_timeout="9s",
           max_stream_duration={"max_stream_duration": "9s"}),
    action("retries", retry_policy={"retry_on": "5xx", "num_retries": 2}),
    action("mirrors", request_mirror_policies=[{"cluster": "two"}]),
    action("hash-header", [("x-user", "me")], hash_policy=[{"header": {"header_name": "x-user"}}]),
    action("hash-cookie", [("Cookie", "c=1")], hash_policy=[{"cookie": {"name": "c", "ttl": "9s"}}]),
    action("makes-cookie", hash_policy=[{"cookie": {"name": "c", "ttl": "9s"}}],
           weighted_clusters={"clusters": TWO, "use_hash_policy": True}),
    action("hash-ip", hash_policy=[{"connection_properties": {"source_ip": True}}]),
    action("hash-query", hash_policy=[{"query_parameter": {"name": "q"}, "terminal": True}]),
    action("request-add", entry={"request_headers_to_add": CHANGE}),
    action("request-remove", x("1"), entry={"request_headers_to_remove": ["x"]}),
    action("response-add", entry={"response_headers_to_add": CHANGE}),
    action("response-remove", entry={"response_headers_to_remove": ["server"]}),
    action("redirect", status=307, entry={"redirect": {
        "prefix_rewrite": "/new", "https_redirect": True, "response_code": "TEMPORARY_REDIRECT"}}),
    action("redirect-fixed", x("p" * 300), status=301, entry={"redirect": {
        "path_redirect": "/new", "host_redirect": "h", "https_redirect": True}}),
    action("direct", x("p" * 300), status=418,
           entry={"direct_response": {"status": 418, "body": {"inline_string": "tea"}}}),
    action("direct-long", status=418,
           entry={"direct_response": {"status": 418, "body": {"inline_string": "t" * 200}}}),
]
TEMPLATE = template("/template/{a}/{b=**}", name="template", rewrite="/{b}/{a}")
TEMPLATES = [(TEMPLATE, [("/template/1/2/3", [], True), ("/template/1", [], False)], 200)]


def serve(t, rows):
    rest = {"name": "rest", "match": {"prefix": "/"}, "route": {"cluster": "one"}}
    front = listener("front", FRONT, [route for route, _, _ in rows] + [rest])
    for ports in CLUSTERS.values():
        Keeper(t, ports[0][1])
    return t.sluice(dump({"static_resources": {
        "listeners": [front], "clusters": [cluster(n, e) for n, e in CLUSTERS.items()]}}) + "\n")


def explained(t, s, requests):
    lines = [" ".join(map(shlex.quote, ["GET", f"http://test{target}", *[
        word for n, v in headers for word in ("-H", f"{n}: {v}")]])) for target, headers in requests]
    done = subprocess.run([t.sluice_bin, "explain", "-c", s.config_path, "-r", "-", "--json"],
                          input="\n".join(lines) + "\n", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def warm(conn):
    """A lane to each cluster."""
    for _ in range(2):
        conn.get("/")
        conn.get("/cluster-header/x", [("x-to", "two")])


def counts(s):
    stats = s.stats()
    return stats.by_route(), stats.kernel


@test(each=["matches", "actions"], seconds=90)
def explain_is_true(t, what):
    """Route, status and path of each request are those that are told, and the route is the row's."""
    rows = MATCHES + TEMPLATES if what == "matches" else ACTIONS
    s = serve(t, rows)
    cases = [(row, target, headers, yes, status) for row, requests, status in rows
             for target, headers, yes in requests]
    told = explained(t, s, [(target, headers) for _, target, headers, _, _ in cases])
    assert len(told) == len(cases)
    paths = set()
    with Conn(FRONT) as conn:
        warm(conn)
        before, kernel = counts(s)
        for (row, target, headers, yes, status), tree in zip(cases, told):
            where = (row["name"], target, headers)
            r = conn.request("GET", target, headers, host="test")
            after, now = counts(s)
            took = [n for n in after if after[n] != before.get(n, 0)]
            want = row["name"] if yes else "rest"
            assert took == [want] and tree["route"]["name"] == want, (where, took, tree)
            assert r.status == (status if yes else 200), (where, r)
            assert tree["status"] in (None, r.status), (where, tree)
            assert now - kernel == (tree["path"] == "kernel"), (where, tree, s.stats())
            paths.add(tree["path"])
            before, kernel = after, now
    assert paths == {"kernel", "user"}
    s.check()
