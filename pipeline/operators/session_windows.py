"""Aggregates by session.

```
gap 5     k@0     k@10     k@5       the third makes one session [0,10] of [0,0] and [10,10], which are
                                     removed: a deletion of each goes downstream, then the new session
```
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.errors import ProcessingError
from pipeline.operators.windowed import FORGOTTEN, Input, Take, called
from pipeline.record import Headers
from pipeline.windows import SessionWindows


def take_into_sessions(windows: SessionWindows, source: Input) -> Take:
    """Return what adds a record to its session, and makes one of all that it joins (rule a2.5)."""
    node, context, time, closing = source.node, source.context, source.time, source.closing
    find, put = source.store.find_entries, source.store.put_entry

    def take(key_bytes: bytes, key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        joined = find(key_bytes, *windows.near(timestamp))
        bounds = [(start, end) for start, end, _ in joined]
        session = windows.merged(timestamp, bounds)
        if session.end <= windows.closed_until(time.ms):
            context.drop(node, "late")
            return
        try:
            aggregate = _aggregate(source, key, value, [entry.value for *_, entry in joined])
        except ProcessingError as error:
            context.fail(error)
            return
        if session != (timestamp, timestamp):
            for start, end in bounds:
                put(key_bytes, start, end, None, end, headers)
        if not put(key_bytes, *session, aggregate, session.end, headers):
            context.drop(node, FORGOTTEN)
        if closing is not None:
            closing.replaced(key_bytes, bounds, session)

    return take


def _aggregate(source: Input, key: Any, value: Any, merged: Sequence[Any]) -> Any:
    """Return the aggregate of a record and of the sessions that it joins, the earliest first."""
    node = source.node
    assert node.merger is not None  # noqa: S101 - declared with every session
    so_far = called(node, node.initializer)
    for other in merged:
        so_far = called(node, node.merger, key, so_far, other)
    return called(node, source.aggregator, key, value, so_far)
