# SPDX-License-Identifier: GPL-2.0-only
"""Memory that lets whoever reads it wait: a system call that copies from it stands still, with the
locks that it has."""
import ctypes
import fcntl
import mmap
import os
import platform
import struct

PAGE = mmap.PAGESIZE
_SYS_USERFAULTFD = {"x86_64": 323, "aarch64": 282}[platform.machine()]
_API, _REGISTER, _COPY, _WAKE = 0xc018aa3f, 0xc020aa00, 0xc028aa03, 0x8010aa02
_PROT_NONE = 0
_libc = ctypes.CDLL(None, use_errno=True)


class Memory:
    """@data, of which the pages @missing are not there before give() brings them."""

    def __init__(self, t, data, missing):
        self._data = data + bytes(-len(data) % PAGE)
        self.map = mmap.mmap(-1, len(self._data), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._base = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        self._fd = _libc.syscall(_SYS_USERFAULTFD, os.O_CLOEXEC)
        assert self._fd >= 0, os.strerror(ctypes.get_errno())
        t.stack.callback(os.close, self._fd)
        fcntl.ioctl(self._fd, _API, struct.pack("QQQ", 0xaa, 0, 0))
        fcntl.ioctl(self._fd, _REGISTER, struct.pack("QQQQ", self._base, len(self._data), 1, 0))
        for page in range(len(self._data) // PAGE):
            if page not in missing:
                self.give(page)

    def give(self, page):
        source = ctypes.create_string_buffer(self._data[page * PAGE:(page + 1) * PAGE], PAGE)
        fcntl.ioctl(self._fd, _COPY, struct.pack("QQQQq", self._base + page * PAGE,
                                                 ctypes.addressof(source), PAGE, 0, 0))

    def refuse(self):
        """Whoever waits finds nothing there: EFAULT."""
        assert not _libc.mprotect(ctypes.c_void_p(self._base), ctypes.c_size_t(len(self._data)), _PROT_NONE)
        fcntl.ioctl(self._fd, _WAKE, struct.pack("QQ", self._base, len(self._data)))

    def wanted(self):
        """Waits for one who wants a page that is missing; which."""
        message = os.read(self._fd, 32)
        assert message[0] == 0x12, message
        return (struct.unpack("Q", message[16:24])[0] - self._base) // PAGE
