"""Records are processed in portions: a worker that is to stop waits for one of them, not for a batch."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Final

from pipeline.runtime.partition_group import HasLag
from pipeline.runtime.task import Task
from pipeline.topology import Agent

#: So many records are processed at once, slow as they may be.
_PORTION: Final = 50


class Portions:
    """Has tasks process.

    Attributes:
        hurried: the worker is to stop: what is not begun is left to whoever goes on. Set by another thread.
    """

    def __init__(self) -> None:
        self.hurried = False

    def process(self, task: Task, limit: int, has_lag: HasLag, now_ms: int) -> int:
        """Process up to `limit` records of a task; return how many were."""
        done = 0
        with _around(task):
            while not self.hurried and done < limit:
                processed = task.process(min(_PORTION, limit - done), has_lag, now_ms)
                done += processed
                if processed < _PORTION:
                    break
        return done


def _around(task: Task) -> AbstractContextManager[None]:
    """Return what agents' code runs in, once for all the records; nothing for a task without an agent."""
    if any(isinstance(node, Agent) for node in task.sub.nodes):
        return task.environment.agent_loop.running
    return nullcontext()
