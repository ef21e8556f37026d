from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import permutations
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.contenders import CONTENDERS, environment
from benchmarks.digest import Digest
from benchmarks.events import (
    DROPPED_SEVERITY,
    USERS,
    VALUE_BYTES,
    Event,
    make_events,
    random_users,
    users_in_turn,
)
from benchmarks.masking import masked, masked_event
from benchmarks.measurement import Format, Job, WorkName
from benchmarks.processes import MeasurementError, measure
from benchmarks.topologies import TOPOLOGIES, changelog_of
from benchmarks.windows import pack_key, pack_value, unpack_key, unpack_value
from benchmarks.works import WORKS
from benchmarks.works.work import Case, Expected, Place, ResultError, check
from pipeline.clock import SystemClock
from pipeline.record import NO_HEADERS
from pipeline.serde import BYTES, serde_for
from pipeline.state.memory import MemoryStore
from pipeline.state.window import WindowStore
from pipeline.testing.brokers import EmbeddedBroker
from pipeline.testing.driver import TopologyTestDriver

START_MS = 1_700_000_040_000
WINDOW_MS = 60_000
JOB = Job(
    work="count",
    contender="headrace",
    address="",
    application_id="measured",
    source="source",
    other="other",
    target="target",
    records=0,
    results=0,
    grace_ms=30_000,
    state_dir="",
)


def some_events(count: int = 200, records_per_window: int = 60) -> list[Event]:
    return list(make_events(count, START_MS, records_per_window, lambda number: number % 7))


@given(number=st.integers(1, 300), user=st.integers(0, USERS - 1))
def test_an_event_is_json_of_the_size_that_is_promised(number: int, user: int) -> None:
    for event in make_events(number, START_MS, 100, lambda _number: user):
        assert len(event.value) == VALUE_BYTES
        fields = msgspec.json.decode(event.value)
        assert fields["user"].encode() == event.key
        assert fields["bytes"] == event.amount


def test_what_the_route_must_write_is_the_masked_event_or_nothing() -> None:
    for event in some_events():
        fields = msgspec.json.decode(event.value)
        if fields["severity"] == DROPPED_SEVERITY:
            assert event.routed is None
        else:
            assert event.routed == msgspec.json.encode(masked_event(fields))
            assert "@" not in event.routed.decode()


def test_events_ascend_in_time_with_so_many_in_a_window() -> None:
    times = [event.timestamp for event in some_events(count=600, records_per_window=200)]
    assert times == sorted(times)
    assert [
        sum(time // WINDOW_MS == start for time in times) for start in sorted({t // WINDOW_MS for t in times})
    ] == [
        200,
        200,
        200,
    ]


def test_users_are_the_same_in_every_run_and_in_turn_none_comes_twice() -> None:
    assert list(map(random_users(), range(100))) == list(map(random_users(), range(100)))
    assert len(set(map(users_in_turn, range(USERS)))) == USERS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail a@b.co now", "mail [email] now"),
        ("a.b+c%d@mail.example.org...", "[email]..."),
        ("no address @ all", "no address @ all"),
        ("x@y.zz and z@y.zz", "[email] and [email]"),
        ("", ""),
    ],
)
def test_mask(text: str, expected: str) -> None:
    assert masked(text) == expected


def digest_of(records: Iterable[tuple[bytes, bytes]]) -> Digest:
    digest = Digest()
    for key, value in records:
        digest.add(key, value)
    return digest


def test_a_digest_does_not_depend_on_order() -> None:
    records = [(b"a", b"1"), (b"b", b"2"), (b"c", b"3")]
    assert len({(d.records, d.checksum) for d in map(digest_of, permutations(records))}) == 1


@pytest.mark.parametrize(
    "other",
    [
        [(b"a", b"1")],
        [(b"a", b"1"), (b"b", b"2"), (b"b", b"2")],
        [(b"a", b"2"), (b"b", b"1")],
        [(b"a", b"1"), (b"b", b"3")],
    ],
    ids=["missing", "repeated", "swapped", "altered"],
)
def test_a_digest_tells_other_records_apart(other: list[tuple[bytes, bytes]]) -> None:
    assert digest_of(other) != digest_of([(b"a", b"1"), (b"b", b"2")])


@given(
    key=st.binary(max_size=20),
    start=st.integers(0, 2**40),
    timestamp=st.integers(0, 2**40),
    value=st.tuples(st.integers(0, 2**60), st.integers(0, 2**60)),
)
def test_windows_are_packed_as_the_engine_logs_them(
    key: bytes, start: int, timestamp: int, value: tuple[int, int]
) -> None:
    store: WindowStore[bytes, tuple[int, int]] = WindowStore(
        "windows",
        MemoryStore(),
        BYTES,
        serde_for(tuple[int, int]),
        retention_ms=WINDOW_MS,
        window_size_ms=WINDOW_MS,
        cache_entries=10,
    )
    store.put(key, value, start, timestamp)
    assert list(store.flush()) == [(pack_key(key, start), pack_value(timestamp, *value))]
    assert unpack_value(pack_value(timestamp, *value)) == [timestamp, *value]
    assert unpack_key("count", pack_key(key, start)) == (key, start)


def expected_of(work: WorkName, records: int, events: list[Event]) -> Expected:
    """Collect a work's events, and return what must come of them."""
    expected: list[Expected] = []
    measured = WORKS[work](Place("", START_MS), Case(work))
    events += measured.expect(measured.events(records), expected)
    return expected[0]


