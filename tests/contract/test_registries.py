"""What every schema registry does: one suite over the local one, and Confluent's protocol over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

import pipeline
from pipeline import LocalRegistry, SchemaRegistry
from pipeline.errors import ConfigError, RegistryRefusedError, RegistryUnreachableError
from pipeline.serde import for_topic
from pipeline.serde.registry import Registry
from tests.contract.registry_server import RegistryServer
from tests.unit.avro_values import field, record

USER = field("user", "string")
FIRST = json.dumps(record(USER))
SECOND = json.dumps(record(USER, field("amount", "int", default=0)))
BROKEN = json.dumps(record(USER, field("amount", "int")))


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with RegistryServer() as server:
        yield server


@pytest.fixture
def remote(server: RegistryServer) -> Iterator[SchemaRegistry]:
    registry = SchemaRegistry(server.url)
    yield registry
    registry.close()


@pytest.fixture(params=["local", "remote"])
def registry(request: pytest.FixtureRequest) -> Registry:
    if request.param == "local":
        return LocalRegistry()
    remote: SchemaRegistry = request.getfixturevalue("remote")
    return remote


def test_a_schema_has_one_id_whatever_its_subject(registry: Registry) -> None:
    number = registry.id_of("orders-value", FIRST, register=True)
    assert registry.id_of("orders-value", FIRST, register=True) == number
    assert registry.id_of("app-orders-changelog-value", FIRST, register=True) == number
    assert registry.id_of("orders-value", FIRST, register=False) == number
    assert registry.id_of("orders-value", SECOND, register=True) != number


def test_an_id_is_that_of_its_schema(registry: Registry) -> None:
    number = registry.id_of("orders-value", FIRST, register=True)
    found = registry.schema(number)
    assert found is not None
    assert json.loads(found.schema) == json.loads(FIRST)
    assert found.references == ()


def test_nobody_has_an_id_that_was_not_given(registry: Registry) -> None:
    assert registry.schema(2**31 - 1) is None


def test_what_is_not_to_be_registered_is_not(registry: Registry) -> None:
    for _ in range(2):
        with pytest.raises(
            RegistryRefusedError,
            match=r"registry.* does not know the schema of subject 'orders-value': .* auto_register_schemas",
        ):
            registry.id_of("orders-value", FIRST, register=False)


def test_a_version_that_cannot_read_the_one_before_is_refused(registry: Registry) -> None:
    registry.id_of("orders-value", FIRST, register=True)
    with pytest.raises(RegistryRefusedError, match=r"orders-value.*reader field missing default.*a default"):
        registry.id_of("orders-value", BROKEN, register=True)


def test_records_of_one_serde_are_read_by_the_other(registry: Registry) -> None:
    old, new = (
        for_topic(pipeline.avro(schema, registry=registry), "orders", is_key=False)
        for schema in (FIRST, SECOND)
    )
    assert new.deserialize(old.serialize({"user": "a"})) == {"user": "a", "amount": 0}


def test_a_registry_is_asked_once(server: RegistryServer, remote: SchemaRegistry) -> None:
    serde = for_topic(pipeline.avro(FIRST, registry=remote), "orders", is_key=False)
    data = [serde.serialize({"user": user}) for user in "abc"]
    assert [serde.deserialize(each) for each in data] == [{"user": user} for user in "abc"]
    assert server.requests.count("POST /subjects/orders-value/versions") == 1
    assert len(server.requests) <= 2


@pytest.mark.parametrize("is_key", [False, True])
def test_confluents_own_serializers_read_and_write_the_same(
    is_key: bool,  # noqa: FBT001 - a parameter of the test
    server: RegistryServer,
    remote: SchemaRegistry,
) -> None:
    context = SerializationContext("orders", MessageField.KEY if is_key else MessageField.VALUE)
    client = SchemaRegistryClient({"url": server.url})
    serde = for_topic(pipeline.avro(SECOND, registry=remote), "orders", is_key=is_key)
    value = {"user": "é", "amount": -7}
    theirs = AvroSerializer(client, SECOND)(value, context)
    assert theirs is not None
    assert serde.serialize(value) == theirs
    assert serde.deserialize(theirs) == value
    assert AvroDeserializer(client)(serde.serialize(value), context) == value
    assert server.subjects == {"orders-key" if is_key else "orders-value": [1]}
    client.close()


def test_a_url_will_do(server: RegistryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEMA_REGISTRY_URL", server.url)
    serde: Any = for_topic(pipeline.avro(FIRST), "orders", is_key=False)
    assert serde.serialize({"user": "a"}) == b"\0\0\0\0\1\2a"
    assert server.subjects == {"orders-value": [1]}


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_what_passes_by_itself_is_no_refusal(
    status: int, server: RegistryServer, remote: SchemaRegistry
) -> None:
    server.failing = status
    with pytest.raises(RegistryUnreachableError, match=f"{server.url} did not answer for schema id 7"):
        remote.schema(7)
    server.failing = None
    assert remote.schema(7) is None


def test_a_registry_that_is_gone_and_comes_back(server: RegistryServer, remote: SchemaRegistry) -> None:
    server.close()
    with pytest.raises(
        RegistryUnreachableError, match="did not answer for the schema of subject 's': Connect"
    ):
        remote.id_of("s", FIRST, register=True)
    server.listen()
    assert remote.id_of("s", FIRST, register=True) == 1


def test_who_may_ask(server: RegistryServer) -> None:
    server.user = "me:secret"
    for registry in (
        SchemaRegistry(server.url, {"basic.auth.user.info": "me:secret"}),
        SchemaRegistry(server.url.replace("//", "//me:secret@")),
    ):
        assert registry.id_of("s", FIRST, register=True) == 1
        assert "secret" not in registry.address
        registry.close()
    stranger = SchemaRegistry(server.url)
    with pytest.raises(
        RegistryRefusedError, match=r"refused the schema of subject 's': .*Unauthorized.*who the"
    ):
        stranger.id_of("s", FIRST, register=True)
    stranger.close()


def test_a_schema_that_refers_to_others_is_read_with_them(
    server: RegistryServer, remote: SchemaRegistry
) -> None:
    server.put("money", record(field("amount", "int"), name="shop.Money"))
    refers = {"name": "shop.Money", "subject": "money", "version": 1}
    server.put("line", record(field("price", "shop.Money"), name="shop.Line"), references=[refers])
    refers = {"name": "shop.Line", "subject": "line", "version": 1}
    number = server.put("orders-value", record(field("line", "shop.Line")), references=[refers])
    money = record(field("amount", "int"), name="shop.Money")
    wanted = record(field("line", record(field("price", money), name="shop.Line")))
    serde = for_topic(pipeline.avro(wanted, registry=remote), "other", is_key=False)
    assert serde.deserialize(b"\0" + number.to_bytes(4) + b"\x06") == {"line": {"price": {"amount": 3}}}


def test_a_schema_of_another_kind_is_an_error_of_the_record(
    server: RegistryServer, remote: SchemaRegistry
) -> None:
    number = server.put("orders-value", "{}", schemaType="JSON")
    serde = for_topic(pipeline.avro(FIRST, registry=remote), "orders", is_key=False)
    with pytest.raises(ValueError, match=f"schema id {number} of .* is JSON, not Avro"):
        serde.deserialize(b"\0" + number.to_bytes(4) + b"{}")


def test_settings_that_cannot_work_are_said_where_they_are_written() -> None:
    with pytest.raises(ConfigError, match="the schema registry at localhost:8081: "):
        SchemaRegistry("localhost:8081")
    with pytest.raises(ConfigError, match="Unrecognized properties: oops"):
        SchemaRegistry("http://localhost:8081", {"oops": 1})
