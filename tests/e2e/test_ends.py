# SPDX-License-Identifier: GPL-2.0-only
"""FIN and RST from either side, at each point of an exchange: the status or the truncation that
is right, never a hang, never a cut body that looks whole, and the next client is served."""
import select
import socket
import struct

from lib import linux
from lib.config import DOORS, config, route
from lib.http1 import BadResponse, Closed, Conn, answer_with, build
from lib.runner import test

FRONT = ("127.0.0.1", 8000)
SECONDS = 10
SL_S_EXCHANGE = 0x20  # include/sl_session.h
GET = build("GET", "/x")
POST = build("POST", "/x", body=b"0123456789")
PART = len(POST) - 4  # all but 4 bytes of its body
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n"
TO_CLOSE = b"HTTP/1.1 200 OK\r\n\r\n0123456789"


def end(sock, how):
    """@how: "fin", "half" (only this direction), "rst"."""
    if how == "half":
        sock.shutdown(socket.SHUT_WR)
        return
    if how == "rst":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Backend:
    """The server's side of every connection, in the hands of the test."""

    def __init__(self, t):
        self.t, self.listener, self.lanes = t, t.listen(9001), {}

    def receive(self, n, seconds=SECONDS):
        """The connection on which @n bytes of a request have come since the last call, or None
        if that does not happen. Connections that end are forgotten."""
        got = {}
        while True:
            ready = select.select([self.listener, *self.lanes.values()], [], [], seconds)[0]
            if not ready:
                return None
            for sock in ready:
                if sock is self.listener:
                    conn, _ = sock.accept()
                    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self.lanes[conn.fileno()] = self.t.stack.enter_context(conn)
                    continue
                try:
                    data = sock.recv(65536)
                except ConnectionResetError:
                    data = b""
                if not data:
                    self.forget(sock)
                    continue
                got[sock] = got.get(sock, 0) + len(data)
                if got[sock] >= n:
                    return sock

    def forget(self, sock):
        del self.lanes[sock.fileno()]
        sock.close()

    def end(self, sock, how):
        if how == "half":
            end(sock, how)
            return
        del self.lanes[sock.fileno()]
        end(sock, how)

    def ended(self, sock):
        """The other side's end comes without another byte."""
        sock.settimeout(SECONDS)
        try:
            data = sock.recv(65536)
        except ConnectionResetError:
            data = b""
        assert not data, data
        self.forget(sock)


class Stage:
    def __init__(self, t, door):
        self.backend, self.what = Backend(t), "start"
        self.s = t.sluice(config(FRONT, {"one": [("127.0.0.1", 9001)]}, [route(to="one")],
                                 DOORS[door]))

    def client(self):
        """A session whose next request has an idle lane: the kernel's, where it can be."""
        conn = Conn(FRONT, timeout=SECONDS)
        for _ in range(2):
            conn.send(GET)
            self.answer(OK)
            r = conn.response()
            assert r.status == 200 and r.body == b"ok", f"{self.what}: {r}"
        return conn

    def answer(self, data, n=len(GET)):
        """A GET that went down a lane which had ended, but not for its sender yet, comes again."""
        while lane := self.backend.receive(n):
            try:
                lane.sendall(data)
                return lane
            except OSError:
                self.backend.forget(lane)
        raise AssertionError(f"{self.what}: the request does not arrive")

    def others_go_on(self):
        self.client().close()


def outcome(conn, method="GET"):
    """What a client makes of it: a status and a body, or "cut" in some way that shows."""
    try:
        r = conn.response(method)
        return r.status, r.body
    except (BadResponse, ConnectionResetError) as e:
        # Nothing at all, or something that says by itself that it is not whole.
        return "nothing" if isinstance(e, Closed) and not e.got and "before" in str(e) else "cut"


# --- the server ends ---

