# SPDX-License-Identifier: GPL-2.0-only
"""What routes do to requests and answers: rewrites, redirects, headers, clusters by header."""
import base64
import json
import os
import re
import subprocess

from lib.config import config, dump, header_exact, route
from lib.http1 import Conn
from lib.keeper import Keeper
from lib.runner import test

FRONT = ("127.0.0.1", 8000)
PATHS = {"kernel": {}, "user": {"kernel_path": False}}
CLUSTERS = {"one": [("127.0.0.1", 9001)], "two": [("127.0.0.1", 9002)],
            "down": [("127.0.0.1", 9009)]}


def serve(t, routes, path="kernel", vhost=None, routes_config=None, hcm=None):
    """Starts sluice with two recording servers. @vhost, @routes_config, @hcm: further keys."""
    text = config(FRONT, CLUSTERS, routes, PATHS[path])
    text = insert(text, "virtual_hosts:", routes_config)
    text = insert(text, "stat_prefix:", hcm)
    text = insert(text, "domains:", vhost)
    one, two = Keeper(t, 9001), Keeper(t, 9002)
    return t.sluice(text), one, two


def insert(text, before, keys):
    """@keys above the line that has the key @before, as its siblings."""
    if not keys:
        return text
    match = re.search(rf"(?m)^( *)(- )?{re.escape(before)}", text)
    pad = match.group(1) + ("  " if match.group(2) else "")
    lines = ["" if not line else pad + line for line in dump(keys).split("\n")]
    at = match.start() + len(match.group(1)) + len(match.group(2) or "")
    return text[:at] + "\n".join(lines).lstrip() + "\n" + pad + text[at:]


def action(prefix, name=None, top=None, **keys):
    """A route to cluster one with further @keys of its action; @top: of the route itself."""
    r = route(prefix=prefix, to="one", name=name)
    if "cluster_header" in keys or "weighted_clusters" in keys:
        del r["route"]["cluster"]
    r["route"].update(keys)
    r.update(top or {})
    return r


def add(key, value, **keys):
    return {"header": {"key": key, "value": value}, **keys}


@test(each=list(PATHS))
def rewrites(t, path):
    """prefix_rewrite and regex_rewrite change the path and keep the query; the path as it was
    goes along. What is refused by the request line's grammar is answered 500."""
    exact = action("/", prefix_rewrite="/whole")
    exact["match"] = {"path": "/exact/path"}
    s, one, _ = serve(t, [
        action("/old/", prefix_rewrite="/new/"),
        action("/cut", prefix_rewrite="/"),
        exact,
        action("/service/", regex_rewrite={
            "pattern": {"regex": "^/service/([^/]+)(/.*)$"}, "substitution": "\\2/instance/\\1"}),
        action("/bad/", regex_rewrite={"pattern": {"regex": "^/bad/"}, "substitution": ""}),
        action("/"),
    ], path)
    with Conn(FRONT) as conn:
        for sent, expected in {
            "/old/x?q=/old/": "/new/x?q=/old/",
            "/cut": "/",
            "/cutter?a": "/ter?a",
            "/exact/path?q=1": "/whole?q=1",
            "/service/foo/v1/api?x=/service/": "/v1/api/instance/foo?x=/service/",
            "/plain?x": "/plain?x",
        }.items():
            assert conn.get(sent).status == 200
            got = one.last()
            assert got.target == expected, (sent, got)
            assert got.get("x-envoy-original-path") == (sent if sent != expected else None), got
        n = len(one.requests)
        assert conn.get("/bad/x").status == 500
        assert conn.get("/bad//x").status == 200 and one.last().target == "/x"
        assert len(one.requests) == n + 1
    if path == "kernel":
        reasons = s.stats().reasons
        assert reasons.get("route_needs_user", 0) >= 7, reasons
    s.check()


@test()
def suppressed_envoy_headers(t):
    """The router's suppress_envoy_headers: no x-envoy-original-path."""
    text = config(FRONT, CLUSTERS, [action("/old", prefix_rewrite="/new")])
    text = insert(text, '"@type": "type.googleapis.com/envoy.extensions.filters.http.router',
                  {"suppress_envoy_headers": True})
    one = Keeper(t, 9001)
    t.sluice(text)
    with Conn(FRONT) as conn:
        assert conn.get("/old/1").status == 200
    assert one.last().target == "/new/1" and not one.last().get("x-envoy-original-path")


