# SPDX-License-Identifier: GPL-2.0-only
"""Requests that two parsers may read in two ways: what is answered, and what goes on to the
backend, whose reader is another's (h11). Each is sent in one piece on a session that is
paired and warm, and the same with the user path alone; both must do the same."""
import socket

from lib.config import DOORS, config, route
from lib.http1 import BadResponse, Closed, Conn
from lib.recorder import Recorder
from lib.runner import test

FRONT = ("127.0.0.1", 8000)
PATHS = {"kernel": {}, "user": {"kernel_path": False}}

G = b"GET / HTTP/1.1\r\nHost: test\r\n"
P = b"POST / HTTP/1.1\r\nHost: test\r\n"
TE = P + b"Transfer-Encoding: chunked\r\n"
END = b"0\r\n\r\n"
EVIL = b"GET /evil HTTP/1.1\r\nHost: evil\r\n\r\n"
END_EVIL = b"\r\n" + END + EVIL
CL_EVIL = b"Content-Length: %d\r\n\r\n" % len(EVIL) + EVIL

# Answered with a status and the end of the connection; the backend sees no request.
REFUSED = {400: {
    # Content-Length and Transfer-Encoding: CL.TE, TE.CL, and every order and spelling.
    "cl-te": P + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n" + END_EVIL,
    "te-cl": TE + b"Content-Length: 6\r\n" + END_EVIL,
    "te-cl-0": TE + b"Content-Length: 0\r\n" + END_EVIL,
    "cl-0-te": P + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n" + END_EVIL,
    "te-cl-exact": TE + b"Content-Length: 5\r\n" + END_EVIL,
    "cl-te-lower": P + b"content-length: 6\r\ntransfer-encoding: chunked\r\n" + END_EVIL,
    "cl-te-upper": P + b"CONTENT-LENGTH: 6\r\nTRANSFER-ENCODING: CHUNKED\r\n" + END_EVIL,
    "cl-te-get": G + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n" + END_EVIL,
    "cl-te-between": P + b"Content-Length: 6\r\nX: y\r\nTransfer-Encoding: chunked\r\n" + END_EVIL,
    "te-te-cl": TE + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n" + END_EVIL,
    # TE.TE
    "te-twice": TE + b"Transfer-Encoding: chunked\r\n" + END_EVIL,
    "te-then-identity": TE + b"Transfer-Encoding: identity\r\n" + END_EVIL,
    "te-then-x": TE + b"Transfer-Encoding: x\r\n" + END_EVIL,
    "te-space-colon": P + b"Transfer-Encoding : chunked\r\n" + END_EVIL,
    "te-tab-colon": P + b"Transfer-Encoding\t: chunked\r\n" + END_EVIL,
    "te-space-first": P + b" Transfer-Encoding: chunked\r\n" + END_EVIL,
    "te-tab-first": P + b"\tTransfer-Encoding: chunked\r\n" + END_EVIL,
    "te-bare-lf-first": P + b"X: y\nTransfer-Encoding: chunked\r\n" + END_EVIL,
    "te-bare-cr-first": P + b"X: y\rTransfer-Encoding: chunked\r\n" + END_EVIL,
    "te-vt-value": P + b"Transfer-Encoding: \x0bchunked\r\n" + END_EVIL,
    "te-ff-value": P + b"Transfer-Encoding: chunked\x0c\r\n" + END_EVIL,
    "te-nul-value": P + b"Transfer-Encoding: chunked\0\r\n" + END_EVIL,
    "te-nul-name": P + b"Transfer-Encoding\0: chunked\r\n" + END_EVIL,
    "te-cr-cr-lf": P + b"Transfer-Encoding: chunked\r\r\n" + END_EVIL,
    "te-http10": P.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n" + END_EVIL,
    "te-http10-keep": P.replace(b"1.1", b"1.0") +
                      b"Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n" + END_EVIL,
    # Content-Length
    "cl-twice": P + b"Content-Length: 0\r\n" + CL_EVIL,
    "cl-twice-same": P + b"Content-Length: %d\r\n" % len(EVIL) + CL_EVIL,
    "cl-twice-case": P + b"content-length: 0\r\n" + CL_EVIL,
    "cl-list": P + b"Content-Length: 0, 35\r\n\r\n" + EVIL,
    "cl-list-same": P + b"Content-Length: 35, 35\r\n\r\n" + EVIL,
    "cl-list-tight": P + b"Content-Length: 0,35\r\n\r\n" + EVIL,
    "cl-empty": P + b"Content-Length:\r\n\r\n" + EVIL,
    "cl-blank": P + b"Content-Length: \t \r\n\r\n" + EVIL,
    "cl-plus": P + b"Content-Length: +35\r\n\r\n" + EVIL,
    "cl-minus": P + b"Content-Length: -1\r\n\r\n" + EVIL,
    "cl-minus-0": P + b"Content-Length: -0\r\n\r\n" + EVIL,
    "cl-hex": P + b"Content-Length: 0x23\r\n\r\n" + EVIL,
    "cl-hex-bare": P + b"Content-Length: a\r\n\r\n" + EVIL,
    "cl-float": P + b"Content-Length: 35.0\r\n\r\n" + EVIL,
    "cl-exponent": P + b"Content-Length: 3e1\r\n\r\n" + EVIL,
    "cl-underscore": P + b"Content-Length: 3_5\r\n\r\n" + EVIL,
    "cl-inner-space": P + b"Content-Length: 3 5\r\n\r\n" + EVIL,
    "cl-semicolon": P + b"Content-Length: 35;x\r\n\r\n" + EVIL,
    "cl-quoted": P + b'Content-Length: "35"\r\n\r\n' + EVIL,
    "cl-nul": P + b"Content-Length: 35\0\r\n\r\n" + EVIL,
    "cl-space-colon": P + b"Content-Length : 35\r\n\r\n" + EVIL,
    "cl-tab-colon": P + b"Content-Length\t: 35\r\n\r\n" + EVIL,
    "cl-folded": P + b"Content-Length:\r\n 35\r\n\r\n" + EVIL,
    "cl-folded-more": P + b"Content-Length: 3\r\n 5\r\n\r\n" + EVIL,
    "cl-2-63": P + b"Content-Length: 9223372036854775808\r\n\r\n" + EVIL,
    "cl-2-64": P + b"Content-Length: 18446744073709551616\r\n\r\n" + EVIL,
    "cl-2-64-1": P + b"Content-Length: 18446744073709551651\r\n\r\n" + EVIL,
    "cl-2-32-long": P + b"Content-Length: 00000000000000000000000000035\r\n\r\n" + EVIL,
    "cl-unicode": P + "Content-Length: \u0663\u0665\r\n\r\n".encode() + EVIL,
    "cl-bare-cr": P + b"Content-Length: 35\rX: y\r\n\r\n" + EVIL,
    "cl-bare-lf": P + b"Content-Length: 35\nX: y\r\n\r\n" + EVIL,
    # Line terminators
    "lf-all": b"GET / HTTP/1.1\nHost: test\n\n" + EVIL,
    "lf-request-line": b"GET / HTTP/1.1\nHost: test\r\n\r\n",
    "lf-field": b"GET / HTTP/1.1\r\nHost: test\nX: y\r\n\r\n",
    "lf-last": G[:-2] + b"\n\r\n",
    "lf-end": G + b"\n" + EVIL,
    "lf-cr-end": G + b"\n\r\n" + EVIL,
    "cr-request-line": b"GET / HTTP/1.1\rHost: test\r\n\r\n",
    "cr-field": G + b"X: a\rb\r\n\r\n",
    "cr-name": G + b"X\r: a\r\n\r\n",
    "cr-cr-lf-end": G + b"\r\r\n" + EVIL,
    "cr-in-target": b"GET /\rX HTTP/1.1\r\nHost: test\r\n\r\n",
    "nel-field": G + b"X: a\r\nY\x85: b\r\n\r\n",
    "vt-request-line": b"GET\x0b/ HTTP/1.1\r\nHost: test\r\n\r\n",
    "ff-request-line": b"GET /\x0cHTTP/1.1\r\nHost: test\r\n\r\n",
    "lf-first": b"\n" + G + b"\r\n",
    "cr-first": b"\r" + G + b"\r\n",
    "space-first": b" " + G + b"\r\n",
    "tab-first": b"\t" + G + b"\r\n",
    "nul-first": b"\0" + G + b"\r\n",
    "bom-first": b"\xef\xbb\xbf" + G + b"\r\n",
    # Request line
    "two-spaces": b"GET  / HTTP/1.1\r\nHost: test\r\n\r\n",
    "two-spaces-late": b"GET /  HTTP/1.1\r\nHost: test\r\n\r\n",
    "tab-between": b"GET\t/ HTTP/1.1\r\nHost: test\r\n\r\n",
    "tab-late": b"GET /\tHTTP/1.1\r\nHost: test\r\n\r\n",
    "space-in-target": b"GET /a b HTTP/1.1\r\nHost: test\r\n\r\n",
    "space-at-end": b"GET / HTTP/1.1 \r\nHost: test\r\n\r\n",
    "words-at-end": b"GET / HTTP/1.1 x\r\nHost: test\r\n\r\n",
    "two-lines-in-one": b"GET / HTTP/1.1 GET /evil HTTP/1.1\r\nHost: test\r\n\r\n",
    "http09": b"GET /\r\n\r\n",
    "http09-host": b"GET /\r\nHost: test\r\n\r\n",
    "no-target": b"GET HTTP/1.1\r\nHost: test\r\n\r\n",
    "empty-target": b"GET  HTTP/1.1\r\nHost: test\r\n\r\n",
    "method-paren": b"G(T / HTTP/1.1\r\nHost: test\r\n\r\n",
    "method-colon": b"GET: / HTTP/1.1\r\nHost: test\r\n\r\n",
    "method-slash": b"GET/ / HTTP/1.1\r\nHost: test\r\n\r\n",
    "method-quote": b'"GET" / HTTP/1.1\r\nHost: test\r\n\r\n',
    "method-nul": b"G\0T / HTTP/1.1\r\nHost: test\r\n\r\n",
    "method-high": b"G\xc9T / HTTP/1.1\r\nHost: test\r\n\r\n",
    "method-empty": b" / HTTP/1.1\r\nHost: test\r\n\r\n",
    "target-nul": b"GET /\0 HTTP/1.1\r\nHost: test\r\n\r\n",
    "target-del": b"GET /\x7f HTTP/1.1\r\nHost: test\r\n\r\n",
    "target-esc": b"GET /\x1b HTTP/1.1\r\nHost: test\r\n\r\n",
    "target-high": b"GET /\xff HTTP/1.1\r\nHost: test\r\n\r\n",
    "target-fragment": b"GET /#x HTTP/1.1\r\nHost: test\r\n\r\n",
    "target-relative": b"GET evil HTTP/1.1\r\nHost: test\r\n\r\n",
    "target-star-get": b"GET * HTTP/1.1\r\nHost: test\r\n\r\n",
    "target-authority-get": b"GET test:80 HTTP/1.1\r\nHost: test\r\n\r\n",
    "target-backslash-scheme": b"GET http:\\\\evil/ HTTP/1.1\r\nHost: test\r\n\r\n",
    "target-scheme-only": b"GET http:// HTTP/1.1\r\nHost: test\r\n\r\n",
    "target-scheme-no-host": b"GET http:///x HTTP/1.1\r\nHost: test\r\n\r\n",
    "target-userinfo": b"GET http://a@evil/ HTTP/1.1\r\nHost: test\r\n\r\n",
    "target-ftp": b"GET ftp://test/ HTTP/1.1\r\nHost: test\r\n\r\n",
    "version-lower": b"GET / http/1.1\r\nHost: test\r\n\r\n",
    "version-comma": b"GET / HTTP/1,1\r\nHost: test\r\n\r\n",
    "version-long": b"GET / HTTP/1.10\r\nHost: test\r\n\r\n",
    "version-zeros": b"GET / HTTP/01.1\r\nHost: test\r\n\r\n",
    "version-plus": b"GET / HTTP/1.+1\r\nHost: test\r\n\r\n",
    "version-name": b"GET / HTTPS/1.1\r\nHost: test\r\n\r\n",
    "version-space": b"GET / HTTP /1.1\r\nHost: test\r\n\r\n",
    "version-none": b"GET / HTTP/\r\nHost: test\r\n\r\n",
    "version-one": b"GET / HTTP/1\r\nHost: test\r\n\r\n",
    # Host
    "host-none": b"GET / HTTP/1.1\r\n\r\n",
    "host-none-x": b"GET / HTTP/1.1\r\nX-Host: test\r\n\r\n",
    "host-twice": G + b"Host: evil\r\n\r\n",
    "host-twice-same": G + b"Host: test\r\n\r\n",
    "host-twice-case": G + b"hOsT: evil\r\n\r\n",
    "host-list": b"GET / HTTP/1.1\r\nHost: test, evil\r\n\r\n",
    "host-space": b"GET / HTTP/1.1\r\nHost: test evil\r\n\r\n",
    "host-slash": b"GET / HTTP/1.1\r\nHost: test/evil\r\n\r\n",
    "host-userinfo": b"GET / HTTP/1.1\r\nHost: a@test\r\n\r\n",
    "host-quoted": b'GET / HTTP/1.1\r\nHost: "test"\r\n\r\n',
    "host-port-word": b"GET / HTTP/1.1\r\nHost: test:evil\r\n\r\n",
    "host-ports": b"GET / HTTP/1.1\r\nHost: test:80:81\r\n\r\n",
    "host-bracket": b"GET / HTTP/1.1\r\nHost: test]evil\r\n\r\n",
    "host-v6-bare": b"GET / HTTP/1.1\r\nHost: ::1\r\n\r\n",
    "host-port-word-absolute": b"GET http://test:evil/ HTTP/1.1\r\nHost: test\r\n\r\n",
    "host-nul": b"GET / HTTP/1.1\r\nHost: te\0st\r\n\r\n",
    "host-high": b"GET / HTTP/1.1\r\nHost: t\xe9st\r\n\r\n",
    "host-space-colon": b"GET / HTTP/1.1\r\nHost : test\r\n\r\n",
    "host-folded": b"GET / HTTP/1.1\r\nHost:\r\n test\r\n\r\n",
    "host-twice-absolute": b"GET http://test/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "host-none-absolute": b"GET http://test/ HTTP/1.1\r\n\r\n",
    # Header lines
    "name-empty": G + b": y\r\n\r\n",
    "name-space": G + b"X Y: z\r\n\r\n",
    "name-space-colon": G + b"X : y\r\n\r\n",
    "name-tab-colon": G + b"X\t: y\r\n\r\n",
    "name-paren": G + b"X(y): z\r\n\r\n",
    "name-slash": G + b"X/y: z\r\n\r\n",
    "name-quote": G + b'"X": z\r\n\r\n',
    "name-at": G + b"X@: z\r\n\r\n",
    "name-brackets": G + b"X[0]: z\r\n\r\n",
    "name-nul": G + b"X\0: z\r\n\r\n",
    "name-high": G + b"X\xff: z\r\n\r\n",
    "name-none": G + b"nonsense\r\n\r\n",
    "value-nul": G + b"X: a\0b\r\n\r\n",
    "value-del": G + b"X: a\x7fb\r\n\r\n",
    "value-esc": G + b"X: a\x1bb\r\n\r\n",
    "value-bs": G + b"X: a\x08b\r\n\r\n",
    "fold-first": b"GET / HTTP/1.1\r\n Host: test\r\n\r\n",
    "fold": G + b"X: a\r\n b\r\n\r\n",
    "fold-tab": G + b"X: a\r\n\tb\r\n\r\n",
    "fold-empty": G + b"X: a\r\n \r\n\r\n",
    "fold-evil": G + b"X: a\r\n Content-Length: 35\r\n\r\n" + EVIL,
    "request-as-header": G + EVIL,
    # Chunks
    "chunk-size-none": TE + b"\r\n\r\n" + END + EVIL,
    "chunk-size-word": TE + b"\r\nzz\r\n" + END + EVIL,
    "chunk-size-0x": TE + b"\r\n0x1\r\na\r\n" + END + EVIL,
    "chunk-size-plus": TE + b"\r\n+1\r\na\r\n" + END + EVIL,
    "chunk-size-minus": TE + b"\r\n-1\r\na\r\n" + END + EVIL,
    "chunk-size-space-first": TE + b"\r\n 1\r\na\r\n" + END + EVIL,
    "chunk-size-space-last": TE + b"\r\n1 \r\na\r\n" + END + EVIL,
    "chunk-size-tab": TE + b"\r\n1\t\r\na\r\n" + END + EVIL,
    "chunk-size-underscore": TE + b"\r\n1_0\r\naaaaaaaaaaaaaaaa\r\n" + END + EVIL,
    "chunk-size-comma": TE + b"\r\n1,\r\na\r\n" + END + EVIL,
    "chunk-size-17-digits": TE + b"\r\n00000000000000001\r\na\r\n" + END + EVIL,
    "chunk-size-2-64": TE + b"\r\n10000000000000001\r\na\r\n" + END + EVIL,
    "chunk-size-nul": TE + b"\r\n1\0\r\na\r\n" + END + EVIL,
    "chunk-size-lf": TE + b"\r\n1\na\r\n" + END + EVIL,
    "chunk-size-cr": TE + b"\r\n1\ra\r\n" + END + EVIL,
    "chunk-size-cr-cr-lf": TE + b"\r\n1\r\r\na\r\n" + END + EVIL,
    "chunk-data-lf": TE + b"\r\n1\r\na\n" + END + EVIL,
    "chunk-data-cr": TE + b"\r\n1\r\na\r" + END + EVIL,
    "chunk-data-none": TE + b"\r\n1\r\na" + END + EVIL,
    "chunk-data-more": TE + b"\r\n1\r\nab\r\n" + END + EVIL,
    "chunk-ext-lf": TE + b"\r\n1;x\na\r\n" + END + EVIL,
    "chunk-ext-cr": TE + b"\r\n1;x\ry\r\na\r\n" + END + EVIL,
    "chunk-ext-nul": TE + b"\r\n1;\0\r\na\r\n" + END + EVIL,
    "chunk-ext-space": TE + b"\r\n1 ;x\r\na\r\n" + END + EVIL,
    "chunk-ext-long": TE + b"\r\n1;" + b"x" * 5000 + b"\r\na\r\n" + END + EVIL,
    "chunk-last-lf": TE + b"\r\n1\r\na\r\n0\n\r\n" + EVIL,
    "chunk-last-lf-lf": TE + b"\r\n1\r\na\r\n0\r\n\n" + EVIL,
    "chunk-last-cr": TE + b"\r\n1\r\na\r\n0\r\n\r" + EVIL,
    "trailer-space": TE + b"\r\n0\r\nX : y\r\n\r\n" + EVIL,
    "trailer-fold": TE + b"\r\n0\r\nX: y\r\n z\r\n\r\n" + EVIL,
    "trailer-lf": TE + b"\r\n0\r\nX: y\n\r\n" + EVIL,
    "trailer-nul": TE + b"\r\n0\r\nX: \0\r\n\r\n" + EVIL,
    "trailer-none": TE + b"\r\n0\r\nnonsense\r\n\r\n" + EVIL,
    "trailer-long": TE + b"\r\n0\r\nX: " + b"y" * 9000 + b"\r\n\r\n" + EVIL,
}, 501: {
    "te-folded": P + b"Transfer-Encoding:\r\n chunked\r\n" + END_EVIL,
    "te-folded-tab": P + b"Transfer-Encoding:\r\n\tchunked\r\n" + END_EVIL,
    "te-gzip": P + b"Transfer-Encoding: gzip\r\n" + END_EVIL,
    "te-gzip-chunked": P + b"Transfer-Encoding: gzip, chunked\r\n" + END_EVIL,
    "te-chunked-gzip": P + b"Transfer-Encoding: chunked, gzip\r\n" + END_EVIL,
    "te-chunked-chunked": P + b"Transfer-Encoding: chunked, chunked\r\n" + END_EVIL,
    "te-identity": P + b"Transfer-Encoding: identity\r\n" + END_EVIL,
    "te-identity-te": P + b"Transfer-Encoding: identity, chunked\r\n" + END_EVIL,
    "te-x": P + b"Transfer-Encoding: xchunked\r\n" + END_EVIL,
    "te-chunkedx": P + b"Transfer-Encoding: chunkedx\r\n" + END_EVIL,
    "te-chunke": P + b"Transfer-Encoding: chunke\r\n" + END_EVIL,
    "te-empty": P + b"Transfer-Encoding:\r\n" + END_EVIL,
    "te-comma": P + b"Transfer-Encoding: chunked,\r\n" + END_EVIL,
    "te-comma-first": P + b"Transfer-Encoding: ,chunked\r\n" + END_EVIL,
    "te-quoted": P + b'Transfer-Encoding: "chunked"\r\n' + END_EVIL,
    "te-parameter": P + b"Transfer-Encoding: chunked;q=1\r\n" + END_EVIL,
    "te-high": P + b"Transfer-Encoding: \xa0chunked\r\n" + END_EVIL,
    "te-gzip-then-chunked": P + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n" +
                            END_EVIL,
}, 505: {
    "version-2.0": b"GET / HTTP/2.0\r\nHost: test\r\n\r\n",
    "version-1.2": b"GET / HTTP/1.2\r\nHost: test\r\n\r\n",
    "version-0.9": b"GET / HTTP/0.9\r\nHost: test\r\n\r\n",
    "version-3.0": b"GET / HTTP/3.0\r\nHost: test\r\n\r\n",
    "preface-2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}, 414: {
    "target-70000": b"GET /" + b"x" * 70000 + b" HTTP/1.1\r\nHost: test\r\n\r\n",
    "query-70000": b"GET /?" + b"x" * 70000 + b" HTTP/1.1\r\nHost: test\r\n\r\n",
    "method-70000": b"G" * 70000 + b" / HTTP/1.1\r\nHost: test\r\n\r\n",
}, 431: {
    "name-70000": G + b"X" * 70000 + b": y\r\n\r\n",
    "value-70000": G + b"X: " + b"y" * 70000 + b"\r\n\r\n",
    "headers-65": G + b"X: y\r\n" * 64 + b"\r\n",
    "headers-3000": G + b"X: y\r\n" * 3000 + b"\r\n",
    "head-70000": G + (b"X: " + b"y" * 2000 + b"\r\n") * 35 + b"\r\n",
}}

