# SPDX-License-Identifier: GPL-2.0-only
"""Network namespaces, processes and their CPU time, by the interfaces of Linux itself."""
import ctypes
import os
import platform
import signal
import socket
import subprocess
import threading
import time

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


class BenchError(Exception):
    """Something that the user has to know; printed without a trace."""


def _check(result, what):
    if result != 0:
        err = ctypes.get_errno()
        raise BenchError(f"{what}: {os.strerror(err)}")


def run(*argv):
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


class Netns:
    """Has no name: it goes away with its descriptor and the processes in it."""

    SYSCTLS = {
        "net/ipv4/ip_local_port_range": "16384 65535",
        "net/ipv4/tcp_tw_reuse": "1",
        "net/core/somaxconn": "65535",
        "net/ipv4/tcp_max_syn_backlog": "65535",
    }

    # Linux's own before the host's choice. One that paces, like bbr, sends by timers: 15 to 22 for
    # an answer of 1 MiB over two wires, each with two exits of a virtual machine, and what is
    # measured is those. A namespace may choose what the host allows, and reno, which also paces
    # nothing, always.
    CONGESTION = ("cubic", "reno")

    def __init__(self):
        self.fd = -1
        self._outer = []
        thread = threading.Thread(target=self._make)
        thread.start()
        thread.join()
        if self.fd < 0:
            raise BenchError("cannot make a network namespace")
        with self:
            run("ip", "link", "set", "lo", "up")
            for name, value in self.SYSCTLS.items():
                with open(f"/proc/sys/{name}", "w") as f:
                    f.write(value)
            self.congestion = self._set_congestion()

    def _make(self):
        _check(_libc.unshare(CLONE_NEWNET), "unshare")
        self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def _set_congestion(self):
        """The name of what the namespace's connections have."""
        path = "/proc/sys/net/ipv4/tcp_congestion_control"
        for name in self.CONGESTION:
            try:
                with open(path, "w") as f:
                    f.write(name)
                break
            except OSError:
                pass
        with open(path) as f:
            return f.read().strip()

    def __enter__(self):
        """The calling thread, and what it starts, is in the namespace until exit."""
        self._outer.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        _check(_libc.setns(self.fd, CLONE_NEWNET), "setns")
        return self

    def __exit__(self, *exc):
        fd = self._outer.pop()
        _check(_libc.setns(fd, CLONE_NEWNET), "setns")
        os.close(fd)

    def close(self):
        os.close(self.fd)


def wire(a, b, number):
    """A veth pair between @a and @b; yields the IPv4 addresses of both ends."""
    addr_a, addr_b = f"10.78.{number}.1", f"10.78.{number}.2"
    name_a, name_b = f"wa{number}", f"wb{number}"
    with a:
        run("ip", "link", "add", name_a, "type", "veth", "peer", "name", name_b)
        run("ip", "link", "set", name_b, "netns", f"/proc/{os.getpid()}/fd/{b.fd}")
    for ns, name, addr in ((a, name_a, addr_a), (b, name_b, addr_b)):
        with ns:
            run("ip", "addr", "add", addr + "/24", "dev", name)
            run("ip", "link", "set", name, "up")
    return addr_a, addr_b


def die_with_parent():
    """For preexec_fn: nothing of ours goes on when the bench is killed."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


class Daemon:
    """A server that runs until stop(); its output goes to a file."""

    def __init__(self, name, ns, argv, log):
        self.name = name
        self.ns = ns
        self._log = log
        with open(log, "wb") as out, ns:
            self._p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=subprocess.STDOUT, preexec_fn=die_with_parent)

    @property
    def pid(self):
        return self._p.pid

    def log(self):
        with open(self._log, errors="replace") as f:
            return f.read()

    def _wait(self, condition, what, seconds=30):
        end = time.monotonic() + seconds
        while not condition():
            if self._p.poll() is not None:
                raise BenchError(f"{self.name} ended with {self._p.returncode}: "
                                 f"{self.log()[-800:].strip()}")
            if time.monotonic() > end:
                raise BenchError(f"{self.name}: not within {seconds} s: {what}")
            time.sleep(0.01)

    def wait_line(self, text):
        self._wait(lambda: text in self.log(), f"prints '{text}'")

    def wait_port(self, addr, port):
        def accepts():
            with self.ns, socket.socket() as s:
                return s.connect_ex((addr, port)) == 0
        self._wait(accepts, f"accepts at {addr}:{port}")

    def stop(self):
        if self._p.poll() is None:
            self._p.terminate()
            try:
                self._p.wait(15)
            except subprocess.TimeoutExpired:
                for pid in tree(self._p.pid):
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                self._p.wait()


def tree(pid):
    """@pid and its descendants."""
    found = [pid]
    for parent in found:
        try:
            for tid in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{tid}/children") as f:
                    found += [int(word) for word in f.read().split()]
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def process_ns(pids):
    """Nanoseconds of CPU that the processes have had, kernel and user, to the nanosecond."""
    total = 0
    for pid in pids:
        try:
            for tid in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{tid}/schedstat") as f:
                    total += int(f.read().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total


def kthreads_ns():
    """Of all kernel threads: a redirect's second half runs in a kworker."""
    with open("/proc/2/task/2/children") as f:
        return process_ns(int(word) for word in f.read().split())


def system_us():
    """(microseconds that all CPUs were busy, microseconds stolen by the host)"""
    tick = 1000000 // os.sysconf("SC_CLK_TCK")
    with open("/proc/stat") as f:
        user, nice, system, _, _, irq, softirq, steal = map(int, f.readline().split()[1:9])
    return (user + nice + system + irq + softirq) * tick, steal * tick


class CpuMark:
    """CPU time from its making to done()."""

    def __init__(self, origin, proxy):
        self._origin = tree(origin.pid)
        self._proxy = tree(proxy.pid) if proxy else []
        self._start = self._now()

    def _now(self):
        busy, steal = system_us()
        return {"busy": busy, "steal": steal, "kthreads": kthreads_ns() / 1000,
                "origin": process_ns(self._origin) / 1000,
                "proxy": process_ns(self._proxy) / 1000}

    def done(self):
        """Microseconds, by what: busy, steal, kthreads, origin, proxy."""
        now = self._now()
        return {what: now[what] - self._start[what] for what in now}


def system_call_us():
    """Microseconds that the cheapest system call takes. Applications make six of them a request with
    every system alike: where they are dear the ratios of all are nearer to 1."""
    calls, best = 500, float("inf")
    for _ in range(100):
        start = time.perf_counter()
        for _ in range(calls):
            os.getppid()
        best = min(best, time.perf_counter() - start)
    return 1e6 * best / calls


def describe(sluice):
    """What a reader needs to know about the machine that the numbers are from."""
    model = "unknown"
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break

    def first_line(*argv):
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.stdout.splitlines()[0].strip() if done.stdout else "unknown"
    ns = Netns()
    ns.close()
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "kernel": platform.release(),
        "cpu": model,
        "cpus": os.cpu_count(),
        "system_call_us": system_call_us(),
        "load_at_start": os.getloadavg()[0],
        "congestion": ns.congestion,
        "sluice": first_line(sluice, "--version"),
        "nginx": first_line("nginx", "-v").replace("nginx version: ", ""),
        "haproxy": first_line("haproxy", "-v").split(" - ")[0],
        "wrk": " ".join(first_line("wrk", "-v").split()[:2]),
    }
