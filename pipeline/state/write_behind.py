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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

from pipeline.errors import CorruptStoreError
from pipeline.state.cache_size import ENTRY_BYTES
from pipeline.state.rows import Rows
from pipeline.state.store import BytesStore

_ABSENT: Final = b"absent"
#: Of so many entries the mean length is made.
_SAMPLE: Final = 64


class WriteBehind:
    """A `BytesStore` whose last write reaches another one later; a `Cache` of the bound over all caches.

    Reading shows everything that was committed. A scan has it written first: to merge an order into it that
    nobody keeps would cost more.

    Args:
        store: where entries go.
    """

    def __init__(self, store: BytesStore) -> None:
        self._store = store
        #: The last write, None if it is done.
        self._waiting: Mapping[bytes, bytes | None] | None = None
        self._position = store.position()
        self._closed = False
        # A scan of another thread may write.
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
        with self._lock:
            self.catch_up()
            return self._store.scan(start, end, reverse=reverse)

    def write(
        self, changes: Mapping[bytes, bytes | None], position: int, drop: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        """Keep the changes, which nobody may change any more, and write those before; drop ranges at once."""
        with self._lock:
            self.catch_up()
            # Which says that it is closed; or damaged, as a reader may have found.
            self._store.position()
            if drop:
                self._store.write(changes, position, drop)
            else:
                self._waiting = changes
            self._position = position

    def load(self, rows: Rows, position: int) -> None:
        """Write what waits, then the rows, at once: while a store is restored there is nothing else to do."""
        with self._lock:
            self.catch_up()
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
                self._waiting = None

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
            self._store.wipe()
            self._waiting, self._position = None, 0

    def close(self) -> None:
        """Write what waits, and release the store."""
        if self._closed:
            return
        try:
            with self._lock, suppress(CorruptStoreError):
                # Whoever opens a damaged one again hears of it, and restores it from its changelog.
                self.catch_up()
        finally:
            self._closed, self._waiting = True, None
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
