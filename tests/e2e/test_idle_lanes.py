# SPDX-License-Identifier: GPL-2.0-only
"""Backends that close idle connections after a few milliseconds: no GET may fail by that."""
import random
import select
import threading
import time

from lib.config import DOORS, config, route
from lib.load import Load
from lib.runner import test

FRONT = ("127.0.0.1", 8000)
REQUESTS = 10_000
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Impatient:
    """Answers at once, and closes a connection that is idle for about @idle_ms behind an
    answer, as servers do: a new one has its time to ask."""

    def __init__(self, t, port, idle_ms, seed):
        self._listener = t.listen(port, backlog=512)
        self._idle, self._random = idle_ms / 1000, random.Random(seed)
        self.closed = 0
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        conns, epoll = {}, select.epoll()
        epoll.register(self._listener, select.EPOLLIN)
        while True:
            for fd, _ in epoll.poll(0.001):
                if fd == self._listener.fileno():
                    conn, _ = self._listener.accept()
                    conn.setblocking(False)
                    epoll.register(conn, select.EPOLLIN)
                    conns[conn.fileno()] = [conn, float("inf")]
                elif not self._serve(conns[fd]):
                    conns.pop(fd)[0].close()
            now = time.monotonic()
            for fd in [fd for fd, (_, until) in conns.items() if until <= now]:
                self.closed += 1
                conns.pop(fd)[0].close()

    def _until(self):
        return time.monotonic() + self._idle * self._random.uniform(0.5, 1.5)

    def _serve(self, one):
        try:
            data = one[0].recv(65536)
            if not data:
                return False
            one[0].sendall(ANSWER * data.count(b"\r\n\r\n"))
            one[1] = self._until()
            return True
        except OSError:
            return False


@test(seconds=120, each=list(DOORS))
def gets(t, door):
    """10,000 GETs from clients whose pace is about that timeout."""
    requests = REQUESTS if door in ("both", "user") else REQUESTS // 4
    backends = [Impatient(t, 9001 + i, 3 + 2 * i, i) for i in range(2)]
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001), ("127.0.0.1", 9002)]},
                        [route(to="one")], DOORS[door]))
    pace = random.Random(4)

    def step(conn, me, n):
        if n % 3 == 0:
            time.sleep(pace.uniform(0, 0.006))
        r = conn.get("/")
        assert r.status == 200 and r.body == b"ok", r

    with Load(FRONT, 12, step) as load:
        load.wait_requests(t, requests, seconds=90)
    load.check()
    closed = sum(b.closed for b in backends)
    t.note(f"{door}: {closed} connections closed by the backends; {s.stats()}")
    assert closed > 30, f"only {closed} idle connections were closed: nothing is shown"
    s.check()
