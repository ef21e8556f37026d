"""What is in a broker's topics, and how far a group has come."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Final, NamedTuple, Self

import confluent_kafka
from confluent_kafka import KafkaException
from confluent_kafka import TopicPartition as ClientPartition
from confluent_kafka.admin import AdminClient

from pipeline.errors import BrokerUnreachableError
from pipeline.record import Headers, TopicPartition
from pipeline.runtime.broker import Message, TopicSpec, messages_of
from pipeline.runtime.kafka import KafkaBroker
from tests.integration.flagship.waiting import wait_until

#: While a broker that was killed is missed, nothing is acknowledged.
_FLUSH_S: Final = 120.0
_log: Final = logging.getLogger(__name__)
_COMMITTED_S: Final = 60.0
_UNACKNOWLEDGED: Final = 20_000
_POLLED: Final = 10_000


class Outgoing(NamedTuple):
    """A record to write; see `pipeline.runtime.producer.Producer.produce`."""

    topic: str
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: Headers = ()
    partition: int = -1


class Topics:
    """A broker, seen from beside the application.

    Args:
        address: bootstrap servers.
        group: the application's consumer group.
    """

    def __init__(self, address: str, group: str) -> None:
        self.address = address
        broker = KafkaBroker(address)
        self._broker, self._admin = broker, broker.admin()
        self._producer = broker.producer("test")
        self._group = group
        self._asking: confluent_kafka.Consumer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._forget()
        self._producer.close()
        self._admin.close()

    def create(self, specs: Sequence[TopicSpec]) -> None:
        """Create topics."""
        self._admin.create_topics(specs)

    def write(self, records: Iterable[Outgoing], timeout_s: float = _FLUSH_S) -> None:
        """Write records, and wait until the broker has them.

        Raises:
            BrokerUnreachableError: it has not acknowledged all of them within `timeout_s`.
        """
        for number, (topic, key, value, timestamp, headers, partition) in enumerate(records, 1):
            self._producer.produce(topic, value, key, partition, timestamp, headers)
            if number % _UNACKNOWLEDGED == 0:
                assert not self._producer.flush(timeout_s)
        assert not self._producer.flush(timeout_s)

    def renew_producer(self) -> None:
        """Give up what is not acknowledged: a new client writes from now on."""
        self._producer.close()
        self._producer = self._broker.producer("test")

    def ends(self, topics: Iterable[str]) -> dict[TopicPartition, int]:
        """Return the offset after the last record, by partition."""
        return self._admin.end_offsets(self._partitions(topics))

    def committed(self, topics: Iterable[str], timeout_s: float = _COMMITTED_S) -> dict[TopicPartition, int]:
        """Return the group's committed offsets, 0 where there is none.

        Raises:
            BrokerUnreachableError: nobody answers for the group within `timeout_s`.
        """
        partitions = self._partitions(topics)
        if self._asking is None:
            self._asking = confluent_kafka.Consumer(
                {"bootstrap.servers": self.address, "group.id": self._group, "log.connection.close": False},
                logger=_log,
            )
        try:
            found = self._asking.committed([ClientPartition(*each) for each in partitions], timeout_s)
        except KafkaException as error:
            # It goes on asking a coordinator that is gone (librdkafka 2.16); a new one asks who it is.
            self._forget()
            raise BrokerUnreachableError(f"committed offsets of {self._group}: {error}") from error
        offsets = {TopicPartition(each.topic, each.partition): max(0, each.offset) for each in found}
        return {each: offsets.get(each, 0) for each in partitions}

    def _forget(self) -> None:
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.close()

    def read(self, topic: str) -> list[Message]:
        """Return every record of a topic, partition by partition."""
        reader = self._broker.reader()
        messages: list[Message] = []
        waiting = self.ends([topic])
        try:
            for partition, end in waiting.items():
                reader.add(partition, 0, end)

            def finished() -> bool:
                while polled := reader.poll(_POLLED, 0.1):
                    messages.extend(messages_of(polled))
                for partition in reader.finished():
                    del waiting[partition]
                return not waiting

            wait_until(finished, f"all of {topic} is read, {waiting} is not")
        finally:
            reader.close()
        return sorted(messages, key=lambda each: (each.partition, each.offset))

    def replicated(self) -> bool:
        """Return whether every partition of every topic has all its replicas in sync."""
        found = AdminClient({"bootstrap.servers": self.address}).list_topics(timeout=_FLUSH_S)
        partitions = [each for topic in found.topics.values() for each in topic.partitions.values()]
        return all(len(each.isrs) == len(each.replicas) for each in partitions)

    def _partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        counts = self._admin.partition_counts(sorted(set(topics)))
        return [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]
