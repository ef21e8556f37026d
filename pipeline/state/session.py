"""Values by key and session, forgotten when stream time has left them behind."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, Final, TypeVar

from pipeline.record import NO_HEADERS, Headers, Windowed
from pipeline.serde import Serde
from pipeline.state.caching import ValueAndTimestamp, decode_entry, decode_value
from pipeline.state.segment_keys import SESSIONS, Slot, escaped
from pipeline.state.segmented import SegmentedStore
from pipeline.state.session_cache import Kept, SessionCache
from pipeline.state.store import BytesStore, Entry

K = TypeVar("K")
V = TypeVar("V")

_END_OF_TIME: Final = 2**63 - 1


class SessionStore(SegmentedStore[K, V]):
    """A typed store of sessions over a `BytesStore`, behind a write-back cache by key.

    A session is a window of any length, both of its ends inclusive, in ms and not negative. It is
    visible while `end > stream time - retention`; the store's stream time is the largest end put into
    it (Kafka Streams, a2.6). Expired sessions are dropped by segments of their ends.

    ```
    find_sessions(key, earliest_end=E, latest_start=S): what overlaps [E, S]

                     [E................S]
    [no]     [yes]     [yes]          [yes]   [no]
    ```

    Args:
        name: the store's name.
        engine: where committed sessions are.
        key_serde: encodes keys.
        value_serde: encodes values.
        retention_ms: how long a session can be read after its end, in stream time.
        cache_entries: bound of the sessions that are kept in memory beside uncommitted ones.
        caching: forward at `flush`, the last update of each session; False: forward each put at once.
            What is logged and committed is the same.

    Attributes:
        on_flush: called with key, start, end, entry and old value of each update that is forwarded.
        send_old_values: whether `on_flush` is told the old value.
    """

    on_flush: Callable[[bytes, int, int, Entry, V | None], None] | None
    _cache: SessionCache

    def __init__(
        self,
        name: str,
        engine: BytesStore,
        key_serde: Serde[K],
        value_serde: Serde[V],
        *,
        retention_ms: int,
        cache_entries: int,
        caching: bool = True,
    ) -> None:
        super().__init__(
            name,
            engine,
            key_serde,
            value_serde,
            layout=SESSIONS,
            cache=SessionCache(cache_entries),
            retention_ms=retention_ms,
            caching=caching,
        )

    # For operators: keys as bytes, entries with timestamp and headers.

    def get_entry(self, key: bytes, start: int, end: int) -> Entry | None:
        """Return the entry of a session, uncommitted ones included; None if there is none to see."""
        for kept in self._sessions(key, end):
            if kept.end > end:
                break
            if kept.start == start:
                return kept.entry
        return None

    def told_entry(self, key: bytes, start: int, end: int) -> Entry | None:
        """Return what was forwarded last of a session: what waits for the next flush is not in it."""
        if not self._caching:
            return self.get_entry(key, start, end)
        hidden = end <= self._time - self.retention_ms
        return None if hidden else self._told(self._stored_key(escaped(key), (end, start)))

    def find_entries(self, key: bytes, earliest_end: int, latest_start: int) -> list[tuple[int, int, Entry]]:
        """Return start, end and entry of a key's sessions that overlap `[earliest_end, latest_start]`.

        Those with `end >= earliest_end` and `start <= latest_start`, by end, then start (Kafka
        Streams' `SessionStore.findSessions`); uncommitted ones included.
        """
        return [
            (kept.start, kept.end, kept.entry) for kept in self.find_kept(key, earliest_end, latest_start)
        ]

    def find_kept(self, key: bytes, earliest_end: int, latest_start: int) -> Sequence[Kept]:
        """The same, as the cache keeps them."""
        sessions = self._sessions(key, earliest_end)
        if len(sessions) == 1:
            return sessions if sessions[0].start <= latest_start else ()
        return [kept for kept in sessions if kept.start <= latest_start]

    def _sessions(self, key: bytes, earliest_end: int) -> Sequence[Kept]:
        """Return a key's visible sessions with `end >= earliest_end`, by end, then start."""
        earliest = self._time - self.retention_ms + 1
        if earliest_end > earliest:  # noqa: PLR1730 - a call of max for every record
            earliest = earliest_end
        sessions = self._cache.find(key, earliest)
        if sessions is None:
            read = self._read(key)
            return read[bisect_left(read, earliest, key=attrgetter("end")) :]
        return sessions

    def _read(self, key: bytes) -> list[Kept]:
        """Return all of a key's visible sessions, and have the cache keep them."""
        first, last = self._visible(0, _END_OF_TIME)
        found: dict[Slot, Entry] = {}
        if first <= last:
            parse = self._layout.parse_store_key
            for stored_key, stored in chain.from_iterable(self._segment_scans(key, first, last)):
                found[parse(stored_key).slot] = decode_entry(stored, self)
                self._size.add((stored,))
        found |= self._cache.uncommitted(key, first, last)
        sessions = [Kept(*slot, found[slot]) for slot in sorted(found) if found[slot].value is not None]
        self._cache.learn(key, sessions)
        return sessions

    def put_entry(
        self, key: bytes, start: int, end: int, value: Any, timestamp: int, headers: Headers
    ) -> bool:
        """Put a session's value, None removes; return False, having done nothing, if it has expired."""
        if end > self._time:
            self._time = end
        elif end <= self._time - self.retention_ms:
            return False
        slot, entry = (end, start), Entry(value, timestamp, headers)
        self._cache.put(key, slot, entry)
        if not self._caching:
            self._forward_at_once(key, slot, entry)
        return True

    def replace_entry(
        self, key: bytes, old: Kept, start: int, end: int, value: Any, headers: Headers
    ) -> bool:
        """Remove a session that was found, and put another one that ends then or later; see `put_entry`."""
        if not self._caching or value is None or old.end <= self._time - self.retention_ms:
            self.put_entry(key, old.start, old.end, None, old.end, headers)
            return self.put_entry(key, start, end, value, end, headers)
        self._time = max(self._time, end)
        deletion, entry = Entry(None, old.end, headers), Entry(value, end, headers)
        self._cache.replace(key, old, deletion, (end, start), entry)
        return True

    # For users' processors: typed. Sessions that have expired are not returned.

    def put(self, key: K, value: V | None, start: int, end: int, timestamp: int | None = None) -> bool:
        """Put the value of the session from `start` to `end`, None removes.

        Args:
            key: the key.
            value: the value.
            start: start of the session in ms.
            end: end of the session in ms, inclusive.
            timestamp: event time of the value; `end` unless told.

        Returns:
            False, having done nothing, if the session has expired.

        Raises:
            ValueError: the session begins before the epoch or ends before it begins.
        """
        if not 0 <= start <= end:
            raise ValueError(f"store {self.name!r}: a session cannot begin at {start} and end at {end}")
        time = end if timestamp is None else timestamp
        return self.put_entry(self.key_serde.serialize(key), start, end, value, time, NO_HEADERS)

    def remove(self, key: K, start: int, end: int) -> V | None:
        """Remove the session from `start` to `end`, and return its value; None if there is none."""
        key_bytes = self.key_serde.serialize(key)
        entry = self.get_entry(key_bytes, start, end)
        if entry is None:
            return None
        self.put_entry(key_bytes, start, end, None, entry.timestamp, NO_HEADERS)
        value: V = entry.value
        return value

    def fetch(self, key: K, start: int, end: int) -> V | None:
        """Return the value of the session from `start` to `end`, None if there is none."""
        entry = self.get_entry(self.key_serde.serialize(key), start, end)
        return None if entry is None else entry.value

    def find_sessions(
        self, key: K, earliest_end: int, latest_start: int, *, reverse: bool = False
    ) -> list[tuple[int, int, V]]:
        """Return start, end and value of a key's sessions that overlap `[earliest_end, latest_start]`.

        By end, then start.
        """
        entries = self.find_entries(self.key_serde.serialize(key), earliest_end, latest_start)
        if reverse:
            entries.reverse()
        return [(start, end, entry.value) for start, end, entry in entries]

    def fetch_all(self, key: K, *, reverse: bool = False) -> list[tuple[int, int, V]]:
        """Return start, end and value of all of a key's sessions, by end, then start."""
        return self.find_sessions(key, 0, _END_OF_TIME, reverse=reverse)

    def fetch_keys(
        self,
        first: K | None = None,
        last: K | None = None,
        earliest_end: int = 0,
        latest_start: int = _END_OF_TIME,
        *,
        reverse: bool = False,
    ) -> Iterator[tuple[Windowed[K], V]]:
        """Iterate the sessions of several keys, lazily: by the keys' bytes, then by end, then by start.

        Args:
            first: the first key; None: there is no bound.
            last: the last key, included; None: there is no bound.
            earliest_end: sessions that end before are left out.
            latest_start: sessions that begin after are left out.
            reverse: the last key first, and of each key the latest session first.
        """
        lowest, highest = self._key_range(first, last)
        entries = self._scan_entries(lowest, highest, earliest_end, _END_OF_TIME, reverse=reverse)
        deserialize = self.key_serde.deserialize
        for (key, (end, start)), entry in entries:
            if start <= latest_start:
                yield Windowed(deserialize(key), start, end), entry.value

    def all(
        self, earliest_end: int = 0, latest_start: int = _END_OF_TIME, *, reverse: bool = False
    ) -> Iterator[tuple[Windowed[K], V]]:
        """Iterate all sessions that overlap `[earliest_end, latest_start]`, in the order of `fetch_keys`."""
        return self.fetch_keys(None, None, earliest_end, latest_start, reverse=reverse)

    # For the task.

    def resume(self, progress: Mapping[str, int]) -> None:
        """Take up the stream time; where none was kept, that of the last session in the store."""
        super().resume(progress)
        self._cache.opened(self._time)

    def forget(self) -> None:
        """Let go of what is committed: it is read again when it is asked for."""
        super().forget()
        self._cache.opened(self._time)

    def shrink(self) -> None:
        """Let go of half of the sessions, and rather of those that ended first."""
        self._cache.shrink()
        self.recount()

    def _forward(self, changed: Iterable[tuple[bytes, Slot, Entry, V | None]]) -> None:
        if self.on_flush is not None:
            for key, (end, start), entry, old in changed:
                self.on_flush(key, start, end, entry, old)

    # For queries, from any thread: only what is committed.

    def committed_fetch(
        self, key: K, earliest_end: int, latest_start: int
    ) -> Iterator[tuple[int, int, ValueAndTimestamp[V]]]:
        """Iterate start, end and value of a key's committed sessions that overlap the times, by end."""
        first, last = self._visible(earliest_end, _END_OF_TIME)
        if first > last:
            return
        parse = self._layout.parse_store_key
        for stored_key, stored in chain.from_iterable(
            self._segment_scans(self.key_serde.serialize(key), first, last)
        ):
            end, start = parse(stored_key).slot
            if start <= latest_start:
                yield start, end, decode_value(stored, self)

    def committed_scan(
        self, start: bytes = b"", end: bytes | None = None
    ) -> Iterator[tuple[bytes, int, int, ValueAndTimestamp[V]]]:
        """Iterate key, start, end and value of committed sessions of keys with `start <= key < end`.

        In the order of key, then end, then start.
        """
        for (key, (ended, began)), stored in self._scan_committed(start, end, 0, _END_OF_TIME):
            yield key, began, ended, decode_value(stored, self)
