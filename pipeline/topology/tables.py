"""Tables of topics and of streams, and what is made of tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.serde import Serde
from pipeline.topology.node import Keyed, Node, StoreSpec, TableNode
from pipeline.topology.sources import Source


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
class ToTable(TableNode):
    """A stream read as a table: the last value by key, null deletes."""

    keyed: Keyed
    restores_partitioning = True

    @property
    def inputs_by_key(self) -> tuple[Keyed | None, ...]:
        """A row is its key's."""
        return (self.keyed,)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class GlobalTable(TableSource):
    """A topic that every worker reads whole, as a table. It belongs to no sub-topology.

    Attributes:
        partitions: of a table that agents write to: its topic is made with so many; None: others write it.
    """

    partitions: int | None = None

    @property
    def written(self) -> bool:
        """Whether agents write to it."""
        return self.partitions is not None

    @property
    def details(self) -> tuple[str, ...]:
        """What it reads, and who writes it."""
        # `super()` is no good in a class with slots.
        return (*Source.details.__get__(self), *(("written by agents",) if self.written else ()))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ToStream(Node):
    """A table's updates as a stream."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TableFilter(TableNode):
    """The rows for which the predicate holds; `negated`: those for which it does not."""

    predicate: Callable[[Any, Any], bool]
    negated: bool
    row_by_row = True

    @property
    def wants_old_values(self) -> tuple[bool, ...]:
        """A row that neither was there nor is now is not told of (rule a6.3)."""
        return (True,)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TableMapValues(TableNode):
    """The rows with other values."""

    mapper: Callable[[Any, Any], Any]
    row_by_row = True


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TableTableJoin(TableNode):
    """The rows of two tables that have one key.

    `left_outer`: those of the left table, too, that have none in the right one; `right_outer`: and the
    other way round.
    """

    joiner: Callable[[Any, Any, Any], Any]
    left_outer: bool
    right_outer: bool
    left_key: Serde[Any]
    right_key: Serde[Any]

    @property
    def copartitioned(self) -> bool:
        """Rows of one key must meet."""
        return True

    @property
    def wants_old_values(self) -> tuple[bool, ...]:
        """A deletion of what was not there is not told of, where the other side can be missing."""
        return (self.left_outer, self.right_outer)

    @property
    def joins_one_table(self) -> bool:
        """Whether a change of one table can reach both sides."""
        left, right = (_tables_above(parent) for parent in self.parents)
        return not left.isdisjoint(right)

    @property
    def details(self) -> tuple[str, ...]:
        """Which rows come out alone."""
        return ("outer" if self.right_outer else "left" if self.left_outer else "inner",)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class GroupTable(Node):
    """A table's changes under the keys of its groups; what follows adds and subtracts them.

    Attributes:
        mapper: `(key, value)` to the row's group and what is added to it.
        key: serde of the groups' keys.
    """

    mapper: Callable[[Any, Any], tuple[Any, Any]]
    key: Serde[Any]
    changes_key = True

    @property
    def wants_old_values(self) -> tuple[bool, ...]:
        """What was added is subtracted."""
        return (True,)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TableAggregate(TableNode):
    """Fold the rows of each group into one: subtract what is no longer there, add what is."""

    grouped: Keyed
    store: StoreSpec
    initializer: Callable[[], Any]
    adder: Callable[[Any, Any, Any], Any]
    subtractor: Callable[[Any, Any, Any], Any]
    restores_partitioning = True

    @property
    def inputs_by_key(self) -> tuple[Keyed | None, ...]:
        """Rows of one group come from anywhere: always through a topic."""
        return (self.grouped,)


def _tables_above(node: Node) -> set[Node]:
    """Return the tables with stores that a table is made of, itself included."""
    seen: set[Node] = set()
    open_nodes = [node]
    while open_nodes:
        upstream = open_nodes.pop()
        if upstream not in seen:
            seen.add(upstream)
            open_nodes += upstream.parents
    return {upstream for upstream in seen if upstream.table is not None}
