"""A machine's disk: what was written and not synced is gone when the machine is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from pipeline.record import TaskId
from pipeline.state.memory import MemoryStore


class Disk:
    """Satisfies `pipeline.state.provider.StoreProvider`.

    Args:
        identity: whose disk it is.
        random: draws when a store is synced.
    """

    def __init__(self, identity: str, random: Random) -> None:
        self.identity = identity
        self._random = random
        self._stores: dict[tuple[TaskId, str], _DiskStore] = {}

    def open(self, task: TaskId, store: str, *, in_memory: bool = False) -> MemoryStore:
        """Open, or create, the task's store; one that is kept in memory is gone with its worker."""
        if in_memory:
            return MemoryStore(f"{task}/{store}")
        found = self._stores.get((task, store))
        if found is None:
            found = self._stores[task, store] = _DiskStore(f"{task}/{store}", self._random)
        return found.reopen()

    def set_aside(self, task: TaskId, store: str, now_ms: int, keep: int) -> str:  # noqa: ARG002 - nothing is kept
        """Forget a store."""
        self._stores.pop((task, store), None)
        return "nowhere"

    def close(self) -> None:
        """Keep everything, for the next worker on this machine."""

    def crash(self) -> None:
        """Lose what was not synced."""
        self._stores = {name: store.as_synced() for name, store in self._stores.items()}


class _DiskStore(MemoryStore):
    """Synced when it is closed, and now and then after a write, as a whole: as RocksDB flushes."""

    def __init__(self, name: str, random: Random) -> None:
        super().__init__(name)
        self._random = random
        self._synced: tuple[dict[bytes, bytes], int] = ({}, 0)

    def write(
        self, changes: Mapping[bytes, bytes | None], position: int, drop: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        """Drop the ranges, apply the changes, set the position."""
        super().write(changes, position, drop)
        if self._random.random() < 0.3:  # noqa: PLR2004 - now and then
            self._sync()

    def close(self) -> None:
        """Sync, and refuse further use."""
        self._sync()
        super().close()

    def wipe(self) -> None:
        """Remove every entry, at once."""
        super().wipe()
        self._sync()

    def as_synced(self) -> _DiskStore:
        """Return the store as it is found after a crash."""
        store = _DiskStore(self._name, self._random)
        entries, position = self._synced
        MemoryStore.write(store, entries, position)
        store._sync()
        return store

    def _sync(self) -> None:
        if not self._closed:
            self._synced = (dict(self.scan(b"", None)), self.position())
