"""The last value by key, with its timestamp."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from operator import itemgetter
from typing import Any, Generic, NamedTuple, TypeVar

from sortedcontainers import SortedDict

from pipeline.record import NO_HEADERS, Headers
from pipeline.serde import Serde
from pipeline.state.caching import decode_entry, merge_scans, pack_time, unencodable_value
from pipeline.state.store import BytesStore, Entry

K = TypeVar("K")
V = TypeVar("V")


class ValueAndTimestamp(NamedTuple, Generic[V]):
    """A value and its event time in ms."""

    value: V
    timestamp: int


class KeyValueStore(Generic[K, V]):
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
        ordered: keep the cache in key order, for stores that are scanned often.

    Attributes:
        on_flush: called at `flush` with key, entry and old value of each change; None: nobody asks.
        send_old_values: whether `on_flush` is told the old value.
    """

    def __init__(
        self,
        name: str,
        engine: BytesStore,
        key_serde: Serde[K],
        value_serde: Serde[V],
        *,
        cache_entries: int,
        ordered: bool = False,
    ) -> None:
        self.name, self.key_serde, self.value_serde = name, key_serde, value_serde
        self.on_flush: Callable[[bytes, Entry, V | None], None] | None = None
        self.send_old_values = False
        self._engine, self._bound = engine, cache_entries
        self._new_cache: Callable[[], MutableMapping[bytes, Any]] = SortedDict if ordered else dict
        self._dirty: MutableMapping[bytes, Entry] = self._new_cache()
        self._flushed: MutableMapping[bytes, Entry] = self._new_cache()
        #: What was flushed, as it will be stored.
        self._changes: dict[bytes, bytes | None] = {}
        self._clean: dict[bytes, Entry] = {}

    @property
    def dirty(self) -> int:
        """Number of entries put since the last flush."""
        return len(self._dirty)

    # For operators: keys as bytes, entries with timestamp and headers.

    def get_entry(self, key: bytes) -> Entry | None:
        """Return the entry under `key`, uncommitted ones included; None if there is none."""
        entry = self._dirty.get(key) or self._flushed.get(key) or self._clean.get(key) or self._read(key)
        return None if entry is None or entry.value is None else entry

    def _read(self, key: bytes) -> Entry | None:
        stored = self._engine.get(key)
        if stored is None:
            return None
        entry = decode_entry(stored, self.value_serde)
        if len(self._clean) >= self._bound:
            self._clean.clear()
        self._clean[key] = entry
        return entry

    def put_entry(self, key: bytes, value: Any, timestamp: int, headers: Headers) -> None:
        """Put a value; None deletes."""
        self._dirty[key] = Entry(value, timestamp, headers)

    def range_entries(self, start: bytes = b"", end: bytes | None = None) -> Iterator[tuple[bytes, Entry]]:
        """Iterate entries with `start <= key < end`, uncommitted ones included, in the order of the keys."""
        return self._scan_entries(start, end, reverse=False)

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

    def prefix(self, prefix: K) -> Iterator[tuple[K, V]]:
        """Iterate the keys whose bytes begin with those of `prefix`, in order."""
        first = self.key_serde.serialize(prefix)
        return self._scan(first, after_prefix(first), reverse=False)

    def all(self) -> Iterator[tuple[K, V]]:
        """Iterate everything, in the order of the keys' bytes."""
        return self._scan(b"", None, reverse=False)

    def _scan(self, start: bytes, end: bytes | None, *, reverse: bool) -> Iterator[tuple[K, V]]:
        for key, entry in self._scan_entries(start, end, reverse=reverse):
            yield self.key_serde.deserialize(key), entry.value

    def _scan_entries(
        self, start: bytes, end: bytes | None, *, reverse: bool
    ) -> Iterator[tuple[bytes, Entry]]:
        caches = (_cached(cache, start, end, reverse=reverse) for cache in (self._dirty, self._flushed))
        overlay = heapq.merge(*caches, key=itemgetter(0), reverse=reverse)
        stored = self._engine.scan(start, end, reverse=reverse)
        for key, found in merge_scans(stored, overlay, reverse=reverse):
            entry = decode_entry(found, self.value_serde) if isinstance(found, bytes) else found
            if entry is not None and entry.value is not None:
                yield key, entry

    # For the task.

    def flush(self) -> list[tuple[bytes, bytes | None]]:
        """Forward what changed since the last flush, and return it as changelog records.

        Forwarded last: who gets an update, and reads this store, sees every update of this flush.
        """
        dirty, self._dirty = self._dirty, self._new_cache()
        olds: dict[bytes, V | None] = {}
        if self.on_flush is not None and self.send_old_values:
            olds = {key: self._old_value(key) for key in dirty}
        serialize = self.value_serde.serialize
        try:
            log: list[tuple[bytes, bytes | None]] = [
                (key, None if entry.value is None else pack_time(entry.timestamp) + serialize(entry.value))
                for key, entry in dirty.items()
            ]
        except Exception as error:
            raise unencodable_value(self.name, self.value_serde, error) from error
        self._changes.update(log)
        self._flushed.update(dirty)
        if self.on_flush is not None:
            for key, entry in dirty.items():
                self.on_flush(key, entry, olds.get(key))
        return log

    def _old_value(self, key: bytes) -> V | None:
        """Return what was forwarded last: an aggregate may have been changed in place since."""
        stored = self._changes[key] if key in self._changes else self._engine.get(key)
        if stored is None:
            return None
        value: V = decode_entry(stored, self.value_serde).value
        return value

    def commit(self, position: int) -> None:
        """Write what was flushed, with the changelog position that follows it."""
        if self._changes or position != self._engine.position():
            self._engine.write(self._changes, position)
        if len(self._clean) + len(self._flushed) > self._bound:
            self._clean.clear()
        self._clean.update(self._flushed)
        self._flushed, self._changes = self._new_cache(), {}

    def restore(self, records: Iterable[tuple[bytes, bytes | None]], position: int) -> None:
        """Apply changelog records: they are what is stored."""
        self._engine.write(dict(records), position)
        self._clean.clear()

    def stored(self, keys: Iterable[bytes]) -> list[tuple[bytes, bytes | None]]:
        """Return what is committed under changelog keys, as changelog records."""
        return [(key, self._engine.get(key)) for key in sorted(keys)]

    def position(self) -> int:
        """Return the changelog position of what is committed."""
        return self._engine.position()

    def progress(self) -> Mapping[str, int]:
        """Return nothing: a key-value store keeps no time of its own."""
        return {}

    def resume(self, progress: Mapping[str, int]) -> None:
        """Take up nothing."""

    def wipe(self) -> None:
        """Forget everything."""
        self._dirty, self._flushed = self._new_cache(), self._new_cache()
        self._changes, self._clean = {}, {}
        self._engine.wipe()

    def close(self) -> None:
        """Release the store; what was not committed is forgotten."""
        self._engine.close()

    # For queries, from any thread: only what is committed.

    def committed_get(self, key: K) -> ValueAndTimestamp[V] | None:
        """Return the committed value under `key`, None if there is none."""
        stored = self._engine.get(self.key_serde.serialize(key))
        if stored is None:
            return None
        entry = decode_entry(stored, self.value_serde)
        return ValueAndTimestamp(entry.value, entry.timestamp)

    def committed_scan(
        self, start: bytes = b"", end: bytes | None = None
    ) -> Iterator[tuple[bytes, ValueAndTimestamp[V]]]:
        """Iterate committed entries with `start <= key < end`, keys as bytes and in order."""
        for key, stored in self._engine.scan(start, end):
            entry = decode_entry(stored, self.value_serde)
            yield key, ValueAndTimestamp(entry.value, entry.timestamp)


def after_prefix(prefix: bytes) -> bytes | None:
    """Return the first key after all that begin with `prefix`; None if there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,)) if stripped else None


def _cached(
    cache: MutableMapping[bytes, Any], start: bytes, end: bytes | None, *, reverse: bool
) -> Iterable[tuple[bytes, Any]]:
    """Return a cache's entries from `start` to before `end`, in order; lazily if the cache has one."""
    if isinstance(cache, SortedDict):
        return ((key, cache[key]) for key in cache.irange(start, end, (True, False), reverse))
    keys = sorted((key for key in cache if start <= key and (end is None or key < end)), reverse=reverse)
    return [(key, cache[key]) for key in keys]
