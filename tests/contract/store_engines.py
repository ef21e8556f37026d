"""What the suites over typed stores share: engines to put them on, and the life of an update."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from pipeline.record import TaskId
from pipeline.state.partitioned import PartitionedStore
from pipeline.state.provider import MemoryProvider, RocksDBProvider, StoreProvider
from pipeline.state.store import BytesStore, StateStore
from pipeline.state.write_behind import WriteBehind

Open: TypeAlias = Callable[[], BytesStore]
Log: TypeAlias = list[tuple[bytes, bytes | None]]
S = TypeVar("S")

KINDS: Final = ("rocksdb", "memory")
#: An engine that keeps rows of several partitions, on each of the others.
PARTITIONED: Final = tuple(f"partitioned-{kind}" for kind in KINDS)
#: One that writes later, on each of the others.
BEHIND: Final = tuple(f"behind-{kind}" for kind in KINDS)

#: Whether a store forwards at its flushes, or at once.
CACHING: Final = (True, False)

#: What an update goes through.
STAGES: Final = ("put", "flushed", "committed")


@contextmanager
def engines(kind: str, folder: Path) -> Iterator[Open]:
    """Yield what opens one engine, again after it was closed; it is closed at the end."""
    provider: StoreProvider = MemoryProvider()
    if kind.endswith("rocksdb"):
        provider = RocksDBProvider(folder, "app")
    opened: list[BytesStore] = []

    def open_again() -> BytesStore:
        store: BytesStore = provider.open(TaskId(0, 3), "counts")
        if kind in PARTITIONED:
            store = PartitionedStore(store)
        elif kind in BEHIND:
            store = WriteBehind(store)
        opened.append(store)
        return opened[-1]

    yield open_again
    for store in opened:
        store.close()
    provider.close()


def forwarding(store: S) -> S:
    """Have a store forward what it is given, with old values: to nowhere."""
    downstream: Any = store
    downstream.on_flush = lambda *_: None
    downstream.send_old_values = True
    return store


def reach(store: StateStore, stage: str) -> None:
    """Bring what was put to a stage."""
    if stage != "put":
        list(store.flush())
    if stage == "committed":
        store.commit(store.position() + 1)


def size(engine: BytesStore) -> int:
    """Return the number of entries."""
    return sum(1 for _ in engine.scan(b"", None))
