# SPDX-License-Identifier: GPL-2.0-only
"""After all others of this process: nothing of theirs is left."""
import os

from lib import linux
from lib.runner import test
from lib.sluice import PIN_ROOT


@test(last=True)
def no_processes(t):
    """Every orphan became a child of this process, so none can be missed."""
    def left():
        found = []
        for pid in linux.children(os.getpid()):
            try:
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    with open(f"/proc/{pid}/cmdline") as f:
                        found.append(f"{pid} {f.read().replace(chr(0), ' ')}")
            except (ChildProcessError, FileNotFoundError):
                pass
        return found
    try:
        t.wait(lambda: not left(), "every process has ended")
    except AssertionError:
        raise AssertionError(f"still running: {left()}") from None


@test(last=True)
def no_pins(t):
    """The bpffs of this run is its own: what is in it was left there by sluice."""
    left = [os.path.join(where, name) for where, _, names in os.walk(PIN_ROOT) for name in names]
    assert not left, f"pinned still: {left}"


@test(last=True)
def no_namespaces(t):
    """One descriptor is this test's own namespace, one the namespace that all began in."""
    found = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
             if os.path.exists(f"/proc/self/fd/{fd}")]
    nets = [link for link in found if link.startswith("net:")]
    assert len(nets) <= 2, nets
