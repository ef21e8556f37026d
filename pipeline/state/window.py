"""Values by key and window, forgotten when stream time has left them behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final, TypeVar

from pipeline.record import NO_HEADERS, Headers, Windowed
from pipeline.serde import Serde
from pipeline.state.caching import ValueAndTimestamp, decode_entry, decode_value
from pipeline.state.join_cache import JoinCache, Kept
from pipeline.state.segment_keys import WINDOWS, Slot, escaped
from pipeline.state.segmented import SegmentedStore
from pipeline.state.slot_cache import AggregateCache
from pipeline.state.store import BytesStore, Entry
from pipeline.state.window_entries import WindowEntry, put_at_hand

K = TypeVar("K")
V = TypeVar("V")

_END_OF_TIME: Final = 2**63 - 1


class WindowStore(SegmentedStore[K, V]):
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
        caching: forward at `flush`, the last update of each window; False: forward each put at once. What
            is logged and committed is the same.

    Attributes:
        on_flush: called with key, start, entry and old value of each update that is forwarded.
        send_old_values: whether `on_flush` is told the old value.
        at_hand: see `AggregateCache`; what is there can be seen.
    """

    on_flush: Callable[[bytes, int, Entry, V | None], None] | None
    counts_reads = True

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
        caching: bool = True,
    ) -> None:
        self._aggregates = AggregateCache(cache_entries, lends=caching and not retain_duplicates)
        self._windows, self.at_hand = self._aggregates.windows, self._aggregates.at_hand
        self._joins = JoinCache(cache_entries, self._decoded)
        super().__init__(
            name,
            engine,
            key_serde,
            value_serde,
            layout=WINDOWS,
            cache=self._joins if retain_duplicates else self._aggregates,
            retention_ms=retention_ms,
            caching=caching,
        )
        self.window_size_ms = window_size_ms
        self._duplicates = retain_duplicates
        self._sequence = engine.position()

    def shrink(self) -> None:
        """Let go of the oldest windows."""
        (self._joins if self._duplicates else self._aggregates).shrink()
        self.recount()

    def forget(self) -> None:
        """Let go of what is committed: it is read again when it is asked for."""
        super().forget()
        self._opened()

    def _opened(self) -> None:
        """Have the cache know that nothing later is stored than the stream time."""
        (self._joins if self._duplicates else self._aggregates).opened(self._time)

    def cached_bytes(self) -> int:
        """Return about how much memory the cache takes; see `CacheSize`."""
        return super().cached_bytes() + self._aggregates.filters_size

    # For operators: keys as bytes, entries with timestamp and headers.

    def get_entry(self, key: bytes, start: int) -> Entry | None:
        """Return the entry of a window, uncommitted ones included; None if there is none to see."""
        if start <= self._time - self.retention_ms:
            return None
        # Looked at here, without a call: mostly it is in memory, or there is none and there are no filters.
        entries, cache = self._windows.get(start), self._aggregates
        entry = None if entries is None else entries.get(key)
        if entry is None and (cache.gone or start < cache.whole_from) and not cache.lacks(key, start):
            entry = self._read(key, start)
        return None if entry is None or entry.value is None else entry

    def told_entry(self, key: bytes, start: int) -> Entry | None:
        """Return what was forwarded last of a window: what waits for the next flush is not in it."""
        if not self._caching:
            return self.get_entry(key, start)
        hidden = start <= self._time - self.retention_ms
        return None if hidden else self._told(self._stored_key(escaped(key), (start, 0)))

    def _read(self, key: bytes, start: int) -> WindowEntry | None:
        self.reads += 1
        stored = self._engine.get(self._stored_key(escaped(key), (start, 0)))
        if stored is None:
            return None
        found = decode_entry(stored, self)
        entry = WindowEntry(found.value, found.timestamp, found.headers, key)
        self._aggregates.remember(start, entry)
        self._size.add((stored,))
        return entry

    def put_entry(self, key: bytes, start: int, value: Any, timestamp: int, headers: Headers) -> bool:
        """Put a window's value, None deletes; return False, having done nothing, if it has expired."""
        if (found := self.at_hand.get(start)) is not None:
            put_at_hand(found, key, value, timestamp, headers)
            return True
        if start > self._time:
            self._time = start
            self.at_hand.clear()
        elif start <= self._time - self.retention_ms:
            return False
        if self._duplicates:
            # A deletion: of which of them? Nothing is deleted, as in Kafka Streams' `RocksDBWindowStore.put`.
            if (stored := self._encoded(key, Entry(value, timestamp, headers))) is not None:
                self.put_stored(key, start, stored)
            return True
        self._aggregates.put(key, start, value, timestamp, headers)
        if not self._caching:
            self._forward_at_once(key, (start, 0), Entry(value, timestamp, headers))
        return True

    def put_stored(self, key: bytes, start: int, stored: bytes) -> None:
        """Put one more value of a key, of a store that keeps duplicates; nothing if it has expired.

        Args:
            key: the key.
            start: its time.
            stored: event time (`caching.pack_time`), then the value's bytes.
        """
        if start > self._time:
            self._time = start
        elif start <= self._time - self.retention_ms:
            return
        # Never overwrites: every put is one changelog record, so a count that begins at the
        # changelog's position has not been used by an earlier run.
        sequence = self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        self._joins.put(Kept(start, sequence, stored, key))

    def fetch_stored(self, key: bytes, from_ms: int, to_ms: int) -> Sequence[Kept]:
        """Return what was put of a key with `from_ms <= start <= to_ms`, by start, then as put.

        What can be seen of it, as it is stored: of a store that keeps duplicates.
        """
        first, last = self._time - self.retention_ms + 1, self._time
        if from_ms > first:  # noqa: PLR1730 - calls of max and min for every record
            first = from_ms
        if to_ms < last:  # noqa: PLR1730
            last = to_ms
        found = self._joins.find(key, first, last)
        return self._with_stored(found, key, first, last) if first < self._joins.whole_from else found

    def _with_stored(self, found: Sequence[Kept], key: bytes, first: int, last: int) -> Sequence[Kept]:
        """Return what was found in memory, and what the store has: some of it may be the same."""
        first, last = max(first, 0), min(last, self._joins.whole_from - 1)
        if first > last:
            return found
        self.reads += 1
        parse, all_found = self._layout.parse_store_key, {(kept.time, kept.sequence): kept for kept in found}
        for place, stored in chain.from_iterable(self._segment_scans(key, first, last)):
            slot = parse(place).slot
            all_found[slot] = Kept(*slot, stored, key)
        return [all_found[slot] for slot in sorted(all_found)]

    def fetch_entries(self, key: bytes, from_ms: int, to_ms: int) -> list[tuple[int, Entry]]:
        """Return a key's visible windows with `from_ms <= start <= to_ms`, by start, then as put."""
        if self._duplicates:
            kept = self.fetch_stored(key, from_ms, to_ms)
            return [(each.time, decode_entry(each.stored, self)) for each in kept]
        first, last = self._visible(from_ms, to_ms)
        if first > last:
            return []
        found: dict[int, Entry] = {
            self._layout.time_of(stored_key): self._decoded(stored)
            for stored_key, stored in chain.from_iterable(self._segment_scans(key, first, last))
        }
        found |= self._aggregates.uncommitted(key, first, last)
        return [(start, found[start]) for start in sorted(found) if found[start].value is not None]

    def _decoded(self, stored: bytes) -> Entry:
        return decode_entry(stored, self)

    # For users' processors: typed. Windows that have expired are not returned.

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

    def fetch_range(self, key: K, from_ms: int, to_ms: int, *, reverse: bool = False) -> list[tuple[int, V]]:
        """Return start and value of a key's windows with `from_ms <= start <= to_ms`, by start."""
        entries = self.fetch_entries(self.key_serde.serialize(key), from_ms, to_ms)
        if reverse:
            entries.reverse()
        return [(start, entry.value) for start, entry in entries]

    def fetch_keys(
        self,
        first: K | None = None,
        last: K | None = None,
        from_ms: int = 0,
        to_ms: int = _END_OF_TIME,
        *,
        reverse: bool = False,
    ) -> Iterator[tuple[Windowed[K], V]]:
        """Iterate the windows of several keys, lazily: by the keys' bytes, then by start.

        Args:
            first: the first key; None: there is no bound.
            last: the last key, included; None: there is no bound.
            from_ms: earliest start.
            to_ms: latest start, included.
            reverse: the last key first, and of each key the latest window first.
        """
        start, end = self._key_range(first, last)
        deserialize, size = self.key_serde.deserialize, self.window_size_ms
        for (key, (begin, _)), entry in self._scan_entries(start, end, from_ms, to_ms, reverse=reverse):
            yield Windowed(deserialize(key), begin, begin + size), entry.value

    def all(
        self, from_ms: int = 0, to_ms: int = _END_OF_TIME, *, reverse: bool = False
    ) -> Iterator[tuple[Windowed[K], V]]:
        """Iterate all windows with `from_ms <= start <= to_ms`, lazily: by the keys' bytes, then by start."""
        return self.fetch_keys(None, None, from_ms, to_ms, reverse=reverse)

    # For the task.

    def _forward(self, changed: Iterable[tuple[bytes, Slot, Entry, V | None]]) -> None:
        if self.on_flush is not None:
            for key, slot, entry, old in changed:
                self.on_flush(key, slot[0], entry, old)

    def resume(self, progress: Mapping[str, int]) -> None:
        """Take up the stream time; where none was kept, that of the last window in the store."""
        super().resume(progress)
        self._opened()
        self._sequence = self._engine.position()

    def wipe(self) -> None:
        """Forget everything."""
        super().wipe()
        self._sequence = 0

    # For queries, from any thread: only what is committed.

    def committed_fetch(self, key: K, from_ms: int, to_ms: int) -> Iterator[tuple[int, ValueAndTimestamp[V]]]:
        """Iterate start and value of a key's committed windows with `from_ms <= start <= to_ms`."""
        first, last = self._visible(from_ms, to_ms)
        if first > last:
            return
        key_bytes, time_of = self.key_serde.serialize(key), self._layout.time_of
        for stored_key, stored in chain.from_iterable(self._segment_scans(key_bytes, first, last)):
            yield time_of(stored_key), decode_value(stored, self)

    def committed_scan(
        self, start: bytes = b"", end: bytes | None = None
    ) -> Iterator[tuple[bytes, int, ValueAndTimestamp[V]]]:
        """Iterate key, start and value of committed windows of keys with `start <= key < end`.

        In the order of key, then start.
        """
        for (key, slot), stored in self._scan_committed(start, end, 0, _END_OF_TIME):
            yield key, slot[0], decode_value(stored, self)
