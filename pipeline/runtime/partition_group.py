"""Which of a task's source partitions gives the next record (rules a1.5 and a1.6)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, TypeAlias

from pipeline.record import TopicPartition
from pipeline.runtime.record_queue import RecordQueue

#: `(partition, offset)`: whether the broker may have records from `offset` on that are not here yet.
HasLag: TypeAlias = Callable[[TopicPartition, int], bool]

#: `(queue, until, limit)`: processes up to `limit` records of a queue, at least one and none that is later
#: than `until`; returns how many.
Run: TypeAlias = Callable[[RecordQueue, int, int], int]

#: Later than every record.
_NEVER: Final = 2**63


class PartitionGroup:
    """The queues of a task.

    The next record is that whose queue's head has the smallest timestamp; of equal ones, that of the
    queue added first. Within a partition the order of offsets is kept.

    ```
    L   ----5----9      max_task_idle 0:     L5, R7, then L9 waits as long as the broker has more of R
    R   ----7----(empty)             100 ms: and 100 ms more for R to get something
                                     None:   L5, R7, L9 at once
    ```

    Args:
        max_idle_ms: how long an empty partition of which the broker has no more is waited for, by the
            wall clock; None: not even for what the broker has.
    """

    def __init__(self, max_idle_ms: int | None) -> None:
        self.queues: dict[TopicPartition, RecordQueue] = {}
        self._max_idle_ms = max_idle_ms

    def process(self, run: Run, blocked: Collection[object], has_lag: HasLag, now_ms: int, limit: int) -> int:
        """Process up to `limit` records, and return how many were.

        Args:
            run: processes records of the queue whose turn it is.
            blocked: ends it, once there is something in it.
            has_lag: says what the broker has.
            now_ms: by the wall clock.
            limit: how many.
        """
        count = 0
        while count < limit and not blocked and (turn := self._choose(has_lag, now_ms)) is not None:
            count += run(*turn, limit - count)
        return count

    def _choose(self, has_lag: HasLag, now_ms: int) -> tuple[RecordQueue, int] | None:
        """Return the queue whose head is next, and up to which time its records come before all others.

        None: there is none, or one that is empty is waited for.
        """
        chosen, time, until, waiting = None, _NEVER, _NEVER, False
        for queue in self.queues.values():
            head = queue.ahead or queue.head()
            if head is None:
                waiting |= self._is_waited_for(queue, has_lag, now_ms)
            elif (found := head[1][2]) < time:
                # Of equal times, those of the queue that was added first come first.
                chosen, time, until = queue, found, time - 1
            elif found < until:
                until = found
        return None if waiting or chosen is None else (chosen, until)

    def _is_waited_for(self, queue: RecordQueue, has_lag: HasLag, now_ms: int) -> bool:
        if self._max_idle_ms is None:
            return False
        if has_lag(queue.partition, queue.fetched_offset):
            queue.empty_since_ms = None
            return True
        if queue.empty_since_ms is None:
            queue.empty_since_ms = now_ms
        return now_ms < queue.empty_since_ms + self._max_idle_ms
