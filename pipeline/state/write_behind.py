"""What is committed and not written yet: a store on disk follows its commits a little later.

```
changelog     |-----------------------|- - - - - - - - - - - -|
              what the store holds     what waits in memory    committed
```

Every commit adds what it changes to what waits. A key that is committed again takes the place of what waits
of it, and is written once. What came first is written first, many entries at a time.

A killed worker finds a store that is behind, at a position of its own, and restores the rest from the
changelog, as it does with what RocksDB had not flushed to its files.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

from pipeline.errors import CorruptStoreError
from pipeline.state.cache_size import ENTRY_BYTES
from pipeline.state.store import BytesStore

_ABSENT: Final = b"absent"
#: Of so many entries of a commit the mean length is made.
_SAMPLE: Final = 64
#: For each entry that may wait, the store may be so many changelog records behind: few keys change often.
_RECORDS_EACH: Final = 4


class WriteBehind:
    """A `BytesStore` whose writes reach another one later; a `Cache` of the bound over all caches.

    Reading shows everything that was committed. A scan has all of it written first: to merge an order into
    it that nobody keeps would cost more.

    Args:
        store: where entries go.
        entries: so many may wait.
    """

    def __init__(self, store: BytesStore, entries: int) -> None:
        self._store, self._entries = store, entries
        self._waiting: dict[bytes, bytes | None] = {}
        #: After each commit: how many entries had come to wait, ever; and the position.
        self._commits: deque[tuple[int, int]] = deque()
        self._came = self._went = 0
        self._mean = 0.0
        self._position = self._written = store.position()
        self._closed = False
        # A scan of another thread may write.
        self._lock = threading.RLock()

    def get(self, key: bytes) -> bytes | None:
        """Return the value under `key`, or None."""
        # Without the lock: what waits is written before it is taken from here.
        value = self._waiting.get(key, _ABSENT)
        return self._store.get(key) if value is _ABSENT else value

    def scan(
        self, start: bytes, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Iterate entries with `start <= key < end`, as they are now."""
        with self._lock:
            self._write_first(len(self._waiting))
            return self._store.scan(start, end, reverse=reverse)

    def write(
        self, changes: Mapping[bytes, bytes | None], position: int, drop: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        """Take the changes, and the position that follows them; write if twice as many wait as may.

        Ranges are dropped at once: who restores what comes after an older position knows what has expired.
        """
        with self._lock:
            # Which says that it is closed; or damaged, as a reader may have found.
            self._store.position()
            if drop:
                self._drop(drop)
            before, waiting = len(self._waiting), self._waiting
            waiting.update(changes)
            self._came += len(waiting) - before
            self._position = position
            if self._commits and self._commits[-1][0] == self._came:
                self._commits.pop()
            self._commits.append((self._came, position))
            sample = [len(value or b"") for value in islice(changes.values(), _SAMPLE)]
            if sample:
                share = len(changes) / len(waiting)
                self._mean += share * (sum(sample) / len(sample) - self._mean)
            self._keep(2 * self._entries)

    def _drop(self, ranges: Sequence[tuple[bytes, bytes]]) -> None:
        waiting, went = iter(self._waiting.items()), self._went
        kept: dict[bytes, bytes | None] = {}
        commits: deque[tuple[int, int]] = deque()
        for came, position in self._commits:
            kept |= {
                key: value
                for key, value in islice(waiting, came - went)
                if not any(start <= key < end for start, end in ranges)
            }
            commits.append((len(kept), position))
            went = came
        self._waiting, self._commits, self._came, self._went = kept, commits, len(kept), 0
        self._store.write({}, self._written, ranges)

    def catch_up(self) -> None:
        """Write what is more than may wait: worth doing while the worker waits for something else."""
        with self._lock:
            self._keep(self._entries)

    def _keep(self, entries: int) -> None:
        if self._position - self._written > _RECORDS_EACH * entries:
            self._write_first(len(self._waiting))
        elif len(self._waiting) > entries:
            self._write_first(len(self._waiting) - self._entries)

    def _write_first(self, count: int) -> None:
        """Write `count` entries: their latest values, whenever those were committed.

        The position is that of the last commit of which nothing waits. What is written of later ones is
        there once more when the changelog is read from that position, and ends as it is.
        """
        if count < len(self._waiting):
            if count <= 0:
                return
            entries = dict(islice(self._waiting.items(), count))
        elif not self._waiting and self._position == self._written:
            return
        else:
            entries = self._waiting
        went, position = self._went + len(entries), self._written
        for came, reached in self._commits:
            if came > went:
                break
            position = reached
        self._store.write(entries, position)
        self._written, self._went = position, went
        while self._commits and self._commits[0][0] <= went:
            self._commits.popleft()
        if entries is self._waiting:
            self._start_over()
        else:
            for key in entries:
                del self._waiting[key]

    def _start_over(self) -> None:
        """Take note that nothing waits."""
        # A new one: what reads the old one finds the same there.
        self._waiting = {}
        self._commits.clear()
        self._came = self._went = 0
        self._written = self._position

    def approximate_count(self) -> int:
        """Return about how many entries there are: what waits may count twice."""
        return self._store.approximate_count() + len(self._waiting)

    def properties(self) -> Mapping[str, int]:
        """Return what the store tells of its size; of its keys, what waits included."""
        found = dict(self._store.properties())
        if "estimate-num-keys" in found:
            found["estimate-num-keys"] += len(self._waiting)
        return found

    def position(self) -> int:
        """Return the changelog position of the last commit."""
        return self._store.position() if self._closed else self._position

    def wipe(self) -> None:
        """Remove every entry and set the position to 0."""
        with self._lock:
            self._store.wipe()
            self._position = 0
            self._start_over()

    def close(self) -> None:
        """Write what waits, and release the store."""
        if self._closed:
            return
        try:
            with self._lock, suppress(CorruptStoreError):
                # Whoever opens a damaged one again hears of it, and restores it from its changelog.
                self._write_first(len(self._waiting))
        finally:
            self._closed, self._waiting = True, {}
            self._store.close()

    # As a cache, among those of all stores of a worker.

    def cached_bytes(self) -> int:
        """Return about how much memory is taken by what waits."""
        return int(len(self._waiting) * (ENTRY_BYTES + self._mean))

    def recount(self) -> None:
        """Do nothing: it is counted as it comes."""

    def shrink(self) -> None:
        """Write the half that came first."""
        with self._lock:
            self._write_first((len(self._waiting) + 1) // 2)

    def forget(self) -> None:
        """Write everything."""
        with self._lock:
            self._write_first(len(self._waiting))
