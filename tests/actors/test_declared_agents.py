"""Topics and agents of an application: what they read, where what they yield goes, and what is refused."""

from __future__ import annotations

from typing import Any

import faust
import msgspec
import pytest

from pipeline import App, TopologyError
from pipeline.actors.topic import Topic
from pipeline.agents.stream import AgentStream
from pipeline.errors import UnhandledRecordError
from pipeline.plan.description import describe
from pipeline.testing.driver import OutputRecord, TopologyTestDriver


class Order(faust.Record, serializer="json"):
    account: str
    amount: int


class Struct(msgspec.Struct):
    account: str
    amount: int


ROW = {"account": "a", "amount": 3}


@pytest.mark.parametrize(
    ("value_type", "given", "taken"),
    [
        (None, b'{"account":"a","amount":3}', ROW),
        (Any, b"[1,null]", [1, None]),
        (dict[str, int], b'{"a":1}', {"a": 1}),
        (str, b"text", "text"),
        (bytes, b"\xff", b"\xff"),
        (int, b"42", 42),
        (float, b"1.5", 1.5),
        (Order, Order("a", 3).dumps(), Order("a", 3)),
        (Order, b'{"account":"a","amount":3}', Order("a", 3)),
        (Struct, b'{"account":"a","amount":3}', Struct("a", 3)),
    ],
)
def test_values_are_of_the_topics_type(value_type: Any, given: bytes, taken: Any) -> None:
    app, seen = App("app"), []

    @app.agent(app.topic("in", value_type=value_type))
    async def agent(stream: AgentStream[Any]) -> None:
        async for value in stream:
            seen.append(value)

    with TopologyTestDriver(app) as driver:
        driver.input_topic("in", value=bytes).pipe("k", given, 0)
    assert seen == [taken]
    assert type(seen[0]) is type(taken)


@pytest.mark.parametrize(
    ("key_type", "given", "taken"),
    [(None, b"k", b"k"), (str, b"k", "k"), (int, b"7", 7), (bytes, b"k", b"k")],
)
def test_keys_are_of_the_topics_type(key_type: Any, given: bytes, taken: Any) -> None:
    app, seen = App("app"), []

    @app.agent("in", key_type=key_type)
    async def agent(stream: AgentStream[Any]) -> None:
        async for key, _value in stream.items():
            seen.append(key)

    with TopologyTestDriver(app) as driver:
        driver.input_topic("in", key=bytes).pipe(given, {}, 0)
    assert seen == [taken]


def test_group_by_a_field_and_by_a_function() -> None:
    app, seen = App("app"), []

    @app.agent(app.topic("in", value_type=Order), sink=["out"], yields=int)
    async def agent(stream: AgentStream[Order]) -> Any:
        parts = stream.group_by(Order.account).group_by(lambda order: order.amount % 2, name="parity")
        async for key, order in parts.items():
            seen.append((key, order.amount))
            yield order.amount

    with TopologyTestDriver(app, partitions=2) as driver:
        topic = driver.input_topic("in", key=str)
        for number in range(4):
            topic.pipe(f"k{number}", {"account": "a", "amount": number}, number)
    assert sorted(seen) == [(0, 0), (0, 2), (1, 1), (1, 3)]
    assert "app-agent-account-repartition" in describe(app.plan)
    assert "app-agent-parity-repartition" in describe(app.plan)


def test_what_is_yielded_goes_to_every_sink() -> None:
    app, called = App("app"), []
    topic = app.topic("typed", value_type=Order)

    @app.agent(app.topic("next", value_type=Order), sink=["end"])
    async def following(stream: AgentStream[Order]) -> Any:
        async for order in stream:
            yield order.amount

    async def waits(order: Order) -> None:
        called.append(("async", order.amount))

    sinks: list[Any] = [topic, following, waits, lambda order: called.append(("plain", order.amount))]

    @app.agent("in", sink=sinks, key_type=str)
    async def agent(stream: AgentStream[int]) -> Any:
        async for value in stream:
            yield Order("a", value)

    with TopologyTestDriver(app) as driver:
        driver.input_topic("in").pipe("k", 3, 5)
        expected = OutputRecord("k", ROW | {"__faust": {"ns": f"{__name__}.Order"}}, 5, (), 0)
        assert driver.output_topic("typed").read_all() == [expected]
        assert driver.output_topic("end").read_values() == [3]
    assert called == [("async", 3), ("plain", 3)]


