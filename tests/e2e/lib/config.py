# SPDX-License-Identifier: GPL-2.0-only
"""Writes Envoy v3 configs for the tests."""

HTTP = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3." \
       "HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


def _scalar(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (dict, list)):  # empty
        return str(value)
    text = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def dump(value, depth=0):
    """YAML in block style of dicts, lists and scalars."""
    pad = "  " * depth
    lines = []
    if isinstance(value, dict):
        for key, item in value.items():
            name = _scalar(key) if key.startswith("@") else key
            if isinstance(item, (dict, list)) and item:
                lines += [f"{pad}{name}:", dump(item, depth + 1)]
            else:
                lines.append(f"{pad}{name}: {_scalar(item)}")
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, (dict, list)) and item:
                text = dump(item, depth + 1)
                lines.append(f"{pad}- {text.lstrip()}")
            else:
                lines.append(f"{pad}- {_scalar(item)}")
    return "\n".join(lines)


def route(prefix=None, path=None, to=None, weights=None, name=None, headers=None, direct=None):
    """One route: @to a cluster, or @weights {cluster: weight}, or @direct (status, body)."""
    r = {}
    if name:
        r["name"] = name
    r["match"] = {"path": path} if path else {"prefix": prefix or "/"}
    if headers:
        r["match"]["headers"] = headers
    if direct:
        r["direct_response"] = {"status": direct[0]}
        if direct[1] is not None:
            r["direct_response"]["body"] = {"inline_string": direct[1]}
    elif weights:
        r["route"] = {"weighted_clusters": {"clusters": [{"name": n, "weight": w}
                                                         for n, w in weights.items()]}}
    else:
        r["route"] = {"cluster": to}
    return r


def header_exact(name, value):
    return {"name": name, "string_match": {"exact": value}}


def cluster(name, endpoints, connect_timeout="0.25s"):
    return {
        "name": name,
        "connect_timeout": connect_timeout,
        "type": "STATIC",
        "lb_policy": "ROUND_ROBIN",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [
                {"endpoint": {"address": _address(*where)}} for where in endpoints]}],
        },
    }


def _address(host, port):
    return {"socket_address": {"address": host, "port_value": port}}


def listener(name, where, routes, domains=("*",)):
    return {
        "name": name,
        "address": _address(*where),
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": HTTP,
                "stat_prefix": name,
                "route_config": {"name": "routes", "virtual_hosts": [
                    {"name": "all", "domains": list(domains), "routes": routes}]},
                "http_filters": [{"name": "envoy.filters.http.router",
                                  "typed_config": {"@type": ROUTER}}],
            },
        }]}],
    }


def config(listen, clusters, routes, sluice=None, connect_timeout="0.25s"):
    """
    @listen: (host, port) or a list of them; @clusters: {name: [(host, port), ...]};
    @routes: list of route(); @sluice: our own settings.
    """
    if isinstance(listen, tuple):
        listen = [listen]
    tree = {"static_resources": {
        "listeners": [listener(f"front{i}" if i else "front", where, routes)
                      for i, where in enumerate(listen)],
        "clusters": [cluster(n, e, connect_timeout) for n, e in clusters.items()],
    }}
    if sluice:
        tree["sluice"] = sluice
    return dump(tree) + "\n"


# The four door combinations of the kernel path, and the user path alone.
DOORS = {
    "both": {},
    "remote-client": {"colocated_clients": False},
    "remote-server": {"colocated_servers": False},
    "remote-both": {"colocated_clients": False, "colocated_servers": False},
    "user": {"kernel_path": False},
}
