# SPDX-License-Identifier: GPL-2.0-only
"""Exit codes and messages of the commands; the demo."""
import os
import shutil
import subprocess

from lib.config import config, route
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
