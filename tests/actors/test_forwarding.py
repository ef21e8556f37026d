"""Events that agents send on: `event.forward`, `event.send`, `stream.echo`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pipeline import App, TopologyError
from pipeline.agents.stream import AgentStream
from pipeline.errors import UnhandledRecordError
from pipeline.testing.driver import TopologyTestDriver

HEADERS = (("trace", b"t"),)


def sent(pass_on: Callable[[Any, Any], Any]) -> list[tuple[Any, Any, int, Any]]:
    """Return what reaches the topic `out` of an event: key, value, time, headers."""
    app = App("app")
    out = app.topic("out", key_type=str, value_type=int)

    @app.agent(app.topic("in", key_type=str, value_type=int))
    async def agent(stream: AgentStream[int]) -> None:
        async for event in stream.events():
            await pass_on(event, out)

    with TopologyTestDriver(app, topics=["out"]) as driver:
        driver.input_topic("in", key=str).pipe("k", 7, 1_500, HEADERS)
        records = driver.output_topic("out", key=str).read_all()
    return [(each.key, each.value, each.timestamp, each.headers) for each in records]


@pytest.mark.parametrize(
    ("pass_on", "found"),
    [
        (lambda event, out: event.forward(out), ("k", 7, 1_500, HEADERS)),
        (lambda event, out: event.send(out), ("k", 7, 1_500, HEADERS)),
        (lambda event, out: event.send(out, "other"), ("other", 7, 1_500, HEADERS)),
        (lambda event, out: event.send(out, value=None), ("k", None, 1_500, HEADERS)),
        (lambda event, out: event.forward(out, None, 8, headers=()), (None, 8, 1_500, ())),
    ],
)
def test_an_event_goes_on(pass_on: Callable[[Any, Any], Any], found: tuple[Any, ...]) -> None:
    assert sent(pass_on) == [found]


def test_it_goes_on_to_an_agent_and_a_channel() -> None:
    app = App("app")
    channel, seen = app.channel(), []

    @app.agent(app.topic("other", value_type=int))
    async def other(stream: AgentStream[int]) -> None:
        async for value in stream:
            seen.append(value)

    @app.agent("in")
    async def agent(stream: AgentStream[int]) -> None:
        async for event in stream.events():
            await event.forward(other)
            await event.forward(channel)

    with TopologyTestDriver(app) as driver:
        driver.input_topic("in").pipe("k", 7, 0)
    assert seen == [7]
    assert asyncio.run(channel.get()).value == 7


def test_a_stream_is_echoed() -> None:
    app = App("app")
    outs = [app.topic(name, value_type=int) for name in ("one", "two")]
    seen = []

    @app.agent("in")
    async def agent(stream: AgentStream[int]) -> None:
        async for value in stream.echo(*outs):
            seen.append(value)

    with TopologyTestDriver(app, topics=["one", "two"]) as driver:
        for number in range(3):
            driver.input_topic("in").pipe("k", number, number)
        assert [driver.output_topic(name).read_values() for name in ("one", "two")] == 2 * [[0, 1, 2]]
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("where", ["out", 7, None])
def test_where_nothing_can_be_sent(where: Any) -> None:
    with pytest.raises(
        (TopologyError, UnhandledRecordError), match="events are sent to topics, agents and chan"
    ):
        sent(lambda event, _out: event.forward(where))