HOST = "test"
EVIL_TOO = ("GET", "/evil", b"", "evil")


def asks(method="GET", target="/", body=b"", host=HOST):
    return method, target, body, host


# Taken: what the backend must have read, in order.
TAKEN = {
    "plain": (G + b"\r\n", [asks()]),
    "cl-0": (P + b"Content-Length: 0\r\n\r\n" + EVIL, [asks("POST"), EVIL_TOO]),
    "cl-none-post": (P + b"\r\n" + EVIL, [asks("POST"), EVIL_TOO]),
    "cl-get": (G + CL_EVIL, [asks(body=EVIL)]),
    "cl-zeros": (P + b"Content-Length: 0034\r\n\r\n" + EVIL, [asks("POST", body=EVIL)]),
    "cl-ows": (P + b"Content-Length:\t 34 \t\r\n\r\n" + EVIL, [asks("POST", body=EVIL)]),
    "cl-like-dash": (P + b"Content_Length: 5\r\n" + CL_EVIL, [asks("POST", body=EVIL)]),
    "cl-like-x": (P + b"X-Content-Length: 5\r\n" + CL_EVIL, [asks("POST", body=EVIL)]),
    "te-case": (P + b"tRANSFER-eNCODING: cHUNKED\r\n\r\n1\r\na\r\n" + END + EVIL,
                [asks("POST", body=b"a"), EVIL_TOO]),
    "te-ows": (P + b"Transfer-Encoding:\t chunked \t\r\n\r\n1\r\na\r\n" + END + EVIL,
               [asks("POST", body=b"a"), EVIL_TOO]),
    "te-tight": (P + b"Transfer-Encoding:chunked\r\n" + END_EVIL, [asks("POST"), EVIL_TOO]),
    "te-like": (P + b"X-Transfer-Encoding: chunked\r\n" + CL_EVIL, [asks("POST", body=EVIL)]),
    "te-like-underscore": (P + b"Transfer_Encoding: chunked\r\n" + CL_EVIL,
                           [asks("POST", body=EVIL)]),
    "te-get": (TE.replace(b"POST", b"GET") + b"\r\n1\r\na\r\n" + END, [asks(body=b"a")]),
    "te-option-nominated": (P + b"Connection: content-length\r\n" + CL_EVIL,
                            [asks("POST", body=EVIL)]),
    "te-te-nominated": (TE + b"Connection: transfer-encoding\r\n\r\n1\r\na\r\n" + END,
                        [asks("POST", body=b"a")]),
    "host-nominated": (G + b"Connection: host\r\n\r\n", [asks()]),
    "chunk-zeros": (TE + b"\r\n0001\r\na\r\n000\r\n\r\n" + EVIL,
                    [asks("POST", body=b"a"), EVIL_TOO]),
    "chunk-upper": (TE + b"\r\nA\r\n0123456789\r\n" + END, [asks("POST", body=b"0123456789")]),
    "chunk-ext": (TE + b'\r\n1;a="b";c\r\na\r\n0;last\r\n\r\n' + EVIL,
                  [asks("POST", body=b"a"), EVIL_TOO]),
    "chunk-ext-evil": (TE + b"\r\n1;GET /evil HTTP/1.1\r\na\r\n" + END,
                       [asks("POST", body=b"a")]),
    "chunk-holds-end": (TE + b"\r\n5\r\n0\r\n\r\n\r\n" + END, [asks("POST", body=b"0\r\n\r\n")]),
    "trailers": (TE + b"\r\n1\r\na\r\n0\r\nX: y\r\n\r\n" + EVIL,
                 [asks("POST", body=b"a"), EVIL_TOO]),
    "trailer-cl": (TE + b"\r\n1\r\na\r\n0\r\nContent-Length: 35\r\n\r\n" + EVIL,
                   [asks("POST", body=b"a"), EVIL_TOO]),
    "empty-line-first": (b"\r\n" + G + b"\r\n", [asks()]),
    "empty-lines-first": (b"\r\n\r\n" + G + b"\r\n", [asks()]),
    "absolute": (b"GET http://other/x HTTP/1.1\r\nHost: test\r\n\r\n",
                 [asks(target="/x", host="other")]),
    "absolute-upper": (b"GET HTTP://other/x HTTP/1.1\r\nHost: test\r\n\r\n",
                       [asks(target="/x", host="other")]),
    "absolute-port": (b"GET http://other:81/x?q HTTP/1.1\r\nHost: test\r\n\r\n",
                      [asks(target="/x?q", host="other:81")]),
    "absolute-no-path": (b"GET http://other HTTP/1.1\r\nHost: test\r\n\r\n",
                         [asks(host="other")]),
    "absolute-host-last": (b"GET http://other/ HTTP/1.1\r\nX: y\r\nhOST: test\r\n\r\n",
                           [asks(host="other")]),
    # RFC 9112 section 3.2.4: about the server as a whole, in both forms.
    "options-asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n" + EVIL,
                         [asks("OPTIONS", target="*"), EVIL_TOO]),
    "options-no-path": (b"OPTIONS http://other:81 HTTP/1.1\r\nHost: test\r\n\r\n",
                        [asks("OPTIONS", target="*", host="other:81")]),
    "options-slash": (b"OPTIONS http://other/ HTTP/1.1\r\nHost: test\r\n\r\n",
                      [asks("OPTIONS", host="other")]),
    "options-origin": (b"OPTIONS / HTTP/1.1\r\nHost: test\r\n\r\n", [asks("OPTIONS")]),
    "absolute-inside": (b"GET /http://other/ HTTP/1.1\r\nHost: test\r\n\r\n",
                        [asks(target="/http://other/")]),
    "host-empty": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", [asks(host="")]),
    "host-port": (b"GET / HTTP/1.1\r\nHost: test:8000\r\n\r\n", [asks(host="test:8000")]),
    "host-port-empty": (b"GET / HTTP/1.1\r\nHost: test:\r\n\r\n", [asks(host="test:")]),
    "host-v6": (b"GET / HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n", [asks(host="[::1]:8000")]),
    "method-own": (b"BREW / HTTP/1.1\r\nHost: test\r\n\r\n", [asks("BREW")]),
    "method-lower": (b"get / HTTP/1.1\r\nHost: test\r\n\r\n", [asks("get")]),
    "method-tchars": (b"!#$%&'*+-.^_`|~ / HTTP/1.1\r\nHost: test\r\n\r\n",
                      [asks("!#$%&'*+-.^_`|~")]),
    "target-percent": (b"GET /%00%0d%0a HTTP/1.1\r\nHost: test\r\n\r\n",
                       [asks(target="/%00%0d%0a")]),
    "target-dots": (b"GET /../evil HTTP/1.1\r\nHost: test\r\n\r\n", [asks(target="/../evil")]),
    "target-slashes": (b"GET //evil/x HTTP/1.1\r\nHost: test\r\n\r\n", [asks(target="//evil/x")]),
    "target-odd": (b"GET /\"<>\\^`{|} HTTP/1.1\r\nHost: test\r\n\r\n",
                   [asks(target='/"<>\\^`{|}')]),
    "value-high": (G + b"X: \x80\xff\r\n\r\n", [asks()]),
    "value-tab": (G + b"X: a\tb\r\n\r\n", [asks()]),
    "value-empty": (G + b"X:\r\n\r\n", [asks()]),
    "headers-64": (G + b"X: y\r\n" * 63 + b"\r\n", [asks()]),
    "value-60000": (G + b"X: " + b"y" * 60000 + b"\r\n\r\n", [asks()]),
    "name-tchars": (G + b"!#$%&'*+-.^_`|~: y\r\n\r\n", [asks()]),
    "keep-alive": (G + b"Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n", [asks()]),
    "te-header": (G + b"TE: trailers\r\nConnection: TE\r\n\r\n", [asks()]),
    "http10-host": (b"GET / HTTP/1.0\r\nHost: test\r\nConnection: keep-alive\r\n\r\n", [asks()]),
    "pipelined": ((G + b"\r\n") * 5, [asks()] * 5),
    "pipelined-mixed": (G + b"\r\n" + TE + b"\r\n1\r\na\r\n" + END + P +
                        b"Content-Length: 1\r\n\r\nb" + EVIL,
                        [asks(), asks("POST", body=b"a"), asks("POST", body=b"b"), EVIL_TOO]),
}

