"""The records of one source partition that wait to be processed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from pipeline.clock import Clock
from pipeline.errors import BrokerError, NoTimeError, RecordError, RegistryRefusedError, SerdeError
from pipeline.record import NO_HEADERS, Forward, Headers, Record, TopicPartition
from pipeline.runtime.broker import Message
from pipeline.serde import BytesSerde, Serde
from pipeline.timestamps import ByClock, TimestampExtractor
from pipeline.topology import Source, describe_function

#: 9999-12-31T23:59:59.999Z, the last time that RFC 3339 can write. Stream time never goes back: one
#: record from beyond it would make every record after it late.
_LAST_TIME_MS = 253_402_300_799_999

#: What a message takes beside its value: the objects that hold it, its key and its topic's name.
MESSAGE_BYTES = 256


#: Key, value, event time in ms, headers.
Decoded: TypeAlias = tuple[Any, Any, int, Headers]


#: A record as it came, and decoded with its event time.
Head: TypeAlias = tuple[Message, Decoded]


class RecordQueue:
    """Messages of one partition in offset order, decoded when they come to the front.

    Args:
        partition: the partition.
        source: the node that reads it.
        forward: where its records go.
        max_record_bytes: a larger value is refused.
        clock: for extractors that want the wall clock.
        reject: called with a message and the reason it cannot be decoded.
    """

    def __init__(
        self,
        partition: TopicPartition,
        source: Source,
        forward: Forward,
        max_record_bytes: int,
        clock: Clock,
        reject: Callable[[Message, RecordError], None],
    ) -> None:
        self.partition = partition
        self.source = source
        self.forward = forward
        self.messages: deque[Message] = deque()
        #: Of what was put at once and is not taken whole: how many had been put by then, and its bytes.
        self._runs: deque[tuple[int, int]] = deque()
        self._put = self._size = 0
        #: Largest event time seen, in ms; -1 before the first.
        self.partition_time = -1
        #: Offset after the last record taken off the queue, rejected ones included.
        self.next_offset: int | None = None
        #: `next_offset` as it was committed last, or as it began.
        self.committed_offset: int | None = None
        #: Offset after the last record put on the queue.
        self.fetched_offset = -1
        #: Since when, by the wall clock, the task waits for more; None: it does not.
        self.empty_since_ms: int | None = None
        #: The next record, once it was asked for.
        self.ahead: Head | None = None
        self._reject = reject
        self.decode = self._decoder(max_record_bytes, clock)

    def __len__(self) -> int:
        return len(self.messages) + (self.ahead is not None)

    def put(self, messages: Sequence[Message]) -> None:
        """Add messages, of the offsets that follow."""
        self.messages.extend(messages)
        self.empty_since_ms = None
        self.fetched_offset = messages[-1].offset() + 1
        size = sum(map(len, messages)) + MESSAGE_BYTES * len(messages)
        self._put += len(messages)
        self._size += size
        self._runs.append((self._put, size))

    @property
    def size(self) -> int:
        """Bytes in memory of what waits; what was put at once counts until all of it is taken."""
        taken, runs = self._put - len(self), self._runs
        while runs and runs[0][0] <= taken:
            self._size -= runs.popleft()[1]
        return self._size

    def head(self) -> Head | None:
        """Return the next record that can be processed, without taking it; None if there is none."""
        while self.ahead is None and self.messages:
            message = self.messages.popleft()
            try:
                self.ahead = message, self.decode(message)
            except SerdeError as error:
                self._reject(message, error)
                self.next_offset = message.offset() + 1
        return self.ahead

    def pop(self) -> Head | None:
        """Take the next record off."""
        head = self.head()
        if head is not None:
            self.ahead = None
            self.next_offset = head[0].offset() + 1
            self.partition_time = max(self.partition_time, head[1][2])
        return head

    def _decoder(self, max_record_bytes: int, clock: Clock) -> Callable[[Message], Decoded]:
        """Return what decodes a message, or raises a SerdeError: a closure, for it runs per record."""
        source = self.source
        decode_key, decode_value = _decoding(source.key), _decoding(source.value)
        extract = None if source.timestamp is None else self._extractor(source.timestamp, clock)

        def decode(message: Message) -> Decoded:
            key_bytes, value_bytes = message.key(), message.value()
            if value_bytes is not None and len(value_bytes) > max_record_bytes:
                raise _too_large(source, len(value_bytes), max_record_bytes)
            try:
                key = key_bytes if decode_key is None or key_bytes is None else decode_key(key_bytes)
                value = (
                    value_bytes if decode_value is None or value_bytes is None else decode_value(value_bytes)
                )
            except RegistryRefusedError as error:
                raise RegistryRefusedError(f"{source}: {error}") from error
            except BrokerError:
                # The schema registry is away: the record is as good as it was.
                raise
            except Exception as error:
                raise _undecodable(source, error) from error
            headers = message.headers() or NO_HEADERS
            timestamp = message.timestamp()[1]
            if extract is not None:
                timestamp = extract(Record(key, value, timestamp, headers))
            if not 0 <= timestamp <= _LAST_TIME_MS:
                raise _no_time(source, timestamp)
            return key, value, timestamp, headers

        return decode

    def _extractor(self, given: TimestampExtractor, clock: Clock) -> Callable[[Record[Any, Any]], int]:
        extract = given.make(clock) if isinstance(given, ByClock) else given
        who = f"{self.source}: timestamp extractor {describe_function(extract)}"

        def extracted(record: Record[Any, Any]) -> int:
            try:
                timestamp = extract(record, self.partition_time)
            except Exception as error:
                raise SerdeError(f"{who} raised {type(error).__name__}: {error}") from error
            if not isinstance(timestamp, int):
                raise SerdeError(f"{who} returned {type(timestamp).__name__}, not ms")
            return timestamp

        return extracted


def _decoding(serde: Serde[Any]) -> Callable[[bytes], Any] | None:
    """Return what decodes; None if bytes stay what they are, which is not worth a call for each record."""
    return None if type(serde) is BytesSerde else serde.deserialize


def _no_time(source: Source, timestamp: int) -> SerdeError:
    if timestamp < 0 and source.timestamp is not None:
        who = describe_function(source.timestamp)
        return NoTimeError(f"{source}: event time {timestamp} ms by timestamp extractor {who}: dropped")
    return SerdeError(
        f"{source}: event time {timestamp} ms is not within the years 1970 to 9999; give the source another "
        "timestamp="
    )


def _too_large(source: Source, size: int, limit: int) -> SerdeError:
    return SerdeError(f"{source}: value of {size} bytes exceeds max_record_bytes ({limit})")


def _undecodable(source: Source, error: Exception) -> SerdeError:
    return SerdeError(
        f"{source} cannot decode the record, its key as {source.key.name} and its value as "
        f"{source.value.name}: {type(error).__name__}: {error}"
    )
