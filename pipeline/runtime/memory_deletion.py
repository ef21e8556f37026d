"""Deleting records from topics in memory, on request."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.errors import BrokerError, TopicGoneError
from pipeline.record import TopicPartition
from pipeline.runtime.memory_log import MemoryTopic


class MemoryDeletion:
    """Satisfies `pipeline.runtime.deletion.Deletion`: it was answered when it was asked for."""

    def __init__(self, failures: Mapping[TopicPartition, BrokerError]) -> None:
        self._failures = failures

    def failures(self) -> Mapping[TopicPartition, BrokerError]:
        """Return why partitions keep their records."""
        return self._failures


def deleted(
    topics: Mapping[TopicPartition, MemoryTopic], before: Mapping[TopicPartition, int]
) -> MemoryDeletion:
    """Delete what lies before each offset.

    Args:
        topics: the topics of those partitions that exist.
        before: offsets by partition.
    """
    failures: dict[TopicPartition, BrokerError] = {}
    for partition, offset in before.items():
        topic = topics.get(partition)
        if topic is None or partition.partition >= len(topic.partitions):
            failures[partition] = TopicGoneError(f"deleting records of {partition}: it does not exist")
        elif "delete" not in topic.config.get("cleanup.policy", "delete"):
            failures[partition] = BrokerError(f"deleting records of {partition}: it is compacted")
        elif offset > topic.partitions[partition.partition].end:
            failures[partition] = BrokerError(f"deleting records of {partition}: {offset} is past its end")
        else:
            topic.partitions[partition.partition].delete_before(offset)
    return MemoryDeletion(failures)
