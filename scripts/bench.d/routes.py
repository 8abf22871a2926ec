# SPDX-License-Identifier: GPL-2.0-only
"""What the number of routes costs: time of loading, and of each BPF program a run."""
import os
import shutil
import subprocess
import time
from statistics import median

from extras import programs, timed
from machine import BenchError, Daemon, Netns
from systems import PIN_ROOT, System, origin_argv

SIZES = (10, 10000)
RATIO = 1.3  # the larger table's, at most
PORT = 9001
CONNECTIONS = 16

CONFIG = """
static_resources:
  listeners:
  - name: front
    address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          route_config:
            virtual_hosts:
{hosts}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
"""

# Requests over all of the table: the last route but one of some 200 hosts, evenly spaced. No head
# comes twice in a row on a connection: it would not be matched again.
LUA = """
local n = 0
local tail = "x"
local hosts = {hosts}
request = function()
	n = (n + {step}) % hosts
	tail = tail == "xxx" and "x" or tail .. "x"
	local name = string.format("tenant%04d", n) -- as long in each table
	return "GET /service8/" .. name .. "/" .. tail .. " HTTP/1.1\\r\\nHost: " .. name ..
		".example.com\\r\\n\\r\\n"
end
done = function(s, latency, _)
	local e = s.errors
	io.write(string.format("RESULT %.0f %.0f\\n", s.requests,
		e.connect + e.read + e.write + e.timeout + e.status))
end
"""


def config(routes, port):
    """@routes, ten to a virtual host; a cluster of ten endpoints for each twenty of them. The route
    that is asked for is the last but one of its host, and leads to the origin."""
    hosts, clusters = [], max(1, routes // 20)
    for v in range(routes // 10):
        hosts.append(f"            - name: v{v}\n              domains: "
                     f'["tenant{v:04}.example.com", "*.tenant{v:04}.example.com"]\n              routes:')
        hosts += [f'              - {{match: {{prefix: "/service{i}/tenant{v:04}/"}}, '
                  f"route: {{cluster: {'origin' if i == 8 else f'c{v % clusters}'}}}}}"
                  for i in range(9)]
        hosts.append('              - {match: {prefix: "/"}, route: {cluster: origin}}')
    text = CONFIG.format(port=port, hosts="\n".join(hosts))
    text += _cluster("origin", [("127.0.0.1", PORT)])
    for c in range(clusters):
        text += _cluster(f"c{c}", [(f"127.1.{c // 250}.{c % 250 + 1}", 9100 + k)
                                   for k in range(10)])
    return text


def _cluster(name, endpoints):
    return (f"  - name: {name}\n    type: STATIC\n    load_assignment:\n"
            f"      cluster_name: {name}\n      endpoints:\n      - lb_endpoints:\n" + "".join(
                f"        - endpoint: {{address: {{socket_address: {{address: {a}, "
                f"port_value: {p}}}}}}}\n" for a, p in endpoints))


class Tables:
    """A sluice with each number of routes, in a namespace of their own, and the origin."""

    def __init__(self, sluice, workdir, tag):
        self.dir = os.path.join(workdir, "routes")
        self.systems, self.load_s, self._daemons = {}, {}, []
        self.ns = Netns()
        os.mkdir(self.dir)
        try:
            self._daemon("origin", origin_argv(sluice, {"one": PORT})).wait_port("127.0.0.1", PORT)
            for number, routes in enumerate(SIZES):
                self._start(sluice, routes, 8100 + number, f"routes-{routes}-{tag}")
        except BaseException:
            self.close()
            raise

    def _write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def _daemon(self, name, argv):
        self._daemons.append(Daemon(name, self.ns, argv, os.path.join(self.dir, name + ".log")))
        return self._daemons[-1]

    def _start(self, sluice, routes, port, instance):
        path = self._write(f"{routes}.yaml", config(routes, port))
        began = time.monotonic()
        daemon = self._daemon(f"sluice-{routes}",
                              [sluice, "run", "-c", path, "--instance", instance])
        daemon.wait_line("sluice: ready")
        self.load_s[routes] = time.monotonic() - began
        self.systems[routes] = System("sluice", "127.0.0.1", port, daemon, 0, instance)

    def wrk(self, routes, seconds):
        """Requests that were answered."""
        hosts = routes // 10
        lua = self._write(f"{routes}.lua", LUA.format(hosts=hosts, step=max(1, hosts // 64)))
        with self.ns:
            done = subprocess.run(
                ["wrk", "-t", "2", "-c", str(CONNECTIONS), "-d", f"{seconds}s", "-s", lua,
                 self.systems[routes].url], capture_output=True, text=True)
        words = [line.split() for line in done.stdout.splitlines() if line.startswith("RESULT")]
        if not words or int(words[0][2]) or not int(words[0][1]):
            raise BenchError(f"wrk, {routes} routes: {done.stdout}{done.stderr}")
        return int(words[0][1])

    def close(self):
        for daemon in reversed(self._daemons):
            daemon.stop()
        for system in self.systems.values():
            shutil.rmtree(f"{PIN_ROOT}/{system.instance}", ignore_errors=True)
        self.ns.close()


def _round(tables, routes):
    """{program: ns a run}, and "request": ns a request of all of them."""
    system = tables.systems[routes]
    before = programs(system)
    requests = tables.wrk(routes, 1)
    found, total = {}, 0
    for number, p in programs(system).items():
        was = before.get(number, {})
        runs = p.get("run_cnt", 0) - was.get("run_cnt", 0)
        ns = p.get("run_time_ns", 0) - was.get("run_time_ns", 0)
        total += ns
        if runs > requests / 2:
            found[p["name"]] = ns / runs
    found["request"] = total / requests
    return found


def measure(sluice, workdir, tag, rounds):
    """Interleaved rounds; medians, and the median of the rounds' ratios."""
    tables = Tables(sluice, workdir, tag)
    try:
        for routes in SIZES:
            tables.wrk(routes, 1)  # lanes are made
        got = {routes: [] for routes in SIZES}
        with timed():
            for number in range(rounds):
                for routes in SIZES if number % 2 == 0 else reversed(SIZES):
                    got[routes].append(_round(tables, routes))
        names = [n for n in got[SIZES[0]][0] if all(n in r for s in SIZES for r in got[s])]
        found = {name: {
            "ns": {str(s): median(r[name] for r in got[s]) for s in SIZES},
            "ratio": median(b[name] / a[name] for a, b in zip(got[SIZES[0]], got[SIZES[1]]))}
            for name in names}
        return {"load_s": {str(s): t for s, t in tables.load_s.items()}, "programs": found,
                "ratio": found["request"]["ratio"], "bound": RATIO}
    finally:
        tables.close()


def show(result):
    few, many = (str(s) for s in SIZES)
    print(f"\nroutes: {few} and {many} routes, colocated, {CONNECTIONS} connections; loaded in "
          f"{result['load_s'][few]:.2f} s and {result['load_s'][many]:.2f} s")
    print(f"{'program':14} {'ns a run, ' + few:>16} {many:>8} {'ratio':>7}")
    for name, p in result["programs"].items():
        label = "all, a request" if name == "request" else name
        print(f"{label:14} {p['ns'][few]:16.0f} {p['ns'][many]:8.0f} {p['ratio']:7.2f}")
    print(f"  {'reached' if result['ratio'] <= RATIO else 'MISSED '}  {result['ratio']:.2f} x the "
          f"time of {few} routes (at most {RATIO})", flush=True)
