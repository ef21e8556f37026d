"""KTable: the latest value of each key, as the DSL sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pipeline.dsl.graph import Graph
from pipeline.record import Windowed
from pipeline.serde import Serde, TimeWindowedSerde
from pipeline.topology import Node, StoreSpec, ToStream

if TYPE_CHECKING:
    from pipeline.dsl.stream import KStream

K = TypeVar("K")
V = TypeVar("V")


class KTable(Generic[K, V]):
    """A table kept in a state store, changelogged, queryable over HTTP by its name.

    Attributes:
        node: the node in the topology that keeps it.
        store: its store.
    """

    def __init__(self, graph: Graph, node: Node, store: StoreSpec) -> None:
        self._graph = graph
        self.node = node
        self.store = store

    @property
    def name(self) -> str:
        """Name of the store."""
        return self.store.name

    def to_stream(self) -> KStream[K, V]:
        """Return the table's updates as a stream; a deletion is a record with value None.

        The key of a windowed table is a `Windowed`.
        """
        from pipeline.dsl.stream import KStream  # noqa: PLC0415 - KStream.join takes a KTable: a cycle within the DSL

        node = self._graph.add(ToStream, "to-stream", parents=(self.node,))
        return KStream(self._graph, node, self._key_serde(), self.store.value)

    def _key_serde(self) -> Serde[Any]:
        if self.store.kind == "window":
            return TimeWindowedSerde(self.store.key, self.store.window_size_ms)
        return self.store.key


class WindowedKTable(KTable[Windowed[K], V]):
    """A table by key and window."""
