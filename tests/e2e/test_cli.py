# SPDX-License-Identifier: GPL-2.0-only
"""Exit codes and messages of the commands; the demo."""
import json
import os
import shutil
import subprocess

from lib.config import cluster, config, dump, listener, route
from lib.http1 import Conn
from lib.load import curl
from lib.runner import test

HERE = os.path.dirname(os.path.abspath(__file__))
GOOD = config(("127.0.0.1", 8000), {"one": [("127.0.0.1", 9001)]}, [route(to="one")])
NOBODY = 65534


def run(t, *words, **kw):
    return subprocess.run([t.sluice_bin, *words], capture_output=True, text=True, timeout=20, **kw)


def says(done, code, *words):
    text = done.stdout + done.stderr
    assert done.returncode == code, f"exit {done.returncode}, not {code}: {text}"
    for word in words:
        assert word in text, f"no '{word}' in: {text}"
    return text.strip().splitlines()


def shared_copy(t):
    """The program where an unprivileged user can run it."""
    where = t.tmpdir("bin")
    os.chmod(t.dir, 0o755)
    os.chmod(where, 0o755)
    shutil.copy(t.sluice_bin, f"{where}/sluice")
    return f"{where}/sluice"


@test()
def run_without_privilege(t):
    """`sluice run` as nobody: exit 3 and one clear line."""
    path = t.write("s.yaml", GOOD)
    os.chmod(os.path.dirname(path), 0o755)
    done = subprocess.run([shared_copy(t), "run", "-c", path], capture_output=True, text=True,
                          timeout=20, user=NOBODY, group=NOBODY, extra_groups=[])
    lines = says(done, 3)
    assert len(lines) == 1 and ("root" in lines[0] or "CAP_" in lines[0]), lines


@test()
def check_without_privilege(t):
    path = t.write("s.yaml", GOOD)
    os.chmod(os.path.dirname(path), 0o755)
    done = subprocess.run([shared_copy(t), "check", "-c", path], capture_output=True, text=True,
                          timeout=20, user=NOBODY, group=NOBODY, extra_groups=[])
    says(done, 0)


@test(each=["check", "run"])
def bad_config(t, command):
    """Exit 1, with the place, the line and a caret; every error of the file in one go."""
    text = GOOD.replace("lb_policy", "lb_polizy").replace('cluster: "one"', 'cluster: "oen"')
    path = t.write("bad.yaml", text)
    done = run(t, command, "-c", path)
    says(done, 1, "bad.yaml:", "lb_polizy", "did you mean", "lb_policy", "oen", "^")


@test(each=["check", "run"])
def no_config(t, command):
    says(run(t, command, "-c", "/nonexistent/x.yaml"), 1, "/nonexistent/x.yaml")


@test()
def concurrency(t):
    path = t.write("s.yaml", GOOD)
    for n in ("0", "65", "-1", "two", ""):
        says(run(t, "run", "-c", path, "--concurrency", n), 2,
             f"--concurrency takes a number from 1 to 64, not '{n}'")


@test()
def usage(t):
    for words in ([], ["nonsense"], ["run"], ["check"], ["run", "--nonsense"],
                  ["weights", "--nonsense"], ["stats", "extra-word"], ["explain"]):
        done = run(t, *words)
        assert done.returncode == 2, f"{words}: exit {done.returncode}: {done.stdout}{done.stderr}"
        assert done.stderr.strip(), f"{words}: says nothing"
    for command in ("run", "check", "explain", "weights", "stats", "demo"):
        done = run(t, command, "--help")
        assert done.returncode == 0 and command in done.stdout, f"{command} --help: {done}"


@test()
def no_instance(t):
    """Commands on an instance that is not there: exit 1 or 3, one line that names it."""
    for words in (["weights"], ["stats"]):
        done = run(t, *words, "--instance", "nosuchone")
        lines = (done.stdout + done.stderr).strip().splitlines()
        assert done.returncode in (1, 3) and len(lines) == 1 and "nosuchone" in lines[0], \
            f"{words}: {done}"


@test()
def instance_names(t):
    """A name that is not one part of a path is refused."""
    path = t.write("s.yaml", GOOD)
    for name in ("../x", "a/b", "", ".", "..", "x" * 300):
        done = run(t, "run", "-c", path, "--instance", name)
        assert done.returncode in (1, 2), f"{name!r}: {done}"


