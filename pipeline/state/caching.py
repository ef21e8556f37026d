"""What every typed store shares: values with timestamps, and where uncommitted entries are kept."""

from __future__ import annotations

import heapq
import struct
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Any

from pipeline.errors import StateError
from pipeline.record import NO_HEADERS
from pipeline.serde import Serde
from pipeline.state.store import Entry

_TIMESTAMP = struct.Struct(">q")
TIMESTAMP_SIZE = _TIMESTAMP.size
pack_time = _TIMESTAMP.pack


def decode_entry(stored: bytes, serde: Serde[Any]) -> Entry:
    """Return the entry of a stored value: timestamp (8 bytes, big-endian), then the value's bytes."""
    timestamp: int = _TIMESTAMP.unpack_from(stored)[0]
    return Entry(serde.deserialize(stored[TIMESTAMP_SIZE:]), timestamp, NO_HEADERS)


def merge_scans(
    stored: Iterator[tuple[bytes, bytes]],
    overlay: Iterable[tuple[bytes, bytes | Entry | None]],
    *,
    reverse: bool,
) -> Iterator[tuple[bytes, bytes | Entry | None]]:
    """Merge two ordered scans; where both have a key, the overlay's entry counts."""
    last: bytes | None = None
    # heapq.merge is stable: of equal keys, the overlay's comes first.
    for key, value in heapq.merge(overlay, stored, key=itemgetter(0), reverse=reverse):
        if key != last:
            last = key
            yield key, value


def unencodable_value(name: str, serde: Serde[Any], error: Exception) -> StateError:
    """Return the error that says that a store was given a value of another type than was declared."""
    return StateError(
        f"store {name!r} holds a value that cannot be encoded as {serde.name}: {error}; what its aggregator, "
        "reducer or processor returns is not what value= says"
    )
