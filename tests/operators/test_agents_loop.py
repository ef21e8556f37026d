"""The event loop around agents' code: whose task is current, and that it is gone when records are done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.agents.stream import AgentStream
from pipeline.dsl.builder import StreamsBuilder
from pipeline.errors import UnhandledRecordError
from pipeline.testing.driver import TopologyTestDriver


def two_agents(
    first: Callable[..., Any], second: Callable[..., Any], concurrency: int = 1
) -> TopologyTestDriver:
    """Two agents of one topic, in one task; five records are taken up at once."""
    builder = StreamsBuilder("app")
    numbers = builder.stream("in", key=str, value=int)
    numbers.agent(first, concurrency=concurrency)
    numbers.agent(second, concurrency=concurrency)
    return TopologyTestDriver(builder.build(), poll_records=5)


def pipe(driver: TopologyTestDriver, count: int) -> None:
    topic = driver.input_topic("in", key=str, value=int)
    for number in range(count):
        topic.pipe(f"k{number}", number, number)


@pytest.mark.parametrize("concurrency", [1, 2])
def test_each_instance_has_a_task_of_its_own_for_all_its_records(concurrency: int) -> None:
    tasks: dict[str, set[int]] = {"first": set(), "second": set()}
    names = iter(tasks)

    async def agent(stream: AgentStream[int]) -> None:
        mine = tasks[next(names)]
        async for _number in stream:
            mine.add(id(asyncio.current_task()))
            async with asyncio.timeout(60):
                await asyncio.sleep(0)
            mine.add(id(asyncio.current_task()))

    with two_agents(agent, agent, concurrency=concurrency) as driver:
        pipe(driver, 6)
        assert [len(mine) for mine in tasks.values()] == [1, 1]
        assert len(set.union(*tasks.values())) == 2


def running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def takes(stream: AgentStream[int]) -> None:
    async for _number in stream:
        assert running_loop() is not None


async def fails(stream: AgentStream[int]) -> None:
    async for number in stream:
        raise ValueError(number)


@pytest.mark.parametrize(("second", "stops"), [(takes, False), (fails, True)], ids=["done", "failed"])
def test_no_loop_runs_when_the_records_are_done(second: Callable[..., Any], *, stops: bool) -> None:
    with two_agents(takes, second) as driver:
        if stops:
            with pytest.raises(UnhandledRecordError):
                pipe(driver, 1)
        else:
            pipe(driver, 3)
        assert running_loop() is None


@pytest.mark.parametrize(("second", "stops"), [(takes, False), (fails, True)], ids=["done", "failed"])
def test_inside_a_coroutine_its_loop_runs_again(second: Callable[..., Any], *, stops: bool) -> None:
    async def outer() -> None:
        mine = asyncio.get_running_loop()
        with two_agents(takes, second) as driver:
            if stops:
                with pytest.raises(UnhandledRecordError):
                    pipe(driver, 1)
            else:
                pipe(driver, 3)
            assert asyncio.get_running_loop() is mine
        await asyncio.sleep(0)

    asyncio.run(outer())


def test_functions_beside_an_agent_run_in_its_loop_and_those_elsewhere_do_not() -> None:
    loops: dict[str, object] = {}

    def note(place: str) -> Callable[[Any, Any], None]:
        def seen(_key: Any, _value: Any) -> None:
            loops[place] = running_loop()

        return seen

    builder = StreamsBuilder("app")
    numbers = builder.stream("in", key=str, value=int)
    numbers.peek(note("beside")).agent(takes)
    builder.stream("other", key=str, value=int).foreach(note("elsewhere"))
    with TopologyTestDriver(builder.build()) as driver:
        pipe(driver, 1)
        driver.input_topic("other", key=str, value=int).pipe("k", 1, 1)
    assert loops["beside"] is not None
    assert loops["elsewhere"] is None
