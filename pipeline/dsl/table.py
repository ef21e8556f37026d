"""KTable: the latest value of each key, as the DSL sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pipeline.dsl.graph import Graph
from pipeline.record import Windowed
from pipeline.serde import Serde
from pipeline.topology import Node, ToStream

if TYPE_CHECKING:
    from pipeline.dsl.stream import KStream

K = TypeVar("K")
V = TypeVar("V")


class KTable(Generic[K, V]):
    """A table kept in a state store, changelogged, queryable over HTTP by its name.

    Attributes:
        node: the node in the topology that makes it.
        store: where its rows are; None: they are computed from another table's when asked for.
        key_serde: how its keys are encoded; those of a windowed table are `Windowed`.
        value_serde: how its values are encoded; None if an operator changed them and nobody said.
    """

    def __init__(self, graph: Graph, node: Node, key: Serde[Any], value: Serde[Any] | None) -> None:
        self._graph = graph
        self.node = node
        self.store = node.table
        self.key_serde = key
        self.value_serde = value

    @property
    def name(self) -> str:
        """Name of its store, if it has one; else of its operator."""
        return self.node.name if self.store is None else self.store.name

    def to_stream(self) -> KStream[K, V]:
        """Return the table's updates as a stream; a deletion is a record with value None.

        The key of a windowed table is a `Windowed`.
        """
        from pipeline.dsl.stream import KStream  # noqa: PLC0415 - KStream.join takes a KTable: a cycle within the DSL

        node = self._graph.add(ToStream, "to-stream", parents=(self.node,))
        return KStream(self._graph, node, self.key_serde, self.value_serde)


class WindowedKTable(KTable[Windowed[K], V]):
    """A table by key and window."""
