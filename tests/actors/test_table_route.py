"""`app.table_route`: the worker that has the key answers, whichever is asked."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from pipeline import App, TopologyError
from pipeline.clock import ManualClock
from pipeline.config import StreamsConfig
from pipeline.runtime.broker import Broker
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.worker import Worker
from pipeline.state.provider import MemoryProvider
from pipeline.web.owners import client_id

KEYS = [f"key-{number}" for number in range(20)]


class MemoryApp(App):
    worker: Worker
    broker_in_memory: MemoryBroker

    def make_worker(self) -> Worker:
        return self.worker

    def make_broker(self) -> Broker:
        return self.broker_in_memory


def declare(key_type: Any) -> MemoryApp:
    app = MemoryApp("routed")
    table = app.Table("counts", default=int, key_type=key_type)
    by_minute = app.Table("by-minute", default=int, key_type=key_type).tumbling(60)

    @app.agent("in", key_type=str)
    async def agent(stream: Any) -> None:
        async for key, value in stream.items():
            table[key] += value
            by_minute[key] += value

    @app.page("/count/{key}/")
    @app.table_route(table, match_info="key")
    async def by_path(view: Any, request: Any, key: str) -> Any:
        body = (await request.read()).decode()
        return view.json({"key": key, "count": table[key], "body": body}, status=202)

    @app.page("/count/")
    @app.table_route(table, query_param="key")
    async def by_query(view: Any, request: Any) -> Any:
        return view.json({"count": table[request.query["key"]]})

    @app.page("/plain/{key}/")
    async def plain(view: Any, request: Any, key: str) -> Any:
        return view.json({"count": table[key]})

    @app.page("/windows/{key}/")
    async def windows(view: Any, request: Any, key: str) -> Any:
        return view.json({"count": by_minute[key].now()})

    return app


class Pair:
    """Two workers of one application, each with its HTTP server."""

    def __init__(self, key_type: Any) -> None:
        self.clock = ManualClock(1_000_000)
        self.broker = MemoryBroker(self.clock)
        self.broker.create_topic("in", 8)
        self.apps = [declare(key_type) for _ in range(2)]
        self.urls: list[str] = []

    async def serve(self, opened: AsyncExitStack) -> None:
        for app in self.apps:
            app.broker_in_memory = self.broker
            app.web.init_server()
            server = await opened.enter_async_context(TestServer(app.web.web_app))
            self.urls.append(str(server.make_url("/")))
            config = StreamsConfig("routed", app.conf.tabledir)
            app.worker = Worker(
                app.topology,
                config,
                self.broker,
                self.clock,
                MemoryProvider(),
                client_id("routed", self.urls[-1]),
            )
            assert app.engine.plan
            opened.push_async_callback(app._maybe_close_http_client)

    def settle(self) -> None:
        for _ in range(300):
            self.clock.advance(100)
            moved = sum(app.worker.step() for app in self.apps)
            if not moved and all(app.worker.status().tasks == 4 for app in self.apps):
                self.clock.advance(5_000)
                if not sum(app.worker.step() for app in self.apps):
                    return
        pytest.fail("no rest")

    def produce(self) -> None:
        producer = self.broker.producer("test")
        for number, key in enumerate(KEYS):
            producer.produce("in", json.dumps(number + 1).encode(), key.encode(), -1, 0, ())
        assert not producer.flush(1)


@pytest.mark.parametrize("key_type", [None, str])
def test_whoever_is_asked_the_owner_answers(key_type: Any) -> None:
    """Stock Faust hashes another form of the key than the topic has, and answers 0 from the wrong worker."""

    async def scenario() -> None:
        pair = Pair(key_type)
        async with AsyncExitStack() as opened, aiohttp.ClientSession() as client:
            await pair.serve(opened)
            pair.produce()
            pair.settle()
            assert sum(app.is_leader() for app in pair.apps) == 1
            for url in pair.urls:
                for number, key in enumerate(KEYS):
                    async with client.get(f"{url}count/{key}/", data=b"body") as answer:
                        assert await answer.json() == {"key": key, "count": number + 1, "body": "body"}
                        assert answer.status == 202
                    async with client.get(f"{url}count/", params={"key": key}) as answer:
                        assert await answer.json() == {"count": number + 1}
            for app in pair.apps:
                app.worker.close()
                app.close_clients()

    asyncio.run(scenario())


def test_without_an_owner_it_says_so_and_a_key_is_needed() -> None:
    async def scenario() -> None:
        pair = Pair(None)
        async with AsyncExitStack() as opened, aiohttp.ClientSession() as client:
            await pair.serve(opened)
            async with client.get(f"{pair.urls[0]}count/a/") as answer:
                assert answer.status == 503
            pair.settle()
            async with client.get(f"{pair.urls[0]}count/") as answer:
                assert answer.status == 400
            # The other one leaves without a word: nobody has its partitions until the group hears of it.
            pair.apps[1].worker.abort()
            pair.broker.expire("routed", client_id("routed", pair.urls[1]))
            statuses = set()
            for key in KEYS:
                async with client.get(f"{pair.urls[0]}count/{key}/") as answer:
                    statuses.add(answer.status)
            assert statuses == {202, 503}
            pair.apps[0].worker.close()
            pair.apps[0].close_clients()

    asyncio.run(scenario())


@pytest.mark.parametrize("view", ["plain", "windows"])
def test_a_view_without_a_route_says_what_stores_says(view: str) -> None:
    async def scenario() -> None:
        pair = Pair(None)
        async with AsyncExitStack() as opened, aiohttp.ClientSession() as client:
            await pair.serve(opened)
            async with client.get(f"{pair.urls[0]}{view}/key-1/") as answer:
                assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
                assert (await answer.json())["state"] == "connecting"
            pair.produce()
            pair.settle()
            answered = []
            for url in pair.urls:
                for key in KEYS:
                    async with (
                        client.get(f"{url}{view}/{key}/") as answer,
                        client.get(f"{url}stores/counts/keys/%22{key}%22") as of_store,
                    ):
                        answered.append(answer.status)
                        if answer.status == 421:
                            said, other = await answer.json(), await of_store.json()
                            assert said["partition"] == other["partition"]
                            assert "which this worker does not hold" in said["error"]
            assert sorted(answered) == [200] * len(KEYS) + [421] * len(KEYS)
            for app in pair.apps:
                app.worker.close()
                app.close_clients()

    asyncio.run(scenario())


@pytest.mark.parametrize("given", [{}, {"match_info": "a", "query_param": "b"}])
def test_one_place_has_the_key(given: dict[str, Any]) -> None:
    app = App("routed")
    with pytest.raises(TopologyError, match="needs one of match_info="):
        app.table_route(app.Table("t"), **given)
