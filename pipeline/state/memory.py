"""An ordered map of bytes in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from weakref import WeakSet

from sortedcontainers import SortedDict

from pipeline.errors import StateError
from pipeline.state.rows import Rows

#: Entries that a scan takes at once.
_CHUNK = 32


class MemoryStore:
    """`BytesStore` in memory; gone with the process, restored from the changelog."""

    def __init__(self, name: str = "memory") -> None:
        self._name = name
        self._entries: SortedDict = SortedDict()
        self._position = 0
        self._closed = False
        # A sorted dictionary that is read while it is written to can show a torn state.
        self._lock = threading.Lock()
        self._scans: WeakSet[_Scan] = WeakSet()

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
            keys = (
                self._entries.irange(start, end, (True, False), reverse) if end is None or start < end else ()
            )
            first = [(key, self._entries[key]) for key in islice(keys, _CHUNK)]
            if len(first) < _CHUNK:
                # Most scans end here.
                return self._checked(first)
            scan = _Scan(self, self._entries, first, start, end, reverse=reverse)
            self._scans.add(scan)
        return scan

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
            self._finish_scans()
            for start, end in drop:
                for key in list(self._entries.irange(start, end, (True, False))) if start < end else ():
                    del self._entries[key]
            for key, value in changes.items():
                if value is None:
                    self._entries.pop(key, None)
                else:
                    self._entries[key] = value
            self._position = position

    def load(self, rows: Rows, position: int) -> None:
        """Apply the rows, set the position."""
        self.write(dict(rows), position)

    def expect(self, rows: int) -> None:
        """Do nothing: it is always ready."""

    def _finish_scans(self) -> None:
        """Let every scan that goes on take the rest of what it is to see: that is about to change."""
        for scan in list(self._scans):
            scan.take_rest()
        self._scans.clear()

    def properties(self) -> Mapping[str, int]:
        """Return how many entries there are."""
        return {"estimate-num-keys": self.approximate_count()}

    def approximate_count(self) -> int:
        """Return the number of entries."""
        with self._lock:
            self._check_open()
            return len(self._entries)

    def position(self) -> int:
        """Return the changelog position of the last write."""
        self._check_open()
        return self._position

    def wipe(self) -> None:
        """Remove every entry."""
        with self._lock:
            self._check_open()
            self._finish_scans()
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


class _Scan:
    """An iteration over a snapshot that is copied only as far as it is read, or when it is written over."""

    def __init__(
        self,
        store: MemoryStore,
        entries: SortedDict,
        first: list[tuple[bytes, bytes]],
        start: bytes,
        end: bytes | None,
        *,
        reverse: bool,
    ) -> None:
        self._lock, self._check_open = store._lock, store._check_open  # noqa: SLF001 - a part of the store
        self._entries, self._reverse = entries, reverse
        self._start, self._end = start, end
        self._keep(first)
        self._done = False

    def __iter__(self) -> _Scan:
        return self

    def __next__(self) -> tuple[bytes, bytes]:
        with self._lock:
            self._check_open()
            entry = next(self._taken, None)
            if entry is None and not self._done:
                self._take(_CHUNK)
                entry = next(self._taken, None)
        if entry is None:
            raise StopIteration
        return entry

    def _take(self, count: int | None) -> None:
        keys = self._entries.irange(self._start, self._end, (self._reverse, False), self._reverse)
        taken = [(key, self._entries[key]) for key in islice(keys, count)]
        self._done = count is None or len(taken) < count
        self._keep(taken)

    def _keep(self, taken: list[tuple[bytes, bytes]]) -> None:
        self._taken = iter(taken)
        if taken:
            last = taken[-1][0]
            self._start, self._end = (self._start, last) if self._reverse else (last, self._end)

    def take_rest(self) -> None:
        """Copy what has not been read yet."""
        if not self._done:
            before = list(self._taken)
            self._take(None)
            self._taken = iter([*before, *self._taken])
