"""Reads what the measured process writes, and how old it is then."""

from __future__ import annotations

import time
from array import array
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition

from benchmarks.digest import Digest
from benchmarks.live.feed import age_us, fingerprint, now_us
from benchmarks.topics import PARTITIONS

_BATCH: Final = 1_000
_WAIT_S: Final = 0.1


class Arrivals(NamedTuple):
    """What came.

    Attributes:
        digest: of it.
        moments: when each record came, in seconds of `time.perf_counter`.
        ages: how old each was then, in microseconds.
    """

    digest: Digest
    moments: array[float]
    ages: array[int]


class ResultReader:
    """Reads a topic from its end on.

    Args:
        address: bootstrap servers.
        topic: what is read; of transactions, what is committed.
    """

    def __init__(self, address: str, topic: str) -> None:
        self._topic = topic
        self._client = Consumer(
            {
                "bootstrap.servers": address,
                "group.id": "benchmark-reader",
                "enable.auto.commit": False,
                "fetch.queue.backoff.ms": 5,
            }
        )
        self._client.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])

    def read(self, records: int, patience_s: float) -> Arrivals:
        """Return the next records.

        Args:
            records: how many.
            patience_s: how long the next one may take.

        Raises:
            TimeoutError: it took longer.
        """
        found = Arrivals(Digest(), array("d"), array("q"))
        last = time.perf_counter()
        while found.digest.records < records:
            first = self._client.poll(_WAIT_S)
            if first is None:
                if time.perf_counter() - last > patience_s:
                    raise TimeoutError(
                        f"{found.digest.records} of {records} records came to {self._topic}, then none for "
                        f"{patience_s:g} s"
                    )
                continue
            batch = [first, *self._client.consume(_BATCH, 0)]
            last, now = time.perf_counter(), now_us()
            for message in batch:
                if (error := message.error()) is not None:
                    raise KafkaException(error)
                value = message.value() or b""
                found.moments.append(last)
                found.ages.append(age_us(value, now))
                fingerprint(found.digest, message.key() or b"", value)
        return found

    def close(self) -> None:
        """Free the connection."""
        self._client.close()
