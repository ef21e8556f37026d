"""Aggregates by session.

```
gap 5     k@0     k@10     k@5       the third makes one session [0,10] of [0,0] and [10,10], which are
                                     removed: a deletion of each goes downstream, then the new session
```
"""

from __future__ import annotations

from typing import Any

from pipeline.operators.context import failed
from pipeline.operators.windowed import FORGOTTEN, Input, Take
from pipeline.record import Headers
from pipeline.windows import SessionWindows


def take_into_sessions(windows: SessionWindows, source: Input) -> Take:
    """Return what adds a record to its session, and makes one of all that it joins (rule a2.5)."""
    node, context, time, closing = source.node, source.context, source.time, source.closing
    store = source.store
    find, put, replace = store.find_kept, store.put_entry, store.replace_entry
    initializer, aggregator, merger = node.initializer, source.aggregator, node.merger
    assert merger is not None  # noqa: S101 - declared with every session
    earliest_end, latest_start = windows.near(0)
    merged, closed_until, fail = windows.merged, windows.closed_until(0), context.fail

    def take(key_bytes: bytes, key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        joined = find(key_bytes, timestamp + earliest_end, timestamp + latest_start)
        start, end = merged(timestamp, joined) if joined else (timestamp, timestamp)
        if end <= time.ms + closed_until:
            context.drop(node, "late")
            return
        function: object = initializer
        try:
            aggregate, function = initializer(), merger
            # The earliest first.
            for session in joined:
                aggregate = merger(key, aggregate, session.entry.value)
            function = aggregator
            aggregate = aggregator(key, value, aggregate)
        except Exception as error:
            fail(failed(node, function, error))
            return
        if joined and (start != timestamp or end != timestamp):
            *others, last = joined
            for session in others:
                put(key_bytes, session.start, session.end, None, session.end, headers)
            taken = replace(key_bytes, last, start, end, aggregate, headers)
        else:
            taken = put(key_bytes, start, end, aggregate, end, headers)
        if not taken:
            context.drop(node, FORGOTTEN)
        if closing is not None:
            bounds = [(session.start, session.end) for session in joined]
            closing.replaced(key_bytes, bounds, (start, end))

    return take
