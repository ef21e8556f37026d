"""Which topologies depend on an order that nobody defines: that of different keys in one flush of a cache.

A cache hands on, at a commit, the last update of each key. Kafka Streams' does so in the order of the last
puts, Headrace's in the order of the first; of windows, by window. It is seen only if one record made several
updates, and if something after the cache brings keys together or goes by time.

And which topologies show what Kafka Streams' joins by foreign key lose: a row that leaves its foreign key
and changes again before that is answered is not taken back, because the answer is taken for a stale one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tests.oracle.cases import Node
from tests.oracle.shapes import Shape, shapes

#: What may make several records of one, or of nothing but time.
_SEVERAL: Final = {"flat_map", "flat_map_values", "stream_join", "suppress", "process"}
_TABLES: Final = {"aggregate", "cogroup", "table_aggregate", "to_table", "foreign_key_join"}
#: What brings different keys together.
_GATHERS: Final = {"select_key", "map", "flat_map", "table_aggregate"}


def defined(nodes: Sequence[Node]) -> bool:
    """Return whether what comes out depends neither on the order of a flush, nor on such an answer."""
    known = shapes(nodes)
    several: set[str] = set()
    shuffled: set[str] = set()
    #: What may send several records for one, through repartition topics too.
    bursts: set[str] = set()
    for node in nodes:
        name, inputs = node["id"], node.get("of", ())
        if any(_node(one) in shuffled for one in inputs):
            if _minds(node):
                return False
            shuffled.add(name)
        at_once = any(_node(one) in several and not _hops(node, known[one]) for one in inputs)
        if node["op"] == "foreign_key_join" and _node(inputs[0]) in bursts:
            return False
        if at_once and _cached(node):
            shuffled.add(name)
        if at_once or _makes_several(node):
            several.add(name)
        follows = any(_node(one) in bursts for one in inputs)
        if follows or _makes_several(node) or node["op"] == "table_aggregate":
            bursts.add(name)
    return True


def _node(flow: str) -> str:
    return flow.partition(".")[0]


def _hops(node: Node, above: Shape) -> bool:
    """Whether what a node takes comes through a repartition topic: from there, each record is a commit."""
    by_key = node["op"] in {*_TABLES, "stream_join", "stream_table_join"}
    return node["op"] == "repartition" or (by_key and ("by" in node or above.rekeyed))


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
