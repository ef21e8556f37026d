"""Code that writes the values of one schema: see `code`."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

from fastavro.write import LOGICAL_WRITERS

from pipeline.serde.avro.code import Code, NoCodeError, kind_of
from pipeline.serde.avro.schema import AvroSchema

_BITS: Final = {"int": 32, "long": 64}
_PACK: Final = {"float": struct.Struct("<f").pack, "double": struct.Struct("<d").pack}
_OPTIONAL: Final = 2


def _zigzag(number: int) -> bytes:
    rest, written = (number << 1) ^ (number >> 63), bytearray()
    while rest > 0x7F:  # noqa: PLR2004 - seven bits a byte
        written.append(rest & 0x7F | 0x80)
        rest >>= 7
    written.append(rest)
    return bytes(written)


#: Numbers that are met often: lengths, indexes, counts.
_SMALL: Final = tuple(map(_zigzag, range(1_024)))


def writing_code(schema: AvroSchema) -> Callable[[Any, bytes], bytes] | None:
    """Return what writes a value of a schema behind a head, given both.

    It raises whatever it may for what it does not write. None: there is no code for the schema.
    """
    if schema.recursive:
        return None
    code = Code("write(value, head)", {"small": _SMALL, "zigzag": _zigzag, "join": b"".join})
    try:
        parts = _Writing(code, schema.named).of(schema.parsed, "value")
    except NoCodeError:
        return None
    code.add(f"return join((head, {', '.join(parts)}))")
    return code.function()


class _Writing:
    """Adds the code that writes each type, from a variable, and returns the names of its bytes."""

    def __init__(self, code: Code, named: dict[str, Any]) -> None:
        self._code, self._named = code, named

    def of(self, schema: Any, value: str) -> list[str]:
        """Return the names of the bytes, in their order."""
        kind, schema = kind_of(schema, self._named)
        if kind != "union" and (logical := LOGICAL_WRITERS.get(f"{kind}-{schema.get('logicalType')}")):
            prepared, names = (
                self._code.variable(),
                (self._code.constant(logical), self._code.constant(schema)),
            )
            self._code.add(f"{prepared} = {names[0]}({value}, {names[1]})")
            value = prepared
        made: list[str] = getattr(self, f"_{kind}", self._none)(schema, value)
        return made

    def _none(self, _schema: Any, _value: str) -> list[str]:
        raise NoCodeError

    def _must(self, condition: str) -> None:
        self._code.add(f"if not ({condition}): raise UnfitError")

    def _number(self, number: str) -> str:
        """Return the name of the bytes of a number."""
        made = self._code.variable()
        self._code.add(f"{made} = small[{number}] if 0 <= {number} < {len(_SMALL)} else zigzag({number})")
        return made

    def _null(self, _schema: Any, value: str) -> list[str]:
        self._must(f"{value} is None")
        return []

    def _boolean(self, _schema: Any, value: str) -> list[str]:
        made = self._code.variable()
        self._must(f"{value}.__class__ is bool")
        self._code.add(f"{made} = b'\\1' if {value} else b'\\0'")
        return [made]

    def _whole(self, schema: Any, value: str) -> list[str]:
        high = 1 << _BITS[schema["type"]] - 1
        self._must(f"{value}.__class__ is int and {-high} <= {value} < {high}")
        return [self._number(value)]

    _int = _long = _whole

    def _real(self, schema: Any, value: str) -> list[str]:
        made = self._code.variable()
        self._code.add(f"{made} = {self._code.constant(_PACK[schema['type']])}({value})")
        return [made]

    _float = _double = _real

    def _string(self, _schema: Any, value: str) -> list[str]:
        made = self._code.variable()
        # Nothing else that is a value of Avro can be encoded.
        self._code.add(f"{made} = {value}.encode()")
        return self._sized(made)

    def _bytes(self, _schema: Any, value: str) -> list[str]:
        self._must(f"{value}.__class__ is bytes")
        return self._sized(value)

    def _sized(self, data: str) -> list[str]:
        size = self._code.variable()
        self._code.add(f"{size} = len({data})")
        return [self._number(size), data]

    def _fixed(self, schema: Any, value: str) -> list[str]:
        # A decimal is prepared as a bytearray.
        self._must(f"{value}.__class__ in (bytes, bytearray) and len({value}) == {int(schema['size'])}")
        return [value]

    def _enum(self, schema: Any, value: str) -> list[str]:
        made = self._code.variable()
        indexes = {symbol: _zigzag(index) for index, symbol in enumerate(schema["symbols"])}
        self._code.add(f"{made} = {self._code.constant(indexes)}[{value}]")
        return [made]

    def _union(self, branches: Any, value: str) -> list[str]:
        """A value that may be missing; which of several types it is, fastavro finds out."""
        if len(branches) != _OPTIONAL or "null" not in branches:
            raise NoCodeError
        null = branches.index("null")
        made = self._code.variable()
        with self._code.within(f"if {value} is None:"):
            self._code.add(f"{made} = {self._code.constant(_zigzag(null))}")
        with self._code.within("else:"):
            parts = [self._code.constant(_zigzag(1 - null)), *self.of(branches[1 - null], value)]
            self._code.add(f"{made} = join(({', '.join(parts)},))")
        return [made]

    def _array(self, schema: Any, value: str) -> list[str]:
        item = self._code.variable()
        self._must(f"{value}.__class__ is list")
        return self._block(value, f"for {item} in {value}:", [(schema["items"], item)])

    def _map(self, schema: Any, value: str) -> list[str]:
        key, item = self._code.variable(), self._code.variable()
        self._must(f"{value}.__class__ is dict")
        head = f"for {key}, {item} in {value}.items():"
        return self._block(value, head, [("string", key), (schema["values"], item)])

    def _block(self, value: str, head: str, items: list[tuple[Any, str]]) -> list[str]:
        """All in one block, behind their number; then an empty one."""
        code, made, parts = self._code, self._code.variable(), self._code.variable()
        code.add(f"{made} = b'\\0'")
        with code.within(f"if {value}:"):
            size = code.variable()
            code.add(f"{size} = len({value})")
            code.add(f"{parts} = [{self._number(size)}]")
            with code.within(head):
                names = [name for schema, item in items for name in self.of(schema, item)]
                code.add(f"{parts} += ({', '.join(names)},)" if names else "pass")
            code.add(f"{parts}.append(b'\\0')", f"{made} = join({parts})")
        return [made]

    def _record(self, schema: Any, value: str) -> list[str]:
        parts: list[str] = []
        self._must(f"{value}.__class__ is dict")
        for field in schema["fields"]:
            found, name = self._code.variable(), self._code.constant(field["name"])
            if "default" in field:
                default = self._code.constant(field["default"])
                self._code.add(f"{found} = {value}.get({name}, {default})")
            else:
                self._code.add(f"{found} = {value}[{name}]")
            parts += self.of(field["type"], found)
        return parts
