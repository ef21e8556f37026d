"""Stores of sessions and of versions against plain dictionaries: see `store_machine`."""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from pipeline.record import NO_HEADERS, TaskId, Windowed
from pipeline.serde import BYTES, INT64
from pipeline.state.memory import MemoryStore
from pipeline.state.segment_keys import escaped, unescaped
from pipeline.state.session import SessionStore
from pipeline.state.version_keys import VERSION_SIZE, time_of, version_key
from pipeline.state.version_sweep import Sweep
from pipeline.state.versioned import LATEST, NOT_PUT, VersionedStore
from tests.unit.store_machine import KEYS, TimedMachine, check_model

RETENTION = 150_000
#: Times around the bounds of segments (75 s) and of the retention.
TIMES = st.one_of(
    st.sampled_from([0, 1, 74_999, 75_000, 75_001, 149_999, 150_000, 150_001, 300_000, 10**7]),
    st.integers(0, 600_000),
)

Session: TypeAlias = tuple[bytes, int, int]


class SessionMachine(TimedMachine):
    caching: ClassVar[bool]
    cache_entries: ClassVar[int] = 4
    #: Whether every session is read after every step: then the cache knows most keys from reading them.
    reads_all: ClassVar[bool] = True

    def __init__(self) -> None:
        #: By key, end and start: the order of a key's sessions.
        self.live: dict[Session, int] = {}
        self.committed: dict[Session, int] = {}
        self.forwarded: dict[Session, int | None] = {}
        super().__init__()

    def typed(self) -> SessionStore[bytes, int]:
        store = SessionStore(
            "s",
            self.provider.open(TaskId(0, 0), "s"),
            BYTES,
            INT64,
            retention_ms=RETENTION,
            cache_entries=self.cache_entries,
            caching=self.caching,
        )
        store.send_old_values = True
        store.on_flush = self.check_old
        return store

    def check_old(self, key: bytes, start: int, end: int, entry: Any, old: int | None) -> None:
        if end > self.time - RETENTION - 75_000:
            # Older ones may be gone with their segment.
            assert old == self.forwarded.get((key, end, start))
        self.forwarded[key, end, start] = entry.value

    @rule(key=st.sampled_from(KEYS), start=TIMES, length=TIMES, keep=st.booleans())
    def put(self, key: bytes, start: int, length: int, *, keep: bool) -> None:
        end = start + length
        self.time = max(self.time, end)
        taken = end > self.time - RETENTION
        value = self.next_value() if keep else None
        if taken:
            self.live.pop((key, end, start), None)
            if value is not None:
                self.live[key, end, start] = value
        assert self.store.put(key, value, start, end) is taken

    @rule(key=st.sampled_from(KEYS), time=TIMES, gap=TIMES)
    def merge(self, key: bytes, time: int, gap: int) -> None:
        """What a session aggregate does with a record."""
        found = self.store.find_sessions(key, time - gap, time + gap)
        visible = sorted((end, start) for of, end, start in self.visible(self.live) if of == key)
        near = [(end, start) for end, start in visible if end >= time - gap and start <= time + gap]
        assert found == [(start, end, self.live[key, end, start]) for end, start in near]
        for slot in near:
            del self.live[key, *slot]
        start, end = min([time, *(start for _, start in near)]), max([time, *(end for end, _ in near)])
        self.time = max(self.time, end)
        value, taken = self.next_value(), end > self.time - RETENTION
        if taken:
            self.live[key, end, start] = value
        *others, last = self.store.find_kept(key, time - gap, time + gap) or (None,)
        for each in others:
            self.store.remove(key, each.start, each.end)
        if last is None:
            assert self.store.put(key, value, start, end) is taken
        else:
            assert self.store.replace_entry(key, last, start, end, value, NO_HEADERS) is taken

    @rule(lost=st.booleans(), chunk=st.integers(1, 5))
    def crash(self, chunk: int, *, lost: bool) -> None:
        super().crash(chunk, lost=lost)
        self.forwarded = dict(self.committed)

    @rule(shrink=st.booleans())
    def lack_memory(self, *, shrink: bool) -> None:
        """What a worker does whose caches hold more than they may."""
        if shrink:
            self.store.shrink()
        else:
            self.store.forget()

    @rule()
    def begin_anew(self) -> None:
        """What a task does whose changelog is not what its store was made from."""
        self.store.wipe()
        self.store.resume({})
        self.log, self.committed_end, self.progress = [], 0, {}
        self.live, self.committed, self.forwarded, self.time, self.committed_time = {}, {}, {}, -1, -1
        self.note_flushed()

    @rule(key=st.sampled_from(KEYS), earliest_end=TIMES, latest_start=TIMES)
    def found_anywhere(self, key: bytes, earliest_end: int, latest_start: int) -> None:
        self.find(key, earliest_end, latest_start)

    def find(self, key: bytes, earliest_end: int, latest_start: int) -> None:
        found = self.store.find_sessions(key, earliest_end, latest_start)
        assert found == [
            (start, end, value)
            for (of, end, start), value in sorted(self.visible(self.live).items())
            if of == key and end >= earliest_end and start <= latest_start
        ]

    @rule(
        first=st.none() | st.sampled_from(KEYS),
        last=st.none() | st.sampled_from(KEYS),
        earliest_end=TIMES,
        latest_start=TIMES,
        reverse=st.booleans(),
    )
    def fetch_keys(
        self, first: bytes | None, last: bytes | None, earliest_end: int, latest_start: int, *, reverse: bool
    ) -> None:
        expected = [
            (Windowed(key, start, end), value)
            for (key, end, start), value in sorted(self.visible(self.live).items())
            if end >= earliest_end
            and start <= latest_start
            and (first is None or first <= key)
            and (last is None or key <= last)
        ]
        found = list(self.store.fetch_keys(first, last, earliest_end, latest_start, reverse=reverse))
        assert found == (expected[::-1] if reverse else expected)

    @rule(key=st.sampled_from(KEYS), end=st.none() | st.sampled_from(KEYS), earliest_end=TIMES)
    def query(self, key: bytes, end: bytes | None, earliest_end: int) -> None:
        rows = [(*session, value) for session, value in sorted(self.visible(self.committed).items())]
        scanned = self.store.committed_scan(key, end)
        assert [(of, ended, began, found.value) for of, began, ended, found in scanned] == [
            row for row in rows if row[0] >= key and (end is None or row[0] < end)
        ]
        fetched = self.store.committed_fetch(key, earliest_end, 300_000)
        assert [(key, ended, began, found.value) for began, ended, found in fetched] == [
            row for row in rows if row[0] == key and row[1] >= earliest_end and row[2] <= 300_000
        ]

    def visible(self, sessions: dict[Session, int]) -> dict[Session, int]:
        return {session: value for session, value in sessions.items() if session[1] > self.time - RETENTION}

    @invariant()
    def reads_agree(self) -> None:
        live = self.visible(self.live)
        rows = [(Windowed(key, start, end), value) for (key, end, start), value in sorted(live.items())]
        assert list(self.store.all()) == rows
        assert self.store.progress() == {"time": self.time}
        if not self.reads_all:
            # What a record of the latest time asks for, of every key.
            for key in KEYS:
                self.find(key, self.time, self.time)
            return
        found = {(key, end, start): self.store.fetch(key, start, end) for key, end, start in self.live}
        assert found == {session: live.get(session) for session in self.live}


