"""The records of one source partition that wait to be processed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, TypeAlias

from pipeline.clock import Clock
from pipeline.config import StreamsConfig
from pipeline.errors import BrokerError, NoTimeError, RecordError, SerdeError, StreamsError
from pipeline.plan.fusion import fuse
from pipeline.record import Forward, Headers, Record, TopicPartition
from pipeline.runtime.broker import Message
from pipeline.runtime.task_time import TaskTime
from pipeline.serde import BytesSerde, Serde
from pipeline.timestamps import ByClock, TimestampExtractor
from pipeline.topology import Source, describe_function

#: 9999-12-31T23:59:59.999Z, the last time that RFC 3339 can write. Stream time never goes back: one
#: record from beyond it would make every record after it late.
LAST_TIME_MS: Final = 253_402_300_799_999

#: What a message takes beside its value: the objects that hold it, its key and its topic's name.
MESSAGE_BYTES = 256


#: A message, and what it is decoded to: key, value, event time in ms, headers.
Head: TypeAlias = tuple[Message, Any, Any, int, Headers]

#: Takes records: see `RecordQueue.run`.
Run: TypeAlias = Callable[[int, int], int]


class Taker(Protocol):
    """Who takes the records of a queue: a task, or what reads the rows of a table.

    Attributes:
        message: the record in hand.
        time: how far stream time has come.
    """

    message: Message | None
    time: TaskTime

    @property
    def blocked(self) -> Collection[object]:
        """While there is anything in it, no record is taken."""
        ...

    def punctuate_stream(self) -> bool:
        """Fire what stream time makes due, and return whether that blocks it.

        Called after each record, before the next one is looked at, while anything is scheduled.
        """
        ...


class RecordQueue:
    """Messages of one partition in offset order, decoded when they come to the front.

    Args:
        partition: the partition.
        source: the node that reads it.
        forward: where its records go; it raises only what stops the worker.
        config: of the application: how large a value may be.
        clock: for extractors that want the wall clock.
        taker: whose it is.
        reject: called with a message and the reason it cannot be decoded.
    """

    def __init__(
        self,
        partition: TopicPartition,
        source: Source,
        forward: Forward,
        config: StreamsConfig,
        clock: Clock,
        taker: Taker,
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
        #: Decoded, and not taken: it is later than the others' turn.
        self.head: Head | None = None
        #: Whether something of what waits may be larger than a value may be: few of them are weighed singly.
        self.has_large = False
        self._limit_bytes = config.max_record_bytes
        time = taker.time
        # The list of schedules, for it costs less to see whether it is empty.
        self._taking = taker, time, taker.blocked, time.stream_punctuations.schedules, reject
        extract = None if source.timestamp is None else self._extractor(source.timestamp, clock)
        self._decoding = _decoding(source.key), _decoding(source.value), extract, self._limit_bytes
        #: `(limit, until)`: takes up to `limit` records, or rejects them, as long as none is later than
        #: `until`, in ms, `LAST_TIME_MS` at most. Returns how many it took; the first that is later has been
        #: decoded.
        self.run: Run = fuse(self.running(forward), "turn")

    def __len__(self) -> int:
        return len(self.messages) + (self.head is not None)

    def put(self, messages: Sequence[Message]) -> None:
        """Add messages, of the offsets that follow."""
        if not len(self):
            # All that was put before is taken.
            self._runs.clear()
            self._size, self.has_large = 0, False
        values = sum(map(len, messages))
        self.has_large |= values > self._limit_bytes
        self.messages.extend(messages)
        self.empty_since_ms = None
        self.fetched_offset = messages[-1].offset + 1
        size = values + MESSAGE_BYTES * len(messages)
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

    def head_time(self) -> int | None:
        """Return the event time of the next record that can be processed; None if there is none."""
        if self.head is None:
            # All are later than this.
            self.run(len(self.messages), -1)
        return None if self.head is None else self.head[3]

    def running(self, forward: Forward) -> Run:
        """Return what `run` is when records go to `forward`."""
        return _running(self, self.source, self.messages, forward, *self._taking, *self._decoding)

    def _extractor(self, given: TimestampExtractor, clock: Clock) -> Callable[[Record[Any, Any], int], int]:
        extract = given.make(clock) if isinstance(given, ByClock) else given
        who = f"{self.source}: timestamp extractor {describe_function(extract)}"

        def extracted(record: Record[Any, Any], partition_time: int) -> int:
            try:
                timestamp = extract(record, partition_time)
            except Exception as error:
                raise SerdeError(f"{who} raised {type(error).__name__}: {error}") from error
            if not isinstance(timestamp, int):
                raise SerdeError(f"{who} returned {type(timestamp).__name__}, not ms")
            return timestamp

        return extracted


def _running(  # noqa: C901 - all of it is `run`
    queue: RecordQueue,
    source: Source,
    messages: deque[Message],
    forward: Forward,
    taker: Taker,
    time: TaskTime,
    blocked: Collection[object],
    schedules: Collection[object],
    reject: Callable[[Message, RecordError], None],
    decode_key: Callable[[bytes], Any] | None,
    decode_value: Callable[[bytes], Any] | None,
    extract: Callable[[Record[Any, Any], int], int] | None,
    limit_bytes: int,
) -> Run:
    """Return what takes a queue's records.

    What it hands a record on by is the last that it does with it: so both are fused (`plan.fusion`).
    """

    def run(limit: int, until: int) -> int:  # noqa: C901, PLR0912 - a call costs a tenth of what it does
        head, has_large, partition_time = queue.head, queue.has_large, queue.partition_time
        waiting, taken, rejected = len(messages) + (head is not None), None, 0
        for _ in range(min(limit, waiting)):
            if blocked or (schedules and taken is not None and taker.punctuate_stream()):
                break
            if head is not None:
                message, key, value, timestamp, headers = head
                head = queue.head = None
            else:
                message = messages.popleft()
                key, value = message.key, message.value
                try:
                    if has_large and value is not None and len(value) > limit_bytes:
                        raise _too_large(source, len(value), limit_bytes)
                    try:
                        if decode_key is not None and key is not None:
                            key = decode_key(key)
                        if decode_value is not None and value is not None:
                            value = decode_value(value)
                    except Exception as error:
                        raise _undecodable(source, message, error) from error
                    headers, timestamp = message.headers, message.timestamp
                    if extract is not None:
                        timestamp = extract(Record(key, value, timestamp, headers), partition_time)
                except SerdeError as error:
                    reject(message, error)
                    taken, rejected = message, rejected + 1
                    continue
            if partition_time < timestamp <= until:
                partition_time = timestamp
                if timestamp > time.stream:  # noqa: PLR1730 - a call of max for every record
                    time.stream = timestamp
            elif not 0 <= timestamp <= LAST_TIME_MS:
                reject(message, _no_time(source, timestamp))
                taken, rejected = message, rejected + 1
                continue
            elif timestamp > until:
                queue.head = message, key, value, timestamp, headers
                break
            taken = taker.message = message
            forward(key, value, timestamp, headers)
        queue.partition_time = partition_time
        if schedules and taken is not None:
            taker.punctuate_stream()
        if taken is not None:
            queue.next_offset = taken.offset + 1
        return waiting - len(messages) - (queue.head is not None) - rejected

    return run


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


def _undecodable(source: Source, message: Message, error: Exception) -> StreamsError:
    if isinstance(error, BrokerError):
        # The schema registry is away, or refuses: the record is as good as it was.
        return type(error)(f"{source}: {error}")
    part, serde = ("value", source.value) if _decodes(source.key, message.key) else ("key", source.key)
    return SerdeError(
        f"{source} cannot decode the record's {part} as {serde.name}: {type(error).__name__}: {error}"
    )


def _decodes(serde: Serde[Any], key: bytes | None) -> bool:
    """Say whether it is not the key that cannot be decoded: asked again, as nobody keeps count of it."""
    with suppress(Exception):
        if key is not None:
            serde.deserialize(key)
        return True
    return False
