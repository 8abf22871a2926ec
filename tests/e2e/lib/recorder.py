# SPDX-License-Identifier: GPL-2.0-only
"""A backend that keeps every byte it is sent, and reads it with another's parser (h11)."""
import re
import socket
import threading

import h11

from .servers import serve_each

# What no head may hold that is sent on, however lenient its reader is.
STRICT_HEAD = re.compile(rb"[!-~]+ [!-~]+ HTTP/1\.1\r\n"
                         rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)*\r\n\Z")
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Request:
    def __init__(self, event):
        self.method = event.method.decode()
        self.target = event.target.decode("latin-1")
        self.headers = [(n.decode().lower(), v.decode("latin-1")) for n, v in event.headers]
        self.body = b""

    def get(self, name):
        return [v for n, v in self.headers if n == name]

    def __repr__(self):
        return f"{self.method} {self.target} {self.body[:40]!r}"


class Recorder:
    """Listens on @port. Each whole request is kept in .requests and answered by .answer(request):
    bytes, and whether the connection is kept."""

    def __init__(self, t, port, answer=None):
        self.answer = answer or (lambda r: (ANSWER, True))
        self.lock = threading.Lock()
        self.requests, self.wrong = [], []
        self.listener = t.listen(port)
        t.stack.callback(self.stop)
        serve_each(self.listener, self.serve)

    def stop(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def serve(self, sock):
        try:
            with sock:
                self.converse(sock)
        except OSError:
            pass
        except h11.RemoteProtocolError as e:
            # An end in the middle is a request that was not made.
            if "closed connection" not in str(e):
                self.complain(f"h11: {e}")

    def complain(self, text):
        with self.lock:
            self.wrong.append(text)

    def check_head(self, raw):
        if not STRICT_HEAD.match(raw[:raw.find(b"\r\n\r\n") + 4]):
            self.complain(f"not strict: {raw[:200]!r}")

    def converse(self, sock):
        raw = b""
        conn = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        request = None
        while True:
            event = conn.next_event()
            if event is h11.NEED_DATA:
                data = sock.recv(65536)
                raw += data
                conn.receive_data(data)
            elif isinstance(event, h11.Request):
                self.check_head(raw)
                request = Request(event)
            elif isinstance(event, h11.Data):
                request.body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                left = conn.trailing_data[0]
                if left:
                    self.complain(f"{request} with bytes behind it: {left[:100]!r}")
                with self.lock:
                    self.requests.append(request)
                data, keep = self.answer(request)
                sock.sendall(data)
                if not keep:
                    return
                conn, raw = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20), b""
            elif isinstance(event, h11.ConnectionClosed):
                return

    def take(self):
        """What came since the last call."""
        with self.lock:
            taken, self.requests = self.requests, []
            wrong, self.wrong = self.wrong, []
        assert not wrong, f"the backend got: {wrong}"
        return taken
