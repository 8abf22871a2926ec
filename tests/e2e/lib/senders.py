# SPDX-License-Identifier: GPL-2.0-only
"""The ways in which a process can send on a socket: each send(sock, data, flags=0), all of @data."""
import ctypes
import errno
import mmap
import os
import platform
import socket
import struct
import subprocess
import sys
import threading

from . import seccomp

_libc = ctypes.CDLL(None, use_errno=True)


def _done(result, data):
    if result < 0:
        raise OSError(ctypes.get_errno(), "send")
    assert result == len(data), f"{result} of {len(data)} bytes"


# --- with flags ---

def sendto(sock, data, flags=0):
    _done(sock.send(data, flags), data)


def sendmsg(sock, data, flags=0):
    _done(sock.sendmsg([data[:1], data[1:]], [], flags), data)


def sendmmsg(sock, data, flags=0):
    text = ctypes.create_string_buffer(data, len(data))
    iov = ctypes.create_string_buffer(struct.pack("PN", ctypes.addressof(text), len(data)))
    vec = ctypes.create_string_buffer(struct.pack("PIPNPNiI4x", 0, 0, ctypes.addressof(iov), 1, 0, 0, 0, 0))
    n = _libc.sendmmsg(sock.fileno(), vec, 1, flags)
    _done(struct.unpack_from("I", vec, 56)[0] if n == 1 else -1, data)


_SENDTO_32 = bytes.fromhex("53 55 89fb 89c8 89f1 89c6 31ff 31ed b871010000 cd80 4898 5d 5b c3")


def call_32(sock, data, flags=0):
    """sendto() as 32-bit programs call it, by int $0x80: all that it is given lies below 4 GiB."""
    low = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40  # MAP_32BIT
    with mmap.mmap(-1, len(data), low) as text, \
            mmap.mmap(-1, 4096, low, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as code:
        code[:len(_SENDTO_32)], text[:] = _SENDTO_32, data
        at = [ctypes.c_char.from_buffer(m) for m in (code, text)]
        call = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_long, ctypes.c_int)
        n = call(ctypes.addressof(at[0]))(sock.fileno(), ctypes.addressof(at[1]), len(data), flags)
        del at
    _done(n, data)


def _has_call_32():
    """Whether this machine lets a program make such a call: some kernels and virtual machines end it instead."""
    probe = os.fork()
    if probe == 0:
        try:
            call_32(socket.socket(), b"x")
        finally:
            os._exit(0)  # whatever it answers
    return os.waitstatus_to_exitcode(os.waitpid(probe, 0)[1]) == 0


# --- without ---

def write(sock, data):
    _done(os.write(sock.fileno(), data), data)


def writev(sock, data):
    _done(os.writev(sock.fileno(), [data[:1], data[1:]]), data)


def sendfile(sock, data):
    fd = os.memfd_create("data")
    try:
        os.write(fd, data)
        _done(os.sendfile(sock.fileno(), fd, 0, len(data)), data)
    finally:
        os.close(fd)


def splice(sock, data):
    out, into = os.pipe()
    try:
        os.write(into, data)
        _done(os.splice(out, sock.fileno(), len(data)), data)
    finally:
        os.close(out)
        os.close(into)


# --- io_uring ---

_SETUP, _ENTER = 425, 426
_SQPOLL, _COOP_TASKRUN = 2, 1 << 8
_LINK, _ASYNC = 4, 16
_READ, _SEND = 22, 26
_GETEVENTS, _WAKEUP = 1, 2


class Ring:
    """Four requests at most, in all."""

    def __init__(self, flags=0):
        params = ctypes.create_string_buffer(struct.pack("3I", 0, 0, flags), 120)
        self.fd = _libc.syscall(_SETUP, 4, params, 0)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "io_uring_setup()")
        self.sq, self.cq = struct.unpack_from("7I", params, 40), struct.unpack_from("6I", params, 80)
        self.rings = mmap.mmap(self.fd, max(self.sq[6] + 16, self.cq[5] + 8 * 16), offset=0)
        self.sqes = mmap.mmap(self.fd, 4 * 64, offset=0x10000000)
        self.n, self.kept = 0, []

    def add(self, opcode, fd, buf, flags=0, op_flags=0):
        self.sqes[self.n * 64:(self.n + 1) * 64] = struct.pack(
            "BBHiQQIIQ24x", opcode, flags, 0, fd, 0, ctypes.addressof(buf), len(buf), op_flags, self.n)
        struct.pack_into("I", self.rings, self.sq[6] + 4 * self.n, self.n)
        self.kept.append(buf)
        self.n += 1
        struct.pack_into("I", self.rings, self.sq[1], self.n)

    def enter(self, submit, wait):
        n = _libc.syscall(_ENTER, self.fd, submit, wait, _GETEVENTS | _WAKEUP, None, 0)
        if n < 0:
            raise OSError(ctypes.get_errno(), "io_uring_enter()")

    def done(self):
        return struct.unpack_from("I", self.rings, self.cq[1])[0]

    def results(self):
        """Of all that were added, in the order in which they were done."""
        self.enter(0, self.n)
        return [struct.unpack_from("i", self.rings, self.cq[5] + 16 * i + 8)[0] for i in range(self.n)]

    def close(self):
        self.rings.close()
        self.sqes.close()
        os.close(self.fd)


