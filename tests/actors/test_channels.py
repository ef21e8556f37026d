"""Channels: in memory, in order, bounded, between event loops; and the agents that read them."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pipeline import App, TopologyError
from pipeline.actors.channel import Channel, ChannelAgent
from pipeline.testing.driver import TopologyTestDriver

DEADLINE_S = 120


async def taken(channel: Channel, number: int) -> list[Any]:
    async with asyncio.timeout(DEADLINE_S):
        return [(await channel.get()).value for _ in range(number)]


def test_values_come_in_order_and_a_full_one_waits() -> None:
    async def scenario() -> None:
        channel = App("channels").channel(maxsize=2)
        writing = asyncio.create_task(put_all(channel, range(10)))
        while len(channel._events) < 2:  # noqa: ASYNC110 - what is waited for is the subject
            await asyncio.sleep(0)
        assert not writing.done()
        assert await taken(channel, 10) == list(range(10))
        await writing
        assert channel.empty()

    asyncio.run(scenario())


async def put_all(channel: Channel, values: Any) -> None:
    for value in values:
        await channel.put(value)


@pytest.mark.parametrize("maxsize", [1, 3, 1_000])
def test_event_loops_of_several_threads_share_one(maxsize: int) -> None:
    channel = App("channels").channel(maxsize=maxsize)
    names = ("a", "b", "c")
    threads = [
        threading.Thread(target=lambda n=name: asyncio.run(put_all(channel, [(n, i) for i in range(200)])))
        for name in names
    ]
    for thread in threads:
        thread.start()
    found = asyncio.run(taken(channel, 600))
    for thread in threads:
        thread.join(DEADLINE_S)
    for name in names:
        assert [number for who, number in found if who == name] == list(range(200))


async def numbers(stream: Any, seen: list[Any]) -> None:
    async for value in stream:
        seen.append(value)


async def items(stream: Any, seen: list[Any]) -> None:
    async for item in stream.items():
        seen.append(item)


async def batches(stream: Any, seen: list[Any]) -> None:
    async for batch in stream.take(2, within=0.01):
        seen.append(batch)


async def numbered(stream: Any, seen: list[Any]) -> None:
    async for item in stream.enumerate():
        seen.append(item)


async def odd(stream: Any, seen: list[Any]) -> None:
    async for value in stream.filter(lambda value: value % 2):
        seen.append(value)


async def odd_batches(stream: Any, seen: list[Any]) -> None:
    async for batch in stream.filter(lambda value: value % 2).take(2, within=0.01):
        seen.append(batch)


async def one(stream: Any, seen: list[Any]) -> None:
    async for value in stream:
        seen.append(("anew", value))
        return


@pytest.mark.parametrize(
    ("take", "seen"),
    [
        (numbers, [0, 1, 2]),
        (items, [("k", 0), ("k", 1), ("k", 2)]),
        (batches, [[0, 1], [2]]),
        (numbered, [(0, 0), (1, 1), (2, 2)]),
        (odd, [1]),
        (odd_batches, [[1]]),
        (one, [("anew", 0), ("anew", 1), ("anew", 2)]),
    ],
)
def test_an_agent_takes_them_as_those_of_a_topic(take: Any, seen: list[Any]) -> None:
    app, found, told = App("channels"), [], []  # type: ignore[var-annotated]
    channel = app.channel()

    @app.agent(channel, name="reader")
    async def reader(stream: Any) -> None:
        await take(stream, found)

    @app.agent(channel := app.channel(), sink=[told.append, reader])
    async def first(stream: Any) -> AsyncIterator[Any]:
        async for value in stream:
            yield value

    async def scenario() -> None:
        assert isinstance(first, ChannelAgent)
        assert isinstance(reader, ChannelAgent)
        running = [asyncio.create_task(agent.run()) for agent in (first, reader)]
        for number in range(3):
            await first.send(key="k", value=number)
        async with asyncio.timeout(DEADLINE_S):
            while found != seen:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.001)
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    asyncio.run(scenario())
    assert told == [0, 1, 2]
    assert set(app.agents_declared) == {"reader", "first"}


def test_an_agent_of_a_topic_writes_to_one_and_waits_while_it_is_full() -> None:
    app = App("channels")
    channel = app.channel(maxsize=2)

    @app.agent("in", sink=[channel])
    async def agent(stream: Any) -> AsyncIterator[Any]:
        async for value in stream:
            yield value

    with TopologyTestDriver(app, agent_drain_ms=0) as driver:
        topic = driver.input_topic("in")
        for number in range(4):
            topic.pipe("k", number, 0)
        assert [event.value for event in channel._events] == [0, 1]
        assert asyncio.run(taken(channel, 2)) == [0, 1]


def test_an_error_of_its_agent_ends_it() -> None:
    app = App("channels")

    @app.agent(app.channel())
    async def agent(stream: Any) -> None:
        async for _value in stream:
            raise ValueError("no")

    async def scenario() -> None:
        assert isinstance(agent, ChannelAgent)
        await agent.cast(1)
        await agent.run()

    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(scenario())
    assert raised.group_contains(ValueError, match="no")


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda app: app.channel(maxsize=0), "maxsize is 0: at least 1"),
        (lambda app: app.channel().stream().group_by(len), "has no partitions to group by"),
        (lambda app: app.agent(app.channel(), sink=[42])(numbers), "42 cannot be a sink"),
        (lambda app: asyncio.run(app.agent(app.channel())(numbers).ask(1)), "cannot be asked"),
        (lambda app: app.channel().send_soon(1), "await send"),
        (lambda app: app.agent(app.channel())(numbers).stream, "goes to its sinks"),
    ],
)
def test_what_cannot_be_done(use: Any, message: str) -> None:
    with pytest.raises(TopologyError, match=message):
        use(App("channels"))


def test_who_waits_no_longer_than_told() -> None:
    async def wait() -> Any:
        channel = App("app").channel()
        with pytest.raises(TimeoutError):
            await channel.get(timeout=0.01)
        await channel.put("there")
        return (await channel.get(timeout=60)).value

    assert asyncio.run(wait()) == "there"


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda app, take: app.agent(app.channel(), tables=[app.Table("t")])(take), "has no tables: have it"),
        (lambda app, take: app.agent(app.channel(), concurrency=0)(take), "concurrency is 0: at least 1"),
        (lambda app, take: app.agent(app.channel())(take).test_context(), "has no test_context()"),
    ],
)
def test_what_an_agent_of_a_channel_is_refused(declare: Any, message: str) -> None:
    with pytest.raises(TopologyError, match=re.escape(message)):
        declare(App("channels"), numbers)
