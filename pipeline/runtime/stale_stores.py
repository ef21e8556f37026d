"""Stores of tasks that moved away: removed after a while, for a task may well come back.

A task that comes back before restores only the difference. Kafka Streams: `state.cleanup.delay.ms`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import Final

from pipeline.config import StreamsConfig
from pipeline.record import GLOBAL, TaskId
from pipeline.runtime.stores import UNLOGGED
from pipeline.state.provider import StoreProvider

_log: Final = logging.getLogger(__name__)
#: How often is looked for them, at least.
_LOOK_MS: Final = 60_000
#: Files removed in one step: a large store has hundreds, and unlinking a large one takes a while.
_FILES: Final = 4


class StaleStores:
    """Removes them, a few files at a time.

    What cannot be restored, because it has no changelog, stays for ever. How long a task has been away is
    counted from when it was first seen to be: a worker that starts gives its tasks time to come.

    Args:
        stores: where they lie.
        config: how long they stay.
    """

    def __init__(self, stores: StoreProvider, config: StreamsConfig) -> None:
        self._stores, self._delay_ms = stores, config.state_cleanup_delay_ms
        self._interval_ms = min(_LOOK_MS, self._delay_ms)
        self._next_ms = 0
        self._since: dict[TaskId, int] = {}
        self._removing = True

    def step(self, held: Callable[[], Collection[TaskId]], now_ms: int) -> int:
        """Remove a bounded number of files, and return how many there were; look for more now and then.

        Args:
            held: tells the tasks that are run here, or of which copies are kept here.
            now_ms: the time by the wall clock.

        Raises:
            StateError: the data folder cannot be written to.
        """
        if self._removing:
            removed = self._stores.sweep(_FILES)
            self._removing = removed > 0
            return removed
        if now_ms >= self._next_ms:
            self._next_ms = now_ms + self._interval_ms
            self._look(held(), now_ms)
        return 0

    def _look(self, held: Collection[TaskId], now_ms: int) -> None:
        stored = self._stores.stored()
        away = [task for task in stored if task not in held and task != GLOBAL]
        self._since = {task: self._since.get(task, now_ms) for task in away}
        for task, since in self._since.items():
            if now_ms - since < self._delay_ms:
                continue
            for store in stored[task]:
                if not store.endswith(UNLOGGED):
                    self._stores.discard(task, store)
                    self._removing = True
                    _log.info(
                        "task %s has been away for %d s: its store %s is removed here",
                        task,
                        (now_ms - since) // 1_000,
                        store,
                    )
