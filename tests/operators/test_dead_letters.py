"""Bad input: put aside as it came, with headers that say why and where; counted; the rest goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

import pytest

from pipeline import StreamsError, tumbling
from pipeline.dsl.builder import StreamsBuilder
from pipeline.serde import INT64
from pipeline.testing.driver import TopologyTestDriver
from tests.operators.orders import (
    BAD,
    DEAD,
    HEADERS,
    HERE,
    Order,
    built,
    dead_letters,
    orders,
    pipe_around,
    why,
)


def passed_on(builder: StreamsBuilder) -> None:
    orders(builder).to("out")


def timed(builder: StreamsBuilder) -> None:
    orders(builder, timestamp=lambda record, _: record.value.amount).to("out")


def untimed(builder: StreamsBuilder) -> None:
    orders(builder, timestamp=lambda record, _: None if record.value.id == "bad" else 5).to("out")


def impatient(builder: StreamsBuilder) -> None:
    orders(builder, timestamp=lambda record, _: 1 // record.value.amount).to("out")


class Case(NamedTuple):
    """A bad record among good ones, and what its dead letter says."""

    declare: Callable[[StreamsBuilder], object]
    key: bytes | None
    value: bytes | None
    exception: str
    says: tuple[str, ...]
    timestamp: int = 42


BAD_BYTES = {
    "not-json": Case(
        passed_on,
        b"k",
        b"{oops",
        "DecodeError",
        ("orders", "cannot decode the record's value as json:Order", "malformed"),
    ),
    "empty-value": Case(passed_on, b"k", b"", "DecodeError", ("orders", "json:Order")),
    "wrong-type": Case(passed_on, b"k", b'{"id":7}', "ValidationError", ("orders", "$.id", "Expected `str`")),
    "missing-field": Case(
        passed_on, b"k", b'{"amount":7}', "ValidationError", ("orders", "required field `id`")
    ),
    "not-utf-8-value": Case(
        passed_on, b"k", b'{"id":"\xff"}', "UnicodeDecodeError", ("orders", "json:Order")
    ),
    "not-utf-8-key": Case(
        passed_on, b"\xff", b'{"id":"a"}', "UnicodeDecodeError", ("orders", "record's key as string")
    ),
    "value-too-large": Case(
        passed_on,
        b"k",
        b'{"id":"%s"}' % (b"x" * 2_000_000),
        "SerdeError",
        ("orders", "2000009 bytes", "max_record_bytes"),
    ),
    "negative-time": Case(
        timed,
        b"k",
        b'{"id":"a","amount":-1}',
        "NoTimeError",
        ("orders", "event time -1 ms", "<lambda>", HERE),
    ),
    "time-beyond-the-year-9999": Case(
        timed,
        b"k",
        b'{"id":"a","amount":253402300800000}',
        "SerdeError",
        ("orders", "event time 253402300800000 ms"),
    ),
    "no-time": Case(
        untimed,
        b"k",
        BAD,
        "SerdeError",
        ("orders", "timestamp extractor", "<lambda>", HERE, "returned NoneType"),
    ),
    "extractor-raises": Case(
        impatient,
        b"k",
        b'{"id":"a"}',
        "ZeroDivisionError",
        ("orders", "<lambda>", HERE, "raised ZeroDivisionError"),
    ),
}
RESULTS = {
    "null-key-for-an-aggregate": Case(
        lambda b: orders(b).group_by_key().count(name="t").to_stream().to("out"),
        None,
        BAD,
        "ProcessingError",
        ("t (tests/", "null key"),
    ),
    "null-key-for-a-windowed-aggregate": Case(
        lambda b: (
            orders(b)
            .group_by_key()
            .windowed_by(tumbling(timedelta(seconds=1), grace=timedelta(0)))
            .count(name="t")
            .to_stream()
            .to("out")
        ),
        None,
        BAD,
        "ProcessingError",
        ("t (tests/", "null key"),
    ),
    "null-key-for-a-repartition-topic": Case(
        lambda b: orders(b).repartition(name="r").to("out"),
        None,
        BAD,
        "ProcessingError",
        ("r-to-repartition", "null key"),
    ),
    "null-key-for-an-inner-table-join": Case(
        lambda b: (
            orders(b)
            .join(b.table("R", name="table", value=Order), lambda k, v, _: v, name="j", value=Order)
            .to("out")
        ),
        None,
        BAD,
        "ProcessingError",
        ("j (tests/", "null key"),
    ),
    "null-key-for-a-stream-join": Case(
        lambda b: (
            orders(b)
            .join(
                b.stream("R", key=str, value=Order),
                lambda k, v, _: v,
                within=timedelta(0),
                name="j",
                value=Order,
            )
            .to("out")
        ),
        None,
        BAD,
        "ProcessingError",
        ("j (tests/", "null key"),
    ),
    "unencodable-value": Case(
        lambda b: orders(b).map_values(lambda _, v: 10**400 if v.id == "bad" else 1, value=int).to("out"),
        b"k",
        BAD,
        "error",
        ("sink-1", "cannot encode the record's value, of type int, as int64", "give the right value="),
    ),
    "unencodable-key": Case(
        lambda b: orders(b).select_key(lambda _, v: 7 if v.id == "bad" else v.id).to("out"),
        b"k",
        BAD,
        "TypeError",
        ("sink-1", "cannot encode the record's key, of type int, as string", "give the right key="),
    ),
    "key-that-an-aggregate-cannot-encode": Case(
        lambda b: (
            orders(b)
            .select_key(lambda _, v: "seven" if v.id == "bad" else 7, key=int)
            .repartition(name="r", key=int)
            .to("out")
        ),
        b"k",
        BAD,
        "error",
        ("r-to-repartition", "cannot encode the record's key, of type str, as int64"),
    ),
    "result-too-large": Case(
        lambda b: (
            orders(b)
            .map_values(lambda _, v: Order("x" * (2_000_000 if v.id == "bad" else 1)), value=Order)
            .to("out")
        ),
        b"k",
        BAD,
        "RecordTooLargeError",
        ("sink-1", "max_record_bytes"),
    ),
    "no-topic-chosen": Case(
        lambda b: orders(b).to(lambda _, v: None if v.id == "bad" else "out"),
        b"k",
        BAD,
        "ProcessingError",
        ("sink-1", "<lambda>", HERE, "returned no topic"),
    ),
    "mapper-returns-no-pair": Case(
        lambda b: orders(b).map(lambda k, v: v if v.id == "bad" else (k, v), value=Order).to("out"),
        b"k",
        BAD,
        "TypeError",
        ("map-1", "<lambda>", HERE),
    ),
}


@pytest.mark.parametrize("case", [*BAD_BYTES.values(), *RESULTS.values()], ids=[*BAD_BYTES, *RESULTS])
@pytest.mark.parametrize("partitions", [1, 3])
def test_a_bad_record_is_put_aside_as_it_came(case: Case, partitions: int) -> None:
    with TopologyTestDriver(
        built(case.declare),
        partitions={"in": partitions, "R": partitions},
        topics=["out"],
        dead_letter=DEAD,
        application_version="1.2",
    ) as driver:
        pipe_around(driver, case.key, case.value, case.timestamp)
        (dead,) = dead_letters(driver)
        read = next(m for m in driver.broker.records("in") if m.timestamp == case.timestamp)
        assert (dead.key, dead.value, dead.timestamp) == (case.key, case.value, case.timestamp)
        assert dead.headers[: len(HEADERS)] == HEADERS
        reasons = why(dead)
        assert reasons.pop("exception") == case.exception
        message = reasons.pop("message")
        assert [part for part in case.says if part not in message] == []
        assert reasons == {
            "topic": "in",
            "partition": str(read.partition),
            "offset": str(read.offset),
            "application": "test 1.2",
        }
        assert driver.metrics["dead_letters"] == 1
        produced = len(driver.output_topic("out", key=bytes, value=bytes).read_all())
        joins = any(node.name == "j" for node in built(case.declare).nodes)
        assert produced == (0 if joins else 2)


@pytest.mark.parametrize("name", sorted(BAD_BYTES.keys() - {"negative-time"}))
def test_without_a_dead_letter_topic_bad_bytes_stop_the_worker(name: str) -> None:
    case = BAD_BYTES[name]
    driver = TopologyTestDriver(built(case.declare))
    with pytest.raises(StreamsError) as raised:
        pipe_around(driver, case.key, case.value, case.timestamp)
    for part in (*case.says, "in-0 offset 1", HERE, "dead_letter="):
        assert part in str(raised.value)


def test_without_a_dead_letter_topic_null_keys_are_dropped_and_counted() -> None:
    """As Kafka Streams does (a7): a missing key is no error there."""
    with TopologyTestDriver(built(lambda b: orders(b).group_by_key().count(name="t"))) as driver:
        pipe_around(driver, None, BAD, 42)
        assert driver.metrics["records_rejected"] == 1
        assert driver.store("t").get("good") == 2


def test_a_bad_record_at_the_end_is_not_put_aside_again_after_a_restart() -> None:
    with TopologyTestDriver(built(passed_on), dead_letter=DEAD) as driver:
        driver.pipe("in", b"k", b"{oops", 1, ())
        driver.restart(crash=True)
        driver.restart()
        assert len(dead_letters(driver)) == 1
        assert driver.broker.committed("test")


def test_the_1st_2nd_4th_dead_letter_is_logged_with_its_place(caplog: pytest.LogCaptureFixture) -> None:
    with TopologyTestDriver(built(passed_on), dead_letter=DEAD) as driver:
        for time in range(1, 8):
            driver.pipe("in", b"k", b"{oops", time, ())
    logged = [line for line in caplog.messages if line.startswith("dead letter")]
    assert [line.split()[2] for line in logged] == ["1,", "2,", "4,"]
    assert logged[-1].endswith("[in-0 offset 3]")


def test_a_topic_that_refuses_a_record() -> None:
    """A sink chose a topic that does not exist: the record that it was chosen for is put aside."""
    declare = lambda b: orders(b).to(lambda _, order: f"out-{order.id}")  # noqa: E731 - a table's row
    with TopologyTestDriver(built(declare), topics=["out-good"], dead_letter=DEAD) as driver:
        pipe_around(driver, b"bad", BAD, 42)
        (dead,) = dead_letters(driver)
        assert (dead.key, dead.value, dead.timestamp, dead.headers[:2]) == (b"bad", BAD, 42, HEADERS)
        assert why(dead)["topic"] == "in"
        assert "'out-bad'" in why(dead)["message"]
        assert len(driver.output_topic("out-good", value=Order).read_all()) == 2


def test_int64_keys_and_values() -> None:
    """A key of the wrong length is no int64."""
    declare = lambda b: b.stream("in", key=int, value=int, name="numbers").to("out")  # noqa: E731 - a table's row
    with TopologyTestDriver(built(declare), dead_letter=DEAD) as driver:
        driver.pipe("in", b"1234", INT64.serialize(7), 1, ())
        driver.pipe("in", INT64.serialize(1), INT64.serialize(7), 1, ())
        (dead,) = dead_letters(driver)
        assert "the record's key as int64: ValueError: an int64 is 8 bytes" in why(dead)["message"]
        assert driver.output_topic("out", key=int, value=int).read_values() == [7]
