"""Taking records off a queue, decoded, one after the other: in C (`native/taking.c`), or here."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator
from typing import Any, Protocol, TypeAlias

from pipeline.compiled import native
from pipeline.record import Headers
from pipeline.runtime.broker import Message
from pipeline.runtime.decoding import LAST_TIME_MS, Decoded, Decoding
from pipeline.runtime.task_time import TaskTime

#: A message, and what it is decoded to: key, value, event time in ms, headers.
Head: TypeAlias = tuple[Message, Any, Any, int, Headers]

#: `(limit, until)`: iterate up to `limit` records, or reject them, as long as none is later than `until`, in
#: ms, `LAST_TIME_MS` at most; the first that is later has been decoded. Whoever asks takes all that come.
Take: TypeAlias = Callable[[int, int], Iterator[Decoded]]


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


class Queue(Protocol):
    """What a queue tells of what waits, and is told of what was taken.

    Attributes:
        messages: what waits.
        head: decoded, and not taken: it is later than the others' turn.
        has_large: whether something of what waits may be larger than a value may be.
        partition_time: largest event time taken, in ms; -1 before the first.
        next_offset: offset after the last record that was taken or rejected.
        taken: number of records that were taken in the last turn.
    """

    messages: deque[Message]
    head: Head | None
    has_large: bool
    partition_time: int
    next_offset: int | None
    taken: int


def taking(queue: Queue, taker: Taker, decoding: Decoding) -> Take:
    """Return what takes a queue's records, compiled if it can be."""
    made: Take = (taking_in_python if native is None else native.Taking)(queue, taker, decoding)
    return made


def taking_in_python(queue: Queue, taker: Taker, decoding: Decoding) -> Take:
    """Return what takes a queue's records."""
    messages, time, blocked = queue.messages, taker.time, taker.blocked
    # The list of schedules, for it costs less to see whether it is empty.
    schedules = time.stream_punctuations.schedules

    def take(limit: int, until: int) -> Iterator[Decoded]:
        head, partition_time = queue.head, queue.partition_time
        last, taken = None, 0
        for _ in range(min(limit, len(messages) + (head is not None))):
            if blocked or (schedules and last is not None and taker.punctuate_stream()):
                break
            if head is None:
                message = messages.popleft()
                decoded = decoding(message, partition_time)
                if decoded is None:
                    last = message
                    continue
                key, value, timestamp, headers = decoded
            else:
                message, key, value, timestamp, headers = head
                head = queue.head = None
            if not 0 <= timestamp <= LAST_TIME_MS:
                decoding.reject_time(message, timestamp)
                last = message
                continue
            if timestamp > until:
                queue.head = message, key, value, timestamp, headers
                break
            partition_time, time.stream = max(partition_time, timestamp), max(time.stream, timestamp)
            last = taker.message = message
            taken += 1
            yield key, value, timestamp, headers
        queue.partition_time, queue.taken = partition_time, taken
        if schedules and last is not None:
            taker.punctuate_stream()
        if last is not None:
            queue.next_offset = last.offset + 1

    return take
