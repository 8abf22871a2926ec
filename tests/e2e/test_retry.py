# SPDX-License-Identifier: GPL-2.0-only
"""Retry policies and mirrored requests."""
import contextlib
import socket
import threading
import time

from lib.config import config, route
from lib.data import pattern
from lib.http1 import Closed, Conn, head_of
from lib.runner import test
from lib.keeper import OK, Keeper

from test_actions import CLUSTERS, FRONT, PATHS, action, insert
from test_reload import reload


def answer(status, *headers, body=b"no"):
    lines = b"".join(h + b"\r\n" for h in headers)
    return b"HTTP/1.1 %d X\r\n%bContent-Length: %d\r\n\r\n%b" % (status, lines, len(body), body)


def serve(t, policy, path="kernel", vhost=None, **keys):
    """One route with the retry policy @policy to a scripted server."""
    if policy:
        keys["retry_policy"] = policy
    text = config(FRONT, CLUSTERS, [action("/", **keys)], PATHS[path])
    one = Keeper(t, 9001)
    return t.sluice(insert(text, "domains:", vhost)), one


def failing(first, times=1):
    """@first for the first @times requests, then 200."""
    return lambda request, n: first if n <= times else OK


CONDITIONS = [
    ("5xx", answer(500), True), ("5xx", answer(503), True), ("5xx", None, True),
    ("5xx", answer(404), False), ("5xx", answer(500, b"x-envoy-overloaded: true"), False),
    ("5xx", answer(503, b"x-envoy-ratelimited: true"), False),
    ("envoy-ratelimited", answer(429, b"x-envoy-ratelimited: true"), True),
    ("envoy-ratelimited", answer(429), False),
    ("gateway-error", answer(500), False), ("gateway-error", answer(502), True),
    ("gateway-error", answer(504), True), ("gateway-error", None, True),
    ("reset", None, True), ("reset", answer(503), False), ("reset", b"nonsense\r\n\r\n", True),
    ("connect-failure", None, False), ("connect-failure", answer(503), False),
    ("retriable-4xx", answer(409), True), ("retriable-4xx", answer(404), False),
    ("retriable-status-codes", answer(418), True), ("retriable-status-codes", answer(417), False),
    ("reset, retriable-4xx", answer(409), True), ("refused-stream", answer(503), False),
    ("unavailable", answer(200, b"grpc-status: 14"), True),
    ("cancelled", answer(200, b"grpc-status: 14"), False),
]


@test(each=list(PATHS))
def conditions(t, path):
    """Each condition of retry_on, met and not met."""
    routes = []
    for i, (on, _, _) in enumerate(CONDITIONS):
        routes.append(action(f"/{i}/", retry_policy={
            "retry_on": on, "retriable_status_codes": [418],
            "retry_back_off": {"base_interval": "0.001s"}}))
    one = Keeper(t, 9001)
    s = t.sluice(config(FRONT, CLUSTERS, routes, PATHS[path]))
    for i, (on, bad, again) in enumerate(CONDITIONS):
        one.requests.clear()
        one.answer = failing(bad)
        with Conn(FRONT) as conn:
            # No idempotent method: only the policy lets it be repeated.
            r = conn.request("POST", f"/{i}/x", body=b"body")
        assert len(one.requests) == 1 + again, (on, bad, one.requests)
        if again:
            assert r.status == 200 and r.body == b"ok", (on, bad, r)
        assert all(q.body == b"body" for q in one.requests), (on, one.requests)
    s.check()


@test()
def number_of_retries(t):
    """num_retries, and 1 if it is not given; the last answer is the client's."""
    tries = {"/three": ({"num_retries": 3}, 4), "/default": ({}, 2), "/none": ({"num_retries": 0}, 1)}
    one = Keeper(t, 9001)
    s = t.sluice(config(FRONT, CLUSTERS, [action(where, retry_policy={
        "retry_on": "5xx", "retry_back_off": {"base_interval": "0.001s"}, **policy})
        for where, (policy, _) in tries.items()]))
    for where, (_, n_tries) in tries.items():
        one.requests.clear()
        one.answer = lambda request, n: answer(500 + n)
        with Conn(FRONT) as conn:
            r = conn.get(where)
            assert r.status == 500 + n_tries and len(one.requests) == n_tries, (where, r)
            # The session goes on.
            one.answer = OK
            assert conn.get(where).status == 200
    s.check()


