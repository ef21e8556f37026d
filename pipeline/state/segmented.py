"""What stores of windows and of sessions share: a time that hides and drops what it has left behind.

An entry has a time, its slot's first number (a window's start, a session's end), and is visible while
`time > stream time - retention`; the store's stream time is the largest time put into it (Kafka
Streams, a2.6). What has expired is dropped by segments.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeAlias, TypeVar

from pipeline.serde import Serde
from pipeline.state.caching import CachingStore, decode_entry
from pipeline.state.merging import merge_scans
from pipeline.state.rows import Log, Rows
from pipeline.state.segment_keys import (
    KEY_END,
    Slot,
    SlotLayout,
    escape_zeros,
    escaped,
    pack_segment,
    place_together,
)
from pipeline.state.slot_cache import SlotCache
from pipeline.state.store import BytesStore, Entry

K = TypeVar("K")
V = TypeVar("V")

_MIN_SEGMENT_MS = 60_000

#: A key and one of its slots.
Place: TypeAlias = tuple[bytes, Slot]


class SegmentedStore(CachingStore[K, V], Generic[K, V]):
    """A typed store by key and slot over a `BytesStore`, in segments of time.

    Args:
        name: the store's name.
        engine: where committed entries are.
        key_serde: encodes keys.
        value_serde: encodes values.
        layout: of the slots.
        cache: what is uncommitted, and maybe what was read or committed lately.
        retention_ms: how long an entry can be read, in stream time.
        caching: see `CachingStore`.
    """

    def __init__(
        self,
        name: str,
        engine: BytesStore,
        key_serde: Serde[K],
        value_serde: Serde[V],
        *,
        layout: SlotLayout,
        cache: SlotCache,
        retention_ms: int,
        caching: bool,
    ) -> None:
        super().__init__(name, engine, key_serde, value_serde, caching=caching)
        self.retention_ms = retention_ms
        # What was stored before this opening may be later than what the changelog brings.
        self._was_empty = engine.position() == 0
        self._layout, self._cache = layout, cache
        self._segment_ms = max(retention_ms // 2, _MIN_SEGMENT_MS)
        self._time = -1
        #: Stream time as of the last flush: what is put after it is not committed with what was flushed.
        self._flushed_time = -1
        #: Whether the stream time is known, and not found out from what is restored.
        self._resumed = False
        self._dropped_before = 0

    @property
    def dirty(self) -> int:
        """Number of entries put since the last flush."""
        return self._cache.dirty

    def _stored_key(self, escaped_key: bytes, slot: Slot) -> bytes:
        return pack_segment(slot[0] // self._segment_ms) + escaped_key + self._layout.pack(*slot)

    # Scans. What has expired, and what has no time yet, is outside of every range.

    def _visible(self, first: int, last: int) -> tuple[int, int]:
        """Return the part of a range of times that can be seen; the first is after the last if none can."""
        return max(first, self._time - self.retention_ms + 1, 0), min(last, self._time)

    def _segment_scans(self, key: bytes, first: int, last: int) -> Iterator[Iterator[tuple[bytes, bytes]]]:
        """Scan a key's committed entries with `first <= time <= last`: one scan a segment, in order."""
        escaped_key = escaped(key)
        low, high = escaped_key + self._layout.pack(first, 0), escaped_key + self._layout.pack(last + 1, 0)
        for segment in range(first // self._segment_ms, last // self._segment_ms + 1):
            prefix = pack_segment(segment)
            yield self._engine.scan(prefix + low, prefix + high)

    def _scan_committed(
        self, start: bytes, end: bytes | None, first: int, last: int, *, reverse: bool = False
    ) -> Iterator[tuple[Place, bytes]]:
        """Iterate what is committed of keys with `start <= key < end`, by key, then slot."""
        first, last = self._visible(first, last)
        segments = range(first // self._segment_ms, last // self._segment_ms + 1)
        low, high = escape_zeros(start), None if end is None else escape_zeros(end)
        scans = [self._scan_segment(segment, low, high, reverse=reverse) for segment in segments]
        for place, stored in heapq.merge(*scans, reverse=reverse):
            if first <= place[1][0] <= last:
                yield place, stored

    def _scan_segment(
        self, segment: int, low: bytes, high: bytes | None, *, reverse: bool
    ) -> Iterator[tuple[Place, bytes]]:
        prefix, parse = pack_segment(segment), self._layout.parse_store_key
        end = pack_segment(segment + 1) if high is None else prefix + high
        for stored_key, stored in self._engine.scan(prefix + low, end, reverse=reverse):
            yield parse(stored_key), stored

    def _scan_entries(
        self, start: bytes, end: bytes | None, first: int, last: int, *, reverse: bool
    ) -> Iterator[tuple[Place, Entry]]:
        """Iterate entries with `start <= key < end` and `first <= time <= last`, by key, then slot.

        Uncommitted ones included, as they were when the first was taken.
        """
        committed = self._scan_committed(start, end, first, last, reverse=reverse)
        first, last = self._visible(first, last)
        uncommitted = [
            ((key, slot), entry)
            for key, slot, entry in self._cache.entries()
            if first <= slot[0] <= last and start <= key and (end is None or key < end)
        ]
        uncommitted.sort(key=lambda found: found[0], reverse=reverse)
        for place, found in merge_scans(committed, uncommitted, reverse=reverse):
            entry = decode_entry(found, self) if isinstance(found, bytes) else found
            if entry.value is not None:
                yield place, entry

    def _key_range(self, first: K | None, last: K | None) -> tuple[bytes, bytes | None]:
        """Return the range of the keys' bytes from `first` to `last`, both included."""
        start = b"" if first is None else self.key_serde.serialize(first)
        return start, None if last is None else self.key_serde.serialize(last) + b"\0"

    # For the task.

    def flush(self) -> Log:
        """Forward what changed since the last flush, and return it as changelog records.

        What was not there at the last flush, and is not there now, is not told of. Forwarded last: who
        gets an update, and reads this store, sees every update of this flush.
        """
        changed: list[tuple[bytes, Slot, Entry, V | None]] = []
        if self._caching and self.on_flush is not None:
            changed = list(self._changed())
        try:
            log, changes = self._cache.flush(self.value_serde.serialize, self._segment_ms)
        except Exception as error:
            raise self._unencodable(
                error, ((key, entry) for key, _slot, entry in self._cache.changed())
            ) from error
        if self._changes:
            self._changes.update(changes)
        else:
            self._changes = changes
        self._flushed_time = self._time
        self._forwarded.clear()
        self._forward(changed)
        return log

    def _changed(self) -> Iterator[tuple[bytes, Slot, Entry, V | None]]:
        asked = self.send_old_values
        for key, slot, entry in self._cache.changed():
            old = None
            if asked or entry.value is None:
                old = self._old_value(self._stored_key(escaped(key), slot))
            if entry.value is not None or old is not None:
                yield key, slot, entry, old if asked else None

    def _forward(self, changed: Iterable[tuple[bytes, Slot, Entry, V | None]]) -> None:
        """Call `on_flush` with each key, slot, entry and old value."""
        raise NotImplementedError

    def _forward_at_once(self, key: bytes, slot: Slot, entry: Entry) -> None:
        """Forward a put. The last step of it: what it leads to may put into this store again."""
        if self.on_flush is not None:
            old = self._replace(self._stored_key(escaped(key), slot), entry)
            self._forward(((key, slot, entry, old),))

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
        self._cache.commit(self._flushed_time - self.retention_ms)
        self._size.add(changes.values())
        self._changes = {}

    def _expired(self) -> list[tuple[bytes, bytes]]:
        first_live = max(0, self._flushed_time - self.retention_ms + 1) // self._segment_ms
        if first_live <= self._dropped_before:
            return []
        dropped = (pack_segment(self._dropped_before), pack_segment(first_live))
        self._dropped_before = first_live
        return [dropped]

    def restore(self, rows: Rows, position: int) -> None:
        """Apply changelog records, without those that have expired.

        By the time that `resume` was told, if it was told one: a changelog also holds what a crashed
        worker had logged and not committed, and by its time windows would be gone that are not.
        """
        if not self._resumed:
            self._time = max(self._time, max(map(self._layout.time_of, rows.all_keys), default=-1))
        self._engine.load(self._placed_together(rows) or self._placed(rows), position)
        self.forget()

    def _placed_together(self, rows: Rows) -> Rows | None:
        """Return changelog records as they are stored if that is found out at once; see `place_together`."""
        if not rows.all_keys:
            return None
        suffix = rows.all_keys[0][-self._layout.size :]
        time = self._layout.time_of(suffix)
        if time <= self._time - self.retention_ms:
            return None
        keys = place_together(rows.all_keys, suffix, pack_segment(time // self._segment_ms))
        return None if keys is None else Rows(keys, rows.all_values)

    def _placed(self, rows: Rows) -> Rows:
        """Return changelog records as they are stored, without those that have expired."""
        size, time_of = self._layout.size, self._layout.time_of
        horizon, segment_ms = self._time - self.retention_ms, self._segment_ms
        # The windows of many keys end alike: what is before and after a key is made once for all.
        frames: dict[bytes, tuple[bytes, bytes, bool]] = {}
        keys: list[bytes] = []
        values: list[bytes | None] = []
        for data, stored in rows:
            suffix = data[-size:]
            try:
                segment, rest, lives = frames[suffix]
            except KeyError:
                time = time_of(suffix)
                segment, rest, lives = pack_segment(time // segment_ms), KEY_END + suffix, time > horizon
                frames[suffix] = segment, rest, lives
            # What is deleted may be here from a time that was before this one, and that it goes back to.
            if lives or stored is None:
                key = data[:-size]
                keys.append(segment + (escape_zeros(key) if 0 in key else key) + rest)
                values.append(stored)
        return Rows(keys, values)

    def stored(self, keys: Iterable[bytes]) -> list[tuple[bytes, bytes | None]]:
        """Return what is committed under changelog keys, as changelog records."""
        places = ((data, self._layout.parse_changelog_key(data)) for data in sorted(keys))
        return [
            (data, self._engine.get(self._stored_key(escaped(key), slot))) for data, (key, slot) in places
        ]

    def cached_bytes(self) -> int:
        """Return about how much memory the cache takes; see `CacheSize`."""
        return self._size.total(self._cache.dirty + len(self._changes), self._cache.newest())

    def recount(self) -> None:
        """Look at what is cached, to know better."""
        self._size.recount(*self._cache.committed())

    def forget(self) -> None:
        """Let go of what is committed: it is read again when it is asked for."""
        self._cache.forget()
        self._size.forget()

    def progress(self) -> Mapping[str, int]:
        """Return the store's stream time."""
        return {"time": self._time}

    def resume(self, progress: Mapping[str, int]) -> None:
        """Take up the stream time; where none was kept, that of the last entry in the store."""
        self._resumed = "time" in progress
        if self._resumed:
            self._time = max(self._time, progress["time"])
        elif not self._was_empty:
            self._time = max(self._time, self._last_time())
        self._flushed_time = self._time

    def _last_time(self) -> int:
        newest = next(self._engine.scan(b"", None, reverse=True), None)
        if newest is None:
            return -1
        time_of = self._layout.time_of
        segment = pack_segment(time_of(newest[0]) // self._segment_ms)
        return max(time_of(key) for key, _ in self._engine.scan(segment, None))

    def wipe(self) -> None:
        """Forget everything."""
        self._cache.wipe()
        self._size.forget()
        self._changes, self._forwarded, self._was_empty = {}, {}, True
        self._time = self._flushed_time = -1
        self._dropped_before = 0
        self._engine.wipe()
