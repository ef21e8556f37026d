"""The records of one side of a join that are in memory.

```
time        -----------------| whole_from ------------- now
stored      all              |
in memory   uncommitted ones | all of them, committed or not
```

Most records ask for others of about their own time: those are answered from memory, and a scan of the
store, which costs as much as all the rest of a join, is needed for the time before `whole_from` alone.
What is forgotten is forgotten from the oldest on.

Values are put as they are encoded, so a joiner that changes one in place changes no other pair,
whenever the next commit is.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, Final, TypeAlias

import msgspec

from pipeline.state.cache_size import sample_of
from pipeline.state.segment_keys import KEY_END, WINDOWS, Slot, escape_zeros, pack_segment
from pipeline.state.slot_cache import Encoded
from pipeline.state.store import Entry


class Kept(msgspec.Struct, frozen=True, gc=False):
    """A record that is in memory. It refers to nothing that could refer to it: the collector need not look.

    Attributes:
        time: its time in ms.
        sequence: tells it from others of its key and time; they are ordered by it.
        stored: its value as it is stored.
        key: its key.
    """

    time: int
    sequence: int
    stored: bytes
    key: bytes


class Several(msgspec.Struct, gc=False):
    """Records of one key.

    Attributes:
        time: that of the newest.
        records: in their order. A tuple, if they are few: the collector looks at that once, and at a list
            again and again.
    """

    time: int
    records: list[Kept] | tuple[Kept, ...]


#: What is in memory of one key: mostly there is one record.
_OfKey: TypeAlias = Kept | Several

_time = attrgetter("time")
_slot = attrgetter("time", "sequence")

#: So many are few: they are copied when one is put beside them.
_FEW: Final = 16

#: Later than every time: nothing is whole.
_NEVER: Final = 2**63


class JoinCache:
    """By key, in the order of time and sequence number.

    Args:
        bound: number of records that are kept; half of them, the oldest, are forgotten when it is passed.
        decode: returns the entry that was stored.

    Attributes:
        whole_from: from this time on, every record is in memory.
    """

    def __init__(self, bound: int, decode: Callable[[bytes], Entry]) -> None:
        self.whole_from = _NEVER
        self._bound, self._decode = bound, decode
        #: The key that was put last comes last, so that what expires is found at the front.
        self._records: dict[bytes, _OfKey] = {}
        self._size = 0
        #: Records of this time or before have expired.
        self._horizon = -1
        self._dirty: list[Kept] = []
        self._flushed: list[Kept] = []

    @property
    def dirty(self) -> int:
        """Number of records put since the last flush."""
        return len(self._dirty)

    def opened(self, time: int) -> None:
        """Say that no record later than `time` is stored."""
        self.whole_from = time + 1

    def put(self, kept: Kept) -> None:
        """Keep a record, at least until it is committed."""
        self._dirty.append(kept)
        self._place(kept)

    def _place(self, kept: Kept) -> None:
        key = kept.key
        known = self._records.pop(key, None)
        self._records[key] = kept if known is None else self._together(known, kept)
        self._size += 1

    def _together(self, known: _OfKey, kept: Kept) -> Several:
        several = Several(known.time, (known,)) if isinstance(known, Kept) else known
        records = list(several.records) if isinstance(several.records, tuple) else several.records
        if records[0].time <= self._horizon:
            expired = bisect_left(records, self._horizon + 1, key=_time)
            del records[:expired]
            self._size -= expired
        if records and _slot(kept) < _slot(records[-1]):
            insort(records, kept, key=_slot)
        else:
            records.append(kept)
            several.time = kept.time
        several.records = records if len(records) > _FEW else tuple(records)
        return several

    def find(self, key: bytes, first: int, last: int) -> Sequence[Kept]:
        """Return what is in memory of a key's records with `first <= time <= last`, in order."""
        known = self._records.get(key)
        if known is None or known.time < first:
            return ()
        if isinstance(known, Kept):
            return (known,) if known.time <= last else ()
        records = known.records
        if records[0].time >= first and known.time <= last:
            return records[:]
        return records[bisect_left(records, first, key=_time) : bisect_left(records, last + 1, key=_time)]

    def entries(self) -> Iterator[tuple[bytes, Slot, Entry]]:
        """Iterate all uncommitted entries, in any order."""
        yield from self._entries(self._flushed)
        yield from self.changed()

    def changed(self) -> Iterator[tuple[bytes, Slot, Entry]]:
        """Iterate what was put since the last flush."""
        yield from self._entries(self._dirty)

    def _entries(self, records: list[Kept]) -> Iterator[tuple[bytes, Slot, Entry]]:
        for kept in records:
            yield kept.key, (kept.time, kept.sequence), self._decode(kept.stored)

    def flush(self, serialize: Callable[[Any], bytes], segment_ms: int) -> Encoded:  # noqa: ARG002 - all is encoded
        """Take what was put since the last flush as flushed, and return it encoded."""
        log: list[tuple[bytes, bytes | None]] = []
        changes: dict[bytes, bytes | None] = {}
        pack, segment, prefix = WINDOWS.pack, -1, b""
        for kept in self._dirty:
            time, stored, key = kept.time, kept.stored, kept.key
            if time // segment_ms != segment:
                segment = time // segment_ms
                prefix = pack_segment(segment)
            suffix = pack(time, kept.sequence)
            log.append((key + suffix, stored))
            changes[prefix + (escape_zeros(key) if 0 in key else key) + KEY_END + suffix] = stored
        self._flushed += self._dirty
        self._dirty = []
        return log, changes

    def commit(self, horizon: int) -> None:
        """Take what was flushed as committed; what has a time of `horizon` or before has expired."""
        self._flushed, self._horizon = [], horizon
        expired = []
        for key, known in self._records.items():
            if known.time > horizon:
                break
            expired.append(key)
        for key in expired:
            self._size -= _count(self._records.pop(key))
        if self._size > self._bound:
            self.shrink()

    def newest(self) -> Iterator[bytes]:
        """Yield what is stored for the newest of what was put since the last flush, if there is anything."""
        for kept in self._dirty[-1:]:
            yield kept.stored

    def committed(self) -> tuple[int, Iterable[bytes]]:
        """Return how many records are kept, and what is stored for some; uncommitted ones included."""
        return self._size, (kept.stored for kept in self._sample())

    def _sample(self) -> Iterator[Kept]:
        return chain.from_iterable(map(_all, sample_of(self._records.values())))

    def shrink(self) -> None:
        """Forget about half of the records, the oldest."""
        times = sorted(kept.time for kept in self._sample())
        if times:
            self.whole_from = max(self.whole_from, times[len(times) // 2])
        first = self.whole_from
        for key in [key for key, known in self._records.items() if known.time < first]:
            self._size -= _count(self._records.pop(key))
        for known in self._records.values():
            if isinstance(known, Several):
                earlier = bisect_left(known.records, first, key=_time)
                known.records = known.records[earlier:]
                self._size -= earlier
        for kept in (*self._flushed, *self._dirty):
            if kept.time < self.whole_from:
                self._place(kept)

    def forget(self) -> None:
        """Forget what is committed: the store was changed by another way, or memory is short."""
        self._records, self._size, self.whole_from = {}, 0, _NEVER
        for kept in (*self._flushed, *self._dirty):
            self._place(kept)

    def wipe(self) -> None:
        """Forget everything."""
        self._dirty, self._flushed = [], []
        self.forget()
        self.whole_from, self._horizon = 0, -1


def _all(known: _OfKey) -> Sequence[Kept]:
    return (known,) if isinstance(known, Kept) else known.records


def _count(known: _OfKey) -> int:
    return 1 if isinstance(known, Kept) else len(known.records)
