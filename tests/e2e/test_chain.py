# SPDX-License-Identifier: GPL-2.0-only
"""One sluice behind another on one host: the ends of one are far ends of the other."""
import threading

from lib.config import DOORS, config, route
from lib.data import pattern
from lib.http1 import Conn
from lib.runner import test

FRONT, MIDDLE = ("127.0.0.1", 8000), ("127.0.0.1", 8001)
SIZES = (10, 1000, 30_000, 300_000)


def asks(n, failed):
    try:
        for _ in range(4):
            with Conn(FRONT) as conn:
                for i in range(12):
                    size = SIZES[(i + n) % 4]
                    r = conn.get(f"/bytes/{size}/{n}")
                    assert r.status == 200 and r.body == pattern(size, n), (n, i, r)
                    body = pattern(size, n + 1)
                    r = conn.request("POST", "/echo", body=body)
                    assert r.status == 200 and r.body == body, (n, i, r)
    except Exception as e:  # told by the test's thread
        failed.append((n, repr(e)[:200]))


@test(each=["both.both", "both.user", "user.both", "remote-both.both"])
def bodies(t, doors):
    """Every answer is whole and one's own, by whichever of their doors; one ends and comes back."""
    first, second = doors.split(".")
    t.backends.one("node", "one", 9001)
    b = t.sluice(config(MIDDLE, {"one": [("127.0.0.1", 9001)]}, [route(to="one")], DOORS[second]))
    a = t.sluice(config(FRONT, {"b": [MIDDLE]}, [route(to="b")], DOORS[first]))
    failed = []
    threads = [threading.Thread(target=asks, args=(n, failed)) for n in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not failed, failed
    a.check()
    b.check()
    b.stop()
    with Conn(FRONT) as conn:
        assert conn.get("/who").status == 503
    b.start()
    with Conn(FRONT) as conn:
        assert conn.get("/who").body == b"one"
    a.stop()
