"""Aggregates by sliding windows.

```
difference 10    k:a@10    k:b@15      b is added to a's right window [11,21], which is made for it, and
                                       to its own left window [5,15], which goes on from a's [0,10]
```

What a record does is decided by `SlidingWindows.updates`; here it is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.errors import ProcessingError
from pipeline.operators.materialize import deletes_at_record_time
from pipeline.operators.windowed import FORGOTTEN, Input, Take, called
from pipeline.record import Headers
from pipeline.state.store import Entry
from pipeline.windows import SlidingWindows, Update


def take_into_sliding_windows(windows: SlidingWindows, source: Input) -> Take:
    """Return what adds a record to its windows, and makes those that it needs (rule a2.4)."""
    node, context, time, closing = source.node, source.context, source.time, source.closing
    fetch, put = source.store.fetch_entries, source.store.put_entry
    size, aggregator, at_record_time = windows.size_ms, source.aggregator, deletes_at_record_time(node)

    def take(key_bytes: bytes, key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        closed_until = windows.closed_until(time.ms)
        if windows.last_end(timestamp) <= closed_until:
            context.drop(node, "late")
            return
        known = dict(fetch(key_bytes, *windows.concerned(timestamp)))
        found = ((start, entry.timestamp) for start, entry in known.items())
        wanted: list[Update] = []
        for update in windows.updates(timestamp, found):
            if update.start + size > closed_until:
                wanted.append(update)
            else:
                context.drop(node, "late")
        try:
            begun = [_begun(source, update, known) for update in wanted]
            aggregates = [
                called(node, aggregator, key, value, so_far) if update.adds else so_far
                for update, so_far in zip(wanted, begun, strict=True)
            ]
        except ProcessingError as error:
            context.fail(error)
            return
        for update, aggregate in zip(wanted, aggregates, strict=True):
            if closing is not None and update.start not in known:
                closing.opened(key_bytes, update.start, update.start + size, timestamp)
            latest = _latest(update, timestamp, known)
            if aggregate is None and at_record_time:
                latest = timestamp
            if not put(key_bytes, update.start, aggregate, latest, headers):
                context.drop(node, FORGOTTEN)

    return take


def _begun(source: Input, update: Update, known: Mapping[int, Entry]) -> Any:
    """Return what a window goes on from: of another window's aggregate, a copy.

    Copies are made before any aggregator is called, which may change the aggregate that it is given.
    """
    if update.origin is None:
        return called(source.node, source.node.initializer)
    value = known[update.origin].value
    return value if update.origin == update.start else source.store.copied(value)


def _latest(update: Update, timestamp: int, known: Mapping[int, Entry]) -> int:
    """Return the time of the latest record in the window, after the update."""
    if not update.adds and update.origin is not None:
        return known[update.origin].timestamp
    entry = known.get(update.start)
    return timestamp if entry is None else max(timestamp, entry.timestamp)
