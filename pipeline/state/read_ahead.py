"""Committed entries that are asked for next, read some at a time.

Opening a scan of a database costs as much as reading dozens of entries from it. Who takes the first
entry of a store again and again, as operators do with what waits there, opens one for each chunk.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice
from typing import Final

from pipeline.state.store import BytesStore

_CHUNK: Final = 64


class ReadAhead:
    """Scans a `BytesStore` forward, from a chunk that is kept until the store is written.

    Args:
        engine: the store; whoever writes it calls `forget`.
    """

    def __init__(self, engine: BytesStore) -> None:
        self._engine = engine
        self.forget()

    def forget(self) -> None:
        """Read again: the store was written."""
        #: The chunk holds every entry with `_start <= key < _end`; `_end` None: of all that follow.
        self._start: bytes | None = None
        self._end: bytes | None = None
        self._keys: list[bytes] = []
        self._values: list[bytes] = []

    def scan(self, start: bytes, end: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        """Iterate entries with `start <= key < end`; not to be continued after the store was written."""
        while True:
            if self._start is None or start < self._start or (self._end is not None and start >= self._end):
                self._read(start)
            keys, values, covered = self._keys, self._values, self._end
            for place in range(bisect_left(keys, start), len(keys)):
                if end is not None and keys[place] >= end:
                    return
                yield keys[place], values[place]
            if covered is None or (end is not None and end <= covered):
                return
            start = covered

    def _read(self, start: bytes) -> None:
        chunk = list(islice(self._engine.scan(start, None), _CHUNK))
        self._keys, self._values = [key for key, _ in chunk], [value for _, value in chunk]
        self._start, self._end = start, chunk[-1][0] + b"\0" if len(chunk) == _CHUNK else None
