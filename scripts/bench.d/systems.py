# SPDX-License-Identifier: GPL-2.0-only
"""The servers: origin (origin.c), nginx, HAProxy and sluice, with the tutorial's routes, tuned for speed."""
import http.client
import json
import os
import shutil
import subprocess

from machine import BenchError, Daemon, Netns, wire

SERVICES = {"service1": 9001, "service1a": 9002, "service2": 9003}
BIG = {"64k": 64 << 10, "1m": 1 << 20, "chunked": 4 << 10}
PIN_ROOT = "/sys/fs/bpf/sluice"

NGINX_HEAD = """
user root;
worker_processes {workers};
daemon off;
pid {dir}/pid;
error_log {dir}/error.log error;
events {{ worker_connections 4096; multi_accept on; accept_mutex off; }}
http {{
	access_log off;
	keepalive_requests 1000000000;
	keepalive_timeout 1h;
	keepalive_time 24h;
	client_header_buffer_size 4k;
	large_client_header_buffers 8 32k;
	client_body_buffer_size 64k;
	client_body_temp_path {dir}/body;
	proxy_temp_path {dir}/proxy;
	fastcgi_temp_path {dir}/fastcgi;
	uwsgi_temp_path {dir}/uwsgi;
	scgi_temp_path {dir}/scgi;
	default_type text/plain;
	types {{ }}
"""

# Routes that do not match: an index in each system that has one (nginx's tree of locations,
# HAProxy's tree of patterns).
NGINX_MORE = "\t\tlocation /tenant/{n}/ {{ proxy_pass http://service2; }}\n"
HAPROXY_MORE = "\tuse_backend service2 if {{ path_beg -f {file} }}\n"
SLUICE_MORE = """
              - match: {{prefix: "/tenant/{n}/"}}
                route: {{cluster: service2}}"""

# The split by the weights of one upstream: the cheapest that nginx has.
# proxy_buffers: an answer of 64 KiB at once; proxy_max_temp_file_size: never to a file.
NGINX_PROXY = """
	map $http_x_canary_version $first {{ default split; service1a service1a; }}
	upstream split {{
		server {origin}:9001 weight=75 max_fails=0;
		server {origin}:9002 weight=25 max_fails=0;
		keepalive 512; keepalive_requests 1000000000; keepalive_timeout 1h; keepalive_time 24h;
	}}
	upstream service1a {{
		server {origin}:9002 max_fails=0;
		keepalive 512; keepalive_requests 1000000000; keepalive_timeout 1h; keepalive_time 24h;
	}}
	upstream service2 {{
		server {origin}:9003 max_fails=0;
		keepalive 512; keepalive_requests 1000000000; keepalive_timeout 1h; keepalive_time 24h;
	}}
	proxy_http_version 1.1;
	proxy_set_header Connection "";
	proxy_buffer_size 16k;
	proxy_buffers 16 32k;
	proxy_busy_buffers_size 256k;
	proxy_max_temp_file_size 0;
	server {{
		listen {addr}:{port} reuseport backlog=8192;
{more}		location /service/1 {{ proxy_pass http://$first; }}
		location /service/2 {{ proxy_pass http://service2; }}
	}}
"""

HAPROXY = """
global
	nbthread {workers}
	maxconn 4096
	tune.bufsize 32768
defaults
	mode http
	timeout connect 5s
	timeout client 1h
	timeout server 1h
	timeout http-keep-alive 1h
	http-reuse always
	balance roundrobin
frontend front
	bind {addr}:{port} backlog 8192
{more}	acl one path_beg /service/1
	use_backend service1a if one {{ req.hdr(x-canary-version) -m str service1a }}
	use_backend split if one
	use_backend service2 if {{ path_beg /service/2 }}
backend split
	server service1 {origin}:9001 weight 75 pool-purge-delay 1h
	server service1a {origin}:9002 weight 25 pool-purge-delay 1h
backend service1a
	server service1a {origin}:9002 pool-purge-delay 1h
backend service2
	server service2 {origin}:9003 pool-purge-delay 1h
"""

