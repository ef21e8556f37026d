"""Aggregates by tumbling, hopping and unlimited windows.

```
size 10, advance 5    k@7 is in [0,10) and [5,15): both are updated, in this order
```
"""

from __future__ import annotations

from typing import Any

from pipeline.operators.closing_windows import ClosingWindows, closing_windows
from pipeline.operators.context import OperatorContext, StreamTime, failed
from pipeline.operators.windowed import Take, admit, forward_windows
from pipeline.record import Forward, Headers
from pipeline.topology import Aggregate
from pipeline.windows import TimeWindows, UnlimitedWindows


def build_time_windows(
    node: Aggregate,
    windows: TimeWindows | UnlimitedWindows,
    context: OperatorContext,
    forward: Forward | None,
) -> tuple[Forward, ...]:
    """Return, by input, what adds a record to each of its windows that is open (rules a2.2, a2.3)."""
    store = context.store(node.store.name)
    times = [context.stream_time(node, number) for number in range(len(node.grouped))]
    closing = closing_windows(
        node, context, forward, times[0], lambda key, start, _: store.get_entry(key, start)
    )
    if closing is None:
        forward_windows(node, windows.size_ms, context, forward)
    return tuple(
        admit(node, number, context, time, closing, _take(node, windows, number, context, time, closing))
        for number, time in enumerate(times)
    )


def _take(
    node: Aggregate,
    windows: TimeWindows | UnlimitedWindows,
    number: int,
    context: OperatorContext,
    time: StreamTime,
    closing: ClosingWindows | None,
) -> Take:
    store = context.store(node.store.name)
    get, put = store.get_entry, store.put_entry
    initializer, aggregator, fail = node.initializer, node.aggregators[number], context.fail
    size, starts, closed_until = windows.size_ms, windows.starts, windows.closed_until

    def take(key_bytes: bytes, key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        containing = starts(timestamp)
        if not containing:
            context.drop(node, "before the first window")
            return
        last_closed_start = closed_until(time.ms) - size
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
                return
            latest = timestamp if entry is None else max(timestamp, entry.timestamp)
            if closing is not None and entry is None:
                closing.opened(key_bytes, start, start + size, timestamp)
            put(key_bytes, start, aggregate, latest, headers)

    return take
