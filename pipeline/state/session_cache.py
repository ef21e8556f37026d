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
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final, TypeAlias

from pipeline.state.cache_size import sample_of
from pipeline.state.caching import pack_time
from pipeline.state.segment_keys import SESSIONS, Slot, escaped, pack_segment
from pipeline.state.slot_cache import Encoded
from pipeline.state.store import Entry

#: End, start and entry of a session.
Kept: TypeAlias = tuple[int, int, Entry]

#: Later than every time: nothing is whole.
_NEVER: Final = 2**63


class SessionCache:
    """Uncommitted sessions by key, then end and start; and what else is in memory, likewise.

    Args:
        bound: number of sessions that are kept; half of them, the earliest, are forgotten when it is passed.

    Attributes:
        whole_from: every session that ends at this time or later is in memory.
        dirty: number of sessions put since the last flush.
    """

    def __init__(self, bound: int) -> None:
        self.whole_from, self.dirty = _NEVER, 0
        self._dirty: dict[bytes, dict[Slot, Entry]] = {}
        self._flushed: dict[bytes, dict[Slot, Entry]] = {}
        self._bound = bound
        self._kept: dict[bytes, list[Kept]] = {}
        #: Keys of which every session is in memory, whenever it ended; some have none.
        self._whole: set[bytes] = set()
        #: Number of sessions that are kept, and of keys that are whole: those are worth a place, too.
        self._count = 0
        #: Sessions that end then or before can be forgotten with no one missing them.
        self._horizon = -1

    def opened(self, time: int) -> None:
        """Say that no session that ends later than `time` is stored."""
        self.whole_from = time + 1

    def find(self, key: bytes, earliest_end: int) -> list[Kept] | None:
        """Return a key's sessions with `end >= earliest_end`, by end, then start, uncommitted ones included.

        None: some may be stored that are not in memory.
        """
        kept = self._kept.get(key)
        if earliest_end < self.whole_from and key not in self._whole:
            return None
        if not kept:
            return []
        if kept[0][0] < earliest_end:
            return kept[bisect_left(kept, (earliest_end,)) :]
        return kept

    def learn(self, key: bytes, sessions: list[Kept]) -> None:
        """Keep all of a key's sessions, by end, then start."""
        if self._count + len(sessions) > self._bound:
            self.shrink()
        self._count += len(sessions) - len(self._kept.get(key, ())) + (key not in self._whole)
        self._kept[key] = sessions
        self._whole.add(key)

    def put(self, key: bytes, slot: Slot, entry: Entry) -> None:
        """Keep an entry until it is committed."""
        slots = self._dirty.get(key)
        if slots is None:
            self._dirty[key] = {slot: entry}
            self.dirty += 1
        else:
            self.dirty += slot not in slots
            slots[slot] = entry
        kept = self._kept.get(key)
        if kept is not None:
            self._place(kept, slot, entry)
            if not kept and key not in self._whole:
                del self._kept[key]
        elif slot[0] >= self.whole_from and entry.value is not None:
            self._kept[key] = [(*slot, entry)]
            self._count += 1
        if self._count > self._bound:
            self.shrink()

    def _place(self, kept: list[Kept], slot: Slot, entry: Entry) -> None:
        """Put a session among those of its key, or take one away whose value is None."""
        if kept and kept[0][0] <= self._horizon:
            expired = bisect_left(kept, (self._horizon + 1,))
            del kept[:expired]
            self._count -= expired
        place = bisect_left(kept, slot)
        if place < len(kept) and kept[place][:2] == slot:
            if entry.value is not None:
                kept[place] = (*slot, entry)
            else:
                del kept[place]
                self._count -= 1
        elif entry.value is not None:
            kept.insert(place, (*slot, entry))
            self._count += 1

    def uncommitted(self, key: bytes, first: int, last: int) -> dict[Slot, Entry]:
        """Return a key's uncommitted entries with `first <= time <= last`."""
        slots = self._flushed.get(key, {}) | self._dirty.get(key, {})
        return {slot: entry for slot, entry in slots.items() if first <= slot[0] <= last}

    def entries(self) -> Iterator[tuple[bytes, Slot, Entry]]:
        """Iterate all uncommitted entries, in any order."""
        for key in {*self._flushed, *self._dirty}:
            for slot, entry in {**self._flushed.get(key, {}), **self._dirty.get(key, {})}.items():
                yield key, slot, entry

    def changed(self) -> Iterator[tuple[bytes, Slot, Entry]]:
        """Iterate what was put since the last flush."""
        for key, slots in self._dirty.items():
            for slot, entry in slots.items():
                yield key, slot, entry

    def flush(self, serialize: Callable[[Any], bytes], segment_ms: int) -> Encoded:
        """Take what was put since the last flush as flushed, and return it encoded."""
        pack = SESSIONS.pack
        log: list[tuple[bytes, bytes | None]] = []
        changes: dict[bytes, bytes | None] = {}
        for key, slots in self._dirty.items():
            escaped_key = escaped(key)
            for slot, entry in slots.items():
                value = entry.value
                stored = None if value is None else pack_time(entry.timestamp) + serialize(value)
                suffix = pack(*slot)
                log.append((key + suffix, stored))
                changes[pack_segment(slot[0] // segment_ms) + escaped_key + suffix] = stored
            flushed = self._flushed.get(key)
            self._flushed[key] = slots if flushed is None else flushed | slots
        self._dirty, self.dirty = {}, 0
        return log, changes

    def commit(self, horizon: int) -> None:
        """Forget what was flushed: the store has it. What ends at `horizon` or before has expired."""
        self._flushed, self._horizon = {}, horizon

    def newest(self) -> Iterator[Entry]:
        """Yield the newest of what was put since the last flush, if there is anything."""
        for slots in islice(reversed(self._dirty.values()), 1):
            yield from islice(reversed(slots.values()), 1)

    def committed(self) -> tuple[int, Iterable[Entry]]:
        """Return how many sessions are kept, and some of them; uncommitted ones included."""
        return self._count, (entry for kept in sample_of(self._kept.values()) for *_, entry in kept)

    def shrink(self) -> None:
        """Forget half of the sessions, and rather those that ended first; and which keys are whole."""
        ends = sorted(end for kept in self._kept.values() for end, _, _ in kept)
        if ends:
            self.whole_from = max(self.whole_from, ends[len(ends) // 2] + 1)
        first = (self.whole_from,)
        left = ((key, kept[bisect_left(kept, first) :]) for key, kept in self._kept.items())
        self._kept = {key: kept for key, kept in left if kept}
        self._whole = set()
        self._count = sum(map(len, self._kept.values()))

    def forget(self) -> None:
        """Forget what is committed: the store was changed by another way, or memory is short."""
        self._kept, self._whole, self._count, self.whole_from = {}, set(), 0, _NEVER

    def wipe(self) -> None:
        """Forget everything."""
        self._dirty, self._flushed, self.dirty = {}, {}, 0
        self.forget()
        self.whole_from, self._horizon = 0, -1