# What follows a body's beginning that the backend has already: refused as it comes.
BAD_LATER = {
    "size-word": b"zz\r\n",
    "size-empty": b"\r\n",
    "size-space": b"1 \r\na\r\n",
    "size-lf": b"1\na\r\n",
    "size-17-digits": b"00000000000000001\r\na\r\n",
    "ext-nul": b"1;\0\r\na\r\n",
    "ext-long": b"1;" + b"x" * 5000 + b"\r\na\r\n",
    "data-more": b"1\r\nab\r\n",
    "data-lf": b"1\r\na\n",
    "trailer-none": b"0\r\nnonsense\r\n\r\n",
    "trailer-long": b"0\r\nX: " + b"y" * 9000 + b"\r\n\r\n",
    "last-lf": b"0\r\n\n",
}

# Not whole: nothing may be made of it, even by what comes behind. Then the client leaves.
WAITING = {
    "cl-more": P + b"Content-Length: 36\r\n\r\n" + EVIL,
    "cl-2-63-1": P + b"Content-Length: 9223372036854775807\r\n\r\n" + EVIL,
    "te-no-end": TE + b"\r\n1\r\na\r\n",
    "te-chunk-more": TE + b"\r\nff\r\n" + EVIL,
    "te-no-last-line": TE + b"\r\n1\r\na\r\n0\r\n",
    "te-trailer-half": TE + b"\r\n0\r\nX: y\r\n",
    "head-half": G,
    "head-no-lf": G + b"\r",
}


