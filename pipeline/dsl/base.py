"""What every family of a stream's operators starts from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pipeline.dsl.elsewhere import OF_A_STREAM, Elsewhere
from pipeline.dsl.graph import Graph
from pipeline.serde import Serde
from pipeline.topology import Node

if TYPE_CHECKING:
    from pipeline.dsl.stream import KStream

K = TypeVar("K")
V = TypeVar("V")


class StreamBase(Elsewhere, Generic[K, V]):
    """A place in the graph, and how its keys and values are encoded.

    Attributes:
        node: the node in the topology whose output this is.
        key_serde: how its keys are encoded; None if an operator changed them and nobody said.
        value_serde: how its values are encoded, likewise.
    """

    ELSEWHERE: ClassVar[Mapping[str, str]] = OF_A_STREAM

    def __init__(self, graph: Graph, node: Node, key: Serde[Any] | None, value: Serde[Any] | None) -> None:
        self._graph = graph
        self.node = node
        self.key_serde = key
        self.value_serde = value

    def _then(self, type_: type[Node], kind: str, **fields: Any) -> Node:
        return self._graph.add(type_, kind, parents=(self.node,), **fields)

    def _stream(self, node: Node, key: Serde[Any] | None, value: Serde[Any] | None) -> KStream[Any, Any]:
        from pipeline.dsl.stream import KStream  # noqa: PLC0415 - the families make up KStream: a cycle within the DSL

        return KStream(self._graph, node, key, value)
