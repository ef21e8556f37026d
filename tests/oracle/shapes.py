"""What flows out of each node of a case: kind, key, value, and what it takes to decode them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from tests.oracle.cases import Node

KeyKind: TypeAlias = Literal["text", "time", "session"]
ValueKind: TypeAlias = Literal["text", "number"]

_START = struct.Struct(">q")
_SESSION = struct.Struct(">qq")


@dataclass(frozen=True)
class Shape:
    """What a node yields.

    Attributes:
        kind: a stream, a table or a global table.
        key: text, or a windowed key as time windows or sessions write it.
        value: text, or the number of a count.
        rekeyed: whether an operator changed the key since the last repartition.
        lanes: the topics that it comes from, each with the repartitions that it went through: two
            flows that share a topic meet in a defined order only if their lanes are equal.
        versioned: a table that knows its past.
        stored: a table with a store of its own.
        final: a windowed table that sends final results only.
    """

    kind: Literal["stream", "table", "global"]
    key: KeyKind = "text"
    value: ValueKind = "text"
    rekeyed: bool = False
    lanes: frozenset[tuple[str, str]] = frozenset()
    versioned: bool = False
    stored: bool = False
    final: bool = False

    @property
    def windowed(self) -> bool:
        """Whether its keys are windowed."""
        return self.key != "text"


#: Of a stream, these keep its key.
_SAME_KEY = {"filter", "filter_not", "peek", "map_values", "flat_map_values"}
#: Of a stream, these change it.
_NEW_KEY = {"map", "flat_map", "select_key"}


def shapes(nodes: Sequence[Node]) -> dict[str, Shape]:
    """Return the shapes of what can be used as an input, by identifier."""
    found: dict[str, Shape] = {}
    for node in nodes:
        if node["op"] == "branch":
            for arm in range(len(node["predicates"]) + bool(node.get("default"))):
                found[f"{node['id']}.{arm}"] = found[node["of"][0]]
        elif node["op"] != "to":
            found[node["id"]] = shape(node, [found[parent] for parent in node.get("of", ())])
    return found


def shape(node: Node, parents: Sequence[Shape]) -> Shape:
    """Return the shape of a node's output, given those of its inputs."""
    op = node["op"]
    if op in {"stream", "table", "global_table"}:
        return _source(node)
    lanes = frozenset(lane for parent in parents for lane in parent.lanes)
    above = parents[0]
    if op in {"aggregate", "cogroup", "table_aggregate"}:
        return _aggregate(node, above, lanes, repartitioned=_repartitions(node, parents))
    if op in {"stream_join", "stream_table_join"}:
        return Shape("stream", above.key, lanes=_through(node, lanes, parents), rekeyed=False)
    if op in {"table_join", "foreign_key_join"}:
        through = _hop(node, lanes) if op == "foreign_key_join" else lanes
        return Shape("table", above.key, lanes=through, **_store(node, always=op == "foreign_key_join"))
    if above.kind == "table":
        return _of_table(node, above)
    return _of_stream(node, parents, lanes)


def _source(node: Node) -> Shape:
    topics = node.get("topics") or [node["topic"]]
    lanes = frozenset((topic, "") for topic in topics)
    if node["op"] == "stream":
        return Shape("stream", lanes=lanes)
    if node["op"] == "global_table":
        return Shape("global", lanes=lanes, stored=True)
    return Shape("table", lanes=lanes, **_store(node, always=True))


def _store(node: Node, *, always: bool) -> dict[str, Any]:
    stored = always or bool(node.get("materialized"))
    return {"stored": stored, "versioned": stored and "history" in node}


def _repartitions(node: Node, parents: Sequence[Shape]) -> bool:
    return "by" in node or any(parent.rekeyed for parent in parents)


def _hop(node: Node, lanes: frozenset[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """Return the lanes after a repartition topic of this node."""
    return frozenset((topic, f"{lane}/{node['id']}") for topic, lane in lanes)


def _through(
    node: Node, lanes: frozenset[tuple[str, str]], parents: Sequence[Shape]
) -> frozenset[tuple[str, str]]:
    return _hop(node, lanes) if any(parent.rekeyed for parent in parents) else lanes


def _aggregate(node: Node, above: Shape, lanes: frozenset[tuple[str, str]], *, repartitioned: bool) -> Shape:
    kinds: dict[str, KeyKind] = {"none": above.key if "by" not in node else "text", "session": "session"}
    fold = node.get("fold", "aggregate")
    return Shape(
        "table",
        kinds.get(node.get("windows", {}).get("kind", "none"), "time"),
        "number" if fold == "count" else above.value if fold == "reduce" else "text",
        lanes=_hop(node, lanes) if repartitioned else lanes,
        stored=True,
        versioned="history" in node,
        final=node.get("emit") == "close",
    )


def _of_table(node: Node, above: Shape) -> Shape:
    op = node["op"]
    if op == "to_stream":
        rekeyed = "fn" in node
        return Shape("stream", "text" if rekeyed else above.key, above.value, rekeyed, above.lanes)
    if op == "suppress":
        return replace(above, stored=False, versioned=False, final=True)
    value = "text" if op == "map_values" else above.value
    kept = _store(node, always=False)
    # A view knows the past of what it is a view of.
    return replace(
        above,
        value=value,
        **kept | {"versioned": kept["versioned"] or (not kept["stored"] and above.versioned)},
    )


def _of_stream(node: Node, parents: Sequence[Shape], lanes: frozenset[tuple[str, str]]) -> Shape:
    op, above = node["op"], parents[0]
    if op == "merge":
        return replace(above, rekeyed=any(parent.rekeyed for parent in parents), lanes=lanes)
    if op == "stream_global_join":
        return replace(above, value="text", lanes=lanes)
    if op == "repartition":
        return replace(above, rekeyed=False, lanes=_hop(node, lanes))
    if op == "to_table":
        through = _through(node, lanes, parents)
        return Shape("table", above.key, above.value, lanes=through, **_store(node, always=True))
    if op in _NEW_KEY or (op == "process" and node["fn"] != "previous-value"):
        value = above.value if op == "select_key" else "text"
        return replace(above, key="text", value=value, rekeyed=True)
    value = above.value if op in {"filter", "filter_not", "peek"} else "text"
    return replace(above, value=value)


def readable(kind: KeyKind, data: bytes | None) -> str:
    """Return a key of an output topic for reading."""
    if data is None:
        return "∅"
    if kind == "time":
        return f"{data[:-8].decode()}@{_START.unpack(data[-8:])[0]}"
    if kind == "session":
        end, start = _SESSION.unpack(data[-16:])
        return f"{data[:-16].decode()}@{start}..{end}"
    return data.decode()


def readable_value(kind: ValueKind, data: bytes | None) -> str:
    """Return a value of an output topic for reading."""
    if data is None:
        return "∅"
    return str(_START.unpack(data)[0]) if kind == "number" else data.decode()
