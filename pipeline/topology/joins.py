"""Two inputs paired by key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.serde import Serde
from pipeline.topology.node import Keyed, Node, StoreSpec
from pipeline.topology.tables import GlobalTable
from pipeline.windows import JoinWindows


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StreamStreamJoin(Node):
    """Pair the records of two streams that have one key and lie within a window.

    `left_outer`, `right_outer`: a record of that side that found no partner until its window closed
    comes out alone.
    """

    left: Keyed
    right: Keyed
    windows: JoinWindows
    joiner: Callable[[Any, Any, Any], Any]
    left_outer: bool
    right_outer: bool
    left_store: StoreSpec
    right_store: StoreSpec
    unmatched_store: StoreSpec | None
    restores_partitioning = True

    @property
    def inputs_by_key(self) -> tuple[Keyed | None, ...]:
        """Both sides by key."""
        return (self.left, self.right)

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """One a side, or one for both if they are one stream; and the records that wait for a partner."""
        sides = (self.left_store,) if self.is_self_join else (self.left_store, self.right_store)
        return (*sides, *filter(None, (self.unmatched_store,)))

    @property
    def is_self_join(self) -> bool:
        """Whether both sides are one stream and share a store: `plan.rewrites.share_self_join_store`."""
        return self.left_store is self.right_store

    @property
    def details(self) -> tuple[str, ...]:
        """Which rows come out alone, and the window."""
        kind = "outer" if self.right_outer else "left" if self.left_outer else "inner"
        return (kind, str(self.windows))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StreamTableJoin(Node):
    """Look up each stream record's key in a table (the second parent).

    `buffer_store`: records wait there until stream time has passed theirs by `grace_ms`; None: they do
    not wait.
    """

    stream: Keyed
    table_key: Serde[Any]
    joiner: Callable[[Any, Any, Any], Any]
    left_outer: bool
    grace_ms: int = 0
    buffer_store: StoreSpec | None = None
    restores_partitioning = True

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The records that wait."""
        return () if self.buffer_store is None else (self.buffer_store,)

    @property
    def inputs_by_key(self) -> tuple[Keyed | None, ...]:
        """The stream by key; the table is already."""
        return (self.stream, None)

    @property
    def details(self) -> tuple[str, ...]:
        """Which rows come out alone, and how long records wait."""
        waits = () if self.buffer_store is None else (f"grace {self.grace_ms} ms",)
        return ("left" if self.left_outer else "inner", *waits)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StreamGlobalJoin(Node):
    """Look up each stream record in a global table, under the key that `key_mapper` makes of it.

    The table is no parent: no record comes from it, and it connects no sub-topologies.
    """

    global_table: GlobalTable
    key_mapper: Callable[[Any, Any], Any]
    joiner: Callable[[Any, Any, Any], Any]
    left_outer: bool

    @property
    def details(self) -> tuple[str, ...]:
        """Which rows come out alone, and the table."""
        return ("left" if self.left_outer else "inner", f"global table {self.global_table.name}")

    @property
    def keeps_null_keys(self) -> bool:
        """A left join emits records without a key, with None for the table's value (KIP-962)."""
        return self.left_outer
