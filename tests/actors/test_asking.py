"""Asking agents, from outside and from other agents: answers, their order, and none in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from pipeline import App, TopologyError, faust
from pipeline.clock import SystemClock
from pipeline.config import StreamsConfig
from pipeline.errors import AskError, UnhandledRecordError
from pipeline.runtime.broker import Broker
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.worker import Worker
from pipeline.state.provider import MemoryProvider
from pipeline.testing.driver import TopologyTestDriver

DEADLINE_S = 120


class Pair(faust.Record):
    a: int
    b: int


class MemoryApp(App):
    broker_in_memory: MemoryBroker

    def make_broker(self) -> Broker:
        return self.broker_in_memory


def declare(**settings: Any) -> MemoryApp:
    app = MemoryApp("asked", **settings)
    totals, asked = app.Table("totals", default=int), app.Table("asked", default=int)

    @app.agent(app.topic("add", key_type=str, value_type=Pair), name="add", sink=["sums"])
    async def add(stream: Any) -> AsyncIterator[Any]:
        async for event in stream.events():
            totals[event.key] += event.value.a + event.value.b
            yield event.value.a + event.value.b
            yield "a second answer, that nobody waits for"

    @app.agent(app.topic("pairs", value_type=int), name="pairs", yields=Pair)
    async def pairs(stream: Any) -> AsyncIterator[Pair]:
        async for value in stream:
            yield Pair(value, -value)

    @app.agent(app.topic("silent"), name="silent")
    async def silent(stream: Any) -> AsyncIterator[Any]:
        async for value in stream:
            if value is True:
                yield None

    @app.agent(app.topic("relay", value_type=int), name="relay")
    async def relay(stream: Any) -> AsyncIterator[Any]:
        async for value in stream:
            asked[value] += 1
            yield [value, await add.ask(Pair(value, 1), key="relayed")]

    return app


def run(
    scenario: Callable[[Any], Awaitable[Any]], *, processing_guarantee: str = "at_least_once", **settings: Any
) -> tuple[Any, MemoryBroker]:
    """Run a scenario in an event loop, beside a worker that a thread steps."""
    app = declare(**settings)
    broker = app.broker_in_memory = MemoryBroker(SystemClock())
    for topic in ("add", "pairs", "silent", "relay"):
        broker.create_topic(topic, 2)
    broker.create_topic("sums", 1)
    config = StreamsConfig(
        "asked", app.conf.tabledir, processing_guarantee=processing_guarantee, commit_interval_ms=10
    )
    worker = Worker(app.topology, config, broker, SystemClock(), MemoryProvider())

    async def beside() -> Any:
        stopped = False

        def work() -> None:
            while not stopped:
                worker.step()

        working = asyncio.create_task(asyncio.to_thread(work))
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await scenario(app.agents_declared)
        finally:
            stopped = True
            await working
            worker.close()
            app.close_clients()

    return asyncio.run(beside()), broker


async def one(agents: Any) -> Any:
    return await agents["add"].ask(Pair(1, 2), key="k")


async def of_its_type(agents: Any) -> Any:
    return await agents["pairs"].ask(7)


async def nothing(agents: Any) -> Any:
    return await agents["silent"].ask(value=True)


async def joined(agents: Any) -> Any:
    return await agents["pairs"].join(range(20))


async def key_joined(agents: Any) -> Any:
    return await agents["add"].kvjoin((str(n), Pair(n, n)) for n in range(20))


async def mapped(agents: Any) -> Any:
    return sorted([answer.a async for answer in agents["pairs"].map(range(20))])


async def key_mapped(agents: Any) -> Any:
    async def items() -> AsyncIterator[tuple[str, Pair]]:
        for n in range(5):
            yield str(n), Pair(n, 0)

    return sorted([answer async for answer in agents["add"].kvmap(items())])


async def from_another_agent(agents: Any) -> Any:
    return await agents["relay"].ask(4)


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        (one, 3),
        (of_its_type, Pair(7, -7)),
        (nothing, None),
        (joined, [Pair(n, -n) for n in range(20)]),
        (key_joined, [2 * n for n in range(20)]),
        (mapped, list(range(20))),
        (key_mapped, [0, 1, 2, 3, 4]),
    ],
)
def test_an_agent_answers_by_what_it_yields_first(scenario: Any, expected: Any, guarantee: str) -> None:
    found, _ = run(scenario, processing_guarantee=guarantee)
    assert found == expected


def test_an_agent_asks_another_and_its_task_alone_waits() -> None:
    assert run(from_another_agent)[0] == [4, 5]


@pytest.mark.parametrize(
    "ask",
    [lambda agent: agent.ask(1), lambda agent: agent.join([1]), lambda agent: agent.map([1]).__anext__()],
)
def test_with_exactly_once_an_agent_does_not_wait_for_what_waits_for_it(ask: Any) -> None:
    app = App("asked", processing_guarantee="exactly_once")

    @app.agent("other")
    async def other(stream: Any) -> AsyncIterator[Any]:
        async for value in stream:
            yield value

    @app.agent("in")
    async def agent(stream: Any) -> None:
        async for _value in stream:
            await ask(other)

    with (
        pytest.raises(UnhandledRecordError, match="cannot be asked by an agent"),
        TopologyTestDriver(app) as driver,
    ):
        driver.input_topic("in").pipe("k", 3, 0)


def test_answers_go_to_sinks_too_and_are_no_questions_there() -> None:
    _, broker = run(one)
    sums = broker.records("sums")
    assert [record.value for record in sums] == [b"3", b'"a second answer, that nobody waits for"']
    assert all(not record.headers for record in sums)


def test_the_topic_of_answers_is_the_same_after_a_restart() -> None:
    _, broker = run(one)
    (replies,) = [name for name in broker.topics() if "-replies-" in name]
    assert replies.startswith("asked-replies-http-")
    assert broker.topic(replies).config["retention.ms"] == "3600000"


def test_no_answer_is_an_error_after_a_while() -> None:
    async def unanswered(agents: Any) -> None:
        with pytest.raises(AskError, match=r"agent silent .* did not answer within 0.2 s \(ask_timeout\)"):
            await agents["silent"].ask(value=False)
        # Nothing is left of it.
        assert not agents["silent"]._owner.asker._waiting

    run(unanswered, ask_timeout=0.2)


def test_too_many_questions_are_refused() -> None:
    async def crowd(agents: Any) -> list[Any]:
        asked = [agents["silent"].ask(value=False) for _ in range(3)]
        return await asyncio.gather(*asked, return_exceptions=True)

    found, _ = run(crowd, max_asks=2, ask_timeout=0.2)
    assert sum("2 answers are waited for already (max_asks)" in str(each) for each in found) == 1

    async def many(agents: Any) -> Any:
        return await agents["pairs"].join(range(7))

    assert len(run(many, max_asks=2)[0]) == 7


def test_who_reads_a_stream_cannot_be_asked() -> None:
    app = MemoryApp("asked")

    @app.agent(app.stream("in"))
    async def agent(stream: Any) -> AsyncIterator[Any]:
        async for value in stream:
            yield value

    with pytest.raises(TopologyError, match="reads a stream: nothing can be sent to it"):
        asyncio.run(agent.ask(1))


@pytest.mark.parametrize(
    "headers",
    [
        (("__headrace.reply-to", b"out"), ("__headrace.correlation-id", b"1")),
        (("__headrace.reply-to", b"x-replies-gone"), ("__headrace.correlation-id", b"1")),
        (("__headrace.reply-to", b"\xff-replies-"), ("__headrace.correlation-id", b"1")),
        (("__headrace.reply-to", None), ("__headrace.correlation-id", None)),
        (("__headrace.reply-to", b"x-replies-gone"),),
    ],
)
def test_a_header_cannot_make_an_agent_write_elsewhere_or_stop_it(headers: Any) -> None:
    app = App("asked")

    @app.agent("in", sink=["sums"])
    async def agent(stream: Any) -> AsyncIterator[Any]:
        async for value in stream:
            yield value

    with TopologyTestDriver(app, topics=["out"]) as driver:
        driver.input_topic("in").pipe("k", 3, 0, headers)
        assert driver.output_topic("sums").read_values() == [3]
        assert driver.output_topic("out").read_all() == []
