"""Bounded scans over the stores of several tasks, in one order, to be continued by a token."""

from __future__ import annotations

import heapq
import struct
from collections.abc import Callable, Generator, Iterable, Mapping
from operator import attrgetter
from typing import Any, Final, NamedTuple

from pipeline.record import TaskId

#: Entries that a page holds unless told otherwise, and at most.
DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1_000

#: Entries that are looked at for one page, whether or not their window is wanted.
MAX_EXAMINED: Final = 10_000

_TOKEN: Final = struct.Struct(">qqI")


class Position(NamedTuple):
    """A row's place in the order of a scan.

    Attributes:
        key_bytes: the key as it is stored.
        end: end of the session in ms; 0 in other stores.
        start: start of the window or session in ms; 0 in stores without.
        partition: which task's store it is from.
    """

    key_bytes: bytes
    end: int
    start: int
    partition: int

    def to_token(self) -> bytes:
        """Return what continues a scan after this row."""
        return _TOKEN.pack(self.end, self.start, self.partition) + self.key_bytes

    @classmethod
    def from_token(cls, token: bytes) -> Position:
        """Return the place that `to_token` wrote down.

        Raises:
            ValueError: it did not.
        """
        if len(token) < _TOKEN.size:
            raise ValueError(f"a token has at least {_TOKEN.size} bytes, not {len(token)}")
        return cls(token[_TOKEN.size :], *_TOKEN.unpack_from(token))


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
        from_ms: earliest start of a window, earliest end of a session; None: there is no bound.
        to_ms: latest start of a window or session; None: there is no bound.
    """

    start: bytes = b""
    end: bytes | None = None
    from_ms: int | None = None
    to_ms: int | None = None

    def wants(self, row: Row) -> bool:
        """Return whether the row's window begins within the times, or its session overlaps them."""
        _key, end, start, _partition = row.position
        # A window has no end here: when it starts is what counts.
        latest = max(start, end)
        return (self.from_ms is None or latest >= self.from_ms) and (
            self.to_ms is None or start <= self.to_ms
        )


class Page(NamedTuple):
    """A part of a scan: its rows, and where the next page goes on; None: there is no more."""

    rows: list[Row]
    next: Position | None


def scan_page(
    stores: Mapping[TaskId, Any], kind: str, wanted: Range, *, after: Position | None, limit: int
) -> Page:
    """Return up to `limit` rows in the order of key bytes, then end, start, and partition.

    A page may hold fewer rows and still have a next one: of `MAX_EXAMINED` rows, the others lay
    outside of the times.

    Args:
        stores: the typed stores, by task.
        kind: which kind of stores they are; see `StoreSpec`.
        wanted: what to scan.
        after: `next` of the page before.
        limit: number of rows.

    Raises:
        StateError: a store was closed meanwhile.
    """
    start = wanted.start if after is None else max(wanted.start, after.key_bytes)
    rows_of = _ROWS[kind]
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
        yield Row(Position(key, 0, 0, partition), value, timestamp)


def _window_rows(partition: int, store: Any, start: bytes, end: bytes | None) -> Generator[Row]:
    entries: Iterable[tuple[bytes, int, Any]] = store.committed_scan(start, end)
    for key, window_start, (value, timestamp) in entries:
        yield Row(Position(key, 0, window_start, partition), value, timestamp)


def _session_rows(partition: int, store: Any, start: bytes, end: bytes | None) -> Generator[Row]:
    entries: Iterable[tuple[bytes, int, int, Any]] = store.committed_scan(start, end)
    for key, began, ended, (value, timestamp) in entries:
        yield Row(Position(key, ended, began, partition), value, timestamp)


#: By kind of store: what makes rows of its entries. Of a versioned store, its latest versions.
_ROWS: Final[dict[str, Callable[[int, Any, bytes, bytes | None], Generator[Row]]]] = {
    "key-value": _key_value_rows,
    "versioned": _key_value_rows,
    "window": _window_rows,
    "session": _session_rows,
}
