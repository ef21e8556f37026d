"""Avro: the bytes on the wire, what is read as what, and what is refused."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import io
import json
import uuid
from pathlib import Path
from typing import Any, TypedDict

import avro.io
import avro.schema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pipeline
from pipeline import LocalRegistry, Serde
from pipeline.clock import ManualClock
from pipeline.errors import RegistryRefusedError, TopologyError
from pipeline.serde import ChangeSerde, EitherSerde, HeaderedSerde, ListSerde, TimeWindowedSerde, for_topic
from pipeline.serde.avro.reader import Readers
from pipeline.serde.avro.schema import AvroSchema
from pipeline.serde.registry import MAX_SCHEMAS, UNKNOWN_MS, Registered
from tests.unit.avro_values import field, record, typed_values

USER, AMOUNT = field("user", "string"), field("amount", "int")
ORDER = record(USER, AMOUNT)


class Order(msgspec.Struct):
    user: str
    amount: int


@dataclasses.dataclass
class Bought:
    user: str
    amount: int


class Row(TypedDict):
    user: str
    amount: int


def writer(schema: Any, registry: LocalRegistry, topic: str = "orders", **options: Any) -> Serde[Any]:
    return for_topic(pipeline.avro(schema, registry=registry, **options), topic, is_key=False)


def test_the_bytes_are_a_zero_byte_the_schemas_id_and_the_body() -> None:
    registry = LocalRegistry()
    data = writer(ORDER, registry).serialize({"user": "a", "amount": 3})
    schema_id = registry.id_of("orders-value", json.dumps(ORDER), register=False)
    assert data == b"\0" + schema_id.to_bytes(4) + b"\x02a\x06"


@pytest.mark.parametrize(
    ("type_", "value"),
    [(None, {"user": "a", "amount": 3}), (Order, Order("a", 3)), (Bought, Bought("a", 3))],
)
def test_values_of_a_type(type_: Any, value: Any) -> None:
    serde = writer(ORDER, LocalRegistry(), type=type_)
    assert serde.deserialize(serde.serialize(value)) == value


def test_a_typed_dict_is_checked_as_it_is_read() -> None:
    registry = LocalRegistry()
    data = writer(record(USER), registry).serialize({"user": "a"})
    wanted = writer(record(USER, field("amount", ["null", "int"], default=None)), registry, type=Row)
    with pytest.raises(msgspec.ValidationError, match=r"Expected `int`, got `null` - at `\$.amount`"):
        wanted.deserialize(data)


_MOMENT = dt.datetime(2024, 5, 1, 12, 30, 0, 250_000, tzinfo=dt.UTC)


class Logical(msgspec.Struct):
    at: dt.datetime
    day: dt.date
    price: decimal.Decimal
    id: uuid.UUID
    raw: bytes


@pytest.mark.parametrize("type_", [None, Logical])
def test_logical_types_are_what_they_stand_for(type_: Any) -> None:
    schema = record(
        field("at", {"type": "long", "logicalType": "timestamp-millis"}),
        field("day", {"type": "int", "logicalType": "date"}),
        field("price", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}),
        field("id", {"type": "string", "logicalType": "uuid"}),
        field("raw", "bytes"),
    )
    number = uuid.UUID("12345678123456781234567812345678")
    value: Any = Logical(_MOMENT, _MOMENT.date(), decimal.Decimal("12.50"), number, b"\xff")
    if type_ is None:
        value = msgspec.structs.asdict(value)
    serde = writer(schema, LocalRegistry(), type=type_)
    assert serde.deserialize(serde.serialize(value)) == value


#: Written with the first schema, read with the second.
EVOLUTION = [
    pytest.param(
        ORDER,
        record(USER, AMOUNT, field("paid", "boolean", default=False)),
        {"user": "a", "amount": 3},
        {"user": "a", "amount": 3, "paid": False},
        id="a-new-field-has-its-default",
    ),
    pytest.param(
        ORDER, record(AMOUNT), {"user": "a", "amount": 3}, {"amount": 3}, id="a-removed-field-is-left-out"
    ),
    pytest.param(
        record(AMOUNT),
        record(field("amount", "double")),
        {"amount": 3},
        {"amount": 3.0},
        id="int-is-promoted-to-double",
    ),
    pytest.param(
        record(AMOUNT), record(field("amount", "long")), {"amount": 3}, {"amount": 3}, id="int-to-long"
    ),
    pytest.param(
        record(field("raw", "string")),
        record(field("raw", "bytes")),
        {"raw": "é"},
        {"raw": "é".encode()},
        id="string-to-bytes",
    ),
    pytest.param(
        record(AMOUNT),
        record(field("total", "int", aliases=["amount"])),
        {"amount": 3},
        {"total": 3},
        id="a-renamed-field-by-its-alias",
    ),
    pytest.param(
        record(AMOUNT),
        {**record(AMOUNT, name="shop.Sale"), "aliases": ["shop.Order"]},
        {"amount": 3},
        {"amount": 3},
        id="a-renamed-record-by-its-alias",
    ),
    pytest.param(
        record(AMOUNT),
        record(field("amount", ["null", "int"], default=None)),
        {"amount": 3},
        {"amount": 3},
        id="a-field-that-became-optional",
    ),
    pytest.param(
        record(field("level", {"type": "enum", "name": "Level", "symbols": ["LOW", "HIGH", "NEW"]})),
        record(
            field("level", {"type": "enum", "name": "Level", "symbols": ["LOW", "HIGH"], "default": "LOW"})
        ),
        {"level": "NEW"},
        {"level": "LOW"},
        id="a-symbol-that-is-not-known-is-the-default",
    ),
]


@pytest.mark.parametrize(("written", "read", "value", "expected"), EVOLUTION)
def test_a_record_is_read_as_the_readers_schema_wants_it(
    written: Any, read: Any, value: Any, expected: Any
) -> None:
    registry = LocalRegistry()
    data = writer(written, registry, topic="old").serialize(value)
    assert writer(read, registry, topic="new").deserialize(data) == expected
    # The other implementation agrees, where it has these rules at all.
    reader = avro.io.DatumReader(avro.schema.parse(json.dumps(written)), avro.schema.parse(json.dumps(read)))
    if not any(rule in json.dumps(read) for rule in ("aliases", "symbols", "bytes")):
        body = avro.io.BinaryDecoder(io.BytesIO(data[5:]))
        got: Any = reader.read(body)
        assert {name: got[name] for name in expected} == expected


def test_what_no_schema_resolution_can_read_says_why() -> None:
    registry = LocalRegistry()
    data = writer(ORDER, registry, topic="old").serialize({"user": "a", "amount": 3})
    wanted = writer(record(USER, field("paid", "boolean")), registry, topic="new")
    with pytest.raises(
        ValueError,
        match=r"schema id \d+ wrote what shop.Order cannot read: "
        r"reader field missing default value at /fields/1 \(paid\)",
    ):
        wanted.deserialize(data)


def _with_id(registry: LocalRegistry, body: bytes, schema: Any = ORDER) -> bytes:
    text = json.dumps(schema)
    return b"\0" + registry.id_of(text, text, register=True).to_bytes(4) + body


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(b"", "zero byte", id="nothing"),
        pytest.param(b"\0\0\0\0", "zero byte", id="no-whole-id"),
        pytest.param(b'{"user":"a"}', "zero byte", id="json"),
        pytest.param(b"\x01\0\0\0\x01\x02a\x06", "zero byte", id="another-magic-byte"),
        pytest.param(b"\0\0\0\0\x07\x02a\x06", "does not know schema id 7: .* give avro", id="unknown-id"),
        pytest.param(b"\x02a", "not what schema id .* says: EOFError", id="truncated"),
        pytest.param(b"\x02a\x06\x00", "bytes follow", id="trailing-bytes"),
        pytest.param(b"\x02\xff\x06", "UnicodeDecodeError", id="not-utf-8"),
        pytest.param(b"\x7fa\x06", "EOFError", id="negative-length"),
        pytest.param(b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7fa", "EOFError", id="huge-length"),
    ],
)
def test_bytes_that_are_refused(data: bytes, says: str) -> None:
    registry = LocalRegistry()
    serde = writer(ORDER, registry)
    if data[:1] not in {b"", b"\0", b"{", b"\x01"}:
        data = _with_id(registry, data)
    with pytest.raises(ValueError, match=says):
        serde.deserialize(data)


def test_a_value_within_itself_to_any_depth_is_refused_and_no_crash() -> None:
    registry = LocalRegistry()
    node = record(field("next", ["null", "Node"]), name="Node")
    serde = writer(node, registry)
    assert serde.deserialize(serde.serialize({"next": {"next": None}})) == {"next": {"next": None}}
    with pytest.raises(ValueError, match="RecursionError"):
        serde.deserialize(_with_id(registry, b"\x02" * 1_000_000 + b"\0", node))


@pytest.mark.parametrize("items", ["null", record(name="Nothing"), {"type": "fixed", "name": "F", "size": 0}])
def test_an_array_that_takes_no_bytes_however_long_is_refused(items: Any) -> None:
    array = {"type": "array", "items": items}
    with pytest.raises(TopologyError, match="array whose items take no bytes"):
        pipeline.avro(array, registry=LocalRegistry())
    registry = LocalRegistry()
    data = _with_id(registry, b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f\0", array)
    with pytest.raises(ValueError, match="array whose items take no bytes"):
        writer(ORDER, registry).deserialize(data)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"amount": 3}, "no value and no default for user"),
        ({"user": 7, "amount": 3}, "must be string"),
        ({"user": "a", "amount": "3"}, "field amount of shop.Order is '3', which is no whole number"),
        ({"user": "a", "amount": 1.5}, "is 1.5, which is no whole number: its type is int"),
        ({"user": "a", "amount": 2**31}, "does not fit into the 32 bits of an Avro int"),
        ({"user": "a", "amount": -(2**31) - 1}, "does not fit into the 32 bits"),
        ("text", "has no attribute 'get'"),
    ],
)
def test_values_that_are_refused(value: Any, says: str) -> None:
    with pytest.raises((ValueError, TypeError, AttributeError), match=says):
        writer(ORDER, LocalRegistry()).serialize(value)


_NODE = record(field("n", "int"), field("next", {"type": "array", "items": "Node"}), name="Node")


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ("int", 2**31 - 1, 2**31),
        ("long", -(2**63), 2**63),
        ({"type": "int"}, 0, 0.5),
        ({"type": "array", "items": "int"}, [1, -1], [1, 2**31]),
        ({"type": "map", "values": "long"}, {"a": 1}, {"a": 2**63}),
        (["null", "int"], 1, 2**31),
        (
            record(field("inner", record(AMOUNT, name="Inner"))),
            {"inner": {"amount": 1}},
            {"inner": {"amount": 0.5}},
        ),
        (_NODE, {"n": 1, "next": [{"n": 2, "next": []}]}, {"n": 1, "next": [{"n": 2**31, "next": []}]}),
        (record(field("n", "int", default=7)), {"n": 7}, {"n": 7.5}),
    ],
)
def test_a_whole_number_that_does_not_fit_is_refused_wherever_it_is(schema: Any, good: Any, bad: Any) -> None:
    """Fastavro would write some of these: other languages could not read them, or would read another one."""
    serde = writer(schema, LocalRegistry())
    assert serde.deserialize(serde.serialize(good)) == good
    with pytest.raises(ValueError, match=r"whole number|does not fit|do not match"):
        serde.serialize(bad)


def test_a_number_that_is_missing_has_its_default() -> None:
    serde = writer(record(field("n", "int", default=7)), LocalRegistry())
    assert serde.deserialize(serde.serialize({})) == {"n": 7}


@pytest.mark.parametrize(
    ("strategy", "is_key", "subject"),
    [
        ("topic-name", False, "orders-value"),
        ("topic-name", True, "orders-key"),
        ("record-name", False, "shop.Order"),
        ("record-name", True, "shop.Order"),
        ("topic-record-name", False, "orders-shop.Order"),
    ],
)
def test_a_schema_is_registered_as_its_strategy_says(strategy: Any, is_key: bool, subject: str) -> None:  # noqa: FBT001
    registry = Noting()
    serde = for_topic(
        pipeline.avro(ORDER, registry=registry, subject_name_strategy=strategy), "orders", is_key=is_key
    )
    serde.serialize({"user": "a", "amount": 3})
    serde.serialize({"user": "a", "amount": 3})
    assert registry.asked == [subject]


class Noting(LocalRegistry):
    """Notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str | int] = []

    def id_of(self, subject: str, schema: str, *, register: bool) -> int:
        self.asked.append(subject)
        return super().id_of(subject, schema, register=register)

    def schema(self, schema_id: int) -> Registered | None:
        self.asked.append(schema_id)
        return super().schema(schema_id)


