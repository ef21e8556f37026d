"""A table's change, as Kafka Streams writes it to the repartition topic of a grouped table."""

from __future__ import annotations

from typing import Any, Final

from pipeline.record import Change
from pipeline.serde.base import Serde, Wrapper

#: The last byte says what comes before it.
_OLD: Final = 0
_NEW: Final = 1
_BOTH: Final = 2
#: What is added to it when the byte before it says whether the change is the latest.
_SAYS_LATEST: Final = 3


class ChangeSerde(Wrapper):
    """The format of Kafka's `ChangedSerializer` (KIP-904).

        old alone   old, 0
        new alone   new, 1
        both        length of new (zigzag varint), new, old, 2

    What tells of the past of a versioned table (flags 3 to 5, a byte before them) is read, not written.

    Args:
        inner: serde of both values.
    """

    def __init__(self, inner: Serde[Any]) -> None:
        super().__init__(inner)
        self.name = f"change:{inner.name}"
        self._encode, self._decode = inner.serialize, inner.deserialize

    def serialize(self, value: Change[Any], /) -> bytes:
        """Return the bytes of a change; one without any value is a ValueError."""
        new, old = value.new, value.old
        if new is None:
            if old is None:
                raise ValueError("a change of nothing to nothing")
            return self._encode(old) + bytes((_OLD,))
        new_bytes = self._encode(new)
        if old is None:
            return new_bytes + bytes((_NEW,))
        return _varint(len(new_bytes)) + new_bytes + self._encode(old) + bytes((_BOTH,))

    def deserialize(self, data: bytes, /) -> Change[Any]:
        """Return the change; bytes that are none are a ValueError."""
        if not data:
            raise ValueError("a change of no bytes")
        flag, end, is_latest = data[-1], len(data) - 1, True
        if flag >= _SAYS_LATEST:
            flag, end = flag - _SAYS_LATEST, end - 1
            is_latest = end >= 0 and data[end] == 1
        if flag == _OLD:
            return Change(None, self._decode(data[:end]), is_latest)
        if flag == _NEW:
            return Change(self._decode(data[:end]), None, is_latest)
        if flag != _BOTH:
            raise ValueError(f"a change that ends in {data[-1]}")
        size, start = _read_varint(data)
        if start + size > end:
            raise ValueError(f"a change whose new value has {size} bytes, of {end - start}")
        new, old = data[start : start + size], data[start + size : end]
        return Change(self._decode(new), self._decode(old), is_latest)


def _varint(number: int) -> bytes:
    """Return a length as Kafka's `ByteUtils.writeVarint` does: zigzag, seven bits a byte, low ones first."""
    rest, written = number << 1, bytearray()
    while rest > 0x7F:  # noqa: PLR2004 - seven bits
        written.append(rest & 0x7F | 0x80)
        rest >>= 7
    written.append(rest)
    return bytes(written)


def _read_varint(data: bytes) -> tuple[int, int]:
    """Return the length that `data` begins with, and where what follows starts."""
    zigzag = 0
    for index, byte in enumerate(data):
        zigzag |= (byte & 0x7F) << 7 * index
        if byte < 0x80:  # noqa: PLR2004 - the last one
            return zigzag >> 1, index + 1
    raise ValueError("a change whose length does not end")
