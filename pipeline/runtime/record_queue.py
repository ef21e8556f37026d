"""The records of one source partition that wait to be processed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeAlias

from pipeline.clock import Clock
from pipeline.config import StreamsConfig
from pipeline.errors import RecordError
from pipeline.plan.fusion import fuse
from pipeline.record import Forward, TopicPartition
from pipeline.runtime.broker import Message
from pipeline.runtime.decoding import Decoding
from pipeline.runtime.taking import Head, Take, Taker, taking
from pipeline.topology import Source

#: What a message takes beside its value: the objects that hold it, its key and its topic's name.
MESSAGE_BYTES = 256

#: Takes records: see `RecordQueue.run`.
Run: TypeAlias = Callable[[int, int], int]


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
        #: Number of records that were taken in the last turn.
        self.taken = 0
        self._limit_bytes = config.max_record_bytes
        self._take = taking(self, taker, Decoding(source, self._limit_bytes, clock, reject))
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
        return _running(self, self._take, forward)


def _running(queue: RecordQueue, take: Take, forward: Forward) -> Run:
    """Return what takes a queue's records.

    What it hands a record on by is the last that it does with it: so both are fused (`plan.fusion`).
    """

    def run(limit: int, until: int) -> int:
        for key, value, timestamp, headers in take(limit, until):
            forward(key, value, timestamp, headers)
        return queue.taken

    return run
