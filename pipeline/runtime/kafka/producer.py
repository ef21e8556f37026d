"""Writes records through librdkafka's queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException

from pipeline.errors import BrokerUnreachableError, RecordTooLargeError, StreamsError, UnknownTopicError
from pipeline.record import NO_HEADERS, Headers
from pipeline.runtime.kafka.errors import (
    TIMED_OUT,
    UNKNOWN_TOPIC,
    translated,
    translated_exception,
)
from pipeline.runtime.kafka.refusals import is_refusal
from pipeline.runtime.kafka.sending import new_sender
from pipeline.runtime.kafka.settings import Settings, number
from pipeline.runtime.undelivered import Undelivered
from pipeline.state.rows import Log

#: How long one wait for room in the local queue lasts, at most; and after how many it is told of.
_ROOM_WAIT_S: Final = 0.05
_PATIENCE: Final = 20


class KafkaProducer:
    """Satisfies `pipeline.runtime.producer.Producer`.

    The client reads a timestamp of 0 as "now"; so a record of exactly 0 ms since the epoch is
    written with 1 ms. A failed record is returned with the timestamp -1 if it had no headers.

    Args:
        settings: see `pipeline.runtime.kafka.settings`.
        compiled: whether records are queued by the compiled part, see `sending`.
    """

    def __init__(self, settings: Settings, *, compiled: bool) -> None:
        self._address = str(settings["bootstrap.servers"])
        self._undelivered: list[Undelivered] = []
        self._refusal: StreamsError | None = None
        self._stalled: str | None = None
        self._crowd = number(settings, "queue.buffering.max.messages", 0) // 2
        self._sender = new_sender(settings, self._on_error, compiled=compiled)
        self._client = self._sender.client
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
            self._produce(topic, value, key, partition, timestamp, headers)
        except BufferError:
            self._client.poll(_ROOM_WAIT_S)
        except KafkaException as error:
            raise self._produce_error(error, topic, value, key) from error
        else:
            return
        self._produce_waiting(topic, value, key, partition, timestamp, headers)

    def log(self, topic: str, partition: int, records: Log) -> None:
        """Queue records, given by key and value, without headers, at the time of writing; raises likewise."""
        produce = self._produce
        for key, value in records:
            try:
                produce(topic, value, key, partition, 0, NO_HEADERS)
            except (BufferError, KafkaException):
                # Once more: it waits for room, or says what is wrong.
                self.produce(topic, value, key, partition, -1, NO_HEADERS)

    def hold(self, until: Callable[[], None]) -> None:
        """Queue nothing more before `until` has returned."""
        produce = self._sender.produce

        def held(*arguments: Any) -> None:
            until()
            produce(*arguments)

        # Instead of a question that every record is asked.
        self._produce = held

    def release(self) -> None:
        """Queue again what is produced."""
        self._produce = self._sender.produce

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
        return len(self._client) + self._sender.failed + len(self._undelivered) > self._crowd

    @property
    def stalled(self) -> str | None:
        """What keeps `produce` waiting for room in the local queue, once that takes a second."""
        return self._stalled

    def flush(self, timeout_s: float) -> Sequence[Undelivered]:
        """Wait until everything queued is acknowledged or has failed.

        Returns:
            The records that failed since the last flush.

        Raises:
            BrokerUnreachableError: not everything was acknowledged within `timeout_s`. What is
                still queued stays queued: calling again is right.
            BrokerError: the broker refuses this client.
        """
        remaining = self._client.flush(timeout_s)
        self._collect()
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
        self._sender.release()
        self._client.close()

    def _collect(self) -> None:
        """Take note of what failed."""
        for failure in self._sender.failures():
            error = failure.error
            if is_refusal(error):
                # Whatever the settings say of records that a topic does not take: it would take none.
                what = f"producing to {failure.topic}"
                self._refusal = self._refusal or translated(error, self._address, what)
            else:
                reason, timed_out = f"{error.name()}: {error.str()}", error.code() in TIMED_OUT
                self._undelivered.append(Undelivered(*failure[1:], reason=reason, timed_out=timed_out))

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
