# SPDX-License-Identifier: GPL-2.0-only
"""Bodies of more than 4 GiB, each way: no length is cut to 32 bits, and the connection goes on."""
import threading

from lib.config import DOORS
from lib.envoy import FRONT, conf
from lib.http1 import Conn, build
from lib.runner import test

SIZE = (1 << 32) + 54321
PIECE = bytes(range(256)) * 4096  # 1 MiB
ROUTE = {"match": {"prefix": "/"}, "route": {"cluster": "one", "timeout": "0s"}}


def pump(send):
    left = SIZE
    while left:
        left -= send(PIECE[:min(left, len(PIECE))])


def drain(sock, left, at=0):
    """Reads @left bytes, the first of which stands at @at, and looks at one of each read."""
    buf = bytearray(len(PIECE))
    while left:
        n = sock.recv_into(buf, min(left, len(buf)))
        assert n, f"{left} bytes are missing"
        assert buf[0] == at % 256 and buf[n - 1] == (at + n - 1) % 256, f"wrong bytes before {left}"
        at, left = at + n, left - n


def read_head(sock):
    got = b""
    while not got.endswith(b"\r\n\r\n"):
        got += sock.recv(1)
    return got


@test(seconds=180, each=list(DOORS), alone=True)
def more_than_4_gib(t, door):
    listener = t.listen(9001)
    s = t.sluice(conf(door, [ROUTE]))
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    def small(conn, lane):
        conn.send(build("GET", "/"))
        lane = lane or listener.accept()[0]
        read_head(lane)
        lane.sendall(ok)
        assert conn.response().body == b"ok"
        return lane

    with Conn(FRONT, timeout=60) as conn:
        lane = small(conn, None)
        lane.settimeout(60)
        conn.send(build("GET", "/"))
        read_head(lane)
        lane.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        sender = threading.Thread(target=pump, args=(lane.send,), daemon=True)
        sender.start()
        assert b"content-length: %d\r\n" % SIZE in read_head(conn.sock).lower()
        drain(conn.sock, SIZE)
        sender.join()
        small(conn, lane)
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % SIZE
        sender = threading.Thread(target=lambda: (conn.send(head), pump(conn.sock.send)), daemon=True)
        sender.start()
        read_head(lane)
        drain(lane, SIZE)
        sender.join()
        lane.sendall(ok)
        assert conn.response("POST").body == b"ok"
        small(conn, lane)
        t.note(f"{door}: {s.stats()}")
        lane.close()
    s.check()
