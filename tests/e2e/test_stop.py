# SPDX-License-Identifier: GPL-2.0-only
"""SIGTERM, second instances, and what a killed one leaves."""
import collections
import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import threading

from lib import linux
from lib.config import config, route
from lib.data import pattern
from lib.http1 import Closed, Conn, build
from lib.proc import accepts
from lib.runner import test

FRONT = ("127.0.0.1", 8000)


def text(sluice=None):
    return config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")], sluice)


def serve(t, **kw):
    t.backends.one("node", "one", 9001)
    return t.sluice(text(), **kw)


def links_of(s):
    """Ids of the instance's links, from its pins."""
    ids = []
    for name in os.listdir(s.pins):
        done = subprocess.run(["bpftool", "-j", "link", "show", "pinned", s.pin(name)],
                              capture_output=True, text=True)
        if done.returncode == 0 and done.stdout.strip():
            ids.append(json.loads(done.stdout)["id"])
    return ids


def links_alive(ids):
    out = subprocess.run(["bpftool", "-j", "link", "show"], capture_output=True, text=True).stdout
    return [one["id"] for one in json.loads(out or "[]") if one["id"] in ids]


def client(ends, lock, ready):
    """A keep-alive client until the other side ends the connection; how it ended."""
    how = "never"
    try:
        with Conn(FRONT) as conn:
            n = 0
            while True:
                r = conn.get("/bytes/1000/1")
                if r.status != 200 or r.body != pattern(1000, 1):
                    how = f"answer {r}"
                    break
                n += 1
                if n == 20:
                    ready.release()
                if (r.get("connection") or "").lower() == "close":
                    how = "close, eof" if conn.at_eof() else "close, bytes after it"
                    break
    except Closed as e:
        how = "eof" if not e.got else f"cut: {e}"
    except OSError as e:
        how = f"{type(e).__name__}"
    with lock:
        ends[how] += 1


