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
    assert s2.wait() == 1, s2.log()
    assert "another sk_lookup program ('attach', id" in s2.log(), s2.log()
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
