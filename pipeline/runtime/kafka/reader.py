"""Reads ranges of partitions outside any group: for restoring state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as ClientPartition

from pipeline.record import TopicPartition
from pipeline.runtime.broker import Message, Records
from pipeline.runtime.kafka.errors import (
    ALL_BROKERS_DOWN,
    PARTITION_END,
    translated,
    translated_exception,
)
from pipeline.runtime.kafka.fetching import Event, new_fetcher, partition_of
from pipeline.runtime.kafka.refusals import is_refusal
from pipeline.runtime.kafka.settings import Settings

_TIMEOUT_S: Final = 4.0


class KafkaReader:
    """Satisfies `pipeline.runtime.broker.Reader`.

    Args:
        settings: see `pipeline.runtime.kafka.settings`.
        compiled: whether records are fetched by the compiled part, see `fetching`.
    """

    def __init__(self, settings: Settings, *, compiled: bool) -> None:
        self._address = str(settings["bootstrap.servers"])
        self._group = str(settings["group.id"])
        self._ends: dict[TopicPartition, int] = {}
        self._endless: set[TopicPartition] = set()
        self._finished: list[TopicPartition] = []
        #: Added since the last poll, and where to begin.
        self._added: dict[TopicPartition, int] = {}
        #: Topics that the client knows.
        self._topics: set[str] = set()
        self._trouble: KafkaError | None = None
        self._fetcher = new_fetcher(settings, self._on_error, compiled=compiled)
        self._client = self._fetcher.client

    def add(self, partition: TopicPartition, start: int, end: int | None) -> None:
        """Read this partition from offset `start` to before `end`, without an end for ever."""
        if end is None:
            self._endless.add(partition)
        elif start < end:
            self._ends[partition] = end
        else:
            self._finished.append(partition)
            return
        self._added[partition] = start

    def remove(self, partition: TopicPartition) -> None:
        """Stop reading this partition."""
        if partition in self._endless or partition in self._ends:
            self._endless.discard(partition)
            self._ends.pop(partition, None)
            if self._added.pop(partition, None) is None:
                self._fetcher.unroute([partition])
                self._client.incremental_unassign([ClientPartition(*partition)])
        elif partition in self._finished:
            self._finished.remove(partition)

    def poll(self, max_records: int, timeout_s: float) -> Records:
        """Return up to `max_records` records, none of them at or past its partition's `end`.

        Raises:
            BrokerUnreachableError: no broker answers. Calling again later is right.
            BrokerError: anything that calling again cannot mend.
        """
        if not self._ends and not self._endless:
            return {}
        if self._added:
            self._begin()
        records, events = self._fetcher.fetch(max_records, timeout_s, fill=True)
        if not records and not events:
            self._raise_trouble()
            return {}
        ended = {partition_of(event): event.offset for event in events if self._is_end(event)}
        if self._ends:
            self._finish(records, ended)
        return records

    def finished(self) -> Sequence[TopicPartition]:
        """Return and forget the partitions of which every record before `end` was returned."""
        finished, self._finished = self._finished, []
        return finished

    def close(self) -> None:
        """Free the connection."""
        self._fetcher.close()

    def _begin(self) -> None:
        """Read what was added. Topics that are new to the client are asked for: it would, once a second."""
        for topic in {partition.topic for partition in self._added} - self._topics:
            try:
                self._client.list_topics(topic, _TIMEOUT_S)
            except KafkaException as error:
                raise translated_exception(error, self._address, f"looking for {topic}") from error
            self._topics.add(topic)
        self._fetcher.route(self._added)
        self._client.incremental_assign(
            [ClientPartition(*partition, start) for partition, start in self._added.items()]
        )
        self._added.clear()

    def _is_end(self, event: Event) -> bool:
        """Return whether it tells where a partition ends; raise it otherwise."""
        if event.error.code() == PARTITION_END:
            return True
        # Without a topic it is about the group, which is not joined, but must be one that may be.
        where = partition_of(event) if event.topic else f"as one of group {self._group}"
        raise translated(event.error, self._address, f"reading {where}")

    def _finish(self, records: dict[TopicPartition, list[Message]], ended: dict[TopicPartition, int]) -> None:
        """Finish the partitions that reached their end, and cut off what lies past it.

        One question for all positions, instead of one comparison for each record.
        """
        asked = [ClientPartition(*partition) for partition in self._ends]
        done = []
        for found in self._client.position(asked):
            partition = TopicPartition(found.topic, found.partition)
            end = self._ends[partition]
            if found.offset > end:
                _cut(records, partition, end)
            if found.offset >= end or ended.get(partition, -1) >= end:
                done.append(partition)
        for partition in done:
            del self._ends[partition]
            self._finished.append(partition)
        if done:
            self._fetcher.unroute(done)
            self._client.incremental_unassign([ClientPartition(*partition) for partition in done])

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal() or error.code() == ALL_BROKERS_DOWN or is_refusal(error):
            self._trouble = error

    def _raise_trouble(self) -> None:
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            raise translated(trouble, self._address, "reading")


def _cut(records: dict[TopicPartition, list[Message]], partition: TopicPartition, end: int) -> None:
    """Leave out a partition's records that lie at or past its end."""
    inside = [message for message in records.pop(partition, ()) if message.offset < end]
    if inside:
        records[partition] = inside
