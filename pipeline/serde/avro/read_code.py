"""Code that reads the values of one schema: see `code`."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

from fastavro.read import LOGICAL_READERS

from pipeline.serde.avro.code import Code, NoCodeError, UnfitError, kind_of
from pipeline.serde.avro.schema import AvroSchema

_BITS: Final = 64
_FLOATS: Final = {"float": struct.Struct("<f"), "double": struct.Struct("<d")}


def reading_code(schema: AvroSchema, start: int) -> Callable[[bytes], Any] | None:
    """Return what reads a value of a schema, which is all of the bytes from `start` on.

    It raises whatever it may for what it does not read. None: there is no code for the schema.
    """
    if schema.recursive:
        return None
    code = new_code(start)
    try:
        return finished(code, Reading(code, schema.named).of(schema.parsed))
    except NoCodeError:
        return None


def new_code(start: int) -> Code:
    """Return the beginning of what reads bytes from `start` on."""
    code = Code("read(data)", {"varint": _varint, "length": _length})
    code.add(f"p = {start}")
    return code


def finished(code: Code, value: str) -> Callable[[bytes], Any]:
    """Return what reads a value, which has to be all that there is."""
    code.add("if p != len(data):", "    raise UnfitError", f"return {value}")
    return code.function()


def _varint(data: bytes, p: int) -> tuple[int, int]:
    """Return a number that begins at `p` and has more than one byte, and where it ends."""
    zigzag, shift, byte = data[p] & 0x7F, 7, data[p + 1]
    while byte > 0x7F:  # noqa: PLR2004 - seven bits a byte
        zigzag |= (byte & 0x7F) << shift
        shift += 7
        p += 1
        byte = data[p + 1]
    zigzag |= byte << shift
    if zigzag >> _BITS:
        raise UnfitError
    return (zigzag >> 1) ^ -(zigzag & 1), p + 2


def _length(data: bytes, p: int) -> tuple[int, int]:
    """Likewise, of a length: it is not negative."""
    if data[p] & 1:
        raise UnfitError
    return _varint(data, p)


class Reading:
    """Writes the code that reads each type, at `p` in `data`, into a variable."""

    def __init__(self, code: Code, named: dict[str, Any]) -> None:
        self._code, self._named = code, named

    def of(self, schema: Any) -> str:
        """Return the name that the value has then."""
        kind, schema = kind_of(schema, self._named)
        made: str = getattr(self, f"_{kind}", self._none)(schema)
        if kind != "union" and (logical := LOGICAL_READERS.get(f"{kind}-{schema.get('logicalType')}")):
            names = self._code.constant(logical), self._code.constant(schema)
            self._code.add(f"{made} = {names[0]}({made}, {names[1]}, {names[1]})")
        return made

    def _none(self, _schema: Any) -> str:
        raise NoCodeError

    def _length(self) -> str:
        n = self._code.variable()
        self._code.add(
            f"{n} = data[p]", f"if {n} & 129: {n}, p = length(data, p)", f"else: {n} >>= 1; p += 1"
        )
        return n

    def _sized(self, size: str, method: str = "") -> str:
        made = self._code.variable()
        self._code.add(f"e = p + {size}", f"{made} = data[p:e]{method}", "p = e")
        return made

    def _null(self, _schema: Any) -> str:
        made = self._code.variable()
        self._code.add(f"{made} = None")
        return made

    def _boolean(self, _schema: Any) -> str:
        made = self._code.variable()
        self._code.add(
            f"{made} = data[p]", f"if {made} > 1: raise UnfitError", f"{made} = {made} == 1", "p += 1"
        )
        return made

    def _long(self, _schema: Any) -> str:
        n = self._code.variable()
        self._code.add(
            f"{n} = data[p]",
            f"if {n} > 127: {n}, p = varint(data, p)",
            f"else: {n} = ({n} >> 1) ^ -({n} & 1); p += 1",
        )
        return n

    _int = _long

    def _number(self, schema: Any) -> str:
        number = _FLOATS[schema["type"]]
        made, unpack = self._code.variable(), self._code.constant(number.unpack_from)
        self._code.add(f"{made} = {unpack}(data, p)[0]", f"p += {number.size}")
        return made

    _float = _double = _number

    def _bytes(self, _schema: Any) -> str:
        return self._sized(self._length())

    def _string(self, _schema: Any) -> str:
        return self._sized(self._length(), ".decode()")

    def _fixed(self, schema: Any) -> str:
        return self._sized(str(int(schema["size"])))

    def _enum(self, schema: Any) -> str:
        n = self._length()
        self._code.add(f"{n} = {self._code.constant(schema['symbols'])}[{n}]")
        return n

    def _union(self, branches: Any) -> str:
        n, made = self._length(), self._code.variable()
        for index, branch in enumerate(branches):
            with self._code.within(f"{'el' if index else ''}if {n} == {index}:"):
                self._code.add(f"{made} = {self.of(branch)}")
        self._code.add("else: raise UnfitError")
        return made

    def _array(self, schema: Any) -> str:
        return self._blocks("[]", schema["items"], None)

    def _map(self, schema: Any) -> str:
        return self._blocks("{}", schema["values"], "string")

    def _blocks(self, empty: str, items: Any, key: str | None) -> str:
        code, made, n = self._code, self._code.variable(), self._code.variable()
        code.add(f"{made} = {empty}")
        with code.within("while True:"):
            code.add(f"{n} = {self._length()}", f"if not {n}: break")
            with code.within(f"for _ in range({n}):"):
                if key is None:
                    code.add(f"{made}.append({self.of(items)})")
                else:
                    name = self.of(key)
                    code.add(f"{made}[{name}] = {self.of(items)}")
        return made

    def _record(self, schema: Any) -> str:
        made = self._code.variable()
        fields = [(self._code.constant(field["name"]), self.of(field["type"])) for field in schema["fields"]]
        self._code.add(f"{made} = {{{', '.join(f'{name}: {value}' for name, value in fields)}}}")
        return made
