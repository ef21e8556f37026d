"""Dead letters: a record that cannot be processed, as it came, with headers that say why and where.

Header names follow Kafka Streams (KIP-1034), so that tools made for it read ours.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

from pipeline.config import StreamsConfig
from pipeline.errors import DeliveryError, RecordError, StreamsError
from pipeline.record import Headers
from pipeline.runtime.metrics.recorder import Recorder
from pipeline.runtime.producer import Produce

_log = logging.getLogger(__name__)

_PREFIX = "__streams.errors."
#: Characters of a header's text: what a user's function raises may hold the whole record.
LONGEST_TEXT = 2_000


class Letter(NamedTuple):
    """What failed, as it came, and where it came from.

    Attributes:
        key: its key bytes.
        value: its value bytes.
        timestamp: the broker's timestamp in ms.
        headers: its headers.
        topic: where it was read from (for a row of a table: its changelog); empty for a punctuation.
        partition: likewise; -1 if there is none.
        offset: likewise.
    """

    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: Headers
    topic: str
    partition: int
    offset: int = -1

    @property
    def place(self) -> str:
        """Where it came from, in words."""
        if not self.topic:
            return "punctuation"
        return f"{self.topic}-{self.partition}" + ("" if self.offset < 0 else f" offset {self.offset}")


class DeadLetters:
    """Sends what fails to the dead-letter topic."""

    def __init__(self, config: StreamsConfig, produce: Produce, recorder: Recorder) -> None:
        self._produce, self._recorder = produce, recorder
        self.topic = config.dead_letter
        self._application = f"{config.application_id} {config.application_version}"

    def send(self, letter: Letter, error: Exception, reason: str) -> None:
        """Put a record aside.

        Args:
            letter: the record.
            error: what to say of it.
            reason: as what to count it.

        Raises:
            DeliveryError: it cannot be written.
        """
        if self.topic is None:
            raise StreamsError("no dead-letter topic is set")
        message = str(error)[:LONGEST_TEXT]
        why = {
            "exception": type(error.__cause__ or error).__name__,
            "message": message,
            "topic": letter.topic,
            "partition": str(letter.partition),
            "offset": str(letter.offset),
            "application": self._application,
        }
        headers = [*letter.headers, *((_PREFIX + name, text.encode()) for name, text in why.items())]
        try:
            self._produce(self.topic, letter.value, letter.key, -1, letter.timestamp, headers)
        except RecordError as refusal:
            raise DeliveryError(
                f"a dead letter cannot be written: {refusal}; it was to say: {message}"
            ) from refusal
        self._recorder.put_aside(letter.topic, reason)
        counters = self._recorder.counters
        count = counters["dead_letters"] = counters["dead_letters"] + 1
        if count & (count - 1) == 0:
            # The 1st, 2nd, 4th, 8th, ...: the topic has them all, the log says that there are some.
            _log.warning("dead letter %d, in topic %s: %s [%s]", count, self.topic, message, letter.place)