@test(each=list(PATHS))
def hosts(t, path):
    s, one, _ = serve(t, [
        action("/literal", host_rewrite_literal="inner.example:81"),
        action("/header", host_rewrite_header="x-host"),
        action("/path/", host_rewrite_path_regex={
            "pattern": {"regex": "^/path/([a-z.]+)/.*$"}, "substitution": "\\1.example"}),
        action("/forwarded", host_rewrite_literal="inner", append_x_forwarded_host=True),
    ], path)
    with Conn(FRONT) as conn:
        for sent, headers, host in (
                ("/literal", (), "inner.example:81"),
                ("/header", (("X-Host", "by-header"),), "by-header"),
                ("/header", (), "test"),
                ("/path/foo/x?y", (), "foo.example"),
                ("/forwarded", (), "inner")):
            assert conn.get(sent, headers).status == 200
            assert one.last().all("host") == [host], (sent, one.last())
        assert one.last().all("x-forwarded-host") == ["test"]
        conn.get("/forwarded", [("X-Forwarded-Host", "first")])
        assert one.last().all("x-forwarded-host") == ["first,test"]
        conn.get("/forwarded", [("X-Forwarded-Host", "first, test")])
        assert one.last().all("x-forwarded-host") == ["first, test"]
        # An absolute-form target names the host.
        conn.send(b"GET http://outer/literal HTTP/1.1\r\nHost: outer\r\n\r\n")
        assert conn.response().status == 200
        assert one.last().all("host") == ["inner.example:81"] and one.last().target == "/literal"
    s.check()


@test(each=list(PATHS))
def formats(t, path):
    """path_rewrite and host_rewrite: text with command operators, of the request as the route has
    changed it; the query stays. A path that comes out empty changes nothing, a value that is
    missing in a host is "-"; what is no path is answered 500."""
    s, one, _ = serve(t, [
        action("/a", path_rewrite="/%REQ(x-version)%/new%PATH(NQ)%", top={
            "request_headers_to_add": [add("x-version", "v2")]}),
        action("/b", path_rewrite="%REQ(x-none)%"),
        action("/c", path_rewrite="%REQ(x-path?x-other):6%"),
        action("/d", host_rewrite="%REQ(x-tenant)%.%REQ(x-zone)%.example",
               append_x_forwarded_host=True),
        action("/e", path_rewrite="%PATH%", host_rewrite="plain.example"),
    ], path)
    with Conn(FRONT) as conn:
        for sent, headers, target, host in (
                ("/a/b?q=1", {}, "/v2/new/a/b?q=1", "test"),
                ("/b/x?q", {}, "/b/x?q", "test"),
                ("/c/x?q", {"x-other": "/abcdefgh"}, "/abcde?q", "test"),
                ("/d", {"x-tenant": "t", "x-zone": "z"}, "/d", "t.z.example"),
                ("/d", {"x-zone": "z"}, "/d", "-.z.example"),
                ("/e?q", {}, "/e?q?q", "plain.example")):
            assert conn.get(sent, headers.items()).status == 200
            got = one.last()
            assert got.target == target and got.all("host") == [host], (sent, got)
            assert got.get("x-envoy-original-path") == (None if sent[:2] in ("/b", "/d")
                                                        else sent), got
            assert got.get("x-envoy-original-host") == (None if host == "test" else "test"), got
            assert got.get("x-forwarded-host") == ("test" if sent == "/d" else None), got
        n = len(one.requests)
        for bad in ("relative", "/a b", "/a#b"):
            assert conn.get("/c", [("X-Path", bad)]).status == 500, bad
        assert len(one.requests) == n
    s.check()


def with_hostnames(text, names):
    """@names: {port: hostname} of endpoints."""
    for port, name in names.items():
        text = re.sub(rf'(?m)^( *)(address:\n *socket_address:\n *address: .*\n *port_value: {port})$',
                      rf'\1hostname: "{name}"\n\1\2', text)
    return text


