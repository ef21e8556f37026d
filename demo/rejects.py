"""What the pipeline put aside: how much, and for instance why."""

from __future__ import annotations

from typing import Final, NamedTuple

from demo.topics import DEAD_LETTERS, PARTITIONS
from pipeline.record import TopicPartition
from pipeline.runtime.broker import messages_of
from pipeline.runtime.kafka import KafkaBroker

_MESSAGE: Final = "__streams.errors.message"
_TOPIC: Final = "__streams.errors.topic"
_SHOWN_BYTES: Final = 60
_READ_S: Final = 2.0


class Reject(NamedTuple):
    """One dead letter.

    Attributes:
        topic: where the record came from.
        value: the beginning of it.
        reason: why it was put aside.
    """

    topic: str
    value: str
    reason: str


class Rejects:
    """The topic of dead letters.

    Args:
        broker: where it is.
    """

    def __init__(self, broker: KafkaBroker) -> None:
        self._broker = broker
        self._partitions = [TopicPartition(DEAD_LETTERS, number) for number in range(PARTITIONS)]

    def ends(self) -> dict[TopicPartition, int]:
        """Return how many there are, by partition.

        Raises:
            BrokerError: the broker does not answer.
        """
        admin = self._broker.admin()
        try:
            return admin.end_offsets(self._partitions)
        finally:
            admin.close()

    def latest(self, ends: dict[TopicPartition, int]) -> Reject | None:
        """Return the last one of the fullest partition; None if it cannot be read within 2 s."""
        partition = max(ends, key=ends.__getitem__)
        end = ends[partition]
        if not end:
            return None
        reader = self._broker.reader()
        try:
            reader.add(partition, end - 1, end)
            for message in messages_of(reader.poll(1, _READ_S)):
                headers = dict(message.headers)
                value = (message.value or b"")[:_SHOWN_BYTES]
                return Reject(
                    (headers.get(_TOPIC) or b"").decode(),
                    value.decode(errors="backslashreplace"),
                    (headers.get(_MESSAGE) or b"").decode(),
                )
        finally:
            reader.close()
        return None
