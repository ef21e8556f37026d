"""The values of each key over time, as far back as the history goes.

```
put(k, "a", 10)   put(k, "c", 30)   put(k, "b", 20)      time     10     20     30
                                                         value    |--a-->|--b-->|--c---->
get(k) is "c", get(k, as_of=25) is "b", get(k, as_of=9) is None
```

A version is valid from its timestamp until that of the key's next one; a deletion is a version without
a value. What this store does is what Kafka Streams' `RocksDBVersionedStore` does; its layout is another.

Layout, of the store and of its changelog alike: key, escaped ‖ timestamp, inverted (8): a key's latest
version comes first. The value is empty for a deletion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

from sortedcontainers import SortedDict

from pipeline.record import NO_HEADERS, Headers
from pipeline.serde import Serde
from pipeline.state.cache_size import sample_of
from pipeline.state.caching import TypedStore, ValueAndTimestamp, decode_entry, decode_value
from pipeline.state.rows import Rows
from pipeline.state.segment_keys import escape_zeros, escaped, unescaped
from pipeline.state.store import BytesStore, Entry
from pipeline.state.version_keys import VERSION_SIZE, after_versions, time_of, version_key
from pipeline.state.version_sweep import Sweep

K = TypeVar("K")
V = TypeVar("V")

#: What `put_entry` returns for a key's latest version: it is valid until further notice.
LATEST: Final = -1
#: What `put_entry` returns for a version that is older than the history: nothing was put.
NOT_PUT: Final = -(2**63)

#: What a deletion is stored as.
_DELETED: Final = b""
#: Versions of one key that a scan passes before it seeks the next key.
_PASSED: Final = 32


class _Version(NamedTuple):
    """A stored version: time and bytes."""

    timestamp: int
    stored: bytes


class VersionedStore(TypedStore[K, V]):
    """A typed store of versions over a `BytesStore`, behind a write-back cache.

    A version is put while `timestamp >= stream time - history`; the store's stream time is the largest
    timestamp put into it, of any key. Every put is logged and goes downstream by itself: there is no
    caching to choose. Versions that no question can reach any more are removed at later flushes, a
    bounded number each time; a key's latest value stays.

    Args:
        name: the store's name.
        engine: where committed versions are.
        key_serde: encodes keys.
        value_serde: encodes values.
        history_ms: how far back, from stream time, versions can be put and asked for.
        cache_entries: bound of the cache of latest versions.

    Attributes:
        on_flush: called at each put that took effect, with key, the time until which the version is valid
            (`LATEST`: open), its entry and the latest value before; None: nobody asks.
        send_old_values: whether `on_flush` is told the latest value before.
    """

    on_flush: Callable[[bytes, int, Entry, V | None], None] | None

    def __init__(
        self,
        name: str,
        engine: BytesStore,
        key_serde: Serde[K],
        value_serde: Serde[V],
        *,
        history_ms: int,
        cache_entries: int,
    ) -> None:
        super().__init__(name, engine, key_serde, value_serde)
        self.history_ms = history_ms
        self._bound = cache_entries
        # What was stored before this opening may be later than what the changelog brings.
        self._was_empty = engine.position() == 0
        self._time = -1
        #: Whether the stream time is known, and not found out from what is restored.
        self._resumed = False
        self._dirty: SortedDict = SortedDict()
        self._flushed: SortedDict = SortedDict()
        #: By escaped key: its latest version; None: it has none.
        self._latest: dict[bytes, _Version | None] = {}
        self._sweep = Sweep(engine)
        self._removed: list[bytes] = []

    @property
    def dirty(self) -> int:
        """Number of versions put since the last flush."""
        return len(self._dirty)

    # For operators: keys as bytes, entries with timestamp.

    def get_entry(self, key: bytes) -> Entry | None:
        """Return the latest version of a key, uncommitted ones included; None if it is deleted or absent."""
        return self._decoded(self._latest_version(escaped(key)))

    def told_entry(self, key: bytes) -> Entry | None:
        """Return what was forwarded last of a key: its latest version, as each is forwarded at once."""
        return self.get_entry(key)

    def get_entry_as_of(self, key: bytes, timestamp: int) -> Entry | None:
        """Return the version that was valid at `timestamp`, uncommitted ones included; None if none was.

        Beyond the history there is none, unless the key's latest version is that old.
        """
        prefix = escaped(key)
        latest = self._latest_version(prefix)
        if latest is None or latest.timestamp <= timestamp:
            return self._decoded(latest)
        if timestamp < self._time - self.history_ms:
            return None
        return self._decoded(self._newest(prefix, timestamp))

    def put_entry(self, key: bytes, value: Any, timestamp: int, headers: Headers) -> int:
        """Put a version; None deletes from its timestamp on. One of the same time is replaced.

        Returns:
            The time until which the version is valid, in ms: the timestamp of the key's next version;
            `LATEST` if it is the latest; `NOT_PUT`, having done nothing, if it is older than the history.

        Raises:
            StateError: the value cannot be encoded.
        """
        if timestamp < self._time - self.history_ms:
            return NOT_PUT
        entry = Entry(value, timestamp, headers)
        # Encoded now: a value that a user changes in place must not change the history.
        stored = self._encoded(key, entry) or _DELETED
        prefix = escaped(key)
        latest = self._latest_version(prefix)
        self._time = max(self._time, timestamp)
        self._dirty[version_key(prefix, timestamp)] = stored
        valid_to = LATEST
        if latest is None or timestamp >= latest.timestamp:
            self._latest[prefix] = _Version(timestamp, stored)
        else:
            valid_to = self._next_time(prefix, timestamp)
        if self.on_flush is not None:
            before = self._decoded(latest) if self.send_old_values else None
            # Last: what it leads to may put into this store again.
            self.on_flush(key, valid_to, entry, None if before is None else before.value)
        return valid_to

    def _decoded(self, version: _Version | None) -> Entry | None:
        """Return a version's entry: a new one each time, which a user may change in place."""
        return decode_entry(version.stored, self) if version and version.stored else None

    def _latest_version(self, prefix: bytes) -> _Version | None:
        if prefix in self._latest:
            return self._latest[prefix]
        if len(self._latest) >= self._bound:
            self.forget()
        latest = self._latest[prefix] = self._newest(prefix, None)
        self._size.add((b"" if latest is None else latest.stored,))
        return latest

    def _newest(self, prefix: bytes, timestamp: int | None) -> _Version | None:
        """Return a key's newest version, of those up to `timestamp` if there is one."""
        low = prefix if timestamp is None else version_key(prefix, timestamp)
        high = after_versions(prefix)
        found = next(self._engine.scan(low, high), None)
        for cache in (self._flushed, self._dirty):
            key = next(cache.irange(low, high, (True, False)), None) if cache else None
            if key is not None and (found is None or key <= found[0]):
                found = key, cache[key]
        return None if found is None else _Version(time_of(found[0]), found[1])

    def _next_time(self, prefix: bytes, timestamp: int) -> int:
        """Return the smallest time after `timestamp` at which the key has a version; there is one."""
        low, high = prefix, version_key(prefix, timestamp)
        found = next(self._engine.scan(low, high, reverse=True), None)
        keys = [] if found is None else [found[0]]
        for cache in (self._flushed, self._dirty):
            keys += [
                key for key in (next(cache.irange(low, high, (True, False), reverse=True), None),) if key
            ]
        return time_of(max(keys))

    # For users' processors: typed.

    def get(self, key: K, as_of: int | None = None) -> ValueAndTimestamp[V] | None:
        """Return the latest value of a key with its timestamp, or that of a moment; None if there is none.

        Args:
            key: the key.
            as_of: the moment, in ms, inclusive. Beyond the history there is no value, unless the
                key's latest one is that old.
        """
        key_bytes = self.key_serde.serialize(key)
        entry = self.get_entry(key_bytes) if as_of is None else self.get_entry_as_of(key_bytes, as_of)
        return None if entry is None else ValueAndTimestamp(entry.value, entry.timestamp)

    def put(self, key: K, value: V | None, timestamp: int) -> int:
        """Put a value that is valid from `timestamp` (ms) on; None deletes. See `put_entry`."""
        return self.put_entry(self.key_serde.serialize(key), value, timestamp, NO_HEADERS)

    def delete(self, key: K, timestamp: int) -> ValueAndTimestamp[V] | None:
        """Delete a key from `timestamp` (ms) on, and return what was valid then.

        None: there was nothing, or the timestamp is older than the history, and nothing was done.
        """
        if timestamp < self._time - self.history_ms:
            return None
        found = self.get(key, timestamp)
        self.put(key, None, timestamp)
        return found

    # For the task.

    def flush(self) -> list[tuple[bytes, bytes | None]]:
        """Return what was put since the last flush as changelog records: it was forwarded at once.

        With it goes a part of the history that has expired.
        """
        if not self._dirty:
            return []
        put, self._dirty = self._dirty, SortedDict()
        self._flushed = SortedDict({**self._flushed, **put}) if self._flushed else put
        removed = self._sweep.step(self._time - self.history_ms, len(put), self._is_uncommitted)
        self._removed += removed
        return [*((key, None) for key in removed), *put.items()]

    def _is_uncommitted(self, prefix: bytes) -> bool:
        return next(self._flushed.irange(prefix, after_versions(prefix)), None) is not None

    def commit(self, position: int) -> None:
        """Write what was flushed, with the changelog position that follows it."""
        if self._flushed or position != self._engine.position():
            self._engine.write({**dict.fromkeys(self._removed), **self._flushed}, position)
        self._size.add(self._flushed.values())
        self._flushed, self._removed = SortedDict(), []

    def restore(self, rows: Rows, position: int) -> None:
        """Apply changelog records: they are what is stored.

        Time is what `resume` was told, if it was told one: versions that a crashed worker had logged and
        not committed would move it.
        """
        if not self._resumed:
            self._time = max(self._time, max(map(time_of, rows.all_keys), default=-1))
        self._engine.load(rows, position)
        self.forget()

    def stored(self, keys: Iterable[bytes]) -> list[tuple[bytes, bytes | None]]:
        """Return what is committed under changelog keys, as changelog records."""
        return [(key, self._engine.get(key)) for key in sorted(keys)]

    def cached_bytes(self) -> int:
        """Return about how much memory the cache takes; see `CacheSize`."""
        newest = islice(reversed(self._dirty.values()), 1)
        return self._size.total(len(self._dirty) + len(self._flushed), newest)

    def recount(self) -> None:
        """Look at what is cached, to know better."""
        latest = (b"" if version is None else version.stored for version in sample_of(self._latest.values()))
        self._size.recount(len(self._latest), latest)

    def forget(self) -> None:
        """Let go of the latest versions: they are looked for when they are asked for."""
        self._latest.clear()
        self._size.forget()

    def progress(self) -> Mapping[str, int]:
        """Return the store's stream time."""
        return {"time": self._time}

    def resume(self, progress: Mapping[str, int]) -> None:
        """Take up the stream time; where none was kept, that of the newest version in the store."""
        self._resumed = "time" in progress
        if self._resumed:
            self._time = max(self._time, progress["time"])
        elif not self._was_empty:
            times = (time_of(key) for key, _ in self._engine.scan(b"", None))
            self._time = max(self._time, max(times, default=-1))

    def wipe(self) -> None:
        """Forget everything."""
        self._dirty, self._flushed, self._removed = SortedDict(), SortedDict(), []
        self.forget()
        self._was_empty, self._time = True, -1
        self._sweep = Sweep(self._engine)
        self._engine.wipe()

    # For queries, from any thread: only what is committed.

    def committed_get(self, key: K, as_of: int | None = None) -> ValueAndTimestamp[V] | None:
        """Return the latest committed value of a key, or that of a moment; see `get`."""
        prefix = escaped(self.key_serde.serialize(key))
        newest = next(self._engine.scan(prefix, after_versions(prefix)), None)
        if newest is not None and as_of is not None and time_of(newest[0]) > as_of:
            if as_of < self._time - self.history_ms:
                return None
            scan = self._engine.scan(version_key(prefix, as_of), after_versions(prefix))
            newest = next(scan, None)
        return decode_value(newest[1], self) if newest and newest[1] else None

    def committed_scan(
        self, start: bytes = b"", end: bytes | None = None
    ) -> Iterator[tuple[bytes, ValueAndTimestamp[V]]]:
        """Iterate the latest committed values of keys with `start <= key < end`, keys as bytes, in order."""
        low, high = escape_zeros(start), None if end is None else escape_zeros(end)
        while True:
            prefix, passed = b"", 0
            for data, stored in self._engine.scan(low, high):
                if data[:-VERSION_SIZE] == prefix:
                    passed += 1
                    if passed == _PASSED:
                        # A long history: go on behind it.
                        break
                    continue
                prefix, passed = data[:-VERSION_SIZE], 0
                if stored:
                    yield unescaped(prefix), decode_value(stored, self)
            else:
                return
            low = after_versions(prefix)
