"""What a store is, from the bytes up.

Three layers, each a wrapper of the one below:

* `BytesStore`: an ordered map of bytes on RocksDB or in memory, written in atomic batches that
  carry the changelog position they belong to. Never ahead of what is committed; what is on disk may be
  behind it (`state.write_behind`).
* a typed store (`state.keyvalue`, `window`, `session`, `versioned`): serdes, key layout, timestamps,
  and a bounded write-back cache that holds everything not committed yet.
* the task, which flushes (forwarding and logging) and then commits them in a fixed order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from pipeline.record import Headers
from pipeline.state.rows import Log, Rows

if TYPE_CHECKING:
    from pipeline.state.write_behind import WriteBehind


class BytesStore(Protocol):
    """An ordered map from bytes to bytes.

    Reading is safe from any thread while another one writes; writing is one thread's.
    """

    def get(self, key: bytes) -> bytes | None:
        """Return the value under `key`, or None."""
        ...

    def scan(
        self, start: bytes, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Iterate entries with `start <= key < end` (None: no upper bound) in byte order.

        The iterator sees the store as it was when its first entry was taken.
        """
        ...

    def write(
        self,
        changes: Mapping[bytes, bytes | None],
        position: int,
        drop: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        """Apply all changes (None deletes), drop the key ranges [start, end), set the position.

        Atomic: after a crash all of it is there, or nothing. Ranges are dropped before changes
        are applied.
        """
        ...

    def load(self, rows: Rows, position: int) -> None:
        """Apply rows of a log in their order, the last of a key counts; then set the position.

        After a crash some of the rows may be there with the position before them: they are loaded again.
        """
        ...

    def expect(self, rows: int) -> None:
        """Make ready for about so many rows to be loaded; for 0, go on as usual."""
        ...

    def approximate_count(self) -> int:
        """Return about how many entries there are, without reading them."""
        ...

    def properties(self) -> Mapping[str, int]:
        """Return what there is to know of its size, by RocksDB's names; all that it can tell.

        From any thread. It does not wait for files.
        """
        ...

    def position(self) -> int:
        """Return the changelog position of the last write; 0 if there was none."""
        ...

    def wipe(self) -> None:
        """Remove every entry and set the position to 0."""
        ...

    def close(self) -> None:
        """Release the store. Reading it afterwards raises StateError."""
        ...


class Entry(msgspec.Struct, gc=False):
    """A value in a store's cache, with what is needed to forward it later.

    It stays as it is, but for a window's (`window_entries.WindowEntry`), which its next put changes: whoever
    keeps one beyond that keeps it `as_it_is`.

    Caches hold many: `gc=False` keeps the collector from walking them. A cycle through an entry is
    not possible, because values are made by serdes and users, before it.
    """

    value: Any
    timestamp: int
    headers: Headers

    def as_it_is(self) -> Entry:
        """Return one that no put changes."""
        return Entry(self.value, self.timestamp, self.headers)


class StateStore(Protocol):
    """What a task does with a store, whatever its type.

    The life of an update: an operator puts it (cache only); `flush` forwards it downstream and
    returns it as bytes for the changelog; `commit` writes it to the `BytesStore`.
    """

    @property
    def name(self) -> str:
        """The name the user gave."""
        ...

    @property
    def dirty(self) -> int:
        """Number of entries put since the last flush: a task commits before it passes its bound."""
        ...

    def flush(self) -> Log:
        """Forward what changed since the last flush, and return it as changelog records, none if clean."""
        ...

    def commit(self, position: int) -> None:
        """Write what was flushed, with the changelog position that follows it; not what was put since."""
        ...

    def restore(self, rows: Rows, position: int) -> None:
        """Apply changelog records; `position` follows the last one."""
        ...

    def expect(self, records: int) -> None:
        """Make ready for about so many changelog records to be applied; for 0, go on as usual."""
        ...

    def stored(self, keys: Iterable[bytes]) -> Iterable[tuple[bytes, bytes | None]]:
        """Return what the `BytesStore` holds under keys of the changelog, as changelog records."""
        ...

    def cached_bytes(self) -> int:
        """Return about how much memory the cache takes, never less than what it holds of committed entries.

        Bytes as they are stored, and what each entry takes beside its value.
        """
        ...

    def recount(self) -> None:
        """Look at what is cached, so that `cached_bytes` knows better."""
        ...

    def forget(self) -> None:
        """Let go of what is cached and committed: it is read again when it is asked for."""
        ...

    def shrink(self) -> None:
        """Let go of some of what is cached and committed, and rather of what will not be asked for again."""
        ...

    @property
    def behind(self) -> WriteBehind | None:
        """What of it is committed and not written yet; None: all is written when it is committed."""
        ...

    def position(self) -> int:
        """Return the changelog position of what is in the `BytesStore`."""
        ...

    def progress(self) -> Mapping[str, int]:
        """Return the numbers that must survive a restart, such as the store's stream time."""
        ...

    def resume(self, progress: Mapping[str, int]) -> None:
        """Take up the numbers that `progress` returned before the restart."""
        ...

    def wipe(self) -> None:
        """Forget everything."""
        ...

    def close(self) -> None:
        """Release the store."""
        ...
