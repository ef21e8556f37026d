"""The broker as the worker sees it: small protocols; those of producers are in `runtime.producer`.

Two implementations pass one contract suite (tests/contract): librdkafka in `runtime.kafka` and
an in-memory broker in `runtime.memory`. Nothing here is called from more than one thread, except
where said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple, Protocol, TypeAlias

from pipeline.record import Headers, TopicPartition
from pipeline.runtime.background import Background
from pipeline.runtime.deletion import Deletion
from pipeline.runtime.group import Member
from pipeline.runtime.producer import Producer, TransactionalProducer


class Message(Protocol):
    """A consumed record, as the broker holds it."""

    @property
    def topic(self) -> str:
        """Topic it was read from."""
        ...

    @property
    def partition(self) -> int:
        """Partition it was read from."""
        ...

    @property
    def offset(self) -> int:
        """Offset within the partition."""
        ...

    @property
    def key(self) -> bytes | None:
        """Key bytes."""
        ...

    @property
    def value(self) -> bytes | None:
        """Value bytes."""
        ...

    @property
    def timestamp(self) -> int:
        """Milliseconds since the epoch; -1 if there is none."""
        ...

    @property
    def headers(self) -> Headers:
        """Record headers, empty if there are none."""
        ...

    def __len__(self) -> int:
        """Length of the value in bytes, 0 for a tombstone."""
        ...


#: Polled records: of each partition that has some, in the order of their offsets.
Records: TypeAlias = Mapping[TopicPartition, Sequence[Message]]


def messages_of(records: Records) -> Iterator[Message]:
    """Iterate polled records, one partition after the other."""
    return chain.from_iterable(records.values())


class Committed(NamedTuple):
    """A committed offset: the next one to process, and what the worker wrote beside it."""

    offset: int
    metadata: str = ""


class TopicSpec(NamedTuple):
    """A topic to create."""

    name: str
    partitions: int
    config: Mapping[str, str]


class RebalanceListener(Protocol):
    """Called from within `Consumer.poll` and `Consumer.close`, in the caller's thread."""

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Partitions were added, none in an assignment without any. Return where each is read from.

        They start paused: the worker resumes those whose task is ready.
        """
        ...

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Partitions are about to go: they may still be committed here."""
        ...

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Partitions are gone already: committing them would fail."""
        ...

    def on_offset_lost(self, partition: TopicPartition, offset: int) -> int:
        """The broker does not hold `offset`, which comes next: retention has removed it, or it never was.

        Returns:
            Where to read on. If this raises BrokerUnreachableError, the next poll asks again.
        """
        ...


class Consumer(Protocol):
    """A member of the application's consumer group."""

    def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        """Join the group for these topics. Returns at once; assignment happens in `poll`.

        For no topics it does not join: it is assigned nothing, in `poll`, too.
        """
        ...

    def poll(self, max_records: int, timeout_s: float) -> Records:
        """Return up to `max_records` records, waiting at most `timeout_s` for the first.

        The listener is called in here.

        Raises:
            BrokerUnreachableError: no broker answers. Calling again later is right.
            BrokerError: anything that calling again cannot mend.
        """
        ...

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Committed]:
        """Return the group's committed offsets; partitions without one are left out."""
        ...

    def commit(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        """Commit all of it in one request, and return when the broker has taken it.

        Partitions of topics that are not subscribed to, such as changelogs, can be committed too:
        a group keeps offsets of any topic for its members.

        Raises:
            TaskMigratedError: this member no longer owns them.
        """
        ...

    def member_id(self) -> str:
        """Return what the group's coordinator calls this member; empty before it has joined."""
        ...

    def group_metadata(self) -> object:
        """Return what a transaction needs to know of this member, to commit its offsets."""
        ...

    def end_offset(self, partition: TopicPartition) -> int | None:
        """Return the offset at which a fetch last found nothing more; None if none has yet.

        Makes no request. What stands there can be past the last record by more than one: markers of
        transactions and deleted records take offsets, too.
        """
        ...

    def known_end(self, partition: TopicPartition) -> int | None:
        """Return the offset that follows the last record that the client has heard of; None if of none.

        Makes no request: how old it is depends on the last fetch. For measuring how far behind it is.
        """
        ...

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        """Stop fetching from these until resumed."""
        ...

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        """Fetch from these again."""
        ...

    def close(self) -> None:
        """Leave the group at once (no session timeout for the others to wait out)."""
        ...


class Admin(Protocol):
    """Topics and their offsets. May be called from any thread."""

    def topics(self) -> Sequence[str]:
        """Return the names of all topics; raises BrokerUnreachableError."""
        ...

    def partition_counts(self, topics: Sequence[str]) -> dict[str, int]:
        """Return the number of partitions of each topic that exists; others are left out.

        Raises:
            BrokerUnreachableError: no broker answers.
        """
        ...

    def create_topics(self, topics: Sequence[TopicSpec]) -> None:
        """Create what does not exist yet, and return when it can be used. Existing is no error."""
        ...

    def topic_configs(self, topics: Sequence[str]) -> dict[str, Mapping[str, str]]:
        """Return what each topic is configured with, by setting; topics that do not exist are left out.

        `replication.factor` is among them: the smallest of the topic's partitions. A setting that the broker
        does not tell, or not to this client, is left out.

        Raises:
            BrokerUnreachableError: no broker answers.
        """
        ...

    def delete_records(self, before: Mapping[TopicPartition, int]) -> Deletion:
        """Ask for every record before an offset to be deleted, by partition, and return at once.

        Raises:
            UnsupportedRequestError: the broker does not know the request.
        """
        ...

    def group_members(self, group: str) -> Sequence[Member]:
        """Return who is in a group, nobody if the broker shows none; raises BrokerUnreachableError."""
        ...

    def group_offsets(
        self, group: str, partitions: Sequence[TopicPartition]
    ) -> dict[TopicPartition, Committed]:
        """Return what a group has committed, without waiting for transactions; raises likewise."""
        ...

    def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the first offset still held, by partition."""
        ...

    def end_offsets(
        self, partitions: Sequence[TopicPartition], *, stable: bool = False
    ) -> dict[TopicPartition, int]:
        """Return the offset that the next record will get, by partition. From any thread.

        Args:
            partitions: of which.
            stable: the offset of the first record whose transaction is open, instead: what lies
                before it is settled, and can be read.
        """
        ...

    def offsets_at(
        self, partitions: Sequence[TopicPartition], timestamp_ms: int
    ) -> dict[TopicPartition, int]:
        """Return the offset of the first record with this timestamp or a later one, else the end."""
        ...

    def close(self) -> None:
        """Free the connection."""
        ...


class Reader(Protocol):
    """Reads given ranges of partitions outside any group, as fast as it can: for restoring state."""

    def add(self, partition: TopicPartition, start: int, end: int | None) -> None:
        """Read this partition from offset `start` to before `end` (beginning at the first held).

        Without an end, what is written later is read, too, and the partition is never finished. Should it
        hold no offset `start` at all, because it was made anew, it is read from the first it holds.
        """
        ...

    def remove(self, partition: TopicPartition) -> None:
        """Stop reading this partition."""
        ...

    def poll(self, max_records: int, timeout_s: float) -> Records:
        """Return up to `max_records` records, none of them at or past its partition's `end`.

        They are gathered for at most `timeout_s`: large batches matter more than early ones.
        """
        ...

    def finished(self) -> Sequence[TopicPartition]:
        """Return and forget the partitions of which every record before `end` was returned.

        Compaction and transactions leave holes: a partition is finished when its position has
        reached `end`, whether or not a record stood there.
        """
        ...

    def close(self) -> None:
        """Free the connection."""
        ...


class Broker(Protocol):
    """Where a worker gets its clients from."""

    @property
    def address(self) -> str:
        """What to name in messages, such as `localhost:9092`."""
        ...

    def consumer(self, group: str, client_id: str) -> Consumer:
        """Return a new group member."""
        ...

    def producer(self, client_id: str) -> Producer:
        """Return a new producer."""
        ...

    def transactional_producer(
        self, client_id: str, transactional_id: str, timeout_ms: int
    ) -> TransactionalProducer:
        """Return a new producer; the one before it under this id is fenced, its transaction aborted.

        Args:
            client_id: what the broker shows it as.
            transactional_id: who it is, across restarts.
            timeout_ms: the broker aborts a transaction that is open for longer.

        Raises:
            BrokerUnreachableError: no broker answers.
            ConfigError: the broker has no transactions that readers respect.
        """
        ...

    def background(self, client_id: str) -> Background:
        """Return what makes calls beside a worker."""
        ...

    def admin(self) -> Admin:
        """Return a new admin client."""
        ...

    def reader(self) -> Reader:
        """Return a new reader."""
        ...