def test_serdes_made_of_serdes_hand_the_topic_on() -> None:
    registry = Noting()
    order, line = (
        pipeline.avro(record(USER, name=name), registry=registry) for name in ("shop.Order", "shop.Line")
    )
    value = {"user": "a"}
    windowed = TimeWindowedSerde(order, 1_000)
    made: Any
    for made, is_key, given_ in [
        (ListSerde(EitherSerde(order, line)), False, [(True, value), (False, value)]),
        (ChangeSerde(order), False, pipeline.record.Change(value, value)),
        (HeaderedSerde(order), False, pipeline.serde.Headered(value, ())),
        (windowed, True, pipeline.Windowed(value, 0, 1_000)),
    ]:
        serde = for_topic(made, "t", is_key=is_key)
        assert serde.deserialize(serde.serialize(given_)) == given_
        assert serde.name == made.name
    subjects = [asked for asked in registry.asked if isinstance(asked, str)]
    assert subjects == ["t-left-value", "t-right-value", "t-value", "t-value", "t-key"]


def test_each_schema_id_is_asked_for_once() -> None:
    registry, clock = Noting(), ManualClock(1_000)
    readers = Readers(registry, AvroSchema(json.dumps(ORDER)), clock)
    head = _with_id(registry, b"")
    registry.asked.clear()
    assert readers.find(head) is readers.find(head)
    assert len(registry.asked) == 1
    unknown = b"\0\0\0\0\x07"
    for _ in range(3):
        with pytest.raises(ValueError, match="does not know schema id 7"):
            readers.find(unknown)
    assert registry.asked[1:] == [7]
    clock.advance(UNKNOWN_MS)
    with pytest.raises(ValueError, match="does not know"):
        readers.find(unknown)
    assert registry.asked[1:] == [7, 7]


