"""Topics for a benchmark: made, filled, and read back to check what was written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.events import Event

PARTITIONS: Final = 4

#: Never deleted by time, whatever the timestamps say.
KEPT: Final = {"retention.ms": "-1"}

#: How long a broker may take to answer, or to send the next record.
_TIMEOUT_S: Final = 30.0
_BATCH: Final = 10_000


def create_topic(address: str, name: str, config: Mapping[str, str], partitions: int = PARTITIONS) -> None:
    """Create a topic.

    Raises:
        KafkaException: the broker refuses it.
    """
    admin = AdminClient({"bootstrap.servers": address, "log_level": 3})
    made = admin.create_topics([NewTopic(name, partitions, 1, config=dict(config))])
    made[name].result(timeout=_TIMEOUT_S)


def delete_topic(address: str, name: str) -> None:
    """Delete a topic.

    Raises:
        KafkaException: the broker refuses it.
    """
    admin = AdminClient({"bootstrap.servers": address, "log_level": 3})
    admin.delete_topics([name])[name].result(timeout=_TIMEOUT_S)


def fill(address: str, topics: Mapping[str, str], events: Iterable[Event]) -> None:
    """Produce events, partitioned by key as Kafka's Java client does.

    Args:
        address: bootstrap servers.
        topics: where the events of each `Event.topic` go.
        events: what to produce.

    Raises:
        KafkaException: a record could not be delivered.
    """
    failures: list[KafkaError] = []

    def failed(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failures.append(error)

    producer = Producer(
        {
            "bootstrap.servers": address,
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "linger.ms": 5,
            "batch.size": 256 * 1024,
            "queue.buffering.max.messages": 200_000,
            "delivery.report.only.error": True,
            "on_delivery": failed,
            # A broker that has just started makes the client warn that it tries again.
            "log_level": 3,
        }
    )
    produce = producer.produce
    for event in events:
        while True:
            try:
                produce(topics[event.topic], event.value, event.key, -1, None, None, event.timestamp)
            except BufferError:
                producer.poll(0.05)
            else:
                break
    left = producer.flush(_TIMEOUT_S)
    if failures:
        raise KafkaException(failures[0])
    if left:
        raise TimeoutError(
            f"{left} records for {', '.join(topics.values())} were not acknowledged within {_TIMEOUT_S:g} s"
        )


def ends(address: str, topic: str, partitions: int = PARTITIONS) -> list[int]:
    """Return where the partitions of a topic end."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "benchmark-ends"})
    try:
        return [
            consumer.get_watermark_offsets(TopicPartition(topic, number), _TIMEOUT_S)[1]
            for number in range(partitions)
        ]
    finally:
        consumer.close()


def read_all(address: str, topic: str, partitions: int = PARTITIONS) -> Iterator[tuple[bytes, bytes | None]]:
    """Return key and value of every record, in offset order within a partition.

    Raises:
        KafkaException: the broker refuses to be read.
        TimeoutError: nothing came although the end was not reached.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": "benchmark-check",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.queue.backoff.ms": 5,
        }
    )
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    open_partitions = set(range(partitions))
    try:
        while open_partitions:
            batch = consumer.consume(_BATCH, 1.0)
            first = batch[0] if batch else consumer.poll(_TIMEOUT_S)
            if first is None:
                raise TimeoutError(f"no record and no end of {topic} within {_TIMEOUT_S:g} s")
            for message in batch or [first]:
                error = message.error()
                if error is None:
                    yield message.key() or b"", message.value()
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 (the client's public name for it)
                    open_partitions.discard(message.partition() or 0)
                else:
                    raise KafkaException(error)
    finally:
        consumer.close()
