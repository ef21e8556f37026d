"""The records of one side of a join that are in memory.

```
time        -----------------| whole_from ------------- now
stored      all              |
in memory   uncommitted ones | all of them, committed or not
```

Most records ask for others of about their own time: those are answered from memory, and a scan of the
store, which costs as much as all the rest of a join, is needed for the time before `whole_from` alone.
What is forgotten is forgotten by spans of time, the oldest first.

Values are put as they are encoded, so a joiner that changes one in place changes no other pair,
whenever the next commit is.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from pipeline.state.segment_keys import KEY_END, WINDOWS, Slot, escape_zeros, pack_segment
from pipeline.state.slot_cache import Encoded
from pipeline.state.store import Entry

#: Time, sequence number, and the value as it is stored.
Kept: TypeAlias = tuple[int, int, bytes]

#: Later than every time: nothing is whole.
_NEVER: Final = 2**63
#: Spans in a retention.
_SPANS: Final = 16


class JoinCache:
    """By key, in the order of time and sequence number.

    Args:
        retention_ms: of the store.
        bound: number of committed records that are kept.
        decode: returns the entry that was stored.

    Attributes:
        whole_from: from this time on, every record is in memory.
    """

    def __init__(self, retention_ms: int, bound: int, decode: Callable[[bytes], Entry]) -> None:
        self.whole_from = _NEVER
        self._span_ms, self._bound = max(1, retention_ms // _SPANS), bound
        self._decode = decode
        self._records: dict[bytes, list[Kept]] = {}
        #: By span, the key of each record that is in memory.
        self._spans: dict[int, list[bytes]] = {}
        self._dirty: list[tuple[bytes, Kept]] = []
        self._flushed: list[tuple[bytes, Kept]] = []

    @property
    def dirty(self) -> int:
        """Number of records put since the last flush."""
        return len(self._dirty)

    def opened(self, time: int) -> None:
        """Say that no record later than `time` is stored."""
        self.whole_from = time + 1

    def put(self, key: bytes, kept: Kept) -> None:
        """Keep a record, at least until it is committed."""
        self._dirty.append((key, kept))
        self._place(key, kept)

    def _place(self, key: bytes, kept: Kept) -> None:
        span = kept[0] // self._span_ms
        keys = self._spans.get(span)
        if keys is None:
            self._spans[span] = [key]
        else:
            keys.append(key)
        records = self._records.get(key)
        if records is None:
            self._records[key] = [kept]
        elif kept < records[-1]:
            insort(records, kept)
        else:
            records.append(kept)

    def find(self, key: bytes, first: int, last: int) -> Sequence[Kept]:
        """Return what is in memory of a key's records with `first <= time <= last`, in order."""
        records = self._records.get(key)
        if records is None or records[-1][0] < first:
            return ()
        if records[0][0] >= first and records[-1][0] <= last:
            return records[:]
        return records[bisect_left(records, (first,)) : bisect_left(records, (last + 1,))]

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
        pack, segment, prefix = WINDOWS.pack, -1, b""
        for key, (time, sequence, stored) in self._dirty:
            if time // segment_ms != segment:
                segment = time // segment_ms
                prefix = pack_segment(segment)
            suffix = pack(time, sequence)
            log.append((key + suffix, stored))
            changes[prefix + (escape_zeros(key) if 0 in key else key) + KEY_END + suffix] = stored
        self._flushed += self._dirty
        self._dirty = []
        return log, changes

    def commit(self, horizon: int) -> None:
        """Take what was flushed as committed; what has a time of `horizon` or before has expired."""
        self._flushed = []
        # Of what is not whole, nothing is found without a scan: it has no use.
        self._forget_before(max(self.whole_from, horizon + 1), self._bound)

    def _forget_before(self, time: int, most: int) -> None:
        """Forget spans that end before `time`, and more, the oldest first, until `most` records are left."""
        size, forgotten = self._size, False
        for span in sorted(self._spans):
            end = (span + 1) * self._span_ms
            if end > time and size <= most:
                break
            keys = self._spans.pop(span)
            size -= len(keys)
            self._forget_of(keys, end)
            self.whole_from, forgotten = max(self.whole_from, end), True
        if forgotten:
            for key, kept in (*self._flushed, *self._dirty):
                if kept[0] < self.whole_from and kept not in self._records.get(key, ()):
                    self._place(key, kept)

    def _forget_of(self, keys: Iterable[bytes], end: int) -> None:
        by_key = self._records
        for key in keys:
            records = by_key.get(key)
            if records is None:
                continue
            if records[-1][0] < end:
                del by_key[key]
            else:
                del records[: bisect_left(records, (end,))]

    @property
    def _size(self) -> int:
        return sum(map(len, self._spans.values()))

    def newest(self) -> Iterator[bytes]:
        """Yield what is stored for the newest of what was put since the last flush, if there is anything."""
        for _key, kept in self._dirty[-1:]:
            yield kept[2]

    def committed(self) -> tuple[int, Iterable[bytes]]:
        """Return how many records are kept, and what is stored for them; uncommitted ones included."""
        return self._size, (kept[2] for records in self._records.values() for kept in records)

    def shrink(self) -> None:
        """Forget half of the records, the oldest."""
        self._forget_before(0, self._size // 2)

    def forget(self) -> None:
        """Forget what is committed: the store was changed by another way, or memory is short."""
        self._records, self._spans, self.whole_from = {}, {}, _NEVER
        for key, kept in (*self._flushed, *self._dirty):
            self._place(key, kept)

    def wipe(self) -> None:
        """Forget everything."""
        self._dirty, self._flushed = [], []
        self.forget()
        self.whole_from = 0
