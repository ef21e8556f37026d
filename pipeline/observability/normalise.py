"""Open events to canonical ones: known names are mapped, everything else survives in attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pipeline.errors import ConfigError
from pipeline.observability.errors import InvalidEventError
from pipeline.observability.event_id import content_hash, own_id
from pipeline.observability.fields import Fields, Vocabulary
from pipeline.observability.model import SPAN_KINDS, STATUS_CODES, LogRecord, Span
from pipeline.observability.readings import (
    parse_instant,
    read_end_by_duration,
    read_id,
    read_instant,
    read_position,
    read_required_id,
    read_severity,
    read_text,
    read_traceparent,
    required,
)
from pipeline.observability.trace_context import parse_span_id, parse_trace_id
from pipeline.timestamps import Policy, TimestampParser

_NS_PER_MS = 1_000_000

#: Role to the names it goes by in logs, the most precise first.
LOG_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "time": ("time_unix_nano", "timeUnixNano", "timestamp", "@timestamp", "time", "ts", "datetime"),
    "observed": ("observed_time_unix_nano", "observedTimeUnixNano"),
    "severity_number": ("severity_number", "severityNumber"),
    "severity": (
        "severity_text",
        "severityText",
        "severity",
        "level",
        "log.level",
        "loglevel",
        "log_level",
        "lvl",
    ),
    "syslog_severity": ("PRIORITY", "syslog_severity", "log.syslog.severity.code"),
    "body": ("body", "message", "msg", "MESSAGE", "log"),
    "trace_id": ("trace_id", "traceId", "trace.id", "traceID", "traceid"),
    "span_id": ("span_id", "spanId", "span.id", "spanID", "spanid"),
    "traceparent": ("traceparent",),
    "event_id": ("event_id", "eventId", "event.id", "id", "uid"),
    "attributes": ("attributes",),
    "resource": ("resource",),
}

#: Role to the names it goes by in spans.
SPAN_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "trace_id": LOG_FIELDS["trace_id"],
    "span_id": LOG_FIELDS["span_id"],
    "parent_span_id": ("parent_span_id", "parentSpanId", "parent_id", "parentId", "parent.id"),
    "name": ("name", "span.name", "span_name", "operation_name", "operationName"),
    "start": ("start_time_unix_nano", "startTimeUnixNano", "start_time", "startTime", "start"),
    "end": ("end_time_unix_nano", "endTimeUnixNano", "end_time", "endTime", "end"),
    "kind": ("kind", "span.kind", "span_kind", "spanKind"),
    "status_code": ("status_code", "statusCode", "status.code", "status"),
    "status_message": ("status_message", "statusMessage", "status.message"),
    "attributes": ("attributes",),
    "resource": ("resource",),
}

_LOGS = Vocabulary(LOG_FIELDS)
_SPANS = Vocabulary(SPAN_FIELDS)
#: What text and numbers without a declared unit may be.
DEFAULT_TIMES: Final = TimestampParser()


def normalise_log(
    event: Mapping[str, Any],
    *,
    observed_ms: int,
    times: TimestampParser = DEFAULT_TIMES,
    missing_time: Policy = Policy.RECORD_TIME,
    invalid_time: Policy = Policy.REJECT,
) -> LogRecord:
    """Make a log record of an open event; of a canonical one, the same again.

    `LOG_FIELDS` and `fields.RESOURCE_NAMES` say which names are known. A `log` field that holds a JSON
    object, as container runtimes write it, is unwrapped. Where no field gives a severity, it is
    looked for in the message. A trace id that is none stays an attribute.

    Args:
        event: the decoded JSON object. It is not changed; the record shares its nested values.
        observed_ms: the record's timestamp, in ms: the time of events that give none, and what a
            missing year is chosen by.
        times: formats of the event's time.
        missing_time: RECORD_TIME for `observed_ms`, or REJECT.
        invalid_time: the same for a time that no format fits; its text stays an attribute.

    Raises:
        InvalidEventError: there is no body; a time is missing or invalid and the policy rejects
            it; a field has a wrong type.
        ConfigError: a policy is PARTITION_TIME, which only a timestamp extractor knows.
    """
    fields = _LOGS.sort(_unwrapped(event))
    field = required(fields, "body", LOG_FIELDS["body"])
    body = field.value.rstrip("\r\n") if field.name == "log" and type(field.value) is str else field.value
    number, text = read_severity(fields, body)
    trace_id, span_id = read_traceparent(
        fields, read_id(fields, "trace_id", parse_trace_id), read_id(fields, "span_id", parse_span_id)
    )
    observed = fields.roles.get("observed")
    return LogRecord(
        time_unix_nano=_log_time(fields, observed_ms, times, missing_time, invalid_time),
        observed_time_unix_nano=read_instant(observed, times) if observed else observed_ms * _NS_PER_MS,
        severity_number=number,
        severity_text=text,
        body=body,
        attributes=fields.attributes,
        resource=fields.resource,
        trace_id=trace_id,
        span_id=span_id,
        event_id=_event_id(fields, event),
    )


def normalise_span(event: Mapping[str, Any], *, times: TimestampParser = DEFAULT_TIMES) -> Span:
    """Make a span of an open event; of a canonical one, the same again.

    `SPAN_FIELDS` and `fields.RESOURCE_NAMES` say which names are known. Where there is no end, it
    follows from `duration_ns`, `duration_us` or `duration_ms`. A kind or a status outside of OpenTelemetry's
    vocabulary (`status_code: 404`) stays an attribute.

    Args:
        event: the decoded JSON object. It is not changed; the span shares its nested values.
        times: formats of start and end, where the name doesn't say that they are nanoseconds.

    Raises:
        InvalidEventError: trace id, span id, name, start or end is missing, has a wrong type or
            isn't one; or the span ends before it starts.
    """
    fields = _SPANS.sort(event)
    start = read_instant(required(fields, "start", SPAN_FIELDS["start"]), times)
    last = fields.roles.get("end")
    end = read_instant(last, times) if last else read_end_by_duration(fields, start, SPAN_FIELDS["end"])
    if end < start:
        raise InvalidEventError("the span ends before it starts", field="end")
    message = fields.roles.get("status_message")
    return Span(
        trace_id=read_required_id(fields, "trace_id", parse_trace_id, SPAN_FIELDS["trace_id"]),
        span_id=read_required_id(fields, "span_id", parse_span_id, SPAN_FIELDS["span_id"]),
        parent_span_id=read_id(fields, "parent_span_id", parse_span_id),
        name=read_text(required(fields, "name", SPAN_FIELDS["name"])),
        kind=read_position(fields, "kind", SPAN_KINDS, "SPAN_KIND_"),
        start_time_unix_nano=start,
        end_time_unix_nano=end,
        status_code=read_position(fields, "status_code", STATUS_CODES, "STATUS_CODE_"),
        status_message=read_text(message) if message else "",
        attributes=fields.attributes,
        resource=fields.resource,
    )


def _log_time(
    fields: Fields, observed_ms: int, times: TimestampParser, missing: Policy, invalid: Policy
) -> int:
    field = fields.roles.get("time")
    if field is None or field.value == 0:  # OpenTelemetry: 0 is an unknown time
        policy, reason = missing, f"missing: none of {', '.join(LOG_FIELDS['time'])}"
    else:
        ns = parse_instant(field, times, observed_ms)
        if ns is not None:
            return ns
        fields.attributes[field.name] = field.value
        policy, reason = invalid, "no declared format fits"
    if policy is Policy.REJECT:
        raise InvalidEventError(reason, field=field.name if field else "time")
    if policy is Policy.PARTITION_TIME:
        raise ConfigError(
            "an event can't be given its partition's time when it is normalised: let the source's "
            "EventTime do that, and use RECORD_TIME here"
        )
    return observed_ms * _NS_PER_MS


def _event_id(fields: Fields, event: Mapping[str, Any]) -> str:
    """Identify an event: by its own id, else by a hash of it as it came."""
    field = fields.roles.get("event_id")
    if field is not None:
        if type(field.value) in (str, int) and field.value != "":
            return own_id(field.value)
        fields.attributes[field.name] = field.value
    return content_hash(event)


def _unwrapped(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Join the fields of a `log` that holds a JSON object to the event's, whose own win.

    Container runtimes write `{"log": "message", "stream": "stdout", "time": ...}`; collectors put
    that whole object, or an application's JSON, into a `log` of their own. At most two levels.
    """
    for _ in range(2):
        text = event.get("log")
        if type(text) is not str or not text.startswith("{"):
            break
        try:
            inner = msgspec.json.decode(text)
        except (ValueError, RecursionError):  # plain text that begins with a brace
            break
        if type(inner) is not dict or inner.keys().isdisjoint(LOG_FIELDS["body"]):
            break
        inner.update((name, value) for name, value in event.items() if name != "log")
        event = inner
    return event
