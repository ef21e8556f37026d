"""Serdes made of other serdes: windowed keys, and lists of values."""

from __future__ import annotations

import struct
from typing import Any

import msgspec

from pipeline.record import Windowed
from pipeline.serde.base import Serde

_START = struct.Struct(">q")


class TimeWindowedSerde:
    """A windowed key as Kafka's `TimeWindowedSerializer` writes it: key bytes, then start (8, BE).

    The end is not written: whoever reads must know the size.

    Args:
        inner: serde of the key within the window.
        size_ms: window size.
    """

    def __init__(self, inner: Serde[Any], size_ms: int) -> None:
        self.name = f"windowed:{inner.name}"
        self.inner = inner
        self.size_ms = size_ms

    def serialize(self, value: Windowed[Any], /) -> bytes:
        """Return key bytes followed by the window's start."""
        return self.inner.serialize(value.key) + _START.pack(value.start)

    def deserialize(self, data: bytes, /) -> Windowed[Any]:
        """Return the key and its window."""
        start: int = _START.unpack(data[-8:])[0]
        return Windowed(self.inner.deserialize(data[:-8]), start, start + self.size_ms)


class ListSerde:
    """A list of values, each encoded by `inner`, framed by MessagePack."""

    def __init__(self, inner: Serde[Any]) -> None:
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
