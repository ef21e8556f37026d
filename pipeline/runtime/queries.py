"""Which stores this worker holds, and how far they are restored: what queries go by.

The worker's thread fills the registry, HTTP handlers read it: every method is thread-safe.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pipeline.record import TaskId
from pipeline.topology import StoreSpec


class Progress(NamedTuple):
    """How far a store is restored, in changelog records."""

    restored: int
    total: int

    @property
    def remaining(self) -> int:
        """Records still to be read."""
        return max(0, self.total - self.restored)


class StoreRegistry:
    """The stores of one worker's tasks.

    A store goes through `progress` (any number of times), `register`, `unregister`; only between
    the last two can it be queried.

    Args:
        specs: every store of the topology.
    """

    def __init__(self, specs: Iterable[StoreSpec]) -> None:
        self._specs = {spec.name: spec for spec in specs if spec.queryable}
        self._lock = threading.Lock()
        self._partitions: dict[str, int] = {}
        self._open: dict[str, dict[TaskId, Any]] = {name: {} for name in self._specs}
        self._restoring: dict[str, dict[TaskId, Progress]] = {name: {} for name in self._specs}

    def partitioned(self, name: str, partitions: int) -> None:
        """Say into how many partitions the store's changelog is divided, over all workers."""
        if name in self._specs:
            with self._lock:
                self._partitions[name] = partitions

    def progress(self, task: TaskId, name: str, restored: int, total: int) -> None:
        """Say how far a task's store is restored."""
        if name in self._specs:
            with self._lock:
                self._restoring[name][task] = Progress(restored, total)

    def register(self, task: TaskId, name: str, store: Any) -> None:
        """Say that a task's store is whole and may be read from now on."""
        if name in self._specs:
            with self._lock:
                self._restoring[name].pop(task, None)
                self._open[name][task] = store

    def unregister(self, task: TaskId) -> None:
        """Say that a task's stores are about to be closed."""
        with self._lock:
            for name in self._specs:
                self._restoring[name].pop(task, None)
                self._open[name].pop(task, None)

    def names(self) -> tuple[str, ...]:
        """Return the stores' names, sorted."""
        return tuple(sorted(self._specs))

    def spec(self, name: str) -> StoreSpec | None:
        """Return what was declared under `name`, None if nothing was."""
        return self._specs.get(name)

    def partitions(self, name: str) -> int | None:
        """Return the number of partitions over all workers; None before it is known."""
        with self._lock:
            return self._partitions.get(name)

    def open(self, name: str) -> Mapping[TaskId, Any]:
        """Return this worker's readable stores under `name`, by task."""
        with self._lock:
            return dict(self._open[name])

    def restoring(self, name: str) -> Mapping[TaskId, Progress]:
        """Return the stores under `name` that are being restored here, by task."""
        with self._lock:
            return dict(self._restoring[name])
