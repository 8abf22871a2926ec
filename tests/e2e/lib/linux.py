# SPDX-License-Identifier: GPL-2.0-only
"""The few system calls that Python 3.11 has no function for."""
import collections
import contextlib
import ctypes
import errno
import mmap
import os
import re
import signal
import socket
import struct
import subprocess
import threading

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
MS_REC = 0x4000
MS_BIND = 0x1000
MS_PRIVATE = 1 << 18
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PTRACE_CONT, PTRACE_DETACH, PTRACE_GETEVENTMSG, PTRACE_SEIZE = 7, 17, 0x4201, 0x4206
PTRACE_O_TRACEFORK = 2
PTRACE_EVENT_FORK = 1
WALL = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result != 0:
        err = ctypes.get_errno()
        raise OSError(err, f"{what}: {os.strerror(err)}")


def unshare(flags):
    _check(_libc.unshare(flags), "unshare")


def setns(fd, kind):
    """Moves the calling thread alone."""
    _check(_libc.setns(fd, kind), "setns")


def mount(source, target, fstype, flags=0):
    encoded = [None if s is None else s.encode() for s in (source, target, fstype)]
    _check(_libc.mount(*encoded, ctypes.c_ulong(flags), None), f"mount {target}")


def umount(target):
    _check(_libc.umount2(target.encode(), 2), f"umount {target}")  # MNT_DETACH


