"""What the broker knows of a group: who has which partitions, and how far each is committed."""

from __future__ import annotations

from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from pipeline.errors import BrokerUnreachableError
from pipeline.runtime.kafka import KafkaBroker

_TIMEOUT_S: Final = 10.0


class Group:
    """A group that reads one topic.

    Args:
        address: bootstrap servers.
        name: of the group.
        topic: that it reads.
        partitions: of the topic.
    """

    def __init__(self, address: str, name: str, topic: str, partitions: int) -> None:
        self._name, self._topic = name, topic
        self._partitions = [TopicPartition(topic, number) for number in range(partitions)]
        self._known = [0] * partitions
        settings = {"bootstrap.servers": address, "group.id": name, "log_level": 3}
        self._client = Consumer(settings | {"enable.auto.commit": False})
        self._admin = KafkaBroker(address).admin()

    def committed(self) -> list[int]:
        """Return how many records are committed, by partition; as it was while nobody answers."""
        try:
            found = self._client.committed(self._partitions, timeout=_TIMEOUT_S)
        except KafkaException:
            return self._known
        self._known = [max(0, partition.offset) for partition in found]
        return self._known

    def written(self, topic: str) -> int:
        """Return how many records were written to a topic of as many partitions."""
        ends = [
            self._client.get_watermark_offsets(TopicPartition(topic, partition.partition), timeout=_TIMEOUT_S)
            for partition in self._partitions
        ]
        return sum(end[1] for end in ends)

    def shares(self) -> list[int]:
        """Return how many partitions of the topic each member has, in ascending order.

        Nobody has any while the group's coordinator does not answer, as when the group is new.
        """
        try:
            members = self._admin.group_members(self._name)
        except BrokerUnreachableError:
            return []
        return sorted(
            sum(partition.topic == self._topic for partition in each.partitions) for each in members
        )

    def close(self) -> None:
        """Free the connections."""
        self._client.close()
        self._admin.close()
