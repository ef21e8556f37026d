"""Producers of the in-memory broker, with transactions and without."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from pipeline.errors import RecordTooLargeError, TaskMigratedError
from pipeline.record import NO_HEADERS, Headers, TopicPartition
from pipeline.runtime.broker import Committed
from pipeline.runtime.memory_group import MemoryConsumer
from pipeline.runtime.memory_log import MemoryTopic, MemoryTransaction
from pipeline.runtime.partitioner import partition_for
from pipeline.runtime.undelivered import Undelivered
from pipeline.state.rows import Log

if TYPE_CHECKING:
    from pipeline.runtime.memory import MemoryBroker

#: A producer refuses larger records, as librdkafka does with the settings of `runtime.kafka`.
_MAX_RECORD_BYTES = 16 * 1024 * 1024

#: Half of what librdkafka's queue holds, likewise.
_CROWD = 50_000


def check_size(topic: str, key: bytes | None, value: bytes | None) -> None:
    """Raise RecordTooLargeError if a producer does not take a record of this size."""
    size = len(value or b"") + len(key or b"")
    if size > _MAX_RECORD_BYTES:
        raise RecordTooLargeError(
            f"producing {size} bytes to {topic}: more than the producer's limit of {_MAX_RECORD_BYTES}"
        )


class MemoryProducer:
    """Satisfies `pipeline.runtime.producer.Producer`: a record is in the topic at once."""

    def __init__(self, broker: MemoryBroker, client_id: str) -> None:
        self.client_id = client_id
        self._broker = broker
        self._queue: list[Undelivered] = []
        self._undelivered: list[Undelivered] = []
        self._transaction: MemoryTransaction | None = None
        self._until: Callable[[], None] | None = None

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        timestamp: int,
        headers: Headers,
    ) -> None:
        """Write one record, or queue it while the broker does not answer.

        Raises:
            RecordTooLargeError: the record exceeds the producer's limit; nothing was queued.
        """
        if self._until is not None:
            self._until()
        check_size(topic, key, value)
        self._queue.append(Undelivered(topic, partition, key, value, timestamp, tuple(headers), ""))
        if self._broker.reachable:
            self._deliver()

    def log(self, topic: str, partition: int, records: Log) -> None:
        """Produce records, given by key and value, without headers, at the time of writing."""
        for key, value in records:
            self.produce(topic, value, key, partition, -1, NO_HEADERS)

    def hold(self, until: Callable[[], None]) -> None:
        """Queue nothing more before `until` has returned."""
        self._until = until

    def release(self) -> None:
        """Queue again what is produced."""
        self._until = None

    def flush(self, timeout_s: float) -> Sequence[Undelivered]:  # noqa: ARG002 (never waits)
        """Return the records that failed since the last flush.

        Raises:
            BrokerUnreachableError: the broker was told not to answer, and something is queued.
        """
        if self._queue:
            self._broker.check_reachable(f"{len(self._queue)} records of {self.client_id} unacknowledged")
            self._deliver()
        undelivered, self._undelivered = self._undelivered, []
        return undelivered

    @property
    def crowded(self) -> bool:
        """Whether more is queued than is good."""
        return len(self._queue) + len(self._undelivered) > _CROWD

    @property
    def stalled(self) -> None:
        """Nothing: its queue takes everything."""

    @property
    def queued(self) -> int:
        """Number of records that wait for a broker that does not answer."""
        return len(self._queue)

    def close(self) -> None:
        """Drop what is still queued."""
        self._queue.clear()

    def _deliver(self) -> None:
        queue, self._queue = self._queue, []
        for record in queue:
            reason = self._refusal(record)
            if reason is not None:
                self._undelivered.append(record._replace(reason=reason))
                continue
            topic = self._broker.topic(record.topic)
            timestamp = topic.timestamp(record.timestamp, self._broker.now_ms())
            number = record.partition if record.partition >= 0 else choose_partition(topic, record.key)
            partition = topic.partitions[number]
            partition.append(record.key, record.value, timestamp, record.headers, self._transaction)

    def _refusal(self, record: Undelivered) -> str | None:
        if not self._broker.exists(record.topic):
            return "the topic does not exist"
        topic = self._broker.topic(record.topic)
        if record.partition >= len(topic.partitions):
            return f"the topic has only {len(topic.partitions)} partitions"
        limit = topic.max_record_bytes
        size = len(record.value or b"") + len(record.key or b"")
        if limit is not None and size > limit:
            return f"{size} bytes: more than the topic's max.message.bytes={limit}"
        return None


class MemoryTransactionalProducer(MemoryProducer):
    """Satisfies `pipeline.runtime.producer.TransactionalProducer`.

    Attributes:
        fenced: whether another producer has the id, or the transaction timed out: this one is of no use.
    """

    def __init__(self, broker: MemoryBroker, client_id: str, timeout_ms: int) -> None:
        super().__init__(broker, client_id)
        self._timeout_ms = timeout_ms
        self.fenced = False
        self._begin()

    def _begin(self) -> None:
        self._open = self._transaction = MemoryTransaction()
        self._sent: tuple[MemoryConsumer, Mapping[TopicPartition, Committed]] | None = None
        self._last_ms = self._broker.now_ms() + self._timeout_ms

    @property
    def busy(self) -> bool:
        """Whether the open transaction has records or offsets: the broker knows of it."""
        return bool(self._open.partitions) or self._sent is not None

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        timestamp: int,
        headers: Headers,
    ) -> None:
        """Write one record; it appears when the transaction is committed.

        Raises:
            TaskMigratedError: another producer has taken over the transactional id.
            RecordTooLargeError: the record exceeds the producer's limit; nothing was queued.
        """
        self.check_fenced()
        super().produce(topic, value, key, partition, timestamp, headers)

    def commit(self, offsets: Mapping[TopicPartition, Committed], member: object) -> None:
        """Commit records and offsets, all at once, and begin the next transaction."""
        self.send_offsets(offsets, member)
        self.end()

    def send_offsets(self, offsets: Mapping[TopicPartition, Committed], member: object) -> None:
        """Make a member's offsets part of the transaction: the first half of `commit`."""
        self.check_fenced()
        self._broker.check_reachable("committing a transaction")
        if not isinstance(member, MemoryConsumer):
            raise TypeError(f"a consumer of the in-memory broker is needed, not {member!r}")
        member.send_to_transaction(offsets, self._open)
        self._sent = (member, offsets)

    def end(self) -> None:
        """Commit, and begin the next transaction: the second half of `commit`."""
        self.check_fenced()
        self._broker.check_reachable("committing a transaction")
        if self._sent is not None:
            member, offsets = self._sent
            member.commit_in_transaction(offsets)
        self._open.end("committed")
        self._begin()

    def time_out(self) -> bool:
        """Abort a transaction that is open for too long, as a coordinator does; return whether it was.

        Fences the producer.
        """
        if self.fenced:
            return False
        if not self.busy:
            self._last_ms = self._broker.now_ms() + self._timeout_ms
        elif self._broker.now_ms() > self._last_ms:
            self.fence()
            return True
        return False

    def fence(self) -> None:
        """Abort, and refuse further use: another producer has the id now."""
        self.fenced = True
        self._queue.clear()
        self._abort()

    def close(self) -> None:
        """Abort what was not committed."""
        super().close()
        self._abort()

    def _abort(self) -> None:
        if self._open.state == "open":
            self._open.end("aborted")

    def check_fenced(self) -> None:
        """Raise TaskMigratedError if another producer has the transactional id."""
        if self.fenced:
            raise TaskMigratedError(f"{self.client_id} is fenced: another producer has its transactional id")


def choose_partition(topic: MemoryTopic, key: bytes | None) -> int:
    """Return the partition of a record for which none was given."""
    return topic.next_keyless() if key is None else partition_for(key, len(topic.partitions))
