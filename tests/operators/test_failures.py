"""What raises in a user's function is named with its line; what stands beside and before it goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import msgspec
import pytest

from pipeline import Processor, ProcessorContext, Record, StreamsError, tumbling
from pipeline.dsl.builder import StreamsBuilder
from pipeline.errors import UnhandledRecordError
from pipeline.testing.driver import TopologyTestDriver
from tests.operators.orders import (
    BAD,
    DEAD,
    HEADERS,
    HERE,
    Order,
    built,
    dead_letters,
    explode,
    orders,
    pipe_around,
    why,
)


class Raising(Processor[str, Order, str, Order]):
    def init(self, context: ProcessorContext[str, Order]) -> None:
        self.context = context

    def process(self, record: Record[str, Order]) -> None:
        explode(record.key, record.value)
        self.context.forward(record)


class Keeping(Raising):
    """The same, under `process_values`."""


def for_each(builder: StreamsBuilder) -> None:
    stream = orders(builder)
    stream.foreach(explode)
    stream.to("out")


def placed(key: str, order: Order) -> int:
    explode(key, order)
    return 0


def self_joined(builder: StreamsBuilder) -> None:
    stream = orders(builder)
    pairs = stream.join(stream, lambda k, v, _: explode(k, v), within=timedelta(0), name="j", value=Order)
    pairs.to("out")


def global_joined(
    builder: StreamsBuilder,
    mapper: Callable[..., Any] = lambda k, v: k,
    joiner: Callable[..., Any] = lambda k, v, _: v,
) -> None:
    table = builder.global_table("R", name="table", value=Order)
    orders(builder).left_join(table, joiner, key_mapper=mapper, value=Order).to("out")


FAILING: dict[str, Callable[[StreamsBuilder], object]] = {
    "filter": lambda b: orders(b).filter(explode).to("out"),
    "filter_not": lambda b: orders(b).filter_not(lambda k, v: not explode(k, v)).to("out"),
    "map": lambda b: orders(b).map(lambda k, v: (k, explode(k, v)), value=Order).to("out"),
    "map_values": lambda b: orders(b).map_values(explode, value=Order).to("out"),
    "flat_map": lambda b: orders(b).flat_map(lambda k, v: [(k, explode(k, v))], value=Order).to("out"),
    "flat_map-later": lambda b: (
        orders(b).flat_map(lambda k, v: ((k, explode(k, v)) for _ in range(2)), value=Order).to("out")
    ),
    "flat_map_values": lambda b: (
        orders(b).flat_map_values(lambda k, v: [explode(k, v)], value=Order).to("out")
    ),
    "select_key": lambda b: orders(b).select_key(lambda k, v: explode(k, v).id).to("out"),
    "peek": lambda b: orders(b).peek(explode).to("out"),
    "branch": lambda b: orders(b).branch({"all": explode})["all"].to("out"),
    "process": lambda b: orders(b).process(Raising, key=str, value=Order).to("out"),
    "process_values": lambda b: orders(b).process_values(Keeping, value=Order).to("out"),
    "foreach": for_each,
    "partitioner": lambda b: orders(b).to("out", partitioner=lambda _t, k, v, _n: placed(k, v)),
    "to": lambda b: orders(b).to(lambda k, v: "out" if explode(k, v) else ""),
    "aggregate": lambda b: (
        orders(b)
        .group_by_key()
        .aggregate(int, lambda k, v, n: n + bool(explode(k, v)), name="t", value=int)
        .to_stream()
        .to("out")
    ),
    "windowed-aggregate": lambda b: (
        orders(b)
        .group_by_key()
        .windowed_by(tumbling(timedelta(seconds=1), grace=timedelta(0)))
        .aggregate(int, lambda k, v, n: n + bool(explode(k, v)), name="t", value=int)
        .to_stream()
        .to("out")
    ),
    "stream-table-join": lambda b: (
        orders(b)
        .left_join(b.table("R", name="table", value=Order), lambda k, v, _: explode(k, v), value=Order)
        .to("out")
    ),
    "global-join-key-mapper": lambda b: global_joined(b, mapper=lambda k, v: explode(k, v).id),
    "global-join-joiner": lambda b: global_joined(b, joiner=lambda k, v, _: explode(k, v)),
    "stream-stream-join": self_joined,
    "after-a-table": lambda b: (
        orders(b)
        .group_by_key()
        .reduce(lambda _, new: new, name="t")
        .to_stream()
        .map_values(explode, value=Order)
        .to("out")
    ),
}


NO_PAIRS: dict[str, Callable[[StreamsBuilder], object]] = {
    "map": lambda b: orders(b).map(lambda k, v: cast("Any", {"id": 1, "amount": 2}), value=str).to("out"),
    "map-text": lambda b: orders(b).map(lambda k, v: cast("Any", "ab"), value=str).to("out"),
    "flat_map": lambda b: orders(b).flat_map(lambda k, v: cast("Any", ["ab"]), value=str).to("out"),
    "group_by": lambda b: (
        b.table("in", name="rows", value=Order)
        .group_by(lambda k, v: cast("Any", "ab"), name="by", value=str)
        .count(name="n")
    ),
}


@pytest.mark.parametrize("declare", NO_PAIRS.values(), ids=NO_PAIRS.keys())
def test_what_python_could_take_apart_is_not_yet_a_key_and_its_value(
    declare: Callable[[StreamsBuilder], object],
) -> None:
    with TopologyTestDriver(built(declare), topics=["out"], dead_letter=DEAD) as driver:
        driver.input_topic("in", key=str, value=Order).pipe("k", Order("a", 1), 1)
        (dead,) = dead_letters(driver)
        assert driver.output_topic("out", key=bytes, value=bytes).read_all() == []
    message = why(dead)["message"]
    assert "it must return a tuple (key, value), not " in message
    assert f"<lambda> ({HERE}" in message


class Returning(Processor[str, Order, str, Order]):
    def process(self, record: Record[str, Order]) -> Any:
        return record


@pytest.mark.parametrize("how", ["process", "process_values"])
def test_a_record_that_a_processor_returns_instead_of_forwarding_it_is_not_lost(how: str) -> None:
    def declare(builder: StreamsBuilder) -> None:
        getattr(orders(builder), how)(Returning, value=Order).to("out")

    with TopologyTestDriver(built(declare), topics=["out"], dead_letter=DEAD) as driver:
        driver.input_topic("in", key=str, value=Order).pipe("k", Order("a", 1), 1)
        (dead,) = dead_letters(driver)
    message = why(dead)["message"]
    assert f"process ({HERE}" in message
    assert "hand it on by context.forward(record)" in message


@pytest.mark.parametrize("declare", FAILING.values(), ids=FAILING.keys())
def test_a_users_function_that_raises_is_named_with_its_line(
    declare: Callable[[StreamsBuilder], object],
) -> None:
    with TopologyTestDriver(built(declare), topics=["out"], dead_letter=DEAD) as driver:
        pipe_around(driver, b"bad", BAD, 42)
        (dead,) = dead_letters(driver)
        assert (dead.key, dead.timestamp) == (b"bad", 42)
        assert dead.headers[: len(HEADERS)] == HEADERS
        assert msgspec.json.decode(dead.value)["id"] == "bad"
        reasons = why(dead)
        assert reasons["exception"] == "RuntimeError"
        assert HERE in reasons["message"]
        assert "raised RuntimeError: a bug of the user's" in reasons["message"]
        assert driver.metrics["dead_letters"] == 1
        assert len(driver.output_topic("out", key=bytes, value=bytes).read_all()) >= 2


@pytest.mark.parametrize("declare", FAILING.values(), ids=FAILING.keys())
def test_without_a_dead_letter_topic_the_worker_stops_and_names_it_all(
    declare: Callable[[StreamsBuilder], object],
) -> None:
    driver = TopologyTestDriver(built(declare), topics=["out"])
    with pytest.raises(UnhandledRecordError) as raised:
        pipe_around(driver, b"bad", BAD, 42)
    message = str(raised.value)
    where = "test-t-changelog-0" if "map-values-1" in message and "test-t" in message else "in-0 offset 1"
    for part in (HERE, "RuntimeError: a bug of the user's", where, "dead_letter="):
        assert part in message
    assert message.count("a bug of the user's") == 1


def test_nothing_is_lost_when_the_worker_stops_at_a_record_and_is_mended() -> None:
    broken = True

    def fragile(_key: str, order: Order) -> Order:
        if broken and order.id == "bad":
            raise RuntimeError("not mended yet")
        return order

    driver = TopologyTestDriver(built(lambda b: orders(b).map_values(fragile, value=Order).to("out")))
    with pytest.raises(StreamsError):
        pipe_around(driver, b"bad", BAD, 42)
    broken = False
    driver.restart(crash=True)
    driver.pipe("in", b"good", b'{"id":"last"}', 44, ())
    assert [order.id for order in driver.output_topic("out", value=Order).read_values()] == [
        "good",
        "bad",
        "last",
    ]
    driver.close()


def test_operators_beside_the_failing_one_get_the_record() -> None:
    """Whichever was declared first: errors are handled at the operator, as in Kafka Streams."""

    def declare(builder: StreamsBuilder) -> None:
        stream = orders(builder)
        stream.to("before")
        stream.map_values(explode, value=Order).to("out")
        stream.filter(explode).to("out")
        stream.to("after")

    with TopologyTestDriver(built(declare), dead_letter=DEAD) as driver:
        pipe_around(driver, b"bad", BAD, 42)
        for topic in ("before", "after"):
            assert [o.id for o in driver.output_topic(topic, value=Order).read_values()] == [
                "good",
                "bad",
                "good",
            ]
        (dead,) = dead_letters(driver)
        assert "map-values-1" in why(dead)["message"], "one dead letter a record: the first reason counts"
        assert driver.metrics["dead_letters"] == 1


def test_what_fails_downstream_does_not_undo_the_state_before_it() -> None:
    """A join keeps a record although one of its pairs could not be written."""

    def merged(_key: str, left: Order, right: Order) -> Order:
        return Order(left.id + right.id)

    def declare(builder: StreamsBuilder) -> None:
        right = builder.stream("R", key=str, value=Order)
        pairs = orders(builder).join(right, merged, within=timedelta(seconds=1), name="j", value=Order)
        pairs.filter(lambda _, order: explode(_, Order("bad")) if "x" in order.id else True).to("out")

    with TopologyTestDriver(built(declare), dead_letter=DEAD) as driver:
        driver.pipe("R", b"k", b'{"id":"x"}', 1, ())
        driver.pipe("R", b"k", b'{"id":"y"}', 2, ())
        driver.pipe("in", b"k", b'{"id":"A"}', 3, ())
        driver.pipe("R", b"k", b'{"id":"z"}', 4, ())
        assert [o.id for o in driver.output_topic("out", value=Order).read_values()] == ["Ay", "Az"]
        assert len(dead_letters(driver)) == 1


def test_a_processor_that_cannot_start_or_close_is_named() -> None:
    class Broken(Processor[str, Order, str, Order]):
        def __init__(self) -> None:
            raise RuntimeError("no luck")

    class Sticky(Processor[str, Order, str, Order]):
        def process(self, record: Record[str, Order]) -> None:
            pass

        def close(self) -> None:
            raise RuntimeError("will not go")

    with pytest.raises(StreamsError, match=r"broken \(tests/.*Broken \(tests/.*RuntimeError: no luck"):
        TopologyTestDriver(built(lambda b: orders(b).process(Broken, name="broken")))
    driver = TopologyTestDriver(built(lambda b: orders(b).process(Sticky, name="sticky")))
    with pytest.raises(StreamsError, match=r"sticky \(tests/.*close.*RuntimeError: will not go"):
        driver.close()


def test_a_failed_initialiser_and_a_failed_reducer_are_named_not_the_librarys_own_functions() -> None:
    def start() -> int:
        raise RuntimeError("no start")

    def add(first: Order, second: Order) -> Order:
        raise RuntimeError("no sum")

    def declare(builder: StreamsBuilder) -> None:
        grouped = orders(builder).group_by_key()
        grouped.aggregate(start, lambda *_: 0, name="a", value=int)

    with TopologyTestDriver(built(declare), dead_letter=DEAD) as driver:
        driver.pipe("in", b"k", b'{"id":"a"}', 1, ())
        assert "start (tests/operators" in why(dead_letters(driver)[0])["message"]
    with TopologyTestDriver(
        built(lambda b: orders(b).group_by_key().reduce(add, name="r")), dead_letter=DEAD
    ) as driver:
        for _ in range(2):
            driver.pipe("in", b"k", b'{"id":"a"}', 1, ())
        assert "add (tests/operators" in why(dead_letters(driver)[0])["message"]
