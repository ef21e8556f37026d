"""The time of a source that gives no records: told to, it goes on with the wall clock.

```
wall clock   100      110      120      130      140      150
records      A@7                                          B@9         source_idle = 30
stream time  7                          37       47       57: B is late
```

Once no record has come for `source_idle`, stream time is that of the last record plus the wall-clock
time since it, brought up to date once a second (every 10 in the picture): windows close without new
input. It never goes back, so a record that comes later with an older timestamp is as late as it would
be behind records that had carried time so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pipeline.record import TopicPartition
from pipeline.runtime.broker import Admin
from pipeline.runtime.task import Task

#: How often the broker is asked whether idle sources are idle, and windows close.
CHECK_INTERVAL_MS = 1_000


class IdleSources:
    """Finds the tasks whose time goes on without records.

    Args:
        admin: asked before time goes on: while the broker is away, or has records that are not here
            yet, a source is not idle, it is only silent.
        end_offset: where a partition ended at the last fetch, None if unknown.
    """

    def __init__(self, admin: Admin, end_offset: Callable[[TopicPartition], int | None]) -> None:
        self._admin, self._end_offset = admin, end_offset
        self._next_check_ms = 0
        self._interrupted = False

    def interrupt(self) -> None:
        """Take note that the broker is away: silence counts from when it is back."""
        self._interrupted = True

    def find(self, tasks: Iterable[Task], now_ms: int) -> list[Task]:
        """Return the tasks that have no record left anywhere, and are behind the time they should be at.

        Raises:
            BrokerUnreachableError: nobody can say.
        """
        if now_ms < self._next_check_ms:
            return []
        silent = [task for task in tasks if self._interrupted or task.is_silent(now_ms)]
        partitions = [partition for task in silent for partition in task.queues]
        if not partitions:
            return []
        self._next_check_ms = now_ms + CHECK_INTERVAL_MS
        ends = self._admin.end_offsets(partitions)
        if self._interrupted:
            self._interrupted = False
            for task in silent:
                task.time.heard(now_ms)
            return []
        return [task for task in silent if all(self._is_read(part, ends[part], task) for part in task.queues)]

    def _is_read(self, partition: TopicPartition, end: int, task: Task) -> bool:
        """Whether everything before `end` is here: markers of transactions lie between the two."""
        return max(self._end_offset(partition) or 0, task.queues[partition].fetched_offset) >= end
