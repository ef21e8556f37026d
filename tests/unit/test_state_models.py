"""Typed stores against plain dictionaries, through puts, flushes, commits, crashes and restores."""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from pipeline.record import NO_HEADERS, TaskId, Windowed
from pipeline.serde import BYTES, INT64
from pipeline.state.keyvalue import KeyValueStore
from pipeline.state.window import WindowStore
from pipeline.state.window_entries import put_at_hand
from tests.unit.store_machine import KEYS, StoreMachine, TimedMachine, check_model

RETENTION = 150_000
#: Starts around the bounds of segments (75 s) and of the retention.
STARTS = st.one_of(
    st.sampled_from([0, 1, 74_999, 75_000, 75_001, 149_999, 150_000, 150_001, 300_000, 10**7]),
    st.integers(0, 600_000),
)

Windows: TypeAlias = dict[tuple[bytes, int], list[int]]


class KeyValueMachine(StoreMachine):
    caching: ClassVar[bool]
    ordered: ClassVar[bool]

    def __init__(self) -> None:
        super().__init__()
        self.live: dict[bytes, int] = {}
        self.flushed: dict[bytes, int] = {}
        self.committed: dict[bytes, int] = {}
        self.forwarded: dict[bytes, int | None] = {}

    def typed(self) -> KeyValueStore[bytes, int]:
        store = KeyValueStore(
            "s",
            self.provider.open(TaskId(0, 0), "s"),
            BYTES,
            INT64,
            cache_entries=3,
            ordered=self.ordered,
            caching=self.caching,
        )
        store.send_old_values = True
        store.on_flush = self.check_old
        return store

    def check_old(self, key: bytes, entry: Any, old: int | None) -> None:
        assert old == self.forwarded.get(key)
        self.forwarded[key] = entry.value
        assert entry.value == self.live.get(key) == self.store.get(key)

    @rule(key=st.sampled_from(KEYS))
    def put(self, key: bytes) -> None:
        self.live[key] = self.next_value()
        self.store.put(key, self.live[key], self.number)

    @rule(key=st.sampled_from(KEYS))
    def delete(self, key: bytes) -> None:
        expected = self.live.pop(key, None)
        assert self.store.delete(key) == expected

    @rule()
    def flush(self) -> None:
        self.log += self.store.flush()
        self.flushed = dict(self.live)
        assert {key: value for key, value in self.forwarded.items() if value is not None} == self.live

    @rule()
    def commit(self) -> None:
        self.committed_end = len(self.log)
        self.store.commit(self.committed_end)
        self.committed = dict(self.flushed)

    @rule(lost=st.booleans(), chunk=st.integers(1, 5))
    def crash(self, chunk: int, *, lost: bool) -> None:
        self.crash_and_restore(chunk, lost=lost)
        self.live, self.flushed = dict(self.committed), dict(self.committed)
        self.forwarded = dict(self.committed)

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

    @rule(end=st.none() | st.sampled_from(KEYS), take=st.booleans())
    def first(self, end: bytes | None, *, take: bool) -> None:
        """Ask for the first entry, and maybe remove it: what an operator does with what waits there."""
        expected = min((key for key in self.live if end is None or key < end), default=None)
        found = next(self.store.range_entries(b"", end), None)
        assert (None if found is None else found[0]) == expected
        if take and expected is not None:
            self.delete(expected)

    @invariant()
    def reads_agree(self) -> None:
        assert {key: self.store.get(key) for key in KEYS} == {key: self.live.get(key) for key in KEYS}
        shown = {key: found.value for key, found in self.store.committed_scan()}
        assert shown == self.committed
        assert self.store.position() == self.committed_end


