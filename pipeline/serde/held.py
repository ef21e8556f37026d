"""What `suppress` holds back, as it lies in its store."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from pipeline.record import NO_HEADERS, Headers


class Held(NamedTuple):
    """A change that is held back; its key and timestamp are those of its entry.

    Attributes:
        new: its value, encoded; None: the row is deleted.
        old: the value that went on last, encoded; None: there was none.
        headers: of the record that it came with: stores keep none.
    """

    new: bytes | None
    old: bytes | None
    headers: Headers = NO_HEADERS

    @property
    def size(self) -> int:
        """Bytes of values and headers."""
        return sum(
            len(part)
            for part in (self.new, self.old, *(p for h in self.headers for p in h))
            if part is not None
        )


class HeldSerde:
    """Framed by MessagePack."""

    name = "held"

    def __init__(self) -> None:
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(
            tuple[bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]
        ).decode

    def serialize(self, value: Held, /) -> bytes:
        """Return the framed fields."""
        return self._encode(value)

    def deserialize(self, data: bytes, /) -> Held:
        """Return the fields."""
        return Held(*self._decode(data))
