"""A polled batch, by partition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from pipeline.record import TopicPartition
from pipeline.runtime.broker import Message


def by_partition(messages: Sequence[Message]) -> Mapping[TopicPartition, list[Message]]:
    """Return the messages of each partition, in their order.

    A batch is a few long runs of one partition: only where one ends is a key made.
    """
    runs: defaultdict[TopicPartition, list[Message]] = defaultdict(list)
    topic, partition = "", -1
    run: list[Message] = []
    for message in messages:
        if message.partition() != partition or message.topic() != topic:
            topic, partition = message.topic(), message.partition()
            run = runs[TopicPartition(topic, partition)]
        run.append(message)
    return runs
