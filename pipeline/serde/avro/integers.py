"""Whole numbers that fit: fastavro writes `int(value)`, of as many bits as it has.

So 1.5 would become 1, and an `int` of 40 bits bytes that other languages cannot read. What is in a union
fastavro checks itself, to choose the branch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any, Final, TypeAlias

Check: TypeAlias = Callable[[Any], None]

_BITS: Final = {"int": 32, "long": 64}


def integer_check(schema: Any, named: Mapping[str, Any]) -> Check | None:
    """Return what checks the whole numbers of a value before it is written; None: it has none.

    What it returns raises a ValueError.

    Args:
        schema: parsed by fastavro.
        named: the types that have names.
    """
    return _Checks(named).of(schema, "the value")


class _Checks:
    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = named
        #: Of records, by name: a record can contain itself.
        self._records: dict[str, Check] = {}

    def of(self, schema: Any, where: str) -> Check | None:
        if isinstance(schema, str):
            schema = self._named.get(schema, {"type": schema})
        if isinstance(schema, list) or "logicalType" in schema:
            return None
        kind = schema["type"]
        if isinstance(kind, dict):
            return self.of(kind, where)
        if kind in _BITS:
            return _number(kind, where)
        if kind in {"array", "map"}:
            return _each(self.of(schema["items" if kind == "array" else "values"], where), kind)
        return self._record(schema) if kind in {"record", "error"} else None

    def _record(self, schema: Mapping[str, Any]) -> Check:
        name = schema["name"]
        if name in self._records:
            return self._records[name]
        fields: list[tuple[str, Check]] = []

        def check(value: Any) -> None:
            get = value.get
            for field, check_field in fields:
                found = get(field)
                # fastavro says it better if it is missing, or has a default for it.
                if found is not None:
                    check_field(found)

        self._records[name] = check
        for field in schema["fields"]:
            check_field = self.of(field["type"], f"field {field['name']} of {name}")
            if check_field is not None:
                fields.append((field["name"], check_field))
        return check


def _number(kind: str, where: str) -> Check:
    bits = _BITS[kind]
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1

    def check(value: Any) -> None:
        if value.__class__ is int:
            number: int = value
        elif isinstance(value, Integral):
            number = int(value)
        else:
            raise ValueError(f"{where} is {value!r}, which is no whole number: its type is {kind}")
        if not low <= number <= high:
            raise ValueError(f"{where} is {value}, which does not fit into the {bits} bits of an Avro {kind}")

    return check


def _each(check: Check | None, kind: str) -> Check | None:
    if check is None:
        return None

    def check_each(values: Any) -> None:
        for value in values if kind == "array" else values.values():
            check(value)

    return check_each