@test()
def virtual_host_policy(t):
    """The virtual host's policy holds for routes without one of their own."""
    s, one = serve(t, None, vhost={"retry_policy": {"retry_on": "5xx"}})
    one.answer = failing(answer(500))
    with Conn(FRONT) as conn:
        assert conn.get("/").status == 200 and len(one.requests) == 2
    s.check()


@test(each=list(PATHS))
def by_headers(t, path):
    """retriable_headers: any of them in an answer; retriable_request_headers: only requests that
    have one of them, as they are sent on."""
    policy = {"retry_on": "retriable-headers", "retriable_headers": [
        {"name": "x-again", "string_match": {"prefix": "yes"}},
        {"name": "x-load", "range_match": {"start": 90, "end": 101}}],
        "retriable_request_headers": [{"name": ":method", "exact_match": "GET"},
                                      {"name": "x-safe", "safe_regex_match": {"regex": "y|yes"}}],
        "retry_back_off": {"base_interval": "0.001s"}}
    s, one = serve(t, policy, path)
    for headers, method, extra, tries in [
            ((b"x-again: yes!",), "GET", [], 2), ((b"x-load: 95",), "GET", [], 2),
            ((b"x-load: 101", b"x-again: no"), "GET", [], 1), ((), "GET", [], 1),
            ((b"x-again: yes",), "POST", [], 1), ((b"x-again: yes",), "POST", [("x-safe", "yes")], 2),
            ((b"x-again: yes",), "POST", [("x-safe", "yess")], 1)]:
        one.requests.clear()
        one.answer = failing(answer(200, *headers))
        with Conn(FRONT) as conn:
            assert conn.request(method, "/", extra).status == 200
        assert len(one.requests) == tries, (headers, method, extra, one.requests)
    s.check()


@test(each=list(PATHS))
def attempt_count(t, path):
    """include_request_attempt_count and include_attempt_count_in_response: the number of the try,
    whatever the client or the server says; a number with one more digit shifts the body."""
    s, one = serve(t, {"retry_on": "5xx", "num_retries": 11,
                       "retry_back_off": {"base_interval": "0.001s"}}, path,
                   vhost={"include_request_attempt_count": True,
                          "include_attempt_count_in_response": True})
    for again in (0, 2, 10):
        one.requests.clear()
        one.answer = failing(answer(503, b"x-envoy-attempt-count: 7"), again)
        with Conn(FRONT) as conn:
            r = conn.request("POST", "/", [("X-Envoy-Attempt-Count", "99")], body=b"body")
        assert r.status == 200 and r.get("x-envoy-attempt-count") == str(again + 1), r
        assert [q.all("x-envoy-attempt-count") for q in one.requests] == \
            [[str(i + 1)] for i in range(again + 1)], one.requests
        assert all(q.body == b"body" for q in one.requests), one.requests
    one.answer = answer(500)
    with Conn(FRONT) as conn:
        assert conn.get("/").get("x-envoy-attempt-count") == "12"
    s.check()


@test()
def attempt_count_alone(t):
    """Without a retry policy it is 1, in answers of our own too; off by default."""
    text = config(FRONT, CLUSTERS, [action("/")])
    s = t.sluice(insert(text, "domains:", {"include_attempt_count_in_response": True,
                                           "include_request_attempt_count": False}))
    with Conn(FRONT) as conn:
        r = conn.get("/")  # nobody is there
        assert r.status == 503 and r.get("x-envoy-attempt-count") == "1", r
    one = Keeper(t, 9001)
    with Conn(FRONT) as conn:
        assert conn.get("/").get("x-envoy-attempt-count") == "1"
        assert not one.last().get("x-envoy-attempt-count")
    s.check()


def connect_failures(s):
    """Of all clusters, wherever stats show it."""
    found = []

    def walk(tree):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            if isinstance(value, (dict, list)):
                walk(value)
            elif key == "upstream_cx_connect_fail":
                found.append(value)
    walk(s.stats().tree)
    return sum(found)