@test(each=list(PATHS))
def auto_host_rewrite(t, path):
    """Host is the name of the endpoint that gets the request, also when another one has failed;
    an endpoint without a name leaves it."""
    policy = {"retry_on": "5xx", "retry_back_off": {"base_interval": "0.001s"}}
    text = config(FRONT, {"one": [("127.0.0.1", 9001), ("127.0.0.1", 9002)],
                          "none": [("127.0.0.1", 9003)], "name": [("localhost", 9004)],
                          "down": [("127.0.0.1", 9009), ("127.0.0.1", 9002)]}, [
        action("/one", auto_host_rewrite=True, append_x_forwarded_host=True, retry_policy=policy),
        action("/none", weighted_clusters={"clusters": [{"name": "none", "weight": 1}]},
               auto_host_rewrite=True),
        action("/name", weighted_clusters={"clusters": [{"name": "name", "weight": 1}]},
               auto_host_rewrite=True),
        action("/down", weighted_clusters={"clusters": [{"name": "down", "weight": 1}]},
               auto_host_rewrite=True),
        action("/off", auto_host_rewrite=False)], PATHS[path])
    text = with_hostnames(text, {9001: "a.example", 9002: "long.name.b.example", 9009: "gone"})
    at = text.index("localhost")
    before = text[:at].rindex('type: "STATIC"')
    text = text[:before] + 'dns_lookup_family: "V4_ONLY"\n      type: "STRICT_DNS"' + \
        text[before + len('type: "STATIC"'):]
    servers = {port: Keeper(t, port) for port in (9001, 9002, 9003, 9004)}
    s = t.sluice(text)
    names = {9001: "a.example", 9002: "long.name.b.example", 9003: "test", 9004: "localhost"}

    def check(*ports):
        for port in ports:
            for q in servers[port].requests:
                assert q.all("host") == [names[port]], q
            assert servers[port].requests, port
    with Conn(FRONT) as conn:
        for i in range(6):
            r = conn.request("POST", "/one", body=b"b" * i)
            assert r.status == 200
        check(9001, 9002)
        assert servers[9001].last().all("x-forwarded-host") == ["test"]
        assert servers[9001].last().all("x-envoy-original-host") == ["test"]
        servers[9001].answer = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
        before = len(servers[9002].requests)
        for i in range(6):
            r = conn.request("POST", "/one", body=b"body" * i)
            assert r.status == 200 and servers[9002].last().body == b"body" * i, r
        assert len(servers[9002].requests) == before + 6
        for _ in range(4):
            assert conn.get("/down").status == 200
        for where in ("/none", "/name"):
            assert conn.get(where).status == 200
        check(9001, 9002, 9003, 9004)
        conn.get("/off")
        assert [q.all("host") for q in servers[9001].requests + servers[9002].requests
                if q.target == "/off"] == [["test"]]
    s.check()


REDIRECTS = {
    "https_redirect": ({"https_redirect": True}, "https://test/r?q=1", 301),
    "scheme_redirect": ({"scheme_redirect": "ftp"}, "ftp://test/r?q=1", 301),
    "host_redirect": ({"host_redirect": "other.example"}, "http://other.example/r?q=1", 301),
    "port_redirect": ({"port_redirect": 8443}, "http://test:8443/r?q=1", 301),
    "path_redirect": ({"path_redirect": "/new"}, "http://test/new?q=1", 301),
    "path_with_query": ({"path_redirect": "/new?own", "strip_query": True},
                        "http://test/new?own", 301),
    "prefix_rewrite": ({"prefix_rewrite": "/p"}, "http://test/p?q=1", 301),
    "regex_rewrite": ({"regex_rewrite": {"pattern": {"regex": "^/(.)$"},
                                         "substitution": "/\\1\\1"}}, "http://test/rr?q=1", 301),
    "strip_query": ({"host_redirect": "h", "strip_query": True}, "http://h/r", 301),
    "found": ({"path_redirect": "/n", "response_code": "FOUND"}, "http://test/n?q=1", 302),
    "see_other": ({"path_redirect": "/n", "response_code": "SEE_OTHER"}, "http://test/n?q=1", 303),
    "temporary": ({"path_redirect": "/n", "response_code": "TEMPORARY_REDIRECT"},
                  "http://test/n?q=1", 307),
    "permanent": ({"path_redirect": "/n", "response_code": "PERMANENT_REDIRECT"},
                  "http://test/n?q=1", 308),
}


