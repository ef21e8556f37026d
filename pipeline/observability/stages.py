"""Stages of an observability pipeline, as operators on streams: normalise, redact, deliver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from pipeline.dsl.stream import KStream
from pipeline.observability.errors import InvalidEventError
from pipeline.observability.model import LogRecord, Span
from pipeline.observability.normalise import DEFAULT_TIMES, normalise_log, normalise_span
from pipeline.observability.redact import Redactor
from pipeline.observability.routes import Routes
from pipeline.processor import Processor, ProcessorContext
from pipeline.record import Record
from pipeline.timestamps import TimestampParser

K = TypeVar("K")
V = TypeVar("V")


def normalise_logs(
    stream: KStream[K, dict[str, Any]],
    *,
    times: TimestampParser = DEFAULT_TIMES,
    name: str = "normalise-logs",
) -> KStream[K, LogRecord]:
    """Make canonical log records of open events; see `normalise.normalise_log`.

    The observed time of a log is the broker's timestamp, unless the event says another.

    Args:
        stream: open events, such as `app.stream(..., value=dict[str, Any])`.
        times: formats of the times in them.
        name: of the operator; a second one needs another.
    """
    return stream.process_values(lambda: _NormaliseLogs(times), name=name, value=LogRecord)


def normalise_spans(
    stream: KStream[K, dict[str, Any]], *, times: TimestampParser = DEFAULT_TIMES
) -> KStream[K, Span]:
    """Make canonical spans of open events; see `normalise.normalise_span`."""
    return stream.map_values(lambda _key, event: normalise_span(event, times=times), value=Span)


def redact(stream: KStream[K, V], redactor: Redactor, *, name: str = "redact") -> KStream[K, V]:
    """Redact values and headers. Keys pass as they are: choose new ones from what is redacted.

    Put it before the first operator that writes: a repartition topic, a changelog and a sink each
    keep what they are given. Dead letters keep what came: restrict who may read them.

    Args:
        stream: records with values that `redactor.value` takes.
        redactor: the rules.
        name: of the operator; a second one needs another.
    """
    return stream.process_values(
        lambda: _Redact(redactor.value, redactor), name=name, value=stream.value_serde
    )


class _NormaliseLogs(Processor[Any, dict[str, Any], Any, LogRecord]):
    def __init__(self, times: TimestampParser) -> None:
        self._times = times

    def init(self, context: ProcessorContext[Any, LogRecord]) -> None:
        self._context = context

    def process(self, record: Record[Any, dict[str, Any]]) -> None:
        # Any record's value may be null, which no type of a stream says.
        if record.value is None:
            raise InvalidEventError("the record has no value")
        log = normalise_log(record.value, observed_ms=self._context.source_timestamp, times=self._times)
        self._context.forward(record.with_value(log))


class _Redact(Processor[Any, Any, Any, Any]):
    def __init__(self, redact_value: Callable[[Any], Any], redactor: Redactor) -> None:
        self._value, self._redactor = redact_value, redactor

    def init(self, context: ProcessorContext[Any, Any]) -> None:
        self._context = context

    def process(self, record: Record[Any, Any]) -> None:
        headers = self._redactor.headers(record.headers) if record.headers else record.headers
        self._context.forward(Record(record.key, self._value(record.value), record.timestamp, headers))


class _ShapedSerde:
    """Writes what a route shaped, as JSON; the topic that goes with it is the sink's business."""

    name = "json"

    def serialize(self, value: tuple[str, Any], /) -> bytes:
        return msgspec.json.encode(value[1])

    def deserialize(self, data: bytes, /) -> tuple[str, Any]:
        raise NotImplementedError("destinations are written, never read back")


@dataclass(frozen=True, slots=True)
class _Destination:
    """Chooses the topic that goes with what a route shaped.

    Attributes:
        topics: all that it chooses from.
    """

    topics: tuple[str, ...]

    def __call__(self, _key: Any, routed: tuple[str, Any]) -> str:
        return routed[0]


def deliver(stream: KStream[K, V], routes: Routes) -> None:
    """Write each record to the destinations whose route takes it, in their shapes.

    Keys, times and headers stay as they are.

    Args:
        stream: events.
        routes: the table of destinations.
    """
    shaped = stream.flat_map_values(lambda _key, event: routes.apply(event))
    shaped.to(_Destination(routes.destinations), value=_ShapedSerde())