SLUICE_HEAD = """
sluice:
  kernel_path: {kernel}
  colocated_clients: {pairing}
  colocated_servers: {server_pairing}
static_resources:
  listeners:
  - name: front
    address: {{socket_address: {{address: {addr}, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress_http
          route_config:
            virtual_hosts:
            - name: backend
              domains: ["*"]
              routes:{more}
              - match:
                  prefix: "/service/1"
                  headers:
                  - name: "x-canary-version"
                    string_match: {{exact: "service1a"}}
                route: {{cluster: service1a}}
              - name: service1
                match: {{prefix: "/service/1"}}
                route:
                  weighted_clusters:
                    clusters:
                    - {{name: service1a, weight: 25}}
                    - {{name: service1, weight: 75}}
              - match: {{prefix: "/service/2"}}
                route: {{cluster: service2}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
"""

SLUICE_CLUSTER = """
  - name: {name}
    connect_timeout: 1s
    type: STATIC
    lb_policy: ROUND_ROBIN
    load_assignment:
      cluster_name: {name}
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: {origin}, port_value: {port}}}}}}}
"""


def _write(path, text):
    with open(path, "w") as f:
        f.write(text)
    return path


def origin_argv(sluice, services):
    """The command of origin.c for @services, {name: port}; it is built beside @sluice."""
    return [os.path.join(os.path.dirname(sluice), "scripts/origin"), str(os.cpu_count()),
            *(f"{port}={name}" for name, port in services.items())]


class System:
    """Something that answers the tutorial's requests at addr:port. @family: its name in
    tables; @workers of it are one variant."""

    def __init__(self, family, addr, port, daemon=None, workers=0, instance=None):
        self.family = family
        self.addr, self.port = addr, port
        self.daemon = daemon
        self.workers = workers
        self.instance = instance

    @property
    def url(self):
        return f"http://{self.addr}:{self.port}"


