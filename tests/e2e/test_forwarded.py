# SPDX-License-Identifier: GPL-2.0-only
"""X-Forwarded-*, Via, Server and X-Request-Id: off by default, Envoy's options add them."""
import re

from lib.config import config, route
from lib.http1 import Conn
from lib.keeper import Keeper
from lib.runner import test

from test_actions import CLUSTERS, FRONT, add, insert

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
NAMES = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-port", "via", "x-request-id")
OK = b"HTTP/1.1 200 OK\r\nServer: backend\r\nVia: 1.1 inner\r\nContent-Length: 2\r\n\r\nok"


def serve(t, options, top=None):
    r = route(prefix="/", to="one")
    r.update(top or {})
    one = Keeper(t, 9001, OK)
    s = t.sluice(insert(config(FRONT, CLUSTERS, [r]), "stat_prefix:", options))
    return s, one


def ask(one, headers=()):
    with Conn(FRONT) as conn:
        answer = conn.get("/", headers)
    assert answer.status == 200, answer
    return one.last(), answer


@test()
def off_by_default(t):
    """Nothing is added, on either path; the kernel path is used."""
    s, one = serve(t, {"use_remote_address": False, "generate_request_id": False})
    for _ in range(3):
        got, answer = ask(one)
        assert not [n for n in NAMES if got.all(n)], got
        assert answer.get("server") == "backend" and answer.get("via") == "1.1 inner", answer
    assert s.stats().kernel >= 1, s.stats()
    s.check()


@test()
def remote_address(t):
    """The peer's address joins X-Forwarded-For; what the client says of the protocol does not
    count."""
    s, one = serve(t, {"use_remote_address": True, "append_x_forwarded_port": True}, top={
        "request_headers_to_add": [add("x-client", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%")]})
    got, _ = ask(one)
    assert got.all("x-forwarded-for") == ["127.0.0.1"], got
    assert got.all("x-forwarded-proto") == ["http"] and got.all("x-forwarded-port") == ["8000"], got
    got, _ = ask(one, [("X-Forwarded-For", "1.1.1.1, 2.2.2.2"), ("x-forwarded-for", "3.3.3.3"),
                       ("X-Forwarded-Proto", "https"), ("X-Forwarded-Port", "1")])
    assert got.all("x-forwarded-for") == ["1.1.1.1, 2.2.2.2,3.3.3.3,127.0.0.1"], got
    assert got.all("x-forwarded-proto") == ["http"] and got.all("x-forwarded-port") == ["8000"], got
    assert got.get("x-client") == "127.0.0.1", got
    assert s.stats().kernel == 0 and s.stats().reasons == {"route_needs_user": 2}, s.stats()
    s.check()


@test()
def trusted_hops(t):
    """With a trusted proxy in front its X-Forwarded-Proto stays, and the client is who it says."""
    s, one = serve(t, {"use_remote_address": True, "xff_num_trusted_hops": 1,
                       "skip_xff_append": True, "append_x_forwarded_port": True}, top={
        "request_headers_to_add": [add("x-client", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"),
                                   add("x-direct", "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%")]})
    got, _ = ask(one, [("X-Forwarded-For", "1.1.1.1, 2001:db8::2"), ("X-Forwarded-Proto", "https"),
                       ("X-Forwarded-Port", "443")])
    assert got.all("x-forwarded-for") == ["1.1.1.1, 2001:db8::2"], got
    assert got.all("x-forwarded-proto") == ["https"] and got.all("x-forwarded-port") == ["443"], got
    assert got.get("x-client") == "2001:db8::2" and got.get("x-direct") == "127.0.0.1", got
    got, _ = ask(one)
    assert got.all("x-forwarded-proto") == ["http"] and got.get("x-client") == "127.0.0.1", got
    s.check()


@test()
def not_the_remote_address(t):
    """use_remote_address: false: the client is the last in X-Forwarded-For but the trusted ones."""
    s, one = serve(t, {"use_remote_address": False, "xff_num_trusted_hops": 1}, top={
        "request_headers_to_add": [add("x-client", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%")]})
    for xff, client in (("1.1.1.1, 2.2.2.2, 3.3.3.3", "2.2.2.2"), ("2.2.2.2", "127.0.0.1"),
                        ("junk, 3.3.3.3", "127.0.0.1")):
        got, _ = ask(one, [("X-Forwarded-For", xff)])
        assert got.get("x-client") == client and got.all("x-forwarded-for") == [xff], got
        assert not got.all("x-forwarded-proto"), got
    s.check()


@test()
def via(t):
    s, one = serve(t, {"via": "1.1 sluice"})
    got, answer = ask(one, [("Via", "1.0 first")])
    assert got.all("via") == ["1.0 first, 1.1 sluice"], got
    assert answer.get("via") == "1.1 inner, 1.1 sluice" and answer.get("server") == "backend", answer
    s.check()


@test(each=["name", "if-absent", "pass"])
def server(t, case):
    """server_name and server_header_transformation; of sluice's own answers, too."""
    options = {"name": {"server_name": "front"},
               "if-absent": {"server_name": "front",
                             "server_header_transformation": "APPEND_IF_ABSENT"},
               "pass": {"server_name": "front", "server_header_transformation": "PASS_THROUGH"}}
    s, one = serve(t, options[case])
    _, answer = ask(one)
    assert [v for n, v in answer.headers if n == "server"] == \
        ["front" if case == "name" else "backend"], answer
    one.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    _, answer = ask(one)
    assert answer.get("server") == (None if case == "pass" else "front"), answer
    one.answer = None
    with Conn(FRONT) as conn:
        answer = conn.request("POST", "/", body=b"")
        assert answer.status == 502 and answer.get("server") == "front", answer
    s.check()


@test()
def request_id(t):
    """Made when there is none; kept when a client that is internal has one; told in the answer."""
    s, one = serve(t, {"generate_request_id": True, "always_set_request_id_in_response": True})
    seen = set()
    for _ in range(3):
        got, answer = ask(one)
        assert re.fullmatch(UUID, got.get("x-request-id")), got
        assert answer.get("x-request-id") == got.get("x-request-id"), answer
        seen.add(got.get("x-request-id"))
    assert len(seen) == 3
    got, answer = ask(one, [("X-Request-Id", "mine")])
    assert got.all("x-request-id") == ["mine"] and answer.get("x-request-id") == "mine", got
    s.check()


@test(each=["new", "preserved"])
def request_id_at_the_edge(t, case):
    """A client outside does not choose its identifier, unless preserve_external_request_id; an
    internal one does."""
    s, one = serve(t, {"use_remote_address": True, "generate_request_id": True,
                       "preserve_external_request_id": case == "preserved",
                       "internal_address_config": {"cidr_ranges": [
                           {"address_prefix": "127.0.0.0", "prefix_len": 8}]}})
    # Something is before the peer in X-Forwarded-For: no internal request by Envoy's rule.
    got, _ = ask(one, [("X-Request-Id", "mine"), ("X-Forwarded-For", "8.8.8.8")])
    if case == "preserved":
        assert got.all("x-request-id") == ["mine"], got
    else:
        assert re.fullmatch(UUID, ", ".join(got.all("x-request-id"))), got
    got, _ = ask(one, [("X-Request-Id", "mine")])
    assert got.all("x-request-id") == ["mine"], got  # internal: from 127.0.0.1 itself
    s.check()