def test_so_many_schemas_are_kept_and_no_more() -> None:
    registry = LocalRegistry()
    readers = Readers(registry, AvroSchema(json.dumps(ORDER)))
    heads = [
        _with_id(registry, b"", {"type": "fixed", "name": f"F{i}", "size": 1}) for i in range(MAX_SCHEMAS + 9)
    ]
    for head in heads:
        readers.find(head)
    assert list(readers.known) == heads[9:]


@pytest.mark.parametrize(
    "given_", ["path", "text", "dict", "pathlib"], ids=["path", "json", "dictionary", "pathlib"]
)
def test_a_schema_is_given_as(given_: str, tmp_path: Path) -> None:
    file = tmp_path / "order.avsc"
    file.write_text(json.dumps(ORDER))
    schema: Any = {"path": str(file), "text": json.dumps(ORDER), "dict": ORDER, "pathlib": file}[given_]
    assert pipeline.avro(schema).name.startswith("avro:shop.Order@")


def test_a_primitive_type_by_its_name() -> None:
    serde = for_topic(pipeline.avro("string", registry=LocalRegistry()), "orders", is_key=True)
    assert serde.deserialize(serde.serialize("é")) == "é"


def test_a_file_may_name_types_of_the_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "shop.Line.avsc").write_text(json.dumps(record(AMOUNT, name="shop.Line")))
    file = tmp_path / "shop.Order.avsc"
    file.write_text(json.dumps(record(field("lines", {"type": "array", "items": "shop.Line"}))))
    serde = writer(file, LocalRegistry())
    assert serde.deserialize(serde.serialize({"lines": [{"amount": 3}]})) == {"lines": [{"amount": 3}]}


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        ("nowhere.avsc", "nowhere.avsc cannot be read"),
        ('{"type": "rekord"}', "is no Avro schema"),
        ("{oops", "is no Avro schema"),
        ("Order", "is no Avro schema: .*; give a dict, JSON, or a path that ends in .avsc"),
        (7, "is no Avro schema"),
    ],
)
def test_what_is_no_schema(given_: Any, says: str) -> None:
    with pytest.raises(TopologyError, match=says):
        pipeline.avro(given_)


