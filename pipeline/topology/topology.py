"""Everything that a user declared for one application."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.errors import TopologyError
from pipeline.topology.node import Node
from pipeline.topology.sources import Source


@dataclass(frozen=True, slots=True)
class DeclaredTopic:
    """A topic that a user declared together with how it is made.

    Attributes:
        name: its name.
        partitions: how many.
        config: settings under Kafka's names, and `replication.factor`.
    """

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything declared, parents before children.

    Attributes:
        application_id: prefix of internal topics.
        nodes: the nodes in the order they were declared.
        merge_repartitions: whether repartition topics that are not needed are left out, at the price
            that names of others decide over their own: see `StreamsBuilder`.
        topics: what is made at the start, unless it exists.
        beside: whether its process has other things to do than to read topics.
    """

    application_id: str
    nodes: tuple[Node, ...]
    merge_repartitions: bool = False
    topics: tuple[DeclaredTopic, ...] = ()
    beside: bool = False

    def validate(self) -> None:
        """Check the whole: each of its parts was checked when it was declared.

        Raises:
            TopologyError: it reads no topic, and has nothing else to do.
        """
        if not self.beside and not any(isinstance(node, Source) for node in self.nodes):
            raise TopologyError(
                f"application {self.application_id!r} reads no topic, and has no timer, task, service, page "
                "or command either: declare a stream or a table, or import the module that does"
            )
