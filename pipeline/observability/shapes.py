"""Shapes: canonical events as the records that destinations' APIs take. Pure, and ready for JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

from pipeline.observability.model import SPAN_KINDS, STATUS_CODES, LogRecord, Span
from pipeline.timestamps import format_rfc3339

_NS_PER_US = 1_000
_US_PER_S = 1_000_000
_MS_PER_S = 1_000

_encode = msgspec.json.encode


def splunk_hec(
    log: LogRecord, *, index: str | None = None, source: str | None = None, sourcetype: str = "_json"
) -> dict[str, Any]:
    """Shape a log as an event of Splunk's HTTP Event Collector (`/services/collector/event`).

    `time` is in seconds with microseconds. `event` is an object, since HEC refuses a blank text;
    what searches filter by is in `fields`, which HEC indexes and wants flat.

    Source: "Format events for HTTP Event Collector", Splunk documentation.

    Args:
        log: the log record.
        index: the index; None: the token's.
        source: the source; None: the service's name.
        sourcetype: the source type.
    """
    resource = log.resource
    host = resource.get("host.name") or resource.get("k8s.node.name")
    fields = {
        "event_id": log.event_id,
        "severity": log.severity_text,
        "trace_id": log.trace_id,
        "span_id": log.span_id,
        **{name: value for name, value in resource.items() if isinstance(value, str)},
    }
    shaped = {
        "time": log.time_unix_nano // _NS_PER_US / _US_PER_S,
        "host": host,
        "source": source or log.service,
        "sourcetype": sourcetype,
        "index": index,
        "event": {
            "message": log.body,
            "severity_number": log.severity_number,
            "attributes": log.attributes,
        },
        "fields": {name: value for name, value in fields.items() if value},
    }
    return {name: value for name, value in shaped.items() if value is not None}


def archive_ndjson(event: LogRecord | Span) -> dict[str, Any]:
    """Shape an event for the archive: the canonical event, nothing left out.

    As JSON it is one line, so that an object of many, joined by line breaks, is NDJSON. Decoding
    a line as `LogRecord` or `Span` gives the event back.
    """
    shaped: dict[str, Any] = msgspec.to_builtins(event)
    return shaped


# --- Google Cloud Trace ----------------------------------------------------------------------

_MOST_ATTRIBUTES: Final = 32
_LONGEST_KEY: Final = 128  # bytes
_LONGEST_VALUE: Final = 256  # bytes
_LONGEST_NAME: Final = 128  # bytes
_INT64 = range(-(2**63), 2**63)
_RPC_OK, _RPC_UNKNOWN = 0, 2  # google.rpc.Code


def cloud_trace_span(span: Span, *, project: str) -> dict[str, Any]:
    """Shape a span as one of Google Cloud Trace's `projects.traces.batchWrite`, version 2.

    The API's limits are kept: 32 attributes, keys of 128 bytes, texts of 256, a display name of
    128. What is beyond is cut or dropped, and counted where the API has a field for it. Floats
    and structures, which it doesn't take as attributes, become text.

    Source: google/devtools/cloudtrace/v2/trace.proto, and the REST reference of
    `projects.traces.batchWrite`.

    Args:
        span: the span.
        project: the Google Cloud project's id.
    """
    shaped: dict[str, Any] = {
        "name": f"projects/{project}/traces/{span.trace_id}/spans/{span.span_id}",
        "spanId": span.span_id,
        "displayName": _truncatable(span.name, _LONGEST_NAME),
        "startTime": format_rfc3339(span.start_time_unix_nano),
        "endTime": format_rfc3339(span.end_time_unix_nano),
        "attributes": _attribute_map({**span.resource, **span.attributes}),
        "spanKind": SPAN_KINDS[span.kind] if span.kind else "SPAN_KIND_UNSPECIFIED",
    }
    if span.parent_span_id:
        shaped["parentSpanId"] = span.parent_span_id
    status = STATUS_CODES[span.status_code]
    if status == "OK":
        shaped["status"] = {"code": _RPC_OK}
    elif status == "ERROR":
        shaped["status"] = {"code": _RPC_UNKNOWN, "message": span.status_message}
    return shaped


def _attribute_map(attributes: Mapping[str, Any]) -> dict[str, Any]:
    kept = {
        name: _attribute_value(value)
        for name, value in attributes.items()
        if value is not None and len(name.encode()) <= _LONGEST_KEY
    }
    shaped: dict[str, Any] = {"attributeMap": dict(list(kept.items())[:_MOST_ATTRIBUTES])}
    dropped = len(attributes) - len(shaped["attributeMap"])
    if dropped:
        shaped["droppedAttributesCount"] = dropped
    return shaped


def _attribute_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int) and value in _INT64:
        return {"intValue": str(value)}  # ProtoJSON writes int64 as text
    text = value if isinstance(value, str) else _encode(value).decode()
    return {"stringValue": _truncatable(text, _LONGEST_VALUE)}


def _truncatable(text: str, longest: int) -> dict[str, Any]:
    """Shape a TruncatableString: cut at a character's end, within a length in bytes."""
    encoded = text.encode()
    if len(encoded) <= longest:
        return {"value": text}
    value = encoded[:longest].decode(errors="ignore")
    return {"value": value, "truncatedByteCount": len(encoded) - len(value.encode())}


