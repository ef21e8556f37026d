"""An ordered map of bytes in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence

from sortedcontainers import SortedDict

from pipeline.errors import StateError


class MemoryStore:
    """`BytesStore` in memory; gone with the process, restored from the changelog."""

    def __init__(self, name: str = "memory") -> None:
        self._name = name
        self._entries: SortedDict = SortedDict()
        self._position = 0
        self._closed = False
        # A sorted dictionary that is read while it is written to can show a torn state.
        self._lock = threading.Lock()

    def get(self, key: bytes) -> bytes | None:
        """Return the value under `key`, or None."""
        with self._lock:
            self._check_open()
            value: bytes | None = self._entries.get(key)
            return value

    def scan(
        self, start: bytes, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Iterate entries with `start <= key < end` as they are now."""
        with self._lock:
            self._check_open()
            keys = [] if end is not None and end <= start else self._keys(start, end, reverse=reverse)
            return self._checked([(key, self._entries[key]) for key in keys])

    def _keys(self, start: bytes, end: bytes | None, *, reverse: bool = False) -> list[bytes]:
        return list(self._entries.irange(start, end, inclusive=(True, False), reverse=reverse))

    def _checked(self, entries: list[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        for entry in entries:
            self._check_open()
            yield entry

    def write(
        self, changes: Mapping[bytes, bytes | None], position: int, drop: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        """Drop the ranges, apply the changes, set the position."""
        with self._lock:
            self._check_open()
            for start, end in drop:
                for key in self._keys(start, end) if start < end else ():
                    del self._entries[key]
            for key, value in changes.items():
                if value is None:
                    self._entries.pop(key, None)
                else:
                    self._entries[key] = value
            self._position = position

    def position(self) -> int:
        """Return the changelog position of the last write."""
        self._check_open()
        return self._position

    def wipe(self) -> None:
        """Remove every entry."""
        with self._lock:
            self._check_open()
            self._entries.clear()
            self._position = 0

    def close(self) -> None:
        """Refuse further use."""
        self._closed = True

    def reopen(self) -> MemoryStore:
        """Allow use again, with the entries that were written."""
        self._closed = False
        return self

    def _check_open(self) -> None:
        if self._closed:
            raise StateError(f"store {self._name} is closed")
