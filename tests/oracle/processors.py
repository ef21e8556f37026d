"""The users' processors and timestamp extractors, by name: `java/Processors.java` says the same in Java."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from pipeline import (
    Processor,
    ProcessorContext,
    PunctuationType,
    Record,
    Store,
    use_partition_time_on_invalid_timestamp,
)
from tests.oracle.cases import Node
from tests.oracle.functions import text

_TICKS = 3


def process(node: Node, stream: Any) -> Any:
    """Declare the processor that the node names."""
    name = node["id"]
    match node["fn"]:
        case "previous":
            return stream.process(lambda: _Previous(name), Store(name, str, str), key=str, value=str)
        case "previous-value":
            return stream.process_values(lambda: _Previous(name), Store(name, str, str), value=str)
        case _:
            kind = (
                PunctuationType.STREAM_TIME if node["clock"] == "stream" else PunctuationType.WALL_CLOCK_TIME
            )
            interval = timedelta(milliseconds=node["interval"])
            return stream.process(lambda: _Ticks(kind, interval), key=str, value=str)


class _Previous(Processor[Any, Any, Any, Any]):
    """Puts the previous value of the key before each value."""

    def __init__(self, name: str) -> None:
        self._name = name

    def init(self, context: ProcessorContext[Any, Any]) -> None:
        self._context = context
        self._store = context.store(self._name)

    def process(self, record: Record[Any, Any]) -> None:
        if record.key is None:
            self._context.forward(record)
            return
        name = text(record.key)
        before = self._store.get(name)
        if record.value is None:
            self._store.delete(name)
        else:
            self._store.put(name, text(record.value), record.timestamp)
        self._context.forward(
            record.with_value(f"{'none' if before is None else before}>{text(record.value)}")
        )


class _Ticks(Processor[Any, Any, Any, Any]):
    """Passes records on, and forwards the times at which its timer fires, until it has fired often enough."""

    def __init__(self, kind: PunctuationType, interval: timedelta) -> None:
        self._kind, self._interval, self._fired = kind, interval, 0

    def init(self, context: ProcessorContext[Any, Any]) -> None:
        self._context = context
        self._timer = context.schedule(self._interval, self._kind, self._tick)

    def _tick(self, time: int) -> None:
        self._context.forward(Record("tick", str(time), time))
        self._fired += 1
        if self._fired == _TICKS:
            self._timer.cancel()

    def process(self, record: Record[Any, Any]) -> None:
        self._context.forward(record)


def _digits(record: Any, _partition_time: int) -> int:
    found = re.sub("[^0-9]", "", text(record.value))
    return int(found) if found else -1


EXTRACTORS: Final[Mapping[str, Any]] = {
    "digits": _digits,
    "later": lambda record, partition_time: max(record.timestamp, partition_time),
    "partition-time": use_partition_time_on_invalid_timestamp,
}
