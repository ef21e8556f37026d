from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from pipeline.runtime.cache_bound import CacheBound
from pipeline.state.memory import MemoryStore
from pipeline.state.store import BytesStore
from pipeline.state.write_behind import WriteBehind

Log = list[tuple[bytes, bytes | None]]

KEYS = [b"a", b"b", b"c"]
CHANGES = st.dictionaries(st.sampled_from(KEYS), st.none() | st.binary(max_size=2), max_size=3)
#: What happens to a store: a commit, or what may have the last one written.
STEPS = st.lists(CHANGES | st.sampled_from(["catch up", "recount", "scan"]), max_size=20)


def held(store: BytesStore) -> dict[bytes, bytes]:
    return dict(store.scan(b"", None))


def apply(state: dict[bytes, bytes], log: Log) -> dict[bytes, bytes]:
    """What a state becomes by the records of a changelog."""
    state = dict(state)
    for key, value in log:
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value
    return state


def commit(store: WriteBehind, log: Log, changes: Mapping[bytes, bytes | None]) -> None:
    log += changes.items()
    store.write(changes, len(log))


@given(steps=STEPS)
def test_the_changelog_brings_a_store_that_is_behind_to_what_was_committed(
    steps: list[dict[bytes, bytes | None] | str],
) -> None:
    """After every step: what is on disk and the records from its position on, and what is read."""
    disk = MemoryStore()
    store, log, before = WriteBehind(disk), Log(), 0
    for step in steps:
        if isinstance(step, dict):
            before = len(log)
            commit(store, log, step)
        elif step == "scan":
            assert held(store) == apply({}, log)
        else:
            {"catch up": store.catch_up, "recount": store.recount}[step]()
        position = disk.position()
        assert before <= position <= store.position() == len(log)
        # Not ahead: it is what the log says at its position.
        assert held(disk) == apply({}, log[:position])
        assert {key: store.get(key) for key in KEYS} == dict.fromkeys(KEYS) | apply({}, log)
    store.close()
    again = WriteBehind(disk.reopen())
    assert (held(again), again.position()) == (apply({}, log), len(log))


def test_a_commit_is_written_when_the_worker_waits_for_the_next() -> None:
    disk = MemoryStore()
    store, log = WriteBehind(disk), Log()
    commit(store, log, {b"a": b"1"})
    assert (held(disk), disk.position()) == ({}, 0)
    store.catch_up()
    assert (held(disk), disk.position()) == ({b"a": b"1"}, 1)
    store.catch_up()
    commit(store, log, {b"a": b"2"})
    assert (held(disk), store.get(b"a")) == ({b"a": b"1"}, b"2")


@given(
    committed=st.lists(CHANGES, max_size=4),
    start=st.binary(max_size=1),
    end=st.none() | st.binary(max_size=1),
    reverse=st.booleans(),
)
def test_a_scan_shows_what_waits_and_does_not_write_it(
    committed: list[dict[bytes, bytes | None]], start: bytes, end: bytes | None, *, reverse: bool
) -> None:
    disk = MemoryStore()
    store, log = WriteBehind(disk), Log()
    for changes in committed:
        commit(store, log, changes)
    before = disk.position()
    state = sorted(apply({}, log).items(), reverse=reverse)
    expected = [(key, value) for key, value in state if start <= key and (end is None or key < end)]
    scan = store.scan(start, end, reverse=reverse)
    assert disk.position() == before
    # It was as it is now, whatever is written while it is read.
    commit(store, log, {b"a": b"later", b"b": None})
    store.catch_up()
    assert list(scan) == expected


def test_with_little_memory_what_waits_is_written() -> None:
    disk = MemoryStore()
    store, log = WriteBehind(disk), Log()
    commit(store, log, {b"%d" % number: b"value" for number in range(40)})
    assert store.cached_bytes() == 40 * (256 + 5)
    CacheBound(store.cached_bytes()).trim([store])
    assert disk.position() == 0
    CacheBound(store.cached_bytes() - 1).trim([store])
    assert (disk.approximate_count(), disk.position(), store.cached_bytes()) == (40, 40, 0)
