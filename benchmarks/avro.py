"""Avro on Confluent's wire format, by fastavro: for those who have no serde of their own."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Final

import fastavro

SCHEMA_FILE: Final = Path(__file__).parent / "schemas" / "log.avsc"
#: A zero byte, and the schema's id.
_HEAD_BYTES: Final = 5

_schema: Final = fastavro.parse_schema(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
_read: Final = fastavro.schemaless_reader
_write: Final = fastavro.schemaless_writer


def decode(value: bytes) -> Any:
    """Return a record as a dictionary."""
    stream = io.BytesIO(value)
    stream.seek(_HEAD_BYTES)
    return _read(stream, _schema, None)


def encode(record: dict[str, Any], head: bytes) -> bytes:
    """Return a dictionary as a record.

    Args:
        record: its fields.
        head: what the record begins with: that of one that was read, or `head_of` an id.
    """
    stream = io.BytesIO()
    stream.write(head)
    _write(stream, _schema, record)
    return stream.getvalue()


def head(value: bytes) -> bytes:
    """Return what a record begins with: all of the same schema with the same."""
    return value[:_HEAD_BYTES]


def head_of(schema_id: int) -> bytes:
    """Return what records of a schema begin with."""
    return b"\0" + schema_id.to_bytes(_HEAD_BYTES - 1)
