"""What agents write to global tables: to the table's topic at the next commit, seen here before that.

```
agent        put k=1        put k=2
here         1              2                                    2 (the topic's)
topic                                 commit: k=2
other                                         read: 2
```

A write lies over the table's store until the store has read the topic as far as it reached at the commit:
so nobody here sees an older value come back. Who writes a key last, in the order of the topic, wins.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pipeline.record import NO_HEADERS, TopicPartition
from pipeline.state.keyvalue import KeyValueStore
from pipeline.topology import GlobalTable

if TYPE_CHECKING:
    from pipeline.runtime.environment import TaskEnvironment

#: What an entry takes beside its bytes, as for the caches of stores.
_ENTRY_BYTES: Final = 256
#: Serdes that read whatever they write: keys of any type, JSON of any shape, and so on.
_OPEN: Final = frozenset({"any", "json", "bytes", "string"})


class Write(msgspec.Struct, frozen=True, gc=False):
    """A value that was put.

    Attributes:
        value: as the agent put it; None deletes.
        data: as it is written.
        timestamp: event time, ms.
        writers: the tasks that put it, or what it replaces, since the last commit.
    """

    value: Any
    data: bytes | None
    timestamp: int
    writers: frozenset[object]


class WrittenTable:
    """A global table as the agents of this worker see it.

    Args:
        table: the table.
        rows: its store, which follows the topic.
        environment: writes, and knows partitions.
    """

    def __init__(
        self, table: GlobalTable, rows: KeyValueStore[Any, Any], environment: TaskEnvironment
    ) -> None:
        self._rows, self._environment = rows, environment
        (self._topic,) = table.topics
        self._key, self._value = table.store.key, table.store.value
        self._typed = not _OPEN.issuperset((self._key.name, self._value.name))
        #: Put; then written; then committed, and not yet read back: with the commit's number.
        self._put: dict[bytes, Write] = {}
        self._written: dict[bytes, Write] = {}
        self._held: dict[bytes, tuple[int, Write]] = {}
        self._bytes = 0

    @property
    def dirty(self) -> int:
        """How many keys wait for a commit."""
        return len(self._put) + len(self._written)

    @property
    def held(self) -> int:
        """How many keys are committed, and not yet read back."""
        return len(self._held)

    def get(self, key: Any) -> Any:
        """Return the value of a key, None if there is none."""
        key_bytes = self._key.serialize(key)
        write = self._over(key_bytes)
        if write is not None:
            return write.value
        entry = self._rows.get_entry(key_bytes)
        return None if entry is None else entry.value

    def all(self) -> Iterator[tuple[Any, Any]]:
        """Iterate keys and values in the order of the keys' bytes."""
        decode = self._key.deserialize
        over = sorted({*self._held, *self._written, *self._put})
        stored = ((key, False) for key, _entry in self._rows.range_entries())
        last = None
        for key_bytes, _over in heapq.merge(((key, True) for key in over), stored, key=itemgetter(0)):
            if key_bytes != last:
                last, key = key_bytes, decode(key_bytes)
                if (value := self.get(key)) is not None:
                    yield key, value

    def put(self, key: Any, value: Any, timestamp: int, writer: frozenset[object]) -> None:
        """Put a value; None deletes.

        Raises:
            Exception: key or value is not of the table's type.
        """
        key_bytes, data = self._key.serialize(key), None if value is None else self._value.serialize(value)
        if self._typed:
            # What no worker could read would stop all of them.
            self._key.deserialize(key_bytes)
            if data is not None:
                self._value.deserialize(data)
        before = self._put.get(key_bytes)
        if before is None:
            self._bytes += len(key_bytes) + len(data or b"") + _ENTRY_BYTES
        else:
            self._bytes += len(data or b"") - len(before.data or b"")
            if before.writers is not writer:
                writer |= before.writers
        self._put[key_bytes] = Write(value, data, timestamp, writer)

    def _over(self, key: bytes) -> Write | None:
        write = self._put.get(key) or self._written.get(key)
        if write is None and (held := self._held.get(key)) is not None:
            return held[1]
        return write

    def _gone(self, key: bytes, write: Write | None) -> None:
        if write is not None:
            self._bytes -= len(key) + len(write.data or b"") + _ENTRY_BYTES

    def flush(self, writers: frozenset[object]) -> set[TopicPartition]:
        """Write what tasks have put; return the partitions."""
        partitions = set()
        environment, topic = self._environment, self._topic
        for key, write in [(k, w) for k, w in self._put.items() if not w.writers.isdisjoint(writers)]:
            del self._put[key]
            self._gone(key, self._written.get(key))
            self._written[key] = write
            partition = environment.partition_for(topic, key)
            environment.produce(topic, write.data, key, partition, write.timestamp, NO_HEADERS)
            partitions.add(TopicPartition(topic, partition))
        return partitions

    def hold(self, number: int) -> dict[TopicPartition, list[bytes]]:
        """Hold what was written and is committed; return it by partition."""
        keys: dict[TopicPartition, list[bytes]] = {}
        for key, write in self._written.items():
            self._release(key, None)
            self._held[key] = number, write
            partition = self._environment.partition_for(self._topic, key)
            keys.setdefault(TopicPartition(self._topic, partition), []).append(key)
        self._written.clear()
        return keys

    def release(self, keys: Collection[bytes], number: int) -> None:
        """Let go of what was held at a commit, unless it was held again since."""
        for key in keys:
            self._release(key, number)

    def _release(self, key: bytes, number: int | None) -> None:
        held = self._held.get(key)
        if held is not None and number in {None, held[0]}:
            del self._held[key]
            self._gone(key, held[1])

    def abandon(self, writer: frozenset[object]) -> None:
        """Forget what a task has put and not committed, and nobody else has: it is done again."""
        for writes in (self._put, self._written):
            for key, write in list(writes.items()):
                if others := write.writers - writer:
                    writes[key] = msgspec.structs.replace(write, writers=others)
                else:
                    del writes[key]
                    self._gone(key, write)

    def cached_bytes(self) -> int:
        """Return about how much memory it takes."""
        return self._bytes


