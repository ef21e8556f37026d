"""The last value by key, with its timestamp."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from itertools import islice
from typing import Any, TypeVar

from sortedcontainers import SortedDict

from pipeline.record import NO_HEADERS, Headers
from pipeline.serde import Serde
from pipeline.state.cache_size import sample_of
from pipeline.state.caching import (
    CachingStore,
    ValueAndTimestamp,
    decode_entry,
    decode_value,
    pack_time,
)
from pipeline.state.merging import merge_scans
from pipeline.state.read_ahead import ReadAhead
from pipeline.state.rows import Rows
from pipeline.state.store import BytesStore, Entry

K = TypeVar("K")
V = TypeVar("V")

#: Keys that a scan takes from an ordered cache at once: it may change between two of them.
_CHUNK = 64


class KeyValueStore(CachingStore[K, V]):
    """A typed key-value store over a `BytesStore`, behind a write-back cache.

    Everything uncommitted is in the cache: `dirty` until it is flushed (forwarded and logged),
    `flushed` until its offsets are committed. `clean` holds entries that were read or committed
    lately. So the `BytesStore` is never ahead of what is committed.

    Args:
        name: the store's name.
        engine: where committed entries are.
        key_serde: encodes keys.
        value_serde: encodes values.
        cache_entries: bound of `clean`; that of `dirty` is the task's, which commits in time.
        ordered: keep the cache in key order, and the place of the first entry in mind, for stores that
            are asked for their first entries often.
        caching: forward at `flush`, the last update of each key; False: forward each put at once. What is
            logged and committed is the same.

    Attributes:
        on_flush: called with key, entry and old value of each update that is forwarded; None: nobody asks.
        send_old_values: whether `on_flush` is told the old value.
    """

    on_flush: Callable[[bytes, Entry, V | None], None] | None
    counts_reads = True

    def __init__(
        self,
        name: str,
        engine: BytesStore,
        key_serde: Serde[K],
        value_serde: Serde[V],
        *,
        cache_entries: int,
        ordered: bool = False,
        caching: bool = True,
    ) -> None:
        super().__init__(name, engine, key_serde, value_serde, caching=caching)
        self._bound = cache_entries
        self._read_ahead = ReadAhead(engine) if ordered else None
        self._new_cache: Callable[[], MutableMapping[bytes, Any]] = SortedDict if ordered else dict
        self._dirty: MutableMapping[bytes, Entry] = self._new_cache()
        self._flushed: MutableMapping[bytes, Entry] = self._new_cache()
        self._clean: dict[bytes, Entry] = {}
        #: Ordered: no entry comes before this key; None: there is no entry.
        self._first: bytes | None = b""
        if ordered or not caching:
            # The put of all other stores stays without a question.
            self.put_entry = self._put_watched  # type: ignore[method-assign]

    @property
    def dirty(self) -> int:
        """Number of entries put since the last flush."""
        return len(self._dirty)

    # For operators: keys as bytes, entries with timestamp and headers.

    def get_entry(self, key: bytes) -> Entry | None:
        """Return the entry under `key`, uncommitted ones included; None if there is none."""
        entry = self._dirty.get(key) or self._flushed.get(key) or self._clean.get(key) or self._read(key)
        return None if entry is None or entry.value is None else entry

    def told_entry(self, key: bytes) -> Entry | None:
        """Return what was forwarded last of `key`: what waits for the next flush is not in it."""
        return self._told(key) if self._caching else self.get_entry(key)

    def _read(self, key: bytes) -> Entry | None:
        self.reads += 1
        stored = self._engine.get(key)
        if stored is None:
            return None
        entry = decode_entry(stored, self)
        if len(self._clean) >= self._bound:
            self.forget()
        self._clean[key] = entry
        self._size.add((stored,))
        return entry

    def put_entry(self, key: bytes, value: Any, timestamp: int, headers: Headers) -> None:
        """Put a value; None deletes."""
        self._dirty[key] = Entry(value, timestamp, headers)

    def _put_watched(self, key: bytes, value: Any, timestamp: int, headers: Headers) -> None:
        self._dirty[key] = entry = Entry(value, timestamp, headers)
        if value is not None and (self._first is None or key < self._first):
            self._first = key
        if not self._caching and self.on_flush is not None:
            # Last: what it leads to may put into this store again.
            self.on_flush(key, entry, self._replace(key, entry))

    def range_entries(
        self, start: bytes = b"", end: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, Entry]]:
        """Iterate entries with `start <= key < end`, uncommitted ones included, in the order of the keys.

        Lazily. The store may be put to meanwhile: an entry is yielded as it is at that moment; whether
        one is met that was not there before is left open. In an `ordered` store, asking for what
        comes before its first entry costs nothing.
        """
        ahead = None if reverse else self._read_ahead
        fresh = ahead is not None and (self._first is None or start <= self._first)
        if fresh:
            if self._first is None or (end is not None and end <= self._first):
                return
            start = self._first
        caches = (
            _keys(cache, start, end, reverse=reverse) for cache in (self._dirty, self._flushed) if cache
        )
        overlay = ((key, None) for key in heapq.merge(*caches, reverse=reverse))
        stored = ahead.scan(start, end) if ahead else self._engine.scan(start, end, reverse=reverse)
        for key, found in merge_scans(stored, overlay, reverse=reverse):
            entry = self._dirty.get(key) or self._flushed.get(key)
            if entry is None:
                entry = self.get_entry(key) if found is None else decode_entry(found, self)
            if entry is not None and entry.value is not None:
                if fresh:
                    fresh, self._first = False, key
                yield key, entry
        if fresh:
            self._first = end

    # For users' processors: typed.

    def get(self, key: K) -> V | None:
        """Return the value under `key`, None if there is none."""
        entry = self.get_entry(self.key_serde.serialize(key))
        return None if entry is None else entry.value

    def get_with_timestamp(self, key: K) -> ValueAndTimestamp[V] | None:
        """Return value and timestamp, None if there is no value."""
        entry = self.get_entry(self.key_serde.serialize(key))
        return None if entry is None else ValueAndTimestamp(entry.value, entry.timestamp)

    def put(self, key: K, value: V | None, timestamp: int) -> None:
        """Put a value at an event time in ms; None deletes."""
        self.put_entry(self.key_serde.serialize(key), value, timestamp, NO_HEADERS)

    def delete(self, key: K) -> V | None:
        """Delete the value under `key`, and return it."""
        key_bytes = self.key_serde.serialize(key)
        entry = self.get_entry(key_bytes)
        if entry is None:
            return None
        self.put_entry(key_bytes, None, entry.timestamp, NO_HEADERS)
        value: V = entry.value
        return value

    def range(
        self, start: K | None = None, end: K | None = None, *, reverse: bool = False
    ) -> Iterator[tuple[K, V]]:
        """Iterate from `start` to `end`, both included, in the order of their bytes."""
        first = b"" if start is None else self.key_serde.serialize(start)
        last = None if end is None else self.key_serde.serialize(end) + b"\0"
        return self._scan(first, last, reverse=reverse)

    def prefix(self, prefix: K, *, reverse: bool = False) -> Iterator[tuple[K, V]]:
        """Iterate the keys whose bytes begin with those of `prefix`, in the order of their bytes."""
        first = self.key_serde.serialize(prefix)
        return self._scan(first, after_prefix(first), reverse=reverse)

    def all(self, *, reverse: bool = False) -> Iterator[tuple[K, V]]:
        """Iterate everything, in the order of the keys' bytes."""
        return self._scan(b"", None, reverse=reverse)

    def approximate_count(self) -> int:
        """Return about how many entries there are: those that await the next commit may count twice."""
        uncommitted = {**self._flushed, **self._dirty}
        return self._engine.approximate_count() + sum(
            entry.value is not None for entry in uncommitted.values()
        )

    def _scan(self, start: bytes, end: bytes | None, *, reverse: bool) -> Iterator[tuple[K, V]]:
        deserialize = self.key_serde.deserialize
        return (
            (deserialize(key), entry.value) for key, entry in self.range_entries(start, end, reverse=reverse)
        )

    # For the task.

    def flush(self) -> list[tuple[bytes, bytes | None]]:
        """Forward what changed since the last flush, and return it as changelog records.

        A row that was not there at the last flush, and is not there now, is not told of. Forwarded last:
        who gets an update, and reads this store, sees every update of this flush.
        """
        dirty, self._dirty = self._dirty, self._new_cache()
        on_flush, asked = self.on_flush if self._caching else None, self.send_old_values
        olds: dict[bytes, V | None] = {}
        if on_flush is not None:
            olds = {key: self._old_value(key) for key, e in dirty.items() if asked or e.value is None}
        serialize = self.value_serde.serialize
        try:
            log: list[tuple[bytes, bytes | None]] = [
                (key, None if entry.value is None else pack_time(entry.timestamp) + serialize(entry.value))
                for key, entry in dirty.items()
            ]
        except Exception as error:
            raise self._unencodable(error, dirty.items()) from error
        self._changes.update(log)
        self._flushed.update(dirty)
        self._forwarded.clear()
        if on_flush is not None:
            for key, entry in dirty.items():
                old = olds.get(key)
                if entry.value is not None or old is not None:
                    on_flush(key, entry, old if asked else None)
        return log

    def commit(self, position: int) -> None:
        """Write what was flushed, with the changelog position that follows it."""
        if self._changes or position != self._engine.position():
            self._engine.write(self._changes, position)
            if self._read_ahead is not None:
                self._read_ahead.forget()
        if len(self._clean) + len(self._flushed) > self._bound:
            self.forget()
        self._clean.update(self._flushed)
        self._size.add(self._changes.values())
        self._flushed, self._changes = self._new_cache(), {}

    def restore(self, rows: Rows, position: int) -> None:
        """Apply changelog records: they are what is stored."""
        self._engine.load(rows, position)
        if self._clean:
            # Of a table that is read while it changes, most is left as it was.
            for key in rows.all_keys:
                self._clean.pop(key, None)
        self._start_over()

    def _start_over(self) -> None:
        """Know nothing any more about where the entries begin."""
        self._first = b""
        if self._read_ahead is not None:
            self._read_ahead.forget()

    def stored(self, keys: Iterable[bytes]) -> list[tuple[bytes, bytes | None]]:
        """Return what is committed under changelog keys, as changelog records."""
        return [(key, self._engine.get(key)) for key in sorted(keys)]

    def cached_bytes(self) -> int:
        """Return about how much memory the cache takes; see `CacheSize`."""
        # Of either kind of cache; an ordered one has its last entry for its newest.
        entries: Any = self._dirty.values()
        newest = islice(reversed(entries), 1)
        return self._size.total(len(self._dirty) + len(self._changes), newest)

    def recount(self) -> None:
        """Look at what is cached, to know better."""
        self._size.recount(len(self._clean), sample_of(self._clean.values()))

    def forget(self) -> None:
        """Let go of what is committed: it is read again when it is asked for."""
        self._clean.clear()
        self._size.forget()

    def progress(self) -> Mapping[str, int]:
        """Return nothing: a key-value store keeps no time of its own."""
        return {}

    def resume(self, progress: Mapping[str, int]) -> None:
        """Take up nothing."""

    def wipe(self) -> None:
        """Forget everything."""
        self._dirty, self._flushed = self._new_cache(), self._new_cache()
        self._changes, self._forwarded = {}, {}
        self.forget()
        self._start_over()
        self._engine.wipe()

    # For queries, from any thread: only what is committed.

    def committed_get(self, key: K) -> ValueAndTimestamp[V] | None:
        """Return the committed value under `key`, None if there is none."""
        stored = self._engine.get(self.key_serde.serialize(key))
        return None if stored is None else decode_value(stored, self)

    def committed_scan(
        self, start: bytes = b"", end: bytes | None = None
    ) -> Iterator[tuple[bytes, ValueAndTimestamp[V]]]:
        """Iterate committed entries with `start <= key < end`, keys as bytes and in order."""
        for key, stored in self._engine.scan(start, end):
            yield key, decode_value(stored, self)


def after_prefix(prefix: bytes) -> bytes | None:
    """Return the first key after all that begin with `prefix`; None if there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,)) if stripped else None


def _keys(
    cache: MutableMapping[bytes, Any], start: bytes, end: bytes | None, *, reverse: bool
) -> Iterable[bytes]:
    """Return a cache's keys from `start` to before `end`, in order; lazily if the cache has one."""
    if isinstance(cache, SortedDict):
        return _ordered_keys(cache, start, end, reverse=reverse)
    return sorted((key for key in cache if start <= key and (end is None or key < end)), reverse=reverse)


def _ordered_keys(cache: SortedDict, start: bytes, end: bytes | None, *, reverse: bool) -> Iterator[bytes]:
    first, last, inclusive = start, end, (True, False)
    while chunk := list(islice(cache.irange(first, last, inclusive, reverse), _CHUNK)):
        yield from chunk
        if len(chunk) < _CHUNK:
            return
        first, last = (start, chunk[-1]) if reverse else (chunk[-1], end)
        inclusive = (reverse, False)
