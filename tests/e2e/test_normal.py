# SPDX-License-Identifier: GPL-2.0-only
"""What listeners make of paths and hosts before the route is looked for; require_tls."""
import contextlib
import subprocess

from lib.config import config
from lib.http1 import Conn
from lib.keeper import Keeper
from lib.runner import test

from test_actions import CLUSTERS, FRONT, PATHS, action, insert, serve


@test(each=list(PATHS))
def paths(t, path):
    """normalize_path and merge_slashes: the path is routed and sent on as it should be; what is
    plain already stays in the kernel."""
    secret = action("/secret/", top={"response_headers_to_add": [
        {"header": {"key": "x-secret", "value": "1"}}]})
    s, one, _ = serve(t, [secret, action("/")], path,
                      hcm={"normalize_path": True, "merge_slashes": True})
    with Conn(FRONT) as conn:
        for sent, to, is_secret in (
                ("/a/../secret/x?q=/../", "/secret/x?q=/../", True),
                ("/%73ecret/x", "/secret/x", True), ("//secret//x", "/secret/x", True),
                ("/secret/../a", "/a", False), ("/a\\b", "/a/b", False), ("/", "/", False)):
            r = conn.get(sent)
            assert r.status == 200 and one.last().target == to, (sent, one.last())
            assert bool(r.get("x-secret")) == is_secret, (sent, r)
        assert conn.request("POST", "/a/./b", body=b"body").status == 200
        assert one.last().target == "/a/b" and one.last().body == b"body", one.last()
    for bad, status in (("/a%00", 400), ("/" + '"' * 30000, 431)):
        with Conn(FRONT) as conn:
            assert conn.get(bad).status == status, bad[:9]
            with contextlib.suppress(OSError):
                conn.send(b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
            assert conn.at_eof(), bad[:9]
        assert one.last().target != "/next"
    before = s.stats()
    with Conn(FRONT) as conn:
        for _ in range(4):
            assert conn.get("/plain/path?q=%2e").status == 200
    if path == "kernel":
        assert s.stats().kernel - before.kernel >= 3, s.stats()
    s.check()


@test()
def paths_as_they_are(t):
    """By default a path is what the client wrote."""
    s, one, _ = serve(t, [action("/")], hcm={
        "normalize_path": False, "merge_slashes": False,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED"})
    with Conn(FRONT) as conn:
        for sent in ("/a/../b", "//a", "/%2e%2F", "/a\\b"):
            assert conn.get(sent).status == 200 and one.last().target == sent, one.last()
    s.check()


@test(each=["REJECT_REQUEST", "UNESCAPE_AND_REDIRECT", "UNESCAPE_AND_FORWARD"])
def escaped_slashes(t, what):
    s, one, _ = serve(t, [action("/")], hcm={"path_with_escaped_slashes_action": what})
    with Conn(FRONT) as conn:
        r = conn.get("/a%2Fb?c%2Fd")
        if what == "REJECT_REQUEST":
            assert r.status == 400, r
        elif what == "UNESCAPE_AND_REDIRECT":
            assert (r.status, r.get("location")) == (307, "/a/b?c%2Fd"), r
        else:
            assert r.status == 200 and one.last().target == "/a/b?c%2Fd", r
    with Conn(FRONT) as conn:
        assert conn.get("/ab?c%2Fd").status == 200 and one.last().target == "/ab?c%2Fd"
    s.check()


@test(each=list(PATHS))
def hosts(t, path):
    """strip_matching_host_port and strip_trailing_host_dot; a host without both stays in the kernel."""
    text = config(FRONT, CLUSTERS, [action("/")], PATHS[path])
    text = insert(text, "stat_prefix:", {"strip_matching_host_port": True,
                                         "strip_trailing_host_dot": True})
    one, s = Keeper(t, 9001), t.sluice(text.replace('- "*"', '- "a.example"'))
    with Conn(FRONT) as conn:
        for sent, to in (("a.example:8000", "a.example"), ("a.example.", "a.example"),
                         ("a.example.:8000", "a.example"), ("A.example", "A.example")):
            r = conn.request("GET", "/", host=sent)
            assert r.status == 200 and one.last().all("host") == [to], (sent, r, one.last())
        assert conn.request("GET", "/", host="a.example:8001").status == 404
    before = s.stats()
    with Conn(FRONT) as conn:
        for _ in range(4):
            assert conn.request("GET", "/", host="a.example").status == 200
    if path == "kernel":
        assert s.stats().kernel - before.kernel >= 3, s.stats()
    s.check()


@test()
def any_port(t):
    s, one, _ = serve(t, [action("/")], hcm={"strip_any_host_port": True})
    with Conn(FRONT) as conn:
        for sent, to in (("a.example:1", "a.example"), ("[::1]:80", "[::1]"), ("b", "b")):
            assert conn.request("GET", "/", host=sent).status == 200
            assert one.last().all("host") == [to], (sent, one.last())
    s.check()


LOCAL = {"internal_address_config": {"cidr_ranges": [
    {"address_prefix": "10.1.0.0", "prefix_len": 15}, {"address_prefix": "fd00::", "prefix_len": 8},
    {"address_prefix": "127.0.0.1", "prefix_len": 32}]}}


@test(each=["by-connection", "by-header", "nobody"])
def require_tls_of_external_clients(t, how):
    """EXTERNAL_ONLY: clients that are internal by internal_address_config are not redirected; without
    it nobody is. `sluice explain` says the same."""
    hcm = {"by-connection": {"use_remote_address": True, **LOCAL}, "by-header": LOCAL, "nobody": None}
    s, one, _ = serve(t, [action("/", "all")], vhost={"require_tls": "EXTERNAL_ONLY"}, hcm=hcm[how])

    def explained(*headers, source="127.0.0.1"):
        argv = [part for name, value in headers for part in ("-H", f"{name}: {value}")]
        return subprocess.run([t.sluice_bin, "explain", "-c", s.config_path, "GET", "/a", "--from",
                               source, *argv], capture_output=True, text=True, check=True).stdout
    xff = "X-Forwarded-For"
    cases = {"by-connection": [((), True), (((xff, "10.0.0.1"),), False),
                               ((("x-envoy-internal", "true"), (xff, "8.8.8.8")), False)],
             "by-header": [((), False), (((xff, "10.0.0.1"),), True), (((xff, "10.2.0.1"),), False),
                           (((xff, "fd01::7"),), True), (((xff, "fe01::7"),), False),
                           (((xff, "10.0.0.1, 10.0.0.2"),), False),
                           (((xff, "10.0.0.1"), (xff, "10.0.0.2")), False), (((xff, "x"),), False)],
             "nobody": [((), False), (((xff, "10.0.0.1"),), False),
                        ((("x-envoy-internal", "true"),), False)]}[how]
    with Conn(FRONT) as conn:
        for headers, internal in cases:
            r = conn.get("/a", headers)
            assert r.status == (200 if internal else 301), (headers, r)
            text = explained(*headers)
            assert ("Route 'all'" in text) == internal, (headers, text)
        r = conn.get("/a", [("X-Forwarded-Proto", "https"), (xff, "8.8.8.8")])
        assert r.status == (301 if how == "by-connection" else 200), r
    assert how != "by-connection" or "Route 'all'" not in explained(source="127.0.0.2")
    s.check()


@test(each=["believed", "remote-address"])
def require_tls(t, how):
    """All that did not come by TLS is sent there; a proxy before us that ended TLS says so, unless
    nobody is believed."""
    s, one, _ = serve(t, [action("/", "all")], vhost={"require_tls": "ALL"},
                      hcm={"use_remote_address": True} if how == "remote-address" else None)
    with Conn(FRONT) as conn:
        r = conn.get("/a?b")
        assert (r.status, r.get("location")) == (301, "https://test/a?b"), r
        assert not one.requests
        for _ in range(3):
            r = conn.get("/a?b", [("X-Forwarded-Proto", "https")])
            assert r.status == (200 if how == "believed" else 301), r
    stats = s.stats()
    assert set(stats.routes) == {"all/require_tls", "all"}, stats.routes
    assert stats.kernel >= (2 if how == "believed" else 0), stats
    s.check()