def test_records_need_no_type_to_be_written_and_are_themselves_in_tables_and_answers() -> None:
    app, read = App("app"), []
    untyped, table = app.topic("untyped"), app.Table("kept")

    @app.agent("in", sink=[untyped, "named"])
    async def agent(stream: AgentStream[int]) -> Any:
        async for value in stream:
            table["last"] = Order("a", value)
            await untyped.send(value=table["last"])
            yield table["last"]

    @app.agent("look")
    async def look(stream: AgentStream[Any]) -> Any:
        async for _ in stream:
            read.append(table["last"])

    row = ROW | {"__faust": {"ns": f"{__name__}.Order"}}
    with TopologyTestDriver(app, topics=["named"]) as driver:
        driver.input_topic("in").pipe("k", 3, 5)
        assert driver.output_topic("untyped").read_values() == [row, row]
        assert driver.output_topic("named").read_values() == [row]
        driver.restart(crash=True)
        driver.input_topic("look").pipe("k", 0, 6)
        assert read == [Order("a", 3)]


class Basket(faust.Record):
    best: Order
    orders: list[Order]


def test_records_within_records_are_written_and_read() -> None:
    topic = App("app").topic("baskets", value_type=Basket)
    basket = Basket(Order("a", 1), [Order("b", 2)])
    _, data = topic.encoded(None, basket)
    assert data is not None
    read = topic.value.deserialize(data)
    assert (read, read.best, read.orders) == (basket, Order("a", 1), [Order("b", 2)])


@pytest.mark.parametrize("value", [object(), {1: object()}])
def test_what_json_cannot_say_is_an_error_as_ever(value: Any) -> None:
    with pytest.raises(TypeError, match="Encoding objects of type object is unsupported"):
        App("app").topic("untyped").encoded(None, value)


def test_the_dsl_reads_what_an_agent_yields_and_an_agent_reads_the_dsl() -> None:
    app = App("app")
    even = app.stream("in", key=str, value=int).filter(lambda _key, value: value % 2 == 0)

    @app.agent(even, yields=int)
    async def half(stream: AgentStream[int]) -> Any:
        async for value in stream:
            yield value // 2

    half.stream.group_by_key().count(name="counts")
    half.stream.to("out")
    with TopologyTestDriver(app) as driver:
        topic = driver.input_topic("in", value=int)
        for value in (1, 2, 3, 4):
            topic.pipe("k", value, 0)
        assert [record.value for record in driver.output_topic("out", value=bytes).read_all()] == [b"1", b"2"]
        assert dict(driver.store("counts").all()) == {"k": 2}


def test_sending_is_a_result_like_any_other() -> None:
    app = App("app")
    out = app.topic("out", key_type=str, value_type=Order)

    @app.agent("in")
    async def agent(stream: AgentStream[int]) -> None:
        async for key, value in stream.items():
            await out.send(key=key.decode(), value=Order("a", value), headers={"h": b"1"})
            await out.send(value=Order("b", value), timestamp=2.5, partition=1)
            out.send_soon(key="gone")

    with TopologyTestDriver(app, partitions=2, topics=["out"]) as driver:
        driver.input_topic("in").pipe("k", 3, 5)
        records = driver.output_topic("out").read_all()
        told = [
            (record.key, record.value and record.value["account"], record.timestamp) for record in records
        ]
        assert sorted(told, key=str) == [("gone", None, 5), ("k", "a", 5), (None, "b", 2_500)]
        assert {record.headers for record in records} == {(), (("h", b"1"),)}


@pytest.mark.parametrize(
    ("send", "message"),
    [
        (
            lambda topic: topic.send(value="no order"),
            r"topic out \(tests.*\) takes no value of type str, its values being record:Order: .*value_type=",
        ),
        (
            lambda topic: topic.send(key=1),
            r"topic out \(tests.*\) takes no key of type int, its keys being string",
        ),
    ],
)
def test_what_is_sent_is_of_the_topics_type(send: Any, message: str) -> None:
    app = App("app")
    out = app.topic("out", key_type=str, value_type=Order)

    @app.agent("in")
    async def agent(stream: AgentStream[int]) -> None:
        async for _value in stream:
            await send(out)

    with (
        pytest.raises(UnhandledRecordError, match=message),
        TopologyTestDriver(app, topics=["out"]) as driver,
    ):
        driver.input_topic("in").pipe("k", 3, 5)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"acount":"a","amount":3}', "TypeError: Order needs account; the fields are: acount, amount"),
        (b"{}", "TypeError: Order needs account, amount; the fields are: none"),
        (b"[3]", "TypeError: Order is made of a JSON object, and this is of type list"),
    ],
)
def test_what_is_no_record_says_why(data: bytes, says: str) -> None:
    app = App("app")
    app.agent(app.topic("in", value_type=Order))(plain)
    with TopologyTestDriver(app) as driver:
        topic = driver.input_topic("in", value=bytes)
        with pytest.raises(UnhandledRecordError, match=f"record's value as record:Order: {says}"):
            topic.pipe("k", data, 1)


