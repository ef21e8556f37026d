"""Serdes made of other serdes: lists of values, values of one of two types."""

from __future__ import annotations

from typing import Any

import msgspec

from pipeline.serde.base import Serde, Wrapper


class ListSerde(Wrapper):
    """A list of values, each encoded by `inner`, framed by MessagePack."""

    def __init__(self, inner: Serde[Any]) -> None:
        super().__init__(inner)
        self.name = f"list:{inner.name}"
        self._inner = inner
        self._decode = msgspec.msgpack.Decoder(list[bytes]).decode

    def serialize(self, value: list[Any], /) -> bytes:
        """Return the framed encodings."""
        encode = self._inner.serialize
        return msgspec.msgpack.encode([encode(item) for item in value])

    def deserialize(self, data: bytes, /) -> list[Any]:
        """Return the decoded items in order."""
        decode = self._inner.deserialize
        return [decode(item) for item in self._decode(data)]


class EitherSerde(Wrapper):
    """A value of one of two types, as `(is_first, value)`: a byte tells which, then the value."""

    def __init__(self, first: Serde[Any], second: Serde[Any]) -> None:
        super().__init__(first, second, suffixes=("-left", "-right"))
        self.name = f"either:{first.name}|{second.name}"
        self._first, self._second = first, second

    def serialize(self, value: tuple[bool, Any], /) -> bytes:
        """Return 1 or 0, followed by the value's bytes."""
        is_first, content = value
        return b"\1" + self._first.serialize(content) if is_first else b"\0" + self._second.serialize(content)

    def deserialize(self, data: bytes, /) -> tuple[bool, Any]:
        """Return which type it is, and the value."""
        is_first = data[0] == 1
        return is_first, (self._first if is_first else self._second).deserialize(data[1:])
