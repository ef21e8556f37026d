"""Aggregates by tumbling, hopping and unlimited windows.

```
size 10, advance 5    k@7 is in [0,10) and [5,15): both are updated, in this order
```
"""

from __future__ import annotations

from typing import Any

from pipeline.operators.context import failed
from pipeline.operators.materialize import deletes_at_record_time
from pipeline.operators.windowed import FORGOTTEN, Input, Take
from pipeline.record import Headers
from pipeline.state.window_entries import WindowEntry
from pipeline.windows import TimeWindows, UnlimitedWindows


def take_into_time_windows(windows: TimeWindows | UnlimitedWindows, source: Input) -> Take:
    """Return what adds a record to each of its windows that is open (rules a2.2, a2.3)."""
    node, context, time, closing = source.node, source.context, source.time, source.closing
    get, put, at_hand = source.store.get_entry, source.store.put_entry, source.store.at_hand
    initializer, aggregator, starts = node.initializer, source.aggregator, windows.starts
    size, retention, at_record_time = windows.size_ms, windows.retention_ms, deletes_at_record_time(node)
    # Of most records they are those of the record before: windows are long.
    follows_one_another = isinstance(windows, TimeWindows) and windows.advance_ms == size
    containing = starts(0)

    def take(key_bytes: bytes, key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        nonlocal containing
        if not (follows_one_another and containing[0] <= timestamp < containing[0] + size):
            containing = starts(timestamp)
        if not containing:
            context.drop(node, "before the first window")
            return
        for start in containing:
            if start <= time.ms - retention:
                context.drop(node, "late")
                continue
            # Mostly it is at hand: the store is not called; what is put, see `window_entries.put_at_hand`.
            found = at_hand.get(start)
            entry = get(key_bytes, start) if found is None else found[0].get(key_bytes)
            so_far: Any = None if entry is None else entry.value
            is_new = so_far is None
            function: object = initializer
            try:
                if is_new:
                    so_far = initializer()
                function = aggregator
                aggregate = aggregator(key, value, so_far)
            except Exception as error:
                context.fail(failed(node, function, error))
                break
            older = not is_new and entry.timestamp > timestamp and not (at_record_time and aggregate is None)
            latest = entry.timestamp if older else timestamp
            if closing is not None and is_new:
                closing.opened(key_bytes, start, start + size, timestamp)
            if found is None:
                if not put(key_bytes, start, aggregate, latest, headers):
                    context.drop(node, FORGOTTEN)
                continue
            if entry is None:
                entry = found[0][key_bytes] = WindowEntry(aggregate, latest, headers, key_bytes)
            else:
                entry.value, entry.timestamp, entry.headers = aggregate, latest, headers
            if not entry.dirty:
                entry.dirty = True
                found[1].append(entry)

    return take
