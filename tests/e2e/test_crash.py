# SPDX-License-Identifier: GPL-2.0-only
"""kill -9 of the worker: the kernel path goes on, the next worker takes everything over."""
import errno
import os
import resource
import signal
import socket
import time

from lib import linux
from lib.config import DOORS, config, route
from lib.data import pattern
from lib.http1 import Conn, build, head_of
from lib.load import Load, Wrk
from lib.runner import test

from test_pipes import conf as pipe_config
from test_torn import stage

FRONT = ("127.0.0.1", 8000)
KILLS = 5


def serve(t, sluice=None):
    t.backends.nginx({9001: "one"}, echo=True)
    return t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")], sluice))


def replaced(t, s, old):
    """The next worker's pid, once it runs and says so."""
    new = s.worker(other_than=old)
    t.wait(lambda: s.stats().worker == new, f"worker {new} in the stats (was {old})")
    return new


def serves_new(front=FRONT):
    with Conn(front) as conn:
        for _ in range(3):
            r = conn.get("/bytes/1000/1")
            assert r.status == 200 and r.body == pattern(1000, 1), r


def prime(clients):
    """Makes the pool as large as the number of clients, and a few more."""
    conns = [Conn(FRONT) for _ in range(clients + 4)]
    for conn in conns:
        conn.send(build("GET", "/slow/300"))
    for conn in conns:
        assert conn.response().status == 200
        conn.close()


def warm(t, s):
    """Until the pool has grown to the load: no more misses for a while."""
    seen = {}

    def steady():
        now = s.stats()
        calm = seen.get("user") == now.user and now.kernel > seen.get("kernel", 0) + 1000
        if seen.get("user") != now.user or calm:
            seen.update(user=now.user, kernel=now.kernel)
        return calm
    t.wait(steady, "1000 requests in a row on the kernel path", 15, 0.05)


@test(seconds=60, each=list(DOORS))
def worker_killed_under_wrk(t, door):
    """Five times under 64 keep-alive connections: no request fails that is not in the worker's
    hands, those of co-located ends never are, those of a remote client while one is read."""
    lost = {"both": 0, "remote-client": 1}.get(door, 64)
    s = serve(t, DOORS[door])
    prime(64)
    wrk = Wrk(t, "http://127.0.0.1:8000/who", 64, seconds=50)
    if door == "both":
        warm(t, s)
    for _ in range(KILLS):
        before = s.stats().total
        replaced(t, s, s.kill_worker())
        t.wait(lambda: s.stats().total > before + 10_000, "requests go on")
        serves_new()
    result = wrk.stop()
    assert not result.bad_status and sum(result.socket_errors) <= KILLS * lost, result.text
    s.check()
    t.wait(lambda: s.stats().tree["sessions"]["open"] == 0, "no session is left")
    s.check()


@test(seconds=60)
def worker_killed_under_checked_load(t):
    """The same with each answer looked at, small and large, from 20 clients."""
    s = serve(t)

    def step(conn, me, n):
        size = (0, 100, 8192, 16384)[(me + n) % 4]
        r = conn.get(f"/bytes/{size}/1")
        assert r.status == 200 and r.body == pattern(size, 1), f"{size}: {r}"

    prime(20)
    with Load(FRONT, 20, step) as load:
        load.wait_requests(t, 500)
        warm(t, s)
        for _ in range(KILLS):
            replaced(t, s, s.kill_worker())
            load.wait_requests(t, 300)
            serves_new()
            t.note(f"{s.stats()}")
    load.check()
    s.check()


@test()
def nothing_leaks(t):
    """Descriptors, sessions and lanes after five crashes, with idle keep-alive clients."""
    s = serve(t)

    def fds():
        return len(os.listdir(f"/proc/{s.supervisor}/fd"))

    def one_round():
        conns = [Conn(FRONT) for _ in range(20)]
        for conn in conns:
            assert conn.get("/who").status == 200
        replaced(t, s, s.kill_worker())
        for conn in conns:  # sessions from before the crash
            assert conn.get("/who").status == 200
            conn.close()
        t.wait(lambda: s.stats().tree["sessions"]["open"] == 0, "no session is left")
        return fds() - s.stats().tree["lanes"]["open"]

    first = one_round()
    for _ in range(KILLS - 1):
        last = one_round()
    assert last <= first + 1, f"{first} descriptors besides lanes after one crash, " \
                              f"{last} after {KILLS}: {os.listdir(f'/proc/{s.supervisor}/fd')}"
    s.check()
    s.stop()


@test()
def long_answer_survives(t):
    """A large answer under way on the kernel path is whole after a crash in its middle."""
    s = serve(t)
    want = pattern(10_000_000, 1)
    with Conn(FRONT) as conn:
        conn.get("/who")
        conn.get("/who")
        conn.send(b"GET /bytes/100000/1 HTTP/1.1\r\nHost: x\r\n\r\n")
        head = conn.head()
        assert head.status == 200
        replaced(t, s, s.kill_worker())
        assert conn._exactly(100_000) == want[:100_000]
        assert conn.get("/who").status == 200
    s.check()


@test()
def connect_while_no_worker(t):
    """A client that connects just after the crash waits for the next worker, and is served."""
    s = serve(t)
    serves_new()
    for _ in range(KILLS):
        old = s.kill_worker()
        serves_new()
        replaced(t, s, old)
    s.check()


def is_over(pid):
    return not os.path.exists(f"/proc/{pid}") or linux.stat(f"/proc/{pid}/stat")[0] == b"Z"


