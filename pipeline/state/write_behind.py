"""A store on disk is one commit behind: it is written while the client sends what the next one has flushed.

```
changelog     |-----------------------|- - - - - - - -|
              what the store holds     the last commit
```

What a commit changes is kept in memory until the next one has handed its records to the client: RocksDB is
written then, and not while nothing else is under way. A killed worker finds a store that is behind, at a
position of its own, and restores the rest from the changelog, as it does with what RocksDB had not flushed
to its files.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

from pipeline.errors import CorruptStoreError
from pipeline.state.cache_size import ENTRY_BYTES
from pipeline.state.merging import merge_scans
from pipeline.state.rows import Rows
from pipeline.state.store import BytesStore

_ABSENT: Final = b"absent"
#: Of so many entries the mean length is made.
_SAMPLE: Final = 64


class WriteBehind:
    """A `BytesStore` whose last write reaches another one later; a `Cache` of the bound over all caches.

    Reading shows everything that was committed, and waits for no write: HTTP reads where nothing may wait.

    Args:
        store: where entries go.
    """

    def __init__(self, store: BytesStore) -> None:
        self._store = store
        #: The last write, None if it is done.
        self._waiting: Mapping[bytes, bytes | None] | None = None
        self._position = store.position()
        self._closed = False
        #: How many there were.
        self._writes = 0
        #: The keys of a last write that was scanned, in order.
        self._ordered: tuple[Mapping[bytes, bytes | None], list[bytes]] = ({}, [])
        # A cache of another thread's may be recounted.
        self._lock = threading.RLock()

    def get(self, key: bytes) -> bytes | None:
        """Return the value under `key`, or None."""
        # Without the lock: what waits is written before it is taken from here.
        waiting = self._waiting
        if waiting is not None and (value := waiting.get(key, _ABSENT)) is not _ABSENT:
            return value
        return self._store.get(key)

    def scan(
        self, start: bytes, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Iterate entries with `start <= key < end`, as they are now."""
        while True:
            # What waits may be written meanwhile, and is the same then; another write must not come between.
            writes, waiting = self._writes, self._waiting
            stored = self._store.scan(start, end, reverse=reverse)
            if writes == self._writes:
                keys = self._keys_of(waiting, start, end) if waiting else ()
                return self._merged(stored, waiting, keys, reverse=reverse) if waiting and keys else stored

    def _keys_of(
        self, waiting: Mapping[bytes, bytes | None], start: bytes, end: bytes | None
    ) -> Sequence[bytes]:
        of, ordered = self._ordered
        if of is not waiting:
            # Stores of windows have them in order, or nearly: that takes a tenth of the time then.
            ordered = sorted(waiting)
            self._ordered = waiting, ordered
        last = len(ordered) if end is None else bisect_left(ordered, end)
        return ordered[bisect_left(ordered, start) : last]

    def _merged(
        self,
        stored: Iterator[tuple[bytes, bytes]],
        waiting: Mapping[bytes, bytes | None],
        keys: Sequence[bytes],
        *,
        reverse: bool,
    ) -> Iterator[tuple[bytes, bytes]]:
        overlay = ((key, waiting[key]) for key in (reversed(keys) if reverse else keys))
        for key, value in merge_scans(stored, overlay, reverse=reverse):
            if self._closed:
                # Which says so.
                self._store.position()
            if value is not None:
                yield key, value

    def write(
        self, changes: Mapping[bytes, bytes | None], position: int, drop: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        """Keep the changes, which nobody may change any more, and write those before; drop ranges at once."""
        with self._lock:
            self.catch_up()
            # Which says that it is closed; or damaged, as a reader may have found.
            self._store.position()
            self._writes += 1
            if drop:
                self._store.write(changes, position, drop)
            else:
                self._waiting = changes
            self._position = position

    def load(self, rows: Rows, position: int) -> None:
        """Write what waits, then the rows, at once: while a store is restored there is nothing else to do."""
        with self._lock:
            self.catch_up()
            self._writes += 1
            self._store.load(rows, position)
            self._position = position

    def expect(self, rows: int) -> None:
        """Have the store make ready for so many rows."""
        self._store.expect(rows)

    def catch_up(self) -> None:
        """Write what waits."""
        with self._lock:
            if self._waiting is not None:
                self._store.write(self._waiting, self._position)
                self._waiting, self._ordered = None, ({}, [])

    def approximate_count(self) -> int:
        """Return about how many entries there are: what waits may count twice."""
        return self._store.approximate_count() + len(self._waiting or ())

    def properties(self) -> Mapping[str, int]:
        """Return what the store tells of its size; of its keys, what waits included."""
        found = dict(self._store.properties())
        if "estimate-num-keys" in found:
            found["estimate-num-keys"] += len(self._waiting or ())
        return found

    def position(self) -> int:
        """Return the changelog position of the last write."""
        return self._store.position() if self._closed else self._position

    def wipe(self) -> None:
        """Remove every entry and set the position to 0."""
        with self._lock:
            self._writes += 1
            self._store.wipe()
            self._waiting, self._ordered, self._position = None, ({}, []), 0

    def close(self) -> None:
        """Write what waits, and release the store."""
        if self._closed:
            return
        try:
            with self._lock, suppress(CorruptStoreError):
                # Whoever opens a damaged one again hears of it, and restores it from its changelog.
                self.catch_up()
        finally:
            self._closed, self._waiting, self._ordered = True, None, ({}, [])
            self._store.close()

    # As a cache, among those of all stores of a worker.

    def cached_bytes(self) -> int:
        """Return about how much memory is taken by what waits."""
        waiting = self._waiting
        if not waiting:
            return 0
        sample = [len(value or b"") for value in islice(waiting.values(), _SAMPLE)]
        return int(len(waiting) * (ENTRY_BYTES + sum(sample) / len(sample)))

    def recount(self) -> None:
        """Write what waits: memory is short, and others would have to forget what is asked for again."""
        self.catch_up()

    def shrink(self) -> None:
        """Do nothing: it was recounted."""

    def forget(self) -> None:
        """Do nothing: it was recounted."""
