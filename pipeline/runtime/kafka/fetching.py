"""Records off a consumer's queues: by the compiled part, or by the Python client where that is not there.

Both take the same records of the same client of librdkafka. The client makes an object of each that answers
by methods, which takes longer than decoding a small value; the compiled part makes one with attributes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, Final, NamedTuple, Protocol

import confluent_kafka
import msgspec
from confluent_kafka import KafkaError
from confluent_kafka import Message as ClientMessage

from pipeline.compiled import native
from pipeline.record import NO_HEADERS, Headers, TopicPartition
from pipeline.runtime.broker import Message
from pipeline.runtime.kafka.clients import new_consumer
from pipeline.runtime.kafka.linked import with_plugin
from pipeline.runtime.kafka.settings import Settings

_error_of: Final = ClientMessage.error
_time_of: Final = itemgetter(1)
_partition_of: Final = attrgetter("topic", "partition")


class Event(NamedTuple):
    """What stands among records, and is none: the end of a partition, or an error."""

    error: KafkaError
    topic: str
    partition: int
    offset: int


def partition_of(event: Event) -> TopicPartition:
    """Return the partition of an event that has a topic."""
    return TopicPartition(event.topic, event.partition)


class Fetched(NamedTuple):
    """What a fetch took; events in their order."""

    records: dict[TopicPartition, list[Message]]
    events: Sequence[Event]


class Fetcher(Protocol):
    """A client that consumes, and what takes its records.

    Attributes:
        client: for all but taking records.
    """

    client: confluent_kafka.Consumer

    def route(self, partitions: Iterable[TopicPartition]) -> None:
        """Say that partitions are about to be assigned."""
        ...

    def unroute(self, partitions: Iterable[TopicPartition]) -> None:
        """Say that partitions are not assigned any more."""
        ...

    def fetch(self, limit: int, timeout_s: float, *, fill: bool) -> Fetched:
        """Take up to `limit` records; the client's callbacks run in here.

        Args:
            limit: how many at most.
            timeout_s: how long to wait for records, if there are none.
            fill: whether to wait for `limit` of them, or for the first.
        """
        ...

    def close(self) -> None:
        """Close the client."""
        ...


def new_fetcher(settings: Settings, on_error: Callable[[KafkaError], None], *, compiled: bool) -> Fetcher:
    """Return a new client of its own.

    Args:
        settings: of the client.
        on_error: what it calls back with errors.
        compiled: whether to use the compiled part; it must be there then.

    Raises:
        ConfigError: the client does not take the settings.
    """
    return (CompiledFetcher if compiled else ClientFetcher)(settings, on_error)


class FetchedMessage(msgspec.Struct, gc=False):
    """A record that the client has fetched. Satisfies `pipeline.runtime.broker.Message`."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: Headers

    def __len__(self) -> int:
        """Length of the value."""
        return len(self.value or b"")

    def __bool__(self) -> bool:
        """Whatever its value: it is a record."""
        return True


class ClientFetcher:
    """Takes records as the client hands them over."""

    def __init__(self, settings: Settings, on_error: Callable[[KafkaError], None]) -> None:
        self.client = new_consumer(settings, on_error)

    def route(self, partitions: Iterable[TopicPartition]) -> None:
        """Say that partitions are about to be assigned: nothing is to be done."""

    def unroute(self, partitions: Iterable[TopicPartition]) -> None:
        """Say that partitions are not assigned any more: nothing is to be done."""

    def fetch(self, limit: int, timeout_s: float, *, fill: bool) -> Fetched:
        """Take up to `limit` records."""
        if fill:
            return _read(self.client.consume(limit, timeout_s))
        batch = self.client.consume(limit, 0)
        if not batch:
            # `consume` with a timeout would wait for all of `limit`.
            first = self.client.poll(timeout_s)
            if first is not None:
                batch = [first, *self.client.consume(limit - 1, 0)]
        return _read(batch)

    def close(self) -> None:
        """Close the client."""
        self.client.close()


class CompiledFetcher:
    """Takes records off the queues of their partitions, in C."""

    def __init__(self, settings: Settings, on_error: Callable[[KafkaError], None]) -> None:
        self.client, self._on_error = new_consumer(with_plugin(settings), on_error), on_error
        self._native = native.Fetcher(self.client)
        self._routed: set[TopicPartition] = set()
        #: Assigned once more, and not heard of since.
        self._again: set[TopicPartition] = set()

    def route(self, partitions: Iterable[TopicPartition]) -> None:
        """Have the records of partitions come by the queue that is read here, not by the client's."""
        for partition in partitions:
            self._native.route(*partition)
            (self._again if partition in self._routed else self._routed).add(partition)

    def fetch(self, limit: int, timeout_s: float, *, fill: bool) -> Fetched:
        """Take up to `limit` records."""
        # What the group has to say, and errors of the whole client, come by its own queue.
        batch = self.client.consume(limit, 0)
        if batch:
            return _read(batch)
        # The client still may be about to stop what it had before, which takes away where records go; those
        # that come meanwhile wait until they are sent here.
        for partition in self._again:
            self._native.route(*partition)
        least, timeout_ms = limit if fill else 1, math.ceil(timeout_s * 1_000)
        runs, found, errors = self._native.fetch(limit, least, timeout_ms)
        for code, reason, fatal in errors:
            self._on_error(KafkaError(code, reason, fatal))
        events = [_event(*event) for event in found]
        records = _by_partition((TopicPartition(*where), run) for *where, run in runs)
        if self._again:
            self._again.difference_update(records, map(partition_of, events))
        return Fetched(records, events)

    def unroute(self, partitions: Iterable[TopicPartition]) -> None:
        """Say that partitions are not assigned any more."""
        self._again.difference_update(partitions)

    def close(self) -> None:
        """Close the client."""
        self._native.close()
        self.client.close()


def _event(code: int, text: str, topic: str | None, partition: int, offset: int) -> Event:
    return Event(KafkaError(code, text), topic or "", partition, offset)


def _read(batch: list[ClientMessage]) -> Fetched:
    """Return the records of a batch, made of its columns: without a step of Python for each."""
    events: list[Event] = []
    if next(filter(_error_of, batch), None) is not None:
        events = [
            Event(error, message.topic() or "", message.partition() or 0, message.offset() or 0)
            for message in batch
            if (error := message.error()) is not None
        ]
        batch = [message for message in batch if message.error() is None]
    kind = ClientMessage
    columns: tuple[Iterable[Any], ...] = (
        map(kind.topic, batch),
        map(kind.partition, batch),
        map(kind.offset, batch),
        map(kind.key, batch),
        map(kind.value, batch),
        map(_time_of, map(kind.timestamp, batch)),
        [headers or NO_HEADERS for headers in map(kind.headers, batch)],
    )
    runs = groupby(map(FetchedMessage, *columns), _partition_of)
    return Fetched(_by_partition((TopicPartition(*where), run) for where, run in runs), events)


def _by_partition(
    runs: Iterable[tuple[TopicPartition, Iterable[Message]]],
) -> dict[TopicPartition, list[Message]]:
    """Put what came of a partition together: it may come in several runs."""
    records: defaultdict[TopicPartition, list[Message]] = defaultdict(list)
    for partition, run in runs:
        records[partition].extend(run)
    return records