def server_idle(stage, how):
    """Between requests: nobody notices."""
    with stage.client() as conn:
        conn.send(GET)
        lane = stage.answer(OK)
        assert outcome(conn) == (200, b"ok"), stage.what
        stage.backend.end(lane, how)
        conn.send(GET)
        stage.answer(OK)
        assert outcome(conn) == (200, b"ok"), stage.what


def server_in_body(stage, how):
    """It has had a part of the request's body: 502, for no other may have it."""
    with stage.client() as conn:
        conn.send(POST[:PART])
        lane = stage.backend.receive(PART - 10)
        if lane:  # the daemon may keep the body's beginning
            stage.backend.end(lane, how)
        conn.send(POST[PART:])
        got = outcome(conn)
        assert got[0] in (502, 503), f"{stage.what}: {got}"


def server_before_the_answer(stage, how):
    """A GET is asked once more, elsewhere: then it is answered, or 502."""
    with stage.client() as conn:
        conn.send(GET)
        first = stage.backend.receive(len(GET))
        stage.backend.end(first, how)
        again = stage.backend.receive(len(GET), 1)
        if again:
            again.sendall(OK)
            assert outcome(conn) == (200, b"ok"), stage.what
        else:
            assert outcome(conn)[0] == 502, stage.what


def server_before_a_posts_answer(stage, how):
    """What may have been done is not asked for twice."""
    with stage.client() as conn:
        conn.send(POST)
        stage.backend.end(stage.backend.receive(len(POST)), how)
        got = outcome(conn)
        assert got[0] == 502, f"{stage.what}: {got}"
        assert not stage.backend.receive(len(POST), 0.05), f"{stage.what}: asked twice"


def server_in_the_head(stage, how):
    with stage.client() as conn:
        conn.send(GET)
        stage.backend.end(stage.answer(LENGTH[:20]), how)
        got = outcome(conn)
        assert got[0] == 502 or got in ("cut", "nothing"), f"{stage.what}: {got}"


def server_in_a_known_body(stage, how, answer=LENGTH, less=3):
    with stage.client() as conn:
        conn.send(GET)
        stage.backend.end(stage.answer(answer[:-less]), how)
        got = outcome(conn)
        # 502 where nothing had gone out yet, else a cut that shows.
        assert got in ("cut", "nothing") or got[0] == 502, f"{stage.what}: {got}"


def server_in_a_chunk(stage, how):
    server_in_a_known_body(stage, how, CHUNKED, 12)


def server_before_the_last_chunk(stage, how):
    server_in_a_known_body(stage, how, CHUNKED, 5)


def server_in_the_last_chunk(stage, how):
    server_in_a_known_body(stage, how, CHUNKED, 2)


def server_ends_the_body(stage, how):
    """A body without a length: FIN is its end, RST is not."""
    with stage.client() as conn:
        conn.send(GET)
        stage.backend.end(stage.answer(TO_CLOSE), how)
        got = outcome(conn)
        if how == "rst":
            assert got in ("cut", "nothing") or got[0] == 502, f"{stage.what}: {got}"
        else:
            assert got == (200, b"0123456789"), f"{stage.what}: {got}"


def server_behind_its_answer(stage, how):
    """An answer that is there is given; and so is the next one."""
    for answer, body in ((LENGTH, b"0123456789"), (CHUNKED, b"0123456789")):
        with stage.client() as conn:
            conn.send(GET)
            lane = stage.answer(answer)
            if how != "rst":  # a reset may destroy what the other has not read
                stage.backend.end(lane, how)
            assert outcome(conn) == (200, body), stage.what
            if how == "rst":
                stage.backend.end(lane, how)
            conn.send(GET)
            stage.answer(OK)
            assert outcome(conn) == (200, b"ok"), stage.what


# --- the client ends ---

def client_idle(stage, how):
    end(stage.client().sock, how)


