from __future__ import annotations

import pytest

from pipeline.runtime.cache_bound import CacheBound
from pipeline.serde import serde_for
from pipeline.state.memory import MemoryStore
from pipeline.state.window import WindowStore

MINUTE_MS = 60_000
KEYS = 20


def empty_store(*, of_join: bool) -> WindowStore[str, int]:
    return WindowStore(
        "windows",
        MemoryStore(),
        serde_for(str),
        serde_for(int),
        retention_ms=100 * MINUTE_MS,
        window_size_ms=MINUTE_MS,
        retain_duplicates=of_join,
        cache_entries=1_000,
    )


def store_of(windows: int) -> WindowStore[str, int]:
    """A store with so many windows of each key, all committed."""
    store = empty_store(of_join=False)
    for window in range(windows):
        for key in range(KEYS):
            store.put(f"{key}", window, window * MINUTE_MS, window * MINUTE_MS)
    store.flush()
    store.commit(windows * KEYS)
    return store


def reads(store: WindowStore[str, int], window: int) -> int:
    """How often the store's files are read for the windows that start then, whose values are right."""
    before = store.reads
    for key in range(KEYS):
        entry = store.get_entry(b"%d" % key, window * MINUTE_MS)
        assert entry is not None
        assert entry.value == window
    return store.reads - before


def test_with_little_memory_the_oldest_windows_are_forgotten_and_the_newest_kept() -> None:
    store = store_of(windows=4)
    bytes_before = store.cached_bytes()
    CacheBound(bytes_before - 1).trim([store])
    assert store.cached_bytes() <= bytes_before // 2
    assert [reads(store, window) for window in (3, 2, 1, 0)] == [0, 0, KEYS, KEYS]


@pytest.mark.parametrize("share", [0.2, 0.0])
def test_if_that_is_not_enough_all_is_forgotten(share: float) -> None:
    store = store_of(windows=4)
    CacheBound(int(store.cached_bytes() * share)).trim([store])
    assert store.cached_bytes() == 0
    assert reads(store, 3) == KEYS


def test_that_a_key_has_no_window_is_known_when_those_of_others_are_forgotten() -> None:
    store = WindowStore(
        "windows",
        MemoryStore(),
        serde_for(str),
        serde_for(int),
        retention_ms=100 * MINUTE_MS,
        window_size_ms=MINUTE_MS,
        cache_entries=100,
    )
    store.resume({})
    for number in range(1_000):
        store.put(f"{number}", number, 0)
        if number % 100 == 99:
            store.flush()
            store.commit(number + 1)
    found = [store.get_entry(b"%d" % number, 0) for number in range(1_000)]
    assert [entry and entry.value for entry in found] == list(range(1_000))
    before = store.reads
    assert all(store.get_entry(b"%d" % number, 0) is None for number in range(1_000, 11_000))
    assert store.reads - before < 1_500, "one in twenty of each of a filter's tables is taken for another"
    store.forget()
    before = store.reads
    assert store.get_entry(b"x", 0) is None
    assert store.reads == before + 1


def test_what_is_within_the_bound_stays() -> None:
    store = store_of(windows=4)
    CacheBound(store.cached_bytes()).trim([store])
    assert [reads(store, window) for window in range(4)] == [0, 0, 0, 0]


def joined_at(store: WindowStore[str, int], window: int) -> int:
    """How often the store's files are read for what all keys have in a window, all of which is there."""
    before, start = store.reads, window * MINUTE_MS
    for key in range(KEYS):
        assert store.fetch_range(f"{key}", start, start + MINUTE_MS - 1) == [(start, window)]
    return store.reads - before


def join_store_of(windows: int) -> WindowStore[str, int]:
    """A store of a join with so many records of each key, all committed, a minute between them."""
    store = empty_store(of_join=True)
    store.resume({})
    put_joined(store, range(windows))
    return store


def put_joined(store: WindowStore[str, int], windows: range) -> None:
    for window in windows:
        for key in range(KEYS):
            store.put(f"{key}", window, window * MINUTE_MS)
    store.flush()
    store.commit(windows.stop * KEYS)


def test_of_a_join_the_oldest_records_are_forgotten_and_the_newest_kept() -> None:
    store = join_store_of(windows=40)
    assert sum(joined_at(store, window) for window in range(40)) == 0
    bytes_before = store.cached_bytes()
    CacheBound(bytes_before - 1).trim([store])
    assert store.cached_bytes() <= bytes_before // 2
    read = [joined_at(store, window) for window in range(40)]
    assert read[:15] == [KEYS] * 15
    assert read[30:] == [0] * 10


def test_when_all_of_a_join_was_forgotten_the_next_records_are_kept_again() -> None:
    store = join_store_of(windows=20)
    CacheBound(0).trim([store])
    assert joined_at(store, 19) == KEYS
    put_joined(store, range(20, 40))
    assert joined_at(store, 19) == KEYS
    assert [joined_at(store, window) for window in range(20, 40)] == [0] * 20
