"""Having tasks process, until the worker is to stop: it is not kept waiting by a batch of slow records."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

from pipeline.runtime.partition_group import HasLag
from pipeline.runtime.task import Task
from pipeline.topology import Agent


class Processing:
    """Has tasks process.

    Attributes:
        has_more: whether a task that processed records has more of them.
    """

    def __init__(self) -> None:
        self.has_more = False
        self._stopped = False
        self._task: Task | None = None

    def stop(self) -> None:
        """Leave what is not begun to whoever goes on, from the next record on. From any thread."""
        self._stopped = True
        task = self._task
        if task is not None:
            task.in_flight.blocked.add(self)

    def process(self, tasks: Iterable[Task], limit: int, has_lag: HasLag, now_ms: int) -> int:
        """Process up to `limit` records of each task that is started; return how many were."""
        count, self.has_more = 0, False
        for task in tasks:
            if task.started and (processed := self._process(task, limit, has_lag, now_ms)):
                task.time.heard(now_ms)
                count += processed
                self.has_more |= any(map(len, task.queues.values()))
        return count

    def _process(self, task: Task, limit: int, has_lag: HasLag, now_ms: int) -> int:
        # In this order: another thread that calls `stop` sees the task, or is seen here.
        self._task = task
        if self._stopped:
            return 0
        with _around(task):
            return task.process(limit, has_lag, now_ms)


def _around(task: Task) -> AbstractContextManager[None]:
    """Return what agents' code runs in, once for all the records; nothing for a task without an agent."""
    if any(isinstance(node, Agent) for node in task.sub.nodes):
        return task.environment.agent_loop.running
    return nullcontext()
