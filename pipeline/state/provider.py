"""Where tasks get their stores from: RocksDB below a folder, or memory."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from pipeline.record import TaskId
from pipeline.state.directory import StateDirectory
from pipeline.state.memory import MemoryStore
from pipeline.state.rocksdb import RocksDBStore
from pipeline.state.rocksdb_settings import RocksDBSettings
from pipeline.state.store import BytesStore


class StoreProvider(Protocol):
    """Opens the stores of tasks."""

    @property
    def identity(self) -> str:
        """Whose stores these are: the same across restarts, another for each worker."""
        ...

    def open(self, task: TaskId, store: str, *, in_memory: bool = False) -> BytesStore:
        """Return the task's store of this name, with what it held when it was closed.

        Args:
            task: the task.
            store: the store's name.
            in_memory: whether it is to be kept in memory, and to be gone when it is closed.

        Raises:
            CorruptStoreError: its files are damaged.
            StateError: it cannot be opened.
        """
        ...

    def set_aside(self, task: TaskId, store: str, now_ms: int, keep: int) -> str:
        """Put away what a damaged store left: opening it begins anew.

        Args:
            task: the task.
            store: the store's name.
            now_ms: the time by the wall clock.
            keep: how many damaged stores are kept, over all tasks; older ones are removed.

        Returns:
            Where it is now, for the log.
        """
        ...

    def stored(self) -> Mapping[TaskId, Sequence[str]]:
        """Return the tasks of which stores are kept, open or not, and the stores' names.

        Raises:
            StateError: nobody can say.
        """
        ...

    def discard(self, task: TaskId, store: str) -> None:
        """Remove a store that nobody has open: from now on, opening it begins anew.

        Raises:
            StateError: it cannot be removed.
        """
        ...

    def sweep(self, files: int) -> int:
        """Free up to so many files of what was discarded; return how many there were, 0 when it is done.

        Raises:
            StateError: one cannot be removed.
        """
        ...

    def close(self) -> None:
        """Release what is shared. Stores are closed by their tasks."""
        ...


class RocksDBProvider:
    """Databases in `<state_dir>/<application_id>/<task>/<store>`; see `state.directory`.

    The folder is locked from the first use until `close`.

    Args:
        state_dir: the worker's data folder; no two running workers may share one.
        application_id: the application.
        settings: memory and files.
    """

    def __init__(self, state_dir: Path, application_id: str, settings: RocksDBSettings | None = None) -> None:
        self._root = state_dir / application_id
        self._settings = settings or RocksDBSettings()
        self._opened: StateDirectory | None = None

    @property
    def identity(self) -> str:
        """What the folder calls its worker."""
        return self._directory().worker_id

    def open(self, task: TaskId, store: str, *, in_memory: bool = False) -> BytesStore:
        """Open, or create, the task's database; or make a store in memory."""
        if in_memory:
            return MemoryStore(f"{task}/{store}")
        return RocksDBStore(self._directory().path(str(task), store), self._settings)

    def set_aside(self, task: TaskId, store: str, now_ms: int, keep: int) -> str:
        """Rename a damaged store's folder; see `StateDirectory.set_aside`."""
        return str(self._directory().set_aside(str(task), store, now_ms, keep))

    def stored(self) -> Mapping[TaskId, Sequence[str]]:
        """Return what the folder holds; see `StateDirectory.stored`."""
        return self._directory().stored()

    def discard(self, task: TaskId, store: str) -> None:
        """Rename a store's folder; see `StateDirectory.discard`."""
        self._directory().discard(str(task), store)

    def sweep(self, files: int) -> int:
        """Remove files; see `StateDirectory.sweep`."""
        return self._directory().sweep(files)

    def close(self) -> None:
        """Let another worker use the folder."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _directory(self) -> StateDirectory:
        if self._opened is None:
            self._opened = StateDirectory(self._root)
        return self._opened


class MemoryProvider:
    """Stores in memory. They outlive their task, as files do, but not the provider.

    Those that are asked for `in_memory` do not outlive their task, as they do not elsewhere.
    """

    _numbers = itertools.count(1)

    def __init__(self) -> None:
        self.identity = f"memory-{next(self._numbers)}"
        self._stores: dict[tuple[TaskId, str], MemoryStore] = {}

    def open(self, task: TaskId, store: str, *, in_memory: bool = False) -> MemoryStore:
        """Open, or create, the task's store."""
        if in_memory:
            return MemoryStore(f"{task}/{store}")
        return self._stores.setdefault((task, store), MemoryStore(f"{task}/{store}")).reopen()

    def set_aside(self, task: TaskId, store: str, now_ms: int, keep: int) -> str:  # noqa: ARG002 - nothing is kept
        """Forget a store."""
        self._stores.pop((task, store), None)
        return "nowhere"

    def stored(self) -> Mapping[TaskId, Sequence[str]]:
        """Return the tasks of which stores are kept, and the stores' names."""
        found: dict[TaskId, list[str]] = {}
        for task, store in self._stores:
            found.setdefault(task, []).append(store)
        return found

    def discard(self, task: TaskId, store: str) -> None:
        """Forget a store."""
        self._stores.pop((task, store), None)

    def sweep(self, files: int) -> int:  # noqa: ARG002 - nothing is left
        """Do nothing: what was discarded is gone."""
        return 0

    def close(self) -> None:
        """Keep everything, for the next worker on this provider."""
