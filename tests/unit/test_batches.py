"""Polled batches by partition: whatever the order in which a client gives them."""

from __future__ import annotations

from confluent_kafka import Message as ClientMessage
from hypothesis import given
from hypothesis import strategies as st

from pipeline.record import NO_HEADERS, TopicPartition
from pipeline.runtime.batches import by_partition
from pipeline.runtime.broker import Message
from pipeline.runtime.memory_log import MemoryMessage

TOPICS = ("clicks", "users")
PARTITIONS = st.builds(TopicPartition, st.sampled_from(TOPICS), st.integers(0, 2))


def of_client(partition: TopicPartition, offset: int) -> Message:
    topic, number = partition
    message: Message = ClientMessage(topic=topic, partition=number, offset=offset, value=b"v")  # type: ignore[assignment] # it says that all may be None
    return message


def in_memory(partition: TopicPartition, offset: int) -> Message:
    topic, number = partition
    return MemoryMessage(
        topic, number, offset, key=None, value=b"v", timestamp=(1, 0), headers=NO_HEADERS, transaction=None
    )


@given(st.lists(PARTITIONS, max_size=20), st.sampled_from([of_client, in_memory]))
def test_each_partition_has_its_messages_in_their_order(order: list[TopicPartition], make: type) -> None:
    messages = [make(partition, offset) for offset, partition in enumerate(order)]
    found = {part: [each.offset() for each in run] for part, run in by_partition(messages, TOPICS).items()}
    assert found == {part: [n for n, of in enumerate(order) if of == part] for part in set(order)}


@given(st.lists(st.integers(0, 2), max_size=20))
def test_messages_of_one_topic_are_told_apart_by_their_number(order: list[int]) -> None:
    messages = [of_client(TopicPartition("users", number), offset) for offset, number in enumerate(order)]
    assert by_partition(messages, {"users"}) == by_partition(messages, TOPICS)