class Bench:
    """A path, its recorder, and sessions that are warm."""

    def __init__(self, t, path, answer=None):
        self.backend = Recorder(t, 9001, answer)
        self.sluice = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]},
                                      [route(to="one"), route(path="*", to="one")],
                                      {**PATHS, **DOORS}[path]))

    def warm(self):
        """A connection of which the next request may take the kernel path, with a lane idle."""
        conn = Conn(FRONT, timeout=10)
        for _ in range(2):
            r = conn.get("/warm")
            assert r.status == 200, r
        self.backend.take()
        return conn

    def seen(self):
        return [(r.method, r.target, r.body, (r.get("host") or [None])[0])
                for r in self.backend.take()]


def ends_with(conn, status, method="GET"):
    """The answer is @status, says that the connection ends, and is the last one."""
    r = conn.response(method)
    assert r.status == status, r
    assert (r.get("connection") or "").lower() == "close", r
    try:
        assert conn.at_eof(), f"more than one answer: {bytes(conn.buf[:80])!r}"
    except ConnectionResetError:
        pass  # of what was not read


def refused(bench, data, status):
    with bench.warm() as conn:
        try:
            conn.send(data)
        except OSError:
            pass  # answered before it was all read
        ends_with(conn, status)
    got = bench.seen()
    assert not got, f"the backend was asked {got}"