def client_in_the_head(stage, how):
    """Not a request: no server hears of it."""
    conn = stage.client()
    conn.send(GET[:-6])
    end(conn.sock, how)
    if how == "half":
        got = outcome(conn)
        assert got == "nothing" or got[0] in (400, 408), f"{stage.what}: {got}"
        conn.close()


def client_in_the_body(stage, how):
    """The server must not take the part for the whole."""
    conn = stage.client()
    conn.send(POST[:PART])
    lane = stage.backend.receive(PART - 10)
    end(conn.sock, how)
    if lane:
        stage.backend.ended(lane)
    if how == "half":
        got = outcome(conn, "POST")
        assert got in ("nothing", "cut") or got[0] == 400, f"{stage.what}: {got}"
        conn.close()


def client_before_the_answer(stage, how):
    """Half closed it is answered; gone, its answer goes to nobody."""
    conn = stage.client()
    conn.send(GET)
    lane = stage.backend.receive(len(GET))
    end(conn.sock, how)
    if how == "half":
        lane.sendall(LENGTH)
        assert outcome(conn) == (200, b"0123456789"), stage.what
        assert conn.at_eof(), stage.what
        conn.close()
        return
    try:
        lane.sendall(LENGTH)
    except OSError:
        pass  # told already


def client_in_the_answer(stage, how, answer=LENGTH):
    conn = stage.client()
    conn.send(GET)
    lane = stage.answer(answer[:-3])
    while answer[-7:-3] not in conn.buf:
        assert conn._fill(), stage.what
    end(conn.sock, how)
    try:
        lane.sendall(answer[-3:])
    except OSError:
        pass
    if how == "half":
        assert outcome(conn) == (200, b"0123456789"), stage.what
        assert conn.at_eof(), stage.what
        conn.close()


def client_in_a_chunk(stage, how):
    client_in_the_answer(stage, how, CHUNKED)


SERVER = [server_idle, server_in_body, server_before_the_answer, server_before_a_posts_answer,
          server_in_the_head, server_in_a_known_body, server_in_a_chunk,
          server_before_the_last_chunk, server_in_the_last_chunk, server_ends_the_body,
          server_behind_its_answer]
CLIENT = [client_idle, client_in_the_head, client_in_the_body, client_before_the_answer,
          client_in_the_answer, client_in_a_chunk]


def play(stage, points):
    for point in points:
        for how in ("fin", "half", "rst"):
            stage.what = f"{point.__name__}, {how}"
            point(stage, how)
            stage.others_go_on()


@test(seconds=90, each=list(DOORS))
def by_server(t, door):
    stage = Stage(t, door)
    play(stage, SERVER)
    assert stage.s.stats().by_door(door) > 60, stage.s.stats()
    stage.s.check()


@test(seconds=90, each=list(DOORS))
def by_client(t, door):
    stage = Stage(t, door)
    play(stage, CLIENT)
    t.wait(lambda: stage.s.stats().tree["sessions"]["open"] == 0, "no session is left")
    stage.s.check()


@test(each=list(DOORS))
def client_leaves_its_request_half(t, door):
    """A client that shuts down within its request, and reads on: an answer that ends with the connection is
    cut for it so that it can tell."""
    stage = Stage(t, door)
    for version, answer in (("HTTP/1.1", TO_CLOSE), ("HTTP/1.0", CHUNKED[:-5])):
        request = build("POST", "/x", body=b"0123456789", version=version)
        with stage.client() as conn:
            conn.send(request[:-4])
            stage.backend.receive(PART - 10).sendall(answer)
            while b"0123456789" not in conn.buf:
                assert conn._fill(), version
            end(conn.sock, "half")
            assert outcome(conn, "POST") == "cut", version
        stage.others_go_on()
    stage.s.check()