@pytest.mark.parametrize("work", [work for work in TOPOLOGIES if work != "restore"])
def test_the_topology_of_a_work_does_what_is_expected(work: WorkName) -> None:
    events: list[Event] = []
    expected = expected_of(work, 2_000, events)
    result = Digest()
    job = msgspec.structs.replace(JOB, work=work, grace_ms=WORKS[work].grace_ms)
    with TopologyTestDriver(TOPOLOGIES[work](job, result), partitions=4) as driver:
        for event in events:
            driver.pipe(event.topic, event.key, event.value, event.timestamp, NO_HEADERS)
        if work == "route":
            for record in driver.output_topic("target", key=bytes, value=bytes).read_all():
                result.add(record.key, record.value)
        elif work in {"count", "hopping", "session"}:
            logged = driver.output_topic(changelog_of("measured"), key=bytes, value=bytes).read_all()
            window = CONTENDERS["headrace"].changelog.window  # type: ignore[union-attr] # it has one
            for key, value in {record.key: record.value for record in logged}.items():
                if value is not None:
                    result.add_window(*window(work, key, value))
    assert len(events) == expected.records == 2_000
    assert result == expected.digest
    assert result.records > 0


@pytest.mark.parametrize("work", ["decode", "route"])
@pytest.mark.parametrize("form", ["typed", "avro"])
def test_other_formats_are_the_same_work(work: WorkName, form: Format) -> None:
    expected: list[Expected] = []
    measured, result = WORKS[work](Place("", START_MS), Case(work, form)), Digest()
    job = msgspec.structs.replace(JOB, work=work, format=form)
    with TopologyTestDriver(TOPOLOGIES[work](job, result), partitions=4) as driver:
        for event in measured.expect(measured.events(300), expected):
            driver.pipe(event.topic, event.key, event.value, event.timestamp, NO_HEADERS)
        if work == "route":
            for record in driver.output_topic("target", key=bytes, value=bytes).read_all():
                result.add(record.key, record.value)
    assert result == expected[0].digest


def test_fewer_records_are_the_first_of_more() -> None:
    for work in ("count", "session", "dedup"):
        few: list[Event] = []
        more: list[Event] = []
        expected_of(work, 110, few)
        expected_of(work, 1_100, more)
        assert more[: len(few)] == few


def test_a_dedup_gets_copies_and_a_session_has_pauses() -> None:
    events: list[Event] = []
    expected = expected_of("dedup", 1_100, events)
    ids = Counter(msgspec.json.decode(event.value)["id"] for event in events)
    assert Counter(ids.values()) == {1: 900, 2: 100}
    assert (expected.digest.records, expected.results) == (1_000, 1_100)


@pytest.mark.parametrize("work", ["read", "route"])
@pytest.mark.parametrize("value_bytes", [190, 768, 1_024])
def test_values_have_the_size_that_the_row_says(work: WorkName, value_bytes: int) -> None:
    measured = WORKS[work](Place("", START_MS), Case(work, value_bytes=value_bytes))
    for event in measured.events(30):
        assert len(event.value) == value_bytes
        assert msgspec.json.decode(event.value)["bytes"] == event.amount


def test_a_wrong_result_is_refused() -> None:
    check("fine", Digest(1, 2), Digest(1, 2))
    with pytest.raises(ResultError, match=r"windows: found .*records=1.*expected .*records=2"):
        check("windows", Digest(1, 2), Digest(2, 2))


def test_a_measuring_process_that_fails_says_why() -> None:
    job = msgspec.structs.replace(JOB, work="restore", contender="hand-written", state_dir="/dev/null/folder")
    with pytest.raises(MeasurementError, match=r"(?s)hand-written: restore failed:.*Not a directory"):
        measure(CONTENDERS["hand-written"], job)


@pytest.mark.parametrize("name", CONTENDERS)
def test_a_contender_is_described_with_reasons_and_says_what_it_cannot_do(name: str) -> None:
    contender = CONTENDERS[name]
    assert contender.name == name
    assert all(contender.refusals.values())
    assert set(contender.refusals) < {*WORKS, *get_args(Format), "exactly-once"}
    assert contender.settings
    assert all(all(setting) for setting in contender.settings)


@pytest.mark.parametrize(
    ("work", "exactly_once", "reason"),
    [
        ("count", False, None),
        ("count", True, "no transactions"),
        ("restore", False, "no changelog"),
    ],
)
def test_who_cannot_do_a_work_says_why(work: WorkName, exactly_once: bool, reason: str | None) -> None:  # noqa: FBT001
    assert CONTENDERS["bytewax"].refusal(work, "open", exactly_once=exactly_once) == reason


def test_an_environment_is_pinned_whole() -> None:
    for name in ("bytewax", "quix", "faust"):
        lines = (Path(environment.__file__).parent / name / "requirements.txt").read_text().splitlines()
        assert all("==" in line for line in lines if not line.startswith("#"))


@pytest.mark.embedded
@pytest.mark.parametrize("work", ["read", "decode", "route", "count", "restore"])
def test_ours_and_the_hand_written_loop_do_the_same_work(work: WorkName) -> None:
    with EmbeddedBroker() as broker:
        measured = WORKS[work](Place(broker.address, SystemClock().now_ms()), Case(work))
        records = [measured.run(CONTENDERS[name], 2_000, 1).records for name in ("headrace", "hand-written")]
    assert records == [2_000, 2_000]
