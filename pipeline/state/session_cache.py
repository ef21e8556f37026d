"""The sessions of a store that are in memory.

```
end         -----------------| whole_from ------------- now
stored      all              |
in memory   uncommitted ones | all of them, committed or not
            and of keys that
            were read all
```

Every record of a session asks for what lies about its own time. Most have their answer here: a search of
the store costs more than all the rest of a session, and is made for sessions that ended before
`whole_from` alone. A key that it was made for is known whole from then on.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from operator import attrgetter
from typing import Any, Final, TypeAlias

import msgspec

from pipeline.state.cache_size import sample_of
from pipeline.state.caching import pack_time
from pipeline.state.segment_keys import KEY_END, SESSIONS, Slot, escape_zeros, pack_segment
from pipeline.state.slot_cache import Encoded
from pipeline.state.store import Entry


class Kept(msgspec.Struct, frozen=True, gc=False):
    """A session that is in memory. The collector need not look at it: it refers to values alone.

    Attributes:
        end: its last record's time in ms.
        start: its first record's.
        entry: its value, time and headers.
    """

    end: int
    start: int
    entry: Entry


class Several(msgspec.Struct, gc=False):
    """Sessions of one key.

    Attributes:
        end: that of the latest.
        sessions: by end, then start; there is one at least. A tuple, if they are few: the collector looks at
            that once, and at a list again and again.
    """

    end: int
    sessions: list[Kept] | tuple[Kept, ...]


#: What is in memory of one key: mostly there is one session.
_OfKey: TypeAlias = Kept | Several

#: So many are few: they are copied when one of them changes.
_FEW: Final = 16

_end = attrgetter("end")
_slot = attrgetter("end", "start")

#: Later than every time: nothing is whole.
_NEVER: Final = 2**63


class SessionCache:
    """Uncommitted sessions by their changelog keys; and what else is in memory, by key.

    Args:
        bound: number of sessions that are kept; half of them, the earliest, are forgotten when it is passed.

    Attributes:
        whole_from: every session that ends at this time or later is in memory.
    """

    def __init__(self, bound: int) -> None:
        self.whole_from = _NEVER
        self._dirty: dict[bytes, Entry] = {}
        self._flushed: dict[bytes, Entry] = {}
        #: By key, which of them are its own; made when a key is asked for.
        self._places: dict[bytes, set[Slot]] | None = None
        self._bound = bound
        self._kept: dict[bytes, _OfKey] = {}
        #: Keys of which every session is in memory, whenever it ended; some have none.
        self._whole: set[bytes] = set()
        #: Number of sessions that are kept, and of keys that are whole: those are worth a place, too.
        self._count = 0
        #: Sessions that end then or before can be forgotten with no one missing them.
        self._horizon = -1

    @property
    def dirty(self) -> int:
        """Number of sessions put since the last flush."""
        return len(self._dirty)

    def opened(self, time: int) -> None:
        """Say that no session that ends later than `time` is stored."""
        self.whole_from = time + 1

    def find(self, key: bytes, earliest_end: int) -> Sequence[Kept] | None:
        """Return a key's sessions with `end >= earliest_end`, by end, then start, uncommitted ones included.

        None: some may be stored that are not in memory.
        """
        if earliest_end < self.whole_from and key not in self._whole:
            return None
        known = self._kept.get(key)
        if known is None or known.end < earliest_end:
            return ()
        if isinstance(known, Kept):
            return (known,)
        return known.sessions[bisect_left(known.sessions, earliest_end, key=_end) :]

    def learn(self, key: bytes, sessions: list[Kept]) -> None:
        """Keep all of a key's sessions, by end, then start."""
        if self._count + len(sessions) > self._bound:
            self.shrink()
        known = self._kept.pop(key, None)
        self._count += len(sessions) - (0 if known is None else len(_all(known))) + (key not in self._whole)
        self._whole.add(key)
        if sessions:
            self._kept[key] = _of_key(sessions)

    def put(self, key: bytes, slot: Slot, entry: Entry) -> None:
        """Keep an entry until it is committed."""
        self._change(key, slot, entry)
        known = self._kept.get(key)
        if known is not None:
            self._place_beside(key, known, slot, entry)
        elif entry.value is not None and (slot[0] >= self.whole_from or key in self._whole):
            self._kept[key] = Kept(*slot, entry)
            self._count += 1
        if self._count > self._bound:
            self.shrink()

    def replace(self, key: bytes, old: Kept, deletion: Entry, slot: Slot, entry: Entry) -> None:
        """Put a deletion and another entry: a session that was found has become a later one, say."""
        earlier = _before_last(self._kept.get(key), old)
        if earlier is None or slot < (old.end, old.start) or entry.value is None:
            self.put(key, (old.end, old.start), deletion)
            self.put(key, slot, entry)
            return
        self._change(key, (old.end, old.start), deletion)
        self._change(key, slot, entry)
        self._count -= 1
        self._place_after(key, earlier, slot, entry)

    def _change(self, key: bytes, slot: Slot, entry: Entry) -> None:
        self._dirty[key + SESSIONS.pack(*slot)] = entry
        if self._places is not None:
            self._places.setdefault(key, set()).add(slot)

    def _place_beside(self, key: bytes, known: _OfKey, slot: Slot, entry: Entry) -> None:
        """Put a session among those of its key, or take one away whose value is None."""
        sessions = _all(known)
        if slot[0] > known.end and isinstance(sessions, tuple):
            if entry.value is not None:
                self._place_after(key, sessions, slot, entry)
        else:
            self._place_among(key, known, slot, entry)

    def _place_after(self, key: bytes, earlier: tuple[Kept, ...], slot: Slot, entry: Entry) -> None:
        """Put the latest session of a key, behind few."""
        kept, count = Kept(*slot, entry), len(earlier)
        if earlier and earlier[0].end <= self._horizon:
            earlier = earlier[bisect_left(earlier, self._horizon + 1, key=_end) :]
        self._kept[key] = Several(kept.end, (*earlier, kept)) if earlier else kept
        self._count += len(earlier) + 1 - count

    def _place_among(self, key: bytes, known: _OfKey, slot: Slot, entry: Entry) -> None:
        sessions = _all(known)
        if isinstance(sessions, tuple):
            sessions = list(sessions)
        before = len(sessions)
        del sessions[: bisect_left(sessions, self._horizon + 1, key=_end)]
        place = bisect_left(sessions, slot, key=_slot)
        after = place + (place < len(sessions) and _slot(sessions[place]) == slot)
        sessions[place:after] = () if entry.value is None else (Kept(*slot, entry),)
        self._count += len(sessions) - before
        if sessions:
            self._kept[key] = _of_key(sessions)
        else:
            del self._kept[key]

    def uncommitted(self, key: bytes, first: int, last: int) -> dict[Slot, Entry]:
        """Return a key's uncommitted entries with `first <= time <= last`."""
        if self._places is None:
            self._places = {}
            for other, slot in map(SESSIONS.parse_changelog_key, chain(self._flushed, self._dirty)):
                self._places.setdefault(other, set()).add(slot)
        slots = [slot for slot in self._places.get(key, ()) if first <= slot[0] <= last]
        return {slot: self._uncommitted(key + SESSIONS.pack(*slot)) for slot in slots}

    def _uncommitted(self, place: bytes) -> Entry:
        entry = self._dirty.get(place)
        return self._flushed[place] if entry is None else entry

    def entries(self) -> Iterator[tuple[bytes, Slot, Entry]]:
        """Iterate all uncommitted entries, in any order."""
        return _entries(self._flushed | self._dirty)

    def changed(self) -> Iterator[tuple[bytes, Slot, Entry]]:
        """Iterate what was put since the last flush."""
        return _entries(self._dirty)

    def flush(self, serialize: Callable[[Any], bytes], segment_ms: int) -> Encoded:
        """Take what was put since the last flush as flushed, and return it encoded."""
        log: list[tuple[bytes, bytes | None]] = []
        changes: dict[bytes, bytes | None] = {}
        size, time_of = SESSIONS.size, SESSIONS.time_of
        for place, entry in self._dirty.items():
            value, key = entry.value, place[:-size]
            stored = None if value is None else pack_time(entry.timestamp) + serialize(value)
            log.append((place, stored))
            segment = pack_segment(time_of(place) // segment_ms)
            changes[segment + (escape_zeros(key) if 0 in key else key) + KEY_END + place[-size:]] = stored
        if self._flushed:
            self._flushed.update(self._dirty)
        else:
            self._flushed = self._dirty
        self._dirty = {}
        return log, changes

    def commit(self, horizon: int) -> None:
        """Forget what was flushed: the store has it. What ends at `horizon` or before has expired."""
        self._flushed, self._places, self._horizon = {}, None, horizon

    def newest(self) -> Iterator[Entry]:
        """Yield the newest of what was put since the last flush, if there is anything."""
        return islice(reversed(self._dirty.values()), 1)

    def committed(self) -> tuple[int, Iterable[Entry]]:
        """Return how many sessions are kept, and some of them; uncommitted ones included."""
        return self._count, (kept.entry for kept in self._sample())

    def _sample(self) -> Iterator[Kept]:
        return chain.from_iterable(map(_all, sample_of(self._kept.values())))

    def shrink(self) -> None:
        """Forget about half of the sessions, and rather those that ended first; and which keys are whole."""
        ends = sorted(kept.end for kept in self._sample())
        if ends:
            self.whole_from = max(self.whole_from, ends[len(ends) // 2] + 1)
        self._whole = set()
        first = self.whole_from
        self._kept = {key: known for key, known in self._kept.items() if known.end >= first}
        for known in self._kept.values():
            if isinstance(known, Several):
                known.sessions = known.sessions[bisect_left(known.sessions, first, key=_end) :]
        self._count = sum(len(_all(known)) for known in self._kept.values())

    def forget(self) -> None:
        """Forget what is committed: the store was changed by another way, or memory is short."""
        self._kept, self._whole, self._count, self.whole_from = {}, set(), 0, _NEVER

    def wipe(self) -> None:
        """Forget everything."""
        self._dirty, self._flushed, self._places = {}, {}, None
        self.forget()
        self.whole_from, self._horizon = 0, -1


def _all(known: _OfKey) -> list[Kept] | tuple[Kept, ...]:
    return (known,) if isinstance(known, Kept) else known.sessions


def _of_key(sessions: list[Kept]) -> _OfKey:
    if len(sessions) == 1:
        return sessions[0]
    return Several(sessions[-1].end, sessions if len(sessions) > _FEW else tuple(sessions))


def _before_last(known: _OfKey | None, last: Kept) -> tuple[Kept, ...] | None:
    """Return the sessions of a key before the last of few; None if it is another one."""
    if known is last:
        return ()
    if isinstance(known, Several) and isinstance(known.sessions, tuple) and known.sessions[-1] is last:
        return known.sessions[:-1]
    return None


def _entries(of: dict[bytes, Entry]) -> Iterator[tuple[bytes, Slot, Entry]]:
    for place, entry in of.items():
        key, slot = SESSIONS.parse_changelog_key(place)
        yield key, slot, entry
