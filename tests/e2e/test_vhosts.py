# SPDX-License-Identifier: GPL-2.0-only
"""Route configurations that look for the route otherwise: vhost_header,
ignore_path_parameters_in_path_matching, internal_only_headers."""
import json
import subprocess

from lib.config import cluster, dump, header_exact, listener, route
from lib.http1 import Conn
from lib.keeper import Keeper
from lib.runner import test

FRONT = ("127.0.0.1", 8000)
PATHS = {"kernel": {}, "user": {"kernel_path": False}}


def serve(t, vhosts, path, hcm=None, **route_config):
    """@vhosts: {domain: routes}. sluice and its one server, which keeps what it gets."""
    front = listener("front", FRONT, [])
    manager = front["filter_chains"][0]["filters"][0]["typed_config"]
    manager.update(hcm or {})
    manager["route_config"] = {"name": "routes", **route_config, "virtual_hosts": [
        {"name": domain, "domains": [domain], "routes": routes}
        for domain, routes in vhosts.items()]}
    tree = {"static_resources": {"listeners": [front],
                                 "clusters": [cluster("one", [("127.0.0.1", 9001)])]}}
    if PATHS[path]:
        tree["sluice"] = PATHS[path]
    server = Keeper(t, 9001)
    return t.sluice(dump(tree) + "\n"), server


def explained(t, s, target, headers, source="127.0.0.1", host="test"):
    """What `sluice explain` says about the request, as a tree."""
    argv = [part for name, value in headers for part in ("-H", f"{name}: {value}")]
    done = subprocess.run([t.sluice_bin, "explain", "-c", s.config_path, "--json", "--from", source,
                           "GET", f"http://{host}{target}", *argv],
                          capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def routed(t, s, conn, target, headers, host="test"):
    """The route that took the request, None for 404; `sluice explain` has to say the same."""
    before = s.stats().by_route()
    r = conn.request("GET", target, headers, host=host)
    after = s.stats().by_route()
    took = [name for name in after if after[name] != before.get(name, 0)]
    tree = explained(t, s, target, headers, host=host)
    assert r.status == (200 if took else 404) and len(took) <= 1, (target, headers, r, took)
    assert (tree["route"] or {}).get("name") == (took[0] if took else None), (headers, tree)
    return took[0] if took else None


NAME = "X-Route-Host"


@test(each=list(PATHS))
def vhost_header(t, path):
    """Its first value is the host by which the virtual host is found, as Host would be; without it there
    is none. The Host is sent on as it was, and matchers of :authority see that one."""
    s, one = serve(t, {
        "a.example": [route(to="one", headers=[header_exact(":authority", "inner")], name="inner"),
                      route(to="one", name="a")],
        "*.b.example": [route(to="one", name="b")],
        "*": [route(to="one", name="rest")]}, path, vhost_header=NAME,
        ignore_port_in_host_matching=True)
    with Conn(FRONT) as conn:
        for values, host, want in (
                (["a.example"], "test", "a"), (["A.Example:81"], "test", "a"),
                (["a.example"], "inner", "inner"), (["x.b.example"], "a.example", "b"),
                (["other"], "a.example", "rest"), (["a.example", "x.b.example"], "test", "a"),
                ([], "a.example", None), ([""], "a.example", "rest")):
            headers = [(NAME.lower(), value) for value in values]
            assert routed(t, s, conn, "/", headers, host) == want, (values, host)
            if want:
                assert one.last().all("host") == [host], one.last()
                assert one.last().all(NAME.lower()) == values, one.last()
    tree = explained(t, s, "/", [(NAME, "a.example")])
    assert tree["path"] == "user" and tree["served_in_user_space_for"] == "vhost_header", tree
    if path == "kernel":
        assert s.stats().kernel == 0 and s.stats().reasons.get("route_needs_user", 0) >= 7, s.stats()
    s.check()


@test()
def vhost_header_of_one(t):
    """A virtual host for all hosts needs none."""
    s, _ = serve(t, {"*": [route(to="one", name="all")]}, "kernel", vhost_header=NAME)
    with Conn(FRONT) as conn:
        assert routed(t, s, conn, "/", []) == "all"
        assert routed(t, s, conn, "/", [(NAME, "x")]) == "all"


def template(text):
    return {"path_match_policy": {"name": "envoy.path.match.uri_template.uri_template_matcher",
                                  "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3."
                     "UriTemplateMatchConfig", "path_template": text}}}