@test()
def connect_failure(t):
    """A server that is not there yet is tried again, also for a request with a body; without a
    policy 503."""
    s = t.sluice(config(FRONT, CLUSTERS, [
        action("/retry", retry_policy={"retry_on": "connect-failure", "num_retries": 50,
                                       "retry_back_off": {"base_interval": "0.05s",
                                                          "max_interval": "0.05s"}}),
        action("/")]))
    body = pattern(20_000, 1)
    with Conn(FRONT) as conn:
        assert conn.get("/").status == 503
    with Conn(FRONT) as conn:
        conn.send(b"POST /retry HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n" + body[:5000])
        conn.send(body[5000:])
        t.wait(lambda: connect_failures(s) >= 4, "some tries")
        one = Keeper(t, 9001)
        assert conn.response().status == 200 and one.last().body == body
    s.check()


@test(each=["length", "chunked"])
def bodies(t, framing):
    """A body is sent again whole if it fits the buffer; a longer one is sent once."""
    s, one = serve(t, {"retry_on": "5xx"})
    for size, tries in ((0, 2), (1, 2), (30_000, 2), (60_000, 2), (200_000, 1)):
        body = pattern(size, size)
        one.requests.clear()
        one.answer = failing(answer(503))
        with Conn(FRONT) as conn:
            if framing == "chunked":
                parts = [body[i:i + 7000] for i in range(0, size, 7000)]
                r = conn.request("POST", "/", body=parts, chunked=True)
            else:
                r = conn.request("POST", "/", body=body)
        assert len(one.requests) == tries and r.status == (200 if tries == 2 else 503), (size, r)
        for q in one.requests:
            got = q.body if framing == "length" else dechunk(q.body)
            assert got == body, (size, len(got))
    s.check()


def dechunk(data):
    out = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        n = int(size, 16)
        if not n:
            return out
        out, data = out + data[:n], data[n + 2:]


@test()
def not_after_the_answer_began(t):
    """An answer that breaks off in its body, or after a 1xx, is not tried again."""
    s, one = serve(t, {"retry_on": "5xx,reset", "num_retries": 5})
    one.answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10\r\n\r\nhalf"
    with Conn(FRONT) as conn:
        with contextlib.suppress(Closed):
            r = conn.get("/")
            assert False, r
    assert len(one.requests) == 1
    one.answer = b"HTTP/1.1 103 Early Hints\r\nX: connection: close\r\n\r\n"
    with Conn(FRONT) as conn:
        r = conn.get("/")
        assert r.status == 502 and [i.status for i in r.informational] == [103], r
    assert len(one.requests) == 2
    s.check()


@test()
def per_try_timeout(t):
    """Each try has its own time; the route's timeout holds for all together."""
    s, one = serve(t, {"retry_on": "5xx", "num_retries": 2, "per_try_timeout": "0.5s",
                       "retry_back_off": {"base_interval": "0.001s"}})
    one.answer = lambda request, n: time.sleep(4) or OK if n <= 2 else OK
    start = time.monotonic()
    with Conn(FRONT) as conn:
        r = conn.get("/")
    took = time.monotonic() - start
    assert r.status == 200 and len(one.requests) == 3 and 1 <= took < 4, (r, took)
    one.answer = lambda request, n: time.sleep(2) or OK
    with Conn(FRONT) as conn:
        r = conn.get("/")
    assert r.status == 504 and len(one.requests) == 6, r
    s.check()


@test()
def back_off(t):
    """Tries are apart by a random time below base, 2 * base, ..., max; base is 25 ms if not
    given, and clients that leave meanwhile leave nothing behind."""
    s, one = serve(t, {"retry_on": "5xx", "num_retries": 3,
                       "retry_back_off": {"base_interval": "1s", "max_interval": "1s"}})
    one.answer = answer(500)
    for i in range(20):
        with Conn(FRONT) as conn:
            conn.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            t.wait(lambda: len(one.requests) > i, "the first try")
    t.wait(lambda: s.stats().tree["sessions"]["open"] == 0, "no session is left")
    with Conn(FRONT) as conn:
        start = time.monotonic()
        assert conn.get("/").status == 500
        assert 0.05 < time.monotonic() - start < 3.5
    s.check()


