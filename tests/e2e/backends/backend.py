#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Backend of the tests on Python's http.server: backend.py NAME PORT|unix:PATH [ADDRESS]

    GET  .../who              the name
    GET  .../bytes/SIZE/SEED  a body that the tests can make, with Content-Length
    GET  .../chunked/SIZE/SEED  the same in chunks of odd sizes
    POST .../echo             the request's body
    POST .../echo-chunked     the request's body, in chunks
    GET  .../head             the request's head as it came, as text
    GET  .../status/CODE      204, 304 and others, without a body
    GET  .../slow/MS          the name, after MS milliseconds
    GET  .../close            the name, with Connection: close
"""
import os
import socket
import socketserver
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lib.data import pattern  # noqa: E402

CHUNK_SIZES = (1, 7, 64, 1000, 4096, 65536)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # head and body in one send, as servers do
    disable_nagle_algorithm = False

    def log_message(self, *args):
        pass

    def address_string(self):
        return "-"

    def handle_expect_100(self):
        self.send_response_only(100)
        self.end_headers()
        self.wfile.flush()
        return True

    def answer(self, status, body=None, headers=()):
        self.send_response(status)
        self.send_header("X-Backend", NAME)
        for name, value in headers:
            self.send_header(name, value)
        if body is not None:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if body and self.command != "HEAD":
            self.wfile.write(body)

    def answer_chunked(self, body):
        self.send_response(200)
        self.send_header("X-Backend", NAME)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.command == "HEAD":
            return
        at = turn = 0
        while at < len(body):
            size = CHUNK_SIZES[turn % len(CHUNK_SIZES)]
            part = body[at:at + size]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
            at, turn = at + size, turn + 1
        self.wfile.write(b"0\r\n\r\n")

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            out = bytearray()
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                if not size:
                    while self.rfile.readline() not in (b"\r\n", b"\n", b""):
                        pass
                    return bytes(out)
                out += self.rfile.read(size)
                self.rfile.readline()
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def handle_any(self):
        words = self.path.split("?")[0].strip("/").split("/")
        if words[0] == "service":
            words = words[2:]
        body = self.read_body()
        what = words[0] if words else "who"
        if what == "bytes":
            self.answer(200, pattern(int(words[1]), int(words[2])))
        elif what == "chunked":
            self.answer_chunked(pattern(int(words[1]), int(words[2])))
        elif what == "echo":
            self.answer(200, body)
        elif what == "echo-chunked":
            self.answer_chunked(body)
        elif what == "head":
            text = f"{self.requestline}\r\n" + "".join(f"{n}: {v}\r\n" for n, v in
                                                       self.headers.items())
            self.answer(200, text.encode("latin-1"))
        elif what == "status":
            status = int(words[1])
            self.answer(status, None if status in (204, 304) else b"")
        elif what == "slow":
            self.wfile.flush()
            time.sleep(int(words[1]) / 1000)
            self.answer(200, NAME.encode())
        elif what == "close":
            self.close_connection = True
            self.answer(200, NAME.encode(), [("Connection", "close")])
        else:
            self.answer(200, NAME.encode())

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = handle_any


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


class UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 1024


NAME = sys.argv[1]

if __name__ == "__main__":
    if sys.argv[2].startswith("unix:"):
        UnixServer(sys.argv[2][5:], Handler).serve_forever()
    address = sys.argv[3] if len(sys.argv) > 3 else "127.0.0.1"
    if ":" in address:
        Server.address_family = socket.AF_INET6  # "::" takes IPv4 as well
    Server((address, int(sys.argv[2])), Handler).serve_forever()
