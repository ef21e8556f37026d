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
        msgspec.json.schema(type_)
    except TypeError as error:
        raise TopologyError(
            f"no values of type {type_!r} can be made of Avro {schema.name}: give a msgspec Struct, a "
            f"dataclass or a TypedDict ({error})"
        ) from error
    fields = _fields(type_)
    if schema.fields is None or fields is None:
        return
    missing = [name for name, needed in fields.items() if needed and name not in schema.fields]
    if missing:
        raise TopologyError(
            f"type {_name(type_)} needs {', '.join(missing)}, which Avro {schema.name} does not have: its "
            f"fields are {', '.join(schema.fields)}; give them a default, or the schema the fields"
        )


def check_writable(type_: Any, schema: AvroSchema) -> None:
    """Check that values of a type have all that a schema needs.

    Raises:
        TopologyError: a field is missing.
    """
    fields = _fields(type_)
    if schema.fields is None or fields is None:
        return
    missing = [name for name, needed in schema.fields.items() if needed and name not in fields]
    if missing:
        raise TopologyError(
            f"values of type {_name(type_)} are to be written as Avro {schema.name}, and the type has no "
            f"{', '.join(missing)}: add what is missing, or give the schema a default for it"
        )


def _fields(type_: Any) -> dict[str, bool] | None:
    """Return the names of a type's fields as they are written, and whether each is needed."""
    fields = getattr(msgspec.inspect.type_info(type_), "fields", None)
    return None if fields is None else {field.encode_name: field.required for field in fields}


def _name(type_: Any) -> str:
    return str(getattr(type_, "__name__", type_))
