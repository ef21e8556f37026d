"""A request to delete records, under way: its answers come in the client's own thread."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka import TopicPartition as ClientPartition

from pipeline.errors import BrokerError, StreamsError
from pipeline.record import TopicPartition
from pipeline.runtime.kafka.errors import translated_exception


class KafkaDeletion:
    """Satisfies `pipeline.runtime.deletion.Deletion`.

    Args:
        futures: the client's, by partition.
        address: of the cluster, for messages.
    """

    def __init__(self, futures: Mapping[ClientPartition, Future[Any]], address: str) -> None:
        self._futures, self._address = futures, address

    def failures(self) -> Mapping[TopicPartition, BrokerError] | None:
        """Return why partitions keep their records; None while an answer is outstanding."""
        if not all(future.done() for future in self._futures.values()):
            return None
        failures = {}
        for each, future in self._futures.items():
            cause = future.exception()
            if cause is not None:
                partition = TopicPartition(each.topic, each.partition)
                failures[partition] = _failure(cause, f"deleting records of {partition}", self._address)
        return failures


def _failure(cause: BaseException, what: str, address: str) -> BrokerError:
    if not isinstance(cause, KafkaException):
        raise cause
    error: StreamsError = translated_exception(cause, address, what)
    return error if isinstance(error, BrokerError) else BrokerError(str(error))
