"""Windows as bytes, in the layout that the engine gives its changelog.

That of Kafka Streams: `WindowKeySchema`, and `SessionKeySchema` for sessions.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

import msgspec

from benchmarks.digest import Digest
from benchmarks.measurement import WorkName

#: A count of one, above a sum, in one number.
COUNT_ONE: Final = 1 << 40

_SUFFIX: Final = struct.Struct(">qI")
_SESSION: Final = struct.Struct(">qq")
_TIMESTAMP: Final = struct.Struct(">q")
_pack_suffix = _SUFFIX.pack
_pack_timestamp = _TIMESTAMP.pack
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[int, int]).decode


def pack_key(key: bytes, start_ms: int) -> bytes:
    """Return key, start and a sequence number of 0."""
    return key + _pack_suffix(start_ms, 0)


def unpack_key(work: WorkName, data: bytes) -> tuple[bytes, int]:
    """Return key and start of a window of this work."""
    if work == "session":
        _end, start = _SESSION.unpack_from(data, len(data) - _SESSION.size)
        return data[: -_SESSION.size], start
    start, _sequence = _SUFFIX.unpack_from(data, len(data) - _SUFFIX.size)
    return data[: -_SUFFIX.size], start


def pack_value(timestamp: int, count: int, total: int) -> bytes:
    """Return timestamp and `[count,total]` as JSON."""
    return _pack_timestamp(timestamp) + _encode((count, total))


def unpack_value(data: bytes) -> list[int]:
    """Return what `pack_value` packed."""
    return [_TIMESTAMP.unpack_from(data)[0], *_decode(data[_TIMESTAMP.size :])]


def windows_digest(entries: Iterable[tuple[bytes, bytes]]) -> Digest:
    """Return the digest of windows, given as `pack_key` and `pack_value` pack them."""
    digest = Digest()
    for key, value in entries:
        _timestamp, count, total = unpack_value(value)
        digest.add_window(*unpack_key("count", key), count, total)
    return digest
