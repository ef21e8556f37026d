from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import permutations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.__main__ import parse
from benchmarks.digest import Digest
from benchmarks.engine import STORE, changelog_of, count_topology, route_topology
from benchmarks.events import (
    DROPPED_SEVERITY,
    USERS,
    VALUE_BYTES,
    WINDOW_MS,
    CountExpectation,
    Event,
    RouteExpectation,
    make_events,
    random_users,
    users_in_turn,
)
from benchmarks.masking import masked, masked_event
from benchmarks.measurement import Job, Measurement, Side
from benchmarks.processes import MeasurementError, measure
from benchmarks.report import Result, table
from benchmarks.windows import pack_key, pack_value, unpack_value, windows_digest
from benchmarks.works import Count, Place, Restore, ResultError, Route, Runner, check
from pipeline.clock import SystemClock
from pipeline.record import NO_HEADERS
from pipeline.serde import BYTES, serde_for
from pipeline.state.memory import MemoryStore
from pipeline.state.window import WindowStore
from pipeline.testing.brokers import EmbeddedBroker
from pipeline.testing.driver import TopologyTestDriver

START_MS = 1_700_000_040_000
JOB = Job(
    work="count",
    side="headrace",
    address="",
    application_id="measured",
    source="source",
    target="target",
    changelog="",
    records=0,
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


def test_the_route_writes_what_is_expected() -> None:
    expectation = RouteExpectation()
    with TopologyTestDriver(route_topology(JOB), partitions=4) as driver:
        for event in some_events():
            expectation.add(event)
            driver.pipe("source", event.key, event.value, event.timestamp, NO_HEADERS)
        records = driver.output_topic("target", key=bytes, value=bytes).read_all()
    assert digest_of((record.key, record.value) for record in records) == expectation.digest


def test_the_count_logs_what_is_expected() -> None:
    expectation = CountExpectation()
    with TopologyTestDriver(count_topology(JOB), partitions=4) as driver:
        for event in some_events():
            expectation.add(event)
            driver.pipe("source", event.key, event.value, event.timestamp, NO_HEADERS)
        assert driver.store(STORE).name == STORE
        records = driver.output_topic(changelog_of("measured"), key=bytes, value=bytes).read_all()
    last = {record.key: record.value for record in records}
    assert windows_digest(last.items()) == expectation.digest


def test_a_wrong_result_is_refused() -> None:
    check("fine", Digest(1, 2), Digest(1, 2))
    with pytest.raises(ResultError, match=r"windows: found .*records=1.*expected .*records=2"):
        check("windows", Digest(1, 2), Digest(2, 2))


def test_a_measuring_process_that_fails_says_why() -> None:
    job = msgspec.structs.replace(JOB, work="restore", side="hand-written", state_dir="/dev/null/folder")
    with pytest.raises(MeasurementError, match=r"(?s)hand-written restore failed:.*Not a directory"):
        measure(job)


def measured(rate: int) -> Measurement:
    return Measurement(records=1_000_000, seconds=1_000_000 / rate, cpu_seconds=5.0)


@pytest.mark.parametrize(
    ("floor", "rates", "ceilings", "row"),
    [
        (
            100_000,
            [90_000, 200_000, 120_000],
            [240_000],
            "| route | kafka | 120 | 90-200 | 240 | 240-240 | 0.50 | 100 reached | 5.0 | 5.0 |",
        ),
        (
            80_000,
            [70_000, 79_000],
            [100_000, 200_000],
            "| route | kafka | 74 | 70-79 | 150 | 100-200 | 0.50 | 80 MISSED | 5.0 | 5.0 |",
        ),
    ],
)
def test_a_row_has_medians_spread_ratio_and_floor(
    floor: int, rates: list[int], ceilings: list[int], row: str
) -> None:
    result = Result("route", "kafka", floor, [*map(measured, rates)], [*map(measured, ceilings)])
    assert table([result]).splitlines()[2] == row


@pytest.mark.parametrize(
    "arguments", [["--records", "0"], ["--runs", "-1"], ["--only", "sort"], ["--broker", "x"]]
)
def test_bad_arguments_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        parse(arguments)
    assert refusal.value.code == 2
    assert arguments[0] in capsys.readouterr().err


@pytest.mark.embedded
@pytest.mark.parametrize("work", [Route, Count, Restore], ids=["route", "count", "restore"])
def test_both_sides_do_the_same_work(work: Callable[[Place, int], Runner]) -> None:
    with EmbeddedBroker() as broker:
        runner = work(Place(broker.address, SystemClock().now_ms()), 2_000)
        runner.prepare()
        sides: tuple[Side, Side] = ("headrace", "hand-written")
        records = [runner.run(side, 1).records for side in sides]
    assert len(set(records)) == 1
