"""Dead letters: a record that cannot be processed, as it came, with headers that say why and where.

Header names follow Kafka Streams (KIP-1034), so that tools made for it read ours.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from pipeline.config import StreamsConfig
from pipeline.errors import DeliveryError, RecordError, StreamsError, UnhandledRecordError
from pipeline.record import NO_HEADERS, Headers, TopicPartition
from pipeline.runtime.broker import Message, Producer, Undelivered
from pipeline.runtime.counters import Counters
from pipeline.state.store import Entry

_log = logging.getLogger(__name__)

_PREFIX = "__streams.errors."
#: Characters of a header's text: what a user's function raises may hold the whole record.
_LONGEST_TEXT = 2_000


@dataclass(frozen=True, slots=True)
class Failure:
    """Why and where a record failed.

    Attributes:
        exception: type of the error.
        message: what it says: operator, the user's function, file and line.
        topic: where the record was read from (for an update of a table: its changelog).
        partition: likewise.
        offset: likewise; -1 if it has none.
    """

    exception: str
    message: str
    topic: str
    partition: int
    offset: int


class Update(NamedTuple):
    """A table's update on its way to the operators after the table."""

    changelog: TopicPartition
    key: bytes
    entry: Entry
    serialize: Callable[[Any], bytes]


class DeadLetters:
    """Sends what fails to the dead-letter topic; without one, what fails stops the worker."""

    def __init__(self, config: StreamsConfig, producer: Producer, counters: Counters) -> None:
        self._config, self._producer, self._counters = config, producer, counters
        # A record that fails in several operators is one dead letter: the first reason counts.
        self._last: object = None

    @property
    def enabled(self) -> bool:
        """Whether there is a dead-letter topic."""
        return self._config.dead_letter is not None

    def message(self, message: Message, error: Exception) -> None:
        """Handle a consumed record that failed.

        Raises:
            UnhandledRecordError: there is no dead-letter topic.
        """
        where = f"{message.topic()}-{message.partition()} offset {message.offset()}"
        if not self.enabled:
            raise UnhandledRecordError(
                f"{error} [record {where}]; the worker stops here: mend the cause, or set dead_letter= to "
                "put such records aside"
            ) from error
        if message is self._last:
            return
        failure = Failure(
            type(error.__cause__ or error).__name__,
            str(error),
            message.topic(),
            message.partition(),
            message.offset(),
        )
        headers = message.headers() or NO_HEADERS
        self._send(message.key(), message.value(), message.timestamp()[1], headers, failure)
        self._last = message

    def update(self, update: Update, error: Exception) -> None:
        """Handle a table's update that an operator after the table failed on.

        Raises:
            UnhandledRecordError: there is no dead-letter topic.
        """
        topic, partition = update.changelog
        if not self.enabled:
            raise UnhandledRecordError(
                f"{error} [changed row of {topic}-{partition}]; the worker stops here: mend the cause, or "
                "set dead_letter= to put such records aside"
            ) from error
        if update is self._last:
            return
        entry = update.entry
        value = None if entry.value is None else update.serialize(entry.value)
        failure = Failure(type(error.__cause__ or error).__name__, str(error), topic, partition, -1)
        self._send(update.key, value, entry.timestamp, entry.headers, failure)
        self._last = update

    def undelivered(self, records: list[Undelivered], internal: frozenset[str]) -> None:
        """Handle records that the broker refused.

        Raises:
            DeliveryError: there is no dead-letter topic; or nobody acknowledged the record in time,
                which is not its fault; or it is state or a dead letter itself, and going on would
                lose it.
        """
        for record in records:
            reason = f"topic {record.topic!r} refused a record: {record.reason}"
            lost = record.topic == self._config.dead_letter or record.topic in internal
            if lost or record.timed_out or not self.enabled:
                raise DeliveryError(f"{reason}; the worker stops before it commits")
            failure = Failure("DeliveryError", reason, record.topic, record.partition, -1)
            self._send(record.key, record.value, record.timestamp, record.headers, failure)

    def _send(
        self, key: bytes | None, value: bytes | None, timestamp: int, headers: Headers, failure: Failure
    ) -> None:
        topic = self._config.dead_letter
        if topic is None:
            raise StreamsError("no dead-letter topic is set")
        why = {
            "exception": failure.exception,
            "message": failure.message,
            "topic": failure.topic,
            "partition": str(failure.partition),
            "offset": str(failure.offset),
            "application": f"{self._config.application_id} {self._config.application_version}",
        }
        added = [(_PREFIX + name, text[:_LONGEST_TEXT].encode()) for name, text in why.items()]
        try:
            self._producer.produce(topic, value, key, -1, timestamp, [*headers, *added])
        except RecordError as error:
            raise DeliveryError(
                f"a dead letter cannot be written: {error}; it was to say: {failure.message[:_LONGEST_TEXT]}"
            ) from error
        count = self._counters["dead_letters"] = self._counters["dead_letters"] + 1
        if count & (count - 1) == 0:
            # The 1st, 2nd, 4th, 8th, ...: the topic has them all, the log says that there are some.
            _log.warning("dead letter %d, in topic %s: %s", count, topic, failure.message[:_LONGEST_TEXT])
