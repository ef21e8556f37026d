"""Building a random topology node by node, with what every generator needs."""

from __future__ import annotations

from random import Random
from typing import Any, Final, TypeVar

from tests.oracle.cases import Node
from tests.oracle.shapes import Shape, shape

T = TypeVar("T")

PREDICATES: Final = ("odd", "has-a", "key-odd")
MAPPERS: Final = ("upper", "tag", "keyed", "nullify")
SELECTORS: Final = ("first", "first", "key-first", "none-if-odd", "same")
JOINERS: Final = ("both", "both", "keyed", "picky")
TIMESTAMPS: Final = ("digits", "later", "partition-time")
TABLE_JOINERS: Final = ("both", "both", "picky")


class Maker:
    """A topology in the making.

    Args:
        random: where chance comes from.

    Attributes:
        nodes: the nodes so far.
        scale: what windows are made of, in ms: the inputs' times are of the same order.
    """

    def __init__(self, random: Random) -> None:
        self.random = random
        self.nodes: list[Node] = []
        self.scale: int = random.choice([4, 10, 10, 20])
        self._shapes: dict[str, Shape] = {}
        self._sources: dict[str, str] = {}
        self._sinks = 0

    def add(self, op: str, *of: str, **fields: Any) -> str:
        """Add a node and return its identifier."""
        name = f"n{len(self.nodes) + 1}"
        node: Node = {"id": name, "op": op}
        if of:
            node["of"] = list(of)
        node |= fields
        self.nodes.append(node)
        if op == "branch":
            for arm in range(len(node["predicates"]) + bool(node.get("default"))):
                self._shapes[f"{name}.{arm}"] = self._shapes[of[0]]
        elif op != "to":
            self._shapes[name] = shape(node, [self._shapes[parent] for parent in of])
        return name

    def shape(self, name: str) -> Shape:
        """Return what a node yields."""
        return self._shapes[name]

    def has(self, name: str) -> bool:
        """Return whether something can be taken from there."""
        return name in self._shapes

    def chance(self, probability: float) -> bool:
        """Return True as often as asked."""
        return self.random.random() < probability

    def pick(self, *options: T) -> T:
        """Return one of the options."""
        return self.random.choice(options)

    def span(self) -> int:
        """Return a duration that windows are made of."""
        return self.pick(self.scale, self.scale, self.scale // 2, self.scale + 1, 2 * self.scale)

    def grace(self) -> int:
        """Return a grace: often none, sometimes more than a window."""
        return self.pick(0, 0, 1, self.scale // 2, self.scale, 3 * self.scale)

    # Sources.

    def source(self, topic: str) -> str:
        """Return the stream of a topic, declared once."""
        if topic not in self._sources:
            several = [topic, f"{topic}-too"] if self.chance(0.07) else [topic]
            when = {"timestamp": self.pick(*TIMESTAMPS)} if self.chance(0.07) else {}
            self._sources[topic] = self.add("stream", topics=several, **when)
        return self._sources[topic]

    def stream(self, topic: str, *, steps: float = 0.3) -> str:
        """Return a stream of a topic, now and then through operators without state."""
        stream = self.source(topic)
        while self.chance(steps):
            stream = self.step(stream)
        return stream

    def table(self, topic: str, **fields: Any) -> str:
        """Return a table of a topic."""
        return self.add("table", topic=topic, **(self.store() | fields))

    def versioned(self, topic: str, history: int | None = None) -> str:
        """Return a versioned table of a topic."""
        long = self.pick(1, self.scale, 5 * self.scale, 1000)
        return self.add("table", topic=topic, history=long if history is None else history)

    def store(self) -> Node:
        """Return options of a store; mostly none."""
        options: Node = {}
        if self.chance(0.4):
            options["caching"] = False
        if self.chance(0.1):
            options["logging"] = False
        return options

    def optional_store(self) -> Node:
        """Return options of a table that is a view as often as not."""
        return {"materialized": True, **self.store()} if self.chance(0.5) else {}

    # One step further.

    def step(self, stream: str) -> str:
        """Return a stream after one operator without state; its key stays text, and its value."""
        op = self.pick(
            "filter",
            "filter_not",
            "map_values",
            "flat_map_values",
            "select_key",
            "map",
            "flat_map",
            "peek",
            "repartition",
        )
        if op in {"filter", "filter_not"}:
            return self.add(op, stream, fn=self.pick(*PREDICATES))
        if op == "map_values":
            return self.add(op, stream, fn=self.pick(*MAPPERS))
        if op == "flat_map_values":
            return self.add(op, stream, fn=self.pick("twice", "if-odd"))
        if op in {"select_key", "map", "flat_map"}:
            return self.add(op, stream, fn=self.pick(*SELECTORS))
        return self.add(op, stream)

    def table_step(self, table: str) -> str:
        """Return a table after a filter or a mapper, with a store of its own or as a view."""
        op = self.pick("filter", "filter_not", "map_values")
        functions = MAPPERS if op == "map_values" else PREDICATES
        return self.add(op, table, fn=self.pick(*functions), **self.optional_store())

    def meet(self, left: str, right: str) -> bool:
        """Return whether two flows meet in an order that is defined.

        What comes from one topic by two ways, one of them through a repartition topic, does not.
        """
        ours, theirs = self.shape(left).lanes, self.shape(right).lanes
        shared = {topic for topic, _ in ours} & {topic for topic, _ in theirs}
        return all(
            {lane for topic, lane in ours if topic == one} == {lane for topic, lane in theirs if topic == one}
            for one in shared
        ) and not (shared and (self.shape(left).rekeyed or self.shape(right).rekeyed))

    # Sinks.

    def sink(self, flow: str) -> None:
        """Write a stream, or the updates of a table, to a topic of its own."""
        stream = self.add("to_stream", flow) if self.shape(flow).kind == "table" else flow
        self._sinks += 1
        chosen = {"by": self.pick(*PREDICATES)} if self.chance(0.08) else {}
        self.add("to", stream, topic=f"out-{self._sinks}", **chosen)
