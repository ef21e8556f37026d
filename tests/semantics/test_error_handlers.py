"""What becomes of a record that fails: rule a10.5, with dead letters as KIP-1034 has them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from pipeline import Processor, ProcessorContext, PunctuationType, Record, StreamsError
from pipeline.dsl.builder import StreamsBuilder
from pipeline.serde import serde_for
from pipeline.testing.driver import TopologyTestDriver
from tests.operators.orders import (
    BAD,
    DEAD,
    Order,
    built,
    dead_letters,
    explode,
    orders,
    pipe_around,
    why,
)


class Case(NamedTuple):
    """A stage, and a way in which the bad order fails there."""

    stage: str
    declare: Callable[[StreamsBuilder], object]
    #: What its dead letter says.
    says: str
    value: bytes = BAD
    topic_config: tuple[str, str] | None = None


def chosen(_key: str, order: Order) -> str:
    return "out" if order.id == "good" else "missing"


CASES = {
    "decode-not-json": Case("decode", lambda b: orders(b).to("out"), "cannot decode", b"{oops"),
    "decode-extractor-raises": Case(
        "decode",
        lambda b: orders(b, timestamp=lambda r, _: 1 // r.value.amount).to("out"),
        "ZeroDivisionError",
    ),
    "processing-user-function-raises": Case(
        "processing", lambda b: orders(b).map_values(explode, value=Order).to("out"), "raised RuntimeError"
    ),
    "processing-topic-chooser-raises": Case(
        "processing", lambda b: orders(b).to(lambda k, v: explode(k, v) and "out"), "raised RuntimeError"
    ),
    "produce-unencodable": Case(
        "produce",
        lambda b: orders(b).map_values(lambda _, v: 2**70 if v.id == "bad" else 1, value=int).to("out"),
        "cannot encode the record",
    ),
    "produce-larger-than-the-setting": Case(
        "produce",
        lambda b: orders(b).map_values(lambda _, v: "x" * (2**20 + (v.id == "bad")), value=str).to("out"),
        "exceeds max_record_bytes",
    ),
    "produce-no-such-topic": Case("produce", lambda b: orders(b).to(chosen), "'missing'"),
    "produce-refused-by-the-broker": Case(
        "produce",
        lambda b: orders(b).map_values(lambda _, v: v.id * 5, value=str).filter(lambda *_: True).to("out"),
        "refused a record",
        b'{"id":"%s"}' % (b"x" * 20),
        ("max.message.bytes", "60"),
    ),
}


def driver_for(case: Case, **settings: Any) -> TopologyTestDriver:
    driver = TopologyTestDriver(built(case.declare), topics=["out", DEAD], **settings)
    if case.topic_config is not None:
        name, value = case.topic_config
        driver.broker.topic("out").config[name] = value
    return driver


def good_ones(driver: TopologyTestDriver) -> int:
    return len(driver.output_topic("out", key=bytes, value=bytes).read_all())


@pytest.mark.parametrize("case", CASES.values(), ids=[f"a10.5-{name}" for name in CASES])
@pytest.mark.parametrize("dead_letter", [None, DEAD])
def test_continue_skips_the_record_and_counts_it(case: Case, dead_letter: str | None) -> None:
    settings: dict[str, Any] = {f"on_{case.stage}_error": "continue", "dead_letter": dead_letter}
    with driver_for(case, **settings) as driver:
        pipe_around(driver, b"bad", case.value, 42)
        assert good_ones(driver) == 2
        assert driver.metrics[f"{case.stage}_errors_skipped"] == 1
        assert dead_letters(driver) == []
        driver.restart()
        assert driver.metrics["records_processed"] == 0, "what was skipped is committed"


@pytest.mark.parametrize("case", CASES.values(), ids=[f"a10.5-{name}" for name in CASES])
@pytest.mark.parametrize("explicit", [True, False])
def test_with_a_dead_letter_topic_the_record_is_put_aside(case: Case, explicit: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    settings: dict[str, Any] = {f"on_{case.stage}_error": "dead-letter"} if explicit else {}
    with driver_for(case, dead_letter=DEAD, **settings) as driver:
        pipe_around(driver, b"bad", case.value, 42)
        assert good_ones(driver) == 2
        (dead,) = dead_letters(driver)
        assert dead.timestamp == 42
        assert case.says in why(dead)["message"]


@pytest.mark.parametrize("case", CASES.values(), ids=[f"a10.5-{name}" for name in CASES])
@pytest.mark.parametrize("dead_letter", [None, DEAD])
def test_fail_stops_the_worker_and_says_what_to_set(case: Case, dead_letter: str | None) -> None:
    settings: dict[str, Any] = {f"on_{case.stage}_error": "fail", "dead_letter": dead_letter}
    driver = driver_for(case, **settings)
    with pytest.raises(StreamsError) as raised:
        pipe_around(driver, b"bad", case.value, 42)
    assert case.says in str(raised.value)
    if case.topic_config is None:
        for part in (f"on_{case.stage}_error=", "dead_letter=", "record in-0 offset 1", "(tests/"):
            assert part in str(raised.value)


@pytest.mark.parametrize("stage", ["decode", "processing", "produce"])
def test_a10_5_each_stage_has_its_own_setting(stage: str) -> None:
    """One stage goes on; a failure at another one still stops the worker."""
    others = [case for case in CASES.values() if case.stage != stage]
    for case in others:
        settings: dict[str, Any] = {f"on_{stage}_error": "continue"}
        driver = driver_for(case, **settings)
        with pytest.raises(StreamsError):
            pipe_around(driver, b"bad", case.value, 42)


def test_a10_5_what_was_forwarded_before_the_failure_stays() -> None:
    class Half(Processor[str, Order, str, Order]):
        def init(self, context: ProcessorContext[str, Order]) -> None:
            self.context = context

        def process(self, record: Record[str, Order]) -> None:
            self.context.forward(record.with_key("first"))
            explode(record.key, record.value)
            self.context.forward(record.with_key("second"))

    declare = lambda b: orders(b).process(Half, key=str, value=Order).to("out")  # noqa: E731 - a table's row
    with TopologyTestDriver(built(declare), on_processing_error="continue") as driver:
        pipe_around(driver, b"bad", BAD, 42)
        keys = [record.key for record in driver.output_topic("out", value=Order).read_all()]
        assert keys == ["first", "second", "first", "first", "second"]


def test_a10_5_a_record_that_fails_in_two_branches_is_skipped_once() -> None:
    def declare(builder: StreamsBuilder) -> None:
        stream = orders(builder)
        stream.map_values(explode, value=Order).to("out")
        stream.to("beside")
        stream.filter(explode).to("out")

    with TopologyTestDriver(built(declare), on_processing_error="continue") as driver:
        pipe_around(driver, b"bad", BAD, 42)
        assert driver.metrics["processing_errors_skipped"] == 1
        assert len(driver.output_topic("beside", value=Order).read_all()) == 3


def test_a10_5_skipped_in_one_stage_and_put_aside_in_another() -> None:
    def declare(builder: StreamsBuilder) -> None:
        stream = orders(builder)
        stream.map_values(explode, value=Order).to("out")
        stream.map_values(lambda _, order: 2**70 if order.id == "bad" else 1, value=int).to("out")

    with TopologyTestDriver(built(declare), on_processing_error="continue", dead_letter=DEAD) as driver:
        pipe_around(driver, b"bad", BAD, 42)
        assert driver.metrics["processing_errors_skipped"] == 1
        assert "cannot encode" in why(dead_letters(driver)[0])["message"]


def test_a10_5_a_changed_row_that_fails_after_its_table() -> None:
    """Each update of a table is processed by itself; the table keeps the row."""

    def declare(builder: StreamsBuilder) -> None:
        rows = orders(builder).group_by_key().reduce(lambda _, new: new, name="t")
        rows.to_stream().map_values(explode, value=Order).to("out")

    with TopologyTestDriver(built(declare), on_processing_error="continue") as driver:
        pipe_around(driver, b"bad", BAD, 42)
        assert good_ones(driver) == 2
        assert driver.store("t").get("bad") == Order("bad")
        assert driver.metrics["processing_errors_skipped"] == 1


def test_a10_5_skipped_records_are_logged_the_1st_2nd_4th_time(caplog: pytest.LogCaptureFixture) -> None:
    with TopologyTestDriver(built(lambda b: orders(b).to("out")), on_decode_error="continue") as driver:
        with caplog.at_level(logging.WARNING):
            for time in range(1, 8):
                driver.pipe("in", b"bad", b"{oops", time, ())
        assert driver.metrics["decode_errors_skipped"] == 7
    logged = [
        record.getMessage() for record in caplog.records if "decode_errors_skipped" in record.getMessage()
    ]
    assert [line.split()[1] for line in logged] == ["1", "2", "4"]
    assert "in-0 offset 3" in logged[-1]
    assert "orders (tests/" in logged[-1]


class Late(Processor[str, Order, str, Order]):
    """Raises in every punctuation, after it has forwarded."""

    def __init__(self, kind: PunctuationType) -> None:
        self.kind = kind

    def init(self, context: ProcessorContext[str, Order]) -> None:
        self.context = context
        context.schedule(timedelta(milliseconds=10), self.kind, self.tick)

    def tick(self, time_ms: int) -> None:
        self.context.forward(Record("tick", Order("tick"), time_ms))
        raise RuntimeError(f"at {time_ms}")

    def process(self, record: Record[str, Order]) -> None:
        self.context.forward(record)


def punctuated(kind: PunctuationType, **settings: Any) -> TopologyTestDriver:
    def declare(builder: StreamsBuilder) -> None:
        orders(builder).process(lambda: Late(kind), name="late", key=str, value=Order).to("out")

    return TopologyTestDriver(built(declare), **settings)


def reach_50(driver: TopologyTestDriver) -> None:
    driver.pipe("in", b"k", b'{"id":"a"}', 50, ())
    driver.advance_wall_clock(timedelta(milliseconds=50))


@pytest.mark.parametrize("kind", PunctuationType)
class TestPunctuation:
    """The processing error handler covers punctuations: they have no record to blame."""

    def test_a10_5_a8_fail(self, kind: PunctuationType) -> None:
        driver = punctuated(kind)
        with pytest.raises(StreamsError) as raised:
            reach_50(driver)
        for part in ("late", "Late.tick (tests/", "RuntimeError: at 50", "punctuation of task 0_0 at 50 ms"):
            assert part in str(raised.value)

    def test_a10_5_a8_continue(self, kind: PunctuationType) -> None:
        with punctuated(kind, on_processing_error="continue") as driver:
            reach_50(driver)
            driver.pipe("in", b"k", b'{"id":"b"}', 60, ())
            driver.advance_wall_clock(timedelta(milliseconds=10))
            assert driver.metrics["processing_errors_skipped"] == 2
            ids = sorted(order.id for order in driver.output_topic("out", value=Order).read_values())
            assert ids == ["a", "b", "tick", "tick"]

    def test_a10_5_a8_dead_letter(self, kind: PunctuationType) -> None:
        with punctuated(kind, dead_letter=DEAD) as driver:
            reach_50(driver)
            (dead,) = dead_letters(driver)
            assert (dead.key, dead.value, dead.timestamp) == (None, None, 50)
            told = why(dead)
            assert "late" in told["message"]
            assert (told["exception"], told["topic"], told["offset"]) == ("RuntimeError", "", "-1")


def test_a10_5_what_waited_and_fails_in_idle_time_is_put_aside() -> None:
    def declare(builder: StreamsBuilder) -> None:
        left = orders(builder)
        right = builder.stream("R", key=str, value=Order)
        pairs = left.left_join(
            right, lambda k, v, _: explode(k, v), within=timedelta(0), name="j", value=Order
        )
        pairs.to("out")

    with TopologyTestDriver(built(declare), dead_letter=DEAD, source_idle_ms=1_000) as driver:
        driver.pipe("in", b"k", BAD, 50, ())
        driver.advance_wall_clock(timedelta(milliseconds=1_000))
        (dead,) = dead_letters(driver)
        assert (dead.key, serde_for(Order).deserialize(dead.value), dead.timestamp) == (
            b"k",
            Order("bad"),
            50,
        )
