# SPDX-License-Identifier: GPL-2.0-only
"""Finds, selects and runs the tests; gives each one its namespace, files and processes."""
import contextlib
import getopt
import glob
import importlib
import os
import random
import shutil
import signal
import socket
import string
import sys
import tempfile
import time
import traceback
import typing

from . import linux, net
from .backends import Backends, make_www
from .jobs import run_parallel
from .proc import Proc, kill_tree, wait_until
from .sluice import Sluice

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
LOG_TAIL = 1500
_tests = []


class Test(typing.NamedTuple):
    name: str
    f: typing.Callable
    args: tuple
    seconds: int
    alone: bool  # nothing runs beside it
    last: bool   # looks at what the tests before it in this process left behind


def test(seconds=60, each=None, alone=False, last=False):
    """Registers a test: f(t), or f(t, case) for every case of the list @each. Its name is the
    file's (without test_ or hunt_), the function's, and the case."""
    def register(f):
        name = f"{f.__module__.split('_', 1)[1].removeprefix('zz_')}.{f.__name__}"
        if each is None:
            _tests.append(Test(name, f, (), seconds, alone, last))
        for case in each or ():
            words = case if isinstance(case, str) else "-".join(str(w) for w in case)
            _tests.append(Test(f"{name}.{words}", f, (case,), seconds, alone, last))
        return f
    return register