class Other(msgspec.Struct):
    user: str
    paid: bool


def test_what_does_not_fit_is_said_where_it_is_written() -> None:
    with pytest.raises(TopologyError, match=r"type Other needs paid, which Avro shop\.Order does not have"):
        pipeline.avro(ORDER, type=Other)
    with pytest.raises(TopologyError, match="no values of type"):
        pipeline.avro(ORDER, type=object)
    with pytest.raises(TopologyError, match="subject_name_strategy is 'topic': it must be one of topic-name"):
        pipeline.avro(ORDER, subject_name_strategy="topic")  # type: ignore[call-overload]


class Half(msgspec.Struct):
    user: str


def test_a_type_may_leave_fields_out_where_it_is_read_and_not_where_it_is_written() -> None:
    registry = LocalRegistry()
    half = pipeline.avro(ORDER, type=Half, registry=registry)
    assert half.deserialize(writer(ORDER, registry).serialize({"user": "a", "amount": 3})) == Half("a")
    app = pipeline.App("shop")
    orders = app.stream("orders", value=half)
    assert app.plan
    orders.to("out")
    with pytest.raises(
        TopologyError,
        match=r"sink-1 \(.*test_avro.py:\d+\): values of type Half are to be written as Avro shop.Order, and "
        "the type has no amount",
    ):
        app.plan  # noqa: B018 - it is made when it is asked for
    defaults = record(USER, field("amount", "int", default=7))
    serde = writer(defaults, registry, topic="defaults", type=Half)
    assert pipeline.avro(defaults, registry=registry).deserialize(serde.serialize(Half("a")))["amount"] == 7


