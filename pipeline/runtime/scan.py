"""Bounded scans over the stores of several tasks, in one order, to be continued by a token."""

from __future__ import annotations

import heapq
import struct
from collections.abc import Generator, Iterable, Mapping
from operator import attrgetter
from typing import Any, Final, NamedTuple

from pipeline.errors import StateError
from pipeline.record import TaskId

#: Entries that a page holds unless told otherwise, and at most.
DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1_000

#: Entries that are looked at for one page, whether or not their window is wanted.
MAX_EXAMINED: Final = 10_000

_TOKEN: Final = struct.Struct(">qI")


class Row(NamedTuple):
    """One committed entry.

    Attributes:
        key_bytes: the key as it is stored, which is what rows are ordered by.
        start: start of the window in ms; 0 in a key-value store.
        partition: which task's store it is from.
        value: the value.
        timestamp: event time of the value in ms.
    """

    key_bytes: bytes
    start: int
    partition: int
    value: Any
    timestamp: int

    @property
    def position(self) -> tuple[bytes, int, int]:
        """Its place in the order of a scan."""
        return self.key_bytes, self.start, self.partition

    @property
    def token(self) -> bytes:
        """What continues a scan after it."""
        return _TOKEN.pack(self.start, self.partition) + self.key_bytes


class Range(NamedTuple):
    """What to scan.

    Attributes:
        start: first key, as bytes.
        end: key after the last, as bytes; None: there is no bound.
        from_ms: earliest start of a window; None: there is no bound. Window stores only.
        to_ms: latest start of a window; None: there is no bound. Window stores only.
    """

    start: bytes = b""
    end: bytes | None = None
    from_ms: int | None = None
    to_ms: int | None = None

    def wants(self, row: Row) -> bool:
        """Return whether the row's window lies within the times."""
        return (self.from_ms is None or row.start >= self.from_ms) and (
            self.to_ms is None or row.start <= self.to_ms
        )


class Page(NamedTuple):
    """A part of a scan: its rows, and the token that continues it; None: there is no more."""

    rows: list[Row]
    next: bytes | None


def scan_page(
    stores: Mapping[TaskId, Any], kind: str, wanted: Range, *, after: bytes | None, limit: int
) -> Page:
    """Return up to `limit` rows in the order of key bytes, then window start, then partition.

    A page may hold fewer rows and still have a token: of `MAX_EXAMINED` rows, the others lay
    outside of the times.

    Args:
        stores: key-value or window stores, by task.
        kind: `key-value` or `window`.
        wanted: what to scan.
        after: token of the page before.
        limit: number of rows.

    Raises:
        StateError: the token is not one of this function's, or a store was closed meanwhile.
    """
    resume = None if after is None else _position(after)
    start = wanted.start if resume is None else max(wanted.start, resume[0])
    rows_of = _window_rows if kind == "window" else _key_value_rows
    scans = [rows_of(task.partition, store, start, wanted.end) for task, store in stores.items()]
    rows: list[Row] = []
    examined = 0
    last: Row | None = None
    try:
        for row in heapq.merge(*scans, key=attrgetter("position")):
            if resume is not None and row.position <= resume:
                continue
            if last is not None and (len(rows) == limit or examined == MAX_EXAMINED):
                return Page(rows, last.token)
            examined += 1
            last = row
            if wanted.wants(row):
                rows.append(row)
    finally:
        # A store that is being closed waits for whoever reads it.
        for scan in scans:
            scan.close()
    return Page(rows, None)


def _key_value_rows(partition: int, store: Any, start: bytes, end: bytes | None) -> Generator[Row]:
    entries: Iterable[tuple[bytes, Any]] = store.committed_scan(start, end)
    for key, (value, timestamp) in entries:
        yield Row(key, 0, partition, value, timestamp)


def _window_rows(partition: int, store: Any, start: bytes, end: bytes | None) -> Generator[Row]:
    entries: Iterable[tuple[bytes, int, Any]] = store.committed_scan(start, end)
    for key, window_start, (value, timestamp) in entries:
        yield Row(key, window_start, partition, value, timestamp)


def _position(token: bytes) -> tuple[bytes, int, int]:
    if len(token) < _TOKEN.size:
        raise StateError("the token to continue a scan with is damaged: give that of the page before")
    start, partition = _TOKEN.unpack_from(token)
    return token[_TOKEN.size :], start, partition
