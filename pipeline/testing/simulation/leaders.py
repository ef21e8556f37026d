"""The brokers behind the in-memory one: who leads a partition, and what cannot be reached without."""

from __future__ import annotations

from random import Random
from typing import Final

from pipeline.record import TopicPartition
from pipeline.runtime.memory import MemoryBroker

#: As many as a small cluster has.
_BROKERS: Final = 3
#: A leader is missed for up to so long.
_LONGEST_MS: Final = 10_000


class Leaders:
    """Partitions and coordinators, spread over brokers that can be killed.

    Args:
        broker: what all of them are one.
        random: draws who leads what, and for how long nobody does.
    """

    def __init__(self, broker: MemoryBroker, random: Random) -> None:
        self._broker, self._random = broker, random
        self._dead_until: dict[int, int] = {}
        self._moved = 0

    def kill(self, now_ms: int) -> list[TopicPartition]:
        """Kill one, and return the partitions that it leads."""
        dead = self._random.randrange(_BROKERS)
        self._dead_until[dead] = now_ms + self._random.randrange(_LONGEST_MS)
        lost = [
            TopicPartition(topic, number)
            for topic in self._broker.topics()
            for number in range(len(self._broker.partitions(topic)))
            if self._leader(topic, number) == dead
        ]
        for topic, number in lost:
            self._broker.partitions(topic)[number].available = False
        return lost

    def elect(self, now_ms: int) -> bool:
        """Let others lead what the dead led whose time is over; return whether any is."""
        back = [number for number, until in self._dead_until.items() if until <= now_ms]
        for number in back:
            del self._dead_until[number]
        if back:
            for topic in self._broker.topics():
                for number, partition in enumerate(self._broker.partitions(topic)):
                    partition.available = self._leader(topic, number) not in self._dead_until
            # The next broker to die leads other partitions.
            self._moved += 0 if self._dead_until else 1
        return bool(back)

    def coordinates(self, what: str) -> bool:
        """Whether the coordinator of this, such as of the group, can be reached."""
        return self._leader(what, 0) not in self._dead_until

    def _leader(self, topic: str, number: int) -> int:
        return (sum(topic.encode()) + number + self._moved) % _BROKERS
