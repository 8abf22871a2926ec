# SPDX-License-Identifier: GPL-2.0-only
"""URI templates: path_match_policy and path_rewrite_policy."""
import json
import subprocess

from lib.http1 import Conn
from lib.runner import test

from test_actions import FRONT, PATHS, action, serve

EXTENSION = "type.googleapis.com/envoy.extensions.path"


def template(text, to="one", rewrite=None, **keys):
    r = action("/", **keys)
    r["route"]["cluster"] = to
    r["match"] = {"path_match_policy": {
        "name": "envoy.path.match.uri_template.uri_template_matcher",
        "typed_config": {"@type": f"{EXTENSION}.match.uri_template.v3.UriTemplateMatchConfig",
                         "path_template": text}}}
    if rewrite:
        r["route"].update(path_rewrite_policy={
            "name": "envoy.path.rewrite.uri_template.uri_template_rewriter",
            "typed_config": {
                "@type": f"{EXTENSION}.rewrite.uri_template.v3.UriTemplateRewriteConfig",
                "path_template_rewrite": rewrite}})
    return r


ROUTES = [
    template("/users/{id}", name="user", rewrite="/u/{id}"),
    template("/media/{country}/{lang=en/*}/{file=**}.m3u8", name="media",
             rewrite="/{lang}/{country}/play/{file}.list"),
    template("/static/**", to="two", name="static"),
    action("/"),
]
# Target, route, what is sent on.
CASES = [
    ("/users/7?q=/users/8", "user", "/u/7?q=/users/8"),
    ("/users/a%20b", "user", "/u/a%20b"),
    ("/users/7/x", "all/3", "/users/7/x"),
    ("/users/", "all/3", "/users/"),
    ("/USERS/7", "all/3", "/USERS/7"),
    ("/media/ch/en/gb/a/b.m3u8?x", "media", "/en/gb/ch/play/a/b.list?x"),
    ("/media/ch/de/gb/a/b.m3u8", "all/3", "/media/ch/de/gb/a/b.m3u8"),
    ("/static/", "static", "/static/"),
    ("/static/a/b=c", "all/3", "/static/a/b=c"),  # no byte of a template's path
    ("/static/a/b-c", "static", "/static/a/b-c"),
]


@test(each=list(PATHS))
def uri_templates(t, path):
    """Which paths a template takes, and what its rewrite makes of them; the query stays. What no
    template can take stays in the kernel, and `sluice explain` says the same."""
    s, one, two = serve(t, ROUTES, path)
    with Conn(FRONT) as conn:
        for target, route, sent in CASES:
            server = two if route == "static" else one
            before = s.stats().routes[route]["requests"]
            assert conn.get(target).status == 200
            assert server.last().target == sent, (target, server.last())
            assert server.last().get("x-envoy-original-path") == \
                (None if sent == target else target), server.last()
            assert s.stats().routes[route]["requests"] == before + 1, (target, route)
        before = s.stats().kernel
        for _ in range(4):
            assert conn.get("/other").status == 200
    if path == "kernel":
        assert s.stats().kernel >= before + 3, s.stats()
        assert s.stats().reasons.get("route_needs_user", 0) >= 5, s.stats()
    requests = "".join(f"GET http://test:8000{target}\n" for target, _, _ in CASES)
    done = subprocess.run([t.sluice_bin, "explain", "-c", s.config_path, "-r", "-", "--json"],
                          input=requests, capture_output=True, text=True, check=True)
    for (target, route, _), line in zip(CASES, done.stdout.splitlines()):
        tree = json.loads(line)
        assert tree["route"]["name"] == route, (target, tree)
        assert tree.get("served_in_user_space_for") == \
            ("path_rewrite_policy" if route in ("user", "media") else None), tree
    text = subprocess.run([t.sluice_bin, "explain", "-c", s.config_path, "GET", "/users/7/x"],
                          capture_output=True, text=True, check=True).stdout
    assert "template /users/{id}" in text, text
    assert "path does not match the template '/static/**'" in text, text
    s.check()
