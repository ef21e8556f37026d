"""What comes of a record's bytes: key, value and event time; or the reason why nothing does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeAlias

from pipeline.clock import Clock
from pipeline.errors import BrokerError, NoTimeError, RecordError, SerdeError, StreamsError
from pipeline.record import Headers, Record
from pipeline.runtime.broker import Message
from pipeline.serde import BytesSerde, Serde
from pipeline.timestamps import ByClock, TimestampExtractor
from pipeline.topology import Source, describe_function

#: 9999-12-31T23:59:59.999Z, the last time that RFC 3339 can write. Stream time never goes back: one
#: record from beyond it would make every record after it late.
LAST_TIME_MS: Final = 253_402_300_799_999

#: Key, value, event time in ms, headers.
Decoded: TypeAlias = tuple[Any, Any, int, Headers]


class Decoding:
    """Decodes the records of a source.

    Args:
        source: the node that reads them.
        limit_bytes: how large a value may be.
        clock: for extractors that want the wall clock.
        reject: called with a message and the reason it cannot be decoded.

    Attributes:
        key: decodes a key that is there; None: bytes stay what they are, which is not worth a call for each.
        value: likewise a value.
        extract: returns the event time; None: it is the record's own.
    """

    def __init__(
        self, source: Source, limit_bytes: int, clock: Clock, reject: Callable[[Message, RecordError], None]
    ) -> None:
        self._source, self._limit_bytes, self._reject = source, limit_bytes, reject
        self.key, self.value = _decoding(source.key), _decoding(source.value)
        self.extract = None if source.timestamp is None else self._extractor(source.timestamp, clock)

    def __call__(self, message: Message, partition_time: int) -> Decoded | None:
        """Return what a message is decoded to; None: it was rejected.

        Raises:
            StreamsError: what stops the worker.
        """
        key, value, timestamp = message.key, message.value, message.timestamp
        try:
            if value is not None and len(value) > self._limit_bytes:
                raise self._too_large(len(value))
            try:
                if self.key is not None and key is not None:
                    key = self.key(key)
                if self.value is not None and value is not None:
                    value = self.value(value)
            except Exception as error:
                raise self._undecodable(message, error) from error
            if self.extract is not None:
                timestamp = self.extract(Record(key, value, timestamp, message.headers), partition_time)
        except SerdeError as error:
            self._reject(message, error)
            return None
        return key, value, timestamp, message.headers

    def reject_time(self, message: Message, timestamp: int) -> None:
        """Reject a message for an event time that no record can have."""
        if timestamp < 0 and self._source.timestamp is not None:
            who = describe_function(self._source.timestamp)
            reason = f"{self._source}: event time {timestamp} ms by timestamp extractor {who}: dropped"
            self._reject(message, NoTimeError(reason))
        else:
            reason = f"event time {timestamp} ms is not within the years 1970 to 9999"
            self._reject(message, SerdeError(f"{self._source}: {reason}; give the source another timestamp="))

    def _extractor(self, given: TimestampExtractor, clock: Clock) -> Callable[[Record[Any, Any], int], int]:
        extract = given.make(clock) if isinstance(given, ByClock) else given
        who = f"{self._source}: timestamp extractor {describe_function(extract)}"

        def extracted(record: Record[Any, Any], partition_time: int) -> int:
            try:
                timestamp = extract(record, partition_time)
            except Exception as error:
                raise SerdeError(f"{who} raised {type(error).__name__}: {error}") from error
            if not isinstance(timestamp, int):
                raise SerdeError(f"{who} returned {type(timestamp).__name__}, not ms")
            return timestamp

        return extracted

    def _too_large(self, size: int) -> SerdeError:
        return SerdeError(
            f"{self._source}: value of {size} bytes exceeds max_record_bytes ({self._limit_bytes})"
        )

    def _undecodable(self, message: Message, error: Exception) -> StreamsError:
        source = self._source
        if isinstance(error, BrokerError):
            # The schema registry is away, or refuses: the record is as good as it was.
            return type(error)(f"{source}: {error}")
        part, serde = ("value", source.value) if _decodes(source.key, message.key) else ("key", source.key)
        return SerdeError(
            f"{source} cannot decode the record's {part} as {serde.name}: {type(error).__name__}: {error}"
        )


def _decoding(serde: Serde[Any]) -> Callable[[bytes], Any] | None:
    return None if type(serde) is BytesSerde else serde.deserialize


def _decodes(serde: Serde[Any], key: bytes | None) -> bool:
    """Say whether it is not the key that cannot be decoded: asked again, as nobody keeps count of it."""
    with suppress(Exception):
        if key is not None:
            serde.deserialize(key)
        return True
    return False