def test_an_agent_without_a_topic_has_one_of_its_own() -> None:
    app, seen = App("app"), []

    @app.agent(value_type=Order)
    async def own(stream: AgentStream[Order]) -> None:
        async for order in stream:
            seen.append(order.amount)

    @app.agent("in")
    async def asking(stream: AgentStream[int]) -> None:
        async for value in stream:
            await own.cast(Order("a", value))
            await own.send(key=b"k", value=Order("a", -value))

    ((topic),) = app.plan.topics
    assert (topic.name, topic.partitions) == ("app-own", 8)
    with TopologyTestDriver(app) as driver:
        driver.input_topic("in").pipe("k", 3, 5)
    assert sorted(seen) == [-3, 3]


def test_a_topic_that_is_declared_with_partitions_is_made() -> None:
    app = App("app")
    app.topic(
        "made",
        partitions=3,
        retention=60.0,
        compacting=True,
        deleting=True,
        replicas=2,
        config={"segment.ms": 1000},
    )
    app.stream("in").to("made")
    ((topic),) = app.plan.topics
    assert topic.name == "made"
    assert topic.config == {
        "cleanup.policy": "compact,delete",
        "retention.ms": "60000",
        "replication.factor": "2",
        "segment.ms": "1000",
    }


async def plain(stream: AgentStream[Any]) -> None:
    async for _value in stream:
        pass


async def awaiting(stream: AgentStream[Any]) -> None:
    await forever()
    async for _value in stream.group_by(Order.account):
        pass


async def forever() -> None:
    class Never:
        def __await__(self) -> Any:
            yield

    await Never()


async def raising(stream: AgentStream[Any]) -> None:
    raise OSError("away")
    stream.group_by(Order.account)


async def nameless(stream: AgentStream[Any]) -> None:
    async for _value in stream.group_by(lambda order: order.account):
        pass


async def async_key(value: Any) -> Any:
    return value


async def by_an_async_key(stream: Any) -> None:
    async for _ in stream.group_by(async_key, name="key"):
        pass


async def filtered_late(stream: Any) -> None:
    async for _ in stream.filter(async_key).group_by(Order.account):
        pass


async def echoed_early(stream: Any) -> None:
    async for _ in stream.echo().group_by(Order.account):
        pass


def stream_agent(app: App) -> Any:
    return app.agent(app.stream("other"), name="other")(plain)


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda app: app.topic(), "takes names, or pattern="),
        (lambda app: app.topic("a", pattern="b"), "takes names, or pattern="),
        (lambda app: app.topic("no/topic"), "cannot be a topic's name"),
        (lambda app: app.topic("in", value_type=object), "no serde for"),
        (lambda app: app.agent(42)(plain), "takes a topic, its name or a stream, not 42"),
        (
            lambda app: app.agent(app.topic("in"), value_type=Order)(plain),
            "its topic says what its types are: give them to app.topic",
        ),
        (
            lambda app: app.agent(app.stream("in"), value_type=Order)(plain),
            "its stream says what its types are: give them to app.stream",
        ),
        (lambda app: app.agent(plain), r"write @app.agent\(\), or @app.agent\(topic\): it is to be called"),
        (lambda app: app.agent("in", sink=[42])(plain), "a sink is a topic, an agent or a function, not 42"),
        (lambda app: app.agent("in", sink=[stream_agent(app)])(plain), "give it a topic"),
        (lambda app: app.agent("in")(awaiting), "awaits something before it says how its stream is grouped"),
        (lambda app: app.agent("in")(raising), "raised OSError: away"),
        (lambda app: app.agent("in")(nameless), "group_by with a function needs name="),
        (lambda app: app.agent("in")(by_an_async_key), "group_by takes no async function, as async_key"),
        (lambda app: app.agent("in")(filtered_late), "filter before another step takes no async function"),
        (lambda app: app.agent("in")(echoed_early), "echo comes after group_by, through and combine"),
        (lambda app: app.agent("in")(len), "an agent is an async function"),
        (lambda app: app.Table("no/name"), "cannot be a topic's name"),
        (lambda app: app.Table("t", default=0), "default= makes a value"),
    ],
)
def test_what_cannot_be_declared(declare: Any, message: str) -> None:
    with pytest.raises(TopologyError, match=message):
        declare(App("app"))


def test_a_late_group_by_is_refused() -> None:
    app = App("app")

    def grouped(stream: Any) -> Any:
        return stream.group_by(Order.account)

    @app.agent("in", value_type=Order)
    async def agent(stream: AgentStream[Order]) -> None:
        async for _order in grouped(stream):
            pass

    with pytest.raises(TopologyError, match="group_by is called by name"), TopologyTestDriver(app) as driver:
        driver.input_topic("in").pipe("k", ROW, 5)


def test_a_topic_is_named() -> None:
    app = App("app")
    topic = app.topic("a", "b")
    assert isinstance(topic, Topic)
    with pytest.raises(TopologyError, match=r"topic a, b \(.*test_declared_agents.py:\d+\) is not one topic"):
        topic.get_topic_name()
