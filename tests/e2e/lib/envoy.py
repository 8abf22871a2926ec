# SPDX-License-Identifier: GPL-2.0-only
"""Configs with one listener and one cluster, for tests of what can be set at each."""
from .config import DOORS, cluster, dump, listener, route

FRONT = ("127.0.0.1", 8000)
BACK = ("127.0.0.1", 9001)


def conf(door, routes=None, hcm=None, back=None, sluice=None, root=None):
    """
    @door: of DOORS; @hcm: keys of the connection manager, @back: of the cluster "one", @sluice: of
    our own section, @root: of the file.
    """
    front = listener("front", FRONT, routes or [route(to="one")])
    front["filter_chains"][0]["filters"][0]["typed_config"].update(hcm or {})
    tree = {"static_resources": {"listeners": [front],
                                 "clusters": [{**cluster("one", [BACK]), **(back or {})}]}}
    ours = {**DOORS[door], **(sluice or {})}
    if ours:
        tree["sluice"] = ours
    return dump({**tree, **(root or {})}) + "\n"


def limits(s, cluster_name=None):
    """{counter: times} of limits that were reached; of a cluster, or of the listeners."""
    tree = s.stats().clusters[cluster_name] if cluster_name else s.stats().tree
    return {name: n for name, n in tree["limits"].items() if n}
