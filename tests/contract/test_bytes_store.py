"""One suite over every `BytesStore`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline.errors import StateError
from pipeline.state.rows import Rows
from pipeline.state.store import BytesStore
from tests.contract.store_engines import BEHIND, KINDS, PARTITIONED, Open, engines

LETTERS: dict[bytes, bytes | None] = {key: key.upper() for key in (b"a", b"b", b"c", b"d")}


@pytest.fixture(params=KINDS + PARTITIONED + BEHIND)
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    with engines(request.param, tmp_path) as open_again:
        yield open_again


def keys(store: BytesStore, start: bytes = b"", end: bytes | None = None) -> list[bytes]:
    return [key for key, _ in store.scan(start, end)]


@pytest.mark.parametrize(
    ("writes", "key", "expected"),
    [
        ([], b"k", None),
        ([{b"k": b"v"}], b"k", b"v"),
        ([{b"k": b"v"}], b"K", None),
        ([{b"k": b"v"}, {b"k": b"w"}], b"k", b"w"),
        ([{b"k": b"v"}, {b"k": None}], b"k", None),
        ([{b"k": b"v"}, {b"k": None}, {b"k": b"w"}], b"k", b"w"),
        ([{b"k": None}], b"k", None),
        ([{b"k": b""}], b"k", b""),
        ([{b"": b"empty"}], b"", b"empty"),
        ([{b"position": b"mine"}], b"position", b"mine"),
        ([{b"\0\xff": b"\xff\0"}], b"\0\xff", b"\xff\0"),
        ([{b"k" * 10_000: b"v" * 100_000}], b"k" * 10_000, b"v" * 100_000),
    ],
)
def test_get_returns_the_last_value_written(
    open_store: Open, writes: list[Mapping[bytes, bytes | None]], key: bytes, expected: bytes | None
) -> None:
    store = open_store()
    for number, changes in enumerate(writes):
        store.write(changes, number)
    assert store.get(key) == expected


@pytest.mark.parametrize("expected", [0, 1_000_000])
def test_rows_are_loaded_in_their_order(open_store: Open, expected: int) -> None:
    """The last row of a key counts, after what was written before and in as many batches as it takes."""
    store = open_store()
    store.expect(expected)
    store.write({b"a": b"old", b"gone": b"old", b"kept": b"old"}, 1)
    rows: list[tuple[bytes, bytes | None]] = [(b"%06d" % number, b"1") for number in range(8_000)]
    rows += [(b"a", b"1"), (b"gone", None), (b"b", None), (b"b", b"2"), (b"000007", None), (b"a", b"2")]
    store.load(Rows.of(rows), 9_000)
    store.expect(0)
    assert store.position() == 9_000
    assert [store.get(key) for key in (b"a", b"b", b"gone", b"kept", b"000007")] == [
        b"2",
        b"2",
        None,
        b"old",
        None,
    ]
    assert keys(store) == [b"%06d" % number for number in range(8_000) if number != 7] + [b"a", b"b", b"kept"]
    store.load(Rows.of(()), 9_001)
    assert store.position() == 9_001


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (b"", None, [b"", b"a", b"a\0", b"ab", b"b", b"\xff", b"\xff\xff"]),
        (b"a", b"b", [b"a", b"a\0", b"ab"]),
        (b"a\0", b"b", [b"a\0", b"ab"]),
        (b"a", b"a", []),
        (b"b", b"a", []),
        (b"", b"", []),
        (b"", b"\0", [b""]),
        (b"aa", b"aaa", []),
        (b"b", None, [b"b", b"\xff", b"\xff\xff"]),
        (b"\xff\0", None, [b"\xff\xff"]),
        (b"\xff\xff\0", None, []),
    ],
)
@pytest.mark.parametrize("reverse", [False, True])
def test_scan_includes_start_and_excludes_end(
    open_store: Open, start: bytes, end: bytes | None, expected: list[bytes], *, reverse: bool
) -> None:
    store = open_store()
    store.write({key: b"v" + key for key in (b"b", b"", b"\xff\xff", b"a\0", b"a", b"\xff", b"ab")}, 1)
    in_order = expected[::-1] if reverse else expected
    assert list(store.scan(start, end, reverse=reverse)) == [(key, b"v" + key) for key in in_order]


def test_a_scan_sees_the_store_as_it_was_when_its_first_entry_was_taken(open_store: Open) -> None:
    store = open_store()
    store.write(LETTERS, 1)
    scan = store.scan(b"", None)
    first = next(scan)
    store.write({b"a": None, b"b": b"changed", b"e": b"new"}, 2, [(b"c", b"d")])
    assert [first, *scan] == sorted(LETTERS.items())


@pytest.mark.parametrize(
    ("drop", "changes", "expected"),
    [
        ([(b"b", b"d")], {}, [b"a", b"d"]),
        ([(b"b", b"d")], {b"b": b"again"}, [b"a", b"b", b"d"]),
        ([(b"a", b"b"), (b"d", b"e")], {}, [b"b", b"c"]),
        ([(b"", b"\xff")], {}, []),
        ([(b"x", b"y")], {}, [b"a", b"b", b"c", b"d"]),
        ([(b"b", b"b")], {}, [b"a", b"b", b"c", b"d"]),
    ],
)
def test_ranges_are_dropped_before_changes_are_applied(
    open_store: Open,
    drop: list[tuple[bytes, bytes]],
    changes: dict[bytes, bytes | None],
    expected: list[bytes],
) -> None:
    store = open_store()
    store.write(LETTERS, 1)
    store.write(changes, 2, drop)
    assert keys(store) == expected
    assert [key for key in LETTERS if store.get(key) is not None] == expected
    assert store.position() == 2


def test_entries_and_position_are_there_after_reopening(open_store: Open) -> None:
    store = open_store()
    assert store.position() == 0
    store.write(LETTERS, 2**40)
    store.close()
    again = open_store()
    assert again.position() == 2**40
    assert dict(again.scan(b"", None)) == LETTERS


def test_a_position_moves_without_changes(open_store: Open) -> None:
    store = open_store()
    store.write({}, 7)
    assert store.position() == 7


@pytest.mark.parametrize("count", [3_999, 4_000, 4_001, 12_000])
def test_a_write_of_any_size_arrives_whole(open_store: Open, count: int) -> None:
    store = open_store()
    written: dict[bytes, bytes | None] = {b"%06d" % number: b"%d" % number for number in range(count)}
    store.write({b"x": b"dropped"}, 1)
    store.write(written, count, [(b"x", b"y")])
    assert dict(store.scan(b"", None)) == written
    assert store.position() == count


def test_wipe_leaves_an_empty_store_that_can_be_written(open_store: Open) -> None:
    store = open_store()
    store.write(LETTERS, 9)
    store.wipe()
    assert (keys(store), store.position(), store.get(b"a")) == ([], 0, None)
    store.write({b"n": b"new"}, 1)
    store.close()
    again = open_store()
    assert (keys(again), again.position()) == ([b"n"], 1)


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda store: store.get(b"a"), id="get"),
        pytest.param(lambda store: list(store.scan(b"", None)), id="scan"),
        pytest.param(lambda store: store.write({b"a": b"b"}, 1), id="write"),
        pytest.param(lambda store: store.position(), id="position"),
        pytest.param(lambda store: store.wipe(), id="wipe"),
    ],
)
def test_a_closed_store_refuses_use(open_store: Open, use: Callable[[BytesStore], object]) -> None:
    store = open_store()
    store.write(LETTERS, 1)
    store.close()
    with pytest.raises(StateError, match="counts"):
        use(store)


def test_closing_twice_is_no_error(open_store: Open) -> None:
    store = open_store()
    store.close()
    store.close()


@pytest.mark.parametrize("begun", [False, True])
def test_an_unfinished_scan_does_not_keep_a_store_open(open_store: Open, *, begun: bool) -> None:
    store = open_store()
    store.write(LETTERS, 1)
    scan = store.scan(b"", None)
    if begun:
        next(scan)
    store.close()
    with pytest.raises(StateError, match="counts"):
        next(scan)
    assert keys(open_store()) == sorted(LETTERS)


def test_readers_in_other_threads_see_whole_entries_while_one_writes(open_store: Open) -> None:
    """Every write sets all keys to one value: a reader's scan shows a single one."""
    store = open_store()
    names = [b"%03d" % number for number in range(200)]
    store.write(dict.fromkeys(names, b"0"), 0)
    torn: list[set[bytes]] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            values = {value for _, value in store.scan(b"", None)}
            if len(values) != 1:
                torn.append(values)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(1, 200):
        store.write(dict.fromkeys(names, b"%d" % number), number)
    done.set()
    for thread in threads:
        thread.join(10)
    assert torn == []


def test_closing_under_readers_gives_them_a_state_error_and_nothing_else(open_store: Open) -> None:
    unexpected: list[BaseException] = []

    def read(store: BytesStore, started: threading.Event) -> None:
        try:
            with suppress(StateError):
                while True:
                    store.get(b"a")
                    list(store.scan(b"", None))
                    started.set()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test shows it
            unexpected.append(error)

    for number in range(10):
        store = open_store()
        store.write(LETTERS, number)
        events = [threading.Event() for _ in range(3)]
        threads = [threading.Thread(target=read, args=(store, started)) for started in events]
        for thread in threads:
            thread.start()
        assert all(started.wait(10) for started in events)
        store.close()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()
    assert unexpected == []
