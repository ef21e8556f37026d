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
from pipeline.windows import TimeWindows, UnlimitedWindows


def take_into_time_windows(windows: TimeWindows | UnlimitedWindows, source: Input) -> Take:
    """Return what adds a record to each of its windows that is open (rules a2.2, a2.3)."""
    node, context, time, closing = source.node, source.context, source.time, source.closing
    get, put = source.store.get_entry, source.store.put_entry
    initializer, aggregator, fail = node.initializer, source.aggregator, context.fail
    at_record_time = deletes_at_record_time(node)
    size, starts, closed_until = windows.size_ms, windows.starts, windows.closed_until
    # Of most records both are those of the record before: windows are long, and time passes slowly.
    follows_one_another = isinstance(windows, TimeWindows) and windows.advance_ms == size
    containing, judged_at, last_closed_start = starts(0), -1, closed_until(-1) - size

    def take(key_bytes: bytes, key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        nonlocal containing, judged_at, last_closed_start
        if not (follows_one_another and containing[0] <= timestamp < containing[0] + size):
            containing = starts(timestamp)
        if not containing:
            context.drop(node, "before the first window")
            return
        if time.ms != judged_at:
            judged_at = time.ms
            last_closed_start = closed_until(judged_at) - size
        for start in containing:
            if start <= last_closed_start:
                context.drop(node, "late")
                continue
            entry = get(key_bytes, start)
            function: object = initializer
            try:
                so_far = initializer() if entry is None else entry.value
                function = aggregator
                aggregate = aggregator(key, value, so_far)
            except Exception as error:
                fail(failed(node, function, error))
                break
            latest = timestamp
            # Compared first: hardly any record is older than its window's last one.
            if entry is not None and entry.timestamp > timestamp:
                latest = timestamp if aggregate is None and at_record_time else entry.timestamp
            if closing is not None and entry is None:
                closing.opened(key_bytes, start, start + size, timestamp)
            if not put(key_bytes, start, aggregate, latest, headers):
                context.drop(node, FORGOTTEN)

    return take
