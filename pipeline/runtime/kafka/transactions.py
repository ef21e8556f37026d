"""Writes records and offsets in transactions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as ClientPartition

from pipeline.errors import BrokerUnreachableError, StreamsError, TaskMigratedError
from pipeline.record import TopicPartition
from pipeline.runtime.broker import Committed
from pipeline.runtime.kafka.abandoned import CallAbandonedError, CallThread
from pipeline.runtime.kafka.errors import translated_exception, unreachable
from pipeline.runtime.kafka.producer import KafkaProducer
from pipeline.runtime.kafka.refusals import is_refusal
from pipeline.runtime.kafka.settings import Settings
from pipeline.runtime.undelivered import Undelivered

_log: Final = logging.getLogger(__name__)
#: How long one call waits for the transaction's coordinator.
_WAIT_S: Final = 5.0
#: When it should have returned, and will not; see `abandoned`.
_OVERDUE_S: Final = _WAIT_S + 1.0
#: For closing: to abort, and once more as the client does itself.
_CLOSE_S: Final = 2 * _WAIT_S


class KafkaTransactionalProducer(KafkaProducer):
    """Satisfies `pipeline.runtime.producer.TransactionalProducer`.

    Args:
        settings: with `transactional.id`; see `pipeline.runtime.kafka.settings`.
        compiled: as of `KafkaProducer`.

    Raises:
        BrokerUnreachableError: the transaction's coordinator does not answer.
        BrokerError: the broker refuses this producer.
    """

    def __init__(self, settings: Settings, *, compiled: bool) -> None:
        super().__init__(settings, compiled=compiled)
        self._id = str(settings["transactional.id"])
        #: The broker was asked to commit, and has not answered: the same commit must be asked for again.
        self._committing = False
        self._thread = CallThread(f"transactions of {self._id}")
        try:
            self._call("taking over", self._client.init_transactions, _WAIT_S)
            self._client.begin_transaction()
        except BaseException:
            # As always: the client of a producer that was refused does not even drop what is queued.
            self.close()
            raise

    def flush(self, timeout_s: float) -> Sequence[Undelivered]:
        """Wait until everything queued is acknowledged or has failed.

        Returns:
            The records that failed since the last flush.

        Raises:
            BrokerUnreachableError: not everything was acknowledged within `timeout_s`.
            TaskMigratedError: the transaction cannot be committed any more: close the producer.
            BrokerError: the broker refuses this client.
        """
        try:
            undelivered = super().flush(timeout_s)
        except BrokerUnreachableError:
            self._check_open()
            raise
        if undelivered:
            self._check_open(undelivered)
        return undelivered

    def _check_open(self, undelivered: Sequence[Undelivered] = ()) -> None:
        """Raise what has ended the transaction: what is queued would wait in vain.

        Asked to begin another one, the client says what became of this one, or that it is under way.
        """
        try:
            self._client.begin_transaction()
        except KafkaException as error:
            if error.args[0].code() == KafkaError._STATE:  # noqa: SLF001 (librdkafka's own codes begin with an underscore)
                return
            # What fails now is what was waiting: the error itself names no topic.
            self._client.purge()
            self._client.poll(0)
            self._collect()
            topics = sorted({record.topic for record in (*undelivered, *self._undelivered)})
            what = f"producing to {', '.join(topics)} in the transaction of {self._id}"
            raise self._translated(error, what) from error

    def commit(self, offsets: Mapping[TopicPartition, Committed], member: object) -> None:
        """Commit what was produced and flushed, with the offsets of a group member, and begin anew.

        Raises:
            BrokerUnreachableError: not now; call again with the same offsets, before producing more.
            TaskMigratedError: the transaction cannot be committed any more: close the producer.
            BrokerError: anything that a new producer cannot mend.
        """
        if not self._committing:
            entries = [
                ClientPartition(topic, partition, offset, metadata)
                for (topic, partition), (offset, metadata) in offsets.items()
            ]
            send = partial(self._client.send_offsets_to_transaction, entries, member, _WAIT_S)
            topics = ", ".join(sorted({partition.topic for partition in offsets}))
            self._call(f"sending offsets of {topics} to", self._send, send)
            self._committing = True
        self._call("committing", self._client.commit_transaction, _WAIT_S)
        self._committing = False
        self._client.begin_transaction()

    def _send(self, send: Callable[[], object]) -> None:
        try:
            self._thread.call(send, _OVERDUE_S)
        except CallAbandonedError as error:
            raise TaskMigratedError(
                f"sending offsets to the transaction of {self._id}: the client still waits for a broker that "
                "is gone; another producer takes over, and what was in hand comes again"
            ) from error

    def close(self) -> None:
        """Abort what was not committed, and free the connection: later, if the client waits for a broker."""
        if not self._thread.close_with(self._close, _CLOSE_S):
            _log.warning(
                "the producer of %s still waits for a broker, to abort its transaction: it is left to it; "
                "who takes over its id goes on at once",
                self._id,
            )

    def _close(self) -> None:
        for step in (
            self._client.purge,
            partial(self._client.abort_transaction, _WAIT_S),
            self._sender.release,
            self._client.close,
        ):
            try:
                step()
            except KafkaException as error:
                # Fenced, or nobody answers: the broker aborts it when the id is taken over, or after
                # transaction.timeout.ms.
                _log.info("closing the producer of %s: %s", self._id, error)

    def _produce_error(
        self, error: KafkaException, topic: str, value: bytes | None, key: bytes | None
    ) -> StreamsError:
        if error.args[0].code() == KafkaError._STATE:  # noqa: SLF001 (see above)
            self._check_open()
            # Aborted meanwhile, by the broker or for a record that was not acknowledged in time.
            return self._translated(error, f"producing to {topic} in the transaction of {self._id}")
        return super()._produce_error(error, topic, value, key)

    def _call(self, what: str, function: Callable[..., Any], *arguments: Any) -> None:
        try:
            function(*arguments)
        except KafkaException as error:
            raise self._translated(error, f"{what} the transaction of {self._id}") from error

    def _translated(self, error: KafkaException, what: str) -> StreamsError:
        cause: KafkaError = error.args[0]
        reason = f"{cause.name()}: {cause.str()}"
        if is_refusal(cause):
            return translated_exception(error, self._address, what)
        if cause.code() == KafkaError._FENCED:  # noqa: SLF001 (see above)
            return TaskMigratedError(
                f"{what}: it took longer than transaction_timeout and the broker aborted it, or another "
                f"worker runs on a copy of this one's data folder; what was in hand comes again ({reason})"
            )
        if cause.txn_requires_abort() or cause.code() == KafkaError._STATE:  # noqa: SLF001 (see above)
            return TaskMigratedError(f"{what}: it is aborted, and what was in hand comes again ({reason})")
        if cause.retriable():
            return unreachable(self._address, what, reason)
        return translated_exception(error, self._address, what)