def taken(bench, data, want):
    with bench.warm() as conn:
        conn.send(data)
        for method, *_ in want:
            r = conn.response(method)
            assert r.status == 200, r
        r = conn.get("/behind")
        assert r.status == 200, r
    got = bench.seen()
    assert got == [*want, asks(target="/behind", host="test")], got


def waiting(bench, data):
    with bench.warm() as conn:
        conn.send(data)
        conn.sock.shutdown(socket.SHUT_WR)
        try:
            r = conn.response()
            assert r.status == 400, r
            conn.at_eof()
        except (Closed, ConnectionResetError):
            pass
    got = bench.seen()
    assert not got, f"the backend was asked {got}"


def each(table, check):
    """Runs @check on every entry; fails with all that do."""
    wrong = {}
    for name, args in table.items():
        try:
            check(*args)
        except (AssertionError, BadResponse, Closed, OSError) as e:
            wrong[name] = f"{type(e).__name__} {e}"
    assert not wrong, f"{len(wrong)} of {len(table)}: {wrong}"


def in_kernel(bench, path):
    stats = bench.sluice.stats()
    assert (stats.kernel > 0) == (path == "kernel"), stats
    bench.sluice.check()


@test(each=list(PATHS))
def requests_refused(t, path):
    bench = Bench(t, path)
    table = {f"{status} {name}": (bench, data, status)
             for status, group in REFUSED.items() for name, data in group.items()}
    assert len(table) >= 150
    each(table, refused)
    in_kernel(bench, path)


