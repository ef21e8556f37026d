from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pipeline.observability.model import LogRecord, Span
from pipeline.observability.shapes import (
    archive_ndjson,
    cloud_trace_span,
    datadog_series,
    honeycomb_event,
    splunk_hec,
)

TRACE, SPAN_ID, PARENT = "6f3cbf058c2765548a39ad724905d6a1", "576f9c38fc25e197", "daf5635c2b4d7c56"

LOG = LogRecord(
    time_unix_nano=1674981729487160534,
    observed_time_unix_nano=1674981730000000000,
    severity_number=17,
    severity_text="ERROR",
    body="seat\ntaken",
    attributes={"user": {"id": 7, "tags": ["a"]}, "stream": "stdout"},
    resource={"service.name": "booking", "host.name": "web-1", "cpus": 4},
    trace_id=TRACE,
    span_id=SPAN_ID,
    event_id="evt-1",
)
BARE_LOG = LogRecord(time_unix_nano=0, body={"text": "hello"}, event_id="e")

SPAN = Span(
    trace_id=TRACE,
    span_id=SPAN_ID,
    parent_span_id=PARENT,
    name="SELECT trip",
    kind=3,
    start_time_unix_nano=1674981729488138287,
    end_time_unix_nano=1674981729489160586,
    status_code=2,
    status_message="timeout",
    attributes={"rows": 3, "cached": False, "ratio": 0.5, "sql": {"table": "trip"}, "none": None},
    resource={"service.name": "booking"},
)
ROOT = Span(trace_id=TRACE, span_id=SPAN_ID, name="/*", start_time_unix_nano=0, end_time_unix_nano=1)


@pytest.mark.parametrize(
    ("log", "options", "expected"),
    [
        (
            LOG,
            {"index": "main"},
            {
                "time": 1674981729.48716,
                "host": "web-1",
                "source": "booking",
                "sourcetype": "_json",
                "index": "main",
                "event": {
                    "message": "seat\ntaken",
                    "severity_number": 17,
                    "attributes": {"user": {"id": 7, "tags": ["a"]}, "stream": "stdout"},
                },
                "fields": {
                    "event_id": "evt-1",
                    "severity": "ERROR",
                    "trace_id": TRACE,
                    "span_id": SPAN_ID,
                    "service.name": "booking",
                    "host.name": "web-1",
                },
            },
        ),
        (
            BARE_LOG,
            {"source": "s", "sourcetype": "t"},
            {
                "time": 0.0,
                "source": "s",
                "sourcetype": "t",
                "event": {"message": {"text": "hello"}, "severity_number": 0, "attributes": {}},
                "fields": {"event_id": "e"},
            },
        ),
    ],
)
def test_splunk_hec(log: LogRecord, options: dict[str, Any], expected: dict[str, Any]) -> None:
    assert splunk_hec(log, **options) == expected


def test_splunk_time_is_a_decimal_number_of_seconds() -> None:
    assert msgspec.json.encode(splunk_hec(LOG)["time"]) == b"1674981729.48716"


@pytest.mark.parametrize("event", [LOG, BARE_LOG, SPAN, ROOT])
def test_the_archive_has_everything_on_one_line(event: LogRecord | Span) -> None:
    line = msgspec.json.encode(archive_ndjson(event))
    assert b"\n" not in line
    assert msgspec.json.decode(line, type=type(event)) == event


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (
            SPAN,
            {
                "name": f"projects/shop/traces/{TRACE}/spans/{SPAN_ID}",
                "spanId": SPAN_ID,
                "parentSpanId": PARENT,
                "displayName": {"value": "SELECT trip"},
                "startTime": "2023-01-29T08:42:09.488138287Z",
                "endTime": "2023-01-29T08:42:09.489160586Z",
                "attributes": {
                    "attributeMap": {
                        "service.name": {"stringValue": {"value": "booking"}},
                        "rows": {"intValue": "3"},
                        "cached": {"boolValue": False},
                        "ratio": {"stringValue": {"value": "0.5"}},
                        "sql": {"stringValue": {"value": '{"table":"trip"}'}},
                    },
                    "droppedAttributesCount": 1,
                },
                "spanKind": "CLIENT",
                "status": {"code": 2, "message": "timeout"},
            },
        ),
        (
            ROOT,
            {
                "name": f"projects/shop/traces/{TRACE}/spans/{SPAN_ID}",
                "spanId": SPAN_ID,
                "displayName": {"value": "/*"},
                "startTime": "1970-01-01T00:00:00.000000000Z",
                "endTime": "1970-01-01T00:00:00.000000001Z",
                "attributes": {"attributeMap": {}},
                "spanKind": "SPAN_KIND_UNSPECIFIED",
            },
        ),
    ],
)
def test_cloud_trace(span: Span, expected: dict[str, Any]) -> None:
    assert cloud_trace_span(span, project="shop") == expected


def test_cloud_trace_status_ok() -> None:
    assert cloud_trace_span(msgspec.structs.replace(ROOT, status_code=1), project="p")["status"] == {
        "code": 0
    }


