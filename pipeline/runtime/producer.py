"""Producers as the worker sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

from pipeline.record import Headers, TopicPartition
from pipeline.runtime.undelivered import Undelivered
from pipeline.state.rows import Log

if TYPE_CHECKING:
    from pipeline.runtime.broker import Committed

#: `Producer.produce`: topic, value, key, partition, timestamp, headers.
Produce: TypeAlias = Callable[[str, bytes | None, bytes | None, int, int, Headers], None]


class Producer(Protocol):
    """Writes records; acknowledged by all in-sync replicas, idempotent where the broker can."""

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        timestamp: int,
        headers: Headers,
    ) -> None:
        """Queue one record; returns at once unless the local queue is full.

        Args:
            topic: destination.
            value: value bytes, None for a tombstone.
            key: key bytes or None.
            partition: -1 for murmur2 over the key as Kafka's Java client does (random for None).
            timestamp: event time in ms; -1 for the time of writing.
            headers: record headers.

        Raises:
            RecordTooLargeError: the record exceeds the producer's limit; nothing was queued.
            UnknownTopicError: there is no such topic, or no such partition; nothing was queued.
        """
        ...

    def log(self, topic: str, partition: int, records: Log) -> None:
        """Queue records, given by key and value, without headers, at the time of writing; raises likewise."""
        ...

    def hold(self, until: Callable[[], None]) -> None:
        """Queue nothing more before `until` has returned: what is queued is being committed.

        It is called by who produces, until `release`; what it raises, `produce` and `log` raise.
        """
        ...

    def release(self) -> None:
        """Queue again what is produced."""
        ...

    def flush(self, timeout_s: float) -> Sequence[Undelivered]:
        """Wait until everything queued is acknowledged or has failed. May be called from any thread.

        Returns:
            The records that failed since the last flush.

        Raises:
            BrokerUnreachableError: not everything was acknowledged within `timeout_s`. What is
                still queued stays queued: calling again is right.
        """
        ...

    @property
    def crowded(self) -> bool:
        """Whether more than half of the local queue is taken: time to flush, before producing more."""
        ...

    @property
    def stalled(self) -> str | None:
        """What keeps `produce` waiting for room in the local queue, once that takes a second; None: nothing.

        May be asked from any thread.
        """
        ...

    @property
    def queued(self) -> int:
        """Number of records that are not acknowledged yet."""
        ...

    def close(self) -> None:
        """Drop what is still queued and free the connection."""
        ...


class TransactionalProducer(Producer, Protocol):
    """A producer whose records appear together with offsets, all at once, or not at all.

    A transaction is always open: it begins when the producer is made, and after each commit. `close`
    aborts it. Whoever consumes sees committed records only.
    """

    def commit(self, offsets: Mapping[TopicPartition, Committed], member: object) -> None:
        """Commit what was produced and flushed, with the offsets of a group member, and begin anew.

        May be called from any thread, while nothing is produced.

        Args:
            offsets: what to commit.
            member: `Consumer.group_metadata` of whose they are.

        Raises:
            BrokerUnreachableError: not now; call again with the same offsets, before producing more.
            TaskMigratedError: the member no longer owns the partitions, the broker has aborted the
                transaction, or another producer has taken over the transactional id: close the producer.
        """
        ...
