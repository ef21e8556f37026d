"""Tables of Avro over HTTP: keys as JSON, values as JSON has them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from urllib.parse import quote

import pytest

from pipeline import LocalRegistry, avro
from pipeline.clock import ManualClock
from pipeline.runtime.memory import MemoryBroker
from pipeline.serde import for_topic
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
