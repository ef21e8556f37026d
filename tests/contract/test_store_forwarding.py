"""When stores forward: with caching at a flush, without at once. What is stored and logged is the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import StateError
from pipeline.record import NO_HEADERS
from pipeline.serde import INT64, JSON, STRING
from pipeline.state.keyvalue import KeyValueStore
from pipeline.state.session import SessionStore
from pipeline.state.store import BytesStore, Entry
from pipeline.state.window import WindowStore
from tests.contract.store_engines import BEHIND, CACHING, KINDS, Log, Open, engines

#: What `on_flush` was told, without the key: `[where, ..., value, old value]`.
Seen = list[tuple[Any, ...]]


class Subject:
    """A store of one kind, with one place for each key."""

    def __init__(self, kind: str, engine: BytesStore, serde: Any = JSON, *, caching: bool) -> None:
        self.place: tuple[int, ...] = {"key-value": (), "window": (5,), "session": (5, 8)}[kind]
        self.store: Any
        if kind == "key-value":
            self.store = KeyValueStore("s", engine, STRING, serde, cache_entries=100, caching=caching)
        elif kind == "window":
            self.store = WindowStore(
                "s",
                engine,
                STRING,
                serde,
                retention_ms=1_000,
                window_size_ms=9,
                cache_entries=100,
                caching=caching,
            )
        else:
            self.store = SessionStore(
                "s", engine, STRING, serde, retention_ms=1_000, cache_entries=100, caching=caching
            )
        self.seen: Seen = []
        self.store.send_old_values = True
        self.store.on_flush = self.forwarded

    def forwarded(self, key: bytes, *rest: Any) -> None:
        *place, entry, old = rest
        assert tuple(place) == self.place
        # As it is now: it may be changed in place later.
        value = list(entry.value) if isinstance(entry.value, list) else entry.value
        self.seen.append((key.decode(), value, entry.timestamp, old))

    def put(self, key: str, value: Any, timestamp: int = 6) -> None:
        self.store.put_entry(key.encode(), *self.place, value, timestamp, NO_HEADERS)

    def get(self, key: str) -> Any:
        entry = self.store.get_entry(key.encode(), *self.place)
        return None if entry is None else entry.value

    def commit(self) -> Log:
        log: Log = list(self.store.flush())
        assert list(self.store.flush()) == []
        self.store.commit(self.store.position() + 1)
        return log

    def committed(self) -> dict[bytes, Any]:
        return {key: found.value for key, *_, found in self.store.committed_scan()}


@pytest.fixture(params=KINDS + BEHIND)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    with engines(request.param, tmp_path / "engine") as open_again:
        yield open_again


@pytest.fixture(params=["key-value", "window", "session"])
def kind(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.mark.parametrize("caching", CACHING)
def test_updates_are_forwarded_at_flush_or_each_at_once(engine: Open, kind: str, *, caching: bool) -> None:
    subject = Subject(kind, engine(), caching=caching)
    puts = [("a", 1), ("b", 2), ("a", 3), ("a", None), ("a", 4)]
    for number, (key, value) in enumerate(puts):
        subject.put(key, value, number)
        assert subject.get(key) == value
    at_once = [("a", 1, 0, None), ("b", 2, 1, None), ("a", 3, 2, 1), ("a", None, 3, 3), ("a", 4, 4, None)]
    assert subject.seen == ([] if caching else at_once)
    assert subject.store.dirty == 2
    log = subject.commit()
    assert subject.seen == ([("a", 4, 4, None), ("b", 2, 1, None)] if caching else at_once)
    assert [(key[:1], stored) for key, stored in log] == [
        (b"a", b"\0" * 7 + b"\x044"),
        (b"b", b"\0" * 7 + b"\x012"),
    ]


@pytest.mark.parametrize("caching", CACHING)
def test_what_was_forwarded_last_is_the_old_value_across_commits(
    engine: Open, kind: str, *, caching: bool
) -> None:
    subject = Subject(kind, engine(), caching=caching)
    for number in range(6):
        subject.put("a", number)
        if number == 1:
            list(subject.store.flush())
        else:
            subject.commit()
    assert subject.seen == [("a", number, 6, number - 1 if number else None) for number in range(6)]


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("caching", CACHING)
def test_a_flush_does_not_tell_of_what_neither_was_there_nor_is(
    engine: Open, kind: str, *, caching: bool, asked: bool
) -> None:
    """As in Kafka Streams: a deletion of nothing is told of without a cache only."""
    subject = Subject(kind, engine(), caching=caching)
    subject.store.send_old_values = asked
    for puts in ([("no", None), ("brief", 1), ("brief", None), ("was", 2)], [("was", None)], [("was", None)]):
        for key, value in puts:
            subject.put(key, value)
        subject.commit()
    if caching:
        assert subject.seen == [("was", 2, 6, None), ("was", None, 6, 2 if asked else None)]
    else:
        assert [key for key, *_ in subject.seen] == ["no", "brief", "brief", "was", "was", "was"]


@pytest.mark.parametrize("caching", CACHING)
def test_what_was_told_is_without_what_waits_for_the_flush(engine: Open, kind: str, *, caching: bool) -> None:
    subject = Subject(kind, engine(), caching=caching)

    def told() -> Any:
        entry = subject.store.told_entry(b"a", *subject.place)
        return None if entry is None else (entry.value, entry.timestamp)

    subject.put("a", [1], 3)
    assert told() == (None if caching else ([1], 3))
    subject.store.flush()
    assert told() == ([1], 3)
    # Changed in place, as an aggregator may do.
    changed = subject.get("a")
    changed.append(2)
    subject.put("a", changed, 4)
    assert told() == (([1], 3) if caching else ([1, 2], 4))
    subject.commit()
    assert told() == ([1, 2], 4)
    subject.put("a", None, 5)
    assert told() == (([1, 2], 4) if caching else None)
    subject.commit()
    assert told() is None


@pytest.mark.parametrize("caching", CACHING)
def test_nothing_is_written_before_the_commit(engine: Open, kind: str, *, caching: bool) -> None:
    bytes_store = engine()
    subject = Subject(kind, bytes_store, caching=caching)
    subject.put("a", 1)
    assert list(bytes_store.scan(b"", None)) == []
    list(subject.store.flush())
    subject.put("a", 2)
    assert (list(bytes_store.scan(b"", None)), subject.committed()) == ([], {})
    subject.store.commit(1)
    assert (subject.committed(), subject.get("a")) == ({b"a": 1}, 2)
    subject.commit()
    assert subject.committed() == {b"a": 2}


@pytest.mark.parametrize("caching", CACHING)
def test_an_aggregate_that_is_changed_in_place_does_not_change_its_old_value(
    engine: Open, kind: str, *, caching: bool
) -> None:
    subject = Subject(kind, engine(), caching=caching)
    for number in range(1, 7):
        aggregate = subject.get("a") or []
        aggregate.append(number)
        subject.put("a", aggregate)
        if caching or number % 3 == 0:
            subject.commit()
    values = [list(range(1, number + 1)) for number in range(7)]
    assert subject.seen == [("a", values[number], 6, values[number - 1] or None) for number in range(1, 7)]


@pytest.mark.parametrize("caching", CACHING)
def test_a_store_that_nobody_listens_to_is_told_no_old_values(
    engine: Open, kind: str, *, caching: bool
) -> None:
    subject = Subject(kind, engine(), caching=caching)
    subject.store.send_old_values = False
    for number in range(3):
        subject.put("a", number)
        subject.commit()
    assert subject.seen == [("a", number, 6, None) for number in range(3)]
    subject.store.on_flush = None
    subject.put("a", 3)
    subject.commit()
    assert (len(subject.seen), subject.committed()) == (3, {b"a": 3})


@pytest.mark.parametrize("caching", CACHING)
def test_what_is_forwarded_may_put_into_the_same_store(engine: Open, kind: str, *, caching: bool) -> None:
    """As a table that feeds itself, or a processor that keeps more than one key."""
    subject = Subject(kind, engine(), caching=caching)

    def echo(key: bytes, *rest: Any) -> None:
        subject.forwarded(key, *rest)
        value = rest[-2].value
        assert subject.get(key.decode()) == value
        if value < 3:
            other = "a" if value == 1 else "b"
            subject.put(other, value + 1)
            assert subject.get(other) == value + 1

    subject.store.on_flush = echo
    subject.put("a", 1)
    # "a" again while its first value is forwarded, then "b" while its second one is.
    log: Log = []
    while flushed := list(subject.store.flush()):
        log += flushed
    subject.store.commit(1)
    assert subject.seen == [("a", 1, 6, None), ("a", 2, 6, 1), ("b", 3, 6, None)]
    assert subject.committed() == {b"a": 2, b"b": 3}
    assert dict(log) == dict(log[-2:])


def test_stores_may_feed_one_another_at_once(engine: Open, kind: str, tmp_path: Path) -> None:
    with engines("memory", tmp_path / "second") as second_engine:
        first = Subject(kind, engine(), caching=False)
        second = Subject(kind, second_engine(), caching=False)
        first.store.on_flush = lambda key, *rest: second.put(key.decode(), rest[-2].value + 1)

        def back(key: bytes, *rest: Any) -> None:
            second.forwarded(key, *rest)
            if rest[-2].value < 6:
                first.put(key.decode(), rest[-2].value + 1)

        second.store.on_flush = back
        first.put("a", 1)
        assert second.seen == [("a", 2, 6, None), ("a", 4, 6, 2), ("a", 6, 6, 4)]
        first.commit()
        second.commit()
        assert (first.committed(), second.committed()) == ({b"a": 5}, {b"a": 6})


@pytest.mark.parametrize("caching", CACHING)
def test_headers_are_forwarded(engine: Open, kind: str, *, caching: bool) -> None:
    subject = Subject(kind, engine(), caching=caching)
    seen: list[Entry] = []
    subject.store.on_flush = lambda *told: seen.append(told[-2])
    subject.store.put_entry(b"a", *subject.place, 1, 6, [("trace", b"x")])
    list(subject.store.flush())
    assert seen == [Entry(1, 6, [("trace", b"x")])]


@pytest.mark.parametrize("caching", CACHING)
def test_a_value_of_another_type_is_refused(engine: Open, kind: str, *, caching: bool) -> None:
    subject = Subject(kind, engine(), INT64, caching=caching)

    def put_and_flush() -> None:
        subject.put("a", "no number")
        subject.store.flush()

    with pytest.raises(
        StateError,
        match=r"store 's' holds a value of type str under key .*a.* that cannot be encoded as int64",
    ):
        put_and_flush()
    assert subject.seen == []


@pytest.mark.parametrize("caching", CACHING)
@pytest.mark.parametrize(
    "forget", [pytest.param(lambda store: store.wipe(), id="wipe"), pytest.param(None, id="crash")]
)
def test_what_was_forwarded_and_not_committed_is_no_old_value_after_a_restart(
    engine: Open, kind: str, forget: Callable[[Any], None] | None, *, caching: bool
) -> None:
    subject = Subject(kind, engine(), caching=caching)
    subject.put("a", 1)
    list(subject.store.flush())
    subject.put("a", 2)
    if forget is not None:
        forget(subject.store)
    else:
        subject.store.close()
        subject = Subject(kind, engine(), caching=caching)
    subject.seen.clear()
    subject.put("a", 3)
    subject.commit()
    assert subject.seen == [("a", 3, 6, None)]
