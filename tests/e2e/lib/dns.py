# SPDX-License-Identifier: GPL-2.0-only
"""A DNS server in the test's namespace: UDP and TCP, answers and TTLs as the test says."""
import contextlib
import ipaddress
import select
import socket
import struct
import threading

A, CNAME, AAAA = 1, 5, 28
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3


def _name(text):
    return b"".join(bytes([len(p)]) + p.encode() for p in text.rstrip(".").split(".")) + b"\0"


def _question(data):
    """(name, type, end of the question)"""
    labels, at = [], 12
    while data[at]:
        labels.append(data[at + 1:at + 1 + data[at]].decode())
        at += 1 + data[at]
    return ".".join(labels).lower(), struct.unpack(">H", data[at + 1:at + 3])[0], at + 5


class Dns:
    """
    @zone: {name: answer}, changed by set(): a list of addresses, "servfail", "nxdomain", "silent";
    {"A": answer, "AAAA": answer} where they differ; ("cname", name, ttl). udp_most: longer answers
    are cut, and the client comes again by TCP.
    """

    def __init__(self, t, address="127.0.0.1", port=53, ttl=60, udp_most=512):
        self.zone, self.ttl, self.udp_most = {}, ttl, udp_most
        self.asked = []  # (name, type, "udp" or "tcp")
        self.lock = threading.Lock()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.udp = socket.socket(family, socket.SOCK_DGRAM)
        self.udp.bind((address, port))
        self.tcp = socket.socket(family, socket.SOCK_STREAM)
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.tcp.bind((address, port))
        self.tcp.listen(16)
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        t.stack.callback(self.stop)

    def stop(self):
        self.stopped.set()
        self.thread.join()
        self.udp.close()
        self.tcp.close()

    def set(self, name, answer):
        with self.lock:
            self.zone[name] = answer

    def count(self, name, kind=None, how=None):
        with self.lock:
            return sum(n == name and (kind is None or k == kind) and (how is None or h == how)
                       for n, k, h in self.asked)

    def _records(self, name, kind):
        """(code, [(owner, type, ttl, data)]); None: no answer."""
        answer = self.zone.get(name, "nxdomain")
        if isinstance(answer, dict):
            answer = answer.get({A: "A", AAAA: "AAAA"}.get(kind), [])
        if isinstance(answer, tuple):
            code, more = self._records(answer[1], kind)
            return code, [(name, CNAME, answer[2], _name(answer[1]))] + more
        if isinstance(answer, str):
            return {"servfail": (SERVFAIL, []), "nxdomain": (NXDOMAIN, []),
                    "silent": None}[answer]
        all_ = [ipaddress.ip_address(a) for a in answer]
        return NOERROR, [(name, kind, self.ttl, a.packed) for a in all_
                         if (a.version == 4) == (kind == A) and kind in (A, AAAA)]

    def _answer(self, data, how):
        name, kind, end = _question(data)
        with self.lock:
            self.asked.append((name, kind, how))
            got = self._records(name, kind)
        if got is None:
            return None
        code, records = got
        body = b"".join(_name(owner) + struct.pack(">HHIH", k, 1, ttl, len(d)) + d
                        for owner, k, ttl, d in records)
        flags, n = 0x8580 | code, len(records)
        if how == "udp" and end + len(body) > self.udp_most:
            flags, n, body = flags | 0x200, 0, b""
        return data[:2] + struct.pack(">HHHHH", flags, 1, n, 0, 0) + data[12:end] + body

    def _serve(self):
        conns = {}
        while not self.stopped.is_set():
            ready, _, _ = select.select([self.udp, self.tcp, *conns], [], [], 0.05)
            for s in ready:
                with contextlib.suppress(OSError):
                    if s is self.udp:
                        data, who = s.recvfrom(4096)
                        answer = self._answer(data, "udp")
                        if answer:
                            s.sendto(answer, who)
                    elif s is self.tcp:
                        conns[s.accept()[0]] = b""
                    else:
                        self._tcp(s, conns)
        for s in conns:
            s.close()

    def _tcp(self, s, conns):
        data = s.recv(4096)
        conns[s] += data
        if not data:
            del conns[s]
            s.close()
            return
        while len(conns[s]) > 2:
            size = struct.unpack(">H", conns[s][:2])[0]
            if len(conns[s]) < 2 + size:
                return
            answer = self._answer(conns[s][2:2 + size], "tcp")
            conns[s] = conns[s][2 + size:]
            if answer:
                s.sendall(struct.pack(">H", len(answer)) + answer)
