"""Typed stores against plain dictionaries, through puts, flushes, commits, crashes and restores."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from pipeline.record import TaskId, Windowed
from pipeline.serde import BYTES, INT64
from pipeline.state.keyvalue import KeyValueStore
from pipeline.state.provider import MemoryProvider, RocksDBProvider, StoreProvider
from pipeline.state.window import WindowStore

#: Keys that are prefixes of one another, and the bytes that layouts give a meaning to.
KEYS = (b"", b"\0", b"\0\xff", b"a", b"a\0", b"a\0\0", b"ab", b"\xff", b"\xff\xff")
RETENTION = 150_000
#: Starts around the bounds of segments (75 s) and of the retention.
STARTS = st.one_of(
    st.sampled_from([0, 1, 74_999, 75_000, 75_001, 149_999, 150_000, 150_001, 300_000, 10**7]),
    st.integers(0, 600_000),
)

Windows: TypeAlias = dict[tuple[bytes, int], list[int]]


class StoreMachine(RuleBasedStateMachine):
    """What a task does with a store and its changelog, in any order that it may.

    The changelog keeps its offsets: what a crashed run logged and did not commit is aborted, and
    leaves holes.
    """

    engine: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.log: list[tuple[bytes, bytes | None] | None] = []
        self.committed_end = 0
        self.number = 0
        self.folders = 0
        self.new_provider()
        self.store: Any = self.typed()

    def new_provider(self) -> None:
        if self.folders:
            self.provider.close()
        self.folders += 1
        path = Path(self.folder.name) / str(self.folders)
        self.provider: StoreProvider = MemoryProvider()
        if self.engine == "rocksdb":
            self.provider = RocksDBProvider(path, "app")

    def typed(self) -> Any:
        raise NotImplementedError

    def next_value(self) -> int:
        self.number += 1
        return self.number

    def crash_and_restore(self, chunk: int) -> None:
        self.log[self.committed_end :] = [None] * (len(self.log) - self.committed_end)
        self.store = self.typed()
        while (start := self.store.position()) < self.committed_end:
            end = min(start + chunk, self.committed_end)
            self.store.restore((record for record in self.log[start:end] if record is not None), end)

    def teardown(self) -> None:
        self.store.close()
        self.provider.close()
        self.folder.cleanup()


class KeyValueMachine(StoreMachine):
    def __init__(self) -> None:
        super().__init__()
        self.live: dict[bytes, int] = {}
        self.flushed: dict[bytes, int] = {}
        self.committed: dict[bytes, int] = {}
        self.forwarded: dict[bytes, int | None] = {}

    def typed(self) -> KeyValueStore[bytes, int]:
        store = KeyValueStore(
            "s", self.provider.open(TaskId(0, 0), "s"), BYTES, INT64, cache_entries=3, ordered=True
        )
        store.send_old_values = True
        store.on_flush = self.check_old
        return store

    def check_old(self, key: bytes, entry: Any, old: int | None) -> None:
        assert old == self.flushed.get(key)
        assert entry.value == self.live.get(key) == self.store.get(key)

    @rule(key=st.sampled_from(KEYS))
    def put(self, key: bytes) -> None:
        self.live[key] = self.next_value()
        self.store.put(key, self.live[key], self.number)

    @rule(key=st.sampled_from(KEYS))
    def delete(self, key: bytes) -> None:
        assert self.store.delete(key) == self.live.pop(key, None)

    @rule()
    def flush(self) -> None:
        self.log += self.store.flush()
        self.flushed = dict(self.live)

    @rule()
    def commit(self) -> None:
        self.committed_end = len(self.log)
        self.store.commit(self.committed_end)
        self.committed = dict(self.flushed)

    @rule(lost=st.booleans(), chunk=st.integers(1, 5))
    def crash(self, chunk: int, *, lost: bool) -> None:
        self.store.close()
        if lost:
            self.new_provider()
        self.crash_and_restore(chunk)
        self.live, self.flushed = dict(self.committed), dict(self.committed)

    @rule(
        start=st.none() | st.sampled_from(KEYS), end=st.none() | st.sampled_from(KEYS), reverse=st.booleans()
    )
    def scan(self, start: bytes | None, end: bytes | None, *, reverse: bool) -> None:
        expected = sorted(
            (
                (key, value)
                for key, value in self.live.items()
                if (start is None or start <= key) and (end is None or key <= end)
            ),
            reverse=reverse,
        )
        assert list(self.store.range(start, end, reverse=reverse)) == expected

    @invariant()
    def reads_agree(self) -> None:
        assert {key: self.store.get(key) for key in KEYS} == {key: self.live.get(key) for key in KEYS}
        shown = {key: found.value for key, found in self.store.committed_scan()}
        assert shown == self.committed
        assert self.store.position() == self.committed_end


class WindowMachine(StoreMachine):
    duplicates: ClassVar[bool]

    def __init__(self) -> None:
        super().__init__()
        self.live: Windows = {}
        self.committed: Windows = {}
        self.time = self.committed_time = -1
        self.progress: dict[str, int] = {}

    def typed(self) -> WindowStore[bytes, int]:
        return WindowStore(
            "s",
            self.provider.open(TaskId(0, 0), "s"),
            BYTES,
            INT64,
            retention_ms=RETENTION,
            window_size_ms=10,
            retain_duplicates=self.duplicates,
            cache_entries=3,
        )

    @rule(key=st.sampled_from(KEYS), start=STARTS)
    def put(self, key: bytes, start: int) -> None:
        self.time = max(self.time, start)
        taken = start > self.time - RETENTION
        value = self.next_value()
        assert self.store.put(key, value, start) is taken
        if taken:
            earlier = self.live.get((key, start), []) if self.duplicates else []
            self.live[key, start] = [*earlier, value]

    @rule(key=st.sampled_from(KEYS), start=STARTS)
    def delete(self, key: bytes, start: int) -> None:
        self.time = max(self.time, start)
        if self.store.put(key, None, start) and not self.duplicates:
            self.live.pop((key, start), None)

    @rule(commit=st.booleans())
    def flush(self, *, commit: bool) -> None:
        """A task commits right after it flushed, or not at all."""
        self.log += self.store.flush()
        if commit:
            self.committed_end, self.progress = len(self.log), dict(self.store.progress())
            self.store.commit(self.committed_end)
            self.committed, self.committed_time = dict(self.live), self.time

    @rule(lost=st.booleans(), chunk=st.integers(1, 5))
    def crash(self, chunk: int, *, lost: bool) -> None:
        self.store.close()
        if lost:
            self.new_provider()
        self.crash_and_restore(chunk)
        self.store.resume(self.progress)
        self.live, self.time = dict(self.committed), self.committed_time

    @rule(key=st.sampled_from(KEYS), from_ms=STARTS, to_ms=STARTS)
    def fetch(self, key: bytes, from_ms: int, to_ms: int) -> None:
        expected = [
            (start, value)
            for (of, start), values in sorted(self.visible(self.live).items())
            for value in values
            if of == key and from_ms <= start <= to_ms
        ]
        assert self.store.fetch_range(key, from_ms, to_ms) == expected

    @rule(start=st.sampled_from(KEYS), end=st.none() | st.sampled_from(KEYS))
    def query(self, start: bytes, end: bytes | None) -> None:
        expected = [
            (key, window, value)
            for (key, window), values in sorted(self.visible(self.committed).items())
            for value in values
            if start <= key and (end is None or key < end)
        ]
        shown = self.store.committed_scan(start, end)
        assert [(key, window, found.value) for key, window, found in shown] == expected

    def visible(self, windows: Windows) -> Windows:
        return {slot: values for slot, values in windows.items() if slot[1] > self.time - RETENTION}

    @invariant()
    def reads_agree(self) -> None:
        live = self.visible(self.live)
        rows = [
            (Windowed(key, start, start + 10), value)
            for (key, start), values in sorted(live.items())
            for value in values
        ]
        assert list(self.store.all()) == rows
        assert self.store.progress().get("time", -1) == self.time
        if not self.duplicates:
            found = {slot: self.store.fetch(*slot) for slot in self.live}
            assert found == {slot: live[slot][0] if slot in live else None for slot in self.live}


class KeyValueInMemory(KeyValueMachine):
    engine = "memory"


class KeyValueOnDisk(KeyValueMachine):
    engine = "rocksdb"


class WindowsInMemory(WindowMachine):
    engine, duplicates = "memory", False


class WindowsOnDisk(WindowMachine):
    engine, duplicates = "rocksdb", False


class DuplicatesInMemory(WindowMachine):
    engine, duplicates = "memory", True


class DuplicatesOnDisk(WindowMachine):
    engine, duplicates = "rocksdb", True


MACHINES: Iterable[type[StoreMachine]] = (
    KeyValueInMemory,
    KeyValueOnDisk,
    WindowsInMemory,
    WindowsOnDisk,
    DuplicatesInMemory,
    DuplicatesOnDisk,
)


@pytest.mark.parametrize("machine", MACHINES)
def test_a_store_behaves_as_a_dictionary(machine: type[StoreMachine]) -> None:
    # A database is opened for every example on disk: fewer of them.
    examples = 12 if machine.engine == "rocksdb" else 100
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
