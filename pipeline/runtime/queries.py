"""Reading a worker's stores from outside of its thread: only what is committed.

The worker's thread fills the registry, HTTP handlers read it: every method is thread-safe.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, NamedTuple, cast

from pipeline.errors import StateError
from pipeline.record import TaskId
from pipeline.runtime.partitioner import partition_for
from pipeline.runtime.scan import Page, Position, Range, scan_page
from pipeline.serde import WindowedSerde
from pipeline.state.caching import ValueAndTimestamp
from pipeline.state.keyvalue import KeyValueStore
from pipeline.state.session import SessionStore
from pipeline.state.versioned import VersionedStore
from pipeline.state.window import WindowStore
from pipeline.topology import StoreSpec


class NotReadyError(StateError):
    """A store is being restored, or it is not known yet where it is.

    Args:
        message: which store.
        progress: how far it is restored, None if that has not begun.
    """

    def __init__(self, message: str, progress: Progress | None) -> None:
        super().__init__(message)
        self.progress = progress


class ElsewhereError(StateError):
    """The key belongs to a partition that this worker does not hold.

    Args:
        message: which key, store and partition.
        partition: number of that partition.
    """

    def __init__(self, message: str, partition: int) -> None:
        super().__init__(message)
        self.partition = partition


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


class Queries:
    """Looks up keys and scans stores, of what this worker holds.

    Args:
        registry: the worker's stores.
    """

    def __init__(self, registry: StoreRegistry) -> None:
        self._registry = registry

    def get(self, spec: StoreSpec, key: Any, as_of: int | None = None) -> ValueAndTimestamp[Any] | None:
        """Return the value under `key` in a store without windows, None if there is none.

        Args:
            spec: the store.
            key: the key.
            as_of: of a versioned store, the moment in ms that is asked for; None: now.

        Raises:
            NotReadyError: the key's partition is being restored.
            ElsewhereError: the key's partition is not on this worker.
            StateError: the store was closed meanwhile.
        """
        # All of them: a producer with another partitioner puts keys where murmur2 does not say.
        for store in self._registry.open(spec.name).values():
            if as_of is None:
                found = cast("KeyValueStore[Any, Any]", store).committed_get(key)
            else:
                found = cast("VersionedStore[Any, Any]", store).committed_get(key, as_of)
            if found is not None:
                return found
        self._check_owned(spec, key)
        return None

    def windows(
        self, spec: StoreSpec, key: Any, from_ms: int, to_ms: int, limit: int
    ) -> list[tuple[int, ValueAndTimestamp[Any]]]:
        """Return start and value of up to `limit` windows of a key with `from_ms <= start <= to_ms`.

        Raises:
            NotReadyError: the key's partition is being restored.
            ElsewhereError: the key's partition is not on this worker.
            StateError: the store was closed meanwhile.
        """
        for store in self._registry.open(spec.name).values():
            windows = cast("WindowStore[Any, Any]", store).committed_fetch(key, from_ms, to_ms)
            if found := list(islice(windows, limit)):
                return found
        self._check_owned(spec, key)
        return []

    def sessions(
        self, spec: StoreSpec, key: Any, from_ms: int, to_ms: int, limit: int
    ) -> list[tuple[int, int, ValueAndTimestamp[Any]]]:
        """Return start, end and value of up to `limit` sessions of a key that overlap the times.

        Those with `end >= from_ms` and `start <= to_ms`, by end.

        Raises:
            NotReadyError: the key's partition is being restored.
            ElsewhereError: the key's partition is not on this worker.
            StateError: the store was closed meanwhile.
        """
        for store in self._registry.open(spec.name).values():
            sessions = cast("SessionStore[Any, Any]", store).committed_fetch(key, from_ms, to_ms)
            if found := list(islice(sessions, limit)):
                return found
        self._check_owned(spec, key)
        return []

    def check_here(self, spec: StoreSpec, key: Any) -> None:
        """Return if this worker holds a key's partition of a store, or has the key all the same.

        Raises:
            NotReadyError: the key's partition is being restored.
            ElsewhereError: the key's partition is not on this worker.
        """
        for store in self._registry.open(spec.name).values():
            if spec.kind == "key-value" and store.committed_get(key) is not None:
                return
        self._check_owned(spec, key)

    def scan(self, spec: StoreSpec, wanted: Range, *, after: Position | None, limit: int) -> Page:
        """Return a page of what this worker holds of a store; see `scan_page`.

        Raises:
            NotReadyError: a partition is being restored: the page would have holes.
            StateError: a store was closed meanwhile.
        """
        restoring = self._registry.restoring(spec.name)
        if restoring:
            total = Progress(*(sum(counts) for counts in zip(*restoring.values(), strict=True)))
            raise NotReadyError(f"store {spec.name!r} is being restored", total)
        return scan_page(self._registry.open(spec.name), spec.kind, wanted, after=after, limit=limit)

    def _check_owned(self, spec: StoreSpec, key: Any) -> None:
        partitions = self._registry.partitions(spec.name)
        if partitions is None:
            raise NotReadyError(f"it is not known yet where the partitions of store {spec.name!r} are", None)
        # Rows of a windowed table lie where the key within the window is.
        within = spec.key.inner.serialize(key.key) if isinstance(spec.key, WindowedSerde) else None
        owner = partition_for(spec.key.serialize(key) if within is None else within, partitions)
        if any(task.partition == owner for task in self._registry.open(spec.name)):
            return
        for task, progress in self._registry.restoring(spec.name).items():
            if task.partition == owner:
                raise NotReadyError(f"partition {owner} of store {spec.name!r} is being restored", progress)
        raise ElsewhereError(
            f"key {key!r} of store {spec.name!r} is of partition {owner}, which this worker does not hold",
            owner,
        )
