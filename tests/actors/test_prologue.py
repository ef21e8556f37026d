"""What an agent asks of its stream before its first event: through a topic, with other streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import faust
import pytest

from pipeline import App, TopologyError
from pipeline.agents.stream import AgentStream
from pipeline.testing.driver import TopologyTestDriver


class Order(faust.Record):
    account: str
    amount: int


Declared = tuple[App, list[tuple[str, int, str]]]


def noting(declare: Callable[[App, Any], Any]) -> Declared:
    """Declare an agent on topics `in` and `other` that notes account, amount and topic of its events."""
    app, seen = App("app"), []
    orders = app.topic("in", key_type=str, value_type=Order)
    others = app.topic("other", key_type=str, value_type=Order)

    async def note(stream: Any) -> None:
        async for event in stream.events():
            seen.append((event.value.account, event.value.amount, event.topic))

    declare(app, (orders, others, note))
    return app, seen


def through_a_topic(app: App, given: Any) -> None:
    orders, _others, note = given
    between = app.topic("between", key_type=str, value_type=Order)

    @app.agent(orders)
    async def agent(stream: Any) -> None:
        await note(stream.through(between))


def through_a_name(app: App, given: Any) -> None:
    orders, _others, note = given

    @app.agent(orders)
    async def agent(stream: Any) -> None:
        await note(stream.through("between"))


def through_a_name_that_is_declared(app: App, given: Any) -> None:
    app.topic("between", key_type=str, value_type=Order, partitions=3)
    through_a_name(app, given)


def grouped_and_through(app: App, given: Any) -> None:
    orders, _others, note = given

    @app.agent(orders)
    async def agent(stream: Any) -> None:
        await note(stream.group_by(Order.account).through("between"))


def filtered_and_through(app: App, given: Any) -> None:
    orders, _others, note = given

    @app.agent(orders)
    async def agent(stream: Any) -> None:
        # What is filtered before is not written; what is filtered after is, and is not taken.
        kept = stream.filter(lambda order: order.amount > 0).through("between")
        await note(kept.filter(lambda order: order.amount != 2))


THROUGH = {
    "a topic": (through_a_topic, None),
    "a name": (through_a_name, 8),
    "a name that is declared": (through_a_name_that_is_declared, 3),
    "grouped, and a name": (grouped_and_through, 8),
}


@pytest.mark.parametrize(("declare", "partitions"), THROUGH.values(), ids=THROUGH)
def test_events_go_through_a_topic(declare: Any, partitions: int | None) -> None:
    app, seen = noting(declare)
    # One that is declared by its name alone is made with as many partitions as agents' own topics.
    made = {topic.name: topic.partitions for topic in app.plan.topics}
    assert made == ({"between": partitions} if partitions else {})
    with TopologyTestDriver(app) as driver:
        for number in range(4):
            driver.input_topic("in", key=str).pipe("k", {"account": f"a{number}", "amount": number}, number)
        assert sorted(seen) == [(f"a{number}", number, "between") for number in range(4)]
        written = driver.output_topic("between", key=str).read_all()
        assert sorted(record.value["amount"] for record in written) == [0, 1, 2, 3]
        assert [record.timestamp for record in written if record.value["amount"] == 3] == [3]


def and_a_stream(app: App, given: Any) -> None:
    orders, others, note = given
    stream_of_others = others.stream()

    @app.agent(orders)
    async def agent(stream: Any) -> None:
        await note(stream & stream_of_others)


def a_stream_and(app: App, given: Any) -> None:
    orders, others, note = given

    @app.agent(orders)
    async def agent(stream: Any) -> None:
        await note(others.stream() & stream)


def combined(app: App, given: Any) -> None:
    orders, others, note = given

    @app.agent(orders)
    async def agent(stream: Any) -> None:
        await note(stream.combine(stream, others))


def given_both(app: App, given: Any) -> None:
    orders, others, note = given

    @app.agent(orders.stream() & others.stream())
    async def agent(stream: Any) -> None:
        await note(stream)


def in_a_loop(app: App, given: Any) -> None:
    orders, others, note = given

    class One:
        async def events(self) -> Any:
            async for event in (self.stream & others.stream()).events():
                yield event

        def __init__(self, stream: Any) -> None:
            self.stream = stream

    @app.agent(orders)
    async def agent(s: Any) -> None:
        async for event in (s & others.stream()).events():
            await note_one(event)

    seen = note.__closure__[0].cell_contents

    async def note_one(event: Any) -> None:
        seen.append((event.value.account, event.value.amount, event.topic))


BOTH = {
    "stream & other": and_a_stream,
    "other & stream": a_stream_and,
    "combine": combined,
    "given both": given_both,
    "in a loop": in_a_loop,
}


@pytest.mark.parametrize("declare", BOTH.values(), ids=BOTH)
def test_events_of_both(declare: Any) -> None:
    app, seen = noting(declare)
    with TopologyTestDriver(app, partitions={"in": 2, "other": 3}) as driver:
        for number in range(4):
            for topic in ("in", "other"):
                value = {"account": topic, "amount": number}
                driver.input_topic(topic, key=str).pipe(f"k{number}", value, number)
        # Those of a partition in their order, and each once.
        assert [each for each in sorted(seen) if each[0] == "in"] == [("in", n, "in") for n in range(4)]
        assert [each for each in sorted(seen) if each[0] != "in"] == [("other", n, "other") for n in range(4)]
        driver.restart()
        assert len(seen) == 8


def test_streams_of_the_dsl_are_combined() -> None:
    app = App("app")
    (app.stream("in", key=str) & app.stream("other", key=str)).to("out")
    with TopologyTestDriver(app) as driver:
        driver.input_topic("in", key=str).pipe("a", 1, 0)
        driver.input_topic("other", key=str).pipe("b", 2, 0)
        assert driver.output_topic("out").read_values() == [1, 2]
    with pytest.raises(TypeError, match="unsupported operand"):
        app.stream("in", key=str) & 7  # type: ignore[operator]


def test_a_table_of_both_is_one_table() -> None:
    app = App("app")
    counts = app.Table("counts", default=int)
    other = app.topic("other", key_type=str)

    @app.agent(app.topic("in", key_type=str))
    async def count(stream: AgentStream[Any]) -> None:
        async for event in (stream & other.stream()).events():
            counts[event.key] += 1

    with TopologyTestDriver(app, partitions={"in": 2, "other": 2}) as driver:
        for topic in ("in", "other", "in"):
            for key in "abc":
                driver.input_topic(topic, key=str).pipe(key, 1, 0)
        found = {key: value for part in range(2) for key, value in driver.store("counts", part).all()}
        assert found == {"a": 3, "b": 3, "c": 3}


def test_an_agents_test_goes_through_and_leaves_others_out() -> None:
    app = App("app")
    other = app.topic("other", key_type=str, value_type=int)

    @app.agent(app.topic("in", key_type=str, value_type=int))
    async def double(stream: AgentStream[int]) -> Any:
        async for value in (stream & other).through("between"):
            yield 2 * value

    with double.test_context() as tested:
        asyncio.run(tested.put(4, key="k"))
        assert tested.yielded == [8]


def test_an_and_of_numbers_asks_nothing_of_a_stream() -> None:
    app = App("app")
    seen, mask = [], 3

    @app.agent("in")
    async def agent(stream: AgentStream[int]) -> None:
        # Were it run where it is declared, it would end here.
        await asyncio.sleep(mask & 0)
        async for value in stream:
            seen.append(value & mask)

    with TopologyTestDriver(app) as driver:
        driver.input_topic("in").pipe("a", 7, 0)
    assert seen == [3]


@pytest.mark.parametrize(
    ("give", "message"),
    [
        (lambda app: app.channel(), "through takes a topic or its name"),
        (lambda _: 7, "through takes a topic or its name, not 7"),
        (lambda app: app.topic("a", "b"), "is not one topic"),
    ],
)
def test_what_events_cannot_go_through(give: Callable[[App], Any], message: str) -> None:
    app = App("app")

    async def agent(stream: Any) -> None:
        async for _ in stream.through(give(app)):
            pass

    with pytest.raises(TopologyError, match=message):
        app.agent("in")(agent)


@pytest.mark.parametrize(
    ("give", "message"),
    [
        (lambda _: 7, "combined with topics, or with streams of them .* not with 7"),
        (lambda app: app.channel(), "combined with topics"),
        (lambda _: App("x").stream("other"), "another application's"),
    ],
)
def test_what_a_stream_is_not_combined_with(give: Callable[[App], Any], message: str) -> None:
    app = App("app")

    async def agent(stream: Any) -> None:
        async for _ in stream & give(app):
            pass

    with pytest.raises(TopologyError, match=message):
        app.agent("in")(agent)


def test_a_topic_by_its_name_needs_a_stream_whose_values_are_known() -> None:
    app = App("app")
    changed = app.stream("in").map_values(lambda _key, value: value)

    async def agent(stream: Any) -> None:
        async for _ in stream.through("between"):
            pass

    with pytest.raises(TopologyError, match=r"topic 'between' at .*is not known: declare it, with app.topic"):
        app.agent(changed)(agent)


@pytest.mark.parametrize("ask", [lambda s: s.through("x"), lambda s: s & s, lambda s: s.combine(s)])
def test_what_nobody_could_foresee_is_refused(ask: Callable[[Any], Any]) -> None:
    with pytest.raises(
        TopologyError, match="is called by name in the agent's own function, before its first"
    ):
        ask(AgentStream[Any]())


def test_a_grouping_says_how_many_partitions() -> None:
    app = App("app")
    orders = app.topic("in", key_type=str, value_type=Order)

    @app.agent(orders)
    async def agent(stream: Any) -> None:
        async for _ in stream.group_by(Order.account, partitions=5):
            pass

    with TopologyTestDriver(app) as driver:
        topic = "app-agent-account-repartition"
        assert driver.broker.admin().partition_counts([topic]) == {topic: 5}


def test_an_event_that_expects_no_answer_has_headers_and_a_time() -> None:
    app = App("app")
    seen = []

    @app.agent(app.topic("told", value_type=int))
    async def told(stream: AgentStream[int]) -> None:
        async for event in stream.events():
            seen.append((event.key, event.value, event.timestamp, event.headers))

    @app.agent("in")
    async def tell(stream: AgentStream[int]) -> None:
        async for value in stream:
            await told.cast(value, key=b"k", timestamp=1.5, headers=(("a", b"b"),))

    with TopologyTestDriver(app) as driver:
        driver.input_topic("in").pipe("x", 7, 0)
    assert seen == [(b"k", 7, 1_500, {"a": b"b"})]


def test_a_filter_before_another_step_is_before_it_in_the_topology() -> None:
    app, seen = noting(filtered_and_through)
    with TopologyTestDriver(app) as driver:
        for number in range(4):
            driver.input_topic("in", key=str).pipe("k", {"account": f"a{number}", "amount": number}, number)
        written = driver.output_topic("between", key=str).read_values()
    assert [value["amount"] for value in written] == [1, 2, 3]
    assert seen == [(f"a{number}", number, "between") for number in (1, 3)]