def _alone(f):
    """A thread that has once had a ring is another to the kernel: so f() has a thread of its own."""
    def run(*args):
        failed = []

        def body():
            try:
                f(*args)
            except Exception as e:
                failed.append(e)
        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
    run.__name__ = f.__name__
    return run


def _by_ring(sock, data, flags, setup=0, how=0):
    ring = Ring(setup)
    try:
        ring.add(_SEND, sock.fileno(), ctypes.create_string_buffer(data, len(data)), how, flags)
        ring.enter(1, 1)
        _done(ring.results()[0], data)
    finally:
        ring.close()


@_alone
def ring(sock, data, flags=0):
    """In io_uring_enter()."""
    _by_ring(sock, data, flags)


@_alone
def ring_worker(sock, data, flags=0):
    """By a thread that the kernel makes."""
    _by_ring(sock, data, flags, how=_ASYNC)


@_alone
def ring_poller(sock, data, flags=0):
    """By another such thread, which waits for requests."""
    _by_ring(sock, data, flags, _SQPOLL)


def _behind_read(sock, data, flags, come, setup=0, how=0):
    """A read from a pipe waits, and the send for it; come(ring, the pipe's end) lets it be read."""
    out, into = os.pipe()
    ring = Ring(setup)
    try:
        ring.add(_READ, out, ctypes.create_string_buffer(1), _LINK)
        ring.add(_SEND, sock.fileno(), ctypes.create_string_buffer(data, len(data)), how, flags)
        ring.enter(2, 0)
        come(ring, into)
        done = ring.results()
        assert done[0] == 1, done
        _done(done[1], data)
    finally:
        ring.close()
        os.close(out)
        os.close(into)


@_alone
def ring_in_write(sock, data, flags=0):
    """On the way out of a write()."""
    _behind_read(sock, data, flags, lambda ring, into: os.write(into, b"x"))


@_alone
def worker_of_write(sock, data, flags=0):
    """By a thread that the kernel makes there: it has the registers of the write()."""
    _behind_read(sock, data, flags, lambda ring, into: os.write(into, b"x"), how=_ASYNC)


_WRITEV = 20


def _refused(ring, into):
    with subprocess.Popen(["/bin/sh", "-c", "sleep 0.02; echo"], stdout=into):
        seccomp.install(seccomp.refusal(_WRITEV, errno.ENOSYS))
        while ring.done() < 2:
            assert _libc.writev(-1, None, 0) == -1 and ctypes.get_errno() == errno.ENOSYS


@_alone
def ring_in_refusal(sock, data, flags=0):
    """On the way out of a call that a filter refuses with what the kernel puts there before any call."""
    _behind_read(sock, data, flags, _refused, setup=_COOP_TASKRUN)


# Gives a thread the registers of one that is in write(): orig_ax and ax as before any call is made.
_LIE = """
import ctypes, os, sys
SEIZE, INTERRUPT, POKEUSER, DETACH, WALL = 0x4206, 0x4207, 6, 17, 0x40000000
libc, tid = ctypes.CDLL(None, use_errno=True), int(sys.argv[1])
def ptrace(request, at=0, value=0):
    assert not libc.ptrace(ctypes.c_long(request), tid, ctypes.c_void_p(at), ctypes.c_void_p(value)), ctypes.get_errno()
ptrace(SEIZE)
ptrace(INTERRUPT)
os.waitpid(tid, WALL)
ptrace(POKEUSER, 120, 1)
ptrace(POKEUSER, 80, 2 ** 64 - 38)
ptrace(DETACH)
"""


@_alone
def worker_that_lies(sock, data, flags=0):
    """By a thread that the kernel makes, and a debugger says that it is in a write()."""
    out, into = os.pipe()
    ring = Ring()
    try:
        ring.add(_READ, out, ctypes.create_string_buffer(1), _ASYNC)
        os.write(into, b"x")
        ring.enter(1, 1)
        for worker in _workers():
            subprocess.run([sys.executable, "-c", _LIE, worker], check=True)
        ring.add(_SEND, sock.fileno(), ctypes.create_string_buffer(data, len(data)), _ASYNC, flags)
        ring.enter(1, 2)
        done = ring.results()
        assert done[0] == 1, done
        _done(done[1], data)
    finally:
        ring.close()
        os.close(out)
        os.close(into)


def _workers():
    """The threads that the kernel has made for rings of this thread."""
    name = f"iou-wrk-{threading.get_native_id()}"
    found = []
    for tid in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{tid}/comm") as f:
            if f.read().strip() == name:
                found.append(tid)
    assert found, "no worker"
    return found


PLAIN = [sendto, sendmsg, sendmmsg, write, writev, sendfile, splice]
FLAGGED = [sendto, sendmsg, sendmmsg, ring, ring_worker, ring_poller, ring_in_write, worker_of_write]
if platform.machine() == "x86_64":
    FLAGGED += [ring_in_refusal, worker_that_lies]
    if _has_call_32():
        FLAGGED.append(call_32)
