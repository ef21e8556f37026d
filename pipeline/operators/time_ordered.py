"""Entries that wait for a time: what joins, suppress and emit-on-close hold back, in a store.

```
waiting      a@10   b@25   c@25        take_due(until=25): a, b, c, oldest first, ties by their bytes
```
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from pipeline.record import NO_HEADERS
from pipeline.state.keyvalue import KeyValueStore
from pipeline.state.store import Entry

_TIME = struct.Struct(">q")
#: Taken from the store at once: the store may change between two of them.
_CHUNK = 1_000


class Due(NamedTuple):
    """An entry whose time has come.

    Attributes:
        time: what it waited for, in ms.
        rest: what distinguishes it from others of the same time.
        entry: what was put.
    """

    time: int
    rest: bytes
    entry: Entry


class TimeOrdered:
    """A view of a key-value store (`ordered`, keys of bytes) in the order of a time, never negative.

    Args:
        store: its key is the time (8 bytes, big-endian), then `rest`.
    """

    def __init__(self, store: KeyValueStore[bytes, Any]) -> None:
        self._store = store
        #: No entry waits for a time before this, so that most questions cost no scan.
        self._earliest = 0

    def get(self, time: int, rest: bytes) -> Entry | None:
        """Return the entry, None if there is none."""
        return self._store.get_entry(_TIME.pack(time) + rest)

    def put(self, time: int, rest: bytes, value: Any, timestamp: int) -> None:
        """Let a value wait for `time`, in ms; it replaces another one of the same time and rest."""
        self._store.put_entry(_TIME.pack(time) + rest, value, timestamp, NO_HEADERS)
        self._earliest = min(self._earliest, time)

    def remove(self, time: int, rest: bytes) -> bool:
        """Forget an entry, and return whether there was one."""
        key = _TIME.pack(time) + rest
        entry = self._store.get_entry(key)
        if entry is None:
            return False
        self._store.put_entry(key, None, entry.timestamp, NO_HEADERS)
        return True

    def take_due(self, until: int) -> Iterator[Due]:
        """Yield and remove every entry with a time up to `until`, by time, then by rest."""
        while self._earliest <= until:
            found = list(islice(self._store.range_entries(_TIME.pack(self._earliest)), _CHUNK))
            for key, entry in found:
                time: int = _TIME.unpack_from(key)[0]
                self._earliest = time
                if time > until:
                    return
                self._store.put_entry(key, None, entry.timestamp, NO_HEADERS)
                yield Due(time, key[_TIME.size :], entry)
            if len(found) < _CHUNK:
                # Whatever is put from now on says so itself.
                self._earliest = max(self._earliest, until + 1)
                return

    def first(self) -> Due | None:
        """Return the entry that waits for the earliest time, without removing it; None if none waits."""
        for key, entry in self._store.range_entries(_TIME.pack(self._earliest)):
            time: int = _TIME.unpack_from(key)[0]
            self._earliest = time
            return Due(time, key[_TIME.size :], entry)
        return None
