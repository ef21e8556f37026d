"""A case: a topology in a declarative form and timed inputs, that Headrace and Kafka Streams both run.

A case is JSON. `nodes` are operators in the order of their declaration:

    {"id": "n1", "op": "stream", "topics": ["left"]}
    {"id": "n2", "op": "aggregate", "of": ["n1"], "fold": "count", "by": "first",
     "windows": {"kind": "tumbling", "size": 10, "grace": 5}, "emit": "close", "caching": false}
    {"id": "n3", "op": "to_stream", "of": ["n2"]}
    {"id": "n4", "op": "to", "of": ["n3"], "topic": "out"}

`inputs` are `[topic, key, value, timestamp]`, where key and value are strings or null, or `[ms]`, by which
the wall clock advances; each record carries a header with the number of its input. Durations and times are
in ms. `declare.py` and `java/Declarations.java` say what each operator takes; users' functions are known by
name (`functions.py`, `java/Functions.java`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

Node: TypeAlias = dict[str, Any]
Input: TypeAlias = list[Any]


@dataclass(frozen=True)
class Case:
    """One topology and what happens to it.

    Attributes:
        family: which generator made it.
        nodes: operators, each after those it takes records from.
        inputs: records and advances of the wall clock.
        in_memory: whether stores are kept in memory, else in RocksDB, on both sides.
    """

    family: str
    nodes: Sequence[Node]
    inputs: Sequence[Input]
    in_memory: bool = True

    def json(self) -> dict[str, Any]:
        """Return it as what JSON can hold."""
        return {
            "family": self.family,
            "in_memory": self.in_memory,
            "nodes": list(self.nodes),
            "inputs": list(self.inputs),
        }

    def text(self) -> str:
        """Return it as JSON, one node and one input a line."""
        nodes = ",\n".join(f"  {json.dumps(node)}" for node in self.nodes)
        inputs = ",\n".join(f"  {json.dumps(record)}" for record in self.inputs)
        head = f'"family": {json.dumps(self.family)}, "in_memory": {json.dumps(self.in_memory)}'
        return f'{{{head},\n"nodes": [\n{nodes}\n],\n"inputs": [\n{inputs}\n]}}\n'

    def with_inputs(self, inputs: Sequence[Input]) -> Case:
        """Return it with other inputs."""
        return replace(self, inputs=inputs)

    def with_nodes(self, nodes: Sequence[Node]) -> Case:
        """Return it with other nodes."""
        return replace(self, nodes=nodes)

    def sinks(self) -> list[str]:
        """Return the topics it writes to, sorted."""
        sinks = [node for node in self.nodes if node["op"] == "to"]
        return sorted({topic for sink in sinks for topic in written_by(sink)})

    def sources(self) -> list[str]:
        """Return the topics it reads, sorted."""
        return sorted({topic for node in self.nodes for topic in topics_of(node)})


def topics_of(node: Node) -> list[str]:
    """Return the topics that a source reads, none for other nodes."""
    if node["op"] == "stream":
        return list(node["topics"])
    return [node["topic"]] if node["op"] in {"table", "global_table"} else []


def written_by(sink: Node) -> list[str]:
    """Return the topics that a sink writes to: one, or two that a predicate chooses between."""
    topic = sink["topic"]
    return [f"{topic}-yes", f"{topic}-no"] if "by" in sink else [topic]


def load(path: Path) -> Case:
    """Read a case from a file."""
    read = json.loads(path.read_text(encoding="utf-8"))
    return Case(read["family"], read["nodes"], read["inputs"], read.get("in_memory", True))


class Output(NamedTuple):
    """A record that came out, as bytes; `headers` are the values of its headers, one after the other."""

    topic: str
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: str = ""


#: A row of a store: its key, and of windows start and end, then value and timestamp.
Row: TypeAlias = tuple[Any, ...]


@dataclass
class Result:
    """What one side did.

    Attributes:
        outputs: what came out after each input, up to the one that failed.
        stores: what the stores hold at the end, by name.
        error: what stopped it, None if nothing did.
    """

    outputs: list[list[Output]] = field(default_factory=list)
    stores: dict[str, list[Row]] = field(default_factory=dict)
    error: str | None = None

    def records(self) -> Iterator[tuple[int, Output]]:
        """Iterate everything that came out, with the number of the input."""
        for number, outputs in enumerate(self.outputs):
            for output in outputs:
                yield number, output
