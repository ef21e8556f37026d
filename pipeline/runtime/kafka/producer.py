"""Writes records through librdkafka's queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from pipeline.errors import BrokerUnreachableError, RecordTooLargeError, StreamsError, UnknownTopicError
from pipeline.record import NO_HEADERS, Headers
from pipeline.runtime.kafka.clients import new_producer
from pipeline.runtime.kafka.errors import (
    TIMED_OUT,
    UNKNOWN_TOPIC,
    translated,
    translated_exception,
)
from pipeline.runtime.kafka.refusals import is_refusal
from pipeline.runtime.kafka.settings import Settings, number
from pipeline.runtime.undelivered import Undelivered
from pipeline.state.rows import Log

#: Of a record that failed before a partition was chosen for it.
_NO_PARTITION: Final = -1

#: Of a failed record without headers: the client's report has none, and to carry it along would
#: cost every record more than producing does.
_NO_TIMESTAMP: Final = -1

#: How long one wait for room in the local queue lasts, at most; and after how many it is told of.
_ROOM_WAIT_S: Final = 0.05
_PATIENCE: Final = 20


class KafkaProducer:
    """Satisfies `pipeline.runtime.producer.Producer`.

    The client reads a timestamp of 0 as "now"; so a record of exactly 0 ms since the epoch is
    written with 1 ms. A failed record is returned with the timestamp -1 if it had no headers.

    Args:
        settings: see `pipeline.runtime.kafka.settings`.
    """

    def __init__(self, settings: Settings) -> None:
        self._address = str(settings["bootstrap.servers"])
        self._undelivered: list[Undelivered] = []
        self._refusal: StreamsError | None = None
        self._stalled: str | None = None
        self._crowd = number(settings, "queue.buffering.max.messages", 0) // 2
        # Delivered records never call Python (delivery.report.only.error): 0.3 us each saved.
        self._client = new_producer(settings, self._on_error, self._on_failure)
        self._produce: Callable[..., None]
        self.release()

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        timestamp: int,
        headers: Headers,
    ) -> None:
        """Queue one record; returns at once unless the local queue is full.

        Args:
            topic: destination.
            value: value bytes, None for a tombstone.
            key: key bytes or None.
            partition: -1 for murmur2 over the key as Kafka's Java client does (random for None).
            timestamp: event time in ms; -1 for the time of writing.
            headers: record headers.

        Raises:
            RecordTooLargeError: the record exceeds the producer's limit; nothing was queued.
            UnknownTopicError: there is no such topic, or no such partition; nothing was queued.
            BrokerError: the client cannot go on.
        """
        if timestamp <= 0:
            timestamp = 1 if timestamp == 0 else 0
        try:
            # Positional: parsing keywords takes a quarter of the time.
            if not headers:
                self._produce(topic, value, key, partition, None, None, timestamp)
                return
        except BufferError:
            self._client.poll(_ROOM_WAIT_S)
        except KafkaException as error:
            raise self._produce_error(error, topic, value, key) from error
        on_failure = partial(self._on_failure, timestamp=timestamp, headers=headers) if headers else None
        self._produce_waiting(topic, value, key, partition, on_failure, None, timestamp, list(headers))

    def log(self, topic: str, partition: int, records: Log) -> None:
        """Queue records, given by key and value, without headers, at the time of writing; raises likewise."""
        produce = self._produce
        for key, value in records:
            try:
                produce(topic, value, key, partition)
            except (BufferError, KafkaException):
                # Once more: it waits for room, or says what is wrong.
                self.produce(topic, value, key, partition, -1, NO_HEADERS)

    def hold(self, until: Callable[[], None]) -> None:
        """Queue nothing more before `until` has returned."""
        produce = self._client.produce

        def held(*arguments: Any) -> None:
            until()
            produce(*arguments)

        # Instead of a question that every record is asked.
        self._produce = held

    def release(self) -> None:
        """Queue again what is produced."""
        self._produce = self._client.produce

    def _produce_waiting(self, topic: str, value: bytes | None, key: bytes | None, *arguments: Any) -> None:
        """Queue a record, however long the local queue is full.

        It empties by itself: what is not delivered within delivery.timeout.ms fails.
        """
        waits = 0
        while True:
            try:
                self._produce(topic, value, key, *arguments)
            except BufferError:
                waits += 1
                if waits >= _PATIENCE:
                    self._stalled = self._full(topic)
                self._client.poll(_ROOM_WAIT_S)
            except KafkaException as error:
                self._stalled = None
                raise self._produce_error(error, topic, value, key) from error
            else:
                self._stalled = None
                return

    def _full(self, topic: str) -> str:
        return (
            f"the producer's queue is full: {len(self._client)} records wait for {self._address}, "
            f"and one for topic {topic} waits for room"
        )

    @property
    def crowded(self) -> bool:
        """Whether more than half of the local queue is taken: time to flush, before producing more."""
        return len(self._client) + len(self._undelivered) > self._crowd

    @property
    def stalled(self) -> str | None:
        """What keeps `produce` waiting for room in the local queue, once that takes a second."""
        return self._stalled

    def flush(self, timeout_s: float) -> Sequence[Undelivered]:
        """Wait until everything queued is acknowledged or has failed.

        Returns:
            The records that failed since the last flush, in the order they failed.

        Raises:
            BrokerUnreachableError: not everything was acknowledged within `timeout_s`. What is
                still queued stays queued: calling again is right.
            BrokerError: the broker refuses this client.
        """
        remaining = self._client.flush(timeout_s)
        if self._refusal is not None:
            raise self._refusal
        if remaining:
            raise BrokerUnreachableError(
                f"{self._address} has not acknowledged {remaining} records within {timeout_s:g} s: it is "
                "slow or away, or a topic has too few replicas in sync; nothing is processed until it has"
            )
        undelivered, self._undelivered = self._undelivered, []
        return undelivered

    @property
    def queued(self) -> int:
        """Number of records that are not acknowledged yet."""
        return len(self._client)

    def close(self) -> None:
        """Drop what is still queued and free the connection."""
        self._client.purge()
        self._client.close()

    def _on_failure(
        self,
        error: KafkaError | None,
        message: confluent_kafka.Message,
        timestamp: int = _NO_TIMESTAMP,
        headers: Headers = NO_HEADERS,
    ) -> None:
        if error is not None and is_refusal(error):
            # Whatever the settings say of records that a topic does not take: it would take none.
            what = f"producing to {message.topic()}"
            self._refusal = self._refusal or translated(error, self._address, what)
            return
        reason = "unknown" if error is None else f"{error.name()}: {error.str()}"
        self._undelivered.append(
            Undelivered(
                topic=message.topic() or "",
                partition=_NO_PARTITION if (partition := message.partition()) is None else partition,
                key=message.key(),
                value=message.value(),
                timestamp=timestamp,
                headers=headers,
                reason=reason,
                timed_out=error is not None and error.code() in TIMED_OUT,
            )
        )

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal() or is_refusal(error):
            self._refusal = self._refusal or translated(error, self._address, "producing")

    def _produce_error(
        self, error: KafkaException, topic: str, value: bytes | None, key: bytes | None
    ) -> StreamsError:
        size = len(value or b"") + len(key or b"")
        what = f"producing {size} bytes to {topic}"
        if error.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE:
            return RecordTooLargeError(f"{what}: more than the producer's limit, see message.max.bytes")
        if error.args[0].code() in UNKNOWN_TOPIC:
            return UnknownTopicError(f"{what}: there is no such topic or partition; create it")
        return translated_exception(error, self._address, what)
