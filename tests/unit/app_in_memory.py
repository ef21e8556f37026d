"""A worker in memory, that a test steps by hand, and the HTTP server over it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple, TypeAlias

import pytest
from aiohttp.test_utils import TestClient, TestServer

from pipeline import App, tumbling
from pipeline.clock import ManualClock
from pipeline.config import StreamsConfig
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.worker import Worker
from pipeline.state.provider import MemoryProvider
from pipeline.web.server import WebServer

MINUTE = 60_000
START = 1_674_981_720_000  # 2023-01-29T08:42:00Z

Answer: TypeAlias = "tuple[int, dict[str, Any], dict[str, str]]"


class MemoryApp(App):
    """An application whose worker is on a broker in memory."""

    worker: Worker

    def make_worker(self) -> Worker:
        return self.worker


class World(NamedTuple):
    app: MemoryApp
    worker: Worker
    broker: MemoryBroker
    clock: ManualClock


def declare(name: str = "web") -> MemoryApp:
    app = MemoryApp(name)
    events = app.stream("events", key=str, value=dict, timestamp=lambda record, _: record.value["at"])
    events.group_by_key().count(name="counts")
    windows = tumbling(timedelta(minutes=1), grace=timedelta(hours=1))
    per_minute = events.group_by_key().windowed_by(windows).count(name="per-minute")
    per_minute.filter(lambda _, count: count > 0, name="busy")
    app.table("pairs", name="pairs", key=tuple[str, int], value=dict)
    app.table("numbers", name="numbers", key=int, value=dict)
    app.table("blobs", name="blobs", key=bytes, value=bytes)
    return app


def make_worker(app: MemoryApp, broker: MemoryBroker, clock: ManualClock, **settings: Any) -> Worker:
    config = StreamsConfig(app.conf.id, app.conf.tabledir, **settings)
    return Worker(app.topology, config, broker, clock, MemoryProvider())


def world(partitions: int = 2, **settings: Any) -> World:
    app = declare()
    clock = ManualClock(START)
    broker = MemoryBroker(clock)
    for topic in ("events", "pairs", "numbers", "blobs"):
        broker.create_topic(topic, partitions)
    app.worker = make_worker(app, broker, clock, **settings)
    return World(app, app.worker, broker, clock)


def produce(broker: MemoryBroker, topic: str, records: Iterable[tuple[bytes, bytes]]) -> None:
    producer = broker.producer("test")
    for key, value in records:
        producer.produce(topic, value, key, -1, START, ())
    assert not producer.flush(1)


def event(key: str, at: int = START) -> tuple[bytes, bytes]:
    return key.encode(), json.dumps({"at": at}).encode()


def step(place: World, workers: Sequence[Worker] = (), until: Callable[[], bool] | None = None) -> None:
    """Step until `until` holds, or until a commit has nothing left to do."""
    for _ in range(500):
        place.clock.advance(100)
        moved = sum(worker.step() for worker in workers or (place.worker,))
        if until is not None and until():
            return
        if until is None and not moved and place.worker.status().state == "running":
            place.clock.advance(5_000)
            if not sum(worker.step() for worker in workers or (place.worker,)):
                return
    pytest.fail(f"no rest: {place.worker.status()}")


def ask(app: App, *paths: str, pages: Callable[[App], object] = lambda _app: None) -> list[Answer]:
    """Return status, body and headers of each; `pages` declares those that the application has."""

    return asyncio.run(answers(app, *paths, pages=pages))


async def answers(app: App, *paths: str, pages: Callable[[App], object] = lambda _app: None) -> list[Answer]:
    # A server belongs to its event loop, so each question gets one of its own.
    app.__dict__.pop("web", None)
    pages(app)
    web = app.web
    assert isinstance(web, WebServer)
    web.init_server()
    given = []
    async with TestClient(TestServer(web.web_app)) as client:
        for path in paths:
            async with client.get(path) as response:
                text = await response.text()
                body = json.loads(text) if response.content_type == "application/json" else {"text": text}
                given.append((response.status, body, dict(response.headers)))
    return given


def filled() -> World:
    place = world()
    produce(place.broker, "events", [event(f"k{i % 5}", START + i * 20_000) for i in range(15)])
    produce(place.broker, "pairs", [(b'["a",1]', b'{"n":1}'), ('["é/b",2]'.encode(), b'{"n":2}')])
    numbers = [(n.to_bytes(8, "big", signed=True), b'{"n":%d}' % n) for n in (-1, 0, 7)]
    produce(place.broker, "numbers", numbers)
    produce(place.broker, "blobs", [(b"\xff\x00", b"\x01\x02")])
    step(place)
    return place
