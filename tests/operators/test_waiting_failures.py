"""A record that waited in a store and fails when it goes on: it is that record which is put aside, not the
one that brought time forward."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias

import pytest

from pipeline import EmitStrategy, KTable, StreamsError, tumbling
from pipeline.dsl.builder import StreamsBuilder
from pipeline.testing.driver import TopologyTestDriver
from tests.operators.orders import DEAD, why
from tests.semantics.timed import joined, ms, shown

Declare: TypeAlias = Callable[[StreamsBuilder], object]


def strict(_key: Any, *values: Any) -> str:
    """Map a value, or join two."""
    if "!" in str(values):
        raise ValueError("no!")
    return values[0] if len(values) == 1 else joined(None, *values)


def outer(builder: StreamsBuilder, joiner: Any = strict) -> Any:
    left, right = (builder.stream(topic, key=str, value=str) for topic in "LR")
    return left.outer_join(right, joiner, within=ms(10), name="j", value=str)


def outer_join(builder: StreamsBuilder) -> None:
    outer(builder).to("out")


def after_an_outer_join(builder: StreamsBuilder) -> None:
    outer(builder, joined).map_values(strict, value=str).to("out")


def left_join_after_an_outer_join(builder: StreamsBuilder) -> None:
    """What the first join lets go brings the time of the second one forward."""
    rows = outer(builder, joined).filter(lambda key, _: key != "z")
    third = builder.stream("S", key=str, value=str)
    rows.left_join(third, strict, within=ms(0), name="second", value=str).to("out")


def after_grace(builder: StreamsBuilder) -> None:
    table: KTable[str, str] = builder.table("R", name="t", value=str, history=timedelta(hours=1))
    stream = builder.stream("L", key=str, value=str)
    stream.left_join(table, strict, grace=ms(10), name="j", value=str).to("out")


def emitted_on_close(builder: StreamsBuilder) -> None:
    grouped = builder.stream("L", key=str, value=str).group_by_key()
    windowed = grouped.windowed_by(tumbling(ms(10), grace=ms(0)))
    windows = windowed.emit_strategy(EmitStrategy.ON_WINDOW_CLOSE)
    last = windows.reduce(lambda _, new: new, name="last")
    last.to_stream().map(lambda window, value: (window.key, strict(None, value))).to(
        "out", key=str, value=str
    )


def run(driver: TopologyTestDriver, *records: tuple[str, str, str, int]) -> None:
    for topic, key, value, time in records:
        driver.input_topic(topic, value=str).pipe(key, value, time, [("of", value.encode())])


@pytest.mark.parametrize("declare", [outer_join, after_an_outer_join], ids=lambda declare: declare.__name__)
def test_each_row_that_fails_is_put_aside_by_itself(declare: Declare) -> None:
    builder = StreamsBuilder("test")
    declare(builder)
    with TopologyTestDriver(builder.build(), dead_letter=DEAD) as driver:
        run(driver, ("L", "a", "!1", 0), ("L", "a", "!2", 0), ("L", "b", "B", 0), ("R", "c", "!3", 1))
        run(driver, ("R", "z", "_", 12))
        dead = driver.output_topic(DEAD, value=str).read_all()
        assert [(r.key, r.value, r.timestamp) for r in dead] == [
            ("a", "!1", 0),
            ("a", "!2", 0),
            ("c", "!3", 1),
        ]
        assert [header for record in dead for header in record.headers if header[0] == "of"] == []
        for record in dead:
            assert why(record)["topic"] == "test-j-unmatched-changelog"
            assert "strict (" in why(record)["message"]
        # The record that brought time forward was not to blame, and waits.
        run(driver, ("L", "z", "A", 12))
        assert shown(driver.output_topic("out", value=str).read_all()) == "b:B-null@0 z:A-_@12"


def test_a_record_that_waits_for_its_grace_is_put_aside_with_its_headers() -> None:
    builder = StreamsBuilder("test")
    after_grace(builder)
    with TopologyTestDriver(builder.build(), dead_letter=DEAD) as driver:
        run(driver, ("L", "a", "!1", 0), ("L", "b", "B", 1), ("L", "z", "_", 11))
        (dead,) = driver.output_topic(DEAD, value=str).read_all()
        assert (dead.key, dead.value, dead.timestamp, dead.headers[0]) == ("a", "!1", 0, ("of", b"!1"))
        assert why(dead)["topic"] == "test-j-buffer-changelog"
        assert shown(driver.output_topic("out", value=str).read_all()) == "b:B-null@1"


def test_a_window_that_fails_when_it_is_emitted_is_put_aside_and_not_the_record_that_closed_it() -> None:
    builder = StreamsBuilder("test")
    emitted_on_close(builder)
    with TopologyTestDriver(builder.build(), dead_letter=DEAD) as driver:
        run(driver, ("L", "a", "!1", 0), ("L", "b", "B", 1), ("L", "z", "_", 10), ("L", "y", "_", 20))
        (dead,) = driver.output_topic(DEAD, value=str).read_all()
        assert (dead.key, dead.value, dead.timestamp) == ("a", "!1", 0)
        assert why(dead)["topic"] == "test-last-changelog"
        assert shown(driver.output_topic("out", value=str).read_all()) == "b:B@1 z:_@10"


def test_a_row_that_lets_another_one_go_is_not_to_blame_for_it() -> None:
    builder = StreamsBuilder("test")
    left_join_after_an_outer_join(builder)
    with TopologyTestDriver(builder.build(), dead_letter=DEAD) as driver:
        run(driver, ("L", "a", "!1", 0), ("L", "b", "B", 1), ("L", "c", "!2", 2), ("L", "z", "_", 13))
        dead = driver.output_topic(DEAD, value=str).read_all()
        assert [(r.key, r.value, r.timestamp) for r in dead] == [("a", "!1-null", 0)]
        assert why(dead[0])["topic"] == "test-second-unmatched-changelog"
        assert shown(driver.output_topic("out", value=str).read_all()) == "b:B-null-null@1"


@pytest.mark.parametrize("declare", [outer_join, after_grace], ids=lambda declare: declare.__name__)
def test_without_a_dead_letter_topic_the_worker_stops_and_says_what_failed(declare: Declare) -> None:
    builder = StreamsBuilder("test")
    declare(builder)
    says = r"strict \(.*\) raised ValueError: no! \[row of test-j-"
    with pytest.raises(StreamsError, match=says), TopologyTestDriver(builder.build()) as driver:
        run(driver, ("L", "a", "!1", 0), ("L", "z", "_", 11))