@test(each=list(DOORS))
def nobody_listens(t, door):
    """The listener goes while its connections live on; then they go too."""
    stage = Stage(t, door)
    with stage.client() as conn:
        stage.backend.listener.close()
        stage.backend.listener = t.listen(9009)  # select() wants one
        conn.send(GET)
        lane = stage.answer(OK)
        assert outcome(conn) == (200, b"ok")
        conn.send(GET)
        assert stage.backend.receive(len(GET)) is lane
        stage.backend.end(lane, "rst")
        got = outcome(conn)
        assert got[0] in (502, 503), got
        conn.send(GET)
        got = outcome(conn)
        assert got[0] == 503, got
    stage.s.check()


@test(each=["both", "remote-server"])
def while_bpf_begins(t, door):
    """The lane dies while BPF's program, which has chosen it, is not through (here it looks as if):
    the program may find that out itself, so the daemon must not repeat the request before."""
    stage = Stage(t, door)
    size, begun = linux.member_of(stage.s.pin("sessions"), "sl_session", "begun")
    with stage.client() as conn, linux.mapped(stage.s.pin("sessions"), size * 1024) as sessions:
        conn.send(GET)
        lane = stage.backend.receive(len(GET))
        slot = next(i for i in range(1024) if sessions[i * size] & SL_S_EXCHANGE)
        sessions[slot * size + begun] = 1
        stage.backend.end(lane, "rst")
        assert not stage.backend.receive(len(GET), 0.3), "repeated at once"
        sessions[slot * size + begun] = 0
        stage.answer(OK)
        assert outcome(conn) == (200, b"ok")
    stage.s.check()


@test(each=list(DOORS))
def repeat_keeps_its_lane(t, door):
    """The lane that a request was repeated on is as good as any other: the next one takes it."""
    stage = Stage(t, door)
    for how in ("fin", "rst"):
        stage.what = how
        with stage.client() as conn:
            conn.send(GET)
            stage.backend.end(stage.backend.receive(len(GET)), how)
            lane = stage.answer(OK)
            assert outcome(conn) == (200, b"ok"), how
            conn.send(GET)
            assert stage.answer(OK) is lane, f"{how}: another lane"
            assert outcome(conn) == (200, b"ok"), how
    stage.s.check()


@test(each=list(DOORS))
def reset_waits_for_the_answers_before(t, door):
    """An answer whose end only a reset can tell from a whole one is cut, behind one that was whole
    and that its client has not read yet: a reset must not take that along."""
    stage, body = Stage(t, door), b"0123456789" * 5000
    with Conn(FRONT, timeout=SECONDS, rcvbuf=4096) as conn:
        conn.send(GET + GET)
        stage.answer(answer_with(body))
        lane = stage.answer(TO_CLOSE)
        t.wait(lambda: stage.s.stats().tree["lanes"]["user"] == 1, "the answer is on its way")
        stage.backend.end(lane, "rst")
        t.wait(lambda: not stage.s.stats().tree["lanes"]["open"], "the daemon has seen the end")
        assert outcome(conn) == (200, body)
        assert outcome(conn) == "cut"
    t.wait(lambda: stage.s.stats().tree["sessions"]["open"] == 0, "no session is left")
    stage.others_go_on()
    stage.s.check()


@test(each=["both", "remote-server", "user"])
def sent_again_with_the_fin(t, door):
    """A client has sent its FIN; what acknowledges the answer is lost, and so is our FIN. TCP sends both
    again in one segment: the client must not have the answer twice."""
    stage = Stage(t, door)
    with stage.client() as conn:
        conn.send(GET)
        conn.sock.shutdown(socket.SHUT_WR)
        lane = stage.backend.receive(len(GET))
        fin_wait2 = 5
        t.wait(lambda: conn.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == fin_wait2,
               "the FIN is acknowledged")
        with linux.mute("lo", conn.sock.getsockname()[1]):
            lane.sendall(LENGTH)
            assert outcome(conn) == (200, b"0123456789")
            assert conn.at_eof()
    t.wait(lambda: stage.s.stats().tree["sessions"]["open"] == 0, "no session is left")
    stage.others_go_on()
    stage.s.check()
