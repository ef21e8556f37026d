"""Everything that a user declared for one application."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.errors import TopologyError
from pipeline.topology.declaration import check_topic_name
from pipeline.topology.node import Node
from pipeline.topology.streams import Source


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything declared, parents before children.

    Attributes:
        application_id: prefix of internal topics.
        nodes: the nodes in the order they were declared.
    """

    application_id: str
    nodes: tuple[Node, ...]

    def validate(self) -> None:
        """Check what can be checked without a broker.

        Raises:
            TopologyError: nothing to read; a store name or display name used twice.
        """
        if not any(isinstance(node, Source) for node in self.nodes):
            raise TopologyError(
                f"application {self.application_id!r} reads no topic: declare a stream or a table"
            )
        _unique("node", ((node.name, node) for node in self.nodes))
        _unique("store", ((store.name, node) for node in self.nodes for store in node.stores))
        for node in self.nodes:
            for store in node.stores:
                check_topic_name(store.name, f"{node}: store name")


def _unique(what: str, named: Iterable[tuple[str, Node]]) -> None:
    seen: dict[str, Node] = {}
    for name, node in named:
        if name in seen:
            raise TopologyError(f"{what} name {name!r} is used twice: by {seen[name]} and by {node}")
        seen[name] = node
