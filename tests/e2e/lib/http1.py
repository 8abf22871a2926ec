# SPDX-License-Identifier: GPL-2.0-only
"""A strict HTTP/1.1 client on a raw socket: the test sees each byte."""
import socket
import time


class BadResponse(AssertionError):
    pass


class Closed(BadResponse):
    """EOF where an answer was due. `got` is what came of it."""

    def __init__(self, text, got=b""):
        super().__init__(text)
        self.got = got


class Response:
    def __init__(self, version, status, reason, headers):
        self.version, self.status, self.reason = version, status, reason
        self.headers = headers  # [(lower-case name, value)]
        self.body = b""
        self.informational = []
        self.until_close = False

    def get(self, name, default=None):
        values = [v for n, v in self.headers if n == name]
        return ", ".join(values) if values else default

    def __repr__(self):
        return f"<{self.status} {self.reason} {self.headers} {len(self.body)} bytes>"


def build(method, path, headers=(), body=None, chunked=False, host="test", version="HTTP/1.1"):
    """The bytes of a request. @body: bytes, or a list of chunks with @chunked."""
    lines = [f"{method} {path} {version}"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines += [f"{n}: {v}" for n, v in headers]
    if chunked:
        lines.append("Transfer-Encoding: chunked")
        parts = [body] if isinstance(body, (bytes, bytearray)) else body
        data = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in parts if p) + b"0\r\n\r\n"
    else:
        data = body or b""
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + data


def answer_with(body):
    """A server's answer, whole."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def exactly(sock, n):
    """The next @n bytes of a socket."""
    got = bytearray()
    while len(got) < n:
        data = sock.recv(n - len(got))
        assert data, f"EOF after {len(got)} of {n} bytes: {bytes(got)[-200:]}"
        got += data
    return bytes(got)


def head_of(sock):
    """A head, as it stands; not a byte of what is behind it is read."""
    got = b""
    while not got.endswith(b"\r\n\r\n"):
        got += exactly(sock, 1)
    return got


class Conn:
    def __init__(self, addr, timeout=20, rcvbuf=None):
        family = socket.AF_INET6 if ":" in addr[0] else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect(addr)
        self.buf = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def send_pieces(self, pieces, pause=0.0):
        """Each piece in a send of its own. @pause: seconds, to keep them apart on the wire."""
        for piece in pieces:
            self.sock.sendall(piece)
            if pause:
                time.sleep(pause)

    def request(self, method, path, headers=(), body=None, chunked=False, host="test"):
        try:
            self.send(build(method, path, headers, body, chunked, host))
        except (BrokenPipeError, ConnectionResetError):
            pass  # an early answer, perhaps
        return self.response(method)

    def get(self, path, headers=()):
        return self.request("GET", path, headers)

    def _fill(self):
        data = self.sock.recv(262144)
        self.buf += data
        return len(data)

    def _line(self):
        while True:
            at = self.buf.find(b"\n")
            if at >= 0:
                line = bytes(self.buf[:at + 1])
                del self.buf[:at + 1]
                if not line.endswith(b"\r\n"):
                    raise BadResponse(f"bare LF: {line!r}")
                return line[:-2]
            if not self._fill():
                raise Closed(f"EOF in a line: {bytes(self.buf)!r}", bytes(self.buf))

    def _exactly(self, n):
        out = bytearray(n)
        have = min(n, len(self.buf))
        out[:have] = self.buf[:have]
        del self.buf[:have]
        view = memoryview(out)
        while have < n:
            got = self.sock.recv_into(view[have:])
            if not got:
                raise Closed(f"EOF after {have} of {n} bytes", bytes(out[:have]))
            have += got
        return bytes(out)

    def _head(self):
        while b"\r\n\r\n" not in self.buf:
            if not self._fill():
                if not self.buf:
                    raise Closed("EOF before the answer")
                raise Closed(f"EOF in the head: {bytes(self.buf)!r}", bytes(self.buf))
        raw, _, rest = bytes(self.buf).partition(b"\r\n\r\n")
        self.buf = bytearray(rest)
        first, *lines = raw.decode("latin-1").split("\r\n")
        words = first.split(" ", 2)
        if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
            raise BadResponse(f"status line {first!r}")
        headers = []
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip() or "\n" in line:
                raise BadResponse(f"header line {line!r}")
            headers.append((name.lower(), value.strip()))
        return Response(words[0], int(words[1]), words[2] if len(words) > 2 else "", headers)

    def _chunks(self):
        out = bytearray()
        while True:
            size = self._line().split(b";")[0].strip()
            n = int(size, 16)
            if n == 0:
                while self._line():
                    pass  # trailers
                return bytes(out)
            out += self._exactly(n)
            if self._exactly(2) != b"\r\n":
                raise BadResponse("no CRLF after a chunk")

    def head(self):
        """The final head; 1xx ones before it are kept in .informational."""
        early = []
        while True:
            response = self._head()
            if response.status >= 200 or response.status == 101:
                response.informational = early
                return response
            early.append(response)

    def response(self, method="GET"):
        r = self.head()
        coding = r.get("transfer-encoding")
        length = r.get("content-length")
        if method == "HEAD" or r.status in (204, 304) or r.status < 200:
            if coding and r.status == 204:
                raise BadResponse("204 with Transfer-Encoding")
        elif coding:
            if coding.lower() != "chunked" or length is not None:
                raise BadResponse(f"framing: {r.headers}")
            r.body = self._chunks()
        elif length is not None:
            if not length.isdigit():
                raise BadResponse(f"Content-Length {length!r}")
            r.body = self._exactly(int(length))
        else:
            r.until_close = True
            while self._fill():
                pass
            r.body, self.buf = bytes(self.buf), bytearray()
        return r

    def at_eof(self):
        """True when the other side has closed in order; False on any byte. Waits."""
        if self.buf:
            return False
        return not self._fill()
