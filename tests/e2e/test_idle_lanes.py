# SPDX-License-Identifier: GPL-2.0-only
"""Backends that close idle connections after a few milliseconds: no GET may fail by that."""
import collections
import os
import random
import select
import signal
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lib import linux  # noqa: E402
from lib.config import DOORS, config, route  # noqa: E402
from lib.fault import PAGE, Memory  # noqa: E402
from lib.http1 import Conn, build, head_of  # noqa: E402
from lib.load import Wrk  # noqa: E402
from lib.runner import test  # noqa: E402

from test_order import answer, swallow, warm  # noqa: E402

FRONT = ("127.0.0.1", 8000)
REQUESTS, BY_DOOR = 10_000, 1000
PORTS = (9001, 9002)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

# Clients whose pace is about that timeout; tells of each answer that is not the backend's.
PACE = """
wrong = ""
function delay() return math.random(3) == 1 and math.random(0, 6) or 0 end
function response(status, headers, body)
  if body ~= "ok" then wrong = wrong .. " " .. status .. " " .. body end
end
local threads = {}
function setup(thread) table.insert(threads, thread) end
function done(summary, latency, requests)
  local all = ""
  for _, t in ipairs(threads) do all = all .. t:get("wrong") end
  print("wrong:" .. all .. ".")
end
"""


# --- the backend: a process of its own ---

class Impatient:
    """Answers at once, and closes a connection that is idle for about @idle_ms behind an
    answer, as servers do: a new one has its time to ask."""

    def __init__(self, port, idle_ms):
        self._listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self._idle, self._random = idle_ms / 1000, random.Random(port)
        self.closed = self.early = 0
        self.unanswered = collections.Counter()  # of new connections: what ended them
        self.odd = []  # what was read at once and is not one request

    def run(self, stop):
        conns, epoll = {}, select.epoll()
        epoll.register(self._listener, select.EPOLLIN)
        while not stop:
            for fd, _ in epoll.poll(0.001):
                if fd == self._listener.fileno():
                    conn, _ = self._listener.accept()
                    conn.setblocking(False)
                    epoll.register(conn, select.EPOLLIN)
                    conns[conn.fileno()] = [conn, float("inf")]
                elif why := self._ends(conns[fd]):
                    conn, until = conns.pop(fd)
                    if until == float("inf"):
                        self.unanswered[why] += 1
                    conn.close()
            now = time.monotonic()
            for fd in [fd for fd, (_, until) in conns.items() if until <= now]:
                self.closed += 1
                conns.pop(fd)[0].close()

    def _until(self):
        return time.monotonic() + self._idle * self._random.uniform(0.5, 1.5)

    def _ends(self, one):
        """Serves it; why it is over, or None."""
        try:
            data = one[0].recv(65536)
        except BlockingIOError:
            self.early += 1  # TCP has it, and it is on its way to the socket's own queue
            return None
        except OSError as e:
            return f"recv: {e}"
        if not data:
            return "FIN"
        n = data.count(b"\r\n\r\n")
        if n != 1:
            self.odd.append(data)
        try:
            one[0].sendall(ANSWER * n)
        except OSError as e:
            return f"send: {e}"
        one[1] = self._until()
        return None


def backend(port, idle_ms):
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    one = Impatient(port, idle_ms)
    print("listens", flush=True)
    one.run(stop)
    print(f"read too early {one.early}, odd {one.odd}, new ones that ended {dict(one.unanswered)}, "
          f"closed {one.closed}", flush=True)


# --- the test ---

def told(backends):
    """What they say at their end, which a failed test shows as well."""
    for p in backends:
        p.stop()
    return "\n".join(p.log() for p in backends)


def requests(t, s, backends, door):
    """wrk until @REQUESTS are answered, and some of them by @door, which a slow machine or a build that stands
    still now and then takes longer for: how many were. The kernel may fail a client's send with EPIPE, once
    in some 200,000 of them: README, "Whom co-location does not suit"."""
    script = t.write("pace.lua", PACE)
    total = 0
    while total < REQUESTS or s.stats().by_door(door) <= BY_DOOR:
        done = Wrk(t, f"http://{FRONT[0]}:{FRONT[1]}/", 48, 1, script=script).result()
        connect, read, write, timeout = done.socket_errors
        assert done.requests and write <= 1 and not connect + read + timeout, done.text
        if "wrong:." not in done.text:
            print(s.run("stats"), flush=True)
            told(backends)
            raise AssertionError(done.text[done.text.index("wrong:"):])
        total += done.requests
    return total


@test(seconds=120, each=list(DOORS))
def gets(t, door):
    """10,000 GETs from clients whose pace is about that timeout."""
    backends = [t.start(["/usr/bin/python3", os.path.abspath(__file__), port, 3 + 2 * i],
                        name="impatient") for i, port in enumerate(PORTS)]
    for p in backends:
        p.wait_line("listens")
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", port) for port in PORTS]},
                        [route(to="one")], DOORS[door]))
    total = requests(t, s, backends, door)
    stats = s.stats()
    closed = sum(int(line.split()[-1]) for line in told(backends).splitlines() if "closed" in line)
    t.note(f"{door}: {total} requests, {closed} idle connections closed; {stats}")
    assert closed > 300, f"only {closed} idle connections were closed: nothing is shown"
    s.check()


def hold(sock, memory):
    """Sends @memory through @sock, ahead of all that run on this CPU: nobody who waits for the socket's lock
    has it before this thread has done all that it does at the end of its call."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    swallow(sock.send, memory)


def close_before_move(t, conn, lane):
    """Sends a GET, whose move into the server, @lane, waits for the lock of that when it is closed."""
    memory = Memory(t, b"x" * PAGE, (0,))
    holder = threading.Thread(target=hold, args=(lane, memoryview(memory.map)), daemon=True)
    holder.start()
    assert memory.wanted() == 0  # the server's socket is locked now
    client = threading.Thread(target=conn.send, args=(build("GET", "/"),), daemon=True)
    client.start()
    t.wait(lambda: linux.stat(f"/proc/{os.getpid()}/task/{client.native_id}/stat")[0] == b"D",
           "it is steered, and waits for the lock", 10, 0.001)
    lane.close()  # when the call that holds the lock ends
    memory.refuse()
    holder.join()
    client.join()


@test(seconds=60)
def closed_before_the_move(t):
    """A server that is being closed takes nothing that BPF moves into it, and says it has: another lane gets
    that GET. Often, and with more sockets each time, since it depends on what lies beside the server's in memory
    whether this was seen."""
    cpus = os.sched_getaffinity(0)
    t.stack.callback(os.sched_setaffinity, 0, cpus)
    one = t.listen(PORTS[0])
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", PORTS[0])]}, [route(to="one")]), concurrency=1)
    os.sched_setaffinity(0, {min(cpus)})
    lane = None
    for _ in range(12):
        conn = t.stack.enter_context(Conn(FRONT))
        conn.send(build("GET", "/"))
        lane = lane or one.accept()[0]
        warm(s, conn, lane)
        head_of(lane)
        lane.sendall(answer(b"one"))
        assert conn.response().body == b"one"
        close_before_move(t, conn, lane)
        ready, _, _ = select.select([one, conn.sock], [], [], 10)
        assert ready == [one], conn.response()
        lane, _ = one.accept()
        head_of(lane)
        lane.sendall(answer(b"two"))
        assert conn.response().body == b"two"
    lane.close()
    s.check()


if __name__ == "__main__":
    backend(int(sys.argv[1]), int(sys.argv[2]))
