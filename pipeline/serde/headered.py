"""A value with a record's headers: for what waits in a store, which keeps no headers itself."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from pipeline.record import Headers
from pipeline.serde.base import Serde, Wrapper


class Headered(NamedTuple):
    """A value, and the headers of the record that brought it."""

    value: Any
    headers: Headers


class HeaderedSerde(Wrapper):
    """Headers and the value's bytes, framed by MessagePack.

    Args:
        inner: serde of the value.
    """

    def __init__(self, inner: Serde[Any]) -> None:
        super().__init__(inner)
        self.name = f"headered:{inner.name}"
        self._inner = inner
        self._decode = msgspec.msgpack.Decoder(tuple[tuple[tuple[str, bytes | None], ...], bytes]).decode

    def serialize(self, value: Headered, /) -> bytes:
        """Return the framed encoding."""
        return msgspec.msgpack.encode((value.headers, self._inner.serialize(value.value)))

    def deserialize(self, data: bytes, /) -> Headered:
        """Return the value, and the headers in their order."""
        headers, value = self._decode(data)
        return Headered(self._inner.deserialize(value), headers)
