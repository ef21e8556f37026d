"""Entries that wait for a time: what joins, suppress and emit-on-close hold back, in a store.

```
waiting      a@10   b@25   c@25        take_due(until=25): a, b, c, oldest first, ties by their bytes
```
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from pipeline.record import NO_HEADERS
from pipeline.state.keyvalue import KeyValueStore, after_prefix
from pipeline.state.store import Entry

_TIME = struct.Struct(">q")
#: Taken from the store at once: the store may change between two of them.
_CHUNK = 1_000
#: Before every entry, and after every one: nothing waits, and what is put from now on says so itself.
_START, _NEVER = b"", b"\xff"


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
        store: its key is the prefix, the time (8 bytes, big-endian), then `rest`.
        prefix: what distinguishes these entries from others in the store.
    """

    def __init__(self, store: KeyValueStore[bytes, Any], prefix: bytes = b"") -> None:
        self._store, self._prefix, self._end = store, prefix, after_prefix(prefix)
        self._rest_at = len(prefix) + _TIME.size
        #: No entry's time and rest come before this: most questions cost no scan, and no scan passes what
        #: was removed.
        self._earliest = _START

    def get(self, time: int, rest: bytes) -> Entry | None:
        """Return the entry, None if there is none."""
        return self._store.get_entry(self._key(time, rest))

    def put(self, time: int, rest: bytes, value: Any, timestamp: int) -> None:
        """Let a value wait for `time`, in ms; it replaces another one of the same time and rest."""
        place = _TIME.pack(time) + rest
        self._store.put_entry(self._prefix + place, value, timestamp, NO_HEADERS)
        self._earliest = min(self._earliest, place)

    def remove(self, time: int, rest: bytes) -> bool:
        """Forget an entry, and return whether there was one."""
        key = self._key(time, rest)
        entry = self._store.get_entry(key)
        if entry is None:
            return False
        self._store.put_entry(key, None, entry.timestamp, NO_HEADERS)
        return True

    def has_due(self, until: int) -> bool:
        """Return False if nothing waits for a time up to `until`; True if something may."""
        return until >= 0 and self._earliest < _TIME.pack(until + 1)

    def take_due(self, until: int) -> Iterator[Due]:
        """Yield every entry with a time up to `until`, by time, then by rest; they are removed.

        To be iterated to its end: a thousand at once are removed before the first of them is yielded.
        """
        while self.has_due(until):
            found, self._earliest = self._first_due(until)
            for due in found:
                self._store.put_entry(self._key(due.time, due.rest), None, due.entry.timestamp, NO_HEADERS)
            yield from found

    def _first_due(self, until: int) -> tuple[list[Due], bytes]:
        """Return a chunk of what is due, and before which place nothing else waits."""
        found: list[Due] = []
        for due in self._scan():
            if due.time > until or len(found) == _CHUNK:
                return found, _TIME.pack(due.time) + due.rest
            found.append(due)
        return found, _NEVER

    def first(self) -> Due | None:
        """Return the entry that waits for the earliest time, without removing it; None if none waits."""
        due = next(self._scan(), None)
        self._earliest = _NEVER if due is None else _TIME.pack(due.time) + due.rest
        return due

    def all(self) -> Iterator[Due]:
        """Yield every entry by time, then by rest; none is removed."""
        return self._scan()

    def _scan(self) -> Iterator[Due]:
        rest_at = self._rest_at
        for key, entry in self._store.range_entries(self._prefix + self._earliest, self._end):
            yield Due(_TIME.unpack_from(key, rest_at - _TIME.size)[0], key[rest_at:], entry)

    def _key(self, time: int, rest: bytes) -> bytes:
        return self._prefix + _TIME.pack(time) + rest