def test_without_a_topic_nothing_can_be_written() -> None:
    with pytest.raises(TypeError, match="is written to a topic, and none is known here"):
        pipeline.avro(ORDER, registry=LocalRegistry()).serialize({"user": "a", "amount": 3})


def test_schemas_that_differ_have_names_that_differ() -> None:
    """Streams are merged, and keys joined, by what serdes are called."""
    other = record(USER, AMOUNT, field("paid", "boolean", default=False))
    assert pipeline.avro(ORDER).name != pipeline.avro(other).name
    assert pipeline.avro(ORDER).name == pipeline.avro(json.dumps(ORDER)).name


# What is true for all values: as the `avro` package has it.


@given(typed_values())
def test_the_avro_package_reads_what_is_written_and_writes_what_is_read(typed: tuple[Any, Any]) -> None:
    schema, value = typed
    serde = writer(schema, LocalRegistry())
    written = serde.serialize(value)
    assert serde.deserialize(written) == value
    theirs = avro.schema.parse(json.dumps(schema))
    body = avro.io.BinaryDecoder(io.BytesIO(written[5:]))
    assert avro.io.DatumReader(theirs).read(body) == value
    out = io.BytesIO()
    avro.io.DatumWriter(theirs).write(value, avro.io.BinaryEncoder(out))
    assert serde.deserialize(written[:5] + out.getvalue()) == value


