"""One suite over window stores, on every engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from pipeline.errors import StateError
from pipeline.record import NO_HEADERS, Windowed
from pipeline.serde import STRING
from pipeline.state.caching import ValueAndTimestamp
from pipeline.state.rows import Rows
from pipeline.state.store import BytesStore, Entry
from pipeline.state.window import WindowStore
from tests.contract.store_engines import (
    BEHIND,
    CACHING,
    KINDS,
    STAGES,
    Log,
    Open,
    engines,
    forwarding,
    reach,
    size,
)

MINUTE = 60_000


@pytest.fixture(params=KINDS + BEHIND)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    with engines(request.param, tmp_path / "engine") as open_again:
        yield open_again


@pytest.fixture
def other_engine(tmp_path: Path) -> Iterator[BytesStore]:
    """An empty engine to restore into."""
    with engines("rocksdb", tmp_path / "other") as open_again:
        yield open_again()


def window(
    engine: BytesStore, *, retention_ms: int = 10 * MINUTE, dups: bool = False, caching: bool = True
) -> WindowStore[str, str]:
    return WindowStore(
        "store",
        engine,
        STRING,
        STRING,
        retention_ms=retention_ms,
        window_size_ms=100,
        retain_duplicates=dups,
        cache_entries=100,
        caching=caching,
    )


class Make(Protocol):
    def __call__(self, engine: BytesStore, *, dups: bool = False) -> WindowStore[str, str]: ...


@pytest.fixture(params=CACHING, ids=str)
def make(request: pytest.FixtureRequest) -> Make:
    """Opens a store that forwards whatever it does, at its flushes or at once."""

    def made(engine: BytesStore, *, dups: bool = False) -> WindowStore[str, str]:
        return forwarding(window(engine, dups=dups, caching=request.param))

    return made


@pytest.mark.parametrize("stage", STAGES)
def test_a_window_is_read_at_every_stage(engine: Open, make: Make, stage: str) -> None:
    store = make(engine())
    store.put("a", "1", 0, 17)
    store.put("a", "2", 3 * MINUTE)
    store.put("b", "3", 5 * MINUTE)
    reach(store, stage)
    assert [store.fetch("a", start) for start in (0, 1, 3 * MINUTE)] == ["1", None, "2"]
    entry = store.get_entry(b"a", 0)
    assert entry is not None
    assert (entry.value, entry.timestamp, entry.headers) == ("1", 17, NO_HEADERS)
    assert store.fetch_range("a", 0, 10 * MINUTE) == [(0, "1"), (3 * MINUTE, "2")]
    assert list(store.all()) == [
        (Windowed("a", 0, 100), "1"),
        (Windowed("a", 3 * MINUTE, 3 * MINUTE + 100), "2"),
        (Windowed("b", 5 * MINUTE, 5 * MINUTE + 100), "3"),
    ]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("from_ms", "to_ms", "expected"),
    [
        (0, 9, [0, 5, 9]),
        (0, 0, [0]),
        (5, 5, [5]),
        (1, 8, [5]),
        (6, 8, []),
        (9, 5, []),
        (-10, -1, []),
        (-10, 0, [0]),
        (0, 2**62, [0, 5, 9, 4 * MINUTE]),
    ],
)
def test_b6_fetch_includes_both_ends(
    engine: Open, make: Make, stage: str, from_ms: int, to_ms: int, expected: list[int]
) -> None:
    store = make(engine())
    for start in (9, 4 * MINUTE, 0, 5):
        store.put("a", str(start), start)
        store.put("a\0", "another", start)
    reach(store, stage)
    assert [start for start, _ in store.fetch_range("a", from_ms, to_ms)] == expected
    assert [start for start, _ in store.fetch_range("a", from_ms, to_ms, reverse=True)] == expected[::-1]
    both = [(key, start) for key in ("a", "a\0") for start in expected]
    everything = [(window.key, window.start) for window, _ in store.all(from_ms, to_ms)]
    assert everything == both
    backward = [(window.key, window.start) for window, _ in store.all(from_ms, to_ms, reverse=True)]
    assert backward == both[::-1]


@pytest.mark.parametrize("stages", [(one, two) for one in STAGES for two in STAGES])
@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (None, None, "a a\0 ab b"),
        ("a", "a", "a"),
        ("a\0", "ab", "a\0 ab"),
        ("a\0", None, "a\0 ab b"),
        (None, "ab", "a a\0 ab"),
        ("c", None, ""),
        ("b", "a", ""),
    ],
)
def test_b6_windows_of_a_range_of_keys_include_both_ends(
    engine: Open, make: Make, stages: tuple[str, str], first: str | None, last: str | None, expected: str
) -> None:
    store = make(engine())
    for stage, value in zip(stages, ("old", "new"), strict=True):
        for key in ("b", "a\0", "ab", "a"):
            store.put(key, value, 5)
            # Windows in two segments, one that is deleted, one that is outside of the times.
            store.put(key, value, 7 * MINUTE)
            store.put(key, "gone", 6)
            store.put(key, value, 8 * MINUTE)
        reach(store, stage)
        for key in ("a", "a\0", "ab", "b"):
            store.put(key, None, 6)
    wanted = [
        (Windowed(key, start, start + 100), "new") for key in expected.split() for start in (5, 7 * MINUTE)
    ]
    assert list(store.fetch_keys(first, last, 5, 7 * MINUTE)) == wanted
    assert list(store.fetch_keys(first, last, 5, 7 * MINUTE, reverse=True)) == wanted[::-1]


@pytest.mark.parametrize("first", STAGES)
@pytest.mark.parametrize("second", STAGES)
def test_a_deleted_window_is_hidden_at_every_stage(engine: Open, make: Make, first: str, second: str) -> None:
    store = make(engine())
    store.put("a", "1", 1)
    store.put("a", "2", 2)
    reach(store, first)
    store.put("a", None, 1)
    reach(store, second)
    assert store.fetch("a", 1) is None
    assert store.fetch_range("a", 0, 10) == [(2, "2")]


@pytest.mark.parametrize("stage", STAGES)
def test_b6_duplicates_are_kept_in_the_order_they_were_put(engine: Open, make: Make, stage: str) -> None:
    store = make(engine(), dups=True)
    for number, start in enumerate((5, 1, 5, 5, 1)):
        store.put("a", str(number), start)
    reach(store, stage)
    assert store.fetch_range("a", 0, 10) == [(1, "1"), (1, "4"), (5, "0"), (5, "2"), (5, "3")]


def test_duplicates_put_after_a_restart_do_not_replace_earlier_ones(engine: Open, make: Make) -> None:
    log: Log = []
    for run in range(3):
        store = make(engine(), dups=True)
        store.resume({"time": 1} if run else {})
        for number in range(3):
            store.put("a", f"{run}{number}", 1)
        log += store.flush()
        store.commit(len(log))
        values = [value for _, value in store.fetch_range("a", 0, 10)]
        store.close()
    assert values == [f"{run}{number}" for run in range(3) for number in range(3)]
    assert len(dict(log)) == 9


def test_duplicates_put_after_a_full_restore_do_not_replace_restored_ones(
    engine: Open, make: Make, other_engine: BytesStore
) -> None:
    store = make(engine(), dups=True)
    for number in range(3):
        store.put("a", str(number), 1)
    log = list(store.flush())
    store.commit(3)
    restored = make(other_engine, dups=True)
    restored.restore(Rows.of(log), 3)
    restored.resume(store.progress())
    restored.put("a", "3", 1)
    assert [value for _, value in restored.fetch_range("a", 0, 10)] == list("0123")


def test_nothing_is_put_for_a_deletion_where_duplicates_are_kept(engine: Open, make: Make) -> None:
    """Which one would go? `RocksDBWindowStore.put` skips it too."""
    store = make(engine(), dups=True)
    store.put("a", "1", 1)
    store.put("a", None, 1)
    assert (store.fetch_range("a", 0, 10), len(store.flush())) == ([(1, "1")], 1)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("now", "visible"),
    # start > stream time - retention, retention 10 minutes
    [
        (10 * MINUTE, [1, MINUTE, 10 * MINUTE]),
        (10 * MINUTE + 1, [MINUTE, 10 * MINUTE + 1]),
        (11 * MINUTE - 1, [MINUTE, 11 * MINUTE - 1]),
        (11 * MINUTE, [11 * MINUTE]),
        (900 * MINUTE, [900 * MINUTE]),
    ],
)
def test_a2_6_b6_a_window_is_visible_until_stream_time_has_left_it_behind(
    engine: Open, make: Make, stage: str, now: int, visible: list[int]
) -> None:
    store = make(engine())
    for start in (0, 1, MINUTE):
        store.put("a", "v", start)
    reach(store, stage)
    store.put("a", "v", now)
    reach(store, stage)
    every = [0, 1, MINUTE, now]
    assert [start for start in every if store.fetch("a", start) is not None] == visible
    assert [start for start, _ in store.fetch_range("a", 0, now)] == visible
    assert [key.start for key, _ in store.all()] == visible


@pytest.mark.parametrize(
    ("start", "taken"), [(0, False), (MINUTE, False), (MINUTE + 1, True), (11 * MINUTE, True)]
)
def test_a2_6_b6_an_expired_window_is_not_put(engine: Open, make: Make, start: int, *, taken: bool) -> None:
    store = make(engine())
    store.put("a", "now", 11 * MINUTE)
    assert store.put("b", "late", start) is taken
    assert (store.fetch("b", start) is not None) is taken
    assert len(store.flush()) == 1 + taken


@pytest.mark.parametrize("one_commit", [False, True])
def test_expired_windows_leave_the_engine(engine: Open, make: Make, *, one_commit: bool) -> None:
    """Also those that expired between their put and their commit."""
    bytes_store = engine()
    store = make(bytes_store)
    for number in range(50):
        store.put("a", "v", number * MINUTE)
        if not one_commit:
            reach(store, "committed")
    reach(store, "committed")
    # Whole segments go: retention (10) and at most one segment (5) of minutes are left.
    assert 10 <= size(bytes_store) <= 16


def test_expired_windows_leave_the_engine_after_a_wipe(engine: Open, make: Make) -> None:
    bytes_store = engine()
    store = make(bytes_store)
    store.put("a", "v", 10_000 * MINUTE)
    reach(store, "committed")
    store.wipe()
    for number in range(50):
        store.put("a", "v", number * MINUTE)
        reach(store, "committed")
    assert size(bytes_store) <= 16


def test_stream_time_survives_a_restart(engine: Open, make: Make) -> None:
    store = make(engine())
    store.put("a", "v", 20 * MINUTE)
    store.flush()
    store.commit(1)
    progress = store.progress()
    store.close()
    again = make(engine())
    again.resume(progress)
    assert again.put("a", "late", 10 * MINUTE) is False
    assert again.put("a", "in time", 10 * MINUTE + 1) is True


def test_stream_time_is_found_in_the_store_where_none_was_kept(engine: Open, make: Make) -> None:
    store = make(engine())
    for start in (20 * MINUTE, 19 * MINUTE):
        store.put("z" if start < 20 * MINUTE else "a", "v", start)
    reach(store, "committed")
    store.close()
    again = make(engine())
    again.resume({})
    assert dict(again.progress())["time"] == 20 * MINUTE


@pytest.mark.parametrize("dups", [False, True])
def test_a_window_changelog_restores_the_store(
    engine: Open, make: Make, other_engine: BytesStore, *, dups: bool
) -> None:
    store = make(engine(), dups=dups)
    log: Log = []
    for number, start in enumerate((0, 9 * MINUTE, 9 * MINUTE, 12 * MINUTE, 20 * MINUTE, 12 * MINUTE)):
        store.put("a\0b", str(number), start, number)
        log += store.flush()
    store.commit(len(log))
    restored = make(other_engine, dups=dups)
    restored.restore(Rows.of(log[:3]), 3)
    restored.restore(Rows.of(log[3:]), 6)
    restored.resume(store.progress())
    found = restored.fetch_entries(b"a\0b", 0, 30 * MINUTE)
    assert found == store.fetch_entries(b"a\0b", 0, 30 * MINUTE)
    expected = ["3", "5", "4"] if dups else ["5", "4"]
    assert [entry.value for _, entry in found] == expected
    assert (restored.position(), restored.progress()) == (6, store.progress())


@pytest.mark.parametrize(("now", "kept"), [(10 * MINUTE, 3), (10 * MINUTE + 1, 2), (100 * MINUTE, 1)])
def test_restoring_skips_what_has_expired(
    engine: Open, make: Make, other_engine: BytesStore, now: int, kept: int
) -> None:
    source = make(engine())
    log: Log = []
    for start in (0, 1, MINUTE, now):
        source.put("a", "v", start)
        log += source.flush()
    restored = make(other_engine)
    restored.restore(Rows.of(log), 4)
    assert size(other_engine) == len(restored.fetch_range("a", 0, now))
    assert len(restored.fetch_range("a", 0, now)) == kept


def test_restoring_deletes_what_has_expired_meanwhile(
    engine: Open, make: Make, other_engine: BytesStore
) -> None:
    """A crashed worker was far ahead; who came after it took back what it had logged, and begins anew."""
    source = make(engine())
    log: Log = []
    for start in (0, 100 * MINUTE):
        source.put("a", "v", start)
        log += source.flush()
    restored = make(other_engine)
    restored.restore(Rows.of(log[:1]), 1)
    restored.restore(Rows.of(log[1:]), 2)
    restored.restore(Rows.of([(key, None) for key, _ in log]), 4)
    assert size(other_engine) == 0


@pytest.mark.parametrize("send_old_values", [False, True])
def test_a_window_flush_tells_key_start_entry_and_old_value(engine: Open, *, send_old_values: bool) -> None:
    store = window(engine())
    seen: list[tuple[bytes, int, Entry, str | None, str | None]] = []
    store.on_flush = lambda key, start, entry, old: seen.append((key, start, entry, old, store.fetch("a", 5)))
    store.send_old_values = send_old_values
    store.put("a", "1", 5, 6)
    reach(store, "committed")
    store.put("a", "2", 5, 7)
    store.flush()
    store.put("a", "3", 5, 8)
    store.flush()
    olds = (None, "1", "2") if send_old_values else (None, None, None)
    assert seen == [
        (b"a", 5, Entry(value, timestamp, NO_HEADERS), old, value)
        for value, timestamp, old in zip("123", (6, 7, 8), olds, strict=True)
    ]


def test_window_queries_show_only_what_is_committed(engine: Open, make: Make) -> None:
    store = make(engine())
    for key, start in (("b", 5), ("a", 6 * MINUTE), ("a", 5), ("ab", 7)):
        store.put(key, "old", start, start + 1)
    reach(store, "committed")
    store.put("a", "new", 5)
    store.put("c", "new", 5)
    store.flush()
    assert list(store.committed_fetch("a", 0, 6 * MINUTE)) == [
        (5, ValueAndTimestamp("old", 6)),
        (6 * MINUTE, ValueAndTimestamp("old", 6 * MINUTE + 1)),
    ]
    assert [(key, start) for key, start, _ in store.committed_scan()] == [
        (b"a", 5),
        (b"a", 6 * MINUTE),
        (b"ab", 7),
        (b"b", 5),
    ]
    assert [key for key, _, _ in store.committed_scan(b"a\0", b"b")] == [b"ab"]


@pytest.mark.parametrize("dups", [False, True])
def test_stored_is_what_is_committed_under_changelog_keys(engine: Open, make: Make, *, dups: bool) -> None:
    store = make(engine(), dups=dups)
    store.put("a", "1", 5)
    log = list(store.flush())
    store.commit(1)
    store.put("a", "2", 5)
    store.put("b", "2", 5)
    keys = {key for key, _ in store.flush()}
    absent = [(key, None) for key in sorted(keys - {log[0][0]})]
    assert sorted(store.stored({*keys, log[0][0]})) == sorted([*log, *absent])


def test_wipe_forgets_every_stage(engine: Open, make: Make) -> None:
    store = make(engine())
    for stage in reversed(STAGES):
        store.put(stage, "v", 1)
        reach(store, stage)
    store.wipe()
    assert (list(store.all()), store.position(), store.dirty, list(store.flush())) == ([], 0, 0, [])


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(lambda store: list(store.committed_fetch("a", 0, 10)), id="fetch"),
        pytest.param(lambda store: list(store.committed_scan()), id="scan"),
    ],
)
def test_queries_of_a_closed_store_are_refused(
    engine: Open, make: Make, read: Callable[[WindowStore[str, str]], object]
) -> None:
    store = make(engine())
    store.put("a", "1", 1)
    reach(store, "committed")
    store.close()
    with pytest.raises(StateError, match="closed"):
        read(store)


def test_what_was_logged_and_not_committed_lets_no_window_expire(
    engine: Open, other_engine: BytesStore
) -> None:
    store = window(engine())
    store.put("early", "a", 0)
    log = list(store.flush())
    # A crashed worker's: the next one has logged that it does not count.
    store.put("late", "b", 60 * MINUTE)
    log += store.flush()
    log += [(key, None) for key, _ in log[1:]]
    restored = window(other_engine)
    restored.resume({"time": 0})
    for position, record in enumerate(log, start=1):
        restored.restore(Rows.of([record]), position)
    restored.resume({"time": 0})
    assert (restored.fetch("early", 0), restored.progress()) == ("a", {"time": 0})


@pytest.mark.parametrize("dups", [False, True])
def test_what_is_put_after_a_flush_is_not_committed_with_it(engine: Open, make: Make, *, dups: bool) -> None:
    store = make(engine(), dups=dups)
    store.put("a", "early", MINUTE)
    log, progress = list(store.flush()), store.progress()
    # By this time the other has expired, and its segment is to be dropped: by the next commit.
    store.put("b", "late", 60 * MINUTE)
    store.commit(len(log))
    assert list(store.all()) == [(windowed("b", 60), "late")]
    store.close()
    store = make(engine(), dups=dups)
    store.resume(progress)
    assert list(store.all()) == [(windowed("a", 1), "early")]
    store.put("b", "late", 60 * MINUTE)
    log += store.flush()
    store.commit(len(log))
    assert list(store.all()) == [(windowed("b", 60), "late")]


def windowed(key: str, minute: int) -> Windowed[str]:
    return Windowed(key, minute * MINUTE, minute * MINUTE + 100)
