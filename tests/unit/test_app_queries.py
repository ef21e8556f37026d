"""Scans, tokens and times: rules that hold for all inputs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.record import NO_HEADERS, TaskId
from pipeline.runtime.queries import Progress, StoreRegistry
from pipeline.runtime.scan import MAX_EXAMINED, Position, Range, Row, scan_page
from pipeline.serde import BYTES, INT64
from pipeline.state.keyvalue import KeyValueStore
from pipeline.state.memory import MemoryStore
from pipeline.state.session import SessionStore
from pipeline.state.versioned import VersionedStore
from pipeline.state.window import WindowStore
from pipeline.topology import StoreSpec
from pipeline.web.parameters import encode_token, format_time, parse_key, parse_time, parse_token
from pipeline.web.view import HttpError

KEYS = st.binary(max_size=3)
STARTS = st.integers(min_value=0, max_value=300_000)
FOREVER = 10**9


def key_value_store(entries: dict[bytes, int]) -> KeyValueStore[bytes, int]:
    store: KeyValueStore[bytes, int] = KeyValueStore("s", MemoryStore(), BYTES, INT64, cache_entries=10)
    for key, value in entries.items():
        store.put_entry(key, value, value, NO_HEADERS)
    store.flush()
    store.commit(1)
    return store


def window_store(windows: set[tuple[bytes, int]]) -> WindowStore[bytes, int]:
    store: WindowStore[bytes, int] = WindowStore(
        "s", MemoryStore(), BYTES, INT64, retention_ms=FOREVER, window_size_ms=1, cache_entries=10
    )
    for key, start in windows:
        store.put_entry(key, start, start, start, NO_HEADERS)
    store.flush()
    store.commit(1)
    return store


def session_store(sessions: set[tuple[bytes, int, int]]) -> SessionStore[bytes, int]:
    store: SessionStore[bytes, int] = SessionStore(
        "s", MemoryStore(), BYTES, INT64, retention_ms=FOREVER, cache_entries=10
    )
    for key, start, length in sessions:
        store.put_entry(key, start, start + length, start, start, NO_HEADERS)
    store.flush()
    store.commit(1)
    return store


def versioned_store(versions: dict[tuple[bytes, int], bool]) -> VersionedStore[bytes, int]:
    store: VersionedStore[bytes, int] = VersionedStore(
        "s", MemoryStore(), BYTES, INT64, history_ms=FOREVER, cache_entries=10
    )
    for (key, time), kept in versions.items():
        store.put_entry(key, time if kept else None, time, NO_HEADERS)
    store.flush()
    store.commit(1)
    return store


def all_pages(stores: dict[TaskId, object], kind: str, wanted: Range, limit: int) -> list[Row]:
    rows: list[Row] = []
    after = None
    while True:
        page = scan_page(stores, kind, wanted, after=after, limit=limit)
        assert len(page.rows) <= limit
        rows += page.rows
        if page.next is None:
            return rows
        after = Position.from_token(page.next.to_token())


@given(
    st.lists(st.dictionaries(KEYS, st.integers(0, 9), max_size=8), min_size=1, max_size=3),
    KEYS,
    st.none() | KEYS,
    st.integers(1, 5),
)
def test_pages_of_a_key_value_store_are_all_its_entries_in_order(
    entries: list[dict[bytes, int]], start: bytes, end: bytes | None, limit: int
) -> None:
    stores: dict[TaskId, object] = {TaskId(0, i): key_value_store(part) for i, part in enumerate(entries)}
    expected = sorted(
        (key, 0, 0, partition, value)
        for partition, part in enumerate(entries)
        for key, value in part.items()
        if key >= start and (end is None or key < end)
    )
    rows = all_pages(stores, "key-value", Range(start, end), limit)
    assert [(*row.position, row.value) for row in rows] == expected


@given(
    st.lists(st.sets(st.tuples(KEYS, STARTS), max_size=8), min_size=1, max_size=3),
    st.none() | STARTS,
    st.none() | STARTS,
    st.integers(1, 5),
)
def test_pages_of_a_window_store_are_all_its_windows_in_order(
    windows: list[set[tuple[bytes, int]]], from_ms: int | None, to_ms: int | None, limit: int
) -> None:
    stores: dict[TaskId, object] = {TaskId(0, i): window_store(part) for i, part in enumerate(windows)}
    expected = sorted(
        (key, 0, start, partition)
        for partition, part in enumerate(windows)
        for key, start in part
        if (from_ms is None or start >= from_ms) and (to_ms is None or start <= to_ms)
    )
    rows = all_pages(stores, "window", Range(from_ms=from_ms, to_ms=to_ms), limit)
    assert [(*row.position,) for row in rows] == expected


@given(
    st.lists(st.sets(st.tuples(KEYS, STARTS, STARTS), max_size=8), min_size=1, max_size=3),
    st.none() | STARTS,
    st.none() | STARTS,
    st.integers(1, 5),
)
def test_pages_of_a_session_store_are_all_its_sessions_in_order(
    sessions: list[set[tuple[bytes, int, int]]], from_ms: int | None, to_ms: int | None, limit: int
) -> None:
    stores: dict[TaskId, object] = {TaskId(0, i): session_store(part) for i, part in enumerate(sessions)}
    expected = sorted(
        (key, start + length, start, partition)
        for partition, part in enumerate(sessions)
        for key, start, length in part
        if (from_ms is None or start + length >= from_ms) and (to_ms is None or start <= to_ms)
    )
    rows = all_pages(stores, "session", Range(from_ms=from_ms, to_ms=to_ms), limit)
    assert [(*row.position,) for row in rows] == expected


@given(
    st.lists(st.dictionaries(st.tuples(KEYS, st.integers(0, 50)), st.booleans(), max_size=8), max_size=3),
    KEYS,
    st.integers(1, 5),
)
def test_pages_of_a_versioned_store_are_its_latest_versions(
    versions: list[dict[tuple[bytes, int], bool]], start: bytes, limit: int
) -> None:
    stores: dict[TaskId, object] = {TaskId(0, i): versioned_store(part) for i, part in enumerate(versions)}
    expected = sorted(
        (key, 0, 0, partition, time)
        for partition, part in enumerate(versions)
        for (key, time), kept in part.items()
        if kept and key >= start and time == max(at for of, at in part if of == key)
    )
    rows = all_pages(stores, "versioned", Range(start), limit)
    assert [(*row.position, row.value) for row in rows] == expected


def test_a_page_ends_when_enough_was_looked_at() -> None:
    stores: dict[TaskId, object] = {TaskId(0, 0): window_store({(b"k", n) for n in range(MAX_EXAMINED + 5)})}
    wanted = Range(from_ms=MAX_EXAMINED)
    page = scan_page(stores, "window", wanted, after=None, limit=10)
    assert page.rows == []
    assert page.next == Position(b"k", 0, MAX_EXAMINED - 1, 0)
    rest = scan_page(stores, "window", wanted, after=page.next, limit=10)
    assert ([row.value for row in rest.rows], rest.next) == ([*range(MAX_EXAMINED, MAX_EXAMINED + 5)], None)


@given(st.binary(), st.integers(0, 2**62), st.integers(0, 2**62), st.integers(0, 2**31))
def test_a_token_comes_back_as_the_position_it_was(key: bytes, end: int, start: int, partition: int) -> None:
    position = Position(key, end, start, partition)
    token = encode_token(position)
    assert token is not None
    assert token.isascii()
    assert not set(token) & set("+/=&?# ")
    assert parse_token({"after": token}) == position


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.timezones()))  # noqa: DTZ001 - hypothesis takes bounds without a zone
def test_a_time_is_the_same_in_every_zone(time: datetime) -> None:
    ms = (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    utc = time.astimezone(UTC)
    assert parse_time("from", utc.isoformat()) == ms
    assert parse_time("from", utc.isoformat().replace("+00:00", "Z")) == ms
    assert parse_time("from", str(ms)) == ms
    shown = format_time(ms)
    assert shown is not None
    assert parse_time("from", shown) == ms


@pytest.mark.parametrize("ms", [10**18, -(10**18)])
def test_a_time_that_no_calendar_has_is_shown_as_milliseconds_only(ms: int) -> None:
    assert format_time(ms) is None


@pytest.mark.parametrize(
    "text", ["", "now", "1.5", "2023-01-29", "2023-01-29T08:42:00", "08:42:00Z", "1e3", "١٢٣"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(HttpError, match="from"):
        parse_time("from", text)


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_integer_key_can_be_asked_for(key: int) -> None:
    assert parse_key("key", str(key), INT64) == key


def spec(name: str, *, queryable: bool = True) -> StoreSpec:
    return StoreSpec(name, "key-value", BYTES, INT64, queryable=queryable)


def test_a_store_is_readable_between_register_and_unregister() -> None:
    registry = StoreRegistry([spec("a"), spec("b"), spec("hidden", queryable=False)])
    one, two = TaskId(0, 0), TaskId(0, 1)
    assert registry.names() == ("a", "b")
    assert registry.partitions("a") is None
    registry.partitioned("a", 4)
    registry.partitioned("hidden", 4)
    assert (registry.partitions("a"), registry.spec("hidden")) == (4, None)
    registry.progress(one, "a", 1, 10)
    assert registry.restoring("a") == {one: Progress(1, 10)}
    assert registry.restoring("a")[one].remaining == 9
    store = key_value_store({})
    for task in (one, two):
        registry.register(task, "a", store)
        registry.register(task, "hidden", store)
    assert (registry.open("a"), registry.open("b"), registry.restoring("a")) == (
        {one: store, two: store},
        {},
        {},
    )
    registry.unregister(one)
    assert registry.open("a") == {two: store}
