"""Which of a task's source partitions gives the next record (rules a1.5 and a1.6)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeAlias

from pipeline.record import TopicPartition
from pipeline.runtime.decoding import LAST_TIME_MS
from pipeline.runtime.record_queue import RecordQueue

#: `(partition, offset)`: whether the broker may have records from `offset` on that are not here yet.
HasLag: TypeAlias = Callable[[TopicPartition, int], bool]


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
        blocked: while there is anything in it, no record is taken.
    """

    def __init__(self, max_idle_ms: int | None, blocked: Collection[object]) -> None:
        self.queues: dict[TopicPartition, RecordQueue] = {}
        self._max_idle_ms, self._blocked = max_idle_ms, blocked

    def run(self, limit: int, has_lag: HasLag, now_ms: int) -> int:
        """Take up to `limit` records in their order, and return how many were.

        A queue whose turn it is gives records until another one's head is due.
        """
        count = 0
        while count < limit and not self._blocked and (turn := self._next_turn(has_lag, now_ms)):
            queue, until = turn
            count += queue.run(limit - count, until)
        return count

    def _next_turn(self, has_lag: HasLag, now_ms: int) -> tuple[RecordQueue, int] | None:
        """Return the queue whose head is next, and until which time it stays so.

        None: there is none, or one that is empty is waited for.
        """
        chosen, smallest, until, waiting = None, 0, LAST_TIME_MS, False
        for queue in self.queues.values():
            time = queue.head_time()
            if time is None:
                waiting |= self._is_waited_for(queue, has_lag, now_ms)
            elif chosen is None:
                chosen, smallest = queue, time
            elif time < smallest:
                # Of equal times, the one that was added first goes first.
                until = min(until, smallest - 1)
                chosen, smallest = queue, time
            else:
                until = min(until, time)
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
