"""The records of one side of a join that are in memory.

```
time        -----------------| whole_from ------------- now
stored      all              |
in memory   uncommitted ones | all of them, committed or not
```

Most records ask for others of about their own time: those are answered from memory, and a scan of the
store, which costs as much as all the rest of a join, is needed for the time before `whole_from` alone.

Values are encoded as soon as they are put, so a joiner that changes one in place changes no other pair,
whenever the next commit is.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeAlias

from pipeline.state.segment_keys import WINDOWS, Slot, escaped, pack_segment
from pipeline.state.slot_cache import Encoded
from pipeline.state.store import Entry

#: Time, sequence number, and the value as it is stored.
Kept: TypeAlias = tuple[int, int, bytes]

#: Later than every time: nothing is whole.
_NEVER: Final = 2**63
#: A retention has this many spans: what is forgotten is forgotten by whole spans.
_SPANS: Final = 4


class JoinCache:
    """By span of time, then key, in the order of time and sequence number.

    Args:
        retention_ms: of the store.
        bound: number of committed records that are kept; the oldest spans are forgotten first.
        encode: returns an entry, with its key for errors, as it is stored.
        decode: returns the entry that was stored.

    Attributes:
        dirty: number of records put since the last flush.
        whole_from: from this time on, every record is in memory.
    """

    def __init__(
        self,
        retention_ms: int,
        bound: int,
        encode: Callable[[bytes, Entry], bytes | None],
        decode: Callable[[bytes], Entry],
    ) -> None:
        self.dirty = 0
        self.whole_from = _NEVER
        self._span_ms, self._bound = max(1, retention_ms // _SPANS), bound
        self._encode, self._decode = encode, decode
        self._spans: dict[int, dict[bytes, list[Kept]]] = {}
        #: Number of records in the spans.
        self._size = 0
        #: By key, uncommitted records of times before `whole_from`.
        self._early: dict[bytes, list[Kept]] = {}
        self._dirty: list[tuple[bytes, Kept]] = []
        self._flushed: list[tuple[bytes, Kept]] = []

    def opened(self, time: int) -> None:
        """Say that no record later than `time` is stored."""
        self.whole_from = time + 1

    def put(self, key: bytes, slot: Slot, entry: Entry) -> None:
        """Keep a record, at least until it is committed."""
        stored = self._encode(key, entry)
        assert stored is not None  # noqa: S101 - a join puts no deletions
        kept = (*slot, stored)
        self._dirty.append((key, kept))
        self.dirty += 1
        self._place(key, kept)

    def _place(self, key: bytes, kept: Kept) -> None:
        by_key = self._early
        if kept[0] >= self.whole_from:
            span = kept[0] // self._span_ms
            by_key = self._spans.get(span) or self._spans.setdefault(span, {})
            self._size += 1
        records = by_key.get(key)
        if records is None:
            by_key[key] = [kept]
        elif kept < records[-1]:
            insort(records, kept)
        else:
            records.append(kept)

    def find(self, key: bytes, first: int, last: int) -> list[Kept]:
        """Return what is in memory of a key's records with `first <= time <= last`, in order."""
        found: list[Kept] = []
        if self._early and first < self.whole_from:
            found += _between(self._early.get(key), first, last)
        spans, span_ms = self._spans, self._span_ms
        for span in range(max(first, self.whole_from) // span_ms, last // span_ms + 1):
            records = spans.get(span)
            if records is not None:
                found += _between(records.get(key), first, last)
        return found

    def entries(self) -> Iterator[tuple[bytes, Slot, Entry]]:
        """Iterate all uncommitted entries, in any order."""
        yield from self._entries(self._flushed)
        yield from self.changed()

    def changed(self) -> Iterator[tuple[bytes, Slot, Entry]]:
        """Iterate what was put since the last flush."""
        yield from self._entries(self._dirty)

    def _entries(self, records: list[tuple[bytes, Kept]]) -> Iterator[tuple[bytes, Slot, Entry]]:
        for key, (time, sequence, stored) in records:
            yield key, (time, sequence), self._decode(stored)

    def flush(self, serialize: Callable[[Any], bytes], segment_ms: int) -> Encoded:  # noqa: ARG002 - all is encoded
        """Take what was put since the last flush as flushed, and return it encoded."""
        log: list[tuple[bytes, bytes | None]] = []
        changes: dict[bytes, bytes | None] = {}
        pack = WINDOWS.pack
        for key, (time, sequence, stored) in self._dirty:
            suffix = pack(time, sequence)
            log.append((key + suffix, stored))
            changes[pack_segment(time // segment_ms) + escaped(key) + suffix] = stored
        self._flushed += self._dirty
        self._dirty, self.dirty = [], 0
        return log, changes

    def commit(self, horizon: int) -> None:
        """Take what was flushed as committed; what has a time of `horizon` or before has expired."""
        self._flushed = []
        for span in sorted(self._spans):
            end = (span + 1) * self._span_ms
            if end - 1 > horizon and self._size <= self._bound:
                break
            self._size -= sum(map(len, self._spans.pop(span).values()))
            self.whole_from = max(self.whole_from, end)
        self._early = {}
        for key, kept in self._dirty:
            if kept[0] < self.whole_from:
                self._place(key, kept)

    def newest(self) -> Iterator[bytes]:
        """Yield what is stored for the newest of what was put since the last flush, if there is anything."""
        for _key, kept in self._dirty[-1:]:
            yield kept[2]

    def committed(self) -> tuple[int, Iterable[bytes]]:
        """Return how many records are kept, and what is stored for them; uncommitted ones included."""
        by_key = (records for span in self._spans.values() for records in span.values())
        return self._size, (kept[2] for records in by_key for kept in records)

    def forget(self) -> None:
        """Forget what is committed: the store was changed by another way, or memory is short."""
        self._spans, self._size, self._early, self.whole_from = {}, 0, {}, _NEVER
        for key, kept in (*self._flushed, *self._dirty):
            self._place(key, kept)

    def wipe(self) -> None:
        """Forget everything."""
        self._dirty, self._flushed, self.dirty = [], [], 0
        self.forget()
        self.whole_from = 0


def _between(records: list[Kept] | None, first: int, last: int) -> list[Kept]:
    if records is None:
        return []
    return records[bisect_left(records, (first,)) : bisect_left(records, (last + 1,))]
