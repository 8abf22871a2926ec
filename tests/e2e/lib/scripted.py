# SPDX-License-Identifier: GPL-2.0-only
"""A backend that answers, waits or stops as the path says; it knows its connections."""
import threading
import time

from lib.http1 import answer_with
from lib.servers import serve_each


class Scripted:
    """
    GET /fast          "ok"
    GET /number        how many requests this connection has had
    GET /hang          no answer
    GET /half          a head for 100 bytes, and 10 of them
    GET /drip/N        N chunks of 10 bytes, 0.1 s apart
    POST /take         "ok" when the body is there
    """

    def __init__(self, t, port=9001, backlog=256):
        self.listener = t.listen(port, backlog=backlog)
        self.connections = 0
        self.requests = 0
        self.active = self.most = 0
        self._lock = threading.Lock()
        serve_each(self.listener, self._serve)

    def _serve(self, conn):
        with self._lock:
            self.connections += 1
        n, buf = 0, b""
        with conn:
            try:
                while True:
                    while b"\r\n\r\n" not in buf:
                        data = conn.recv(65536)
                        if not data:
                            return
                        buf += data
                    head, _, buf = buf.partition(b"\r\n\r\n")
                    n += 1
                    with self._lock:
                        self.requests += 1
                        self.active += 1
                        self.most = max(self.most, self.active)
                    open_ = [True]
                    try:
                        buf = self._answer(conn, head.decode("latin-1"), buf, n, open_)
                    finally:
                        self._answered(open_)
            except OSError:
                pass

    def _answered(self, open_):
        """The request is none that is open any more. Before its answer's end is sent: behind it
        the next request may be on another connection before this thread runs again."""
        with self._lock:
            self.active -= open_[0]
            open_[0] = False

    def _answer(self, conn, head, buf, n, open_):
        path = head.split(" ")[1]
        length = 0
        for line in head.split("\r\n"):
            if line.lower().startswith("content-length:"):
                length = int(line.split(":")[1])
        while len(buf) < length:
            data = conn.recv(65536)
            if not data:
                raise OSError("end of the body")
            buf += data
        words = path.strip("/").split("/")
        what = words[-2] if words[-1].isdigit() else words[-1]
        if what == "hang":
            self._wait(conn)
        elif what == "half":
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789")
            self._wait(conn)
        elif what == "drip":
            conn.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(int(words[-1])):
                time.sleep(0.1)
                conn.sendall(b"a\r\n0123456789\r\n")
            self._answered(open_)
            conn.sendall(b"0\r\n\r\n")
        else:
            if what == "slow":
                time.sleep(int(words[-1]) / 1000)
            body = str(n).encode() if what == "number" else b"ok"
            self._answered(open_)
            conn.sendall(answer_with(body))
        return buf[length:]

    def _wait(self, conn):
        """Until the other side ends the connection."""
        while conn.recv(65536):
            pass
        raise OSError("ended")