@test(each=list(PATHS))
def requests_taken(t, path):
    bench = Bench(t, path)
    each({name: (bench, *args) for name, args in TAKEN.items()}, taken)
    in_kernel(bench, path)


@test(each=list(PATHS))
def requests_not_whole(t, path):
    bench = Bench(t, path)
    each({name: (bench, data) for name, data in WAITING.items()}, waiting)
    in_kernel(bench, path)


@test(each=list(DOORS))
def requests_bad_later(t, door):
    """A body that goes wrong when its beginning has gone on: 400 and close as if it had come in one
    piece, and no request for the backend, on whose connection nothing follows."""
    bench = Bench(t, door)

    def begun():
        sessions = bench.sluice.stats().tree["sessions"]
        return sessions["in_exchange"] + sessions["user"] == 1

    def late(data):
        with bench.warm() as conn:
            conn.send(TE + b"\r\n5\r\nhello\r\n")
            t.wait(begun, "the request is under way")
            conn.send(data + END + EVIL)
            ends_with(conn, 400, "POST")
        got = bench.seen()
        assert not got, f"the backend was asked {got}"
        t.wait(lambda: not bench.sluice.stats().tree["sessions"]["open"], "the session is over")

    each({name: (data,) for name, data in BAD_LATER.items()}, late)
    bench.sluice.check()


HOP = {"keep-alive": "timeout=5", "te": "trailers", "proxy-connection": "keep-alive"}


@test(each=list(PATHS))
def one_hop(t, path):
    """What is for one hop ends at the user path. The kernel path sends on what it was sent, which
    is never more than these and `Connection: keep-alive`; a header that Connection
    names goes nowhere on either."""
    bench = Bench(t, path)
    lines = b"".join(f"{n}: {v}\r\n".encode() for n, v in HOP.items())
    with bench.warm() as conn:
        conn.send(G + b"Connection: keep-alive\r\n" + lines + b"\r\n")
        assert conn.response().status == 200
        kept, = bench.backend.take()
        conn.send(G + b"Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\nX-Stays: 1\r\n" + lines + b"\r\n")
        assert conn.response().status == 200
        named, = bench.backend.take()
    for name in [*HOP, "connection", "x-hop"]:
        assert not named.get(name), named.headers
    assert named.get("x-stays") == ["1"]
    assert [kept.get(n) for n in HOP] == [[v] if path == "kernel" else [] for v in HOP.values()], \
        kept.headers
    assert kept.get("connection") == (["keep-alive"] if path == "kernel" else []), kept.headers
