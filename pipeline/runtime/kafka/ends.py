"""Where partitions end, found by reading: for brokers whose ListOffsets is not to be trusted.

The embedded broker (Tansu 0.6) answers "latest" with the first offset of the last batch plus one, so
that a restore up to it would miss the rest of that batch. What it says in fetches is right.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from confluent_kafka import TopicPartition as ClientPartition

from pipeline.record import TopicPartition
from pipeline.runtime.kafka.clients import new_consumer
from pipeline.runtime.kafka.errors import PARTITION_END, translated, unreachable
from pipeline.runtime.kafka.refusals import Reports
from pipeline.runtime.kafka.settings import Settings

_BATCH: Final = 10_000
_WAIT_S: Final = 0.1
_ATTEMPTS: Final = 300


def fetched_ends(settings: Settings, listed: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """Return the exact end of each partition.

    Args:
        settings: of a reader, which is told where partitions end.
        listed: an offset within the last batch plus one, or 0 for an empty partition.

    Raises:
        BrokerUnreachableError: no broker answers in 30 s.
    """
    address, ends = str(settings["bootstrap.servers"]), dict(listed)
    waiting = {partition for partition, end in listed.items() if end > 0}
    if not waiting:
        return ends
    client = new_consumer(settings, Reports())
    try:
        client.assign([ClientPartition(*partition, listed[partition] - 1) for partition in waiting])
        for _ in range(_ATTEMPTS):
            first = client.poll(_WAIT_S)
            for message in [] if first is None else [first, *client.consume(_BATCH, 0)]:
                partition = TopicPartition(message.topic() or "", message.partition() or 0)
                error = message.error()
                if error is not None and error.code() != PARTITION_END:
                    raise translated(error, address, f"looking for the end of {partition}")
                if error is not None:
                    ends[partition] = message.offset() or 0
                    waiting.discard(partition)
            if not waiting:
                return ends
    finally:
        client.close()
    names = ", ".join(sorted(map(str, waiting)))
    raise unreachable(address, f"looking for the end of {names}", "no answer in 30 s")
