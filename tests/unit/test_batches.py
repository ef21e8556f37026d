"""Polled batches by partition: whatever the order in which a client gives them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.record import NO_HEADERS, TopicPartition
from pipeline.runtime.batches import by_partition
from pipeline.runtime.broker import Message
from pipeline.runtime.memory_log import MemoryMessage

TOPICS = ("clicks", "users")
PARTITIONS = st.builds(TopicPartition, st.sampled_from(TOPICS), st.integers(0, 2))


def message(partition: TopicPartition, offset: int) -> Message:
    return MemoryMessage(*partition, offset, key=None, value=b"v", timestamp=0, headers=NO_HEADERS)


@given(st.lists(PARTITIONS, max_size=20))
def test_each_partition_has_its_messages_in_their_order(order: list[TopicPartition]) -> None:
    messages = [message(partition, offset) for offset, partition in enumerate(order)]
    found = {part: [each.offset for each in run] for part, run in by_partition(messages, TOPICS).items()}
    assert found == {part: [n for n, of in enumerate(order) if of == part] for part in set(order)}


@given(st.lists(st.integers(0, 2), max_size=20))
def test_messages_of_one_topic_are_told_apart_by_their_number(order: list[int]) -> None:
    messages = [message(TopicPartition("users", number), offset) for offset, number in enumerate(order)]
    assert by_partition(messages, {"users"}) == by_partition(messages, TOPICS)
