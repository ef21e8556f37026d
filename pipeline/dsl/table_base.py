"""What every family of a table's operators starts from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pipeline.dsl.elsewhere import OF_A_TABLE, Elsewhere
from pipeline.dsl.graph import Graph
from pipeline.serde import Serde
from pipeline.topology import Node

if TYPE_CHECKING:
    from pipeline.dsl.table import KTable

K = TypeVar("K")
V = TypeVar("V")


class TableBase(Elsewhere, Generic[K, V]):
    """A table's place in the graph, and how its keys and values are encoded.

    Attributes:
        node: the node in the topology that makes it.
        store: where its rows are; None: they are computed from another table's when asked for.
        key_serde: how its keys are encoded; those of a windowed table are `Windowed`.
        value_serde: how its values are encoded; None if an operator changed them and nobody said.
    """

    ELSEWHERE: ClassVar[Mapping[str, str]] = OF_A_TABLE

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

    def _derived(self, node: Node, value: Serde[Any] | None) -> KTable[K, Any]:
        """Return a table with the same keys: of a windowed table, a windowed one."""
        from pipeline.dsl.table import KTable, WindowedKTable  # noqa: PLC0415 - the families make up KTable: a cycle within the DSL

        kind: type[KTable[Any, Any]] = WindowedKTable if isinstance(self, WindowedKTable) else KTable
        return kind(self._graph, node, self.key_serde, value)