def test_cloud_trace_limits() -> None:
    attributes = {"k" * 129: 1, "text": "é" * 200, "big": 2**63} | {
        f"a{number}": number for number in range(40)
    }
    span = cloud_trace_span(
        msgspec.structs.replace(ROOT, name="n" * 127 + "é", attributes=attributes), project="p"
    )
    assert span["displayName"] == {"value": "n" * 127, "truncatedByteCount": 2}
    shaped = span["attributes"]["attributeMap"]
    assert len(shaped) == 32
    assert span["attributes"]["droppedAttributesCount"] == 43 - 32
    assert shaped["text"] == {"stringValue": {"value": "é" * 128, "truncatedByteCount": 144}}
    assert shaped["big"] == {"stringValue": {"value": str(2**63)}}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {
                "kind": "count",
                "interval_s": 60,
                "tags": {"service": "booking", "env": "prod"},
                "host": "web-1",
            },
            {
                "metric": "log.errors",
                "type": 1,
                "interval": 60,
                "points": [{"timestamp": 1674981729, "value": 5}],
                "tags": ["env:prod", "service:booking"],
                "resources": [{"name": "web-1", "type": "host"}],
            },
        ),
        (
            {"kind": "gauge", "unit": "millisecond"},
            {
                "metric": "log.errors",
                "type": 3,
                "points": [{"timestamp": 1674981729, "value": 5}],
                "tags": [],
                "resources": [],
                "unit": "millisecond",
            },
        ),
    ],
)
def test_datadog_series(options: dict[str, Any], expected: dict[str, Any]) -> None:
    assert datadog_series("log.errors", 5, timestamp_ms=1674981729999, **options) == expected


@pytest.mark.parametrize("metric", ["", "5xx", "a-b", "a b", "é", "x" * 201])
def test_datadog_refuses_a_name_that_it_would_rewrite(metric: str) -> None:
    with pytest.raises(ValueError, match="a letter first"):
        datadog_series(metric, 1, timestamp_ms=0, kind="gauge")


def test_datadog_counts_and_rates_have_an_interval() -> None:
    with pytest.raises(ValueError, match="interval_s"):
        datadog_series("log.errors", 1, timestamp_ms=0, kind="rate")


LOG_COLUMNS = {
    "service.name": "booking",
    "host.name": "web-1",
    "cpus": 4,
    "user.id": 7,
    "user.tags": ["a"],
    "stream": "stdout",
    "body": "seat\ntaken",
    "severity": "ERROR",
    "severity_number": 17,
    "trace.trace_id": TRACE,
    "trace.span_id": SPAN_ID,
    "event_id": "evt-1",
}
SPAN_COLUMNS = {
    "service.name": "booking",
    "rows": 3,
    "cached": False,
    "ratio": 0.5,
    "sql.table": "trip",
    "name": "SELECT trip",
    "span.kind": "client",
    "status_code": 2,
    "status_message": "timeout",
    "error": True,
    "duration_ms": 1.022299,
    "trace.trace_id": TRACE,
    "trace.span_id": SPAN_ID,
    "trace.parent_id": PARENT,
}


@pytest.mark.parametrize(
    ("events", "time", "data"),
    [
        ((LOG,), "2023-01-29T08:42:09.487160534Z", LOG_COLUMNS),
        ((SPAN,), "2023-01-29T08:42:09.488138287Z", SPAN_COLUMNS),
        ((LOG, SPAN), "2023-01-29T08:42:09.487160534Z", SPAN_COLUMNS | LOG_COLUMNS),
        ((SPAN, LOG), "2023-01-29T08:42:09.488138287Z", LOG_COLUMNS | SPAN_COLUMNS),
        (
            (BARE_LOG, SPAN),
            "1970-01-01T00:00:00.000000000Z",
            SPAN_COLUMNS | {"body.text": "hello", "severity_number": 0, "event_id": "e"},
        ),
    ],
)
def test_honeycomb_event(events: tuple[LogRecord | Span, ...], time: str, data: dict[str, Any]) -> None:
    assert honeycomb_event(*events, samplerate=10) == {"time": time, "samplerate": 10, "data": data}


def test_honeycomb_needs_an_event_and_a_rate() -> None:
    with pytest.raises(ValueError, match="needs a log record or a span"):
        honeycomb_event()
    with pytest.raises(ValueError, match="samplerate 0"):
        honeycomb_event(LOG, samplerate=0)


@pytest.mark.parametrize(
    "shaped",
    [
        splunk_hec(LOG),
        cloud_trace_span(SPAN, project="p"),
        datadog_series("a", 1, timestamp_ms=0, kind="gauge"),
        honeycomb_event(LOG, SPAN),
    ],
    ids=["splunk", "cloud trace", "datadog", "honeycomb"],
)
def test_shapes_are_ready_for_json(shaped: dict[str, Any]) -> None:
    assert msgspec.json.decode(msgspec.json.encode(shaped)) == shaped
