"""One suite over versioned stores, on every engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from pipeline.errors import StateError
from pipeline.record import NO_HEADERS
from pipeline.serde import INT64, JSON, STRING
from pipeline.state.caching import ValueAndTimestamp
from pipeline.state.rows import Rows
from pipeline.state.store import BytesStore, Entry
from pipeline.state.versioned import LATEST, NOT_PUT, VersionedStore
from tests.contract.store_engines import BEHIND, KINDS, STAGES, Log, Open, engines, reach, size

HISTORY = 1_000

Store: TypeAlias = VersionedStore[str, str]


@pytest.fixture(params=KINDS + BEHIND)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    with engines(request.param, tmp_path / "engine") as open_again:
        yield open_again


@pytest.fixture
def other_engine(tmp_path: Path) -> Iterator[BytesStore]:
    """An empty engine to restore into."""
    with engines("rocksdb", tmp_path / "other") as open_again:
        yield open_again()


def versioned(engine: BytesStore, *, history_ms: int = HISTORY, cache_entries: int = 100) -> Store:
    return VersionedStore("store", engine, STRING, STRING, history_ms=history_ms, cache_entries=cache_entries)


def put_all(store: Store, puts: str) -> list[int]:
    """Put `value@time` in turn, `-@time` deletes; return what each put returned."""
    returned = []
    for put in puts.split():
        value, _, time = put.partition("@")
        returned.append(store.put("k", None if value == "-" else value, int(time)))
    return returned


def shown(found: ValueAndTimestamp[str] | None) -> str:
    return "-" if found is None else f"{found.value}@{found.timestamp}"


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("cache_entries", [1, 100])
@pytest.mark.parametrize(
    ("puts", "valid_to", "latest", "as_of"),
    [
        pytest.param("a@10", [-1], "a@10", {9: "-", 10: "a@10", 99: "a@10"}, id="one"),
        pytest.param("a@10 b@10", [-1, -1], "b@10", {9: "-", 10: "b@10"}, id="same time replaces"),
        pytest.param("a@10 b@20", [-1, -1], "b@20", {10: "a@10", 19: "a@10", 20: "b@20"}, id="in order"),
        pytest.param(
            # RocksDBVersionedStoreTest.shouldPutRepeatedTimestamps and its neighbours, out of order
            "d@96 b@98 a@99 c@100 e@97",
            [-1, -1, -1, -1, 98],
            "c@100",
            {95: "-", 96: "d@96", 97: "e@97", 98: "b@98", 99: "a@99", 100: "c@100"},
            id="out of order",
        ),
        pytest.param("c@100 a@96", [-1, 100], "c@100", {95: "-", 96: "a@96", 99: "a@96"}, id="earlier"),
        pytest.param(
            "c@100 a@96 b@96", [-1, 100, 100], "c@100", {95: "-", 99: "b@96"}, id="earlier, same time"
        ),
        pytest.param("a@10 -@20", [-1, -1], "-", {10: "a@10", 19: "a@10", 20: "-"}, id="deleted"),
        pytest.param(
            "-@20 a@10", [-1, 20], "-", {9: "-", 10: "a@10", 19: "a@10", 20: "-"}, id="deletion first"
        ),
        pytest.param("a@10 -@10", [-1, -1], "-", {10: "-"}, id="deletion replaces"),
        pytest.param(
            "a@20 -@20 b@10",
            [-1, -1, 20],
            "-",
            {10: "b@10", 19: "b@10", 20: "-"},
            id="deviation9: an older value comes after a deletion at the time of the latest",
        ),
        pytest.param("-@10 a@10", [-1, -1], "a@10", {9: "-", 10: "a@10"}, id="deletion is replaced"),
        pytest.param(
            "a@10 c@30 -@20", [-1, -1, 30], "c@30", {19: "a@10", 20: "-", 29: "-", 30: "c@30"}, id="a gap"
        ),
        pytest.param(
            "a@10 -@20 -@30 b@25",
            [-1, -1, -1, 30],
            "-",
            {19: "a@10", 20: "-", 25: "b@25", 30: "-"},
            id="between deletions",
        ),
        pytest.param("-@10", [-1], "-", {9: "-", 10: "-", 11: "-"}, id="nothing to delete"),
        pytest.param("a@0", [-1], "a@0", {0: "a@0", -1: "-"}, id="the epoch"),
    ],
)
def test_b6_versions_are_valid_from_their_time_to_that_of_the_next(
    engine: Open,
    stage: str,
    cache_entries: int,
    puts: str,
    valid_to: list[int],
    latest: str,
    as_of: dict[int, str],
) -> None:
    store = versioned(engine(), cache_entries=cache_entries)
    store.put("other", "x", 15)
    assert put_all(store, puts) == valid_to
    reach(store, stage)
    assert shown(store.get("k")) == latest
    assert {time: shown(store.get("k", time)) for time in as_of} == as_of
    assert shown(store.get("other", 15)) == "x@15"
    assert store.get("absent") is store.get("absent", 10) is None


@pytest.mark.parametrize("stages", [(one, two) for one in STAGES for two in STAGES])
def test_b6_versions_at_different_stages_are_one_history(engine: Open, stages: tuple[str, str]) -> None:
    store = versioned(engine(), cache_entries=1)
    put_all(store, "a@10 d@40 b@20")
    reach(store, stages[0])
    assert put_all(store, "c@30 B@20 -@25 E@50") == [40, 30, 30, LATEST]
    reach(store, stages[1])
    history = {10: "a@10", 20: "B@20", 25: "-", 30: "c@30", 40: "d@40", 49: "d@40", 50: "E@50"}
    assert {time: shown(store.get("k", time)) for time in history} == history


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("time", "returned"),
    [(HISTORY - 1, NOT_PUT), (HISTORY, 2 * HISTORY), (2 * HISTORY, LATEST), (0, NOT_PUT)],
)
def test_b6_a_version_older_than_the_history_is_not_put(
    engine: Open, stage: str, time: int, returned: int
) -> None:
    """It is put while `timestamp >= stream time - history`, whichever key advanced stream time."""
    store = versioned(engine())
    store.put("k", "now", 2 * HISTORY)
    reach(store, stage)
    assert store.put("k", "v", time) == returned
    assert (store.delete("k", time) is None) is (returned == NOT_PUT)
    assert (store.put("another", "v", time) == NOT_PUT) is (returned == NOT_PUT)


def test_b6_what_was_not_put_leaves_no_trace(engine: Open) -> None:
    store = versioned(engine())
    seen: list[int] = []
    store.put("k", "now", 5 * HISTORY)
    store.flush()
    store.on_flush = lambda key, valid_to, entry, old: seen.append(valid_to)
    assert store.put("k", "late", 0) == NOT_PUT
    assert (seen, store.dirty, store.flush(), shown(store.get("k", 0))) == ([], 0, [], "-")


@pytest.mark.parametrize("stage", STAGES)
def test_b6_beyond_the_history_only_the_latest_version_is_returned(engine: Open, stage: str) -> None:
    store = versioned(engine())
    put_all(store, "a@10 b@20")
    store.put("later", "1", 100)
    store.put("later", "2", 3 * HISTORY)
    reach(store, stage)
    assert [shown(store.get("k", time)) for time in (10, 19, 20, 25)] == ["-", "-", "b@20", "b@20"]
    assert shown(store.get("k")) == "b@20"
    # Valid at the horizon, though older than it; and beyond it.
    assert [shown(store.get("later", time)) for time in (2 * HISTORY, 2 * HISTORY - 1)] == ["1@100", "-"]


def test_b6_history_is_removed_when_it_has_expired_and_the_latest_version_stays(engine: Open) -> None:
    bytes_store = engine()
    store = versioned(bytes_store)
    log: Log = []
    for number in range(3_000):
        store.put(f"gone{number:04}", "v", 10 * number)
        store.put(f"gone{number:04}", None, 10 * number + 1)
        store.put("busy", str(number), 10 * number)
        store.put("quiet", "1", 0)
        store.put("quiet", "2", 1)
        if number % 10 == 0:
            log += store.flush()
            store.commit(len(log))
    # Of 3 a step, those of the last 100 steps are within the history; 200 more are looked at each commit.
    assert size(bytes_store) <= 3 * 100 + 3 * 200
    assert shown(store.get("quiet")) == "2@1"
    assert shown(store.get("busy", 29_000)) == "2900@29000"
    # The changelog is told: what compaction leaves of it is what is in the store.
    kept = {key: value for key, value in dict(log).items() if value is not None}
    assert kept == dict(bytes_store.scan(b"", None))


def test_b6_a_deletion_that_expires_does_not_uncover_what_it_deleted(engine: Open) -> None:
    """Removal stops between versions: 450 are looked at in steps of 200."""
    store = versioned(engine(), history_ms=HISTORY)
    for time in range(450):
        store.put("k", str(time), time)
    store.put("k", None, 450)
    reach(store, "committed")
    for step in range(6):
        store.put("now", "v", 10 * HISTORY + step)
        reach(store, "committed")
        now = 10 * HISTORY + step
        assert [shown(store.get("k", now - ago)) for ago in (0, HISTORY)] == ["-", "-"]
        assert store.committed_get("k") is None
        assert [key for key, _ in store.committed_scan()] == [b"now"]


def test_b6_an_earlier_version_that_waits_for_its_commit_stays_deleted(engine: Open) -> None:
    """Its deletion, which has expired, is not removed before it."""
    store = versioned(engine())
    store.put("k", None, 60)
    reach(store, "committed")
    store.put("k", "v", 50)
    store.put("now", "v", 60 + HISTORY)
    reach(store, "committed")
    store.close()
    again = versioned(engine())
    again.resume(store.progress())
    assert [shown(again.get("k")), shown(again.get("k", 60))] == ["-", "-"]


def test_b6_a_put_tells_what_it_did_and_what_was_the_latest_before(engine: Open) -> None:
    store = VersionedStore("store", engine(), STRING, JSON, history_ms=HISTORY, cache_entries=10)
    seen: list[tuple[bytes, int, Any, int, Any]] = []
    store.on_flush = lambda key, valid_to, entry, old: seen.append(
        (key, valid_to, list(entry.value), entry.timestamp, old)
    )
    store.send_old_values = True
    store.put("k", [1], 10)
    found = store.get("k")
    assert found is not None
    found.value.append(2)
    store.put("k", found.value, 20)
    store.put("k", [0], 15)
    reach(store, "committed")
    assert seen == [
        (b"k", LATEST, [1], 10, None),
        (b"k", LATEST, [1, 2], 20, [1]),
        (b"k", 20, [0], 15, [1, 2]),
    ]
    assert store.get("k", 10) == ValueAndTimestamp([1], 10)


def test_b6_a_put_may_lead_to_another_put(engine: Open) -> None:
    store = versioned(engine())
    seen: list[str] = []

    def more(key: bytes, valid_to: int, entry: Entry, old: str | None) -> None:
        seen.append(entry.value)
        if len(seen) < 3:
            store.put("k", f"{entry.value}+", entry.timestamp + 1)

    store.on_flush = more
    assert store.put("k", "a", 10) == LATEST
    assert (seen, shown(store.get("k"))) == (["a", "a+", "a++"], "a++@12")


def test_b6_delete_returns_what_was_valid_then(engine: Open) -> None:
    store = versioned(engine())
    put_all(store, "a@10 b@30")
    assert shown(store.delete("k", 20)) == "a@10"
    assert [shown(store.get("k", time)) for time in (19, 20, 30)] == ["a@10", "-", "b@30"]
    assert shown(store.delete("k", 40)) == "b@30"
    assert store.delete("k", 50) is None
    assert store.get("k") is None


def test_b6_every_version_is_logged_and_the_changelog_restores_the_store(
    engine: Open, other_engine: BytesStore
) -> None:
    store = versioned(engine())
    log: Log = []
    for puts in ("a@10 b@20 -@25", "c@15 c@15 d@40"):
        put_all(store, puts)
        log += store.flush()
    store.commit(len(log))
    assert len(log) == 5
    restored = versioned(other_engine)
    assert restored.get("k") is None
    restored.restore(Rows.of(log[:2]), 2)
    restored.restore(Rows.of(log[2:]), 5)
    restored.resume({})
    times = range(9, 42)
    assert [restored.get("k", time) for time in times] == [store.get("k", time) for time in times]
    assert (restored.get("k"), restored.position()) == (ValueAndTimestamp("d", 40), 5)
    assert restored.progress() == store.progress() == {"time": 40}


@pytest.mark.parametrize("kept", [False, True])
def test_b6_stream_time_survives_a_restart(engine: Open, *, kept: bool) -> None:
    store = versioned(engine())
    store.put("z", "v", 5 * HISTORY)
    store.put("a", "v", 4 * HISTORY)
    reach(store, "committed")
    progress = store.progress() if kept else {}
    store.close()
    again = versioned(engine())
    again.resume(progress)
    assert again.put("a", "v", 4 * HISTORY - 1) == NOT_PUT
    assert again.put("a", "v", 4 * HISTORY) == LATEST


def test_b6_queries_show_the_latest_committed_version(engine: Open) -> None:
    store = versioned(engine())
    for key in ("a", "a\0", "b", "gone"):
        # Longer histories than a scan passes one by one.
        for time in range(40):
            store.put(key, f"{key}{time}", time)
    store.put("gone", None, 40)
    reach(store, "committed")
    store.put("a", "new", 50)
    store.put("c", "new", 50)
    store.flush()
    assert store.committed_get("a") == ValueAndTimestamp("a39", 39)
    assert store.committed_get("a", 20) == ValueAndTimestamp("a20", 20)
    assert store.committed_get("gone", 39) == ValueAndTimestamp("gone39", 39)
    assert store.committed_get("gone") is store.committed_get("c") is store.committed_get("a", -1) is None
    assert [(key, found.timestamp) for key, found in store.committed_scan()] == [
        (b"a", 39),
        (b"a\0", 39),
        (b"b", 39),
    ]
    assert [key for key, _ in store.committed_scan(b"a\0", b"b")] == [b"a\0"]


def test_b6_a_query_beyond_the_history_has_no_answer(engine: Open) -> None:
    store = versioned(engine())
    put_all(store, "a@10 b@1100")
    reach(store, "committed")
    assert shown(store.committed_get("k", 100)) == "a@10"
    store.put("now", "v", 1_101)
    assert shown(store.committed_get("k", 100)) == "-"


def test_b6_stored_is_what_is_committed_under_changelog_keys(engine: Open) -> None:
    store = versioned(engine())
    store.put("k", "1", 5)
    log = store.flush()
    store.commit(1)
    put_all(store, "2@5 2@6")
    keys = {key for key, _ in store.flush()}
    assert sorted(store.stored(keys)) == sorted([*log, *((key, None) for key in keys - {log[0][0]})])


def test_b6_wipe_forgets_every_stage(engine: Open) -> None:
    store = versioned(engine())
    for stage in reversed(STAGES):
        store.put("k", stage, 5)
        reach(store, stage)
    store.wipe()
    assert (store.get("k"), list(store.committed_scan()), store.position()) == (None, [], 0)
    assert (store.dirty, store.flush(), store.progress()) == (0, [], {"time": -1})


def test_b6_a_value_of_another_type_is_refused_where_it_is_put(engine: Open) -> None:
    store: VersionedStore[str, Any] = VersionedStore(
        "store", engine(), STRING, INT64, history_ms=HISTORY, cache_entries=10
    )
    with pytest.raises(
        StateError, match=r"'store' holds a value of type \w+ under key .* that cannot be encoded as int64"
    ):
        store.put("k", "no number", 5)
    assert (store.get("k"), store.dirty) == (None, 0)


def test_b6_operators_get_entries_by_the_keys_bytes(engine: Open) -> None:
    store = versioned(engine())
    assert store.put_entry(b"k", "a", 10, [("trace", b"x")]) == LATEST
    assert store.put_entry(b"k", "b", 20, NO_HEADERS) == LATEST
    assert store.get_entry(b"k") == Entry("b", 20, NO_HEADERS)
    assert store.get_entry_as_of(b"k", 15) == Entry("a", 10, NO_HEADERS)


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(lambda store: store.committed_get("k"), id="get"),
        pytest.param(lambda store: list(store.committed_scan()), id="scan"),
    ],
)
def test_b6_queries_of_a_closed_store_are_refused(engine: Open, read: Callable[[Store], object]) -> None:
    store = versioned(engine())
    store.put("k", "1", 1)
    reach(store, "committed")
    store.close()
    with pytest.raises(StateError, match="closed"):
        read(store)
