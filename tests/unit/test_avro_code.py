"""The code that is made for a schema: where it does anything, it does what fastavro does."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import json
import uuid
from typing import Any

import fastavro
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.serde.avro.code import UnfitError
from pipeline.serde.avro.read_code import reading_code
from pipeline.serde.avro.resolve_code import resolving_code
from pipeline.serde.avro.schema import AvroSchema
from pipeline.serde.avro.write_code import writing_code
from tests.unit.avro_values import field, record, typed_values

HEAD = b"\0\0\0\0\7"


def theirs(schema: AvroSchema, value: Any) -> bytes:
    out = io.BytesIO(HEAD)
    out.seek(len(HEAD))
    fastavro.schemaless_writer(out, schema.parsed, value)
    return out.getvalue()


def read_by_them(schema: AvroSchema, data: bytes) -> Any:
    body = io.BytesIO(data[len(HEAD) :])
    value = fastavro.schemaless_reader(body, schema.parsed, None)
    if body.read():
        raise ValueError("bytes follow")
    return value


@given(typed_values())
def test_all_that_is_common_is_written_and_read_by_the_code_itself(typed: tuple[Any, Any]) -> None:
    schema, value = AvroSchema(json.dumps(typed[0])), typed[1]
    read, write = reading_code(schema, len(HEAD)), writing_code(schema)
    assert read is not None
    assert write is not None
    data = write(value, HEAD)
    assert data == theirs(schema, value)
    assert read(data) == value


@given(typed_values(), st.data())
def test_what_the_code_reads_of_any_bytes_fastavro_reads_as_well(
    typed: tuple[Any, Any], data: st.DataObject
) -> None:
    schema, value = AvroSchema(json.dumps(typed[0])), typed[1]
    read = reading_code(schema, len(HEAD))
    assert read is not None
    mutated = bytearray(theirs(schema, value))
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(len(HEAD), len(mutated)))
        mutated[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    check(schema, bytes(mutated))


def check(schema: AvroSchema, data: bytes) -> bool:
    """Return whether the code reads some bytes; what it reads fastavro has to read likewise."""
    read = reading_code(schema, len(HEAD))
    assert read is not None
    try:
        value = read(data)
    except Exception:  # noqa: BLE001 - it may raise whatever it likes
        return False
    # Text, for a number that is none is not equal to itself.
    assert repr(value) == repr(read_by_them(schema, data))
    return True


RECORD = AvroSchema(
    json.dumps(record(field("a", "string"), field("b", "int"), field("c", ["null", "double"])))
)


@given(st.binary(max_size=40))
@example(b"\2a\2\0")
@example(b"\3a\2\0")
@example(b"\2a\2\3")
@example(b"\2a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\0")
@example(b"\2a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f\0")
@example(b"\2a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\0\0")
@example(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
def test_bytes_that_nobody_meant(body: bytes) -> None:
    check(RECORD, HEAD + body)


@given(st.integers(-(2**63), 2**63 - 1))
@example(63)
@example(64)
@example(-64)
@example(-65)
@example(511)
@example(1023)
@example(1024)
@example(2**31)
@example(-(2**63))
@example(2**63 - 1)
def test_numbers_of_every_length(number: int) -> None:
    schema = AvroSchema('"long"')
    read, write = reading_code(schema, len(HEAD)), writing_code(schema)
    assert read is not None
    assert write is not None
    data = write(number, HEAD)
    assert data == theirs(schema, number)
    assert read(data) == number


@pytest.mark.parametrize("size", [0, 63, 64, 127, 128, 8_191, 8_192, 100_000])
def test_texts_of_every_length(size: int) -> None:
    schema = AvroSchema('"string"')
    read, write = reading_code(schema, len(HEAD)), writing_code(schema)
    assert read is not None
    assert write is not None
    data = write("x" * size, HEAD)
    assert data == theirs(schema, "x" * size)
    assert read(data) == "x" * size


MOMENT = dt.datetime(2024, 5, 1, 12, 30, 0, 250_000, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ({"type": "long", "logicalType": "timestamp-millis"}, MOMENT),
        ({"type": "long", "logicalType": "timestamp-micros"}, MOMENT),
        ({"type": "long", "logicalType": "local-timestamp-millis"}, MOMENT.replace(tzinfo=None)),
        ({"type": "int", "logicalType": "date"}, MOMENT.date()),
        ({"type": "int", "logicalType": "time-millis"}, MOMENT.time()),
        ({"type": "long", "logicalType": "time-micros"}, MOMENT.time()),
        ({"type": "string", "logicalType": "uuid"}, uuid.UUID(int=7)),
        (
            {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
            decimal.Decimal("-12.50"),
        ),
        (
            {
                "type": "fixed",
                "name": "D",
                "size": 8,
                "logicalType": "decimal",
                "precision": 9,
                "scale": 2,
            },
            decimal.Decimal("12.50"),
        ),
        ({"type": "string", "logicalType": "unheard-of"}, "text"),
        ("null", None),
        ("float", 0.5),
    ],
)
@pytest.mark.parametrize("optional", [False, True])
def test_types_by_other_names(type_: Any, value: Any, optional: bool) -> None:  # noqa: FBT001 - a parameter
    if type_ == "null" and optional:
        return
    schema = AvroSchema(json.dumps(record(field("a", [type_, "null"] if optional else type_))))
    read, write = reading_code(schema, len(HEAD)), writing_code(schema)
    assert read is not None
    assert write is not None
    for each in (value, None) if optional else (value,):
        data = write({"a": each}, HEAD)
        assert data == theirs(schema, {"a": each})
        assert read(data) == read_by_them(schema, data) == {"a": each}


_OLD = [
    ("int", 7),
    ("long", -8),
    ("float", 0.5),
    ("double", 1.5),
    ("string", "é"),
    ("bytes", b"x"),
    ("boolean", True),
]
_DEFAULTS = {"int": 1, "long": 2, "float": 1, "double": 0.5, "string": "d", "bytes": "b", "boolean": False}


@st.composite
def versions(draw: st.DrawFn) -> tuple[Any, Any, Any]:
    """A record, its schema, and another version of that: fields come, go, and change name or type."""
    inner = draw(st.booleans())
    old, value, new = [], {}, []
    for n, (type_, content) in enumerate(draw(st.lists(st.sampled_from(_OLD), min_size=1, max_size=5))):
        wide: Any = draw(st.sampled_from([*_DEFAULTS, type_, type_, type_]))
        wide = ["null", wide] if draw(st.integers(0, 3)) == 0 else wide
        was = ["null", type_] if draw(st.integers(0, 5)) == 0 else type_
        old.append(field(f"f{n}", was))
        value[f"f{n}"] = content
        if draw(st.integers(0, 3)):
            renamed = draw(st.booleans())
            more = {"aliases": [f"f{n}"]} if renamed else {}
            new.append(field(f"g{n}" if renamed else f"f{n}", wide, **more))
    for n in range(draw(st.integers(0, 2))):
        type_ = draw(st.sampled_from([*_DEFAULTS]))
        new.append(field(f"n{n}", type_, default=_DEFAULTS[type_]))
    if draw(st.booleans()):
        new.append(field("o", ["null", "string"], default=None))
    new = draw(st.permutations(new))
    writer, reader = record(*old, name="Inner"), record(*new, name="Inner")
    if inner:
        value = {"in": value, "n": 1}
        writer, reader = (record(field("in", s), field("n", "int"), name="Outer") for s in (writer, reader))
    return value, writer, reader


@given(versions())
def test_what_the_code_reads_as_another_version_fastavro_reads_likewise(made: tuple[Any, Any, Any]) -> None:
    value, (written, wanted) = made[0], (AvroSchema(json.dumps(each)) for each in made[1:])
    read = resolving_code(written, wanted, len(HEAD))
    data = theirs(written, value)
    if read is None:
        return
    try:
        found = read(data)
    except UnfitError:
        return
    body = io.BytesIO(data[len(HEAD) :])
    expected = fastavro.schemaless_reader(body, written.parsed, wanted.parsed)
    assert found == expected
    assert list(map(type, flat(found))) == list(map(type, flat(expected)))


def flat(value: Any) -> list[Any]:
    return [part for each in value.values() for part in flat(each)] if isinstance(value, dict) else [value]


@pytest.mark.parametrize(
    ("written", "wanted", "expected"),
    [
        ([field("a", "int")], [field("a", "long"), field("b", "string", default="d")], {"a": 7, "b": "d"}),
        ([field("a", "int"), field("z", "string")], [field("a", "int")], {"a": 7}),
        ([field("a", "int")], [field("b", "double", aliases=["a"])], {"b": 7.0}),
        ([field("a", "int")], [field("a", ["null", "int"])], {"a": 7}),
        ([field("z", "string"), field("a", "int", doc="!")], [field("a", "int"), field("z", "string")], None),
    ],
)
def test_what_changes_as_a_rule_is_read_by_the_code(written: Any, wanted: Any, expected: Any) -> None:
    value = {"a": 7, "z": "z"}
    old, new = (AvroSchema(json.dumps(record(*fields))) for fields in (written, wanted))
    read = resolving_code(old, new, len(HEAD))
    assert read is not None
    assert read(theirs(old, value)) == (expected or value)


def test_names_from_a_schema_are_no_code() -> None:
    """Schemas come from a registry: whatever their names and symbols say, they are only names."""
    evil = "'];raise SystemExit;#"
    schema = AvroSchema(
        json.dumps(
            record(
                field("import_os", {"type": "map", "values": "int"}),
                field("n", "string", default=evil),
                name="exec",
            )
        )
    )
    read, write = reading_code(schema, len(HEAD)), writing_code(schema)
    assert read is not None
    assert write is not None
    assert read(write({"import_os": {evil: 1}}, HEAD)) == {"import_os": {evil: 1}, "n": evil}


@pytest.mark.parametrize(
    "value", [{"a": "x"}, {"a": 7, "b": 1}, {"a": "x", "b": 2**31}, {"a": "x", "b": 1.5}, [], None, "text"]
)
def test_what_is_not_of_the_type_is_left_to_fastavro(value: Any) -> None:
    schema = AvroSchema(json.dumps(record(field("a", "string"), field("b", "int"))))
    write = writing_code(schema)
    assert write is not None
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it is
        write(value, HEAD)


def test_there_is_no_code_for_what_is_rare() -> None:
    node = record(field("next", ["null", "Node"]), name="Node")
    assert reading_code(AvroSchema(json.dumps(node)), 5) is None
    assert writing_code(AvroSchema(json.dumps(node))) is None
    # Which one of several it is, takes a look at the value.
    several = AvroSchema(json.dumps(["string", "long"]))
    assert writing_code(several) is None
    assert check(several, HEAD + b"\2\2")
    # Types that hold each other a hundredfold.
    kinds: list[Any] = [record(*(field(f"f{n}", "int") for n in range(30)), name="R0")]
    for level in range(1, 4):
        fields = [field("f0", kinds[-1]), *(field(f"f{n}", f"R{level - 1}") for n in range(1, 30))]
        kinds.append(record(*fields, name=f"R{level}"))
    assert reading_code(AvroSchema(json.dumps(kinds[-1])), 5) is None
    assert writing_code(AvroSchema(json.dumps(kinds[-1]))) is None