@test()
def explain(t):
    """Which route and why, for the tutorial, without privilege."""
    stage2 = f"{HERE}/config/2-weighted-25.v3.yaml"
    done = run(t, "explain", "-c", stage2, "GET", "http://127.0.0.1:8000/service/1",
               "-H", "x-canary-version: service1a")
    says(done, 0, "service1a", "x-canary-version")
    done = run(t, "explain", "-c", stage2, "GET", "http://127.0.0.1:8000/service/1")
    says(done, 0, "25", "75", "service1", "service1a")
    done = run(t, "explain", "-c", stage2, "GET", "http://127.0.0.1:8000/nothing")
    says(done, 0 if done.returncode == 0 else 1, "no_route" if "no_route" in done.stdout else "404")


STICKY = {"match": {"prefix": "/s"}, "name": "sticky", "route": {
    "hash_policy": [{"header": {"header_name": "x-user"}},
                    {"cookie": {"name": "cohort", "ttl": "60s"}}],
    "weighted_clusters": {"use_hash_policy": True, "clusters": [
        {"name": "a", "weight": 30}, {"name": "b", "weight": 70}]}}}


@test()
def explain_cohorts(t):
    """The cluster that it says a user gets is the one that sluice gives, by header and address."""
    t.backends.nginx({9001: "a", 9002: "b"})
    front = ("127.0.0.1", 8000)
    by_address = json.loads(json.dumps(STICKY).replace('"/s"', '"/ip"').replace("sticky", "ip"))
    by_address["route"]["hash_policy"] = [{"connection_properties": {"source_ip": True}}]
    s = t.sluice(config(front, {"a": [("127.0.0.1", 9001)], "b": [("127.0.0.1", 9002)]},
                        [STICKY, by_address, route(to="a")]))
    lines = [f"GET http://127.0.0.1:8000/s -H 'x-user: u{n}' -H \"cookie: cohort={n}\""
             for n in range(40)]
    lines += ["", "# a comment", "GET /s", "GET /ip", "GET /ip --from 10.1.2.3", "GET /other"]
    path = t.write("requests", "\n".join(lines) + "\n")
    done = run(t, "explain", "-c", s.config_path, "--requests", path, "--json")
    says(done, 0)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == 44
    with Conn(front) as conn:
        for n, tree in enumerate(found[:40]):
            r = conn.get("/s", [("x-user", f"u{n}"), ("cookie", f"cohort={n}")])
            assert r.get("x-backend") == tree["cohort"]["cluster"], (n, tree)
            assert tree["path"] == "kernel" and not tree["cohort"]["makes_cookie"], tree
        made, here, there, other = found[40:]
        assert made["cohort"] == {"hash": None, "cluster": None, "makes_cookie": True,
                                  "from_weight": None}, made
        assert made["path"] == "user" and conn.get("/s").get("set-cookie"), made
        assert conn.get("/ip").get("x-backend") == here["cohort"]["cluster"], here
        assert there["cohort"]["hash"] != here["cohort"]["hash"] and other["cohort"] is None
    assert {tree["cohort"]["cluster"] for tree in found[:40]} == {"a", "b"}
    says(run(t, "explain", "-c", s.config_path, "GET", "/ip"), 0, "Sticky: hash", "always to",
         "HAS THE USER FROM")
    # With the weight that it names b has the user, with one less a.
    with Conn(front) as conn:
        for n, tree in list(enumerate(found[:40]))[:12]:
            least = tree["cohort"]["from_weight"]["b"]
            assert (tree["cohort"]["cluster"] == "b") == (least <= 70), tree
            for weight, want in ((least, "b"), (least - 1, "a")):
                s.weights("sticky", a=30, b=weight)
                r = conn.get("/s", [("x-user", f"u{n}"), ("cookie", f"cohort={n}")])
                assert r.get("x-backend") == want, (n, weight, tree)


