"""What every node has: a name, parents, stores, and what it needs of its inputs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pipeline.serde import Serde
from pipeline.windows import FOREVER_MS


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """A state store to open for every task of a sub-topology.

    Attributes:
        name: the user's name for it; names the changelog `<app>-<name>-changelog`.
        kind: `key-value`; `window` (keys within windows of one size); `session` (keys within windows
            of any length); `versioned` (key-value with the history of each key).
        key: serde of the key (of the key within its window).
        value: serde of the value.
        retention_ms: window and session stores: how long a window can be read; versioned stores: how
            far back a key's history goes.
        window_size_ms: window stores only.
        retain_duplicates: window stores only: keep every put, as joins need.
        ordered: key-value stores only: the cache is kept in key order, for operators that scan often.
        queryable: whether it is shown over HTTP.
        caching: whether updates are forwarded at commit, the last one of each key; else each at once.
        logged: whether it has a changelog; without one, it is lost with the worker's data folder.
        source_is_log: whether, without a changelog, it is restored from the topic of its table.
        in_memory: whether it is kept in memory instead of in RocksDB.
    """

    name: str
    kind: Literal["key-value", "window", "session", "versioned"]
    key: Serde[Any]
    value: Serde[Any]
    retention_ms: int = 0
    window_size_ms: int = 0
    retain_duplicates: bool = False
    ordered: bool = False
    queryable: bool = True
    caching: bool = True
    logged: bool = True
    source_is_log: bool = False
    in_memory: bool = False

    def is_like(self, other: StoreSpec) -> bool:
        """Whether both were declared alike: one store can stand for both."""
        serdes = (self.key.name, self.value.name) == (other.key.name, other.value.name)
        return serdes and dataclasses.replace(self, key=other.key, value=other.value) == other

    @property
    def details(self) -> tuple[str, ...]:
        """What `describe` and the drawn graph say of it; of options, only what was asked for."""
        asked = (
            (f"retention {self.retention_ms} ms", 0 < self.retention_ms < FOREVER_MS),
            ("kept for ever", self.retention_ms == FOREVER_MS),
            ("in memory", self.in_memory),
            ("each update at once", self.queryable and not self.caching),
            ("no changelog", not self.logged and not self.source_is_log),
            ("restored from its topic", self.source_is_log),
        )
        return (
            self.kind,
            f"{self.key.name} to {self.value.name}",
            *(text for text, holds in asked if holds),
        )


@dataclass(frozen=True, slots=True)
class Keyed:
    """An input that must be partitioned by its key; what a repartition topic for it needs.

    Attributes:
        name: the user's name, for `<app>-<name>-repartition`; None if none was given.
        key: serde of the key.
        value: serde of the value; None if unknown, which matters only if a topic is needed.
        keep_null_keys: whether a record without a key passes (left joins emit it unmatched).
    """

    name: str | None
    key: Serde[Any]
    value: Serde[Any] | None
    keep_null_keys: bool = False


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Node:
    """One declared step. Two nodes are the same only if they are the same object.

    Attributes:
        name: display name, unique in the topology.
        parents: the nodes whose output it takes, in the order of its inputs.
        site: file and line of the user's code that declared it.
    """

    name: str
    parents: tuple[Node, ...] = ()
    site: str = "?"

    changes_key: ClassVar[bool] = False
    #: Output is partitioned by key again, whatever happened upstream.
    restores_partitioning: ClassVar[bool] = False
    #: Another node that declares a store alike has the same one; else a store belongs to one node.
    shares_stores: ClassVar[bool] = False

    @property
    def inputs_by_key(self) -> tuple[Keyed | None, ...]:
        """By parent: what it needs if its input is to be partitioned by key; None if it is not."""
        return (None,) * len(self.parents)

    @property
    def keeps_null_keys(self) -> bool:
        """Whether records without a key come out of it, so that repartition topics before it carry them."""
        return any(keyed is not None and keyed.keep_null_keys for keyed in self.inputs_by_key)

    @property
    def copartitioned(self) -> bool:
        """Whether the topics that its records come from must have equal partition counts."""
        return any(self.inputs_by_key)

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """Stores that it owns."""
        return ()

    def shares(self, store: StoreSpec, other: Node, declared: StoreSpec) -> bool:
        """Whether this node's `store` can be that which another one declared under the same name."""
        return self.shares_stores and other.shares_stores and store.is_like(declared)

    @property
    def table(self) -> StoreSpec | None:
        """The store that holds the rows of the table it makes; None: no table, or one computed on demand."""
        return None

    @property
    def versioned(self) -> bool:
        """Whether it makes a table that knows the past of its keys."""
        return self.table is not None and self.table.kind == "versioned"

    @property
    def wants_old_values(self) -> tuple[bool, ...]:
        """By parent that is a table: whether its changes must carry the old value."""
        return (False,) * len(self.parents)

    @property
    def details(self) -> tuple[str, ...]:
        """What `describe` and the drawn graph say of it beside its type and name."""
        return ()

    def __str__(self) -> str:
        return f"{self.name} ({self.site})"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TableNode(Node):
    """A node that makes a table: it forwards `Change`s.

    Attributes:
        store: holds the table's rows; None: they are computed from its parents' when asked for.
    """

    store: StoreSpec | None

    #: Without a store, each of its rows is made of the same row of its parent.
    row_by_row: ClassVar[bool] = False

    @property
    def versioned(self) -> bool:
        """Whether its store is versioned; without one, whether its parent is, row by row."""
        if self.store is None:
            return self.row_by_row and self.parents[0].versioned
        return self.store.kind == "versioned"

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """Its rows."""
        return () if self.store is None else (self.store,)

    @property
    def table(self) -> StoreSpec | None:
        """Its rows."""
        return self.store
