"""A polled batch, by partition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby

from pipeline.record import TopicPartition
from pipeline.runtime.broker import Message


def by_partition(
    messages: Sequence[Message], topics: Collection[str]
) -> Mapping[TopicPartition, list[Message]]:
    """Return the messages of each partition, in their order.

    Args:
        messages: all of one type.
        topics: whatever they may be of. Of a single one no message is asked for its topic.
    """
    runs: defaultdict[TopicPartition, list[Message]] = defaultdict(list)
    if not messages:
        return runs
    # What the type itself has is called without a step of Python for each message.
    kind = type(messages[0])
    for number, of_number in groupby(messages, kind.partition):
        if len(topics) == 1:
            (topic,) = topics
            runs[TopicPartition(topic, number)].extend(of_number)
        else:
            for topic, run in groupby(of_number, kind.topic):
                runs[TopicPartition(topic, number)].extend(run)
    return runs