@test()
def sigterm_under_load(t):
    """Every client is told: a whole answer that says `close`, then EOF; never a reset, a part, or
    an end behind an answer that promised to go on."""
    s = serve(t)
    ids = links_of(s)
    ends, lock, ready = collections.Counter(), threading.Lock(), threading.Semaphore(0)
    threads = [threading.Thread(target=client, args=(ends, lock, ready)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert ready.acquire(timeout=20), "load did not start"
    s.stop()
    for thread in threads:
        thread.join(10)
    assert ends == {"close, eof": 20}, f"ends: {dict(ends)}"
    t.wait(lambda: not links_alive(ids), "the links are gone")


@test()
def sigterm_in_flight(t):
    """What was asked before SIGTERM is answered: on the kernel path and on the user path."""
    s = serve(t)
    warm, slow, expect, idle = (Conn(FRONT) for _ in range(4))
    for conn in (warm, slow, idle):
        assert conn.get("/who").status == 200
    slow.send(b"GET /slow/1500 HTTP/1.1\r\nHost: x\r\n\r\n")
    warm.send(b"GET /slow/1000 HTTP/1.1\r\nHost: x\r\n\r\n")
    expect.send(b"GET /slow/1000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    t.wait(lambda: s.stats().tree["lanes"]["idle"] == 0 or
           s.stats().tree["sessions"]["in_exchange"] + s.stats().tree["sessions"]["user"] >= 3,
           "three requests are under way")
    s.proc.signal(signal.SIGTERM)
    assert idle.at_eof(), "idle connection: not a clean end"
    for conn in (warm, slow, expect):
        r = conn.response()
        assert r.status == 200 and r.body == b"one", r
        assert conn.at_eof(), "no clean end after the last answer"
    assert s.proc.wait(10) == 0
    assert not os.path.exists(s.pins), os.listdir(s.pins)
    for conn in (warm, slow, expect, idle):
        conn.close()


@test()
def sigterm_behind_a_head(t):
    """An answer whose head went out before SIGTERM promised to go on: one more request is
    answered, and says `close`."""
    listener = t.listen(9001)
    s = t.sluice(text({"kernel_path": False}))
    with Conn(FRONT) as conn, Conn(FRONT) as idle:
        conn.send(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        back, _ = listener.accept()
        with back:
            back.recv(65536)
            back.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
            assert conn.head().get("connection") is None
            s.proc.signal(signal.SIGTERM)
            assert idle.at_eof()
            back.sendall(b"67890")
            assert conn._exactly(10) == b"1234567890"
        conn.send(b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n")
        back, _ = listener.accept()
        with back:
            back.recv(65536)
            back.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb")
        r = conn.response()
        assert r.status == 200 and r.body == b"b" and r.get("connection") == "close", r
        assert conn.at_eof()
    assert s.proc.wait(10) == 0


def reads(conn):
    """What has come before the end, and whether that is a FIN."""
    got = bytes(conn.buf)
    try:
        while data := conn.sock.recv(262144):
            got += data
    except ConnectionResetError:
        return got, False
    return got, True


@test()
def sigterm_and_no_end(t):
    """What takes longer than a drain may (10 s) is closed as it stands: an answer that ends with the connection is
    reset where it is not whole, and no other."""
    head, large = b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 50_000
    chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n"
    listener = t.listen(9001)
    s = t.sluice(text())
    with contextlib.ExitStack() as stack:
        def begin(answer, version="HTTP/1.1", **kw):
            conn = stack.enter_context(Conn(FRONT, **kw))
            conn.send(build("GET", "/", version=version))
            lane = stack.enter_context(listener.accept()[0])
            lane.recv(65536)
            lane.sendall(answer)
            return conn, lane

        cut = [begin(head + b"part")[0], begin(chunk, "HTTP/1.0")[0]]
        known = begin(chunk)[0]
        for conn in [*cut, known]:
            while b"part" not in conn.buf:
                assert conn._fill()
        # Both wait for their clients, who read on when it is over.
        whole, lane = begin(head + large, rcvbuf=4096)
        lane.close()
        reset, lane = begin(head + large, rcvbuf=4096)
        assert whole.head().status == reset.head().status == 200
        lane.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        lane.close()
        t.wait(lambda: s.stats().tree["lanes"]["open"] == 3, "both ends are known")
        s.proc.signal(signal.SIGTERM)
        s.proc.wait(20)
        for conn in cut:
            got, fin = reads(conn)
            assert got.endswith(b"part") and not fin, got
        assert reads(known)[0].endswith(b"part\r\n")
        assert not reads(reset)[1]
        got, fin = reads(whole)
        assert got == large and fin, (len(got), fin)


@test()
def sigterm_and_a_queue(t):
    """Whoever is in the queue of the listening socket is answered, however many they are; nobody is
    let in behind them, and the address is free at once."""
    s = serve(t)
    slow = Conn(FRONT)
    slow.send(build("GET", "/slow/2000"))
    t.wait(lambda: s.stats().tree["sessions"]["open"] == 1, "one is under way")
    pid = s.stop_worker()
    with contextlib.ExitStack() as stack:
        conns = [stack.enter_context(Conn(FRONT)) for _ in range(600)]
        for conn in conns:
            conn.send(build("GET", "/who"))
        s.proc.signal(signal.SIGTERM)
        os.kill(pid, signal.SIGCONT)
        for n, conn in enumerate(conns):
            r = conn.response()
            assert r.status == 200 and r.body == b"one" and r.get("connection") == "close", (n, r)
            assert conn.at_eof()
        t.wait(lambda: not accepts(FRONT), "nobody is let in any more")
        t.listen(FRONT[1])
        assert slow.response().body == b"one" and slow.at_eof()
        assert s.proc.wait(10) == 0


@test()
def sigterm_large_download(t):
    """10 MB under way to a slow reader are finished first."""
    s = serve(t)
    with Conn(FRONT, rcvbuf=65536) as conn:
        conn.get("/who")
        conn.send(b"GET /bytes/10000000/1 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert conn.head().status == 200
        s.proc.signal(signal.SIGTERM)
        assert conn._exactly(10_000_000) == pattern(10_000_000, 1)
    assert s.proc.wait(15) == 0


@test()
def again(t):
    """Started again it works, three times, on the same address and name."""
    s = serve(t)
    for _ in range(3):
        with Conn(FRONT) as conn:
            for _ in range(20):
                assert conn.get("/who").body == b"one"
        assert s.stats().kernel > 0, s.stats()
        s.check()
        s.stop()
        s.start()


@test()
def same_name_refused(t):
    """A second run of the same instance name: exit 1, one line, and the first goes on."""
    s = serve(t)
    with Conn(FRONT) as conn:
        assert conn.get("/who").body == b"one"
        other = t.write("other.yaml", config(("127.0.0.1", 8001), {"one": [("127.0.0.1", 9001)]},
                                             [route(to="one")]))
        done = subprocess.run(s.argv("run", "-c", other), capture_output=True, text=True,
                              timeout=20)
        lines = (done.stdout + done.stderr).strip().splitlines()
        assert done.returncode == 1 and len(lines) == 1 and s.instance in lines[0], \
            f"exit {done.returncode}: {lines}"
        for _ in range(20):
            assert conn.get("/who").body == b"one"
    assert os.path.exists(s.pins)


@test()
def port_taken(t):
    """A listener's port in use: one line that names it, exit 3 or 1, nothing left pinned."""
    t.listen(8000)
    s = t.sluice(text(), ready=False)
    code = s.proc.wait(15)
    lines = s.proc.log().strip().splitlines()
    assert code in (1, 3) and lines and any("8000" in line for line in lines), f"{code}: {lines}"
    assert not os.path.exists(s.pins), f"left: {os.listdir(s.pins)}"


@test()
def leftovers_of_a_killed_one(t):
    """kill -9 of all, then run again: old pins are taken over or cleaned, and it serves."""
    s = serve(t)
    with Conn(FRONT) as conn:
        for _ in range(20):
            assert conn.get("/who").body == b"one"
        s.kill()
        old = links_of(s)
        assert os.path.exists(s.pins)
        s.start()
        with Conn(FRONT) as fresh:
            for _ in range(20):
                assert fresh.get("/who").body == b"one"
    assert s.stats().kernel > 0, s.stats()
    s.check()
    new = links_of(s)
    s.stop()
    t.wait(lambda: not links_alive(old + new), "the links of both are gone")


@test()
def without_bpffs(t):
    """Where no bpffs is mounted, sluice mounts one for itself and serves."""
    t.backends.one("python", "one", 9001)
    path = t.write("s.yaml", text())
    name = t.instance()
    p = t.start(["unshare", "--mount", "sh", "-c",
                 f"umount -l /sys/fs/bpf; exec '{t.sluice_bin}' run --instance {name} -c '{path}'"],
                name="sluice")
    p.wait_line("sluice: ready")
    with Conn(FRONT) as conn:
        for _ in range(10):
            assert conn.get("/who").body == b"one"
    assert p.stop() == 0
    assert linux.children(p.pid) == []
