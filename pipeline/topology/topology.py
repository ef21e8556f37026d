"""Everything that a user declared for one application."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import TopologyError
from pipeline.topology.node import Node
from pipeline.topology.sources import Source


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything declared, parents before children.

    Attributes:
        application_id: prefix of internal topics.
        nodes: the nodes in the order they were declared.
        merge_repartitions: whether repartition topics that are not needed are left out, at the price
            that names of others decide over their own: see `StreamsBuilder`.
    """

    application_id: str
    nodes: tuple[Node, ...]
    merge_repartitions: bool = False

    def validate(self) -> None:
        """Check the whole: each of its parts was checked when it was declared.

        Raises:
            TopologyError: it reads no topic.
        """
        if not any(isinstance(node, Source) for node in self.nodes):
            raise TopologyError(
                f"application {self.application_id!r} reads no topic: declare a stream or a table"
            )
