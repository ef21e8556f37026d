"""Windows that operators put into without calling their store, whatever happens to the store in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import pytest

from pipeline.record import NO_HEADERS
from pipeline.serde import serde_for
from pipeline.state.memory import MemoryStore
from pipeline.state.window import WindowStore
from pipeline.state.window_entries import put_at_hand

Store: TypeAlias = WindowStore[str, int]

RETENTION_MS: Final = 1_000
START: Final = 500


def opened(*, caching: bool = True) -> Store:
    store: Store = WindowStore(
        "windows",
        MemoryStore(),
        serde_for(str),
        serde_for(int),
        retention_ms=RETENTION_MS,
        window_size_ms=100,
        cache_entries=100,
        caching=caching,
    )
    store.resume({})
    return store


def put(store: Store, key: str, value: int) -> bool:
    """Put as an operator does: without a call, where the window is at hand."""
    found = store.at_hand.get(START)
    if found is None:
        return store.put(key, value, START)
    put_at_hand(found, key.encode(), value, START, NO_HEADERS)
    return True


def commit(store: Store) -> None:
    store.flush()
    store.commit(store.position() + 1)


IN_BETWEEN: Final[dict[str, Callable[[Store], object]]] = {
    "nothing": lambda _store: None,
    "a flush": Store.flush,
    "a commit": commit,
    "a key's windows are asked for": lambda store: store.fetch_range("first", 0, START),
    "all are asked for": lambda store: list(store.all()),
    "another window is put": lambda store: store.put("other", 0, START + 1),
    "memory is short": Store.shrink,
    "memory is very short": Store.forget,
}


@pytest.mark.parametrize("happens", IN_BETWEEN.values(), ids=IN_BETWEEN)
def test_what_is_put_at_hand_is_seen_and_flushed(happens: Callable[[Store], object]) -> None:
    store = opened()
    put(store, "committed", 1)
    commit(store)
    put(store, "first", 2)
    happens(store)
    assert put(store, "second", 3)
    expected = {"committed": 1, "first": 2, "second": 3}
    assert {key: store.fetch(key, START) for key in expected} == expected
    assert {key: store.fetch_range(key, START, START)[0][1] for key in expected} == expected
    assert b"second" in {key[:-12] for key, _ in store.flush()}
    commit(store)
    store.forget()
    assert {key.key: value for key, value in store.all() if key.start == START} == expected


def test_a_window_that_has_expired_is_not_at_hand() -> None:
    store = opened()
    put(store, "a", 1)
    store.put("b", 2, START + RETENTION_MS)
    assert not put(store, "a", 3)


def test_a_window_of_which_some_is_stored_alone_is_not_at_hand() -> None:
    store = opened()
    put(store, "stored", 1)
    commit(store)
    store.forget()
    put(store, "a", 2)
    assert store.at_hand == {}
    assert store.fetch("stored", START) == 1


def test_what_is_forwarded_at_once_is_not_at_hand() -> None:
    store = opened(caching=False)
    put(store, "a", 1)
    assert store.at_hand == {}
