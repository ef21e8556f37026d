"""One suite over key-value stores, on every engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import pytest

from pipeline.errors import StateError
from pipeline.record import NO_HEADERS
from pipeline.serde import BYTES, JSON, STRING
from pipeline.state.caching import ValueAndTimestamp
from pipeline.state.keyvalue import KeyValueStore
from pipeline.state.rows import Rows
from pipeline.state.store import BytesStore, Entry
from tests.contract.store_engines import BEHIND, CACHING, KINDS, STAGES, Log, Open, engines, forwarding, reach


@pytest.fixture(params=KINDS + BEHIND)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    with engines(request.param, tmp_path / "engine") as open_again:
        yield open_again


@pytest.fixture
def other_engine(tmp_path: Path) -> Iterator[BytesStore]:
    """An empty engine to restore into."""
    with engines("rocksdb", tmp_path / "other") as open_again:
        yield open_again()


def key_value(
    engine: BytesStore, *, cache_entries: int = 100, ordered: bool = False, caching: bool = True
) -> KeyValueStore[str, str]:
    return KeyValueStore(
        "store", engine, STRING, STRING, cache_entries=cache_entries, ordered=ordered, caching=caching
    )


class Make(Protocol):
    def __call__(
        self, engine: BytesStore, *, cache_entries: int = 100, ordered: bool = False
    ) -> KeyValueStore[str, str]: ...


@pytest.fixture(params=CACHING, ids=str)
def make(request: pytest.FixtureRequest) -> Make:
    """Opens a store that forwards whatever it does, at its flushes or at once."""

    def made(
        engine: BytesStore, *, cache_entries: int = 100, ordered: bool = False
    ) -> KeyValueStore[str, str]:
        store = key_value(engine, cache_entries=cache_entries, ordered=ordered, caching=request.param)
        return forwarding(store)

    return made


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("cache_entries", [1, 100])
def test_a_put_is_read_at_every_stage(engine: Open, make: Make, stage: str, cache_entries: int) -> None:
    store = make(engine(), cache_entries=cache_entries)
    for number, key in enumerate("abc"):
        store.put(key, key.upper(), number)
    reach(store, stage)
    assert [store.get(key) for key in "abcd"] == ["A", "B", "C", None]
    assert store.get_with_timestamp("c") == ValueAndTimestamp("C", 2)
    assert list(store.all()) == [("a", "A"), ("b", "B"), ("c", "C")]


@pytest.mark.parametrize("first", STAGES)
@pytest.mark.parametrize("second", STAGES)
def test_a_deletion_hides_the_value_at_every_stage(engine: Open, make: Make, first: str, second: str) -> None:
    store = make(engine())
    store.put("a", "1", 1)
    store.put("b", "2", 1)
    reach(store, first)
    assert store.delete("a") == "1"
    reach(store, second)
    assert store.get("a") is None
    assert store.get_with_timestamp("a") is None
    assert store.delete("a") is None
    assert list(store.all()) == [("b", "2")]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, "a aa ab b c"),
        ("a", "ab", "a aa ab"),
        ("aa", None, "aa ab b c"),
        (None, "b", "a aa ab b"),
        ("b", "b", "b"),
        ("bb", "bz", ""),
        ("c", "a", ""),
    ],
)
def test_range_includes_both_ends(
    engine: Open, make: Make, stage: str, start: str | None, end: str | None, expected: str, *, ordered: bool
) -> None:
    store = make(engine(), ordered=ordered)
    for key in ("b", "aa"):
        store.put(key, "old", 1)
    reach(store, "committed")
    for key in ("c", "a", "aa", "ab"):
        store.put(key, "new", 2)
    reach(store, stage)
    rows = list(store.range(start, end))
    assert [key for key, _ in rows] == expected.split()
    assert list(store.range(start, end, reverse=True)) == rows[::-1]
    if (start, end) == (None, None):
        assert list(store.all()) == rows
        assert list(store.all(reverse=True)) == rows[::-1]
    assert all(value == ("old" if key == "b" else "new") for key, value in rows)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [(b"", 6), (b"a", 2), (b"a\xff", 1), (b"\xff", 2), (b"\xff\xff", 1), (b"z", 0)],
)
def test_prefix_takes_the_keys_that_begin_so(engine: Open, prefix: bytes, expected: int) -> None:
    store = KeyValueStore("store", engine(), BYTES, STRING, cache_entries=10)
    names = [b"", b"a", b"a\xff\xff", b"b", b"\xff", b"\xff\xff\x01"]
    for key in names:
        store.put(key, "v", 1)
    reach(store, "committed")
    found = [key for key, _ in store.prefix(prefix)]
    assert found == sorted(key for key in names if key.startswith(prefix))
    assert [key for key, _ in store.prefix(prefix, reverse=True)] == found[::-1]
    assert len(found) == expected


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_operators_scan_entries_that_they_put_and_delete_meanwhile(
    engine: Open, make: Make, *, ordered: bool, reverse: bool
) -> None:
    store = make(engine(), ordered=ordered)
    names = [b"%03d" % number for number in range(400)]
    for stage, part in (("committed", names[0::3]), ("flushed", names[1::3]), ("put", names[2::3])):
        for key in part:
            store.put_entry(key, key.decode(), 5, NO_HEADERS)
        reach(store, stage)
    met = []
    for key, entry in store.range_entries(b"100", b"300", reverse=reverse):
        assert entry == Entry(key.decode(), 5, NO_HEADERS)
        met.append(key)
        store.put_entry(key, None, 5, NO_HEADERS)
        # One that is still to come, one that has been passed.
        store.put_entry(b"%03d" % (int(key) - 7 if reverse else int(key) + 7), None, 5, NO_HEADERS)
        store.put_entry(b"%03d+" % (int(key) + 1 if reverse else int(key) - 1), "new", 5, NO_HEADERS)
    expected: list[bytes] = []
    for key in names[100:300][::-1] if reverse else names[100:300]:
        gone = int(key) + 7 if reverse else int(key) - 7
        if b"%03d" % gone not in expected:
            expected.append(key)
    assert met == expected
    assert [key for key, _ in store.range_entries(b"100", b"300") if not key.endswith(b"+")] == []


@pytest.mark.parametrize("stage", STAGES)
def test_an_ordered_store_knows_where_it_begins(engine: Open, make: Make, stage: str) -> None:
    """Whatever was asked, put and deleted before: what a first scan remembers must not hide an entry."""
    store = make(engine(), ordered=True)

    def first(end: bytes | None = None) -> str:
        return "".join(entry.value for _, entry in islice(store.range_entries(b"", end), 1))

    assert first() == first(b"z") == ""
    for key, begins in (
        ("m", "m"),
        ("k", "k"),
        ("p", "k"),
        ("-k", "m"),
        ("l", "l"),
        ("-l", "m"),
        ("-m", "p"),
    ):
        store.put(key[-1], None if key[0] == "-" else key, 1)
        reach(store, stage)
        assert first() == begins
        assert first(begins.encode()) == ""
        assert [key for key, _ in store.range()] == sorted(key for key, _ in store.range(reverse=True))
    assert first(b"q") == "p"
    store.put("p", None, 1)
    assert first() == ""
    store.put("x", "x", 1)
    assert first() == "x"
    store.restore(Rows.of([(b"a", b"\0" * 8 + b"a")]), 99)
    assert first() == "a"
    store.wipe()
    assert first() == ""


def test_asking_an_ordered_store_for_what_comes_before_its_first_entry_reads_nothing(engine: Open) -> None:
    bytes_store = Counting(engine())
    store = key_value(bytes_store, ordered=True)
    for key in "mno":
        store.put(key, key, 1)
    reach(store, "committed")
    assert [key for key, _ in islice(store.range_entries(), 1)] == [b"m"]
    before = bytes_store.scans
    for end in (b"a", b"k", b"m"):
        assert list(store.range_entries(b"", end)) == []
    assert bytes_store.scans == before
    assert [key for key, _ in store.range_entries(b"", b"n")] == [b"m"]


@pytest.mark.parametrize("committed_between", [False, True])
def test_taking_the_first_entry_of_an_ordered_store_reads_ahead(
    engine: Open, *, committed_between: bool
) -> None:
    """Many entries, each taken by itself: a scan of the engine serves several, until it is written."""
    bytes_store = Counting(engine())
    store = key_value(bytes_store, ordered=True)
    names = [f"{number:03}" for number in range(300)]
    for name in names:
        store.put(name, name, 1)
    reach(store, "committed")
    taken = []
    for number in range(300):
        key, entry = next(store.range_entries())
        assert key.decode() == entry.value
        taken.append(entry.value)
        store.put_entry(key, None, 1, NO_HEADERS)
        if number % 50 == 10:
            # Comes before all that are left.
            store.put(f"{entry.value}+", f"{entry.value}+", 1)
            reach(store, "committed" if committed_between else "flushed")
            assert next(store.range_entries())[1].value == f"{entry.value}+"
            store.put(f"{entry.value}+", None, 1)
    assert taken == names
    assert next(store.range_entries(), None) is None
    assert bytes_store.scans <= 15


class Counting:
    """An engine that counts its scans."""

    def __init__(self, engine: BytesStore) -> None:
        self._engine = engine
        self.scans = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def scan(
        self, start: bytes, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        self.scans += 1
        return self._engine.scan(start, end, reverse=reverse)


@pytest.mark.parametrize("stage", STAGES)
def test_the_number_of_entries_is_known_roughly(engine: Open, make: Make, stage: str) -> None:
    store = make(engine())
    assert store.approximate_count() == 0
    for number in range(50):
        store.put(str(number), "v", 1)
    reach(store, stage)
    assert store.approximate_count() == 50
    store.put("50", "v", 1)
    assert store.approximate_count() == 51
    store.put("50", None, 1)
    assert store.approximate_count() == 50


def test_nothing_uncommitted_is_in_the_engine_or_shown_to_queries(engine: Open, make: Make) -> None:
    bytes_store = engine()
    store = make(bytes_store)
    store.put("a", "1", 1)
    for flush in (False, True):
        if flush:
            store.flush()
        assert list(bytes_store.scan(b"", None)) == []
        assert store.committed_get("a") is None
        assert list(store.committed_scan()) == []
    store.commit(1)
    store.put("a", "2", 2)
    assert store.get("a") == "2"
    assert store.committed_get("a") == ValueAndTimestamp("1", 1)
    assert list(store.committed_scan()) == [(b"a", ValueAndTimestamp("1", 1))]


@pytest.mark.parametrize("put_after_flush", [False, True])
def test_what_was_not_committed_is_gone_after_reopening(
    engine: Open, make: Make, *, put_after_flush: bool
) -> None:
    store = make(engine())
    store.put("a", "1", 1)
    reach(store, "committed")
    store.put("a", "2", 2)
    store.put("b", "2", 2)
    if not put_after_flush:
        store.flush()
    store.close()
    again = make(engine())
    assert (list(again.all()), again.position()) == ([("a", "1")], 1)


def test_a9_flush_returns_the_stored_bytes_once_and_in_order_of_first_put(engine: Open, make: Make) -> None:
    bytes_store = engine()
    store = make(bytes_store)
    store.put("b", "1", 258)
    store.put("a", "1", 1)
    store.put("b", "2", -1)
    store.put("c", None, 3)
    assert store.dirty == 3
    log = list(store.flush())
    assert log == [
        (b"b", b"\xff\xff\xff\xff\xff\xff\xff\xff2"),
        (b"a", b"\0\0\0\0\0\0\0\x011"),
        (b"c", None),
    ]
    assert (store.dirty, list(store.flush())) == (0, [])
    store.commit(3)
    assert dict(bytes_store.scan(b"", None)) == {key: value for key, value in log if value is not None}


def test_a_put_between_flush_and_commit_waits_for_the_next_one(engine: Open, make: Make) -> None:
    store = make(engine())
    store.put("a", "1", 1)
    store.flush()
    store.put("a", "2", 2)
    store.commit(1)
    assert (store.get("a"), store.committed_get("a")) == ("2", ValueAndTimestamp("1", 1))
    assert store.flush() == [(b"a", b"\0\0\0\0\0\0\0\x022")]
    store.commit(2)
    assert store.committed_get("a") == ValueAndTimestamp("2", 2)


def test_two_flushes_are_committed_together_and_the_later_counts(engine: Open, make: Make) -> None:
    store = make(engine())
    for number in "12":
        store.put("a", number, 1)
        store.flush()
    assert store.get("a") == "2"
    store.commit(2)
    assert (store.committed_get("a"), store.position()) == (ValueAndTimestamp("2", 1), 2)


@pytest.mark.parametrize("send_old_values", [False, True])
def test_flush_tells_the_old_value_if_it_was_asked_for(engine: Open, *, send_old_values: bool) -> None:
    store = key_value(engine())
    seen: list[tuple[bytes, str | None, str | None]] = []
    store.on_flush = lambda key, entry, old: seen.append((key, entry.value, old))
    store.send_old_values = send_old_values
    for stage, value in (("flushed", "1"), ("flushed", "2"), ("committed", "3"), ("flushed", None)):
        store.put("a", "between", 1)
        store.put("a", value, 1)
        reach(store, stage)
    olds = [None, "1", "2", "3"] if send_old_values else [None] * 4
    assert seen == [(b"a", value, old) for value, old in zip(["1", "2", "3", None], olds, strict=True)]


def test_an_aggregate_changed_in_place_does_not_change_the_old_value(engine: Open) -> None:
    store = KeyValueStore("store", engine(), STRING, JSON, cache_entries=10)
    seen: list[tuple[Any, Any]] = []
    store.on_flush = lambda key, entry, old: seen.append((list(entry.value), old))
    store.send_old_values = True
    store.put("a", [1], 1)
    for number in (2, 3):
        store.flush()
        store.commit(number)
        entry = store.get_entry(b"a")
        assert entry is not None
        entry.value.append(number)
        store.put_entry(b"a", entry.value, 1, NO_HEADERS)
    store.flush()
    assert seen == [([1], None), ([1, 2], [1]), ([1, 2, 3], [1, 2])]


def test_what_a_flush_forwards_can_read_the_whole_flush(engine: Open) -> None:
    """A table joined with itself, or with one that reads its store, sees what was put."""
    store = key_value(engine())
    seen: list[tuple[bytes, str | None, str | None]] = []
    store.on_flush = lambda key, entry, old: seen.append((key, store.get("a"), store.get("b")))
    store.put("a", "old", 1)
    store.put("b", "old", 1)
    reach(store, "committed")
    seen.clear()
    store.put("a", "new", 2)
    store.put("b", "new", 2)
    store.flush()
    assert seen == [(b"a", "new", "new"), (b"b", "new", "new")]


def test_headers_reach_the_flush(engine: Open) -> None:
    store = key_value(engine())
    seen: list[Entry] = []
    store.on_flush = lambda key, entry, old: seen.append(entry)
    store.put_entry(b"a", "1", 5, [("trace", b"x")])
    store.flush()
    assert seen == [Entry("1", 5, [("trace", b"x")])]


def test_a10_3_a_changelog_restores_the_store(engine: Open, make: Make, other_engine: BytesStore) -> None:
    store = make(engine())
    log: Log = []
    for key, value in (("a", "1"), ("b", "1"), ("a", "2"), ("b", None), ("c", "3")):
        store.put(key, value, 7)
        log += store.flush()
    store.commit(len(log))
    restored = make(other_engine)
    restored.restore(Rows.of(log[:2]), 2)
    restored.restore(Rows.of(log[2:]), 5)
    assert list(restored.all()) == list(store.all()) == [("a", "2"), ("c", "3")]
    assert restored.get_with_timestamp("a") == ValueAndTimestamp("2", 7)
    assert restored.position() == 5


def test_restoring_replaces_what_was_read_before(engine: Open, make: Make) -> None:
    store = make(engine())
    store.put("a", "1", 1)
    log = list(store.flush())
    store.commit(1)
    assert store.get("a") == "1"
    store.restore(Rows.of([(log[0][0], b"\0\0\0\0\0\0\0\x092")]), 2)
    assert store.get_with_timestamp("a") == ValueAndTimestamp("2", 9)


def test_restoring_nothing_moves_the_position(engine: Open, make: Make) -> None:
    store = make(engine())
    store.restore(Rows.of(()), 42)
    assert store.position() == 42


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
        pytest.param(lambda store: store.committed_get("a"), id="get"),
        pytest.param(lambda store: list(store.committed_scan()), id="scan"),
    ],
)
def test_queries_of_a_closed_store_are_refused(
    engine: Open, make: Make, read: Callable[[KeyValueStore[str, str]], object]
) -> None:
    store = make(engine())
    store.put("a", "1", 1)
    reach(store, "committed")
    store.close()
    with pytest.raises(StateError, match="closed"):
        read(store)


def test_stored_is_what_is_committed_under_changelog_keys(engine: Open, make: Make) -> None:
    store = make(engine())
    store.put("a", "1", 1)
    log = list(store.flush())
    store.commit(1)
    store.put("a", "2", 2)
    store.put("b", "2", 2)
    store.flush()
    assert list(store.stored([b"b", b"a"])) == [*log, (b"b", None)]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(b"", None, "abc"), (b"b", None, "bc"), (b"a\0", b"c", "b"), (b"c", b"a", "")],
)
def test_a_committed_scan_is_in_order_of_key_bytes(
    engine: Open, make: Make, start: bytes, end: bytes | None, expected: str
) -> None:
    store = make(engine())
    for key in "cab":
        store.put(key, key, 1)
    reach(store, "committed")
    assert "".join(key.decode() for key, _ in store.committed_scan(start, end)) == expected
