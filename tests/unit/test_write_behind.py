from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.runtime.cache_bound import CacheBound
from pipeline.state.memory import MemoryStore
from pipeline.state.store import BytesStore
from pipeline.state.write_behind import WriteBehind

Log = list[tuple[bytes, bytes | None]]

#: Keys that a "drop" drops, as of windows that have expired: a restore leaves out what is older.
EXPIRE = {b"a", b"b"}
KEYS = st.sampled_from([b"a", b"b", b"c", b"d", b"e", b"f"])
CHANGES = st.dictionaries(KEYS, st.none() | st.binary(max_size=2), max_size=4)
#: What happens to a store: a commit, or something that may have some of what waits written.
STEPS = st.lists(CHANGES | st.sampled_from(["catch up", "shrink", "forget", "scan", "drop"]), max_size=20)


def held(store: BytesStore) -> dict[bytes, bytes]:
    return dict(store.scan(b"", None))


def apply(state: dict[bytes, bytes], log: Log, start: int = 0, expired: int = 0) -> dict[bytes, bytes]:
    """What a state becomes by the records of a changelog from `start` on; those before `expired` may be."""
    state = dict(state)
    for offset, (key, value) in enumerate(log):
        if offset < start:
            continue
        if value is None or (offset < expired and key in EXPIRE):
            state.pop(key, None)
        else:
            state[key] = value
    return state


def commit(store: WriteBehind, log: Log, changes: Mapping[bytes, bytes | None]) -> None:
    log += changes.items()
    store.write(changes, len(log))


@given(steps=STEPS, entries=st.integers(0, 5))
def test_the_changelog_brings_a_store_that_is_behind_to_what_was_committed(
    steps: list[dict[bytes, bytes | None] | str], entries: int
) -> None:
    """After every step: what is on disk and the records from its position on, and what is read."""
    disk = MemoryStore()
    store = WriteBehind(disk, entries)
    log: Log = []
    expired = 0
    for step in steps:
        if isinstance(step, dict):
            commit(store, log, step)
        elif step == "drop":
            store.write({}, len(log), [(b"a", b"c")])
            expired = len(log)
            assert not EXPIRE & held(disk).keys()
        elif step == "scan":
            assert held(store) == apply({}, log, 0, expired)
        else:
            {"catch up": store.catch_up, "shrink": store.shrink, "forget": store.forget}[step]()
        position = disk.position()
        assert position <= store.position() == len(log)
        committed = apply({}, log, 0, expired)
        assert apply(held(disk), log, position, expired) == committed
        assert {key: store.get(key) for key in committed} == committed
        assert all(store.get(key) is None for key in {key for key, _ in log} - committed.keys())
    store.close()
    again = WriteBehind(disk.reopen(), entries)
    assert (held(again), again.position()) == (apply({}, log, 0, expired), len(log))


def test_what_came_first_is_written_first_and_a_key_once() -> None:
    disk = MemoryStore()
    store, log = WriteBehind(disk, 2), Log()
    for changes in ({b"b": b"1"}, {b"a": b"1"}, {b"b": b"2", b"c": b"1"}):
        commit(store, log, changes)
    assert held(disk) == {}
    store.catch_up()
    # It is ahead of the position for that key alone, and nothing of it is uncommitted.
    assert (held(disk), disk.position()) == ({b"b": b"2"}, 1)


@pytest.mark.parametrize("commits", [100, 1_000])
def test_as_many_entries_wait_as_may_and_a_commit_more(commits: int) -> None:
    disk = MemoryStore()
    store, log = WriteBehind(disk, 10), Log()
    for number in range(commits):
        commit(store, log, {b"%d.%d" % (number, each): b"" for each in range(3)})
        store.catch_up()
        assert store.position() - disk.position() <= 10 + 3
    assert disk.approximate_count() >= 3 * commits - 10


def test_without_anybody_who_waits_twice_as_many_entries_wait() -> None:
    disk = MemoryStore()
    store, log = WriteBehind(disk, 10), Log()
    for number in range(100):
        commit(store, log, {b"%d" % number: b""})
        assert store.position() - disk.position() <= 20


def test_a_store_of_few_keys_is_not_left_far_behind() -> None:
    disk = MemoryStore()
    store, log = WriteBehind(disk, 10), Log()
    for number in range(1_000):
        commit(store, log, {b"key": b"%d" % number})
        store.catch_up()
        assert store.position() - disk.position() <= 4 * 10


def test_with_little_memory_what_waits_is_written() -> None:
    disk = MemoryStore()
    store, log = WriteBehind(disk, 100), Log()
    commit(store, log, {b"%d" % number: b"value" for number in range(40)})
    assert store.cached_bytes() == 40 * (256 + 5)
    CacheBound(store.cached_bytes() - 1).trim([store])
    assert disk.approximate_count() == 20
    CacheBound(100).trim([store])
    assert (disk.approximate_count(), disk.position(), store.cached_bytes()) == (40, 40, 0)


def test_a_store_for_which_nothing_may_wait_is_written_at_every_commit() -> None:
    disk = MemoryStore()
    store, log = WriteBehind(disk, 0), Log()
    for changes in ({b"a": b"1"}, {}, {b"a": b"2"}):
        commit(store, log, changes)
        assert (held(disk), disk.position()) == (apply({}, log), len(log))
