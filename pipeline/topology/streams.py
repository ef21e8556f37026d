"""What is done to one record at a time, and where it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from pipeline.declaration import describe_function
from pipeline.serde import Serde
from pipeline.topology.node import Keyed, Node, StoreSpec

#: `(topic, key, value, number of partitions) -> partition`; None, which a user's may not return: the one
#: that the key's bytes say.
Partitioner: TypeAlias = Callable[[str, Any, Any, int], int | None]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Filter(Node):
    """Keep the records for which the predicate holds."""

    predicate: Callable[[Any, Any], bool]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FilterNot(Node):
    """Keep the records for which the predicate does not hold."""

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
class FlatMap(Node):
    """Replace one record by none, one or several."""

    mapper: Callable[[Any, Any], Iterable[tuple[Any, Any]]]
    changes_key = True


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
class ForEach(Node):
    """Call a function for each record: nothing follows."""

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
    shares_stores = True

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The stores that the user declared for it."""
        return self.declared_stores


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ProcessValues(Process):
    """A user's processor that leaves keys as they are."""

    changes_key = False


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Repartition(Node):
    """Send records through a topic so that equal keys meet in one partition."""

    keyed: Keyed
    partitions: int | None = None
    partitioner: Partitioner | None = None
    #: Put there because an operator after it works by key, not by the user.
    implicit: bool = False
    restores_partitioning = True


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
    #: Of an internal topic: it has as many partitions as the topics that are read together with it.
    follows: bool = False
    #: None: by the key's bytes, as Kafka's Java client does.
    partitioner: Partitioner | None = None

    @property
    def details(self) -> tuple[str, ...]:
        """Where it writes."""
        if isinstance(self.topic, str):
            topic = self.topic
        elif self.topics:
            topic = f"one of {', '.join(self.topics)}"
        else:
            topic = f"chosen by {describe_function(self.topic)}"
        details = [f"topic: {topic}"]
        if self.partitions is not None:
            details.append(f"{self.partitions} partitions")
        if self.partitioner is not None and not self.follows:
            details.append(f"partitions chosen by {describe_function(self.partitioner)}")
        return tuple(details)

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that it writes to, as far as they are known: a chooser may say, by its `topics`."""
        return (self.topic,) if isinstance(self.topic, str) else tuple(getattr(self.topic, "topics", ()))
