"""Avro in real processes: Confluent's serializers on both sides, a registry over HTTP, a broker between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from pipeline.runtime.broker import TopicSpec
from pipeline.runtime.kafka import KafkaBroker
from tests.contract.registry_server import RegistryServer
from tests.integration.faust_process import FaustProcess
from tests.unit.avro_values import field, record

OLD = record(field("user", "string"), field("amount", "int"), field("shop", "string"))
NEW = record(field("user", "string"), field("amount", "long"), field("paid", "boolean", default=True))

PROGRAM = """
import msgspec
from pipeline import App, avro

class Order(msgspec.Struct):
    user: str
    amount: int
    paid: bool

def add(so_far, new):
    return Order(new.user, so_far.amount + new.amount, so_far.paid and new.paid)

app = App("bank", dead_letter="dead", commit_interval=0.1)
order = avro("order.avsc", type=Order)
spent = (
    app.stream("orders", key=str, value=order)
    .group_by(lambda key, order: order.user, name="by-user")
    .reduce(add, name="spent")
)
spent.to_stream().to("spent")
"""
RECORDS = 40


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with RegistryServer() as server:
        yield server


@pytest.fixture(
    params=[
        pytest.param("embedded_broker", marks=pytest.mark.embedded),
        pytest.param("apache_kafka", marks=pytest.mark.kafka),
    ]
)
def address(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param).address)


def test_what_others_write_is_summed_up_and_read_by_others(
    address: str, server: RegistryServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", server.url)
    admin = KafkaBroker(address).admin()
    admin.create_topics([TopicSpec(name, 2, {}) for name in ("orders", "spent", "dead")])
    admin.close()
    client = SchemaRegistryClient({"url": server.url})
    write(address, client)
    for folder in ("first", "second"):
        # The second has no disk of the first: its table comes out of the changelog.
        place = tmp_path / folder
        place.mkdir()
        (place / "order.avsc").write_text(json.dumps(NEW))
        with FaustProcess(place, "worker", "-l", "info", broker=address, topology=PROGRAM) as worker:
            row = worker.wait_for(
                "/stores/spent/keys/ann",
                lambda status, body: status == 200 and body["value"]["amount"] == sum(range(RECORDS)),
            )
            assert row["value"] == {"user": "ann", "amount": sum(range(RECORDS)), "paid": True}
            assert worker.terminate() == 0
    assert read(address, "dead", 1) == [b"no Avro"]
    context = SerializationContext("spent", MessageField.VALUE)
    spent = [AvroDeserializer(client)(value, context) for value in read(address, "spent", 1)]
    assert spent[-1] == row["value"]
    assert server.subjects == {
        "orders-value": [1],
        "bank-by-user-repartition-value": [2],
        "bank-spent-changelog-value": [2],
        "spent-value": [2],
    }
    client.close()


def write(address: str, client: SchemaRegistryClient) -> None:
    producer = Producer({"bootstrap.servers": address})
    encode = AvroSerializer(client, json.dumps(OLD))
    context = SerializationContext("orders", MessageField.VALUE)
    for amount in range(RECORDS):
        value = encode({"user": "ann", "amount": amount, "shop": "corner"}, context)
        producer.produce("orders", value, str(amount), amount % 2)
    producer.produce("orders", b"no Avro", "bad", 0)
    assert producer.flush(120) == 0


def read(address: str, topic: str, least: int) -> list[Any]:
    """Return the values of a topic: at least so many, and all that come before it falls silent."""
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": f"reader-of-{topic}",
            "auto.offset.reset": "earliest",
            # Tansu lets a group's first member wait for half of it.
            "session.timeout.ms": 6_000,
        }
    )
    consumer.subscribe([topic])
    values: list[Any] = []
    for _ in range(60):
        message = consumer.poll(2)
        if message is not None:
            assert message.error() is None
            values.append(message.value())
        elif len(values) >= least:
            break
    consumer.close()
    return values
