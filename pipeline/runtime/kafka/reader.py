"""Reads ranges of partitions outside any group: for restoring state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as ClientPartition

from pipeline.record import TopicPartition
from pipeline.runtime.broker import Message
from pipeline.runtime.kafka.clients import new_consumer
from pipeline.runtime.kafka.errors import (
    ALL_BROKERS_DOWN,
    PARTITION_END,
    translated,
    translated_exception,
)
from pipeline.runtime.kafka.refusals import is_refusal
from pipeline.runtime.kafka.settings import Settings

_error_of: Final = confluent_kafka.Message.error
_TIMEOUT_S: Final = 4.0


class KafkaReader:
    """Satisfies `pipeline.runtime.broker.Reader`.

    Args:
        settings: see `pipeline.runtime.kafka.settings`.
    """

    def __init__(self, settings: Settings) -> None:
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
        self._client = new_consumer(settings, self._on_error)

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
                self._client.incremental_unassign([ClientPartition(*partition)])
        elif partition in self._finished:
            self._finished.remove(partition)

    def poll(self, max_records: int, timeout_s: float) -> Sequence[Message]:
        """Return up to `max_records` records, none of them at or past its partition's `end`.

        Raises:
            BrokerUnreachableError: no broker answers. Calling again later is right.
            BrokerError: anything that calling again cannot mend.
        """
        if not self._ends and not self._endless:
            return ()
        if self._added:
            self._begin()
        batch = self._client.consume(max_records, timeout_s)
        if not batch:
            self._raise_trouble()
            return ()
        ended: dict[TopicPartition, int] = {}
        if next(filter(_error_of, batch), None) is not None:
            batch = self._without_events(batch, ended)
        return cast("Sequence[Message]", self._up_to_ends(batch, ended) if self._ends else batch)

    def finished(self) -> Sequence[TopicPartition]:
        """Return and forget the partitions of which every record before `end` was returned."""
        finished, self._finished = self._finished, []
        return finished

    def close(self) -> None:
        """Free the connection."""
        self._client.close()

    def _begin(self) -> None:
        """Read what was added. Topics that are new to the client are asked for: it would, once a second."""
        for topic in {partition.topic for partition in self._added} - self._topics:
            try:
                self._client.list_topics(topic, _TIMEOUT_S)
            except KafkaException as error:
                raise translated_exception(error, self._address, f"looking for {topic}") from error
            self._topics.add(topic)
        self._client.incremental_assign(
            [ClientPartition(*partition, start) for partition, start in self._added.items()]
        )
        self._added.clear()

    def _without_events(
        self, batch: list[confluent_kafka.Message], ended: dict[TopicPartition, int]
    ) -> list[confluent_kafka.Message]:
        """Return the records among messages; note in `ended` where partitions end."""
        records = []
        for message in batch:
            error = message.error()
            if error is None:
                records.append(message)
            elif error.code() == PARTITION_END:
                ended[_partition_of(message)] = message.offset() or 0
            else:
                # Without a topic it is about the group, which is not joined, but must be one that may be.
                where = _partition_of(message) if message.topic() else f"as one of group {self._group}"
                raise translated(error, self._address, f"reading {where}")
        return records

    def _up_to_ends(
        self, batch: list[confluent_kafka.Message], ended: dict[TopicPartition, int]
    ) -> list[confluent_kafka.Message]:
        """Finish the partitions that reached their end, and cut off what lies past it.

        One question for all positions, instead of one comparison for each record.
        """
        asked = [ClientPartition(*partition) for partition in self._ends]
        overrun, done = set(), []
        for found in self._client.position(asked):
            partition = TopicPartition(found.topic, found.partition)
            end = self._ends[partition]
            if found.offset > end:
                overrun.add(partition)
            if found.offset >= end or ended.get(partition, -1) >= end:
                done.append(partition)
        if overrun:
            ends = self._ends
            batch = [
                message
                for message in batch
                if (partition := _partition_of(message)) not in overrun
                or (message.offset() or 0) < ends[partition]
            ]
        for partition in done:
            del self._ends[partition]
            self._finished.append(partition)
        if done:
            self._client.incremental_unassign([ClientPartition(*partition) for partition in done])
        return batch

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal() or error.code() == ALL_BROKERS_DOWN or is_refusal(error):
            self._trouble = error

    def _raise_trouble(self) -> None:
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            raise translated(trouble, self._address, "reading")


def _partition_of(message: confluent_kafka.Message) -> TopicPartition:
    return TopicPartition(message.topic() or "", message.partition() or 0)
