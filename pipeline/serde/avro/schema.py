"""Avro schemas: from what a user gives, or a registry has, to what fastavro works with."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import fastavro
from fastavro.schema import SchemaParseException, UnknownType, load_schema

from pipeline.errors import TopologyError
from pipeline.serde.avro.declaration import SchemaLike

_PARSED: Final = "__"
_JSON_BEGINS: Final = ("{", "[", '"')


class AvroSchema:
    """A schema, and what has to be known of it.

    Args:
        text: JSON.
        references: schemas that it refers to by name, JSON; those that others refer to come first.

    Attributes:
        text: JSON, as it is registered.
        parsed: what fastavro takes.
        named: the types in it that have names, by full name.
        name: full name of a record, enum or fixed; else the type's.
        recursive: whether its values can contain one another, to any depth.

    Raises:
        ValueError: it is no Avro schema, or one that a few bytes can make an endless value of.
    """

    def __init__(self, text: str, references: Iterable[str] = ()) -> None:
        self.text = text
        named: dict[str, Any] = {}
        try:
            for reference in references:
                fastavro.parse_schema(json.loads(reference), named_schemas=named)
            self.parsed: Any = fastavro.parse_schema(json.loads(text), named_schemas=named)
        except (SchemaParseException, UnknownType) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error
        self.named = named
        self.name = _name(self.parsed)
        self.recursive = False
        self._look(self.parsed, ())

    @cached_property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits, other ones for another schema."""
        return f"{zlib.crc32(json.dumps(json.loads(self.text), sort_keys=True).encode()):08x}"

    @property
    def fields(self) -> dict[str, bool] | None:
        """The names of a record's fields, and whether each has no default; None: it is no record."""
        if isinstance(self.parsed, dict) and self.parsed["type"] == "record":
            return {field["name"]: "default" not in field for field in self.parsed["fields"]}
        return None

    def _look(self, schema: Any, inside: tuple[str, ...]) -> None:
        """Look for what bytes that nobody meant could do with a type."""
        if isinstance(schema, list):
            for branch in schema:
                self._look(branch, inside)
            return
        if isinstance(schema, str):
            if schema in inside:
                self.recursive = True
            elif schema in self.named:
                self._look(self.named[schema], inside)
            return
        kind = schema["type"]
        if kind == "array":
            if self._is_empty(schema["items"]):
                raise ValueError(
                    "an array whose items take no bytes: a few bytes could stand for any number of them"
                )
            self._look(schema["items"], inside)
        elif kind == "map":
            self._look(schema["values"], inside)
        elif kind in {"record", "error"}:
            for field in schema["fields"]:
                self._look(field["type"], (*inside, schema["name"]))
        elif isinstance(kind, dict | list):
            self._look(kind, inside)

    def _is_empty(self, schema: Any) -> bool:
        """Whether values of a type take no bytes."""
        if isinstance(schema, list):
            return False
        if isinstance(schema, str):
            return schema == "null" or (schema in self.named and self._is_empty(self.named[schema]))
        kind = schema["type"]
        if kind in {"record", "error"}:
            # One that contains itself does so within a union, an array or a map, which take a byte.
            return all(self._is_empty(field["type"]) for field in schema["fields"])
        return bool(kind == "null" or (kind == "fixed" and schema["size"] == 0))


def _name(parsed: Any) -> str:
    if isinstance(parsed, list):
        return "union"
    if isinstance(parsed, str):
        return parsed
    return str(parsed.get("name", parsed["type"]))


def read_schema(given: SchemaLike) -> tuple[AvroSchema, Path | None]:
    """Return a schema as a user gives it, and the file that it is in, if it is in one.

    Names that a file does not define are looked for in the files beside it, `<full name>.avsc`.

    Raises:
        TopologyError: there is no such file, or it is no Avro schema.
    """
    path: Path | None = None
    if isinstance(given, str) and not given.lstrip().startswith(_JSON_BEGINS):
        if not given.endswith(".avsc"):
            return _checked(json.dumps(given), repr(given)), None
        given = Path(given)
    if isinstance(given, Path):
        path, text = given, _text(given)
    else:
        text = given if isinstance(given, str) else json.dumps(given)
    return _checked(text, str(path) if path else f"{text:.60}"), path


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
        try:
            fastavro.parse_schema(json.loads(text))
        except UnknownType:
            text = json.dumps(_plain(load_schema(str(path))))
    except OSError as error:
        raise TopologyError(f"Avro schema {path} cannot be read: {error}") from error
    except (ValueError, SchemaParseException) as error:
        raise TopologyError(f"{path} is no Avro schema: {error}") from error
    return text


def _checked(text: str, where: str) -> AvroSchema:
    try:
        return AvroSchema(text)
    except (ValueError, KeyError, TypeError) as error:
        raise TopologyError(
            f"{where} is no Avro schema: {error}; give a dict, JSON, or a path that ends in .avsc"
        ) from error


def _plain(schema: Any) -> Any:
    """Return a parsed schema without what fastavro has added."""
    if isinstance(schema, dict):
        return {name: _plain(part) for name, part in schema.items() if not name.startswith(_PARSED)}
    return [_plain(part) for part in schema] if isinstance(schema, list) else schema
