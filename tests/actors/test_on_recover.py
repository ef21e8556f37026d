"""`on_recover`: called when a task has its part of a table, before it takes a record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from pipeline import App
from pipeline.agents.stream import AgentStream
from pipeline.errors import UnhandledRecordError
from pipeline.testing.driver import TopologyTestDriver


def application(told: list[Any], delay_s: float | None, *, agents: int = 1) -> App:
    """Agents that count keys; `told` hears what is in the table when it is recovered, and each event."""
    app = App("app")
    table = app.Table("t", default=int)

    def recovered() -> None:
        told.append(dict(table.items()))

    async def recovered_later() -> None:
        await asyncio.sleep(delay_s or 0)
        recovered()

    table.on_recover(recovered if delay_s is None else recovered_later)

    async def count(stream: AgentStream[Any]) -> None:
        async for key, _value in stream.items():
            table[key.decode()] += 1
            told.append(key.decode())

    for number in range(agents):
        app.agent(f"in-{number}", name=f"agent-{number}")(count)
    return app


@pytest.mark.parametrize("delay_s", [None, 0, 3])
@pytest.mark.parametrize("agents", [1, 2])
def test_once_for_each_start_of_a_task_before_its_records(delay_s: float | None, agents: int) -> None:
    told: list[Any] = []
    with TopologyTestDriver(application(told, delay_s, agents=agents)) as driver:
        topic = driver.input_topic("in-0", key=bytes)
        topic.pipe(b"a", 1, 0)
        assert told == ([] if delay_s == 3 else [{}, "a"])
        driver.advance_wall_clock(timedelta(seconds=3))
        assert told == [{}, "a"]
        driver.restart(crash=True)
        driver.advance_wall_clock(timedelta(seconds=3))
        driver.input_topic("in-0", key=bytes).pipe(b"b", 1, 1)
        assert told == [{}, "a", {"a": 1}, "b"]


def test_it_may_change_the_table_and_send() -> None:
    app = App("app")
    topic = app.topic("out", partitions=1)
    table = app.Table("t", default=int)

    @table.on_recover
    async def recovered() -> None:
        table["starts"] += 1
        await topic.send(value=table["starts"])

    @app.agent("in")
    async def agent(stream: AgentStream[Any]) -> None:
        async for _value in stream:
            table["seen"] += 1

    with TopologyTestDriver(app) as driver:
        driver.input_topic("in").pipe(None, 1, 0)
        driver.restart()
        driver.input_topic("in").pipe(None, 1, 0)
        assert dict(driver.store("t").all()) == {"starts": 2, "seen": 2}
        assert driver.output_topic("out").read_values() == [1, 2]


def fail() -> None:
    raise ValueError("no")


async def fail_later() -> None:
    await asyncio.sleep(0)
    raise ValueError("no")


@pytest.mark.parametrize("callback", [fail, fail_later])
def test_what_it_raises_is_a_processing_error(callback: Callable[[], Any]) -> None:
    app = App("app")
    table = app.Table("t", default=int, on_recover=callback)

    @app.agent("in")
    async def agent(stream: AgentStream[Any]) -> None:
        async for _value in stream:
            table["seen"] += 1

    raises = pytest.raises(UnhandledRecordError, match=rf"{callback.__name__} .*raised ValueError: no")
    with raises, TopologyTestDriver(app) as driver:
        driver.input_topic("in").pipe(None, 1, 0)
    with TopologyTestDriver(app, on_processing_error="continue") as driver:
        driver.input_topic("in").pipe(None, 1, 0)
        assert dict(driver.store("t").all()) == {"seen": 1}
