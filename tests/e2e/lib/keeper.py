# SPDX-License-Identifier: GPL-2.0-only
"""A server that keeps each request byte for byte and answers what the test says."""
import contextlib
import re
import socket
import threading

from .servers import serve_each

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Request:
    def __init__(self, head, body):
        first, *lines = head.decode("latin-1").split("\r\n")
        self.line, self.head, self.body = first, head, body
        self.method, self.target, self.version = first.split(" ", 2)
        self.headers = [(n, v.strip()) for n, _, v in (x.partition(":") for x in lines)]

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name]

    def get(self, name):
        return self.all(name)[0] if self.all(name) else None

    def __repr__(self):
        return f"<{self.head!r} {len(self.body)} bytes>"


class Keeper:
    """@answer: bytes, or f(request, number of the request) -> bytes; None: the connection ends."""

    def __init__(self, t, port, answer=OK):
        self.requests, self.answer = [], answer
        self.lock = threading.Lock()
        self.connections = 0
        self.listener = t.listen(port)
        t.stack.callback(self.stop)
        serve_each(self.listener, self._serve)

    def stop(self):
        """Wakes the thread that accepts: a descriptor must not be another test's under its feet."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _body(head, buf, fill):
        length = re.search(rb"(?mi)^content-length: *(\d+)\r?$", head)
        if re.search(rb"(?mi)^transfer-encoding: *chunked\r?$", head):
            while b"0\r\n\r\n" not in buf and fill():
                pass
            end = buf.index(b"0\r\n\r\n") + 5
        else:
            end = int(length.group(1)) if length else 0
            while len(buf) < end and fill():
                pass
        body = bytes(buf[:end])
        del buf[:end]
        return body

    def _serve(self, sock):
        with self.lock:
            self.connections += 1
        buf = bytearray()

        def fill():
            data = sock.recv(65536)
            buf.extend(data)
            return len(data)

        with sock, contextlib.suppress(OSError, ValueError):
            while True:
                while b"\r\n\r\n" not in buf:
                    if not fill():
                        return
                head, _, rest = bytes(buf).partition(b"\r\n\r\n")
                buf[:] = rest
                request = Request(head, self._body(head, buf, fill))
                with self.lock:
                    self.requests.append(request)
                    n = len(self.requests)
                answer = self.answer(request, n) if callable(self.answer) else self.answer
                if answer is None:
                    return
                sock.sendall(answer)
                if b"onnection: close" in answer:
                    sock.shutdown(socket.SHUT_WR)

    def last(self):
        with self.lock:
            return self.requests[-1]
