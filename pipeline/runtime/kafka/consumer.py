"""A member of a consumer group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as ClientPartition

from pipeline.errors import BrokerError, TaskMigratedError
from pipeline.record import TopicPartition
from pipeline.runtime.broker import Committed, RebalanceListener, Records
from pipeline.runtime.kafka.errors import (
    ALL_BROKERS_DOWN,
    LEADERLESS,
    MAX_POLL_EXCEEDED,
    OFFSET_LOST,
    PARTITION_END,
    UNKNOWN_TOPIC,
    UNREACHABLE,
    translated,
    translated_exception,
)
from pipeline.runtime.kafka.fetching import Event, new_fetcher, partition_of
from pipeline.runtime.kafka.refusals import is_refusal
from pipeline.runtime.kafka.settings import Settings

_COMMITTED_TIMEOUT_S: Final = 30.0
_WAKE_S: Final = 0.001
#: How long leaving the group is waited for: 5 s at most, and 50 ms at least.
_LEAVE_POLL_S: Final = 0.01
_LEAVE_ATTEMPTS: Final = 500
_LEAVE_LEAST: Final = 5
#: A member that has joined asks for its partitions so often, and so many times; then heartbeats do.
_ASK_S: Final = 0.2
_ASKS: Final = 25


class KafkaConsumer:
    """Satisfies `pipeline.runtime.broker.Consumer`.

    An error that the listener raises comes out of `poll` or `close`. The member's assignment is
    then not what the listener knows: close the consumer.

    Args:
        settings: see `pipeline.runtime.kafka.settings`.
        incremental: whether the group's protocol hands partitions over one by one (KIP-848), or
            takes all away and assigns anew (classic, eager).
        compiled: whether records are fetched by the compiled part, see `fetching`.
    """

    def __init__(self, settings: Settings, *, incremental: bool, compiled: bool) -> None:
        self._address = str(settings["bootstrap.servers"])
        self._group = str(settings["group.id"])
        self._incremental = incremental
        self._static = "group.instance.id" in settings
        self._listener: RebalanceListener | None = None
        self._topics: frozenset[str] = frozenset()
        self._assigned: set[TopicPartition] = set()
        self._ends: dict[TopicPartition, int] = {}
        #: Where each partition began, and those that are paused: for assigning them once more.
        self._starts: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        #: Offsets that come next and are not there.
        self._lost: dict[TopicPartition, int] = {}
        self._revocations = 0
        #: Subscribed to nothing, which the listener has not been told.
        self._unassigned = False
        #: How often it asks for its partitions yet, and how long it has waited since it last did.
        self._asks, self._waited_s = 0, 0.0
        self._trouble: KafkaError | None = None
        self._failure: Exception | None = None
        self._closing = False
        self._fetcher = new_fetcher(settings, self._on_error, compiled=compiled)
        self._client = self._fetcher.client

    def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        """Join the group for these topics. Returns at once; assignment happens in `poll`."""
        self._listener = listener
        self._topics = frozenset(topics)
        if not topics:
            self._unassigned = True
            return
        self._asks = _ASKS if self._incremental else 0
        self._subscribe()

    def _subscribe(self) -> None:
        self._client.subscribe(
            list(self._topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def _ask(self, waited_s: float) -> None:
        """Ask for partitions again: subscribing has the client send a heartbeat now.

        A group assigns nothing within a second of the last time (`group.consumer.assignment.interval.ms`,
        Kafka 4.3), and tells who joins then at the next heartbeat, by default after 5 s.
        """
        self._waited_s += waited_s
        if self._waited_s >= _ASK_S:
            self._waited_s = 0.0
            self._asks -= 1
            self._subscribe()

    def poll(self, max_records: int, timeout_s: float) -> Records:
        """Return up to `max_records` records, waiting at most `timeout_s` for the first.

        Rebalance callbacks run in here.

        Raises:
            BrokerUnreachableError: no broker answers. Calling again later is right.
            BrokerError: anything that calling again cannot mend.
        """
        if self._unassigned and self._listener is not None:
            self._unassigned = False
            self._listener.on_assigned(())
        if self._lost:
            self._find_lost()
        revocations = self._revocations
        records, events = self._fetcher.fetch(max_records, timeout_s, fill=False)
        if self._asks and not records and not events:
            self._ask(timeout_s)
        if self._failure is not None or self._trouble is not None:
            self._raise_failure()
            if not records and not events:
                self._raise_trouble()
        for event in events:
            self._take(event)
        if revocations != self._revocations:
            for gone in records.keys() - self._assigned:
                del records[gone]
        return records

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Committed]:
        """Return the group's committed offsets; partitions without one are left out.

        Raises:
            BrokerUnreachableError: the group's coordinator does not answer.
            BrokerError: the consumer is being closed.
        """
        if not partitions:
            return {}
        what = f"reading the committed offsets of group {self._group}"
        if self._closing:
            # The client would ask until the timeout, and not be answered.
            raise BrokerError(f"{what} while the consumer is being closed: read them before")
        try:
            found = self._client.committed(_client_partitions(partitions), timeout=_COMMITTED_TIMEOUT_S)
        except KafkaException as error:
            raise translated_exception(error, self._address, what) from error
        self._raise_first(found, what)
        return {
            TopicPartition(entry.topic, entry.partition): Committed(entry.offset, entry.metadata or "")
            for entry in found
            if entry.offset >= 0
        }

    def commit(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        """Commit, and return when the broker has taken it.

        Raises:
            TaskMigratedError: this member no longer owns them.
            BrokerUnreachableError: the group's coordinator does not answer; whether it took the
                commit is unknown.
            BrokerError: the broker refuses it, as it does metadata over 4096 bytes by default.
        """
        if not offsets:
            return
        self.check_owned(offsets)
        topics = ", ".join(sorted({partition.topic for partition in offsets}))
        what = f"committing offsets of group {self._group} in {topics}"
        entries = [
            ClientPartition(topic, partition, offset, metadata)
            for (topic, partition), (offset, metadata) in offsets.items()
        ]
        try:
            results = self._client.commit(offsets=entries, asynchronous=False)
        except KafkaException as error:
            raise translated_exception(error, self._address, what) from error
        self._raise_first(results, what)

    def check_owned(self, offsets: Iterable[TopicPartition]) -> None:
        """Raise TaskMigratedError unless the partitions are this member's.

        A broker would take the commit: it checks who the member is, not what it owns. A group keeps
        offsets of any topic for its members: those of changelogs, too.
        """
        foreign = {partition for partition in offsets if partition.topic in self._topics} - self._assigned
        if foreign:
            names = ", ".join(sorted(map(str, foreign)))
            raise TaskMigratedError(f"committing {names} in group {self._group}: not assigned to this member")

    def member_id(self) -> str:
        """Return what the group's coordinator calls this member; empty before it has joined."""
        return self._client.memberid() or ""

    def group_metadata(self) -> object:
        """Return what a transaction needs to know of this member, to commit its offsets."""
        return self._client.consumer_group_metadata()

    def end_offset(self, partition: TopicPartition) -> int | None:
        """Return the offset at which a fetch last found nothing more; None if none has yet."""
        return self._ends.get(partition)

    def known_end(self, partition: TopicPartition) -> int | None:
        """Return the offset that follows the last record of which a fetch has told; None if none has."""
        # Of a partition that it has not heard of, too, the client tells: a number below zero.
        _, end = self._client.get_watermark_offsets(ClientPartition(*partition), cached=True)
        return None if end < 0 else int(end)

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        """Stop fetching from these until resumed."""
        self._paused.update(partitions)
        self._client.pause(_client_partitions(partitions))

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        """Fetch from these again."""
        self._paused.difference_update(partitions)
        entries = _client_partitions(partitions)
        self._client.resume(entries)
        for entry in entries:
            self._wake_fetcher(entry)

    def close(self) -> None:
        """Leave the group at once (no session timeout for the others to wait out).

        A static member does not leave: it may come back and find its partitions.

        The listener may commit meanwhile; it cannot read what is committed.
        """
        self._closing = True
        # An assignment that arrives while the client closes makes it wait for ever (librdkafka 2.16): so it
        # leaves first, and what is under way arrives while it still listens.
        if not self._static:
            self._leave()
        self._fetcher.close()
        self._raise_failure()

    def _leave(self) -> None:
        self._client.unsubscribe()
        for attempt in range(_LEAVE_ATTEMPTS):
            self._client.poll(_LEAVE_POLL_S)
            if not self._assigned and attempt >= _LEAVE_LEAST:
                break

    def _on_assign(self, client: confluent_kafka.Consumer, partitions: list[ClientPartition]) -> None:
        # What the group hands over to a member that is leaving goes to another one at once.
        if self._listener is None or self._closing:
            return
        self._asks = 0
        added = _own_partitions(partitions)
        try:
            offsets = self._listener.on_assigned(added)
            targets = [ClientPartition(*partition, offsets[partition]) for partition in added]
            self._fetcher.route(added)
            if self._incremental:
                if targets:
                    client.incremental_assign(targets)
            else:
                client.assign(targets)
            client.pause(targets)
            self._paused.update(added)
            self._starts |= offsets
        except Exception as error:  # noqa: BLE001 (raised by poll: here the client would drop records with it)
            self._failure = error
        self._assigned.update(added)

    def _on_revoke(self, _: confluent_kafka.Consumer, partitions: list[ClientPartition]) -> None:
        self._give_up(_own_partitions(partitions), lost=False)

    def _on_lost(self, _: confluent_kafka.Consumer, partitions: list[ClientPartition]) -> None:
        self._give_up(_own_partitions(partitions), lost=True)

    def _give_up(self, partitions: list[TopicPartition], *, lost: bool) -> None:
        """Tell the listener; the client itself unassigns them when the callback has returned."""
        self._revocations += 1
        self._fetcher.unroute(partitions)
        if partitions and self._listener is not None:
            try:
                if lost:
                    self._listener.on_lost(partitions)
                else:
                    self._listener.on_revoked(partitions)
            except Exception as error:  # noqa: BLE001 (raised by poll: here the client would drop records with it)
                self._failure = error
        self._assigned.difference_update(partitions)
        self._paused.difference_update(partitions)
        for partition in partitions:
            for known in (self._ends, self._starts, self._lost):
                known.pop(partition, None)

    def _find_lost(self) -> None:
        """Ask the listener where to read on, and begin there: the client has stopped at these."""
        assert self._listener is not None  # noqa: S101 - nothing is fetched before `subscribe`
        for partition, lost in list(self._lost.items()):
            self._starts[partition] = self._listener.on_offset_lost(partition, lost)
            del self._lost[partition]
            # A seek is refused for a partition that the client has given up.
            if self._incremental:
                target = ClientPartition(*partition, self._starts[partition])
                self._fetcher.route([partition])
                self._client.incremental_unassign([target])
                self._client.incremental_assign([target])
                paused = self._paused & {partition}
            else:
                self._fetcher.route(self._assigned)
                self._client.assign(self._positions(partition))
                paused = self._paused
            if paused:
                self._client.pause(_client_partitions(paused))

    def _positions(self, lost: TopicPartition) -> list[ClientPartition]:
        """Return where each partition is: past what was read of it, else where it began."""
        positions = self._client.position(_client_partitions(self._assigned - {lost}))
        read = {TopicPartition(p.topic, p.partition): p.offset for p in positions if p.offset >= 0}
        return [ClientPartition(*part, read.get(part, self._starts[part])) for part in self._assigned]

    def _wake_fetcher(self, entry: ClientPartition) -> None:
        """Make the thread that fetches this partition look again.

        With nothing to fetch it sleeps up to a second, and resuming does not wake it; a request to
        the same broker does. Its answer is not waited for, nor of interest.
        """
        try:
            self._client.get_watermark_offsets(entry, timeout=_WAKE_S)
        except KafkaException as error:
            # A client that has just come back from an outage may not know the partition yet.
            if error.args[0].code() not in UNREACHABLE | LEADERLESS | UNKNOWN_TOPIC:
                raise translated_exception(error, self._address, f"resuming {entry.topic}") from error

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal() or error.code() == ALL_BROKERS_DOWN or is_refusal(error):
            self._trouble = error

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _raise_trouble(self) -> None:
        """Raise what the client reported: when there are no records, which would be lost with it."""
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            raise translated(trouble, self._address, f"consuming in group {self._group}")

    def _raise_first(self, results: Iterable[ClientPartition], what: str) -> None:
        for result in results:
            if result.error is not None:
                raise translated(result.error, self._address, f"{what}, {result.topic}-{result.partition}")

    def _take(self, event: Event) -> None:
        """Take note of where a partition ends, or of an offset that is gone; raise what is an error."""
        code = event.error.code()
        if code == PARTITION_END:
            self._ends[partition_of(event)] = event.offset
        elif code == OFFSET_LOST:
            self._lost[partition_of(event)] = event.offset
        # After a worker polled too late it has lost its partitions, and joins again in poll.
        elif code != MAX_POLL_EXCEEDED:
            # Of a client that can go on no more the event says only that: the report says why.
            where = partition_of(event) if event.topic else f"in group {self._group}"
            raise translated(self._trouble or event.error, self._address, f"consuming {where}")


def _client_partitions(partitions: Iterable[TopicPartition]) -> list[ClientPartition]:
    return [ClientPartition(*partition) for partition in partitions]


def _own_partitions(partitions: Iterable[ClientPartition]) -> list[TopicPartition]:
    return [TopicPartition(partition.topic, partition.partition) for partition in partitions]
