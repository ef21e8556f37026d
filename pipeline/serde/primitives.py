"""Bytes, strings and integers, encoded as Kafka's own Java serdes encode them."""

from __future__ import annotations

import struct
from collections.abc import Callable

_INT64 = struct.Struct(">q")


class BytesSerde:
    """The bytes as they are."""

    name = "bytes"
    # Of the built-in type, as with strings: bytes are returned as they are, anything else is a TypeError.
    serialize: Callable[[bytes], bytes] = staticmethod(bytes.__bytes__)

    def deserialize(self, data: bytes, /) -> bytes:
        """Return `data`."""
        return data


class StringSerde:
    """UTF-8, strict in both directions."""

    name = "string"
    # The methods of the built-in types are the fastest there are, and as strict as is wanted.
    serialize: Callable[[str], bytes] = staticmethod(str.encode)
    deserialize: Callable[[bytes], str] = staticmethod(bytes.decode)


class Int64Serde:
    """Signed 64-bit big-endian, as Kafka's `LongSerializer`."""

    name = "int64"
    serialize: Callable[[int], bytes] = staticmethod(_INT64.pack)

    def deserialize(self, data: bytes, /) -> int:
        """Return the integer; other than eight bytes is a ValueError."""
        try:
            number: int = _INT64.unpack(data)[0]
        except struct.error:
            raise ValueError(f"an int64 is 8 bytes, big-endian, and this is {len(data)}") from None
        return number


BYTES = BytesSerde()
STRING = StringSerde()
INT64 = Int64Serde()
