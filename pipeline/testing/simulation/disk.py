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
        """Keep everything, for the next worker on this machine."""

    def crash(self) -> None:
        """Lose what was not synced."""
        for store in self._stores.values():
            store.crash()


class _DiskStore(MemoryStore):
    """Synced when it is closed, and now and then after a write, as a whole: as RocksDB flushes."""

    def __init__(self, name: str, random: Random) -> None:
        super().__init__(name)
        self._random = random
        #: What writes since the last sync have replaced, in their order, and the position before them.
        self._undo: list[tuple[bytes, bytes | None]] = []
        self._synced_position = 0

    def write(
        self, changes: Mapping[bytes, bytes | None], position: int, drop: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        """Drop the ranges, apply the changes, set the position."""
        for start, end in drop:
            dropped = self._entries.irange(start, end, (True, False)) if start < end else ()
            self._undo += [(key, self._entries[key]) for key in dropped]
        self._undo += [(key, self._entries.get(key)) for key in changes]
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

    def crash(self) -> None:
        """Become what is found after a crash."""
        for key, value in reversed(self._undo):
            if value is None:
                self._entries.pop(key, None)
            else:
                self._entries[key] = value
        self._position = self._synced_position
        self._undo.clear()

    def _sync(self) -> None:
        self._undo.clear()
        self._synced_position = self._position
