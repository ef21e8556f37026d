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


def in_batches(out: Any, seen: list[Any]) -> Any:
    async def agent(stream: AgentStream[int]) -> None:
        async for batch in stream.echo(out).take(2, within=5):
            seen.append(batch)

    return agent


def filtered(out: Any, seen: list[Any]) -> Any:
    async def agent(stream: AgentStream[int]) -> None:
        async for number, value in stream.echo(out).filter(lambda value: value != 1).enumerate():
            seen.append((number, value))

    return agent


def what_stays(out: Any, seen: list[Any]) -> Any:
    async def agent(stream: AgentStream[int]) -> None:
        async for key, value in stream.filter(lambda value: value != 1).echo(out).items():
            seen.append((key, value))

    return agent


def by_another_key(out: Any, seen: list[Any]) -> Any:
    async def agent(stream: AgentStream[int]) -> None:
        async for event in stream.group_by(lambda value: value % 2, name="parity").echo(out).events():
            seen.append(event.key)

    return agent


@pytest.mark.parametrize(
    ("take", "seen", "echoed"),
    [
        (in_batches, [[0, 1], [2, 3]], [0, 1, 2, 3]),
        (filtered, [(0, 0), (1, 2), (2, 3)], [0, 1, 2, 3]),
        (what_stays, [(b"k", 0), (b"k", 2), (b"k", 3)], [0, 2, 3]),
        (by_another_key, [0, 1, 0, 1], [0, 1, 2, 3]),
    ],
)
def test_what_comes_after_an_echo(take: Any, seen: list[Any], echoed: list[int]) -> None:
    app = App("app")
    out, found = app.topic("out", key_type=Any, value_type=int), []  # type: ignore[var-annotated]

    app.agent("in", value_type=int, name="agent")(take(out, found))
    with TopologyTestDriver(app, topics=["out"]) as driver:
        for number in range(4):
            driver.input_topic("in").pipe("k", number, number)
        assert driver.output_topic("out").read_values() == echoed
    assert found == seen


@pytest.mark.parametrize("where", ["out", 7, None])
def test_where_nothing_can_be_sent(where: Any) -> None:
    with pytest.raises(
        (TopologyError, UnhandledRecordError), match="events are sent to topics, agents and chan"
    ):
        sent(lambda event, _out: event.forward(where))
