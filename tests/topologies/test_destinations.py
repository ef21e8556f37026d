"""What the flagship's destinations get: shapes, owners, joins, and how one is added."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Final

import pytest

from pipeline import App
from tests.topologies.flagship import MINUTE, TRACE, flagship, log, span
from topologies import observability

FIVE_MINUTES: Final = 300_000
SPAN_ID: Final = "00f067aa0ba902b7"

LOG: Final[dict[str, Any]] = {
    "id": "e-1",
    "timestamp": "2023-01-29T08:42:00.123456789Z",
    "service": "checkout",
    "host": "node-7",
    "level": "WARN",
    "message": "card declined",
    "trace_id": TRACE,
    "span_id": "a3ce929d0e0e4736",
    "cart": {"items": 2},
}
SPAN: Final[dict[str, Any]] = {
    "traceId": TRACE,
    "spanId": SPAN_ID,
    "parentSpanId": "a3ce929d0e0e4736",
    "name": "POST /orders",
    "kind": "SERVER",
    "startTimeUnixNano": 1_674_981_720_000_000_000,
    "endTimeUnixNano": 1_674_981_720_250_000_001,
    "status": "ERROR",
    "status_message": "declined",
    "service": "checkout",
    "http.status_code": 402,
    "retried": True,
}
OWNED: Final = {"service.owner": "payments", "service.tier": "1"}

SHAPES: Final[dict[str, dict[str, Any]]] = {
    "splunk.logs": {
        "time": 1674981720.123456,
        "host": "node-7",
        "source": "checkout",
        "sourcetype": "_json",
        "event": {
            "message": "card declined",
            "severity_number": 13,
            "attributes": {"cart": {"items": 2}},
        },
        "fields": {
            "event_id": "e-1",
            "severity": "WARN",
            "trace_id": TRACE,
            "span_id": "a3ce929d0e0e4736",
            "service.name": "checkout",
            "host.name": "node-7",
            **OWNED,
        },
    },
    "archive.logs": {
        "timeUnixNano": 1_674_981_720_123_456_789,
        "observedTimeUnixNano": (MINUTE + 5_000) * 1_000_000,
        "severityNumber": 13,
        "severityText": "WARN",
        "body": "card declined",
        "attributes": {"cart": {"items": 2}},
        "resource": {"service.name": "checkout", "host.name": "node-7", **OWNED},
        "traceId": TRACE,
        "spanId": "a3ce929d0e0e4736",
        "eventId": "e-1",
    },
    "stackdriver.traces": {
        "name": f"projects/headrace/traces/{TRACE}/spans/{SPAN_ID}",
        "spanId": SPAN_ID,
        "parentSpanId": "a3ce929d0e0e4736",
        "displayName": {"value": "POST /orders"},
        "startTime": "2023-01-29T08:42:00.000000000Z",
        "endTime": "2023-01-29T08:42:00.250000001Z",
        "attributes": {
            "attributeMap": {
                "service.name": {"stringValue": {"value": "checkout"}},
                "service.owner": {"stringValue": {"value": "payments"}},
                "service.tier": {"stringValue": {"value": "1"}},
                "http.status_code": {"intValue": "402"},
                "retried": {"boolValue": True},
            }
        },
        "spanKind": "SERVER",
        "status": {"code": 2, "message": "declined"},
    },
}


@pytest.mark.parametrize("topic", SHAPES)
def test_an_event_has_the_shape_that_its_destination_takes(topic: str) -> None:
    with flagship() as run:
        run.owner("checkout", {"team": "payments", "tier": "1"})
        run.log(LOG)
        run.span(SPAN)
        (record,) = run.records(topic)
        assert record.value == SHAPES[topic]
        assert record.key == "checkout"
        assert record.timestamp == MINUTE + (0 if topic == "stackdriver.traces" else 123)


def test_a_log_in_its_request_has_the_shape_that_honeycomb_takes() -> None:
    with flagship() as run:
        run.span(SPAN | {"parentSpanId": None})
        run.log(LOG)
        (record,) = run.records("honeycomb.events")
    assert record.value == {
        "time": "2023-01-29T08:42:00.123456789Z",
        "samplerate": 1,
        "data": {
            "body": "card declined",
            "severity": "WARN",
            "severity_number": 13,
            "event_id": "e-1",
            "cart.items": 2,
            "service.name": "checkout",
            "host.name": "node-7",
            "trace.trace_id": TRACE,
            "trace.span_id": "a3ce929d0e0e4736",
            "name": "POST /orders",
            "span.kind": "server",
            "status_code": 2,
            "status_message": "declined",
            "error": True,
            "duration_ms": 250.000001,
            "http.status_code": 402,
            "retried": True,
        },
    }
    assert (record.key, record.timestamp) == (TRACE, MINUTE + 123)


def test_a_minute_of_metrics_has_the_shape_that_datadog_takes() -> None:
    with flagship() as run:
        run.span(span(1_000, status="ERROR"))
        run.log(log(2_000, level="error"))
        records = run.records("datadog.metrics")

    def point(metric: str, value: float, *tags: str, gauge: bool = False) -> dict[str, Any]:
        return {
            "metric": metric,
            "type": 3 if gauge else 1,
            **({} if gauge else {"interval": 60}),
            "points": [{"timestamp": MINUTE // 1_000, "value": value}],
            "tags": [*tags, "service:checkout"],
            "resources": [],
        }

    operation = "operation:POST /orders"
    assert {record.key for record in records} == {"checkout"}
    assert [record.value for record in records] == [
        point("requests", 1, operation),
        point("requests.errors", 1, operation),
        point("requests.duration.total", 250.0, operation),
        point("requests.duration.max", 250.0, operation, gauge=True),
        point("errors", 1),
    ]


def test_each_destination_gets_only_what_it_takes() -> None:
    with flagship() as run:
        run.log(log())
        run.span(span())
        counts = {topic: len(run.records(topic)) for topic in observability.ROUTES.destinations}
    assert counts == {
        "splunk.logs": 1,
        "archive.logs": 1,
        "stackdriver.traces": 1,
        "datadog.metrics": 4,
        "honeycomb.events": 0,
    }


# Owners


def test_an_event_has_the_owner_of_its_time_of_processing() -> None:
    with flagship() as run:
        for owner in (None, {"team": "a"}, {"team": "b", "tier": "2"}, None):
            if owner is not None or run.records("archive.logs"):
                run.owner("checkout", owner)
            run.log(log())
            run.span(span())
        owners = [record.value["resource"].get("service.owner") for record in run.records("archive.logs")]
        spans = [value["attributes"]["attributeMap"] for value in run.values("stackdriver.traces")]
    assert owners == [None, "a", "b", None]
    assert [each.get("service.owner") for each in spans] == [
        None,
        {"stringValue": {"value": "a"}},
        {"stringValue": {"value": "b"}},
        None,
    ]


@pytest.mark.parametrize("service", ["search", None])
def test_an_event_without_an_owner_goes_on(service: str | None) -> None:
    with flagship() as run:
        run.owner("checkout", {"team": "payments"})
        run.log(log(service=service))
        (record,) = run.records("archive.logs")
    assert record.value.get("resource", {}) == ({} if service is None else {"service.name": service})
    assert record.key == (service or "unknown")


def test_owners_survive_a_crash() -> None:
    with flagship() as run:
        run.owner("checkout", {"team": "payments"})
        run.driver.restart(crash=True)
        run.log(log())
        (value,) = run.values("archive.logs")
    assert value["resource"]["service.owner"] == "payments"


# Logs in requests


@pytest.mark.parametrize("log_first", [True, False])
@pytest.mark.parametrize(
    ("apart_ms", "pairs"),
    [(0, 1), (FIVE_MINUTES, 1), (FIVE_MINUTES + 1, 0), (-FIVE_MINUTES, 1), (-FIVE_MINUTES - 1, 0)],
)
def test_a_log_meets_a_request_that_began_within_five_minutes(
    apart_ms: int, pairs: int, *, log_first: bool
) -> None:
    """
    request |              10:00
    log     |  9:55 ======================== 10:05
    """
    event, request = log(2 * FIVE_MINUTES + apart_ms, trace_id=TRACE), span(2 * FIVE_MINUTES)
    with flagship() as run:
        if log_first:
            run.log(event)
            run.span(request)
        else:
            run.span(request)
            run.log(event)
        records = run.records("honeycomb.events")
    assert len(records) == pairs
    assert {record.timestamp for record in records} <= {MINUTE + 2 * FIVE_MINUTES + max(apart_ms, 0)}


@pytest.mark.parametrize(
    ("event", "request_"),
    [
        ({"trace_id": None}, {}),
        ({"trace_id": "0" * 31 + "1"}, {}),
        ({"trace_id": TRACE}, {"parent_span_id": "a3ce929d0e0e4736"}),
    ],
    ids=["log without a trace", "another trace", "span with a parent"],
)
def test_other_logs_and_spans_do_not_meet(event: dict[str, Any], request_: dict[str, Any]) -> None:
    with flagship() as run:
        run.span(span(**request_))
        run.log(log(**event))
        assert run.records("honeycomb.events") == []
        assert len(run.records("archive.logs")) == 1


def test_logs_of_a_request_meet_across_a_crash() -> None:
    with flagship() as run:
        run.span(span())
        run.driver.restart(crash=True)
        run.log(log(trace_id=TRACE.upper()))
        assert len(run.records("honeycomb.events")) == 1


# Routes


def test_adding_a_destination_is_one_entry(tmp_path: Path) -> None:
    entry = """
    Route(
        "pager.events",
        lambda event: isinstance(event, LogRecord) and event.severity_number >= ERROR,
        archive_ndjson,
    ),
"""
    source = Path(observability.__file__).read_text(encoding="utf-8")
    table, rest = source.split("    unmatched=", 1)
    variant = _module(tmp_path / "variant.py", f"{table}{entry}    unmatched={rest}")
    application: App = variant.app
    with flagship(application, variant.ROUTES.destinations) as run:
        run.log(log(level="error", message="to be told"))
        run.log(log(level="info"))
        assert [value["body"] for value in run.values("pager.events")] == ["to be told"]
        assert len(run.records("archive.logs")) == 2


def _module(path: Path, source: str) -> Any:
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