class TableWriter:
    """A written table, for the agents of one task: what they put is committed with the task.

    Args:
        table: the table.
        task: the task.
    """

    def __init__(self, table: WrittenTable, task: object) -> None:
        self.get, self.all = table.get, table.all
        self._table, self._task = table, frozenset((task,))

    def put(self, key: Any, value: Any, timestamp: int) -> None:
        """Put a value at an event time in ms; None deletes."""
        self._table.put(key, value, timestamp, self._task)


class GlobalWrites:
    """What the agents of a worker write to global tables.

    Args:
        tables: the global tables that are written to.
        rows: their stores, by name.
        environment: writes, and knows partitions and bounds.

    Attributes:
        asked: whether tasks have come that use such tables: what was committed before they came must be
            read first, as it may be what they wrote on another worker.
    """

    def __init__(
        self, tables: Collection[GlobalTable], rows: Mapping[str, Any], environment: TaskEnvironment
    ) -> None:
        self._bound = environment.config.cache_entries
        self._tables = {
            table.store.name: WrittenTable(table, rows[table.store.name], environment) for table in tables
        }
        self.topics = frozenset(topic for table in tables for topic in table.topics)
        self.asked = False
        #: The partitions written to since the last commit, and where they ended when all was delivered.
        self.partitions: set[TopicPartition] = set()
        self._ends: Mapping[TopicPartition, int] = {}
        self._commits = 0
        #: By partition, in order: up to where it must be read, and what is held until then.
        self._waiting: dict[TopicPartition, deque[tuple[int, int, WrittenTable, list[bytes]]]] = {}

    @property
    def full(self) -> bool:
        """Whether so much waits for a commit that it is due."""
        return any(table.dirty >= self._bound for table in self._tables.values())

    @property
    def behind(self) -> bool:
        """Whether so much is held that no more may be put before the topics are read."""
        return any(table.held >= self._bound for table in self._tables.values())

    def writer(self, name: str, task: object) -> TableWriter:
        """Return a table for the agents of a task."""
        self.asked = True
        return TableWriter(self._tables[name], task)

    def flush(self, tasks: Collection[object]) -> None:
        """Write what tasks have put: they are about to be committed."""
        if self._tables:
            for table in self._tables.values():
                self.partitions |= table.flush(frozenset(tasks))

    def delivered(self, ends: Mapping[TopicPartition, int]) -> None:
        """Take note of where the partitions end that were written to, all being acknowledged."""
        self._ends = {partition: ends[partition] for partition in self.partitions}

    def committed(self) -> None:
        """Take note that what was written is committed: it is held until it is read back."""
        if not self.partitions:
            return
        self._commits += 1
        for table in self._tables.values():
            for partition, keys in table.hold(self._commits).items():
                waiting = self._waiting.setdefault(partition, deque())
                waiting.append((self._ends[partition], self._commits, table, keys))
        self.partitions.clear()

    def reached(self, partition: TopicPartition, position: int) -> None:
        """Take note that a partition is read up to before `position`."""
        waiting = self._waiting.get(partition)
        while waiting and waiting[0][0] <= position:
            _end, number, table, keys = waiting.popleft()
            table.release(keys, number)

    def abandon(self, task: object) -> None:
        """Forget what a task has put and not committed: it goes away."""
        for table in self._tables.values():
            table.abandon(frozenset((task,)))

    # A cache as that of a store: a bound counts all of them.

    def cached_bytes(self) -> int:
        """Return about how much memory it takes."""
        return sum(table.cached_bytes() for table in self._tables.values())

    def recount(self) -> None:
        """Know no better: every entry is counted."""

    def forget(self) -> None:
        """Let go of nothing: what is committed is held until it is read back."""

    def shrink(self) -> None:
        """Likewise."""