def become_subreaper():
    """Orphans of ours become our children: none can hide from the last check."""
    _check(_libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")


def die_with_parent():
    """For preexec_fn: the child is killed when the thread that started it ends."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def mounts():
    """Yields (mount point, file system type)."""
    with open("/proc/self/mountinfo") as f:
        for line in f:
            left, right = line.split(" - ", 1)
            yield left.split()[4], right.split()[0]


def cgroup2_root():
    for point, fstype in mounts():
        if fstype == "cgroup2":
            return point
    return None


def stat(path):
    """The fields of a /proc/.../stat behind the name, which may be any bytes: state, parent, ..."""
    with open(path, "rb") as f:
        return f.read().rpartition(b")")[2].split()


def pending(pid, number):
    """Whether signal @number waits for process @pid to take it."""
    with open(f"/proc/{pid}/status") as f:
        sets = [int(line.split()[1], 16) for line in f if line.startswith(("ShdPnd", "SigPnd"))]
    return any(one >> (number - 1) & 1 for one in sets)


def children(pid):
    """Pids of the children of @pid. Not from /proc/PID/task/TID/children: that one skips a child
    while another ends (get_children_pid() in the kernel's fs/proc/array.c)."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if int(stat(f"/proc/{name}/stat")[1]) == pid:
                found.append(int(name))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def tcp_sockets(pid, port):
    """Lines of /proc/PID/net/tcp and tcp6, split: the sockets with this port in @pid's namespace."""
    for name in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{name}") as f:
            rows = [line.split() for line in f][1:]
        yield from (row for row in rows if row[1].endswith(f":{port:04X}"))


def listening(pid, port):
    """Those of them that listen. None once @pid has ended."""
    try:
        return [row for row in tcp_sockets(pid, port) if row[3] == "0A"]
    except OSError:
        return []


def _ptrace(request, pid, data=None):
    _check(_libc.ptrace(request, pid, None, data), "ptrace")


def next_child(pid):
    """The child that @pid makes next. Neither has run since: the child does when it is let_go()."""
    _ptrace(PTRACE_SEIZE, pid, ctypes.c_void_p(PTRACE_O_TRACEFORK))
    while True:
        status = os.waitpid(pid, 0)[1]
        assert os.WIFSTOPPED(status), status
        if status >> 16 == PTRACE_EVENT_FORK:
            break
        _ptrace(PTRACE_CONT, pid, ctypes.c_void_p(os.WSTOPSIG(status)))
    child = ctypes.c_ulong()
    _ptrace(PTRACE_GETEVENTMSG, pid, ctypes.byref(child))
    os.waitpid(child.value, WALL)
    return child.value


def let_go(pid):
    _ptrace(PTRACE_DETACH, pid)


class Netns:
    """A network namespace without a name: it lives as long as its descriptor."""

    def __init__(self):
        self.fd = -1
        thread = threading.Thread(target=self._make)
        thread.start()
        thread.join()
        if self.fd < 0:
            raise OSError("cannot make a network namespace")
        self._outer = []

    def _make(self):
        unshare(CLONE_NEWNET)
        self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    @property
    def path(self):
        """For `ip link ... netns PATH`."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def __enter__(self):
        """The calling thread, and what it starts, is in this namespace until exit."""
        self._outer.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        setns(self.fd, CLONE_NEWNET)
        return self

    def __exit__(self, *exc):
        fd = self._outer.pop()
        setns(fd, CLONE_NEWNET)
        os.close(fd)

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


# --- bpf(2) ---

BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM = 1, 2
BPF_PROG_LOAD, BPF_OBJ_GET, BPF_LINK_CREATE = 5, 7, 28
BPF_PROG_TYPE_SCHED_CLS, BPF_PROG_TYPE_SK_LOOKUP = 3, 30
BPF_SK_LOOKUP, BPF_TCX_INGRESS, BPF_TCX_EGRESS = 36, 46, 47
BPF_FUNC_GET_PRANDOM_U32 = 7
TC_ACT_OK, TC_ACT_SHOT = 0, 2
_SYS_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]


def _bpf(command, attr):
    fd = _libc.syscall(_SYS_BPF, command, attr, len(attr))
    if fd < 0:
        raise OSError(ctypes.get_errno(), f"bpf({command})")
    return fd


def _insn(code, dst=0, offset=0, imm=0):
    return struct.pack("<BBhi", code, dst, offset, imm)


def _return(value):
    return _insn(0xb7, imm=value) + _insn(0x95)


def _program(kind, code, attach_type=0):
    insns, license_ = ctypes.create_string_buffer(code), ctypes.create_string_buffer(b"GPL")
    attr = struct.pack("<IIQQIIQII16sII", kind, len(code) // 8, ctypes.addressof(insns),
                       ctypes.addressof(license_), 0, 0, 0, 0, 0, b"e2e", 0, attach_type)
    return _bpf(BPF_PROG_LOAD, attr)


def sk_lookup_program(verdict, to=None):
    """A program 'e2e' on this network namespace that gives @verdict (0 drops, 1 passes) to
    everything, or only to what is dialled at the IPv4 address @to; it goes when the returned
    link's descriptor is closed."""
    code = _return(verdict)
    if to:  # r2 = ctx->local_ip4; if r2 != to: return 1
        ip, = struct.unpack("<i", socket.inet_aton(to))
        code = _insn(0x61, 0x12, 40) + _insn(0x16, 2, 2, ip) + _return(1) + code
    prog = _program(BPF_PROG_TYPE_SK_LOOKUP, code, BPF_SK_LOOKUP)
    netns = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        return _bpf(BPF_LINK_CREATE, struct.pack("<IIII", prog, netns, BPF_SK_LOOKUP, 0))
    finally:
        os.close(netns)
        os.close(prog)


@contextlib.contextmanager
def lossy(device, permille):
    """@device of this network namespace loses so many of the packets that it receives, and as many of
    those that it is to send: of these the sender's TCP is told. But none with SYN. A kernel that is told that
    its SYN ACK could not be sent again forgets the handshake (reqsk_timer_handler()), and resets what the
    client, which has had the first one, sends. And who has had to send SYN twice takes a second for the round
    trip: what it sends then and is lost three times comes 21 s later."""
    code = (_insn(0xbf, 0x16) + _insn(0x30, imm=47) + _insn(0x57, imm=2) + _insn(0x15, offset=2) +
            _return(TC_ACT_OK) + _insn(0x85, imm=BPF_FUNC_GET_PRANDOM_U32) + _insn(0x97, imm=1000) +
            _insn(0x35, offset=2, imm=permille) + _return(TC_ACT_SHOT) + _return(TC_ACT_OK))
    fds = [_program(BPF_PROG_TYPE_SCHED_CLS, code)]
    try:
        for where in BPF_TCX_INGRESS, BPF_TCX_EGRESS:
            fds.append(_bpf(BPF_LINK_CREATE, struct.pack("<IIII", fds[0], socket.if_nametoindex(device),
                                                         where, 0)))
        yield
    finally:
        for fd in fds:
            os.close(fd)


def mapped(pin, size):
    """The first @size bytes of a pinned array, shared with its programs."""
    path = ctypes.create_string_buffer(pin.encode())
    fd = _bpf(BPF_OBJ_GET, struct.pack("<QII", ctypes.addressof(path), 0, 0))
    try:
        return mmap.mmap(fd, size)
    finally:
        os.close(fd)


def descriptors(pid):
    """What process @pid has open: how often each."""
    found = collections.Counter()
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found[os.readlink(f"/proc/{pid}/fd/{name}")] += 1
    return found


def fill_hash(pin, keys):
    """Copies of an element of a pinned hash, under 32-bit @keys, until it takes no more of them."""
    path, value = ctypes.create_string_buffer(pin.encode()), ctypes.create_string_buffer(1 << 16)
    key = ctypes.create_string_buffer(4)
    fd = _bpf(BPF_OBJ_GET, struct.pack("<QII", ctypes.addressof(path), 0, 0))
    attr = struct.pack("<IIQQQ", fd, 0, ctypes.addressof(key), ctypes.addressof(value), 0)
    try:
        _bpf(BPF_MAP_LOOKUP_ELEM, attr)
        for k in keys:
            key.raw = struct.pack("<I", k)
            _bpf(BPF_MAP_UPDATE_ELEM, attr)
    except OSError as e:
        if e.errno != errno.E2BIG:
            raise
    finally:
        os.close(fd)


_SYS_PIDFD_GETFD = 438


def socket_of(pid, wanted, family=socket.AF_INET):
    """A duplicate of the socket of process @pid that @wanted(socket) is true of."""
    pidfd = os.pidfd_open(pid)
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            if not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
                continue
            sock = socket.socket(fileno=_libc.syscall(_SYS_PIDFD_GETFD, pidfd, int(name), 0))
            with contextlib.suppress(OSError):
                if sock.family == family and wanted(sock):
                    return sock
            sock.close()
    finally:
        os.close(pidfd)
    raise AssertionError(f"process {pid} has no such socket")


def member_of(pin, struct_, member):
    """Size of @struct_ and offset of @member, by the BTF of the map at @pin."""
    text = subprocess.run(["bpftool", "btf", "dump", "map", "pinned", pin, "value"], check=True,
                          capture_output=True, text=True).stdout
    found = re.search(rf"STRUCT '{struct_}' size=(\d+) .*?\n\t'{member}' .*?bits_offset=(\d+)", text, re.S)
    return int(found[1]), int(found[2]) // 8


@contextlib.contextmanager
def mute(device, port):
    """On @device an IPv4 connection with @port at one end gets no acknowledgement from there, and no
    FIN without data to there: both are sent again, the FIN with what was before it."""
    h, b = 0x28, 0x30  # BPF_LD | BPF_ABS
    code = (_insn(0xbf, 0x16) + _insn(h, imm=16) + _insn(0x55, offset=7, imm=52) +
            _insn(h, imm=34) + _insn(0x15, offset=7, imm=port) +
            _insn(h, imm=36) + _insn(0x55, offset=3, imm=port) +
            _insn(b, imm=47) + _insn(0x57, imm=1) + _insn(0x55, offset=2) +
            _return(TC_ACT_OK) + _return(TC_ACT_SHOT))
    fds = [_program(BPF_PROG_TYPE_SCHED_CLS, code)]
    try:
        fds.append(_bpf(BPF_LINK_CREATE, struct.pack("<IIII", fds[0], socket.if_nametoindex(device),
                                                     BPF_TCX_INGRESS, 0)))
        yield
    finally:
        for fd in fds:
            os.close(fd)