@test(each=list(PATHS))
def redirects(t, path):
    """Each field of a redirect, and Envoy's rule for the port of the request's host."""
    routes = []
    for name, (redirect, _, _) in REDIRECTS.items():
        r = route(prefix="/r", to="one", headers=[header_exact("x-case", name)])
        del r["route"]
        r["redirect"] = redirect
        r["response_headers_to_add"] = [add("x-from", "%REQ(x-case)%")]
        routes.append(r)
    s, one, _ = serve(t, routes, path)
    with Conn(FRONT) as conn:
        for name, (_, location, status) in REDIRECTS.items():
            r = conn.get("/r?q=1", [("X-Case", name)])
            assert (r.status, r.get("location")) == (status, location), (name, r)
            assert r.body == b"" and r.get("x-from") == name, (name, r)
        for host, name, location in (
                ("test:80", "https_redirect", "https://test/r"),
                ("test:81", "https_redirect", "https://test:81/r"),
                ("[::1]:80", "https_redirect", "https://[::1]/r"),
                ("[::1]", "https_redirect", "https://[::1]/r"),
                ("test:80", "path_redirect", "http://test:80/new"),
                ("test:81", "port_redirect", "http://test:8443/r")):
            r = conn.request("GET", "/r", [("X-Case", name)], host=host)
            assert r.get("location") == location, (host, name, r)
        for host, name, location in (
                ("test", "path_redirect", "https://test/new"),
                ("test:443", "https_redirect", "https://test:443/r"),
                ("test:443", "scheme_redirect", "ftp://test/r"),
                ("test:80", "scheme_redirect", "ftp://test:80/r")):
            r = conn.request("GET", "/r", [("X-Case", name), ("X-Forwarded-Proto", "https")],
                             host=host)
            assert r.get("location") == location, (host, name, r)
        r = conn.request("HEAD", "/r", [("X-Case", "found")])
        assert r.status == 302
    assert not one.requests
    s.check()


@test(each=list(PATHS))
def append_actions(t, path):
    """The four append_actions and the deprecated append, on requests and on answers."""
    changes = [add("x-append", "new"),
               add("x-absent", "new", append_action="ADD_IF_ABSENT"),
               add("x-over", "new", append_action="OVERWRITE_IF_EXISTS_OR_ADD"),
               add("x-exists", "new", append_action="OVERWRITE_IF_EXISTS"),
               add("x-old-append", "new", append=True),
               add("x-old-over", "new", append=False),
               add("x-empty", ""), add("x-kept", "", keep_empty_value=True)]
    s, one, _ = serve(t, [action("/", top={
        "request_headers_to_add": changes, "response_headers_to_add": changes,
        "request_headers_to_remove": ["x-gone"], "response_headers_to_remove": ["X-Gone"]})], path)
    names = ["x-append", "x-absent", "x-over", "x-exists", "x-old-append", "x-old-over", "x-gone"]
    both = [(n, v) for n in names for v in ("a", "b")]
    present = {"x-append": ["a", "b", "new"], "x-absent": ["a", "b"], "x-over": ["new"],
               "x-exists": ["new"], "x-old-append": ["a", "b", "new"], "x-old-over": ["new"],
               "x-gone": [], "x-empty": [], "x-kept": [""]}
    absent = {**{n: ["new"] for n in names}, "x-exists": [], "x-gone": [],
              "x-empty": [], "x-kept": [""]}
    for headers, expected in ((both, present), ((), absent)):
        lines = "".join(f"{n}: {v}\r\n" for n, v in headers).encode()
        one.answer = b"HTTP/1.1 200 OK\r\n" + lines + b"Content-Length: 2\r\n\r\nok"
        with Conn(FRONT) as conn:
            r = conn.get("/", headers)
            assert r.status == 200 and r.body == b"ok", r
        for name, values in expected.items():
            assert one.last().all(name) == values, (name, one.last())
            got = [v for n, v in r.headers if n == name]
            assert got == values, (name, r)
    s.check()


LEVELS = ("cluster", "route", "vhost", "config")


def level(name):
    return {"request_headers_to_add": [
                add("x-order", name), add("x-wins", name,
                                          append_action="OVERWRITE_IF_EXISTS_OR_ADD")],
            "response_headers_to_add": [
                add("x-order", name), add("x-wins", name,
                                          append_action="OVERWRITE_IF_EXISTS_OR_ADD")]}


@test(each=["default", "most-specific"])
def order_of_levels(t, order):
    """Of the split's cluster first, then route, virtual host, route config: the last one wins; with
    most_specific_header_mutations_wins the route's wins."""
    specific = order != "default"
    keys = level("config")
    if specific:
        keys["most_specific_header_mutations_wins"] = True
    s, one, _ = serve(t, [action("/", top=level("route"), weighted_clusters={
        "clusters": [{"name": "one", "weight": 1, **level("cluster")},
                     {"name": "two", "weight": 0}]})], vhost=level("vhost"), routes_config=keys)
    expected = list(LEVELS) if not specific else ["cluster", "config", "vhost", "route"]
    with Conn(FRONT) as conn:
        r = conn.get("/")
    assert one.last().all("x-order") == expected, one.last()
    assert r.get("x-order") == ", ".join(expected), r
    assert one.last().all("x-wins") == [expected[-1]] and r.get("x-wins") == expected[-1]
    s.check()


