"""Topics in memory: what the in-memory broker keeps records in."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Literal

from pipeline.record import NO_HEADERS, Headers


class MemoryTransaction:
    """Records that appear all at once, or not at all.

    Attributes:
        state: what became of it.
        partitions: where it has written.
    """

    def __init__(self) -> None:
        self.state: Literal["open", "committed", "aborted"] = "open"
        self.partitions: dict[MemoryPartition, int] = {}

    def end(self, state: Literal["committed", "aborted"]) -> None:
        """End it: each partition that it wrote to gets a marker, which takes an offset."""
        self.state = state
        for partition in self.partitions:
            partition.mark()


class MemoryMessage:
    """One stored record. Satisfies `pipeline.runtime.broker.Message`."""

    __slots__ = ("headers", "key", "offset", "partition", "timestamp", "topic", "transaction", "value")

    def __init__(
        self,
        topic: str,
        partition: int,
        offset: int,
        *,
        key: bytes | None,
        value: bytes | None,
        timestamp: int,
        headers: Headers,
        transaction: MemoryTransaction | None = None,
    ) -> None:
        self.transaction = transaction
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.key = key
        self.value = value
        self.timestamp = timestamp
        self.headers: Headers = list(headers) or NO_HEADERS

    def __len__(self) -> int:
        """Length of the value."""
        return len(self.value or b"")

    def __bool__(self) -> bool:
        """Whatever its value: it is a record."""
        return True


def _is_committed(message: MemoryMessage) -> bool:
    return message.transaction is None or message.transaction.state == "committed"


class MemoryPartition:
    """One partition: records in offset order, with holes where some were compacted away.

    Attributes:
        begin: the first offset still held.
        end: the offset that the next record gets.
        stable_end: offset of the first record whose transaction is still open (Kafka: last stable
            offset); `end`, if there is none.
        available: set to False, it has no leader: nothing is read from it.
    """

    def __init__(self, topic: str, number: int) -> None:
        self._topic = topic
        self._number = number
        self._records: list[MemoryMessage] = []
        #: Of the records, in the same order: to search without a call for each.
        self._offsets: list[int] = []
        self._open: list[MemoryTransaction] = []
        self.begin = 0
        self.end = 0
        self.stable_end = 0
        self.available = True

    def append(
        self,
        key: bytes | None,
        value: bytes | None,
        timestamp: int,
        headers: Headers,
        transaction: MemoryTransaction | None = None,
    ) -> None:
        """Add one record at the end."""
        message = MemoryMessage(
            self._topic,
            self._number,
            self.end,
            key=key,
            value=value,
            timestamp=timestamp,
            headers=headers,
            transaction=transaction,
        )
        self._records.append(message)
        self._offsets.append(self.end)
        if transaction is not None and self not in transaction.partitions:
            transaction.partitions[self] = self.end
            self._open.append(transaction)
        self.end += 1
        if not self._open:
            self.stable_end = self.end

    def mark(self) -> None:
        """Take an offset for the marker of a transaction that has ended."""
        self._open = [transaction for transaction in self._open if transaction.state == "open"]
        self.end += 1
        # They stand in the order of their first records.
        self.stable_end = self._open[0].partitions[self] if self._open else self.end

    def read(self, start: int, end: int, limit: int) -> list[MemoryMessage]:
        """Return at most `limit` committed records with `start <= offset < end`, up to the stable end."""
        end = min(end, self.stable_end)
        if start >= end:
            return []
        first = bisect_left(self._offsets, start)
        last = bisect_left(self._offsets, end, lo=first)
        committed = (message for message in islice(self._records, first, last) if _is_committed(message))
        return list(islice(committed, limit))

    def offset_at(self, timestamp_ms: int) -> int:
        """Return the offset of the first record with this timestamp or a later one; the end without one."""
        found = (message.offset for message in self._records if message.timestamp >= timestamp_ms)
        return next(found, self.end)

    def last_offset(self) -> int | None:
        """Return the offset of the last committed record before the stable end; None without one."""
        last = bisect_left(self._offsets, self.stable_end)
        found = (message.offset for message in reversed(self._records[:last]) if _is_committed(message))
        return next(found, None)

    def committed(self) -> list[MemoryMessage]:
        """Return every committed record, those that an open transaction before them hides too."""
        return [message for message in self._records if _is_committed(message)]

    def compact(self) -> None:
        """Keep the last record of each key, as compaction does once it has run over everything."""
        settled = [message for message in self._records if message.offset < self.stable_end]
        kept = [message for message in settled if _is_committed(message)]
        last = {message.key: message.offset for message in kept}
        self._records = [
            *(m for m in kept if m.key is None or last[m.key] == m.offset),
            *self._records[len(settled) :],
        ]
        self._offsets = [message.offset for message in self._records]

    def delete_before(self, offset: int) -> None:
        """Remove what is older, as retention does."""
        first = bisect_left(self._offsets, offset)
        del self._records[:first], self._offsets[:first]
        self.begin = max(self.begin, min(offset, self.end))


class MemoryTopic:
    """A topic and its partitions."""

    def __init__(self, name: str, partitions: int, config: Mapping[str, str]) -> None:
        self.name = name
        self.config = dict(config)
        self.partitions: Sequence[MemoryPartition] = [MemoryPartition(name, n) for n in range(partitions)]
        self._keyless = 0

    @property
    def max_record_bytes(self) -> int | None:
        """The topic's own limit, if it has one."""
        limit = self.config.get("max.message.bytes")
        return None if limit is None else int(limit)

    def timestamp(self, produced: int, now_ms: int) -> int:
        """Return the time that a record gets which was produced with this timestamp."""
        appended = self.config.get("message.timestamp.type") == "LogAppendTime"
        return now_ms if appended or produced < 0 else produced

    def next_keyless(self) -> int:
        """Return a partition for a record without a key: each in turn, so that runs repeat."""
        self._keyless = (self._keyless + 1) % len(self.partitions)
        return self._keyless
