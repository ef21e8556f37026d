"""Avro schemas, and values of them, whatever they are."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
_PRIMITIVES = {
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False),
    "string": _TEXT,
    "bytes": st.binary(max_size=9),
}
_LEAVES = st.sampled_from([*_PRIMITIVES, "enum", "fixed"])
_KINDS = st.sampled_from([*_PRIMITIVES, "enum", "fixed", "array", "map", "union", "record"])
_COUNTS = st.integers(0, 3)
_SYMBOLS = ["A", "B", "C"]


def record(*fields: dict[str, Any], name: str = "shop.Order") -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields)}


def field(name: str, type_: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": type_, **more}


@st.composite
def typed_values(draw: st.DrawFn) -> tuple[Any, Any]:
    """A schema, and a value of it."""
    schema = _schema(draw, 3, "N")
    return schema, _value(draw, schema)


def _schema(draw: st.DrawFn, depth: int, name: str) -> Any:
    kind = draw(_KINDS if depth else _LEAVES)
    schema: Any = kind
    if kind == "enum":
        schema = {"type": "enum", "name": name, "symbols": _SYMBOLS}
    elif kind == "fixed":
        schema = {"type": "fixed", "name": name, "size": 1 + draw(_COUNTS)}
    elif kind in {"array", "map"}:
        schema = {
            "type": kind,
            "items" if kind == "array" else "values": _schema(draw, depth - 1, f"{name}a"),
        }
    elif kind == "record":
        parts = [_schema(draw, depth - 1, f"{name}{n}") for n in range(1 + draw(_COUNTS))]
        schema = record(*(field(f"f{n}", part) for n, part in enumerate(parts)), name=name)
    elif kind == "union":
        # A union has no union in it.
        inner = _schema(draw, depth - 1, f"{name}u")
        schema = ["null", *(inner[1:] if isinstance(inner, list) else [inner])]
    return schema


def _value(draw: st.DrawFn, schema: Any) -> Any:
    if isinstance(schema, list):
        return None if draw(_COUNTS) == 0 else _value(draw, schema[1])
    if isinstance(schema, str):
        return draw(_PRIMITIVES[schema])
    kind = schema["type"]
    if kind == "array":
        return [_value(draw, schema["items"]) for _ in range(draw(_COUNTS))]
    if kind == "map":
        return {draw(_TEXT): _value(draw, schema["values"]) for _ in range(draw(_COUNTS))}
    if kind == "record":
        return {each["name"]: _value(draw, each["type"]) for each in schema["fields"]}
    size = schema.get("size")
    return draw(st.sampled_from(_SYMBOLS) if size is None else st.binary(min_size=size, max_size=size))
