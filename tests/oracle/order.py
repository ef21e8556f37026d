"""Which topologies depend on an order that nobody defines: that of different keys in one flush of a cache.

A cache hands on, at a commit, the last update of each key. Kafka Streams' does so in the order of the last
puts, Headrace's in the order of the first; of windows, by window. It is seen only if one record made several
updates, and if something after the cache brings keys together or goes by time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tests.oracle.cases import Node
from tests.oracle.shapes import shapes

#: What may make several records of one, or of nothing but time.
_SEVERAL: Final = {"flat_map", "flat_map_values", "stream_join", "suppress", "process"}
_TABLES: Final = {"aggregate", "cogroup", "table_aggregate", "to_table", "foreign_key_join"}
#: What brings different keys together.
_GATHERS: Final = {"select_key", "map", "flat_map", "table_aggregate"}


def defined(nodes: Sequence[Node]) -> bool:
    """Return whether what comes out does not depend on the order of keys in a flush."""
    known = shapes(nodes)
    several: set[str] = set()
    shuffled: set[str] = set()
    for node in nodes:
        name, above = node["id"], {parent.partition(".")[0] for parent in node.get("of", ())}
        if above & shuffled:
            if _minds(node):
                return False
            shuffled.add(name)
        hops = (
            "by" in node
            or node["op"] == "repartition"
            or any(known[one].rekeyed for one in node.get("of", ()))
        )
        in_one_commit = bool(above & several) and not (
            hops and node["op"] in {*_TABLES, "repartition", "stream_join"}
        )
        if in_one_commit and _cached(node):
            shuffled.add(name)
        if in_one_commit or _makes_several(node):
            several.add(name)
    return True


def _minds(node: Node) -> bool:
    gathers = node["op"] in _GATHERS or "by" in node or (node["op"] == "to_stream" and "fn" in node)
    timed = (
        "windows" in node
        or "history" in node
        or node["op"] in {"stream_join", "suppress", "stream_table_join"}
    )
    return gathers or timed


def _cached(node: Node) -> bool:
    is_table = node["op"] in _TABLES or bool(node.get("materialized"))
    return (
        is_table and bool(node.get("caching", True)) and "history" not in node and node.get("emit") != "close"
    )


def _makes_several(node: Node) -> bool:
    kind = node.get("windows", {}).get("kind", "none")
    windows = kind not in {"none", "tumbling", "unlimited"} or node.get("emit") == "close"
    return node["op"] in _SEVERAL or windows or (node["op"] == "stream_table_join" and "grace" in node)
