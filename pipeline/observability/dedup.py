"""Dedup by event id, in event time, with state that survives restarts.

A record is a copy if one with the same id went through whose event time lies within `within` of
its own, before or after. The first of them sets the time: a source that repeats an event for ever
gets through once every `within` (a cache that is refreshed by each copy would hide it for ever).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from pipeline.dsl.stores import WindowedStore
from pipeline.dsl.stream import KStream
from pipeline.processor import Processor, ProcessorContext
from pipeline.record import Record
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
    store = WindowedStore(
        name, key=str, value=int, retention=within + grace + _MS, window_size=max(within, _MS)
    )
    keyed = stream.select_key(event_id, key=str).repartition(name=name, value=value)
    return keyed.process(lambda: _Dedup(name, within_ms), store, name=name, key=str, value=keyed.value_serde)


class _Dedup(Processor[str, Any, str, Any]):
    """Keeps the times at which each id went through."""

    def __init__(self, name: str, within_ms: int) -> None:
        self._name, self._within_ms = name, within_ms

    def init(self, context: ProcessorContext[str, Any]) -> None:
        self._context = context
        self._seen = context.store(self._name)

    def process(self, record: Record[str, Any]) -> None:
        first, last = record.timestamp - self._within_ms, record.timestamp + self._within_ms
        if self._seen.fetch_range(record.key, first, last):
            return
        self._seen.put(record.key, 1, record.timestamp, record.timestamp)
        self._context.forward(record)
