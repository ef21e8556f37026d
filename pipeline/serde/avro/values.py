"""Typed values for Avro's records: a Struct, a dataclass or a TypedDict in place of a dictionary."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec

from pipeline.errors import TopologyError
from pipeline.serde.avro.schema import AvroSchema

#: What fastavro takes, and gives, as it is.
_AS_THEY_ARE: Final = (
    bytes,
    dt.datetime,
    dt.date,
    dt.time,
    decimal.Decimal,
    uuid.UUID,
)


def from_builtins(type_: Any) -> Callable[[Any], Any]:
    """Return what makes a value of a type of what fastavro reads; it names the field that does not fit."""
    return partial(msgspec.convert, type=type_)


def to_builtins(value: Any) -> Any:
    """Return what fastavro writes for a value of any type that msgspec knows."""
    return msgspec.to_builtins(value, builtin_types=_AS_THEY_ARE)


def check_type(type_: Any, schema: AvroSchema) -> None:
    """Check that values of a type can be read with a schema.

    Raises:
        TopologyError: msgspec does not know the type, or it needs a field that the schema does not have.
    """
    try:
        known = msgspec.inspect.type_info(type_)
        msgspec.json.schema(type_)
    except TypeError as error:
        raise TopologyError(
            f"no values of type {type_!r} can be made of Avro {schema.name}: give a msgspec Struct, a "
            f"dataclass or a TypedDict ({error})"
        ) from error
    fields = schema.fields
    if fields is None or not hasattr(known, "fields"):
        return
    missing = [
        field.encode_name for field in known.fields if field.required and field.encode_name not in fields
    ]
    if missing:
        raise TopologyError(
            f"type {getattr(type_, '__name__', type_)} needs {', '.join(missing)}, which Avro {schema.name} "
            f"does not have: its fields are {', '.join(sorted(fields))}; give them a default, or the schema "
            "the fields"
        )
