# SPDX-License-Identifier: GPL-2.0-only
"""sluice attach: what is said before anything happens, and what is refused."""
import os
import re
import subprocess

from lib import linux
from lib.attach import APP, NEW, Background, attached, refused, who
from lib.config import config, route
from lib.http1 import Conn
from lib.runner import test


@test()
def dry_run(t):
    """Listener, process, route, what stays: said; and nothing is changed."""
    t.backends.nginx({8080: "app"})
    name = t.instance()
    with Conn(APP) as conn:
        assert conn.get("/who").status == 200
        done = subprocess.run([t.sluice_bin, "attach", "127.0.0.1:8080", "--as", "v1", "--dry-run",
                               "--instance", name], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done
    out = done.stdout
    for want in (r"^Listener: 127\.0\.0\.1:8080 of nginx \(pid \d+\)", f"'{name}' would be started",
                 r"^  all +prefix / +v1 +100\.00 % +127\.0\.0\.1:8080$",
                 r"^Established connections stay with nginx \(pid \d+\): 1 now\.$",
                 r"^Dry run: nothing was changed\.$"):
        assert re.search(want, out, re.M), f"{want}: {out}"
    assert not os.path.exists(f"/sys/fs/bpf/sluice/{name}")
    assert not os.path.exists(f"/run/sluice/{name}.yaml")


@test()
def refusals(t):
    """Twice, to nothing, to sluice's own port, to an address that the instance does not know."""
    t.backends.nginx({8080: "app", 8081: "new"})
    s = t.sluice(config(("127.0.0.1", 8000), {"v1": [APP]}, [route(to="v1")]))
    said = refused(t, "attach", "127.0.0.1:8000", "--instance", t.instance())
    assert f"sluice's own (instance '{s.instance}')" in said, said
    said = refused(t, "attach", "127.0.0.1:8999")
    assert "nobody listens on 127.0.0.1:8999" in said, said
    said = refused(t, "attach", "0.0.0.0:8080")
    assert re.search(r"nginx \(pid \d+\) listens on 127\.0\.0\.1:8080", said), said
    said = refused(t, "attach", "127.0.0.1:8080", "--instance", s.instance)
    assert "has no listener on 127.0.0.1:8080 with 'sluice: {attach: true}'" in said, said
    said = refused(t, "detach", "127.0.0.1:8080")
    assert "is not attached" in said, said
    two = Background(t, "127.0.0.1:8080")
    said = refused(t, "attach", "127.0.0.1:8080", "--instance", t.instance())
    assert f"attached already (instance '{two.instance}')" in said, said
    # A config that wants what another instance has.
    s2 = t.start([t.sluice_bin, "run", "--instance", t.instance(), "-c",
                  t.write("again.yaml", attached(APP, {"v1": [APP], "v2": [NEW]}))], name="again")
    assert s2.wait(20) == 1, s2.log()
    assert f"attached already (instance '{two.instance}')" in s2.log(), s2.log()
    # Two instances on two addresses of one namespace.
    three = Background(t, "127.0.0.1:8081")
    assert who() == "app" and who(NEW) == "new"
    assert two.stats().total == 1 and three.stats().total == 1


@test()
def another_program(t):
    """Where a foreign sk_lookup program decides: refused; where it does not: no matter."""
    t.backends.nginx({8080: "app"})
    passing = linux.sk_lookup_program(1)
    s = Background(t, "127.0.0.1:8080")
    assert who() == "app" and s.stats().total == 1
    s.run("detach", "127.0.0.1:8080")
    s.ended()
    dropping = linux.sk_lookup_program(0)
    said = refused(t, "attach", "127.0.0.1:8080", "--instance", t.instance())
    assert "another sk_lookup program ('e2e', id" in said and "bpftool link" in said, said
    for fd in (passing, dropping):
        os.close(fd)


@test(each=["one-first", "wildcard-first"])
def overlapping(t, order):
    """One address below a wildcard, of two instances: whose it is would depend on their order."""
    t.backends.nginx({8080: "app"}, "::")
    first, second = ("127.0.0.1:8080", "[::]:8080")[::1 if order == "one-first" else -1]
    s = Background(t, first)
    said = refused(t, "attach", second, "--instance", t.instance())
    assert f"'{s.instance}' has {first} attached" in said and second in said, said
    again = t.start([t.sluice_bin, "run", "--instance", t.instance(), "-c", t.write("c.yaml", attached(
        ("::", 8080) if second[0] == "[" else APP, {"v1": [APP], "v2": [NEW]}))], name="second")
    assert again.wait(20) == 1 and f"has {first} attached" in again.log(), again.log()
    assert who() == "app" and s.stats().total == 1


@test()
def another_program_of_one_address(t):
    """A foreign program that decides over one address of a wildcard, or its IPv4."""
    t.backends.nginx({8080: "app"}, "::")
    subprocess.run(["ip", "addr", "add", "10.1.1.1/32", "dev", "lo"], check=True)
    link = linux.sk_lookup_program(0, to="10.1.1.1")
    for where in ("0.0.0.0:8080", "[::]:8080", "10.1.1.1:8080"):
        said = refused(t, "attach", where, "--instance", t.instance())
        assert "another sk_lookup program ('e2e', id" in said, said
    s = Background(t, "127.0.0.1:8080")
    assert who() == "app" and s.stats().total == 1
    os.close(link)


# --- bad input ---

@test()
def names_of_processes(t):
    """A process chooses its name: nothing of it but text reaches the terminal."""
    ready = t.start(["/usr/bin/python3", "-c", """
import ctypes, socket, time
ctypes.CDLL(None).prctl(15, b"\\x1b[2J\\revil\\n\\x07\\xff", 0, 0, 0)
s = socket.create_server(("127.0.0.1", 8080))
print("listens", flush=True)
while True:
    s.accept()[0].close()
"""], name="evil")
    ready.wait_line("listens")
    said = [subprocess.run([t.sluice_bin, *words], capture_output=True, check=True).stdout
            for words in (["attach"], ["attach", "127.0.0.1:8080", "--dry-run"])]
    for text in said:
        assert b"?[2J?evil???" in text, text
        assert all(c == 10 or 32 <= c < 127 for c in text), text


BAD = {
    "name": ["localhost:8080"],
    "port": ["127.0.0.1:65536"],
    "scope": ["[fe80::1%lo]:80"],
    "two": ["127.0.0.1:80", "127.0.0.1:81"],
    "no-address": ["--as", "v1"],
    "control": ["127.0.0.1:8080", "--as", "a\x1bb"],
    "empty-as": ["127.0.0.1:8080", "--as", ""],
    "long-as": ["127.0.0.1:8080", "--as", "a" * 300],
    "instance": ["127.0.0.1:8080", "--instance", "../a"],
    "netns-name": ["127.0.0.1:8080", "--netns", "blue"],
    "netns-path": ["127.0.0.1:8080", "--netns", "1/../2"],
    "netns-empty": ["127.0.0.1:8080", "--netns", ""],
}


@test(each=list(BAD))
def bad_words(t, case):
    """What no address, name or namespace is: exit 2, one line that says so, nothing else."""
    done = subprocess.run([t.sluice_bin, "attach", *BAD[case]], capture_output=True, text=True)
    assert done.returncode == 2 and not done.stdout, done
    assert done.stderr.startswith("sluice attach: ") and "\x1b" not in done.stderr, done


@test()
def no_such_namespace(t):
    """A pid or path that is none is refused, and so is another kind of namespace."""
    for netns, why in (("999999999", "No such"), ("/run/netns/none", "No such"),
                       ("/etc/passwd", "is no network namespace"),
                       ("/proc/self/ns/mnt", "is no network namespace")):
        said = refused(t, "attach", "127.0.0.1:8080", "--netns", netns)
        assert why in said, said


@test()
def without_capabilities(t):
    """Root without CAP_SYS_ADMIN, and nobody: told what is missing, and nothing changes."""
    t.backends.nginx({8080: "app"})
    link = linux.sk_lookup_program(1)  # to look into it takes CAP_SYS_ADMIN
    name = t.instance()

    def run(*words, drop="-sys_admin"):
        return subprocess.run(["/usr/bin/setpriv", f"--bounding-set={drop}", "--inh-caps=-all",
                               t.sluice_bin, *words], capture_output=True, text=True)
    done = run("attach", "127.0.0.1:8080", "--instance", name)
    assert done.returncode == 3 and "CAP_SYS_ADMIN" in done.stderr, done
    os.close(link)
    done = run("attach", "127.0.0.1:8080", "--netns", str(os.getpid()), "--instance", name)
    assert done.returncode == 3 and "CAP_SYS_ADMIN" in done.stderr, done
    done = run("attach", "127.0.0.1:8080", "--instance", name, drop="-all")
    assert done.returncode == 3 and "root" in done.stderr, done
    assert who() == "app" and not os.path.exists(f"/run/sluice/{name}.yaml")
    Background(t, "127.0.0.1:8080")
    done = subprocess.run(["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                           t.sluice_bin, "attach"], capture_output=True, text=True)
    assert done.returncode == 0 and "127.0.0.1:8080" in done.stdout, done
    assert "run as root" in done.stderr, done
