"""The windows of a store that are in memory: put and not committed yet, or read or committed lately.

An aggregate has few windows open and many keys in each: by start, then key, so that a put or a read that
hits makes no key bytes. Sessions and joins have caches of their own, `state.session_cache` and
`state.join_cache`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any, Final, Protocol, TypeAlias

from pipeline.record import Headers
from pipeline.state.cache_size import sample_of
from pipeline.state.key_filter import KeyFilter
from pipeline.state.rows import Log, Rows
from pipeline.state.segment_keys import WINDOWS, Slot, pack_segment
from pipeline.state.store import Entry
from pipeline.state.window_entries import AtHand, WindowEntry, encoded, put_at_hand

#: What is to be logged, and what is to be stored.
Encoded: TypeAlias = tuple[Log, dict[bytes, bytes | None]]


class SlotCache(Protocol):
    """What a store of windows or sessions keeps in memory.

    The life of an entry: `put`, `flush`, `commit`; it may be forgotten after that.
    """

    @property
    def dirty(self) -> int:
        """Number of entries put since the last flush."""
        ...

    def entries(self) -> Iterator[tuple[bytes, Slot, Entry]]:
        """Iterate all uncommitted entries as they are now, in any order."""
        ...

    def changed(self) -> Iterator[tuple[bytes, Slot, Entry]]:
        """Iterate what was put since the last flush, as it is now."""
        ...

    def flush(self, serialize: Callable[[Any], bytes], segment_ms: int) -> Encoded:
        """Take what was put since the last flush as flushed, and return it encoded."""
        ...

    def commit(self, horizon: int) -> None:
        """Take what was flushed as committed; what has a time of `horizon` or before has expired."""
        ...

    def newest(self) -> Iterator[Any]:
        """Yield the newest of what was put since the last flush, if there is anything."""
        ...

    def committed(self) -> tuple[int, Iterable[Any]]:
        """Return how much is kept that is committed, and some of it: entries, or what is stored for them."""
        ...

    def forget(self) -> None:
        """Forget what is committed: the store was changed by another way, or memory is short."""
        ...

    def wipe(self) -> None:
        """Forget everything."""
        ...


#: So many entries are made bytes of at once: the interpreter's lock is held, and HTTP waits.
_CHUNK: Final = 4_000
#: A window with so few keys is not worth a filter.
_FEW: Final = 64

#: Later than every time: nothing is whole.
_NEVER: Final = 2**63


class AggregateCache:
    """By start, then key: what is in memory, and beside it what of that is not committed.

    Args:
        bound: number of committed entries that are kept; the oldest windows are forgotten first.
        lends: whether there are windows at hand.

    Attributes:
        whole_from: of windows that start at this time or later, every entry is in memory, or its key is
            in a filter. So it is of earlier ones that have a filter.
        windows: by start, then key, every entry in memory; always the same dictionary.
        gone: by start, a filter of the keys of entries that were forgotten.
        at_hand: by start, windows that were put into lately and of which every entry is in memory: to look
            one up takes no call, nor does it to put one as `put_at_hand` does, until the next flush. Always
            the same dictionary. Its store empties it when stream time goes on, which may hide them.
    """

    def __init__(self, bound: int, *, lends: bool = True) -> None:
        self.whole_from = _NEVER
        self._bound = bound
        self._remembered = 0
        self.windows: dict[int, dict[bytes, WindowEntry]] = {}
        self._dirty: dict[int, list[WindowEntry]] = {}
        self._flushed: dict[int, list[WindowEntry]] = {}
        self._lends = lends
        self.at_hand: dict[int, AtHand] = {}
        self.gone: dict[int, KeyFilter] = {}
        #: By key, the starts of its uncommitted entries; made when a key is asked for.
        self._starts: dict[bytes, set[int]] | None = None

    @property
    def dirty(self) -> int:
        """Number of entries put since the last flush: counted when it is asked for, not for each record."""
        return sum(map(len, self._dirty.values()))

    def opened(self, time: int) -> None:
        """Say that no window that starts later than `time` is stored."""
        self.whole_from, self.gone = time + 1, {}

    def lacks(self, key: bytes, start: int) -> bool:
        """Return whether an entry that is not in memory is not stored either; False if that is not known."""
        gone = self.gone.get(start)
        return start >= self.whole_from if gone is None else key not in gone

    @property
    def filters_size(self) -> int:
        """Bytes of what is known of entries that were forgotten."""
        return sum(gone.size for gone in self.gone.values())

    def remember(self, start: int, entry: WindowEntry) -> None:
        """Keep an entry that was read."""
        self.windows.setdefault(start, {})[entry.key] = entry
        self._remembered += 1
        if self._remembered > self._bound:
            self._evict()

    def put(self, key: bytes, start: int, value: Any, timestamp: int, headers: Headers) -> None:
        """Keep an entry until it is committed."""
        entries, dirty = self.windows.get(start), self._dirty.get(start)
        if entries is None:
            entries = self.windows[start] = {}
        if dirty is None:
            dirty = self._dirty[start] = []
        window = entries, dirty
        put_at_hand(window, key, value, timestamp, headers)
        if self._starts is not None:
            self._starts.setdefault(key, set()).add(start)
        elif self._lends and start >= self.whole_from and start not in self.gone:
            self.at_hand[start] = window

    def uncommitted(self, key: bytes, first: int, last: int) -> dict[int, Entry]:
        """Return a key's uncommitted entries with `first <= start <= last` as they are now, by start."""
        if self._starts is None:
            self._starts = {}
            # What is put is noted there, too.
            self.at_hand.clear()
            for cache in (self._flushed, self._dirty):
                for start, entries in cache.items():
                    for entry in entries:
                        self._starts.setdefault(entry.key, set()).add(start)
        starts = (start for start in self._starts.get(key, ()) if first <= start <= last)
        return {start: self.windows[start][key].as_it_is() for start in starts}

    def entries(self) -> Iterator[tuple[bytes, Slot, Entry]]:
        """Iterate all uncommitted entries as they are now, in any order."""
        for start in {*self._flushed, *self._dirty}:
            slot = (start, 0)
            for key, entry in self._uncommitted_of(start).items():
                yield key, slot, entry.as_it_is()

    def changed(self) -> Iterator[tuple[bytes, Slot, Entry]]:
        """Iterate what was put since the last flush, as it is now."""
        for start, entries in self._dirty.items():
            slot = (start, 0)
            for entry in entries:
                yield entry.key, slot, entry.as_it_is()

    def flush(self, serialize: Callable[[Any], bytes], segment_ms: int) -> Encoded:
        """Take what was put since the last flush as flushed, and return it encoded."""
        logged_keys: list[bytes] = []
        logged: list[bytes | None] = []
        changes: dict[bytes, bytes | None] = {}
        for start, entries in self._dirty.items():
            segment, slot = pack_segment(start // segment_ms), WINDOWS.pack(start, 0)
            for first in range(0, len(entries), _CHUNK):
                keys, stored = encoded(entries[first : first + _CHUNK], serialize, segment, slot, changes)
                logged_keys += keys
                logged += stored
            if start in self._flushed:
                self._flushed[start] += entries
            else:
                self._flushed[start] = entries
        self._dirty = {}
        self.at_hand.clear()
        return Rows(logged_keys, logged), changes

    def commit(self, horizon: int) -> None:
        """Take what was flushed as committed; windows that start at `horizon` or before have expired."""
        self._flushed, self._starts = {}, None
        for start in [start for start in self.windows if start <= horizon]:
            del self.windows[start]
        for start in [start for start in self.gone if start <= horizon]:
            del self.gone[start]
        self._evict()

    def _evict(self) -> None:
        """Forget the oldest windows, some more than must be: what follows need not look for them again."""
        self._remembered = self._committed
        if self._remembered > self._bound:
            self._forget_down_to(self._bound * 7 // 8)

    def shrink(self) -> None:
        """Forget the oldest windows, until half of what is committed is left: new ones are asked for more."""
        self._remembered = self._committed
        self._forget_down_to(self._remembered // 2)

    def _forget_down_to(self, most: int) -> None:
        for start in sorted(self.windows):
            if self._remembered <= most:
                break
            entries, kept = self.windows.pop(start), self._uncommitted_of(start)
            if kept:
                self.windows[start] = kept
                entries = {key: entry for key, entry in entries.items() if key not in kept}
            self._remembered -= len(entries)
            self._note_gone(start, entries)
        self.at_hand.clear()

    def _uncommitted_of(self, start: int) -> dict[bytes, WindowEntry]:
        return {entry.key: entry for entry in chain(self._flushed.get(start, ()), self._dirty.get(start, ()))}

    @property
    def _committed(self) -> int:
        """Number of entries that are kept and committed, or flushed and put since."""
        return sum(map(len, self.windows.values())) - self.dirty

    def _note_gone(self, start: int, entries: dict[bytes, WindowEntry]) -> None:
        if start in self.gone:
            self.gone[start].add(entries)
        elif start >= self.whole_from:
            if len(entries) < _FEW:
                self.whole_from = start + 1
            else:
                self.gone[start] = KeyFilter()
                self.gone[start].add(entries)

    def newest(self) -> Iterator[Entry]:
        """Yield the newest of what was put since the last flush, if there is anything."""
        for entries in islice(reversed(self._dirty.values()), 1):
            yield from entries[-1:]

    def committed(self) -> tuple[int, Iterable[Entry]]:
        """Return how many entries are kept that are committed, and some of them."""
        kept = self.windows.values()
        return self._committed, (entry for entries in kept for entry in sample_of(entries.values()))

    def forget(self) -> None:
        """Forget what is committed: the store was changed by another way, or memory is short."""
        self.windows.clear()
        self.windows |= {start: self._uncommitted_of(start) for start in {*self._flushed, *self._dirty}}
        self._remembered = 0
        self.whole_from, self.gone = _NEVER, {}
        self.at_hand.clear()

    def wipe(self) -> None:
        """Forget everything."""
        self._dirty, self._flushed, self._starts = {}, {}, None
        self.forget()
        self.opened(-1)