class WindowMachine(TimedMachine):
    duplicates: ClassVar[bool]
    caching: ClassVar[bool]

    def __init__(self) -> None:
        self.live: Windows = {}
        self.forwarded: dict[tuple[bytes, int], int | None] = {}
        self.committed: Windows = {}
        super().__init__()

    def typed(self) -> WindowStore[bytes, int]:
        store = WindowStore(
            "s",
            self.provider.open(TaskId(0, 0), "s"),
            BYTES,
            INT64,
            retention_ms=RETENTION,
            window_size_ms=10,
            retain_duplicates=self.duplicates,
            cache_entries=3,
            caching=self.caching,
        )
        if not self.duplicates:
            store.send_old_values = True
            store.on_flush = self.check_old
        return store

    def check_old(self, key: bytes, start: int, entry: Any, old: int | None) -> None:
        if start > self.time - RETENTION - 75_000:
            # Older ones may be gone with their segment.
            assert old == self.forwarded.get((key, start))
        self.forwarded[key, start] = entry.value

    @rule(key=st.sampled_from(KEYS), start=STARTS)
    def put(self, key: bytes, start: int) -> None:
        self.time = max(self.time, start)
        taken = start > self.time - RETENTION
        value = self.next_value()
        assert self.store.put(key, value, start) is taken
        if taken:
            earlier = self.live.get((key, start), []) if self.duplicates else []
            self.live[key, start] = [*earlier, value]

    @rule(key=st.sampled_from(KEYS), value=st.booleans())
    def put_at_hand(self, key: bytes, *, value: bool) -> None:
        """Put into the window that was put into last without calling the store, as operators do."""
        for start, window in list(self.store.at_hand.items())[-1:]:
            put = self.next_value() if value else None
            put_at_hand(window, key, put, start, NO_HEADERS)
            self.live.pop((key, start), None)
            if put is not None:
                self.live[key, start] = [put]

    @rule(key=st.sampled_from(KEYS), start=STARTS)
    def delete(self, key: bytes, start: int) -> None:
        self.time = max(self.time, start)
        if self.store.put(key, None, start) and not self.duplicates:
            self.live.pop((key, start), None)

    @rule(lost=st.booleans(), chunk=st.integers(1, 5))
    def crash(self, chunk: int, *, lost: bool) -> None:
        super().crash(chunk, lost=lost)
        self.forwarded = {slot: values[0] for slot, values in self.committed.items()}

    @rule(shrink=st.booleans())
    def lack_memory(self, *, shrink: bool) -> None:
        """The store lets go of some of what is committed, or of all of it."""
        if shrink:
            self.store.shrink()
        else:
            self.store.forget()

    @rule(key=st.sampled_from(KEYS), from_ms=STARTS, to_ms=STARTS)
    def fetch(self, key: bytes, from_ms: int, to_ms: int) -> None:
        expected = [
            (start, value)
            for (of, start), values in sorted(self.visible(self.live).items())
            for value in values
            if of == key and from_ms <= start <= to_ms
        ]
        assert self.store.fetch_range(key, from_ms, to_ms) == expected
        assert self.store.fetch_range(key, from_ms, to_ms, reverse=True) == expected[::-1]

    @rule(
        first=st.none() | st.sampled_from(KEYS),
        last=st.none() | st.sampled_from(KEYS),
        from_ms=STARTS,
        to_ms=STARTS,
        reverse=st.booleans(),
    )
    def fetch_keys(
        self, first: bytes | None, last: bytes | None, from_ms: int, to_ms: int, *, reverse: bool
    ) -> None:
        expected = [
            (Windowed(key, start, start + 10), value)
            for (key, start), values in sorted(self.visible(self.live).items())
            for value in values
            if from_ms <= start <= to_ms and (first is None or first <= key) and (last is None or key <= last)
        ]
        found = list(self.store.fetch_keys(first, last, from_ms, to_ms, reverse=reverse))
        assert found == (expected[::-1] if reverse else expected)

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
        for start, (entries, _) in self.store.at_hand.items():
            known = {key: [entry.value] for key, entry in entries.items() if entry.value is not None}
            assert known == {key: values for (key, window), values in live.items() if window == start}


@pytest.mark.parametrize(
    ("engine", "caching", "ordered"),
    [("memory", True, True), ("memory", False, True), ("memory", False, False), ("rocksdb", True, True)],
)
def test_a_key_value_store_behaves_as_a_dictionary(engine: str, *, caching: bool, ordered: bool) -> None:
    check_model(KeyValueMachine, engine=engine, caching=caching, ordered=ordered)


@pytest.mark.parametrize(
    ("engine", "duplicates", "caching"),
    [
        ("memory", False, True),
        ("memory", False, False),
        ("memory", True, True),
        ("rocksdb", False, True),
        ("rocksdb", True, True),
    ],
)
def test_a_window_store_behaves_as_a_dictionary(engine: str, *, duplicates: bool, caching: bool) -> None:
    check_model(WindowMachine, engine=engine, duplicates=duplicates, caching=caching)
