"""`agent.test_context()`: an agent by itself, in a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from pipeline import App, TopologyError, faust
from pipeline.errors import UnhandledRecordError


class Order(faust.Record):
    account: str
    amount: int


app = App("tested", commit_interval=0.1)
totals = app.Table("totals", default=int)
alerts = app.topic("alerts", key_type=str, value_type=Order)


@app.agent(app.topic("orders", key_type=str, value_type=Order), sink=["sums"])
async def order(orders: Any) -> AsyncIterator[int]:
    async for event in orders.events():
        totals[event.value.account] += event.value.amount
        if event.value.amount > 100:
            await alerts.send(key=event.key, value=event.value)
        if event.value.amount < 0:
            raise ValueError("less than nothing")
        yield totals[event.value.account]


@app.agent(app.topic("slow", value_type=int))
async def slow(numbers: Any) -> AsyncIterator[int]:
    async for number in numbers:
        await asyncio.sleep(number)
        yield number


@app.agent(app.topic("grouped", value_type=Order))
async def grouped(orders: Any) -> AsyncIterator[tuple[str, int]]:
    async for key, value in orders.group_by(Order.account).items():
        yield key, value.amount


@app.agent(app.stream("in"))
async def of_stream(stream: Any) -> None:
    async for _ in stream:
        pass


def test_events_go_in_and_results_come_out() -> None:
    async def scenario() -> None:
        async with order.test_context() as tested:
            first = await tested.put(Order("a", 3), key="k", timestamp=5.0)
            second = await tested.put(Order("a", 200), key="k")
            assert (tested.results[first.offset], tested.results[second.message.offset]) == (3, 203)
            assert [value async for value in tested] == [3, 203]
            assert dict(tested.driver.store("totals").all()) == {"a": 203}
            (alert,) = tested.driver.output_topic("alerts").read_all()
            assert (alert.key, alert.value["amount"]) == ("k", 200)

    asyncio.run(scenario())


def test_each_context_begins_anew_and_plain_with_works() -> None:
    for _ in range(2):
        with order.test_context() as tested:
            asyncio.run(tested.put(Order("a", 3), key="k"))
            assert tested.yielded == [3]


def test_an_error_of_the_agent_is_the_tests() -> None:
    with pytest.raises(UnhandledRecordError, match="less than nothing"), order.test_context() as tested:
        asyncio.run(tested.put(Order("a", -1), key="k"))


def test_an_agent_that_sleeps_goes_on_when_the_clock_does() -> None:
    with slow.test_context() as tested:
        asyncio.run(tested.put(7))
        assert tested.yielded == []
        tested.driver.advance_wall_clock(timedelta(seconds=7))
        assert tested.yielded == [7]


def test_a_stream_that_is_grouped_is_grouped() -> None:
    with grouped.test_context() as tested:
        asyncio.run(tested.put(Order("a", 3)))
        assert tested.yielded == [("a", 3)]


def test_an_agent_of_a_stream_needs_its_application() -> None:
    with pytest.raises(TopologyError, match="reads a stream"):
        of_stream.test_context()


def test_headers_are_a_mapping_as_those_of_events_are() -> None:
    @App("headers").agent("in")
    async def told(stream: Any) -> AsyncIterator[list[Any]]:
        async for event in stream.events():
            yield [event.headers, event.message.headers]

    with told.test_context() as tested:
        asyncio.run(tested.put(1, headers={"a": b"1"}))
        asyncio.run(tested.put(1, headers=(("a", b"1"), ("a", b"2"))))
    first, second = tested.yielded
    assert (first[0], tuple(first[1])) == ({"a": b"1"}, (("a", b"1"),))
    assert (second[0], tuple(second[1])) == ({"a": b"2"}, (("a", b"1"), ("a", b"2")))
