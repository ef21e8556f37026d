"""Tables of topics and of streams, and what is made of tables."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.topology.node import Node, StoreSpec
from pipeline.topology.streams import Source


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TableSource(Source):
    """A topic read as a table: the last value by key."""

    store: StoreSpec

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The table itself."""
        return (self.store,)

    @property
    def table(self) -> StoreSpec | None:
        """The table itself."""
        return self.store


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ToStream(Node):
    """A table's updates as a stream."""