@test(each=list(PATHS))
def removes_at_every_level(t, path):
    """Each level takes away headers of the request and of the answer; what a level adds, one that
    comes later can take away."""
    def without(of, **more):
        return {"request_headers_to_remove": [f"x-{of}", "x-not-there"],
                "response_headers_to_remove": [f"X-{of}"], **more}
    late = {"request_headers_to_add": [add("x-vhost", "by the route")],
            "response_headers_to_add": [add("x-vhost", "by the route")]}
    s, one, _ = serve(t, [action("/", top=without("route", **late), weighted_clusters={
        "clusters": [{"name": "one", "weight": 1, **without("cluster")},
                     {"name": "two", "weight": 0}]})],
                      path, vhost=without("vhost"), routes_config=without("config"))
    names = ["cluster", "route", "vhost", "config", "kept"]
    headers = [(f"X-{n}", "1") for n in names] * 2
    one.answer = ("HTTP/1.1 200 OK\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers) +
                  "Content-Length: 0\r\n\r\n").encode()
    with Conn(FRONT) as conn:
        r = conn.get("/", headers)
    for name in names[:-1]:
        assert one.last().all(f"x-{name}") == [] and r.get(f"x-{name}") is None, (name, r)
    assert one.last().all("x-kept") == ["1", "1"] and r.get("x-kept") == "1, 1", r
    s.check()


