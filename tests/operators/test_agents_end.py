"""How agents end: with their task, in the middle of an await, against their will, with an error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from pipeline.agents.stream import AgentStream
from pipeline.dsl.builder import StreamsBuilder
from pipeline.errors import ProcessingError
from pipeline.testing.driver import TopologyTestDriver
from tests.operators.test_agents import Driven, pipe, topology

Told = list[str]
#: A function of an agent, made with the list that it tells.
Made = Callable[[Told], Callable[[AgentStream[int]], Any]]


def in_finally(told: Told) -> Any:
    async def agent(stream: AgentStream[int]) -> None:
        try:
            async for value in stream:
                await asyncio.sleep(value)
        finally:
            told.append("begun")
            await asyncio.sleep(0)
            await asyncio.get_running_loop().run_in_executor(None, lambda: None)
            told.append("ended")

    return agent


def generator_in_finally(told: Told) -> Any:
    async def agent(stream: AgentStream[int]) -> AsyncIterator[str]:
        try:
            async for value in stream:
                await asyncio.sleep(value)
                yield str(value)
        finally:
            told.append("begun")
            await asyncio.sleep(0)
            told.append("ended")

    return agent


def in_a_context(told: Told) -> Any:
    async def agent(stream: AgentStream[int]) -> None:
        async with asyncio.timeout(None), asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(1_000))
            async for value in stream:
                told.append("begun")
                try:
                    await asyncio.sleep(value)
                finally:
                    told.append("ended")

    return agent


@pytest.mark.parametrize("made", [in_finally, generator_in_finally])
@pytest.mark.parametrize("value", [0, 1_000], ids=["waiting for an event", "awaiting"])
def test_what_it_does_at_its_end_is_done_to_the_end(made: Made, value: int) -> None:
    told: Told = []
    with TopologyTestDriver(topology(made(told)), agent_drain_ms=0) as driver:
        pipe(driver, ("a", value))
        assert told == []
    assert told == ["begun", "ended"]


def test_contexts_end_with_it() -> None:
    told: Told = []
    with TopologyTestDriver(topology(in_a_context(told)), agent_drain_ms=0) as driver:
        pipe(driver, ("a", 1_000))
    assert told == ["begun", "ended"]


def asks_on(_told: Told) -> Any:
    async def agent(stream: AgentStream[int]) -> None:
        while True:
            try:
                async for value in stream:
                    await asyncio.sleep(value)
            except asyncio.CancelledError:
                continue

    return agent


def awaits_on(_told: Told) -> Any:
    async def agent(stream: AgentStream[int]) -> None:
        async for _value in stream:
            await forever()

    return agent


def never_rests(_told: Told) -> Any:
    async def agent(stream: AgentStream[int]) -> None:
        try:
            async for value in stream:
                await asyncio.sleep(value)
        finally:
            await restless()

    return agent


async def restless() -> None:
    while True:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            continue


def leaves_a_task(_told: Told) -> Any:
    async def agent(stream: AgentStream[int]) -> None:
        tasks = set()
        async for _value in stream:
            tasks.add(asyncio.create_task(forever()))
            await asyncio.sleep(0)

    return agent


async def forever() -> None:
    while True:
        try:
            await asyncio.sleep(1_000)
        except asyncio.CancelledError:
            continue


@pytest.mark.parametrize("made", [asks_on, awaits_on, never_rests, leaves_a_task])
@pytest.mark.parametrize("value", [0, 1_000])
def test_who_will_not_end_is_left_behind(made: Made, value: int, caplog: pytest.LogCaptureFixture) -> None:
    """A worker has to stop, whatever its agents do; what is left behind is named."""
    with TopologyTestDriver(topology(made([])), agent_drain_ms=0) as driver:
        pipe(driver, ("a", value))
    named = [record.getMessage() for record in caplog.records if "will not end" in record.getMessage()]
    assert len(named) == (0 if made is asks_on else 1)
    assert all(any(name in message for name in ("forever", made.__name__)) for message in named)


def raises_at_its_end(_told: Told) -> Any:
    async def agent(stream: AgentStream[int]) -> None:
        try:
            async for value in stream:
                await asyncio.sleep(value)
        finally:
            raise ValueError("at the end")

    return agent


@pytest.mark.parametrize("value", [0, 1_000])
def test_an_error_at_its_end_is_named(value: int) -> None:
    ends = pytest.raises(ProcessingError, match=r"raises_at_its_end.* raised ValueError: at the end")
    with ends, TopologyTestDriver(topology(raises_at_its_end([])), agent_drain_ms=0) as driver:
        pipe(driver, ("a", value))


def raises_later(_told: Told) -> Any:
    async def agent(stream: AgentStream[int]) -> None:
        try:
            async for value in stream:
                await asyncio.sleep(value)
        finally:
            await asyncio.sleep(0)
            raise ValueError("later")

    return agent


def test_an_error_after_an_await_at_its_end_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Its task is gone by then, with what it was about."""
    with TopologyTestDriver(topology(raises_later([])), agent_drain_ms=0) as driver:
        pipe(driver, ("a", 0))
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == (
        "ERROR",
        "raises_later.<locals>.agent raised at its end: ValueError: later",
    )


def test_more_of_one_record_than_anybody_takes_waits_in_order() -> None:
    async def slow(stream: AgentStream[int]) -> AsyncIterator[str]:
        async for value in stream:
            await asyncio.sleep(0)
            yield str(value)

    builder = StreamsBuilder("app")
    numbers = builder.stream("in", key=str, value=int)
    many = numbers.flat_map_values(lambda _key, value: range(value), value=int)
    many.agent(slow, value=str, concurrency=3).to("out", key=str)
    with TopologyTestDriver(builder.build()) as driver:
        pipe(driver, ("a", 500), ("a", 3))
        values = driver.output_topic("out", key=str, value=str).read_values()
        assert values == [str(number) for number in [*range(500), *range(3)]]


def test_a_driven_agent_that_never_asks_again_holds_up_its_task_alone() -> None:
    async def stuck(stream: AgentStream[int]) -> AsyncIterator[str]:
        async for value in stream:
            yield str(value)
            await asyncio.get_running_loop().create_future()

    with Driven(stuck) as driver:
        pipe(driver, ("a", 1), ("a", 2))
        assert driver.written() == [("a", "1")]
        driver.clock.advance(1_000)