@given(data=st.binary(max_size=60))
def test_bytes_are_refused_by_an_exception_or_mean_something(data: bytes) -> None:
    registry = LocalRegistry()
    schema = record(USER, AMOUNT, field("tags", {"type": "map", "values": ["null", "string"]}))
    serde = writer(schema, registry)
    try:
        value = serde.deserialize(_with_id(registry, data, schema))
    except ValueError:
        return
    assert serde.deserialize(serde.serialize(value)) == value


# The local registry.


def test_a_local_registry_numbers_schemas_by_what_they_say(tmp_path: Path) -> None:
    (tmp_path / "order.avsc").write_text(json.dumps({**ORDER, "doc": "What was bought."}, indent=2))
    filed, other = LocalRegistry(tmp_path), LocalRegistry()
    number = other.id_of("orders-value", json.dumps(ORDER), register=True)
    assert filed.id_of("orders-value", json.dumps(ORDER), register=False) == number
    known = filed.schema(number)
    assert known is not None
    assert json.loads(known.schema)["name"] == "shop.Order"
    assert filed.schema(number + 1) is None


def test_a_local_registry_refuses_what_it_is_not_to_take(tmp_path: Path) -> None:
    with pytest.raises(RegistryRefusedError, match="does not know the schema of subject 'orders-value'"):
        writer(ORDER, LocalRegistry(), auto_register_schemas=False).serialize({"user": "a", "amount": 3})
    later = record(USER, AMOUNT, field("paid", "boolean"))
    why = (
        r"the schema of subject 'orders-value' cannot read what schema id \d+ of the local registry.* wrote: "
        r"reader field missing default value at /fields/2 \(paid\); give fields that are new a default"
    )
    registry = LocalRegistry()
    registry.id_of("orders-value", json.dumps(ORDER), register=True)
    with pytest.raises(RegistryRefusedError, match=why):
        registry.id_of("orders-value", json.dumps(later), register=True)
    registry.id_of("others-value", json.dumps(later), register=True)
    (tmp_path / "order.avsc").write_text(json.dumps(later))
    (tmp_path / "order.1.avsc").write_text(json.dumps(ORDER))
    with pytest.raises(RegistryRefusedError, match=why):
        writer(tmp_path / "order.avsc", LocalRegistry(tmp_path)).serialize({"user": "a", "amount": 3})


def test_a_local_registrys_folder_is_checked(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match="there is no such folder"):
        LocalRegistry(tmp_path / "nowhere")
    (tmp_path / "bad.avsc").write_text("{")
    with pytest.raises(TopologyError, match=r"bad.avsc is no Avro schema"):
        LocalRegistry(tmp_path)


def test_schemas_of_one_folder_know_each_other_without_a_registry_being_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SCHEMA_REGISTRY_URL", raising=False)
    (tmp_path / "order.avsc").write_text(json.dumps(record(USER, AMOUNT, field("n", "int", default=0))))
    (tmp_path / "order.1.avsc").write_text(json.dumps(ORDER))
    new, old = (
        for_topic(pipeline.avro(tmp_path / name), "t", is_key=False)
        for name in ("order.avsc", "order.1.avsc")
    )
    assert new.deserialize(old.serialize({"user": "a", "amount": 3})) == {"user": "a", "amount": 3, "n": 0}