class T:
    """What a test is given: everything made through it ends with the test."""

    def __init__(self, name, run_dir, sluice, verbose=False):
        self.name, self.run_dir, self.sluice_bin, self.verbose = name, run_dir, sluice, verbose
        self.www = f"{run_dir}/www"
        self.dir = tempfile.mkdtemp(prefix="test-", dir=run_dir)
        self.stack = contextlib.ExitStack()
        self.procs = []
        self.backends = Backends(self)
        self.wait = wait_until
        self.main_ns = self.netns()
        self.stack.enter_context(self.main_ns)

    # --- files ---
    def tmpdir(self, prefix):
        return tempfile.mkdtemp(prefix=prefix + "-", dir=self.dir)

    def write(self, name, text):
        path = f"{self.tmpdir('f')}/{name}"
        with open(path, "w") as f:
            f.write(text)
        return path

    # --- network ---
    def netns(self):
        ns = net.make_netns()
        self.stack.callback(ns.close)
        return ns

    def link(self, a, b):
        return net.Link(a, b)

    def listen(self, port, address="127.0.0.1", backlog=64):
        """A listening socket of the test's own, for backends that misbehave."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        s = self.stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, port))
        s.listen(backlog)
        self.stack.callback(self._wake, s)
        return s

    @staticmethod
    def _wake(listener):
        """A thread that waits in accept() would wait on when it is closed, and, once a signal has
        restarted its system call, on the listener of another test that has got its descriptor."""
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)

    # --- processes ---
    def start(self, argv, name=None, cwd=None, env=None, user=None):
        label = name or os.path.basename(str(argv[0]))
        p = Proc(argv, f"{self.dir}/{len(self.procs)}-{label}.log", label, cwd, env, user)
        self.procs.append(p)
        self.stack.callback(p.close)
        return p

    def instance(self):
        return "e2e-" + "".join(random.choices(string.ascii_lowercase, k=8))

    def sluice(self, config, **kw):
        """Starts `sluice run` with @config (a text, or the path of a file) and waits for it."""
        path = config if "\n" not in config else self.write("sluice.yaml", config)
        s = Sluice(self, path, **kw)
        self.stack.callback(s.close)
        return s

    def note(self, text):
        if self.verbose:
            print(f"    {text}", flush=True)

    def close(self):
        self.stack.close()

    def logs(self):
        for p in self.procs:
            text = p.log().strip()
            if text:
                print(f"  --- {p.name} (pid {p.pid}, exit {p.returncode}):")
                for line in text[-LOG_TAIL:].splitlines():
                    print(f"  | {line}")


class _Deadline(AssertionError):
    pass


def _alarm(signum, frame):
    raise _Deadline("the test's own deadline passed")


def run_one(one, run_dir, sluice, verbose):
    """True if the test passed; prints its line."""
    name = one.name
    start = time.monotonic()
    t = error = None
    signal.signal(signal.SIGALRM, _alarm)
    signal.alarm(one.seconds)
    try:
        t = T(name, run_dir, sluice, verbose)
        one.f(t, *one.args)
    except Exception as e:
        error = e
    finally:
        signal.alarm(0)
    try:
        if t:
            t.close()
    except Exception as e:
        error = error or e
    took = time.monotonic() - start
    if error is None:
        print(f"ok {name} ({took:.1f} s)", flush=True)
    else:
        why = str(error).strip().splitlines() or [type(error).__name__]
        print(f"FAIL {name}: {type(error).__name__}: {why[0]} ({took:.1f} s)")
        for frame in traceback.extract_tb(error.__traceback__)[1:]:
            print(f"  {os.path.basename(frame.filename)}:{frame.lineno}: {frame.line}")
        if t:
            t.logs()
        sys.stdout.flush()
    if t:
        shutil.rmtree(t.dir, ignore_errors=True)
    return error is None


def prepare():
    """Mounts of our own, and a fresh bpffs: pins of the host are neither seen nor touched."""
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    linux.mount("bpffs", "/sys/fs/bpf", "bpf")
    linux.become_subreaper()
    if not linux.cgroup2_root():
        where = tempfile.mkdtemp(prefix="sluice-cgroup2-")
        linux.mount("cgroup2", where, "cgroup2")
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.environ["LC_ALL"] = "C"


def load(hunts):
    """The tests, and with @hunts those that look for what is not known yet: random, and
    run when they are named, not each time."""
    sys.path.insert(0, HERE)
    for path in sorted(glob.glob(f"{HERE}/test_*.py") + glob.glob(f"{HERE}/hunt_*.py") * hunts):
        importlib.import_module(os.path.basename(path)[:-3])
    return _tests


USAGE = """\
usage: run [-v] [-l] [-j N] [NAME...]   (NAME: beginning of a test's name)
 -v  more words   -l  list, do not run   -j  so many at a time (default: two for each CPU)"""


def select(names):
    """The tests whose name begins with one of @names; all if there are none."""
    return [one for one in load(bool(names))
            if not names or any(one.name.startswith(n) for n in names)]


def run_all(tests, jobs, run):
    """(passed, failed): first side by side, then what wants to be alone, then what is last."""
    last = [one for one in tests if one.last]
    alone = [one for one in tests if not one.last and (one.alone or jobs == 1)]
    # The long ones first: none is waited for at the end.
    shared = sorted((one for one in tests if one not in last and one not in alone),
                    key=lambda one: -one.seconds)
    passed = failed = 0
    if shared:
        passed, failed = run_parallel(jobs, shared, last, prepare, run)
    prepare()
    for one in alone + last:
        if run(one):
            passed += 1
        else:
            failed += 1
    return passed, failed


def main(argv):
    try:
        options, names = getopt.getopt(argv, "vlhj:", ["verbose", "list", "help", "jobs="])
    except getopt.GetoptError as e:
        print(f"run: {e}\n{USAGE}", file=sys.stderr)
        return 2
    options = dict(options)
    if "-h" in options or "--help" in options:
        print(USAGE)
        return 0
    # Half of a test's time is spent waiting, for timeouts above all.
    jobs = options.get("-j", options.get("--jobs", str(2 * len(os.sched_getaffinity(0)))))
    if not jobs.isdigit() or jobs == "0":
        print(f"run: -j {jobs}: not a number of tests\n{USAGE}", file=sys.stderr)
        return 2
    tests = select(names)
    if "-l" in options or "--list" in options:
        print("\n".join(one.name for one in tests))
        return 0
    if not tests:
        print(f"run: no test begins with {' or '.join(names)}", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("run: the end-to-end tests need root", file=sys.stderr)
        return 3
    sluice = os.path.abspath(os.environ.get("SLUICE", f"{HERE}/../../build/sluice"))
    if not os.access(sluice, os.X_OK):
        print(f"run: {sluice}: no such program; `make` first", file=sys.stderr)
        return 3
    linux.become_subreaper()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    run_dir = tempfile.mkdtemp(prefix="sluice-e2e-")
    os.chmod(run_dir, 0o755)
    verbose = "-v" in options or "--verbose" in options
    try:
        make_www(f"{run_dir}/www")
        passed, failed = run_all(tests, min(int(jobs), len(tests)),
                                 lambda one: run_one(one, run_dir, sluice, verbose))
    finally:
        for pid in linux.children(os.getpid()):
            kill_tree(pid)
        shutil.rmtree(run_dir, ignore_errors=True)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0
