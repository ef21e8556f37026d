"""Logs and spans in, five destinations out: normalised, redacted, deduplicated, counted, joined.

    raw.logs  -> normalise -> redact -> dedup -+-> errors a minute by service   -> datadog.metrics, alerts
                                               +-> events a minute by user
                                               +-> with the service's owner     -> splunk.logs, archive.logs
                                               +-> with the request's root span -> honeycomb.events
    raw.spans -> normalise -> redact -> dedup -+-> requests a minute            -> datadog.metrics
                                               +-> with the service's owner     -> stackdriver.traces

Run it with `faust -A topologies.observability worker`; what cannot be processed goes to
`dead.letters`, as it came.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec

from pipeline import App, Windowed, tumbling
from pipeline.agents.stream import AgentStream
from pipeline.observability import (
    ERROR,
    EventTime,
    LogRecord,
    Policy,
    Redactor,
    Route,
    Routes,
    Span,
    TimestampParser,
    Unmatched,
    archive_ndjson,
    cloud_trace_span,
    datadog_series,
    dedup,
    deliver,
    honeycomb_event,
    normalise_logs,
    normalise_spans,
    redact,
    splunk_hec,
)
from schemas.observability import Alert, LogInRequest, Metric, RequestStats, ServiceOwner

#: Copies of an event come within this time of one another.
COPIES = timedelta(minutes=10)
#: How long after its end a minute still takes late events; and how late a log may meet its request.
GRACE = timedelta(hours=1)
PER_MINUTE = tumbling(timedelta(minutes=1), grace=GRACE)
#: A service that has so many errors in a minute is told of.
TOO_MANY_ERRORS = 10
#: A log and the start of its request are at most this far apart.
REQUEST = timedelta(minutes=5)

LOG_FORMATS = ("rfc3339", "epoch", "%d/%b/%Y:%H:%M:%S %z", "%Y-%m-%d %H:%M:%S,%f")
LOG_TIME = EventTime(
    ("time_unix_nano", "timeUnixNano", "timestamp", "@timestamp", "time", "ts"),
    formats=LOG_FORMATS,
    missing=Policy.RECORD_TIME,
    invalid=Policy.REJECT,
)
SPAN_TIME = EventTime(
    ("start_time_unix_nano", "startTimeUnixNano", "start_time"), formats=("epoch", "rfc3339")
)

app = App("observability", dead_letter="dead.letters")


# Sources


def event_id(_key: Any, event: LogRecord | Span) -> str:
    """Copies of an event have this in common."""
    return event.event_id


def service(_key: Any, event: LogRecord | Span) -> str:
    """The service that emitted an event."""
    return event.service or "unknown"


def trace_id(_key: Any, event: LogRecord | Span) -> str:
    """The request that an event belongs to."""
    return event.trace_id


redactor = Redactor()
owners = app.table("service.owners", name="service-owners", value=ServiceOwner)

raw_logs = app.stream("raw.logs", value=dict[str, Any], timestamp=LOG_TIME)
logs = dedup(
    redact(normalise_logs(raw_logs, times=TimestampParser(LOG_FORMATS)), redactor, name="redact-logs"),
    event_id,
    within=COPIES,
    grace=GRACE,
    name="seen-logs",
)

raw_spans = app.stream("raw.spans", value=dict[str, Any], timestamp=SPAN_TIME)
spans = dedup(
    redact(normalise_spans(raw_spans), redactor, name="redact-spans"),
    event_id,
    within=COPIES,
    grace=GRACE,
    name="seen-spans",
)


# Tables


def add_span(_key: tuple[str, str], span: Span, stats: RequestStats) -> RequestStats:
    """Count one span in."""
    return RequestStats(
        stats.requests + 1,
        stats.errors + span.failed,
        stats.total_duration_ns + span.duration_ns,
        max(stats.max_duration_ns, span.duration_ns),
    )


errors_per_minute = (
    logs.filter(lambda _key, log: log.severity_number >= ERROR)
    .group_by(service, name="errors-by-service")
    .windowed_by(PER_MINUTE)
    .count(name="errors-per-minute")
)
requests_per_minute = (
    spans.group_by(
        lambda key, span: (service(key, span), span.name), name="spans-by-operation", key=tuple[str, str]
    )
    .windowed_by(PER_MINUTE)
    .aggregate(RequestStats, add_span, name="requests-per-minute", value=RequestStats)
)
events_per_user = (
    logs.filter(lambda _key, log: "user_id" in log.attributes)
    .group_by(lambda _key, log: str(log.attributes["user_id"]), name="logs-by-user")
    .windowed_by(PER_MINUTE)
    .count(name="events-per-user")
)


# Alerts

alerted = app.Table("alerted", default=bool, key_type=str).tumbling(timedelta(minutes=1), expires=GRACE)


@app.agent(errors_per_minute.to_stream())
async def alert(counts: AgentStream[int]) -> AsyncIterator[Alert]:
    """Tell of each minute in which a service has too many errors: once, however many more come."""
    async for minute, errors in counts.items():
        if errors >= TOO_MANY_ERRORS and not alerted[minute.key].current():
            alerted[minute.key] = True
            yield Alert(minute.key, minute.start, errors)


alert.stream.select_key(lambda minute, _alert: minute.key).to("alerts", value=Alert)


# Joins


def with_owner(_service: str, event: Any, owner: ServiceOwner | None) -> Any:
    """Put the service's owner into the event's resource."""
    if owner is None:
        return event
    owned = event.resource | {"service.owner": owner.team, "service.tier": owner.tier}
    return msgspec.structs.replace(event, resource=owned)


owned_logs = logs.select_key(service).left_join(owners, with_owner, name="logs-by-service")
owned_spans = spans.select_key(service).left_join(owners, with_owner, name="spans-by-service")
logs_in_requests = (
    logs.filter(lambda _key, log: log.trace_id != "")
    .select_key(trace_id)
    .join(
        spans.filter(lambda _key, span: span.parent_span_id == "").select_key(trace_id),
        lambda _trace, log, request: LogInRequest(log, request),
        within=REQUEST,
        grace=GRACE,
        name="log-request",
    )
)


# Destinations: one entry each

ROUTES = Routes(
    Route("splunk.logs", lambda event: isinstance(event, LogRecord), splunk_hec),
    Route("archive.logs", lambda event: isinstance(event, LogRecord), archive_ndjson),
    Route(
        "stackdriver.traces",
        lambda event: isinstance(event, Span),
        partial(cloud_trace_span, project="headrace"),
    ),
    Route(
        "datadog.metrics",
        lambda event: isinstance(event, Metric),
        lambda metric: datadog_series(
            metric.name,
            metric.value,
            timestamp_ms=metric.timestamp_ms,
            kind=metric.kind,
            interval_s=60 if metric.kind == "count" else None,
            tags=metric.tags,
        ),
    ),
    Route(
        "honeycomb.events",
        lambda event: isinstance(event, LogInRequest),
        lambda event: honeycomb_event(event.log, event.request),
    ),
    unmatched=Unmatched.REJECT,
)


def error_metric(window: Windowed[str], count: int) -> Iterable[Metric]:
    """Errors of one service in one minute."""
    yield Metric("errors", count, "count", window.start, {"service": window.key})


def request_metrics(window: Windowed[tuple[str, str]], stats: RequestStats) -> Iterable[Metric]:
    """Requests of one operation in one minute."""
    tags = {"service": window.key[0], "operation": window.key[1]}
    yield Metric("requests", stats.requests, "count", window.start, tags)
    yield Metric("requests.errors", stats.errors, "count", window.start, tags)
    yield Metric("requests.duration.total", stats.total_duration_ns / 1e6, "count", window.start, tags)
    yield Metric("requests.duration.max", stats.max_duration_ns / 1e6, "gauge", window.start, tags)


def metric_key(_window: Windowed[Any], metric: Metric) -> str:
    """Metrics of one service lie in one partition."""
    return metric.tags["service"]


deliver(owned_logs, ROUTES)
deliver(owned_spans, ROUTES)
deliver(logs_in_requests, ROUTES)
deliver(errors_per_minute.to_stream().flat_map_values(error_metric).select_key(metric_key), ROUTES)
deliver(requests_per_minute.to_stream().flat_map_values(request_metrics).select_key(metric_key), ROUTES)
