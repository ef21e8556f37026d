"""What our DSL does not have yet: cases with it are not made. Empty when everything has landed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from tests.oracle.cases import Node
from tests.oracle.shapes import Shape, shapes

#: Of a node and the shape of its first input, if it has one.
Test: TypeAlias = Callable[[Node, Shape | None], bool]


def _windows(*kinds: str) -> Test:
    return lambda node, above: node.get("windows", {}).get("kind") in kinds


def _op(*ops: str) -> Test:
    return lambda node, above: node["op"] in ops


def _of_table(*ops: str) -> Test:
    return lambda node, above: above is not None and above.kind == "table" and node["op"] in ops


MISSING: Final[Mapping[str, Test]] = {
    "windows": _windows("hopping", "sliding", "session", "unlimited"),
    "emit on close": lambda node, above: node.get("emit") == "close",
    "cogroup": _op("cogroup"),
    "flat_map, filter_not": _op("flat_map", "filter_not"),
    "aggregates and joins of tables": _op("table_aggregate", "table_join", "foreign_key_join"),
    "to_table": _op("to_table"),
    "suppress": _op("suppress"),
    "views": _of_table("filter", "filter_not", "map_values"),
    "global tables": _op("global_table", "stream_global_join"),
    "versioned tables": lambda node, above: "history" in node,
    "stream-table joins with grace": lambda node, above: (
        node["op"] == "stream_table_join" and "grace" in node
    ),
    "to_stream with another key": lambda node, above: node["op"] == "to_stream" and "fn" in node,
    "caching off": lambda node, above: node.get("caching") is False,
    "null aggregates": lambda node, above: "fragile" in {node.get("fn"), *node.get("fns", ())},
    "null keys through explicit repartitions": _op("repartition"),
    "process_values": lambda node, above: node.get("fn") == "previous-value",
}


def supported(nodes: Sequence[Node]) -> bool:
    """Return whether our DSL can declare the nodes."""
    known = shapes(nodes)
    return not any(
        missing(node, known[node["of"][0]] if "of" in node else None)
        for node in nodes
        for missing in MISSING.values()
    )
