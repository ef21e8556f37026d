"""Dedup by event id, in event time, with state that survives restarts.

A record is a copy if one with the same id went through whose event time lies within `within` of
its own, before or after. The first of them sets the time: a source that repeats an event for ever
gets through once every `within` (a cache that is refreshed by each copy would hide it for ever).

```
spans of within + 1 ms   [       )[    x   )[       )      x went through: a record of its id
copies of x                   <-within-|-within->          in x's span is a copy, in the next ones may be
```

Of one id at most one record goes through in a span. So each span has one row, which says when, and three
rows that are asked for by their keys tell whether a record is a copy: no store is searched.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from pipeline.dsl.stores import WindowedStore
from pipeline.dsl.stream import KStream
from pipeline.processor import Processor, ProcessorContext
from pipeline.record import NO_HEADERS, Record
from pipeline.serde import SerdeLike
from pipeline.windows import milliseconds

K = TypeVar("K")
V = TypeVar("V")

_MS = timedelta(milliseconds=1)


def dedup(
    stream: KStream[K, V],
    event_id: Callable[[K, V], str],
    *,
    within: timedelta,
    grace: timedelta,
    name: str,
    value: SerdeLike | None = None,
) -> KStream[str, V]:
    """Pass the first record of each event id; return a stream keyed by event id.

    Args:
        stream: records, some of which come more than once.
        event_id: returns what copies have in common.
        within: copies further apart than this, in event time, are events of their own.
        grace: records up to this late are compared with all they could be copies of; those that
            are later still may get through a second time, none is lost.
        name: names the store, its changelog, and the repartition topic `<app>-<name>-repartition`.
        value: serde of the value, if it is not known already.
    """
    within_ms = milliseconds(within, "within")
    # What went through `within` before a record may lie at the end of a span, which is judged by its start.
    store = WindowedStore(
        name, key=str, value=int, retention=2 * within + grace + _MS, window_size=within + _MS
    )
    keyed = stream.select_key(event_id, key=str).repartition(name=name, value=value)
    return keyed.process(lambda: _Dedup(name, within_ms), store, name=name, key=str, value=keyed.value_serde)


class _Dedup(Processor[str, Any, str, Any]):
    """Keeps the time at which each id went through, by the span that it lies in."""

    def __init__(self, name: str, within_ms: int) -> None:
        self._name, self._within_ms = name, within_ms

    def init(self, context: ProcessorContext[str, Any]) -> None:
        self._context = context
        self._seen = context.store(self._name)
        self._encode = self._seen.key_serde.serialize

    def process(self, record: Record[str, Any]) -> None:
        key, time = self._encode(record.key), record.timestamp
        span_ms = self._within_ms + 1
        start = time - time % span_ms
        if self._went_through(key, start, time) or self._went_through(key, start - span_ms, time):
            return
        # Most records are the latest: nothing is there that began later.
        if start < self._seen.progress()["time"] and self._went_through(key, start + span_ms, time):
            return
        self._seen.put_entry(key, start, time, time, NO_HEADERS)
        self._context.forward(record)

    def _went_through(self, key: bytes, start: int, time: int) -> bool:
        entry = self._seen.get_entry(key, start)
        return entry is not None and abs(entry.value - time) <= self._within_ms
