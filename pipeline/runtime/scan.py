"""Bounded scans over the stores of several tasks, in one order, to be continued by a token."""

from __future__ import annotations

import heapq
import struct
from collections.abc import Generator, Iterable, Mapping
from operator import attrgetter
from typing import Any, Final, NamedTuple

from pipeline.record import TaskId

#: Entries that a page holds unless told otherwise, and at most.
DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1_000

#: Entries that are looked at for one page, whether or not their window is wanted.
MAX_EXAMINED: Final = 10_000

_TOKEN: Final = struct.Struct(">qI")


class Position(NamedTuple):
    """A row's place in the order of a scan.

    Attributes:
        key_bytes: the key as it is stored.
        start: start of the window in ms; 0 in a key-value store.
        partition: which task's store it is from.
    """

    key_bytes: bytes
    start: int
    partition: int

    def to_token(self) -> bytes:
        """Return what continues a scan after this row."""
        return _TOKEN.pack(self.start, self.partition) + self.key_bytes

    @classmethod
    def from_token(cls, token: bytes) -> Position:
        """Return the place that `to_token` wrote down.

        Raises:
            ValueError: it did not.
        """
        if len(token) < _TOKEN.size:
            raise ValueError(f"a token has at least {_TOKEN.size} bytes, not {len(token)}")
        start, partition = _TOKEN.unpack_from(token)
        return cls(token[_TOKEN.size :], start, partition)


class Row(NamedTuple):
    """One committed entry.

    Attributes:
        position: its place, which holds its key.
        value: the value.
        timestamp: event time of the value in ms.
    """

    position: Position
    value: Any
    timestamp: int


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
        start = row.position.start
        return (self.from_ms is None or start >= self.from_ms) and (self.to_ms is None or start <= self.to_ms)


class Page(NamedTuple):
    """A part of a scan: its rows, and where the next page goes on; None: there is no more."""

    rows: list[Row]
    next: Position | None


def scan_page(
    stores: Mapping[TaskId, Any], kind: str, wanted: Range, *, after: Position | None, limit: int
) -> Page:
    """Return up to `limit` rows in the order of key bytes, then window start, then partition.

    A page may hold fewer rows and still have a next one: of `MAX_EXAMINED` rows, the others lay
    outside of the times.

    Args:
        stores: key-value or window stores, by task.
        kind: `key-value` or `window`.
        wanted: what to scan.
        after: `next` of the page before.
        limit: number of rows.

    Raises:
        StateError: a store was closed meanwhile.
    """
    start = wanted.start if after is None else max(wanted.start, after.key_bytes)
    rows_of = _window_rows if kind == "window" else _key_value_rows
    scans = [rows_of(task.partition, store, start, wanted.end) for task, store in stores.items()]
    rows: list[Row] = []
    examined = 0
    last: Row | None = None
    try:
        for row in heapq.merge(*scans, key=attrgetter("position")):
            if after is not None and row.position <= after:
                continue
            if last is not None and (len(rows) == limit or examined == MAX_EXAMINED):
                return Page(rows, last.position)
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
        yield Row(Position(key, 0, partition), value, timestamp)


def _window_rows(partition: int, store: Any, start: bytes, end: bytes | None) -> Generator[Row]:
    entries: Iterable[tuple[bytes, int, Any]] = store.committed_scan(start, end)
    for key, window_start, (value, timestamp) in entries:
        yield Row(Position(key, window_start, partition), value, timestamp)