@test()
def explain_shares(t):
    """A cluster that has no healthy endpoint by the config has no share: it goes to the others."""
    split = route(weights={"a": 60, "b": 30, "c": 10}, name="s")
    split["route"]["weighted_clusters"]["use_hash_policy"] = True
    split["route"]["hash_policy"] = [{"header": {"header_name": "x-user"}}]
    clusters = [cluster(n, [("127.0.0.1", 9001)]) for n in "bc"] + [cluster("a", [])]

    def shares():
        path = t.write("s.yaml", dump({"static_resources": {
            "listeners": [listener("l", ("127.0.0.1", 8000), [split])], "clusters": clusters}}) + "\n")
        tree = json.loads(run(t, "explain", "-c", path, "--json", "GET", "/", "-H", "x-user: 1").stdout)
        return {c["name"]: c["share"] for c in tree["route"]["clusters"]}, tree["cohort"]
    got, cohort = shares()
    assert got == {"a": 0, "b": 0.75, "c": 0.25} and cohort["cluster"] in ("b", "c"), (got, cohort)
    assert cohort["from_weight"]["a"] is None, cohort
    lb = clusters[0]["load_assignment"]["endpoints"][0]["lb_endpoints"][0]
    lb["health_status"] = "DRAINING"
    assert shares()[0] == {"a": 0, "b": 0, "c": 1}
    clusters[1]["load_assignment"] = clusters[2]["load_assignment"]
    assert shares()[0] == {"a": 0.6, "b": 0.3, "c": 0.1}


@test()
def explain_requests(t):
    """Many requests from a file; a wrong line is told with its place, the others are explained."""
    two = dump({"static_resources": {
        "listeners": [listener("one", ("127.0.0.1", 8000), [route(to="a")]),
                      listener("two", ("127.0.0.1", 8001), [route(path="/x", to="b", name="x")])],
        "clusters": [cluster("a", [("127.0.0.1", 9001)]), cluster("b", [("127.0.0.1", 9002)])]}})
    conf = t.write("two.yaml", two + "\n")
    text = "GET http://h:8001/x\nGET\nGET /x -H\nGET /x more words\nG/T /x\n" \
           "GET /x --listener two\nGET /x --listener no\nGET /x --from nowhere\nGET http://h:9/x\n"
    done = subprocess.run([t.sluice_bin, "explain", "-c", conf, "-r", "-"], input=text,
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "-:2: give METHOD and URL", "-:3: something is missing behind -H",
        "-:4: unexpected 'more'", "-:5: METHOD must be a word such as GET, not 'G/T'",
        "-:7: no listener 'no'", "-:8: 'nowhere' is no IP address"], done.stderr
    assert done.stdout.count("Route 'x'") == 2 and done.stdout.count("Route 'all/0'") == 1
    says(run(t, "explain", "-c", conf, "-r", "/nonexistent"), 1, "cannot read /nonexistent")
    says(run(t, "explain", "-c", conf, "-r", "-", "GET"), 2, "'GET' beside --requests")


@test()
def explain_long_match(t):
    """A match is told whole, however long it is."""
    names = [f"x-header-number-{n}" for n in range(12)]
    one = route(to="a")
    one["match"]["headers"] = [{"name": n, "string_match": {"exact": n[::-1]}} for n in names]
    conf = t.write("long.yaml", config(("127.0.0.1", 8000), {"a": [("127.0.0.1", 9001)]},
                                       [one, route(path="/other", to="a")]))
    want = "prefix /" + "".join(f", {n}: {n[::-1]}" for n in names)
    argv = ["explain", "-c", conf, "GET"]
    says(run(t, *argv, "/other"), 0, want)
    tree = json.loads(run(t, *argv, "/other", "--json").stdout)
    assert tree["not_matched"][0]["match"] == want, tree
    words = [w for n in names for w in ("-H", f"{n}: {n[::-1]}")]
    says(run(t, *argv, "/", *words), 0, want + "  matches")
    assert json.loads(run(t, *argv, "/", "--json", *words).stdout)["route"]["match"] == want


@test(seconds=60)
def demo(t):
    """`sluice demo` serves the tutorial on port 8000 and ends cleanly on SIGTERM."""
    p = t.start([t.sluice_bin, "demo", "--instance", t.instance()], name="demo")
    p.wait_port(("127.0.0.1", 8000), seconds=30)
    t.wait(lambda: b"service" in curl("http://127.0.0.1:8000/service/2"), "the demo answers")
    with Conn(("127.0.0.1", 8000)) as conn:
        canary = [("x-canary-version", "service1a")]
        for path, headers in (("/service/1", []), ("/service/1", canary), ("/service/2", [])):
            r = conn.get(path, headers)
            assert r.status == 200 and r.body, f"{path}: {r}"
        assert conn.get("/service/1", canary).body == conn.get("/service/1", canary).body
        assert conn.get("/nothing").status == 404
    p.wait_line("curl")  # it says what to type next
    assert p.stop(20) == 0, p.log()
