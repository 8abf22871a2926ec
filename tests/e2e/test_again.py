# SPDX-License-Identifier: GPL-2.0-only
"""A head that comes again, byte for byte, is not read again: what is nearly the same must be, and
what was found in it must not outlive the connection, the table or the draw."""
from lib.config import cluster, config, dump, listener, route
from lib.http1 import Conn, answer_with, build
from lib.keeper import Keeper
from lib.runner import test

FRONT, OTHER = ("127.0.0.1", 8000), ("127.0.0.1", 8010)
BACKS = {name: [("127.0.0.1", 9001 + i)] for i, name in enumerate(("one", "two"))}

# Before the bytes that differ: BPF compares the first 512 in one loop, then 512 a call.
PADS = (0, 350, 900, 1400, 3600)


def servers(t):
    """Two clusters, each of which answers with its name and what it was asked."""
    return {name: Keeper(t, where[0][1], lambda r, _, n=name.encode(): answer_with(
        n + b" " + r.target.encode() + b" " + r.body)) for name, where in BACKS.items()}


def in_kernel(s, before, n):
    after = s.stats()
    assert (after.kernel - before.kernel, after.user - before.user) == (n, 0), (before, after)


@test()
def every_byte(t):
    """Of two heads as long as each other, the byte that differs decides, wherever it is; then the
    first one comes again."""
    servers(t)
    rules = [route(prefix="/", to="two", headers=[{"name": "x-last", "string_match":
                                                   {"exact": "b" * 200}}]),
             route(prefix="/", to="one")]
    s = t.sluice(config(FRONT, BACKS, rules))
    with Conn(FRONT) as conn:
        for value in ("c", "b" * 200):  # a lane of each
            conn.get("/warm", [("X-Last", value)])
        s.idle()
        before = s.stats()
        for pad in PADS:
            head = [("X-Pad", "p" * pad), ("X-Last", "b" * 200)]
            for n in range(200):
                value = "b" * n + "c" + "b" * (199 - n)
                for _ in range(2):
                    assert conn.get("/x", [head[0], ("X-Last", value)]).body == b"one /x "
                assert conn.get("/x", head).body == b"two /x "
        for n in range(1, 130):  # and of two that are not, where the shorter ends
            assert conn.get("/" + "y" * n).body == b"one /" + b"y" * n + b" "
        in_kernel(s, before, 129 + len(PADS) * 600)
    s.check()


@test()
def bodies(t):
    """The same head with another body, in one send and in two; and the same head of an answer."""
    servers(t)
    s = t.sluice(config(FRONT, BACKS, [route(to="one")]))
    with Conn(FRONT) as conn:
        conn.get("/warm")
        s.idle()
        for n in range(50):
            body = b"%04d" % n
            assert conn.request("POST", "/x", [], body).body == b"one /x " + body
        for n in range(5):
            raw = build("POST", "/x", [], b"%04d" % n)
            conn.send_pieces([raw[:-3], raw[-3:]])
            assert conn.response().body == b"one /x %04d" % n
        for n in range(20):
            body = [b"%04d" % n, b"x" * n]
            got = conn.request("POST", "/x", [], body, chunked=True).body
            assert got.startswith(b"one /x 4\r\n%04d" % n), got
    s.check()


@test()
def reload_between(t):
    """A new table decides for a head that the old one had routed."""
    servers(t)
    s = t.sluice(config(FRONT, BACKS, [route(to="one")]))
    with Conn(FRONT) as conn:
        for n in range(6):
            name = ("one", "two")[n % 2]
            for _ in range(3):
                assert conn.get("/x").body == name.encode() + b" /x "
            with open(s.config_path, "w") as f:
                f.write(config(FRONT, BACKS, [route(to=("two", "one")[n % 2])]))
            s.run("reload")
            s.idle()
    assert s.stats().kernel > 6, s.stats()
    s.check()


@test()
def draws_anew(t):
    """A route that takes a part of the requests draws for each of them."""
    servers(t)
    half = route(prefix="/", to="two")
    half["match"]["runtime_fraction"] = {"default_value": {"numerator": 50}}
    s = t.sluice(config(FRONT, BACKS, [half, route(to="one")]))
    with Conn(FRONT) as conn:
        got = [conn.get("/x").body for _ in range(200)]
    assert 50 < got.count(b"two /x ") < 150, got
    assert s.stats().kernel > 150, s.stats()


@test()
def another_connection(t):
    """A slot's next connection may belong to another listener: its head is read for itself."""
    servers(t)
    tree = {"static_resources": {
        "listeners": [listener("front", FRONT, [route(to="one")]),
                      listener("other", OTHER, [route(to="two")])],
        "clusters": [cluster(name, where) for name, where in BACKS.items()]}}
    s = t.sluice(dump(tree) + "\n")
    for n in range(20):
        where, name = ((FRONT, b"one"), (OTHER, b"two"))[n % 2]
        with Conn(where) as conn:
            for _ in range(4):
                assert conn.request("GET", "/x", host="same").body == name + b" /x "
            s.idle()
        t.wait(lambda: s.stats().tree["sessions"]["open"] == 0, "the session is gone")
    assert s.stats().kernel > 40, s.stats()
    s.check()
