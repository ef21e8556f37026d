"""One suite over session stores, on every engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from pipeline.errors import StateError
from pipeline.record import NO_HEADERS, Windowed
from pipeline.serde import STRING
from pipeline.state.caching import ValueAndTimestamp
from pipeline.state.rows import Rows
from pipeline.state.session import SessionStore
from pipeline.state.store import BytesStore, Entry
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

Store: TypeAlias = SessionStore[str, str]
Make: TypeAlias = Callable[[BytesStore], Store]


@pytest.fixture(params=KINDS + BEHIND)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    with engines(request.param, tmp_path / "engine") as open_again:
        yield open_again


@pytest.fixture
def other_engine(tmp_path: Path) -> Iterator[BytesStore]:
    """An empty engine to restore into."""
    with engines("rocksdb", tmp_path / "other") as open_again:
        yield open_again()


def sessions(engine: BytesStore, *, caching: bool = True, cache_entries: int = 100) -> Store:
    return SessionStore(
        "store",
        engine,
        STRING,
        STRING,
        retention_ms=10 * MINUTE,
        cache_entries=cache_entries,
        caching=caching,
    )


@pytest.fixture(params=CACHING, ids=str)
def make(request: pytest.FixtureRequest) -> Make:
    """Opens a store, and one that forwards whatever it does."""
    return lambda engine: forwarding(sessions(engine, caching=request.param))


@pytest.mark.parametrize("read", [True, False], ids=["read", "put"])
def test_no_more_sessions_are_kept_than_may_be(engine: Open, *, read: bool) -> None:
    store, small = sessions(engine(), cache_entries=100), 40 * (256 + 16)
    store.resume({})
    for number in range(1_000):
        store.put(f"{number}", "value", number, number)
    store.flush()
    store.commit(1_000)
    if read:
        store.forget()
        for number in range(1_000):
            assert store.fetch_all(f"{number}") == [(number, number, "value")]
    store.recount()
    assert small < store.cached_bytes() <= 101 * (256 + 16)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("cache_entries", [1, 100])
def test_a_session_is_read_at_every_stage(engine: Open, stage: str, cache_entries: int) -> None:
    store = sessions(engine(), cache_entries=cache_entries)
    store.put("a", "1", 0, 5, 3)
    store.put("a", "2", 3 * MINUTE, 4 * MINUTE)
    store.put("b", "3", 5 * MINUTE, 5 * MINUTE)
    reach(store, stage)
    assert store.fetch("a", 0, 5) == "1"
    assert store.fetch("a", 0, 4) is None
    assert store.fetch("a", 1, 5) is None
    assert store.get_entry(b"a", 0, 5) == Entry("1", 3, NO_HEADERS)
    assert store.fetch_all("a") == [(0, 5, "1"), (3 * MINUTE, 4 * MINUTE, "2")]
    assert store.fetch_all("c") == []
    assert list(store.all()) == [
        (Windowed("a", 0, 5), "1"),
        (Windowed("a", 3 * MINUTE, 4 * MINUTE), "2"),
        (Windowed("b", 5 * MINUTE, 5 * MINUTE), "3"),
    ]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("earliest_end", "latest_start", "expected"),
    [
        # The order is that of the ends, then of the starts (`SessionStore.findSessions`).
        (0, 2**62, "[0,10] [10,10] [5,20] [30,40] [20,400000]"),
        (10, 2**62, "[0,10] [10,10] [5,20] [30,40] [20,400000]"),
        (11, 2**62, "[5,20] [30,40] [20,400000]"),
        (21, 29, "[20,400000]"),
        (0, 4, "[0,10]"),
        (0, 5, "[0,10] [5,20]"),
        (0, -1, ""),
        (-5, 0, "[0,10]"),
        (400_000, 400_000, "[20,400000]"),
        (400_001, 400_001, ""),
    ],
)
def test_b6_sessions_are_found_that_overlap_a_span(
    engine: Open, make: Make, stage: str, earliest_end: int, latest_start: int, expected: str
) -> None:
    store = make(engine())
    spans = [(30, 40), (5, 20), (20, 400_000), (10, 10), (0, 10)]
    for start, end in spans[:2]:
        store.put("a", "v", start, end)
    reach(store, "committed")
    for start, end in spans[2:]:
        store.put("a", "v", start, end)
        store.put("a\0", "another", start, end)
    reach(store, stage)
    found = [f"[{start},{end}]" for start, end, _ in store.find_sessions("a", earliest_end, latest_start)]
    assert " ".join(found) == expected
    backward = store.find_sessions("a", earliest_end, latest_start, reverse=True)
    assert [f"[{start},{end}]" for start, end, _ in backward] == found[::-1]
    everywhere = store.fetch_keys("a", "a", earliest_end, latest_start)
    assert [f"[{session.start},{session.end}]" for session, _ in everywhere] == found


@pytest.mark.parametrize("first", STAGES)
@pytest.mark.parametrize("second", STAGES)
def test_a_removed_session_is_hidden_at_every_stage(
    engine: Open, make: Make, first: str, second: str
) -> None:
    store = make(engine())
    store.put("a", "1", 1, 2)
    store.put("a", "2", 3, 4)
    reach(store, first)
    assert store.remove("a", 1, 2) == "1"
    assert store.remove("a", 1, 3) is None
    reach(store, second)
    assert store.fetch("a", 1, 2) is None
    assert store.fetch_all("a") == [(3, 4, "2")]
    assert [session for session, _ in store.all()] == [Windowed("a", 3, 4)]


def test_a_session_that_grows_replaces_the_one_before(engine: Open, make: Make) -> None:
    """As the session aggregate does it: find, remove, put."""
    bytes_store = engine()
    store = make(bytes_store)
    for number, time in enumerate((10, 20, 5, 30)):
        found = store.find_sessions("a", time - 10, time + 10)
        for start, end, _ in found:
            store.remove("a", start, end)
        start = min([time, *(start for start, _, _ in found)])
        end = max([time, *(end for _, end, _ in found)])
        store.put("a", str(number), start, end)
        reach(store, STAGES[number % 3])
    reach(store, "committed")
    assert store.fetch_all("a") == [(5, 30, "3")]
    assert size(bytes_store) == 1


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("now", "visible"),
    # end > stream time - retention, retention 10 minutes
    [
        (10 * MINUTE, [1, MINUTE, 10 * MINUTE]),
        (10 * MINUTE + 1, [MINUTE, 10 * MINUTE + 1]),
        (11 * MINUTE - 1, [MINUTE, 11 * MINUTE - 1]),
        (11 * MINUTE, [11 * MINUTE]),
        (900 * MINUTE, [900 * MINUTE]),
    ],
)
def test_a2_6_b6_a_session_is_visible_until_stream_time_has_left_its_end_behind(
    engine: Open, make: Make, stage: str, now: int, visible: list[int]
) -> None:
    store = make(engine())
    for end in (0, 1, MINUTE):
        store.put("a", "v", 0, end)
    reach(store, stage)
    store.put("a", "v", 0, now)
    reach(store, stage)
    ends = [0, 1, MINUTE, now]
    assert [end for end in ends if store.fetch("a", 0, end) is not None] == visible
    assert [end for _, end, _ in store.fetch_all("a")] == visible
    assert [session.end for session, _ in store.all()] == visible


@pytest.mark.parametrize(("end", "taken"), [(0, False), (MINUTE, False), (MINUTE + 1, True)])
def test_an_expired_session_is_not_put(engine: Open, make: Make, end: int, *, taken: bool) -> None:
    store = make(engine())
    store.put("a", "now", 11 * MINUTE, 11 * MINUTE)
    assert store.put("b", "late", 0, end) is taken
    assert (store.fetch("b", 0, end) is not None) is taken
    assert len(store.flush()) == 1 + taken


@pytest.mark.parametrize(("start", "end"), [(-1, 5), (6, 5)])
def test_what_is_no_session_is_refused(engine: Open, start: int, end: int) -> None:
    with pytest.raises(ValueError, match=f"'store'.*{start}.*{end}"):
        sessions(engine()).put("a", "v", start, end)


@pytest.mark.parametrize("one_commit", [False, True])
def test_expired_sessions_leave_the_engine(engine: Open, make: Make, *, one_commit: bool) -> None:
    bytes_store = engine()
    store = make(bytes_store)
    for number in range(50):
        store.put("a", "v", 0, number * MINUTE)
        if not one_commit:
            reach(store, "committed")
    reach(store, "committed")
    # Whole segments go: retention (10) and at most one segment (5) of minutes are left.
    assert 10 <= size(bytes_store) <= 16


@pytest.mark.parametrize("kept", [False, True])
def test_stream_time_survives_a_restart(engine: Open, make: Make, *, kept: bool) -> None:
    store = make(engine())
    store.put("z", "v", 3 * MINUTE, 20 * MINUTE)
    store.put("a", "v", 19 * MINUTE, 19 * MINUTE)
    store.flush()
    store.commit(1)
    progress = store.progress() if kept else {}
    store.close()
    again = make(engine())
    again.resume(progress)
    assert dict(again.progress()) == {"time": 20 * MINUTE}
    assert again.put("a", "late", 0, 10 * MINUTE) is False
    assert again.put("a", "in time", 0, 10 * MINUTE + 1) is True


def test_a9_b6_the_changelog_has_the_keys_of_kafka_streams_and_restores_the_store(
    engine: Open, make: Make, other_engine: BytesStore
) -> None:
    store = make(engine())
    log: Log = []
    for number, end in enumerate((1, 9 * MINUTE, 9 * MINUTE, 12 * MINUTE, 20 * MINUTE)):
        store.put("a\0b", str(number), 1, end, number)
        log += store.flush()
    store.put("a\0b", None, 1, 12 * MINUTE)
    log += store.flush()
    store.commit(len(log))
    assert log[0] == (b"a\0b" + b"\0" * 7 + b"\x01" + b"\0" * 7 + b"\x01", b"\0" * 8 + b"0")
    restored = sessions(other_engine)
    assert restored.fetch_all("a\0b") == []
    restored.restore(Rows.of(log[:3]), 3)
    restored.restore(Rows.of(log[3:]), 6)
    restored.resume(store.progress())
    assert restored.find_entries(b"a\0b", 0, 30 * MINUTE) == [(1, 20 * MINUTE, Entry("4", 4, NO_HEADERS))]
    assert list(restored.all()) == list(store.all())
    assert (restored.position(), restored.progress()) == (6, store.progress())


@pytest.mark.parametrize("send_old_values", [False, True])
def test_a_session_flush_tells_key_start_end_entry_and_old_value(
    engine: Open, *, send_old_values: bool
) -> None:
    store = sessions(engine())
    seen: list[tuple[bytes, int, int, Entry, str | None, str | None]] = []
    store.on_flush = lambda key, start, end, entry, old: seen.append(
        (key, start, end, entry, old, store.fetch("a", 5, 8))
    )
    store.send_old_values = send_old_values
    for number, stage in ((1, "committed"), (2, "flushed"), (3, "flushed")):
        store.put("a", "between", 5, 8)
        store.put("a", str(number), 5, 8, number)
        reach(store, stage)
    olds = (None, "1", "2") if send_old_values else (None, None, None)
    assert seen == [
        (b"a", 5, 8, Entry(value, int(value), NO_HEADERS), old, value)
        for value, old in zip("123", olds, strict=True)
    ]


def test_session_queries_show_only_what_is_committed(engine: Open, make: Make) -> None:
    store = make(engine())
    for key, end in (("b", 5), ("a", 6 * MINUTE), ("a", 5), ("ab", 7)):
        store.put(key, "old", 4, end, end + 1)
    reach(store, "committed")
    store.put("a", "new", 4, 5)
    store.put("c", "new", 4, 5)
    store.flush()
    old = ValueAndTimestamp("old", 6)
    assert list(store.committed_fetch("a", 0, 10)) == [
        (4, 5, old),
        (4, 6 * MINUTE, ValueAndTimestamp("old", 6 * MINUTE + 1)),
    ]
    assert list(store.committed_fetch("a", 6, 10)) == [(4, 6 * MINUTE, ValueAndTimestamp("old", 360_001))]
    assert list(store.committed_fetch("a", 0, 3)) == []
    assert next(store.committed_scan()) == (b"a", 4, 5, old)
    assert [(key, end) for key, _, end, _ in store.committed_scan()] == [
        (b"a", 5),
        (b"a", 6 * MINUTE),
        (b"ab", 7),
        (b"b", 5),
    ]
    assert [key for key, *_ in store.committed_scan(b"a\0", b"b")] == [b"ab"]


def test_stored_is_what_is_committed_under_changelog_keys(engine: Open, make: Make) -> None:
    store = make(engine())
    store.put("a", "1", 2, 5)
    log = list(store.flush())
    store.commit(1)
    store.put("a", "2", 2, 5)
    store.put("b", "2", 2, 5)
    keys = {key for key, _ in store.flush()}
    assert sorted(store.stored(keys)) == sorted([*log, *((key, None) for key in keys - {log[0][0]})])


def test_wipe_forgets_every_stage(engine: Open, make: Make) -> None:
    store = make(engine())
    for stage in reversed(STAGES):
        store.put(stage, "v", 1, 2)
        reach(store, stage)
    store.wipe()
    assert (list(store.all()), store.fetch_all("put"), store.position()) == ([], [], 0)
    assert (store.dirty, list(store.flush()), store.progress()) == (0, [], {"time": -1})


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(lambda store: list(store.committed_fetch("a", 0, 10)), id="fetch"),
        pytest.param(lambda store: list(store.committed_scan()), id="scan"),
    ],
)
def test_queries_of_a_closed_store_are_refused(engine: Open, read: Callable[[Store], object]) -> None:
    store = sessions(engine())
    store.put("a", "1", 5, 6)
    reach(store, "committed")
    store.close()
    with pytest.raises(StateError, match="closed"):
        read(store)


def test_what_is_put_after_a_flush_is_not_committed_with_it(engine: Open, make: Make) -> None:
    store = make(engine())
    store.put("a", "early", 0, MINUTE)
    log, progress = list(store.flush()), store.progress()
    # By this time the other has expired, and its segment is to be dropped: by the next commit.
    store.put("b", "late", 0, 60 * MINUTE)
    store.commit(len(log))
    late = [(Windowed("b", 0, 60 * MINUTE), "late")]
    assert list(store.all()) == late
    store.close()
    store = make(engine())
    store.resume(progress)
    assert list(store.all()) == [(Windowed("a", 0, MINUTE), "early")]
    store.put("b", "late", 0, 60 * MINUTE)
    log += store.flush()
    store.commit(len(log))
    assert list(store.all()) == late
