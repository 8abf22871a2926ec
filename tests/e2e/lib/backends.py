# SPDX-License-Identifier: GPL-2.0-only
"""Starts the real servers that stand behind sluice."""
import fcntl
import os
import subprocess

from .data import pattern

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "backends")
SIZES = (0, 1, 100, 1000, 8192, 16384, 65536, 100_000, 1_000_000, 10_000_000)
STATIC_SEEDS = (1, 2)

KINDS = ("nginx", "node", "python", "caddy", "java")

NGINX = """
daemon off;
user root;
worker_processes 1;
error_log stderr warn;
pid {dir}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    default_type application/octet-stream;
    keepalive_timeout 3600s;
    keepalive_requests 100000000;
    client_max_body_size 64m;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    {servers}
}}
"""

NGINX_SERVER = """
    server {{
        listen {listen}:{port} backlog=1024 {flags};
        root {www};
        add_header X-Backend {name} always;
        rewrite ^/service/[^/]+/(.+)$ /$1;
        location / {{ return 200 {name}; }}
        location /bytes/ {{ }}
        location /status/204 {{ return 204; }}
        location /status/304 {{ return 304; }}
        {tune}
        {echo}
    }}
"""

NGINX_ECHO = """
        location ~ ^/(echo|chunked|slow|close|head) {{
            proxy_pass http://unix:{socket};
            proxy_http_version 1.1;
            proxy_hide_header X-Backend;
            proxy_set_header Connection "";
        }}
"""

CADDY = """
{{
    admin off
    auto_https off
    storage file_system {dir}/caddy
    log {{
        output stderr
        level ERROR
    }}
}}
http://:{port} {{
    bind {bind}
    root * {www}
    header X-Backend {name}
    @service path_regexp service ^/service/[^/]+(/.+)$
    rewrite @service {{re.service.1}}
    handle /bytes/* {{
        file_server
    }}
    handle /echo {{
        respond "{{http.request.body}}"
    }}
    handle /status/204 {{
        respond 204
    }}
    handle /status/304 {{
        respond 304
    }}
    handle {{
        respond "{name}"
    }}
}}
"""


def make_www(path):
    """The static files of nginx and Caddy: bytes/SIZE/SEED, as the others make them."""
    for size in SIZES:
        os.makedirs(f"{path}/bytes/{size}", exist_ok=True)
        for seed in STATIC_SEEDS:
            with open(f"{path}/bytes/{size}/{seed}", "wb") as f:
                f.write(pattern(size, seed))


def _bracket(address):
    return f"[{address}]" if ":" in address else address


def _probe(address):
    return {"::": "::1", "0.0.0.0": "127.0.0.1"}.get(address, address)


class Backends:
    """Makes backends for one test; @t starts and ends the processes."""

    def __init__(self, t):
        self._t = t

    def nginx(self, servers, address="127.0.0.1", echo=False, tune=""):
        """
        @servers: {port: name}. @echo: POST /echo and others, by a Python server behind it.
        @tune: directives of the server blocks.
        """
        t = self._t
        where = t.tmpdir("nginx")
        extra = ""
        if echo:
            socket = f"{where}/echo.sock"
            p = t.start(["/usr/bin/python3", f"{HERE}/backend.py", "echo", f"unix:{socket}"])
            t.wait(lambda: os.path.exists(socket) or not p.running(), "echo server's socket")
            extra = NGINX_ECHO.format(socket=socket)
        blocks = [NGINX_SERVER.format(listen=_bracket(address), port=port, name=name, www=t.www,
                                      flags="ipv6only=off" if address == "::" else "", echo=extra,
                                      tune=tune)
                  for port, name in servers.items()]
        conf = t.write("nginx.conf", NGINX.format(dir=where, servers="".join(blocks)))
        p = t.start(["/usr/sbin/nginx", "-c", conf, "-p", where, "-e", "stderr"])
        for port in servers:
            p.wait_port((_probe(address), port))
        return p

    def one(self, kind, name, port, address="127.0.0.1"):
        """A backend of @kind (KINDS) at @address and @port; answers /who with @name."""
        if kind == "nginx":
            return self.nginx({port: name}, address, echo=True)
        t = self._t
        env = dict(os.environ, HOME=t.tmpdir("home"), XDG_DATA_HOME=t.tmpdir("xdg"))
        if kind == "caddy":
            bind = {"::": "::"}.get(address, address)
            conf = t.write("Caddyfile", CADDY.format(dir=t.tmpdir("caddy"), port=port, bind=bind,
                                                     www=t.www, name=name))
            argv = ["/usr/bin/caddy", "run", "--config", conf, "--adapter", "caddyfile"]
        else:
            argv = {
                "python": ["/usr/bin/python3", f"{HERE}/backend.py"],
                "node": ["/usr/bin/node", f"{HERE}/backend.js"],
                "java": ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m",
                         "-Dsun.net.httpserver.maxIdleConnections=1000",
                         "-Dsun.net.httpserver.idleInterval=600",
                         "-Dsun.net.httpserver.nodelay=true", "-cp", self.java_classes(),
                         "Backend"],
            }[kind] + [name, port, address]
        p = t.start(argv, name=kind, env=env)
        p.wait_port((_probe(address), port), seconds=30)
        return p

    def java_classes(self):
        """Compiles Backend.java once a run: whoever comes meanwhile waits for all of its classes."""
        out = f"{self._t.run_dir}/java"
        with open(f"{out}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.exists(out):
                done = subprocess.run(["javac", "-d", f"{out}.new", f"{HERE}/Backend.java"],
                                      capture_output=True, text=True)
                if done.returncode:
                    raise AssertionError(f"javac: {done.stdout}{done.stderr}")
                os.rename(f"{out}.new", out)
        return out
