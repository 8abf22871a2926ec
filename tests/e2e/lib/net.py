# SPDX-License-Identifier: GPL-2.0-only
"""Network namespaces and the wires between them."""
import contextlib
import itertools
import subprocess

from .linux import Netns

_serial = itertools.count(1)


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def sysctl(name, value):
    """Of this thread's network namespace."""
    with open(f"/proc/sys/{name.replace('.', '/')}", "w") as f:
        f.write(str(value))


@contextlib.contextmanager
def changed(path, value):
    """A file that is a switch of the kernel has @value until the end."""
    with open(path) as f:
        before = f.read()
    with open(path, "w") as f:
        f.write(value)
    try:
        yield
    finally:
        with open(path, "w") as f:
            f.write(before)


def default_buffers():
    """Linux's own bounds of TCP's buffers, which some hosts have raised to many megabytes."""
    sysctl("net.ipv4.tcp_rmem", "4096 131072 6291456")
    sysctl("net.ipv4.tcp_wmem", "4096 16384 4194304")


def make_netns():
    ns = Netns()
    with ns:
        ip("link", "set", "lo", "up")
    return ns


class Link:
    """A veth pair: @a and @b have each an IPv4 and an IPv6 address on it."""

    def __init__(self, a, b):
        n = next(_serial) % 250 + 1
        self.a4, self.b4 = f"10.77.{n}.1", f"10.77.{n}.2"
        self.a6, self.b6 = f"fd77:{n:x}::1", f"fd77:{n:x}::2"
        name_a, name_b = f"va{n}", f"vb{n}"
        with a:
            ip("link", "add", name_a, "type", "veth", "peer", "name", name_b)
            ip("link", "set", name_b, "netns", b.path)
            self._up(name_a, self.a4, self.a6)
        with b:
            self._up(name_b, self.b4, self.b6)

    @staticmethod
    def _up(name, v4, v6):
        ip("addr", "add", v4 + "/24", "dev", name)
        ip("addr", "add", v6 + "/64", "dev", name, "nodad")
        ip("link", "set", name, "up")