class Rig:
    """All systems of one topology, running. close() ends them and their namespaces."""

    def __init__(self, topology, sluice, workdir, tag, workers):
        self.topology = topology
        self.sluice = sluice
        self.dir = os.path.join(workdir, topology.name)
        self.tag = tag
        self.workers = workers
        self.namespaces, self.systems, self._daemons, self._instances = [], [], [], []
        os.mkdir(self.dir)
        try:
            self._lay_wires()
            self._start()
        except BaseException:
            self.close()
            raise

    def _netns(self):
        self.namespaces.append(Netns())
        return self.namespaces[-1]

    def _lay_wires(self):
        self.host = self.client = self.home = self._netns()
        self.front_addr = self.origin_addr = self.direct_addr = "127.0.0.1"
        if self.topology.client_away:
            self.client = self._netns()
            _, self.front_addr = wire(self.client, self.host, 1)
            self.direct_addr = self.front_addr
        if self.topology.origin_away:
            self.home = self._netns()
            _, self.origin_addr = wire(self.host, self.home, 2)
            # A direct connection has a wire of its own, not two hops.
            _, self.direct_addr = wire(self.client, self.home, 3)

    def _daemon(self, name, ns, argv):
        daemon = Daemon(name, ns, argv, os.path.join(self.dir, name + ".log"))
        self._daemons.append(daemon)
        return daemon

    def _nginx(self, name, ns, workers, servers):
        where = os.path.join(self.dir, name)
        os.mkdir(where)
        conf = NGINX_HEAD.format(workers=workers, dir=where) + servers + "}\n"
        return self._daemon(name, ns, ["nginx", "-p", where, "-e", where + "/error.log", "-c",
                                       _write(where + "/nginx.conf", conf)])

    def _start(self):
        self.origin = self._daemon("origin", self.home, origin_argv(self.sluice, SERVICES))
        self.origin.wait_port("127.0.0.1", 9001)
        self.systems.append(System("direct", self.direct_addr, 9001))
        port = 8100
        for workers in self.workers:
            for family, start in (("nginx", self._peer_nginx), ("haproxy", self._peer_haproxy)):
                port += 1
                daemon = start(f"{family}-{workers}", port, workers)
                daemon.wait_port(self.front_addr, port)
                self.systems.append(System(family, self.front_addr, port, daemon, workers))
        self._start_sluice("sluice", 8000, True)
        self._start_sluice("sluice-user", 8001, False)

    def _peer_nginx(self, name, port, workers):
        return self._nginx(name, self.host, workers, NGINX_PROXY.format(
            addr=self.front_addr, port=port, origin=self.origin_addr,
            more="".join(NGINX_MORE.format(n=n) for n in range(self.topology.more_routes))))

    def _peer_haproxy(self, name, port, workers):
        tenants = "".join(f"/tenant/{n}/\n" for n in range(self.topology.more_routes))
        more = tenants and HAPROXY_MORE.format(
            file=_write(os.path.join(self.dir, name + ".paths"), tenants))
        conf = HAPROXY.format(addr=self.front_addr, port=port, origin=self.origin_addr,
                              workers=workers, more=more)
        path = _write(os.path.join(self.dir, name + ".cfg"), conf)
        return self._daemon(name, self.host, ["haproxy", "-db", "-q", "-f", path])

    def _start_sluice(self, family, port, kernel):
        topo = self.topology
        pair_clients = topo.pairing
        pair_servers = topo.pairing or not topo.origin_away
        conf = SLUICE_HEAD.format(
            kernel=str(kernel).lower(), pairing=str(pair_clients).lower(),
            server_pairing=str(pair_servers).lower(), addr=self.front_addr, port=port,
            more="".join(SLUICE_MORE.format(n=n) for n in range(topo.more_routes)))
        conf += "".join(SLUICE_CLUSTER.format(name=name, port=p, origin=self.origin_addr)
                        for name, p in SERVICES.items())
        path = _write(os.path.join(self.dir, family + ".yaml"), conf)
        instance = f"{family}-{self.tag}"
        self._instances.append(instance)
        daemon = self._daemon(family, self.host,
                              [self.sluice, "run", "-c", path, "--instance", instance])
        daemon.wait_line("sluice: ready")
        for line in daemon.log().splitlines():
            if line != "sluice: ready":
                print(f"bench: {family}: {line}", flush=True)
        self.systems.append(System(family, self.front_addr, port, daemon, 0, instance))

    def stats(self, system):
        """`sluice stats --json` of a sluice."""
        done = subprocess.run([self.sluice, "stats", "--instance", system.instance, "--json"],
                              capture_output=True, text=True)
        if done.returncode:
            raise BenchError(f"sluice stats: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def verify(self):
        """Every system answers every route as the tutorial says; else its speed says nothing."""
        for system in self.systems:
            with self.client:
                http_ = http.client.HTTPConnection(system.addr, system.port, timeout=10)
                self._verify_one(system, http_)
                http_.close()

    def _verify_one(self, system, http_):
        def get(path, **headers):
            http_.request("GET", path, headers=headers)
            answer = http_.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise BenchError(f"{system.family}: GET {path}: status {answer.status}")
            return body
        for name, size in BIG.items():
            if len(get("/service/1/" + name)) != size:
                raise BenchError(f"{system.family}: GET /service/1/{name}: wrong length")
        if not system.daemon:
            return
        by = [get("/service/1") for _ in range(100)]
        canary = by.count(b"Hello from service1a\n")
        if not 20 <= canary <= 30 or by.count(b"Hello from service1\n") != 100 - canary:
            raise BenchError(f"{system.family}: service1a got {canary} of 100 requests, not 25")
        if get("/service/1", **{"x-canary-version": "service1a"}) != b"Hello from service1a\n" or \
                get("/service/2") != b"Hello from service2\n":
            raise BenchError(f"{system.family}: a route leads elsewhere")

    def close(self):
        for daemon in reversed(self._daemons):
            daemon.stop()
        for instance in self._instances:
            shutil.rmtree(f"{PIN_ROOT}/{instance}", ignore_errors=True)
        for ns in self.namespaces:
            ns.close()
