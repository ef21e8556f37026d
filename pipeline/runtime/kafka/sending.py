"""Records onto a producer's queue: by the compiled part, or by the Python client where that is not there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple, Protocol

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from pipeline.compiled import native
from pipeline.record import NO_HEADERS, Headers
from pipeline.runtime.kafka.clients import new_producer
from pipeline.runtime.kafka.linked import with_plugin
from pipeline.runtime.kafka.settings import Settings
from pipeline.runtime.producer import Produce

#: Of a record that failed before a partition was chosen for it.
_NO_PARTITION: Final = -1

#: Of a failed record without headers: the client's report has none, and to carry it along would
#: cost every record more than producing does.
_NO_TIMESTAMP: Final = -1


class Failure(NamedTuple):
    """A record that was not delivered, and why; without headers it has lost its timestamp."""

    error: KafkaError
    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: Headers


class Sender(Protocol):
    """A client that produces, and what queues its records.

    Attributes:
        client: for all but queueing records.
        produce: queues one; a timestamp of 0 is the time of writing. Raises BufferError if the local queue is
            full, KafkaException if the client does not take the record.
    """

    client: confluent_kafka.Producer
    produce: Produce

    @property
    def failed(self) -> int:
        """Number of records that `failures` would return."""
        ...

    def failures(self) -> Sequence[Failure]:
        """Return and forget what failed."""
        ...

    def release(self) -> None:
        """Have nothing of the client in hand, so that it can be closed."""
        ...


def new_sender(settings: Settings, on_error: Callable[[KafkaError], None], *, compiled: bool) -> Sender:
    """Return a new client of its own.

    Args:
        settings: of the client.
        on_error: what it calls back with errors.
        compiled: whether to use the compiled part; it must be there then.

    Raises:
        ConfigError: the client does not take the settings.
    """
    return (CompiledSender if compiled else ClientSender)(settings, on_error)


class ClientSender:
    """Queues records as the client does."""

    def __init__(self, settings: Settings, on_error: Callable[[KafkaError], None]) -> None:
        self._failures: list[Failure] = []
        # Delivered records never call Python (delivery.report.only.error): 0.3 us each saved.
        self.client = new_producer(settings, on_error, self._on_failure)
        self.produce: Produce = self._produce

    def _produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        timestamp: int,
        headers: Headers,
    ) -> None:
        # Positional: parsing keywords takes a quarter of the time.
        if not headers:
            self.client.produce(topic, value, key, partition, None, None, timestamp)
            return
        on_failure = partial(self._on_failure, timestamp=timestamp, headers=headers)
        self.client.produce(topic, value, key, partition, on_failure, None, timestamp, list(headers))

    @property
    def failed(self) -> int:
        """Number of records that `failures` would return."""
        return len(self._failures)

    def failures(self) -> Sequence[Failure]:
        """Return and forget what failed, in its order."""
        failures, self._failures = self._failures, []
        return failures

    def release(self) -> None:
        """Have nothing of the client in hand: nothing is to be done."""

    def _on_failure(
        self,
        error: KafkaError | None,
        message: confluent_kafka.Message,
        timestamp: int = _NO_TIMESTAMP,
        headers: Headers = NO_HEADERS,
    ) -> None:
        partition = message.partition()
        self._failures.append(
            Failure(
                error=KafkaError(KafkaError.UNKNOWN) if error is None else error,
                topic=message.topic() or "",
                partition=_NO_PARTITION if partition is None else partition,
                key=message.key(),
                value=message.value(),
                timestamp=timestamp,
                headers=headers,
            )
        )


class CompiledSender(ClientSender):
    """Queues records without headers in C, and notes there what failed; the client queues the others."""

    def __init__(self, settings: Settings, on_error: Callable[[KafkaError], None]) -> None:
        super().__init__(with_plugin(settings), on_error)
        self._native = native.Producer(self.client, _exception, self._produce)
        self.produce = self._native.produce

    @property
    def failed(self) -> int:
        """Number of records that `failures` would return."""
        return super().failed + len(self._native)

    def failures(self) -> Sequence[Failure]:
        """Return and forget what failed: first what has headers."""
        without = [
            Failure(KafkaError(code), topic, partition, key, value, _NO_TIMESTAMP, NO_HEADERS)
            for code, topic, partition, key, value in self._native.failures()
        ]
        return [*super().failures(), *without]

    def release(self) -> None:
        """Have nothing of the client in hand, so that it can be closed."""
        self._native.close()


def _exception(code: int) -> KafkaException:
    return KafkaException(KafkaError(code))
