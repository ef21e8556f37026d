"""Writing from outside of agents: acknowledged, from any loop and thread, closed with the application."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from pipeline import App, StreamsError
from pipeline.clock import ManualClock
from pipeline.errors import DeliveryError
from pipeline.runtime.broker import Broker
from pipeline.runtime.memory import MemoryBroker


class MemoryApp(App):
    broker_in_memory: MemoryBroker

    def make_broker(self) -> Broker:
        return self.broker_in_memory


def declare() -> MemoryApp:
    app = MemoryApp("outside")
    app.broker_in_memory = MemoryBroker(ManualClock(7_000))
    app.broker_in_memory.create_topic("out", 2)
    return app


def written(app: MemoryApp) -> list[tuple[Any, Any, int]]:
    records = app.broker_in_memory.records("out")
    return sorted((record.key, record.value, record.timestamp) for record in records)


async def by_topic(app: App) -> None:
    await app.topic("out", key_type=str, value_type=int).send(key="k", value=1)


async def by_name(app: App) -> None:
    await app.send("out", "k", 1)


async def by_agent(app: App) -> None:
    @app.agent("out")
    async def agent(stream: Any) -> None:
        async for _ in stream:
            pass

    await agent.cast(1, key="k")


@pytest.mark.parametrize("send", [by_topic, by_name, by_agent])
def test_a_record_is_in_the_topic_when_sending_is_done(send: Any) -> None:
    app = declare()

    async def scenario() -> None:
        await send(app)
        assert written(app) == [(b"k", b"1", 7_000)]

    asyncio.run(scenario())
    app.close_clients()


def test_a_record_that_is_refused_is_an_error() -> None:
    app = declare()
    with pytest.raises(DeliveryError, match="'nowhere' refused a record: the topic does not exist"):
        asyncio.run(app.topic("nowhere").send(value=1))  # type: ignore[arg-type]  # it is a coroutine


def test_a_broker_that_is_away_is_an_error() -> None:
    app = declare()
    app.broker_in_memory.reachable = False
    with pytest.raises(StreamsError, match="no broker answers"):
        asyncio.run(app.topic("out").send(value=1))  # type: ignore[arg-type]  # likewise


def test_threads_share_one_producer_and_closing_closes_it_once() -> None:
    app = declare()
    topic = app.topic("out", key_type=str, value_type=int)

    def send(name: str) -> None:
        async def several() -> None:
            for number in range(20):
                await topic.send(key=name, value=number)

        asyncio.run(several())

    asyncio.run(by_name(app))
    threads = [threading.Thread(target=send, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(written(app)) == 61
    app.close_clients()
    app.close_clients()
    # A later record has a producer of its own.
    asyncio.run(by_name(app))
    assert len(written(app)) == 62
    app.close_clients()
