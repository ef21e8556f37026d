"""Code that reads what one schema has written as another one wants it: see `code`.

For what changes as a rule: fields that are new, gone, renamed, wider or no longer required. fastavro resolves
the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pipeline.serde.avro.code import Code, NoCodeError, kind_of
from pipeline.serde.avro.read_code import Reading, finished, new_code
from pipeline.serde.avro.schema import AvroSchema

_SIMPLE: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "string", "bytes"})
#: By what was written: what it can be read as without being changed.
_WIDER: Final = {("int", "long"), ("float", "double")}
_TO_REAL: Final = {(whole, real) for whole in ("int", "long") for real in ("float", "double")}
#: Values that nobody can change, and that are the same in JSON and in Python.
_CONSTANTS: Final = (bool, int, float, str)
_OPTIONAL: Final = 2


def resolving_code(written: AvroSchema, wanted: AvroSchema, start: int) -> Callable[[bytes], Any] | None:
    """Return what reads values of one schema as those of another one; see `read_code.reading_code`."""
    if written.recursive or wanted.recursive:
        return None
    code = new_code(start)
    try:
        return finished(code, _Resolving(code, written, wanted).as_wanted(written.parsed, wanted.parsed))
    except NoCodeError:
        return None


class _Resolving(Reading):
    """Writes the code that reads each type as another one.

    Args:
        code: where it goes.
        written: schema of the writer.
        wanted: schema of the reader.
    """

    def __init__(self, code: Code, written: AvroSchema, wanted: AvroSchema) -> None:
        super().__init__(code, written.named)
        self._wanted = wanted.named

    def as_wanted(self, written: Any, wanted: Any) -> str:
        """Return the name that the value has then.

        Raises:
            NoCodeError: fastavro resolves it.
        """
        (kind, given), (other, want) = kind_of(written, self._named), kind_of(wanted, self._wanted)
        if kind == other == "record" and given["name"] == want["name"]:
            return self._fields(given, want)
        if self._are_alike(given, want):
            return self.of(written)
        if "union" not in {kind, other} and "logicalType" not in given and "logicalType" not in want:
            if (kind, other) in _WIDER:
                return self.of(written)
            if (kind, other) in _TO_REAL:
                made = self.of(written)
                self._code.add(f"{made} = float({made})")
                return made
        if other == "union" and kind != "union" and len(want) == _OPTIONAL and "null" in want:
            return self.as_wanted(written, want[1 - want.index("null")])
        raise NoCodeError

    def _are_alike(self, given: Any, want: Any) -> bool:
        """Whether both say the same, without a name that could mean something else in the other schema."""
        if isinstance(given, dict) and isinstance(want, dict) and given["type"] in _SIMPLE:
            return {**given, "doc": ""} == {**want, "doc": ""}
        return bool(given == want) and not self._refers(given)

    def _refers(self, schema: Any) -> bool:
        if isinstance(schema, list):
            return any(map(self._refers, schema))
        if isinstance(schema, str):
            return schema in self._named
        inner = [schema.get("items", "null"), schema.get("values", "null")]
        return any(map(self._refers, (*inner, *(field["type"] for field in schema.get("fields", ())))))

    def _fields(self, given: Any, want: Any) -> str:
        aliases = {alias: field for field in want["fields"] for alias in field.get("aliases", ())}
        named = {**aliases, **{field["name"]: field for field in want["fields"]}}
        values: dict[str, str] = {}
        for field in given["fields"]:
            wanted = named.get(field["name"])
            if wanted is None:
                self.of(field["type"])
            elif wanted["name"] in values:
                raise NoCodeError
            else:
                values[wanted["name"]] = self.as_wanted(field["type"], wanted["type"])
        for field in want["fields"]:
            if field["name"] not in values:
                values[field["name"]] = self._code.constant(self._default(field))
        made = self._code.variable()
        pairs = (f"{self._code.constant(name)}: {value}" for name, value in values.items())
        self._code.add(f"{made} = {{{', '.join(pairs)}}}")
        return made

    def _default(self, field: Any) -> Any:
        kind, schema = kind_of(field["type"], self._wanted)
        if "default" in field:
            default = field["default"]
            if default is None and kind in {"union", "null"}:
                return None
            if (
                kind in _SIMPLE - {"bytes"}
                and "logicalType" not in schema
                and isinstance(default, _CONSTANTS)
            ):
                return default
        raise NoCodeError