HISTORY = 100
#: Close to one another, so that they meet; far, so that history expires.
MOMENTS = st.one_of(st.integers(0, 30), st.integers(0, 400))

Versions: TypeAlias = dict[bytes, dict[int, int | None]]


def valid_at(versions: dict[int, int | None], time: int | None) -> tuple[int, int] | None:
    """The newest value, up to a time if there is one, with its timestamp."""
    newest = max((at for at in versions if time is None or at <= time), default=None)
    value = None if newest is None else versions[newest]
    return None if newest is None or value is None else (value, newest)


class VersionedMachine(TimedMachine):
    """The model never forgets: what the store has removed must make no difference."""

    def __init__(self) -> None:
        self.live: Versions = {key: {} for key in KEYS}
        self.committed: Versions = {key: {} for key in KEYS}
        self.told: list[tuple[Any, ...]] = []
        super().__init__()

    def typed(self) -> VersionedStore[bytes, int]:
        store = VersionedStore(
            "s",
            self.provider.open(TaskId(0, 0), "s"),
            BYTES,
            INT64,
            history_ms=HISTORY,
            cache_entries=3,
        )
        store.send_old_values = True
        store.on_flush = lambda *told: self.told.append(told)
        return store

    @rule(key=st.sampled_from(KEYS), time=MOMENTS, keep=st.booleans())
    def put(self, key: bytes, time: int, *, keep: bool) -> None:
        value = self.next_value() if keep else None
        versions = self.live[key]
        before = valid_at(versions, None)
        valid_to = min((at for at in versions if at > time), default=LATEST)
        if time < self.time - HISTORY:
            assert self.store.put(key, value, time) == NOT_PUT
            assert self.told == []
            return
        self.time = max(self.time, time)
        versions[time] = value
        assert self.store.put(key, value, time) == valid_to
        ((of, until, entry, old),) = self.told
        self.told.clear()
        assert (of, until, entry.value, entry.timestamp) == (key, valid_to, value, time)
        assert old == (None if before is None else before[0])

    def expected(self, versions: dict[int, int | None], time: int | None) -> tuple[int, int] | None:
        if time is not None and time < self.time - HISTORY and time < max(versions, default=0):
            return None
        return valid_at(versions, time)

    @rule(key=st.sampled_from(KEYS), time=st.none() | MOMENTS)
    def get(self, key: bytes, time: int | None) -> None:
        assert self.store.get(key, time) == self.expected(self.live[key], time)

    @rule(key=st.sampled_from(KEYS), time=st.none() | MOMENTS, end=st.none() | st.sampled_from(KEYS))
    def query(self, key: bytes, time: int | None, end: bytes | None) -> None:
        assert self.store.committed_get(key, time) == self.expected(self.committed[key], time)
        latest = {of: valid_at(versions, None) for of, versions in self.committed.items()}
        assert list(self.store.committed_scan(key, end)) == [
            (of, latest[of])
            for of in sorted(latest)
            if latest[of] is not None and of >= key and (end is None or of < end)
        ]

    @invariant()
    def reads_agree(self) -> None:
        moments = [None, self.time, self.time - HISTORY, self.time - HISTORY - 1, self.time - HISTORY // 2]
        for key, versions in self.live.items():
            found = [self.store.get(key, moment) for moment in moments]
            assert found == [self.expected(versions, moment) for moment in moments]
        assert self.store.progress() == {"time": self.time}


@pytest.mark.parametrize(("engine", "caching"), [("memory", True), ("memory", False), ("rocksdb", True)])
def test_a_session_store_behaves_as_a_dictionary(engine: str, *, caching: bool) -> None:
    check_model(SessionMachine, engine=engine, caching=caching)


@pytest.mark.parametrize("cache_entries", [1, 4, 1_000])
def test_sessions_are_found_whatever_the_cache_was_told_and_has_forgotten(cache_entries: int) -> None:
    check_model(SessionMachine, engine="memory", caching=True, cache_entries=cache_entries, reads_all=False)


@pytest.mark.parametrize("engine", ["memory", "rocksdb"])
def test_a_versioned_store_behaves_as_a_dictionary(engine: str) -> None:
    check_model(VersionedMachine, engine=engine)


#: Key, time, and whether it is a value or a deletion.
STORED = st.dictionaries(st.tuples(st.sampled_from(KEYS[:4]), st.integers(0, 9)), st.booleans(), max_size=25)


@given(
    stored=STORED,
    horizons=st.lists(st.integers(0, 12), min_size=1, max_size=8).map(sorted),
    least=st.integers(1, 4),
    uncommitted=st.sets(st.sampled_from(KEYS[:4]), max_size=1),
)
@settings(max_examples=100)
def test_a_sweep_removes_all_that_cannot_be_reached_and_nothing_else(
    stored: dict[tuple[bytes, int], bool], horizons: list[int], least: int, uncommitted: set[bytes]
) -> None:
    engine = MemoryStore()
    engine.write({version_key(escaped(key), time): b"v" * value for (key, time), value in stored.items()}, 1)
    model: Versions = {key: {} for key in KEYS[:4]}
    for (key, time), value in stored.items():
        model[key][time] = 1 if value else None
    sweep = Sweep(engine, least)
    # The last horizon stands: as often as it takes to go around twice, one version at a time.
    for horizon in horizons + horizons[-1:] * 52:
        removed = sweep.step(horizon, 0, lambda prefix: unescaped(prefix) in uncommitted)
        engine.write(dict.fromkeys(removed), 1)
        left: Versions = {key: {} for key in KEYS[:4]}
        for data, value_bytes in engine.scan(b"", None):
            left[unescaped(data[:-VERSION_SIZE])][time_of(data)] = 1 if value_bytes else None
        for key, versions in model.items():
            answers = [valid_at(left[key], time) for time in range(horizon, 14)]
            assert answers == [valid_at(versions, time) for time in range(horizon, 14)]
    for key, versions in left.items():
        reached = [time for time in versions if time <= horizons[-1]]
        assert len(reached) <= 1
        assert key in uncommitted or all(versions[time] is not None for time in reached)
