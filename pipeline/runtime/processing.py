"""Having tasks process, until the worker is to stop: it is not kept waiting by a batch of slow records."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from pipeline.runtime.partition_group import HasLag
from pipeline.runtime.task import Task
from pipeline.topology import Agent


class Processing:
    """Has tasks process."""

    def __init__(self) -> None:
        self._stopped = False
        self._task: Task | None = None

    def stop(self) -> None:
        """Leave what is not begun to whoever goes on, from the next record on. From any thread."""
        self._stopped = True
        task = self._task
        if task is not None:
            task.in_flight.blocked.add(self)

    def process(self, task: Task, limit: int, has_lag: HasLag, now_ms: int) -> int:
        """Process up to `limit` records of a task; return how many were."""
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