@test(each=list(PATHS))
def path_parameters(t, path):
    """ignore_path_parameters_in_path_matching: routes are looked for without the ";..." of each part of
    the path, which is sent on as it was; ":path" and URI templates are compared as it was. What has no
    parameters stays in the kernel."""
    def to(name, **match):
        return {"name": name, "match": match, "route": {"cluster": "one"}}
    s, one = serve(t, {"*": [
        to("raw", prefix="/raw", headers=[{"name": ":path", "string_match": {"contains": ";v=1"}}]),
        to("template", **template("/t/{a}")),
        to("exact", path="/auth"),
        to("below", path_separated_prefix="/auth/users"),
        to("query", prefix="/q", query_parameters=[{"name": "k", "string_match": {"exact": "1"}}]),
        to("regex", safe_regex={"regex": "/r/[0-9]+"}),
        to("rest", prefix="/")]}, path, ignore_path_parameters_in_path_matching=True)
    with Conn(FRONT) as conn:
        for target, want in (
                ("/auth", "exact"), ("/auth;x=y", "exact"), ("/auth;", "exact"),
                ("/auth;x=y?q=;z", "exact"), ("/auth/", "rest"), ("/;a/auth", "rest"),
                ("/auth;x/users;y=1/7;z", "below"), ("/au;th", "rest"), ("/authx;y", "rest"),
                ("/r/12;a;b=/;c", "rest"), ("/r/12;a;b=", "regex"), ("/r;x/12", "regex"),
                ("/q;x?k=1;2", "rest"), ("/q;x?j=;&k=1", "query"), ("/raw;v=1/x", "raw"),
                ("/raw;v=2", "rest"), ("/t/x;y", "template"), ("/t;y/x", "rest"),
                ("/rest?a;b", "rest")):
            assert routed(t, s, conn, target, []) == want, target
            assert one.last().target == target, one.last()
        before = s.stats().kernel
        for _ in range(4):
            assert conn.get("/auth/users/1?a;b").status == 200
    if path == "kernel":
        assert s.stats().kernel >= before + 3, s.stats()
    s.check()


INSIDE = {"internal_address_config": {"cidr_ranges": [{"address_prefix": "10.0.0.0",
                                                       "prefix_len": 8}]}}


@test(each=list(PATHS))
def internal_only_headers(t, path):
    """Headers of clients that are not internal are taken away before the route is looked for; internal
    ones keep them."""
    s, one = serve(t, {"*": [
        route(to="one", headers=[header_exact("x-secret", "1")], name="secret"),
        route(to="one", name="rest")]}, path, INSIDE,
        internal_only_headers=["X-Secret", "x-other"])
    xff = "X-Forwarded-For"
    body = b"body" * 5
    with Conn(FRONT) as conn:
        for headers, want in (
                ([("x-secret", "1")], "rest"), ([], "rest"),
                ([("X-SECRET", "1"), (xff, "8.8.8.8")], "rest"),
                ([("x-secret", "1"), (xff, "10.1.2.3")], "secret"),
                ([(xff, "10.1.2.3"), ("x-other", "2")], "rest"),
                ([("x-other", "2"), ("x-other", "3"), ("x-kept", "4"), ("x-secret", "1")], "rest")):
            assert routed(t, s, conn, "/", headers) == want, headers
            got = one.last()
            inside = (xff, "10.1.2.3") in headers
            for name in ("x-secret", "x-other", "x-kept"):
                sent = [v for n, v in headers if n.lower() == name]
                assert got.all(name) == (sent if inside or name == "x-kept" else []), (headers, got)
            r = conn.request("POST", "/", headers, body=body)
            assert r.status == 200 and one.last().body == body, one.last()
    assert explained(t, s, "/", []).get("served_in_user_space_for") == "internal_only_headers"
    s.check()
