"""What the user declared, as data: frozen logical nodes with their parents.

`dsl` writes these nodes, `plan` rewrites and cuts them into sub-topologies, `operators` gives each
its behaviour. A node knows nothing of how it runs.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

from pipeline.errors import TopologyError
from pipeline.record import Record
from pipeline.serde import Serde
from pipeline.windows import JoinWindows, TimeWindows

#: `(record, partition_time_ms) -> event time in ms`; negative is invalid. The record's key and
#: value are deserialised, its timestamp is the broker's.
TimestampExtractor: TypeAlias = Callable[[Record[Any, Any], int], int]

_PACKAGE = str(Path(__file__).parent) + os.sep


def declaration_site() -> str:
    """Return `file:line` of the user's code that is declaring something."""
    frame = sys._getframe(1)  # noqa: SLF001 - the documented way to a caller's line without building a stack
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return f"{_short(frame.f_code.co_filename)}:{frame.f_lineno}"


def describe_function(function: object) -> str:
    """Return a function's name with its file and line, for messages about what it did.

    Sees through decorators and `functools.partial`; of an object that is called, and of a class,
    the line is that of its `__call__` or `__init__`.
    """
    while isinstance(function, partial):
        function = function.func
    if callable(function):
        function = inspect.unwrap(function)
    kind = function if isinstance(function, type) else type(function)
    name = getattr(function, "__qualname__", kind.__qualname__)
    called = function
    if not hasattr(function, "__code__"):
        called = getattr(kind, "__init__" if kind is function else "__call__", None)
    code = getattr(called, "__code__", None)
    return f"{name} ({_short(code.co_filename)}:{code.co_firstlineno})" if code else name


def _short(path: str) -> str:
    file = Path(path)
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else path


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """A state store to open for every task of a sub-topology.

    Attributes:
        name: the user's name for it; names the changelog `<app>-<name>-changelog`.
        kind: `key-value`, or `window` (keys within windows).
        key: serde of the key (of the key within its window).
        value: serde of the value.
        retention_ms: window stores only: how long a window can be read.
        window_size_ms: window stores only.
        retain_duplicates: window stores only: keep every put, as joins need.
        ordered: key-value stores only: the cache is kept in key order, for operators that scan often.
        queryable: whether it is shown over HTTP.
    """

    name: str
    kind: Literal["key-value", "window"]
    key: Serde[Any]
    value: Serde[Any]
    retention_ms: int = 0
    window_size_ms: int = 0
    retain_duplicates: bool = False
    ordered: bool = False
    queryable: bool = True


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

    @property
    def inputs_by_key(self) -> tuple[Keyed | None, ...]:
        """By parent: what it needs if its input is to be partitioned by key; None if it is not."""
        return (None,) * len(self.parents)

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """Stores that it owns."""
        return ()

    def __str__(self) -> str:
        return f"{self.name} ({self.site})"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Source(Node):
    """Records of one or several topics."""

    topics: tuple[str, ...]
    key: Serde[Any]
    value: Serde[Any]
    timestamp: TimestampExtractor | None = None
    restores_partitioning = True


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TableSource(Source):
    """A topic read as a table: the last value by key."""

    store: StoreSpec

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The table itself."""
        return (self.store,)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Filter(Node):
    """Keep the records for which the predicate holds."""

    predicate: Callable[[Any, Any], bool]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Map(Node):
    """Replace key and value."""

    mapper: Callable[[Any, Any], tuple[Any, Any]]
    changes_key = True


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MapValues(Node):
    """Replace the value."""

    mapper: Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FlatMapValues(Node):
    """Replace one value by none, one or several."""

    mapper: Callable[[Any, Any], Iterable[Any]]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SelectKey(Node):
    """Replace the key."""

    mapper: Callable[[Any, Any], Any]
    changes_key = True


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Peek(Node):
    """Call a function for each record and pass the record on."""

    action: Callable[[Any, Any], object]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Merge(Node):
    """The records of all parents, as they come."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Branch(Node):
    """Send each record to the first arm whose predicate holds; to the default, if there is one."""

    predicates: tuple[Callable[[Any, Any], bool], ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BranchArm(Node):
    """One outcome of a branch; the index after the last predicate is the default."""

    index: int


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Process(Node):
    """A user's processor, with its stores."""

    supplier: Callable[[], Any]
    declared_stores: tuple[StoreSpec, ...] = ()
    changes_key = True

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The stores that the user declared for it."""
        return self.declared_stores


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Repartition(Node):
    """Send records through a topic so that equal keys meet in one partition."""

    keyed: Keyed
    partitions: int | None = None
    restores_partitioning = True


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Aggregate(Node):
    """Fold the records of each key, or of each key and window, into a table."""

    grouped: Keyed
    store: StoreSpec
    initializer: Callable[[], Any]
    aggregator: Callable[[Any, Any, Any], Any]
    windows: TimeWindows | None = None
    restores_partitioning = True

    @property
    def inputs_by_key(self) -> tuple[Keyed | None, ...]:
        """Grouping is by key."""
        return (self.grouped,)

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The table it makes."""
        return (self.store,)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ToStream(Node):
    """A table's updates as a stream."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StreamStreamJoin(Node):
    """Pair the records of two streams that have one key and lie within a window.

    `left_outer`: a left record that found no partner until its window closed comes out alone.
    """

    left: Keyed
    right: Keyed
    windows: JoinWindows
    joiner: Callable[[Any, Any, Any], Any]
    left_outer: bool
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
        """One a side, and the unmatched left records."""
        return (self.left_store, self.right_store, *filter(None, (self.unmatched_store,)))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StreamTableJoin(Node):
    """Look up each stream record's key in a table (the second parent)."""

    stream: Keyed
    joiner: Callable[[Any, Any, Any], Any]
    left_outer: bool
    table_store: StoreSpec
    restores_partitioning = True

    @property
    def inputs_by_key(self) -> tuple[Keyed | None, ...]:
        """The stream by key; the table is already."""
        return (self.stream, None)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Sink(Node):
    """Write records to a topic, fixed or chosen for each."""

    topic: str | Callable[[Any, Any], str]
    key: Serde[Any]
    value: Serde[Any]
    #: A repartition topic: records without a key are dropped unless they are to be kept.
    internal: bool = False
    keep_null_keys: bool = True
    #: Partitions that the user asked for, of a repartition topic.
    partitions: int | None = None


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


def check_topic_name(name: str, what: str) -> None:
    """Raise TopologyError unless `name` can be (part of) a Kafka topic's name."""
    legal = name and len(name) <= 200 and all(c.isascii() and (c.isalnum() or c in "._-") for c in name)  # noqa: PLR2004 - Kafka allows 249, prefix and suffix take the rest
    if not legal or name in {".", ".."}:
        raise TopologyError(f"{what} {name!r} cannot be a topic's name: use up to 200 of a-z A-Z 0-9 . _ -")