# --- Datadog ---------------------------------------------------------------------------------

_METRIC_TYPES: Final = {"count": 1, "rate": 2, "gauge": 3}
_METRIC_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,199}").fullmatch


def datadog_series(
    metric: str,
    value: float,
    *,
    timestamp_ms: int,
    kind: Literal["count", "rate", "gauge"],
    interval_s: int | None = None,
    tags: Mapping[str, str] | None = None,
    host: str | None = None,
    unit: str | None = None,
) -> dict[str, Any]:
    """Shape a point as a series of Datadog's `POST /api/v2/series`.

    Datadog takes points that are at most one hour old and ten minutes ahead; it doesn't say so
    of each point it drops.

    Source: "Submit metrics", version 2, Datadog API reference.

    Args:
        metric: name: letters, digits, underscores, points, a letter first, up to 200 characters.
        value: of the point.
        timestamp_ms: of the point, milliseconds since the epoch. The API takes seconds.
        kind: what the value is.
        interval_s: the seconds that a count or a rate is about; those need it.
        tags: become `name:value`, sorted.
        host: the metric's host.
        unit: of the value.

    Raises:
        ValueError: the name isn't one, or a count or rate has no interval.
    """
    if not _METRIC_NAME(metric):
        raise ValueError(f"metric {metric!r}: use letters, digits, underscores and points, a letter first")
    if kind != "gauge" and not interval_s:
        raise ValueError(f"metric {metric!r} is a {kind}: say in interval_s how many seconds it is about")
    shaped = {
        "metric": metric,
        "type": _METRIC_TYPES[kind],
        "interval": interval_s,
        "points": [{"timestamp": timestamp_ms // _MS_PER_S, "value": value}],
        "tags": sorted(f"{name}:{text}" for name, text in (tags or {}).items()),
        "resources": [{"name": host, "type": "host"}] if host else [],
        "unit": unit,
    }
    return {name: item for name, item in shaped.items() if item is not None}


# --- Honeycomb -------------------------------------------------------------------------------

_NS_PER_MS = 1_000_000


def honeycomb_event(*events: LogRecord | Span, samplerate: int = 1) -> dict[str, Any]:
    """Shape one event, or several that were joined, as one of Honeycomb's `POST /1/batch/{dataset}`.

    Nested attributes become columns with points in their names. Trace fields and `duration_ms`
    have the names that Honeycomb's trace view looks for. Where joined events give one column
    two values, the first event's counts, as does its time.

    Sources: "Create Events", Honeycomb API reference; "Enhance Trace Data", Honeycomb documentation.

    Args:
        events: a log record, a span, or both.
        samplerate: this event stands for so many.

    Raises:
        ValueError: no event, or a sample rate below 1.
    """
    if not events:
        raise ValueError("a Honeycomb event needs a log record or a span")
    if samplerate < 1:
        raise ValueError(f"samplerate {samplerate}: one event stands for at least one")
    data: dict[str, Any] = {}
    for event in reversed(events):
        columns = _log_columns(event) if isinstance(event, LogRecord) else _span_columns(event)
        data |= {name: value for name, value in columns.items() if value not in ("", None)}
    first = events[0]
    ns = first.time_unix_nano if isinstance(first, LogRecord) else first.start_time_unix_nano
    return {"time": format_rfc3339(ns), "samplerate": samplerate, "data": data}


def _log_columns(log: LogRecord) -> dict[str, Any]:
    return {
        **dict(_flat("", log.resource)),
        **dict(_flat("", log.attributes)),
        **dict(_flat("body", log.body)),
        "severity": log.severity_text,
        "severity_number": log.severity_number,
        "trace.trace_id": log.trace_id,
        "trace.span_id": log.span_id,
        "event_id": log.event_id,
    }


def _span_columns(span: Span) -> dict[str, Any]:
    return {
        **dict(_flat("", span.resource)),
        **dict(_flat("", span.attributes)),
        "name": span.name,
        "span.kind": SPAN_KINDS[span.kind].lower() if span.kind else None,
        "status_code": span.status_code,
        "status_message": span.status_message,
        "error": True if STATUS_CODES[span.status_code] == "ERROR" else None,
        "duration_ms": span.duration_ns / _NS_PER_MS,
        "trace.trace_id": span.trace_id,
        "trace.span_id": span.span_id,
        "trace.parent_id": span.parent_span_id,
    }


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Flatten nested objects to names with points. Lists stay as they are."""
    if not isinstance(value, dict):
        yield prefix, value
        return
    for name, item in value.items():
        yield from _flat(f"{prefix}.{name}" if prefix else name, item)
