"""Bad input: put aside as it came, with headers that say why and where; counted; the rest goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec
import pytest

from pipeline import Processor, ProcessorContext, PunctuationType, Record, StreamsError, tumbling
from pipeline.dsl.builder import StreamsBuilder
from pipeline.errors import UnhandledRecordError
from pipeline.serde import INT64
from pipeline.testing.driver import TopologyTestDriver
from pipeline.topology import Topology

HEADERS = (("trace", b"7"), ("trace", None))
DEAD = "dead"


class Order(msgspec.Struct):
    """What the topic is declared to hold."""

    id: str
    amount: int = 0


def explode(_key: object, order: Order) -> Any:
    if order.id == "bad":
        raise RuntimeError("a bug of the user's")
    return order


def built(declare: Callable[[StreamsBuilder], object]) -> Topology:
    builder = StreamsBuilder("test")
    declare(builder)
    return builder.build()


def orders(builder: StreamsBuilder, **options: Any) -> Any:
    return builder.stream("in", key=str, value=Order, name="orders", **options)


def passed_on(builder: StreamsBuilder) -> None:
    orders(builder).to("out")


def timed(builder: StreamsBuilder) -> None:
    orders(builder, timestamp=lambda record, _: record.value.amount).to("out")


def untimed(builder: StreamsBuilder) -> None:
    orders(builder, timestamp=lambda record, _: None if record.value.id == "bad" else 5).to("out")


def impatient(builder: StreamsBuilder) -> None:
    orders(builder, timestamp=lambda record, _: 1 // record.value.amount).to("out")


class Raising(Processor[str, Order, str, Order]):
    def init(self, context: ProcessorContext[str, Order]) -> None:
        self.context = context

    def process(self, record: Record[str, Order]) -> None:
        explode(record.key, record.value)
        self.context.forward(record)


def self_joined(builder: StreamsBuilder) -> None:
    stream = orders(builder)
    pairs = stream.join(stream, lambda k, v, _: explode(k, v), within=timedelta(0), name="j", value=Order)
    pairs.to("out")


class Case(NamedTuple):
    """A bad record among good ones, and what its dead letter says."""

    declare: Callable[[StreamsBuilder], object]
    key: bytes | None
    value: bytes | None
    exception: str
    says: tuple[str, ...]
    timestamp: int = 42


HERE = "tests/operators/test_dead_letters.py:"
BAD = b'{"id":"bad"}'
BAD_BYTES = {
    "not-json": Case(passed_on, b"k", b"{oops", "DecodeError", ("orders", "json:Order", "malformed")),
    "empty-value": Case(passed_on, b"k", b"", "DecodeError", ("orders", "json:Order")),
    "wrong-type": Case(passed_on, b"k", b'{"id":7}', "ValidationError", ("orders", "$.id", "Expected `str`")),
    "missing-field": Case(passed_on, b"k", b'{"amount":7}', "ValidationError", ("orders", "required field `id`")),
    "not-utf-8-value": Case(passed_on, b"k", b'{"id":"\xff"}', "UnicodeDecodeError", ("orders", "json:Order")),
    "not-utf-8-key": Case(passed_on, b"\xff", b'{"id":"a"}', "UnicodeDecodeError", ("orders", "string")),
    "value-too-large": Case(
        passed_on, b"k", b'{"id":"%s"}' % (b"x" * 2_000_000), "SerdeError", ("orders", "2000009 bytes", "max_record_bytes")
    ),
    "negative-time": Case(timed, b"k", b'{"id":"a","amount":-1}', "SerdeError", ("orders", "event time -1 ms")),
    "time-beyond-the-year-9999": Case(
        timed, b"k", b'{"id":"a","amount":253402300800000}', "SerdeError", ("orders", "event time 253402300800000 ms")
    ),
    "no-time": Case(untimed, b"k", BAD, "SerdeError", ("orders", "timestamp extractor", "<lambda>", HERE, "returned NoneType")),
    "extractor-raises": Case(
        impatient, b"k", b'{"id":"a"}', "ZeroDivisionError", ("orders", "<lambda>", HERE, "raised ZeroDivisionError")
    ),
}  # fmt: skip
FAILING: dict[str, Callable[[StreamsBuilder], object]] = {
    "filter": lambda b: orders(b).filter(explode).to("out"),
    "map": lambda b: orders(b).map(lambda k, v: (k, explode(k, v)), value=Order).to("out"),
    "map_values": lambda b: orders(b).map_values(explode, value=Order).to("out"),
    "flat_map_values": lambda b: orders(b).flat_map_values(lambda k, v: [explode(k, v)], value=Order).to("out"),
    "select_key": lambda b: orders(b).select_key(lambda k, v: explode(k, v).id).to("out"),
    "peek": lambda b: orders(b).peek(explode).to("out"),
    "branch": lambda b: orders(b).branch({"all": explode})["all"].to("out"),
    "process": lambda b: orders(b).process(Raising, key=str, value=Order).to("out"),
    "to": lambda b: orders(b).to(lambda k, v: "out" if explode(k, v) else ""),
    "aggregate": lambda b: orders(b).group_by_key().aggregate(
        int, lambda k, v, n: n + bool(explode(k, v)), name="t", value=int
    ).to_stream().to("out"),
    "windowed-aggregate": lambda b: orders(b).group_by_key().windowed_by(
        tumbling(timedelta(seconds=1), grace=timedelta(0))
    ).aggregate(int, lambda k, v, n: n + bool(explode(k, v)), name="t", value=int).to_stream().to("out"),
    "stream-table-join": lambda b: orders(b).left_join(
        b.table("R", name="table", value=Order), lambda k, v, _: explode(k, v), value=Order
    ).to("out"),
    "stream-stream-join": self_joined,
    "after-a-table": lambda b: orders(b).group_by_key().reduce(
        lambda _, new: new, name="t"
    ).to_stream().map_values(explode, value=Order).to("out"),
}  # fmt: skip
RESULTS = {
    "null-key-for-an-aggregate": Case(
        lambda b: orders(b).group_by_key().count(name="t").to_stream().to("out"),
        None, BAD, "ProcessingError", ("t (tests/", "null key"),
    ),
    "null-key-for-a-windowed-aggregate": Case(
        lambda b: orders(b).group_by_key().windowed_by(
            tumbling(timedelta(seconds=1), grace=timedelta(0))
        ).count(name="t").to_stream().to("out"),
        None, BAD, "ProcessingError", ("t (tests/", "null key"),
    ),
    "null-key-for-a-repartition-topic": Case(
        lambda b: orders(b).repartition(name="r").to("out"), None, BAD, "ProcessingError", ("r-to-repartition", "null key"),
    ),
    "null-key-for-an-inner-table-join": Case(
        lambda b: orders(b).join(
            b.table("R", name="table", value=Order), lambda k, v, _: v, name="j", value=Order
        ).to("out"),
        None, BAD, "ProcessingError", ("j (tests/", "null key"),
    ),
    "null-key-for-a-stream-join": Case(
        lambda b: orders(b).join(
            b.stream("R", key=str, value=Order), lambda k, v, _: v, within=timedelta(0), name="j", value=Order
        ).to("out"),
        None, BAD, "ProcessingError", ("j (tests/", "null key"),
    ),
    "unencodable-value": Case(
        lambda b: orders(b).map_values(lambda _, v: 10**400 if v.id == "bad" else 1, value=int).to("out"),
        b"k", BAD, "error", ("sink-1", "cannot encode", "int64"),
    ),
    "unencodable-key": Case(
        lambda b: orders(b).select_key(lambda _, v: 7 if v.id == "bad" else v.id).to("out"),
        b"k", BAD, "TypeError", ("sink-1", "cannot encode", "string"),
    ),
    "key-that-an-aggregate-cannot-encode": Case(
        lambda b: orders(b).select_key(lambda _, v: "seven" if v.id == "bad" else 7, key=int).repartition(
            name="r", key=int
        ).to("out"),
        b"k", BAD, "error", ("r-to-repartition", "cannot encode", "int64"),
    ),
    "result-too-large": Case(
        lambda b: orders(b).map_values(
            lambda _, v: Order("x" * (2_000_000 if v.id == "bad" else 1)), value=Order
        ).to("out"),
        b"k", BAD, "RecordTooLargeError", ("sink-1", "max_record_bytes"),
    ),
    "no-topic-chosen": Case(
        lambda b: orders(b).to(lambda _, v: None if v.id == "bad" else "out"),
        b"k", BAD, "ProcessingError", ("sink-1", "<lambda>", HERE, "returned no topic"),
    ),
    "mapper-returns-no-pair": Case(
        lambda b: orders(b).map(lambda k, v: v if v.id == "bad" else (k, v), value=Order).to("out"),
        b"k", BAD, "TypeError", ("map-1", "<lambda>", HERE),
    ),
}  # fmt: skip


def pipe_around(driver: TopologyTestDriver, key: bytes | None, value: bytes | None, timestamp: int) -> None:
    """A good record, the bad one, a good one."""
    driver.pipe("in", b"good", b'{"id":"good","amount":1}', 40, ())
    driver.pipe("in", key, value, timestamp, HEADERS)
    driver.pipe("in", b"good", b'{"id":"good","amount":1}', 44, ())


def dead_letters(driver: TopologyTestDriver) -> list[Any]:
    return driver.output_topic(DEAD, key=bytes, value=bytes).read_all()


def why(record: Any) -> dict[str, str]:
    prefix = "__streams.errors."
    return {name.removeprefix(prefix): value.decode() for name, value in record.headers if name.startswith(prefix)}


@pytest.mark.parametrize("case", [*BAD_BYTES.values(), *RESULTS.values()], ids=[*BAD_BYTES, *RESULTS])
@pytest.mark.parametrize("partitions", [1, 3])
def test_a_bad_record_is_put_aside_as_it_came(case: Case, partitions: int) -> None:
    settings = {"dead_letter": DEAD, "application_version": "1.2"}
    with TopologyTestDriver(
        built(case.declare), partitions={"in": partitions, "R": partitions}, topics=["out"], **settings
    ) as driver:
        pipe_around(driver, case.key, case.value, case.timestamp)
        (dead,) = dead_letters(driver)
        read = next(m for m in driver.broker.records("in") if m.timestamp()[1] == case.timestamp)
        assert (dead.key, dead.value, dead.timestamp) == (case.key, case.value, case.timestamp)
        assert dead.headers[: len(HEADERS)] == HEADERS
        reasons = why(dead)
        assert reasons.pop("exception") == case.exception
        message = reasons.pop("message")
        assert [part for part in case.says if part not in message] == []
        assert reasons == {
            "topic": "in",
            "partition": str(read.partition()),
            "offset": str(read.offset()),
            "application": "test 1.2",
        }
        assert driver.metrics["dead_letters"] == 1
        produced = len(driver.output_topic("out", key=bytes, value=bytes).read_all())
        joins = any(node.name == "j" for node in built(case.declare).nodes)
        assert produced == (0 if joins else 2)


@pytest.mark.parametrize("declare", FAILING.values(), ids=FAILING.keys())
def test_a_users_function_that_raises_is_named_with_its_line(declare: Callable[[StreamsBuilder], object]) -> None:
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


@pytest.mark.parametrize("case", BAD_BYTES.values(), ids=BAD_BYTES.keys())
def test_without_a_dead_letter_topic_bad_bytes_stop_the_worker(case: Case) -> None:
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
    assert [order.id for order in driver.output_topic("out", value=Order).read_values()] == ["good", "bad", "last"]
    driver.close()


def test_a_bad_record_at_the_end_is_not_put_aside_again_after_a_restart() -> None:
    with TopologyTestDriver(built(passed_on), dead_letter=DEAD) as driver:
        driver.pipe("in", b"k", b"{oops", 1, ())
        driver.restart(crash=True)
        driver.restart()
        assert len(dead_letters(driver)) == 1
        assert driver.broker.committed("test")


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
            assert [o.id for o in driver.output_topic(topic, value=Order).read_values()] == ["good", "bad", "good"]
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


def test_a_topic_that_refuses_a_record() -> None:
    """A sink chose a topic that does not exist: the output is put aside, with its own key and value."""
    declare = lambda b: orders(b).to(lambda _, order: f"out-{order.id}")  # noqa: E731 - a table's row
    with TopologyTestDriver(built(declare), topics=["out-good"], dead_letter=DEAD) as driver:
        pipe_around(driver, b"bad", BAD, 42)
        (dead,) = dead_letters(driver)
        assert (dead.key, dead.timestamp, dead.headers[:2]) == (b"bad", 42, HEADERS)
        assert why(dead)["topic"] == "out-bad"
        assert "'out-bad'" in why(dead)["message"]
        assert len(driver.output_topic("out-good", value=Order).read_all()) == 2


@pytest.mark.parametrize("dead_letter", [None, DEAD])
@pytest.mark.parametrize("kind", PunctuationType)
def test_a_punctuation_that_raises_stops_the_worker_and_blames_no_record(
    dead_letter: str | None, kind: PunctuationType
) -> None:
    class Late(Processor[str, Order, str, Order]):
        def init(self, context: ProcessorContext[str, Order]) -> None:
            context.schedule(timedelta(milliseconds=10), kind, self.tick)

        def tick(self, time_ms: int) -> None:
            raise RuntimeError(f"at {time_ms}")

        def process(self, record: Record[str, Order]) -> None:
            pass

    driver = TopologyTestDriver(
        built(lambda b: orders(b).process(Late, name="late")), dead_letter=dead_letter
    )
    with pytest.raises(UnhandledRecordError) as raised:
        driver.pipe("in", b"k", b'{"id":"a"}', 50, ())
        driver.advance_wall_clock(timedelta(milliseconds=50))
    for part in ("late", HERE, "raised RuntimeError: at 50", "punctuation of task 0_0"):
        assert part in str(raised.value)


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


def test_int64_keys_and_values() -> None:
    """A key of the wrong length is no int64."""
    declare = lambda b: b.stream("in", key=int, value=int, name="numbers").to("out")  # noqa: E731 - a table's row
    with TopologyTestDriver(built(declare), dead_letter=DEAD) as driver:
        driver.pipe("in", b"1234", INT64.serialize(7), 1, ())
        driver.pipe("in", INT64.serialize(1), INT64.serialize(7), 1, ())
        assert "int64" in why(dead_letters(driver)[0])["message"]
        assert driver.output_topic("out", key=int, value=int).read_values() == [7]