@test()
def max_retries(t):
    """The circuit breaker bounds retries under way: beyond it the answer passes."""
    text = config(FRONT, CLUSTERS, [action("/", retry_policy={
        "retry_on": "5xx", "retry_back_off": {"base_interval": "10s", "max_interval": "10s"}})])
    s = t.sluice(text)  # max_retries is 3 by default
    one = Keeper(t, 9001, answer(503))
    conns = [Conn(FRONT) for _ in range(6)]
    for conn in conns:
        conn.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    t.wait(lambda: len(one.requests) >= 6, "each was tried once")
    answered = 0
    for conn in conns:
        conn.sock.settimeout(0.3)
        with contextlib.suppress(socket.timeout):
            answered += conn.response().status == 503
        conn.close()
    assert 3 <= answered <= 6, answered
    t.wait(lambda: s.stats().tree["sessions"]["open"] == 0, "no session is left")
    s.check()


def budget(text, **threshold):
    """With @threshold as the circuit breaker of cluster one."""
    return insert(text, 'connect_timeout: "0.25s"', {"circuit_breakers": {"thresholds": [threshold]}})


@test()
def retry_budget(t):
    """A share of the requests under way may be retries, and some in any case, whatever max_retries
    says."""
    policy = {"retry_on": "5xx", "num_retries": 1,
              "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.001s"}}
    text = config(FRONT, CLUSTERS, [action("/", retry_policy=policy)])
    one, held = Keeper(t, 9001), []
    release = threading.Event()
    t.stack.callback(release.set)

    def slow(request, n):
        if request.target == "/held":
            release.wait()
        return answer(503) if request.target == "/fails" else OK

    def tries():
        before = sum(q.target == "/fails" for q in one.requests)
        with Conn(FRONT) as conn:
            assert conn.get("/fails").status == 503
        return sum(q.target == "/fails" for q in one.requests) - before

    one.answer = slow
    s = t.sluice(budget(text, max_retries=0, retry_budget={
        "budget_percent": {"value": 50}, "min_retry_concurrency": 0}))
    assert tries() == 1  # half of one request is none
    for i in range(3):
        held.append(t.stack.enter_context(Conn(FRONT)))
        held[-1].send(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
    t.wait(lambda: sum(q.target == "/held" for q in one.requests) == 3, "three under way")
    assert tries() == 2
    reload(s, budget(text, max_retries=0, retry_budget={"budget_percent": {"value": 0}}))
    assert tries() == 2  # min_retry_concurrency is 3 by default
    reload(s, budget(text, max_retries=0))
    assert tries() == 1
    release.set()
    for conn in held:
        assert conn.response().status == 200
    s.check()


@test(each=list(PATHS))
def previous_hosts(t, path):
    """retry_host_predicate: no endpoint twice for one request, if one of so many choices is
    another one."""
    ports = (9001, 9002, 9003)
    text = config(FRONT, {"one": [("127.0.0.1", port) for port in ports]}, [
        action("/", retry_policy={
            "retry_on": "5xx", "num_retries": 2, "host_selection_retry_max_attempts": 200,
            "retry_host_predicate": [{"name": "envoy.retry_host_predicates.previous_hosts"}],
            "retry_back_off": {"base_interval": "0.001s"}})], PATHS[path])
    s = t.sluice(text.replace("ROUND_ROBIN", "RANDOM"))
    servers = [Keeper(t, port, answer(503)) for port in ports]
    servers[0].answer = OK
    for i in range(60):
        with Conn(FRONT) as conn:
            assert conn.get(f"/{i}").status == 200
    for server in servers:
        seen = [q.target for q in server.requests]
        assert len(seen) == len(set(seen)), seen
    assert len(servers[1].requests) > 10 and len(servers[2].requests) > 10
    s.check()


@test(each=["answers", "refuses"])
def host_of_the_endpoint(t, first):
    """A request of HTTP/1.0 without Host is given the endpoint's address: of each one that it is sent to."""
    ports = (9001, 9002)
    s = t.sluice(config(FRONT, {"one": [("127.0.0.1", port) for port in ports]}, [
        action("/", retry_policy={
            "retry_on": "5xx", "num_retries": 2, "host_selection_retry_max_attempts": 200,
            "retry_host_predicate": [{"name": "envoy.retry_host_predicates.previous_hosts"}],
            "retry_back_off": {"base_interval": "0.001s"}})]), concurrency=1)
    servers = {9002: Keeper(t, 9002)}
    if first == "answers":
        servers[9001] = Keeper(t, 9001, answer(503))
    for i in range(4):
        with Conn(FRONT) as conn:
            conn.send(b"GET /%d HTTP/1.0\r\n\r\n" % i)
            assert conn.response().status == 200
    for port, server in servers.items():
        assert server.requests and all(q.all("host") == [f"127.0.0.1:{port}"] for q in server.requests), \
            server.requests
    s.check()


@test()
def per_try_idle_timeout(t):
    """A try that says nothing for so long is given up for another one; an answer that stops in
    its middle is cut; one that goes on slowly is not."""
    s, one = serve(t, {"retry_on": "5xx", "num_retries": 1, "per_try_idle_timeout": "0.2s",
                       "retry_back_off": {"base_interval": "0.001s"}})
    stop = threading.Event()
    t.stack.callback(stop.set)
    one.answer = lambda request, n: stop.wait() and None if n == 1 else OK
    with Conn(FRONT) as conn:
        assert conn.get("/").status == 200 and len(one.requests) == 2
    one.answer = lambda request, n: stop.wait() and None
    with Conn(FRONT) as conn:
        assert conn.get("/").status == 504 and len(one.requests) == 4
    one.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
    with Conn(FRONT) as conn:
        with contextlib.suppress(Closed):
            r = conn.get("/")
            assert False, r
    assert len(one.requests) == 5
    s.check()


# --- mirrors ---

def mirrored(t, policies, path="kernel", **keys):
    text = config(FRONT, CLUSTERS, [action("/", request_mirror_policies=policies, **keys)],
                  PATHS[path])
    one, two = Keeper(t, 9001), Keeper(t, 9002, b"HTTP/1.1 500 Bad\r\nContent-Length: 3\r\n\r\nbad")
    return t.sluice(text, concurrency=1), one, two  # one thread: lanes are used again for certain


@test(each=list(PATHS))
def mirror(t, path):
    """The copy has the request's bytes but for "-shadow" behind the host; its answer goes nowhere,
    its connection is used again."""
    s, one, two = mirrored(t, [{"cluster": "two"}], path, prefix_rewrite="/new/")
    for i, (host, shadow) in enumerate((("test", "test-shadow"), ("test:80", "test-shadow:80"),
                                        ("[::1]:80", "[::1]-shadow:80"), ("[::1]", "[::1]-shadow"))):
        with Conn(FRONT) as conn:
            r = conn.request("POST", "/a?b", [("X-A", "b")], body=b"body" * i, host=host)
            assert r.status == 200 and r.body == b"ok", r
        t.wait(lambda: len(two.requests) == i + 1, "the copy")
        a, b = one.last(), two.last()
        assert a.line == b.line == "POST /new/a?b HTTP/1.1" and a.body == b.body == b"body" * i
        assert b.all("host") == [shadow], b
        assert [h for h in a.headers if h[0].lower() != "host"] == \
            [h for h in b.headers if h[0].lower() != "host"], (a, b)
    assert two.connections == 1, two.connections
    s.check()


@test()
def mirror_chunked(t):
    s, one, two = mirrored(t, [{"cluster": "two", "disable_shadow_host_suffix_append": True}])
    parts = [pattern(5000, i) for i in range(5)]
    with Conn(FRONT) as conn:
        assert conn.request("POST", "/", body=parts, chunked=True).status == 200
        t.wait(lambda: len(two.requests) == 1, "the copy")
        assert two.last().all("host") == ["test"]
        assert dechunk(two.last().body) == b"".join(parts) == dechunk(one.last().body)
        # What does not fit the buffer is not copied.
        assert conn.request("POST", "/", body=pattern(200_000, 1)).status == 200
        assert conn.get("/end").status == 200
    t.wait(lambda: two.last().target == "/end", "the next copy")
    assert len(two.requests) == 2
    s.check()


@test()
def mirror_fraction(t):
    """runtime_fraction: none, all, and about as many as it says."""
    s, one, two = mirrored(t, [{"cluster": "two", "runtime_fraction": {
        "default_value": {"numerator": 30}}}])
    with Conn(FRONT) as conn:
        for _ in range(400):
            assert conn.get("/").status == 200
    t.wait(lambda: len(two.requests) >= 80, "copies")
    s.idle()
    assert 80 <= len(two.requests) <= 160, len(two.requests)
    s.check()


@test()
def mirror_by_header(t):
    """cluster_header: to the cluster that the header names; to none if it names none."""
    s, one, two = mirrored(t, [{"cluster_header": "X-Shadow"}])
    with Conn(FRONT) as conn:
        for name in ("", "three", "two", "TWO"):
            assert conn.get(f"/{name}", [("x-shadow", name)] if name else []).status == 200
    s.idle()
    assert [q.target for q in two.requests] == ["/two"], two.requests
    s.check()


@test()
def mirror_none(t):
    s, one, two = mirrored(t, [{"cluster": "two", "runtime_fraction": {
        "default_value": {"numerator": 0, "denominator": "MILLION"}}}])
    with Conn(FRONT) as conn:
        for _ in range(50):
            assert conn.get("/").status == 200
    s.idle()
    assert not two.requests
    s.check()


@test()
def mirror_memory(t):
    """Copies that wait for their answers are memory that counts."""
    s, one, two = mirrored(t, [{"cluster": "two"}])
    go = threading.Event()
    t.stack.callback(go.set)
    two.answer = lambda request, n: go.wait(60) and OK

    def heap():
        return s.stats().tree["heap"]
    with Conn(FRONT) as conn:
        for _ in range(20):
            assert conn.request("POST", "/", body=pattern(60_000, 1)).status == 200
        t.wait(lambda: heap() >= 20 * 60_000, "the copies count")
        go.set()
        t.wait(lambda: heap() < 200_000, "they are free again")
    assert len(one.requests) == len(two.requests) == 20
    s.check()


@test(each=["mute", "endless"])
def mirror_is_given_up(t, how):
    """An answer of which there is no end in 15 s is waited for no longer; until then it is read and dropped, a
    turn at a time."""
    listener = t.listen(9002)
    s = t.sluice(config(FRONT, CLUSTERS, [action("/", request_mirror_policies=[{"cluster": "two"}])]),
                 concurrency=1)
    one, taken = Keeper(t, 9001), []

    def flood(lane):
        with contextlib.suppress(OSError):
            lane.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while how == "endless":
                lane.sendall(bytes(1 << 20))
                taken.append(1)
    with Conn(FRONT) as conn:
        assert conn.get("/").status == 200
        lane = t.stack.enter_context(listener.accept()[0])
        start = time.monotonic()
        head_of(lane)
        sender = threading.Thread(target=flood, args=(lane,), daemon=True)
        sender.start()
        if how == "endless":
            t.wait(lambda: len(taken) > 100, "it is read on")
            before = len(taken)
            assert conn.get("/more").status == 200 and one.last().target == "/more"
            assert len(taken) - before < 200, "megabytes before the next request"
            assert s.stats().tree["heap"] < 1 << 20, s.stats().tree["heap"]
            again = t.stack.enter_context(listener.accept()[0])
            again.close()
        with contextlib.suppress(OSError):
            lane.settimeout(25)
            while how == "mute" and lane.recv(65536):
                pass
        sender.join(25)
        took = time.monotonic() - start
    assert not sender.is_alive() and 14 <= took < 20, f"{took:.1f} s"
    s.check()


@test(each=["down", "mute", "closes", "nonsense"])
def mirror_fails(t, how):
    """Whatever the other cluster does, the client does not notice, and nothing is left over."""
    s, one, two = mirrored(t, [{"cluster": "down" if how == "down" else "two"}])
    two.answer = {"mute": lambda r, n: time.sleep(60), "closes": None, "nonsense": b"no\r\n\r\n",
                  "down": OK}[how]
    with Conn(FRONT) as conn:
        for i in range(20):
            r = conn.request("POST", "/", body=b"x" * i)
            assert r.status == 200 and one.last().body == b"x" * i
    assert len(one.requests) == 20
    if how == "mute":
        t.wait(lambda: len(two.requests) == 20, "all copies")
        s.stop(5)
    else:
        s.check()
