"""What flows: records, their headers, and the names of partitions and tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import msgspec
from msgspec.structs import replace

K = TypeVar("K")
V = TypeVar("V")

#: Kafka's record headers, in order, duplicates allowed.
Headers: TypeAlias = Sequence[tuple[str, bytes | None]]

NO_HEADERS: Headers = ()

#: How one operator hands a record to the next: `(key, value, timestamp_ms, headers)`.
Forward: TypeAlias = Callable[[Any, Any, int, Headers], None]


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


class TaskId(NamedTuple):
    """The unit of work: one sub-topology over one partition number of its source topics."""

    subtopology: int
    partition: int

    def __str__(self) -> str:
        return "global" if self.subtopology < 0 else f"{self.subtopology}_{self.partition}"


#: Whoever has it is the application's leader.
FIRST_TASK = TaskId(0, 0)

#: Stands where a task's id stands for what belongs to no task: every worker has it whole.
GLOBAL = TaskId(-1, 0)


class Windowed(NamedTuple, Generic[K]):
    """A key within a window: `start` inclusive, `end` exclusive for time windows, in ms."""

    key: K
    start: int
    end: int


class WindowRange(NamedTuple):
    """A window as Faust's callbacks are given it, in seconds since the epoch: `start <= time < end`."""

    start: float
    end: float


class Change(msgspec.Struct, Generic[V], frozen=True):
    """An update of a table.

    Attributes:
        new: the value from now on, None if the row is deleted.
        old: the value before, None if there was none, or nobody asked for it.
        is_latest: False only if a versioned table was told of the past: its current value stays.
    """

    new: V | None
    old: V | None
    is_latest: bool = True


class Record(msgspec.Struct, Generic[K, V], frozen=True):
    """A record as a `Processor` sees it.

    Attributes:
        key: the key, or None.
        value: the value, or None.
        timestamp: event time in milliseconds since the epoch.
        headers: Kafka record headers.
    """

    key: K
    value: V
    timestamp: int
    headers: Headers = NO_HEADERS

    def with_key(self, key: Any) -> Record[Any, V]:
        """Return the same record under another key."""
        return replace(self, key=key)

    def with_value(self, value: Any) -> Record[K, Any]:
        """Return the same record with another value."""
        return replace(self, value=value)

    def with_timestamp(self, timestamp: int) -> Record[K, V]:
        """Return the same record at another event time, in ms."""
        return replace(self, timestamp=timestamp)

    def with_headers(self, headers: Headers) -> Record[K, V]:
        """Return the same record with other headers."""
        return replace(self, headers=headers)
