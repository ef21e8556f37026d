"""Which of a task's source partitions gives the next record (rules a1.5 and a1.6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from pipeline.record import TopicPartition
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
    """

    def __init__(self, max_idle_ms: int | None) -> None:
        self.queues: dict[TopicPartition, RecordQueue] = {}
        self._max_idle_ms = max_idle_ms

    def choose(self, has_lag: HasLag, now_ms: int) -> RecordQueue | None:
        """Return the queue whose head is next; None: there is none, or one that is empty is waited for."""
        chosen, smallest, waiting = None, 0, False
        for queue in self.queues.values():
            head = queue.head()
            if head is None:
                waiting |= self._is_waited_for(queue, has_lag, now_ms)
            elif chosen is None or head.record[2] < smallest:
                chosen, smallest = queue, head.record[2]
        return None if waiting else chosen

    def _is_waited_for(self, queue: RecordQueue, has_lag: HasLag, now_ms: int) -> bool:
        if self._max_idle_ms is None:
            return False
        if has_lag(queue.partition, queue.fetched_offset):
            queue.empty_since_ms = None
            return True
        if queue.empty_since_ms is None:
            queue.empty_since_ms = now_ms
        return now_ms < queue.empty_since_ms + self._max_idle_ms
