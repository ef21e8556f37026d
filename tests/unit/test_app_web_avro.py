"""Tables of Avro over HTTP: keys as JSON, values as JSON has them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from pipeline import App, LocalRegistry, SchemaRegistry, Serde, avro
from pipeline.agents.stream import AgentStream
from pipeline.clock import ManualClock
from pipeline.config import StreamsConfig
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.worker import Worker
from pipeline.serde import for_topic
from pipeline.state.provider import MemoryProvider
from tests.contract.registry_server import RegistryServer
from tests.unit.app_in_memory import START, MemoryApp, World, ask, make_worker, produce, step
from tests.unit.avro_values import field, record

KEY = record(field("user", "string"), field("n", "int"), name="shop.Key")
VALUE = record(
    field("at", {"type": "long", "logicalType": "timestamp-millis"}),
    field("price", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}),
    field("raw", "bytes"),
)


@pytest.mark.parametrize(
    ("key", "status"),
    [('{"user":"é","n":1}', 200), ('{"n":1,"user":"é"}', 200), ('{"user":"é","n":2}', 404), ('"é"', 400)],
)
def test_a_row_is_found_by_its_key_and_shown_as_json(key: str, status: int) -> None:
    registry = LocalRegistry()
    keys, values = avro(KEY, registry=registry), avro(VALUE, registry=registry)
    app = MemoryApp("web")
    app.table("prices", name="prices", key=keys, value=values)
    clock = ManualClock(START)
    broker = MemoryBroker(clock)
    broker.create_topic("prices", 2)
    app.worker = make_worker(app, broker, clock)
    place = World(app, app.worker, broker, clock)
    row = {"at": dt.datetime(2024, 5, 1, tzinfo=dt.UTC), "price": Decimal("12.50"), "raw": b"\xff"}
    written = (
        for_topic(keys, "prices", is_key=True).serialize({"user": "é", "n": 1}),
        for_topic(values, "prices", is_key=False).serialize(row),
    )
    produce(broker, "prices", [written])
    step(place)
    ((answer, body, _),) = ask(app, f"/stores/prices/keys/{quote(key, safe='')}")
    assert answer == status, body
    if status == 200:
        assert body["key"] == {"user": "é", "n": 1}
        assert body["value"] == {"at": "2024-05-01T00:00:00Z", "price": "12.50", "raw": "/w=="}


def test_a_row_whose_schema_is_not_known_yet_waits_for_the_registry() -> None:
    """It was written by an earlier version; the registry is asked when the row is."""
    with RegistryServer() as server:
        # Each version is a process of its own, that knows nothing of what the other asked.
        registries = [SchemaRegistry(server.url), SchemaRegistry(server.url)]
        disk, clock = MemoryProvider(), ManualClock(START)
        broker = MemoryBroker(clock)
        broker.create_topic("names", 1)
        first, second = (
            avro(record(*fields), registry=registry)
            for registry, fields in zip(
                registries,
                ([field("name", "string")], [field("name", "string"), field("n", "int", default=0)]),
                strict=True,
            )
        )
        place = _start(first, broker, clock, disk)
        produce(broker, "names", [(b"k", for_topic(first, "names", is_key=False).serialize({"name": "é"}))])
        step(place)
        place.worker.close()
        place = _start(second, broker, clock, disk)
        step(place)
        server.close()
        for path in ("/stores/names/keys/k", "/stores/names", "/taken/k/"):
            ((status, body, headers),) = ask(place.app, path, pages=_pages)
            assert (status, headers.get("Retry-After")) == (503, "1"), body
            assert f"{server.url} did not answer for schema id" in body["error"]
        server.listen()
        ((status, body, _),) = ask(place.app, "/stores/names/keys/k")
        assert (status, body["value"]) == (200, {"name": "é", "n": 0})
        ((status, body, _),) = ask(place.app, "/taken/k/", pages=_pages)
        assert (status, body) == (200, {"name": "é", "n": 0})
        place.worker.close()
        for registry in registries:
            registry.close()


def _pages(app: App) -> None:
    taken = app.tables_declared["taken"]

    @app.page("/taken/{key}/")
    async def view(self: Any, _request: Any, key: str) -> Any:
        return self.json(taken[key])


def _start(names: Serde[Any], broker: MemoryBroker, clock: ManualClock, disk: MemoryProvider) -> World:
    app = MemoryApp("web")
    rows = app.table("names", name="names", value=names)
    taken = app.Table("taken", key_type=str, value_type=names)

    @app.agent(rows.to_stream())
    async def take(stream: AgentStream[Any]) -> None:
        async for event in stream.events():
            taken[event.key] = event.value

    config = StreamsConfig(app.conf.id, app.conf.tabledir)
    app.worker = Worker(app.topology, config, broker, clock, disk)
    return World(app, app.worker, broker, clock)
