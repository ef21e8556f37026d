"""A polled batch, by partition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Final

from pipeline.record import TopicPartition
from pipeline.runtime.broker import Message

_number_of: Final = attrgetter("partition")
_topic_of: Final = attrgetter("topic")


def by_partition(
    messages: Sequence[Message], topics: Collection[str]
) -> Mapping[TopicPartition, list[Message]]:
    """Return the messages of each partition, in their order.

    Args:
        messages: each partition's in their order.
        topics: whatever they may be of. Of a single one no message is asked for its topic.
    """
    runs: defaultdict[TopicPartition, list[Message]] = defaultdict(list)
    if not messages:
        return runs
    for number, of_number in groupby(messages, _number_of):
        if len(topics) == 1:
            (topic,) = topics
            runs[TopicPartition(topic, number)].extend(of_number)
        else:
            for topic, run in groupby(of_number, _topic_of):
                runs[TopicPartition(topic, number)].extend(run)
    return runs