@test()
def values(t):
    """Command operators in the values of headers."""
    s, one, _ = serve(t, [action("/", name="the-route", top={
        "request_headers_to_add": [
            add("x-peer", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"),
            add("x-direct", "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%"),
            add("x-local", "[%DOWNSTREAM_LOCAL_ADDRESS%] %DOWNSTREAM_LOCAL_PORT%"),
            add("x-percent", "100%%"),
            add("x-req", "%REQ(:METHOD)% %REQ(:PATH)% %REQ(:AUTHORITY)% %REQ(:scheme)%"),
            add("x-alt", "%REQ(x-none?x-some):3%"),
            add("x-missing", "%REQ(x-none)%"),
            add("x-cluster", "%UPSTREAM_CLUSTER%"),
            add("x-host", "%UPSTREAM_HOST%"),
            add("x-route", "%ROUTE_NAME% %PROTOCOL%"),
            add("x-swap-a", "%REQ(x-swap-b)%", append_action="OVERWRITE_IF_EXISTS_OR_ADD"),
            add("x-swap-b", "%REQ(x-swap-a)%", append_action="OVERWRITE_IF_EXISTS_OR_ADD"),
        ],
        "response_headers_to_add": [
            add("x-upstream", "%UPSTREAM_HOST% %UPSTREAM_CLUSTER%"),
            add("x-code", "%RESPONSE_CODE% %RESP(x-kind)%"),
            add("x-asked", "%REQ(x-some)% %REQ(:path)%"),
            add("x-time", "%START_TIME%"),
        ]})])
    one.answer = b"HTTP/1.1 201 Made\r\nX-Kind: good\r\nContent-Length: 0\r\n\r\n"
    with Conn(FRONT) as conn:
        port = conn.sock.getsockname()[1]
        r = conn.get("/p?q", [("X-Some", "abcdef"), ("X-Swap-A", "a"), ("X-Swap-B", "b")])
    got = one.last()
    for name, value in {
            "x-peer": "127.0.0.1", "x-direct": f"127.0.0.1:{port}",
            "x-local": "[127.0.0.1:8000] 8000", "x-percent": "100%",
            "x-req": "GET /p?q test http", "x-alt": "abc", "x-missing": None, "x-cluster": "one",
            "x-host": None, "x-route": "the-route HTTP/1.1", "x-swap-a": "b",
            "x-swap-b": "a"}.items():
        assert got.get(name) == value, (name, got)
    assert r.get("x-upstream") == "127.0.0.1:9001 one", r
    assert r.get("x-code") == "201 good" and r.get("x-asked") == "abcdef /p?q", r
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", r.get("x-time")), r
    s.check()


@test()
def own_answers(t):
    """What the route adds to answers is also in those that sluice gives itself."""
    down = action("/down", top={"response_headers_to_add": [add("x-why", "%RESPONSE_CODE%")]})
    down["route"]["cluster"] = "down"
    direct = route(prefix="/direct", direct=(418, "tea"))
    direct["response_headers_to_add"] = [add("x-why", "%RESPONSE_CODE% %REQ(x-a)%"),
                                         add("content-type", "text/tea",
                                             append_action="OVERWRITE_IF_EXISTS")]
    s, _, _ = serve(t, [down, direct])
    with Conn(FRONT) as conn:
        r = conn.get("/down")
        assert r.status == 503 and r.get("x-why") == "503", r
        r = conn.get("/direct", [("X-A", "b")])
        assert (r.status, r.body, r.get("x-why")) == (418, b"tea", "418 b"), r
        assert r.get("content-type") == "text/tea", r
    s.check()


@test(each=list(PATHS))
def body_format(t, path):
    """direct_response.body_format: text and JSON of the request and of the body, in the type that
    they say; what is missing is "-", null, or nothing with omit_empty_values."""
    def direct(prefix, status, body, **form):
        r = route(prefix=prefix, direct=(status, body))
        r["direct_response"]["body_format"] = form
        return r
    s, _, _ = serve(t, [
        direct("/text", 418, "tea", text_format_source={
            "inline_string": "%LOCAL_REPLY_BODY% for %REQ(x-name)%: %RESPONSE_CODE%, 100%%\n"}),
        direct("/empty", 200, "x", text_format="<%REQ(x-name)%%UPSTREAM_HOST%>",
               omit_empty_values=True, content_type="text/x-special"),
        direct("/json", 503, 'say "no"\n', json_format={
            "status": "%RESPONSE_CODE%", "text": "%RESPONSE_CODE%: %REQ(x-name)%",
            "message": "%LOCAL_REPLY_BODY%", "name": "%REQ(x-name)%", "plain": 'a "b"',
            "list": [1, True, {"host": "%UPSTREAM_HOST%"}]}),
        direct("/nobody", 204, None, text_format="never"),
    ], path)
    with Conn(FRONT) as conn:
        for name, shown in (("Ann", "Ann"), (None, "-")):
            r = conn.get("/text", [("X-Name", name)] if name else [])
            assert (r.status, r.body) == (418, f"tea for {shown}: 418, 100%\n".encode()), r
            assert r.get("content-type") == "text/plain"
        r = conn.get("/empty")
        assert (r.body, r.get("content-type")) == (b"<>", "text/x-special"), r
        r = conn.request("HEAD", "/empty", [("x-name", "four")])
        assert r.status == 200 and r.get("content-length") == "6" and not r.body, r
        for name in ('q"\\t', None):
            r = conn.get("/json", [("X-Name", name)] if name else [])
            assert r.status == 503 and r.get("content-type") == "application/json", r
            assert json.loads(r.body) == {
                "status": 503, "text": f"503: {name or '-'}", "message": 'say "no"\n', "name": name,
                "plain": 'a "b"', "list": [1, True, {"host": None}]}, r
            assert list(json.loads(r.body))[0] == "status" and r.body.endswith(b"}\n")
        r = conn.request("GET", "/json", [("x-name", "\xff")])
        assert "\ufffd" in json.loads(r.body)["name"], r
        r = conn.get("/nobody")
        assert (r.status, r.body) == (204, b""), r
    s.check()


@test(each=list(PATHS))
def body_sources(t, path):
    """The body of a direct_response and the text of its format from bytes, a file, and the environment;
    a reload reads the file anew, and one that is not there any more changes nothing."""
    page = t.write("page.html", "<p>one</p>\n")

    def direct(prefix, body, **form):
        r = route(prefix=prefix, direct=(200, None))
        r["direct_response"]["body"] = body
        if form:
            r["direct_response"]["body_format"] = form
        return r
    raw = bytes(range(256))
    s, _, _ = serve(t, [
        direct("/file", {"filename": page}),
        direct("/bytes", {"inline_bytes": base64.b64encode(raw).decode()}),
        direct("/env", {"environment_variable": "PATH"}),
        direct("/format", {"inline_bytes": "YWI"}, text_format_source={
            "inline_bytes": base64.b64encode(b"%REQ(:method)% %LOCAL_REPLY_BODY%").decode()}),
        direct("/long", {"inline_string": "x" * 50000}),
        direct("/sorted", {"inline_string": "x"}, json_format={"b": {"z": 1, "y": "%PROTOCOL%"},
                                                               "a": 2},
               json_format_options={"sort_properties": True}),
    ], path, routes_config={"max_direct_response_body_size_bytes": 60000})

    def bodies():
        with Conn(FRONT) as conn:  # with room for the answer, so that BPF can give it
            return [conn.get(where, [("X-Pad", "p" * 2000)]).body for where in (
                "/file", "/bytes", "/env", "/format", "/long", "/sorted")]
    expected = [b"<p>one</p>\n", raw, os.environ["PATH"].encode(), b"GET ab", b"x" * 50000,
                b'{"a":2,"b":{"y":"HTTP/1.1","z":1}}\n']
    assert bodies() == expected
    if path == "kernel":
        assert s.stats().kernel >= 3, s.stats()
    with open(page, "w") as f:
        f.write("<p>two</p>\n")
    assert bodies() == expected
    s.run("reload")
    expected[0] = b"<p>two</p>\n"
    assert bodies() == expected
    os.unlink(page)
    assert "does not exist" in s.run("reload", code=1)
    assert bodies() == expected
    s.check()


@test(each=list(PATHS))
def cluster_header(t, path):
    """The cluster that the request names; the configured status if there is none of that name."""
    s, one, two = serve(t, [
        action("/a", cluster_header="X-Cluster"),
        action("/host", cluster_header=":authority"),
        action("/b", cluster_header="x-cluster", cluster_not_found_response_code="NOT_FOUND"),
        action("/c", cluster_header="x-cluster",
               cluster_not_found_response_code="INTERNAL_SERVER_ERROR")], path)
    with Conn(FRONT) as conn:
        for name, backend in (("one", one), ("two", two)):
            before = len(backend.requests)
            assert conn.get("/a", [("x-cluster", name)]).status == 200
            assert conn.request("GET", "/host", host=name).status == 200
            assert len(backend.requests) == before + 2
        for where, status in (("/a", 503), ("/b", 404), ("/c", 500)):
            assert conn.get(where, [("x-cluster", "three")]).status == status
            r = conn.get(where)
            assert (r.status, r.body) == (status, b""), r
        assert conn.get("/a", [("x-cluster", "down")]).status == 503
    s.check()


@test(each=list(PATHS))
def cluster_header_in_split(t, path):
    """A member of a split that a header names: it has its share, its headers and its name for
    `sluice weights`; a request that names no cluster is answered as with cluster_header."""
    s, one, two = serve(t, [action("/", name="split", cluster_not_found_response_code="NOT_FOUND",
                                   weighted_clusters={"header_name": "x-draw", "clusters": [
        {"name": "one", "weight": 25},
        {"cluster_header": "X-Cluster", "weight": 75, "host_rewrite_literal": "by-header",
         "request_headers_to_add": [add("x-split", "%UPSTREAM_CLUSTER%")]}]})], path)

    def get(draw, *names):
        with Conn(FRONT) as conn:
            return conn.get("/", [("x-draw", str(draw))] + [("x-cluster", n) for n in names])
    assert get(0, "two").status == 200 and one.last().all("host") == ["test"]
    for name, server in (("two", two), ("one", one)):
        before = len(server.requests)
        assert get(25, name).status == 200 and len(server.requests) == before + 1
        assert server.last().all("host") == ["by-header"], server.last()
        assert server.last().all("x-split") == [name]
    for names in ((), ("three",), ("cluster_header:x-cluster",), ("TWO",)):
        r = get(99, *names)
        assert (r.status, r.body) == (404, b""), (names, r)
    assert get(99, "two", "one").status == 200 and two.last().all("x-split") == ["two"]
    assert "cluster_header:x-cluster" in s.run("weights", "split")
    s.run("weights", "split", "one=100", "cluster_header:x-cluster=0")
    before = len(two.requests)
    assert all(get(i, "two").status == 200 for i in range(100)) and len(two.requests) == before
    s.check()


@test(each=list(PATHS))
def split_header(t, path):
    """weighted_clusters.header_name: the number that the request carries decides, if it carries
    one; per-cluster host and headers go with the cluster."""
    s, one, two = serve(t, [action("/", weighted_clusters={"header_name": "x-random", "clusters": [
        {"name": "one", "weight": 25, "host_rewrite_literal": "host-one",
         "request_headers_to_add": [add("x-split", "one")]},
        {"name": "two", "weight": 75, "response_headers_to_add": [add("x-split", "two")]}]})], path)
    with Conn(FRONT) as conn:
        for n, backend in ((0, one), (24, one), (25, two), (99, two), (100, one), (124, one),
                           (18446744073709551615, one), (125, two)):
            before = len(backend.requests)
            r = conn.get("/", [("X-Random", str(n))])
            assert r.status == 200 and len(backend.requests) == before + 1, n
            assert r.get("x-split") == ("two" if backend is two else None), (n, r)
        assert one.last().all("host") == ["host-one"] and one.last().get("x-split") == "one"
        assert two.last().all("host") == ["test"]
        before = len(one.requests)
        for headers in [[("x-random", "x")], [("x-random", "0"), ("x-random", "0")],
                        [("x-random", "18446744073709551616")], []] * 10:
            assert conn.get("/", headers).status == 200
        assert 6 <= len(one.requests) - before <= 14, len(one.requests) - before
    s.check()


@test()
def explained(t):
    """`sluice explain` names the field for which the user path serves the route."""
    redirect = route(prefix="/redirect", to="one")
    del redirect["route"]
    redirect["redirect"] = {"https_redirect": True}
    path = t.write("explain.yaml", config(FRONT, CLUSTERS, [
        redirect, action("/prefix", prefix_rewrite="/"), action("/header", cluster_header="x"),
        action("/add", top={"response_headers_to_add": [add("a", "b")]}),
        route(prefix="/direct", direct=(200, "x")), route(prefix="/", to="one")]))
    room = subprocess.run([t.sluice_bin, "explain", "-c", path, "GET", "/direct?" + "q" * 100],
                          capture_output=True, text=True, check=True).stdout
    assert "Kernel path, when the client is captured and on this host." in room, room
    assert "it takes 118 bytes, the request has" in room and "served in user" not in room, room
    for where, why, name in (
            ("/redirect", "redirect", "redirect"), ("/prefix", "prefix_rewrite", "cluster"),
            ("/header", "cluster_header", "cluster_header"),
            ("/add", "response_headers_to_add", "cluster"),
            ("/direct", "direct_response", "direct_response"), ("/", None, "cluster")):
        argv = [t.sluice_bin, "explain", "-c", path, "GET", where]
        text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        tree = json.loads(subprocess.run(argv + ["--json"], capture_output=True, text=True,
                                         check=True).stdout)
        assert (f"{why}: served in user space" in text) == (why is not None), text
        assert tree.get("served_in_user_space_for") == why and tree["route"]["action"] == name, tree
        assert tree["path"] == ("user" if why else "kernel"), tree
    assert tree["status"] is None


@test()
def explained_by_headers(t):
    """Of a cluster or a place in a split that a header says, `sluice explain` says which it is."""
    draw = action("/draw", weighted_clusters={"header_name": "x-draw", "clusters": [
        {"name": "one", "weight": 25}, {"name": "two", "weight": 75}]})
    path = t.write("explain.yaml", config(FRONT, CLUSTERS, [
        action("/header", cluster_header="X-Cluster", cluster_not_found_response_code="NOT_FOUND"),
        draw]))

    def explain(where, *words):
        argv = [t.sluice_bin, "explain", "-c", path, "GET", where, *words]
        return [subprocess.run(argv + more, capture_output=True, text=True, check=True).stdout
                for more in ([], ["--json"])]
    text, tree = explain("/header", "-H", "x-cluster: two")
    assert "Header 'x-cluster' names the cluster." in text and "\n  two " in text, text
    tree = json.loads(tree)
    assert [c["name"] for c in tree["route"]["clusters"]] == ["two"] and tree["status"] is None, tree
    for words in ((), ("-H", "x-cluster: three")):
        text, tree = explain("/header", *words)
        assert "Header 'x-cluster' names no cluster." in text, text
        assert "Answered 404 by sluice itself." in text, text
        tree = json.loads(tree)
        assert tree["route"]["clusters"] == [] and tree["status"] == 404, tree
    for n, name in ((24, "one"), (25, "two"), (100, "one")):
        text, tree = explain("/draw", "-H", f"x-draw: {n}")
        assert f"By the number in header 'x-draw': to {name}." in text, text
        assert json.loads(tree)["by_header_name"] == name, tree
    text, tree = explain("/draw", "-H", "x-draw: none")
    assert "By the number" not in text and json.loads(tree)["by_header_name"] is None, text