@test()
def supervisor_ends_worker(t):
    """kill -9 of the supervisor leaves no worker behind that nobody looks after."""
    s = serve(t)
    worker = s.worker()
    os.kill(s.supervisor, 9)
    s.proc.wait()
    t.wait(lambda: is_over(worker), "the worker ends, too")


@test()
def supervisor_ends_worker_that_begins(t):
    """The same of a worker that has not run yet: nobody tells it of a death that was before it."""
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")]), ready=False)
    worker = linux.next_child(s.supervisor)
    os.kill(s.supervisor, 9)
    s.proc.wait()
    linux.let_go(worker)
    t.wait(lambda: is_over(worker), "the worker ends, too")


@test()
def cannot_begin_for_a_while(t):
    """Where the next worker has no descriptors it is tried again, and what BPF does goes on."""
    s = serve(t)
    with Conn(FRONT) as conn:
        for _ in range(5):
            assert conn.get("/who").body == b"one"
        limits = resource.prlimit(s.supervisor, resource.RLIMIT_NOFILE)
        resource.prlimit(s.supervisor, resource.RLIMIT_NOFILE, (8, limits[1]))
        old = s.kill_worker()
        for n in (1, 2):
            t.wait(lambda: s.proc.log().count("worker died (exit") >= n, "a worker that cannot begin")
            assert "starting another in a second" in s.proc.log(), s.proc.log()
            assert conn.get("/who").body == b"one"
        resource.prlimit(s.supervisor, resource.RLIMIT_NOFILE, limits)
        replaced(t, s, old)
        assert conn.get("/who").body == b"one"
        serves_new()
    s.check()
    s.stop()


@test(seconds=60)
def killed_and_killed(t):
    """One that serves and is killed is no worker that cannot begin, however often: the next does not wait."""
    s = serve(t)
    for _ in range(12):  # more than KILLED_MAX of supervisor.c
        serves_new()
        lived = time.monotonic() + 0.15
        t.wait(lambda: time.monotonic() > lived, "it has lived for longer than KILLED_MS", 5, 0.01)
        replaced(t, s, s.kill_worker())
    assert "in a second" not in s.proc.log(), s.proc.log()


def assert_reset(conn):
    """What comes next is no byte and no FIN."""
    conn.sock.settimeout(10)
    try:
        got = conn.sock.recv(1)
    except ConnectionResetError:
        got = "reset"
    assert got == "reset", f"{got!r} instead of a reset"


def cut_answer(t, s, listener):
    """The worker dies in the middle of an answer that ends with its connection: that must not look
    like its end."""
    with Conn(FRONT) as conn:
        conn.send(build("GET", "/x"))
        server = t.stack.enter_context(listener.accept()[0])
        server.recv(65536)
        server.sendall(b"HTTP/1.1 200 OK\r\n\r\n0123456789")
        assert conn.head().status == 200
        assert conn._exactly(10) == b"0123456789"
        replaced(t, s, s.kill_worker())
        assert_reset(conn)


def serve_one(t, door):
    return t.listen(9001), t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")],
                                           DOORS[door]))


@test(each=list(DOORS))
def cut_answer_shows(t, door):
    listener, s = serve_one(t, door)
    cut_answer(t, s, listener)
    s.check()


@test()
def cut_answer_shows_without_a_slot(t):
    """A session that came when all slots were taken is known to the worker alone."""
    listener, s = serve_one(t, "user")
    with linux.mapped(s.pin("control"), 16) as control:
        control[8:16] = bytes(8)  # sl_control.free_sessions: none
    cut_answer(t, s, listener)


@test(each=["killed", "goes on"])
def reset_told_to_another(t, worker):
    """
    A socket tells that it was reset once, and to the next who reads it ends as by a FIN. Who was told
    may be a worker that dies then, or a send that goes through it: an answer that ends with the
    connection is not complete for that.
    """
    s, server, conn = stage(t)
    with conn:
        conn.send(build("GET", "/x"))
        head_of(server.lane)
        there = server.lane.getsockname()
        lane = linux.socket_of(s.worker(), lambda x: x.getpeername() == there)
        pid = s.stop_worker()
        try:
            server.lane.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + pattern(35000, 1))
            server.reset()
            t.wait(lambda: lane.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), "the lane is told")
        finally:
            os.kill(pid, signal.SIGKILL if worker == "killed" else signal.SIGCONT)
        lane.close()
        assert conn.head().status == 200
        assert conn._exactly(35000) == pattern(35000, 1)
        assert_reset(conn)
    s.check()


@test()
def pipe_reset_told_to_another(t):
    """The same of a UNIX-domain socket that the dead worker had been told of."""
    path = os.path.join(t.tmpdir("pipe"), "sock")
    listener = t.stack.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(path)
    listener.listen()
    s = t.sluice(pipe_config(path))
    with Conn(FRONT) as conn:
        conn.send(build("GET", "/x"))
        server = t.stack.enter_context(listener.accept()[0])
        assert server.recv(1, socket.MSG_PEEK)
        lane = linux.socket_of(s.worker(), lambda x: x.getpeername() == path, socket.AF_UNIX)
        pid = s.stop_worker()
        server.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + pattern(35000, 1))
        server.close()  # with the request unread: a reset
        assert lane.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET
        lane.close()
        os.kill(pid, signal.SIGKILL)
        replaced(t, s, pid)
        assert_reset(conn)
    s.check()
