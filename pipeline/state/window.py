"""Values by key and window, forgotten when stream time has left them behind."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Generic, TypeVar

from pipeline.record import NO_HEADERS, Headers, Windowed
from pipeline.serde import Serde
from pipeline.state.caching import decode_entry, unencodable_value
from pipeline.state.keyvalue import ValueAndTimestamp
from pipeline.state.store import BytesStore, Entry
from pipeline.state.window_cache import AggregateCache, JoinCache, Slot, WindowCache
from pipeline.state.window_keys import (
    KEY_END,
    SUFFIX_SIZE,
    escape_zeros,
    escaped,
    pack_segment,
    parse_changelog_key,
    parse_store_key,
    start_of,
    store_key,
)

K = TypeVar("K")
V = TypeVar("V")

_MIN_SEGMENT_MS = 60_000


class WindowStore(Generic[K, V]):
    """A typed window store over a `BytesStore`, behind a write-back cache by key.

    A window is visible while `start > stream time - retention`; the store's stream time is the
    largest start put into it (Kafka Streams, a2.6). Expired windows are dropped by segments.

    Args:
        name: the store's name.
        engine: where committed windows are.
        key_serde: encodes keys.
        value_serde: encodes values.
        retention_ms: how long a window can be read, in stream time.
        window_size_ms: end of a window minus its start.
        retain_duplicates: keep every put, as joins need; else a put replaces.
        cache_entries: bound of the read cache.

    Attributes:
        on_flush: called at `flush` with key, start, entry and old value of each change.
        send_old_values: whether `on_flush` is told the old value.
    """

    def __init__(
        self,
        name: str,
        engine: BytesStore,
        key_serde: Serde[K],
        value_serde: Serde[V],
        *,
        retention_ms: int,
        window_size_ms: int,
        retain_duplicates: bool = False,
        cache_entries: int,
    ) -> None:
        self.name, self.key_serde, self.value_serde = name, key_serde, value_serde
        self.retention_ms, self.window_size_ms = retention_ms, window_size_ms
        self.on_flush: Callable[[bytes, int, Entry, V | None], None] | None = None
        self.send_old_values = False
        self._engine = engine
        # What was stored before this opening may be later than what the changelog brings.
        self._was_empty = engine.position() == 0
        self._duplicates = retain_duplicates
        self._segment_ms = max(retention_ms // 2, _MIN_SEGMENT_MS)
        self._time = -1
        self._dropped_before = 0
        self._sequence = engine.position()
        #: What was flushed, as it will be stored.
        self._changes: dict[bytes, bytes | None] = {}
        self._aggregates = AggregateCache(cache_entries)
        self._cache: WindowCache = JoinCache() if retain_duplicates else self._aggregates

    @property
    def dirty(self) -> int:
        """Number of entries put since the last flush."""
        return self._cache.dirty

    # For operators: keys as bytes, entries with timestamp and headers.

    def get_entry(self, key: bytes, start: int) -> Entry | None:
        """Return the entry of a window, uncommitted ones included; None if there is none to see."""
        if start <= self._time - self.retention_ms:
            return None
        entry = self._aggregates.get(key, start)
        if entry is None:
            entry = self._read(key, start)
        return None if entry is None or entry.value is None else entry

    def _read(self, key: bytes, start: int) -> Entry | None:
        if self._aggregates.is_whole(start):
            return None
        stored = self._engine.get(self._stored_key(escaped(key), (start, 0)))
        if stored is None:
            return None
        entry = decode_entry(stored, self.value_serde)
        self._aggregates.remember(key, start, entry)
        return entry

    def put_entry(self, key: bytes, start: int, value: Any, timestamp: int, headers: Headers) -> bool:
        """Put a window's value, None deletes; return False, having done nothing, if it has expired."""
        if start > self._time:
            self._time = start
            if not self._duplicates:
                self._aggregates.opened(start)
        elif start <= self._time - self.retention_ms:
            return False
        slot = (start, 0)
        if self._duplicates:
            if value is None:
                # Which of them? Nothing is deleted, as in Kafka Streams' `RocksDBWindowStore.put`.
                return True
            # Never overwrites: every put is one changelog record, so a count that begins at the
            # changelog's position has not been used by an earlier run.
            self._sequence = (self._sequence + 1) & 0xFFFFFFFF
            slot = (start, self._sequence)
        self._cache.put(key, slot, Entry(value, timestamp, headers))
        return True

    def fetch_entries(self, key: bytes, from_ms: int, to_ms: int) -> list[tuple[int, Entry]]:
        """Return a key's visible windows with `from_ms <= start <= to_ms`, by start, then as put."""
        first = max(from_ms, self._time - self.retention_ms + 1, 0)
        last = min(to_ms, self._time)
        if first > last:
            return []
        found: dict[Slot, Entry | bytes] = {}
        for stored_key, stored in chain.from_iterable(self._segment_scans(key, first, last)):
            window = parse_store_key(stored_key)
            found[window.start, window.sequence] = stored
        found |= self._cache.uncommitted(key, first, last)
        entries = ((slot[0], self._decoded(found[slot])) for slot in sorted(found))
        return [(start, entry) for start, entry in entries if entry.value is not None]

    def _segment_scans(self, key: bytes, first: int, last: int) -> Iterator[Iterator[tuple[bytes, bytes]]]:
        escaped_key = escaped(key)
        for segment in range(first // self._segment_ms, last // self._segment_ms + 1):
            start, end = store_key(segment, escaped_key, first), store_key(segment, escaped_key, last + 1)
            yield self._engine.scan(start, end)

    def _decoded(self, found: Entry | bytes) -> Entry:
        return decode_entry(found, self.value_serde) if isinstance(found, bytes) else found

    # For users' processors: typed.

    def put(self, key: K, value: V | None, start: int, timestamp: int | None = None) -> bool:
        """Put the value of the window at `start`, None deletes.

        Args:
            key: the key.
            value: the value.
            start: start of the window in ms.
            timestamp: event time of the value; `start` unless told.

        Returns:
            False, having done nothing, if the window has expired.
        """
        time = start if timestamp is None else timestamp
        return self.put_entry(self.key_serde.serialize(key), start, value, time, NO_HEADERS)

    def fetch(self, key: K, start: int) -> V | None:
        """Return the value of the window at `start`, None if there is none."""
        entry = self.get_entry(self.key_serde.serialize(key), start)
        return None if entry is None else entry.value

    def fetch_range(self, key: K, from_ms: int, to_ms: int) -> list[tuple[int, V]]:
        """Return start and value of a key's windows with `from_ms <= start <= to_ms`, by start."""
        entries = self.fetch_entries(self.key_serde.serialize(key), from_ms, to_ms)
        return [(start, entry.value) for start, entry in entries]

    def all(self) -> Iterator[tuple[Windowed[K], V]]:
        """Iterate all visible windows, by key, then by start."""
        cached = self._cache.uncommitted_keys()
        stored = (key for key, _start, _value in self.committed_scan())
        for key in sorted({*cached, *stored}):
            for start, entry in self.fetch_entries(key, 0, self._time):
                window = Windowed(self.key_serde.deserialize(key), start, start + self.window_size_ms)
                yield window, entry.value

    # For the task.

    def flush(self) -> list[tuple[bytes, bytes | None]]:
        """Forward what changed since the last flush, and return it as changelog records.

        Forwarded last: who gets an update, and reads this store, sees every update of this flush.
        """
        changed: list[tuple[bytes, Slot, Entry, V | None]] = []
        if self.on_flush is not None:
            ask = self.send_old_values
            changed = [
                (key, slot, entry, self._old_value(key, slot) if ask else None)
                for key, slot, entry in self._cache.changed()
            ]
        try:
            log, changes = self._cache.flush(self.value_serde.serialize, self._segment_ms)
        except Exception as error:
            raise unencodable_value(self.name, self.value_serde, error) from error
        self._changes.update(changes)
        if self.on_flush is not None:
            for key, slot, entry, old in changed:
                self.on_flush(key, slot[0], entry, old)
        return log

    def _old_value(self, key: bytes, slot: Slot) -> V | None:
        """Return what was forwarded last: an aggregate may have been changed in place since."""
        stored_key = self._stored_key(escaped(key), slot)
        known = stored_key in self._changes
        stored = self._changes[stored_key] if known else self._engine.get(stored_key)
        if stored is None:
            return None
        value: V = decode_entry(stored, self.value_serde).value
        return value

    def _stored_key(self, escaped_key: bytes, slot: Slot) -> bytes:
        return store_key(slot[0] // self._segment_ms, escaped_key, *slot)

    def commit(self, position: int) -> None:
        """Write what was flushed with the position that follows it; drop segments that have expired."""
        expired = self._expired()
        changes = self._changes
        if expired:
            # What has expired since it was put: its segment is dropped for good.
            first_kept = pack_segment(self._dropped_before)
            changes = {key: stored for key, stored in changes.items() if key >= first_kept}
        if changes or expired or position != self._engine.position():
            self._engine.write(changes, position, expired)
        self._cache.commit(self._time - self.retention_ms)
        self._changes = {}

    def _expired(self) -> list[tuple[bytes, bytes]]:
        first_live = max(0, self._time - self.retention_ms + 1) // self._segment_ms
        if first_live <= self._dropped_before:
            return []
        dropped = (pack_segment(self._dropped_before), pack_segment(first_live))
        self._dropped_before = first_live
        return [dropped]

    def restore(self, records: Iterable[tuple[bytes, bytes | None]], position: int) -> None:
        """Apply changelog records, without those of windows that have expired."""
        last = dict(records)
        suffixes = {data[-SUFFIX_SIZE:] for data in last}
        starts = {suffix: start_of(suffix) for suffix in suffixes}
        self._time = max(self._time, max(starts.values(), default=-1))
        horizon, segment_ms = self._time - self.retention_ms, self._segment_ms
        # The windows of many keys end alike: what is before and after a key is made once for all.
        frames = {
            suffix: (pack_segment(start // segment_ms), KEY_END + suffix)
            for suffix, start in starts.items()
            if start > horizon
        }
        changes: dict[bytes, bytes | None] = {}
        for data, stored in last.items():
            frame = frames.get(data[-SUFFIX_SIZE:])
            if frame is not None:
                key = data[:-SUFFIX_SIZE]
                changes[frame[0] + (escape_zeros(key) if 0 in key else key) + frame[1]] = stored
        self._engine.write(changes, position)
        self._cache.forget()

    def stored(self, keys: Iterable[bytes]) -> list[tuple[bytes, bytes | None]]:
        """Return what is committed under changelog keys, as changelog records."""
        windows = ((data, parse_changelog_key(data)) for data in sorted(keys))
        return [
            (data, self._engine.get(self._stored_key(escaped(window.key), (window.start, window.sequence))))
            for data, window in windows
        ]

    def position(self) -> int:
        """Return the changelog position of what is committed."""
        return self._engine.position()

    def progress(self) -> Mapping[str, int]:
        """Return the store's stream time."""
        return {"time": self._time}

    def resume(self, progress: Mapping[str, int]) -> None:
        """Take up the stream time; where none was kept, that of the last window in the store."""
        self._sequence = self._engine.position()
        if "time" in progress:
            self._time = max(self._time, progress["time"])
        elif not self._was_empty:
            self._time = max(self._time, self._last_start())

    def _last_start(self) -> int:
        newest = next(self._engine.scan(b"", None, reverse=True), None)
        if newest is None:
            return -1
        segment = parse_store_key(newest[0]).start // self._segment_ms
        starts = (parse_store_key(key).start for key, _ in self._engine.scan(pack_segment(segment), None))
        return max(starts)

    def wipe(self) -> None:
        """Forget everything."""
        self._cache.wipe()
        self._changes, self._was_empty = {}, True
        self._time, self._dropped_before, self._sequence = -1, 0, 0
        self._engine.wipe()

    def close(self) -> None:
        """Release the store; what was not committed is forgotten."""
        self._engine.close()

    # For queries, from any thread: only what is committed.

    def committed_fetch(self, key: K, from_ms: int, to_ms: int) -> Iterator[tuple[int, ValueAndTimestamp[V]]]:
        """Iterate start and value of a key's committed windows with `from_ms <= start <= to_ms`."""
        first, last = max(from_ms, self._time - self.retention_ms + 1, 0), min(to_ms, self._time)
        if first > last:
            return
        for stored_key, stored in chain.from_iterable(
            self._segment_scans(self.key_serde.serialize(key), first, last)
        ):
            entry = decode_entry(stored, self.value_serde)
            yield parse_store_key(stored_key).start, ValueAndTimestamp(entry.value, entry.timestamp)

    def committed_scan(
        self, start: bytes = b"", end: bytes | None = None
    ) -> Iterator[tuple[bytes, int, ValueAndTimestamp[V]]]:
        """Iterate key, start and value of committed windows of keys with `start <= key < end`.

        In the order of key, then start.
        """
        horizon = self._time - self.retention_ms
        segments = range(max(0, horizon + 1) // self._segment_ms, max(0, self._time) // self._segment_ms + 1)
        low, high = escaped(start)[:-2], None if end is None else escaped(end)[:-2]
        scans = [self._scan_segment(segment, low, high) for segment in segments]
        for key, window_start, stored in heapq.merge(*scans):
            if window_start > horizon:
                entry = decode_entry(stored, self.value_serde)
                yield key, window_start, ValueAndTimestamp(entry.value, entry.timestamp)

    def _scan_segment(
        self, segment: int, low: bytes, high: bytes | None
    ) -> Iterator[tuple[bytes, int, bytes]]:
        prefix = pack_segment(segment)
        end = pack_segment(segment + 1) if high is None else prefix + high
        for stored_key, stored in self._engine.scan(prefix + low, end):
            window = parse_store_key(stored_key)
            yield window.key, window.start, stored
