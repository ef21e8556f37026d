"""Oracle: what each destination's API takes, for the events of this data."""

from __future__ import annotations

import time
from typing import Any, Final

from tests.integration.nezha.events import Event

_NS_PER_S: Final = 1_000_000_000
_METRIC_TYPES: Final = {"count": 1, "gauge": 3}


def with_owner(event: Event, owner: dict[str, str] | None) -> dict[str, Any]:
    """Return the canonical event, with the owner of its service in the resource."""
    if owner is None:
        return event.record
    added = {"service.owner": owner["team"], "service.tier": owner.get("tier", "")}
    return {**event.record, "resource": event.record["resource"] | added}


def hec(log: dict[str, Any]) -> dict[str, Any]:
    """Splunk's HTTP Event Collector: `fields` are flat and never blank."""
    resource = log["resource"]
    fields = {
        "event_id": log["eventId"],
        "severity": log["severityText"],
        "trace_id": log["traceId"],
        "span_id": log["spanId"],
        **{name: value for name, value in resource.items() if value},
    }
    return {
        "time": (log["timeUnixNano"] // 1_000) / 1e6,
        "host": resource["k8s.node.name"],
        "source": resource["service.name"],
        "sourcetype": "_json",
        "event": {
            "message": log["body"],
            "severity_number": log["severityNumber"],
            "attributes": log["attributes"],
        },
        "fields": fields,
    }


def cloud_trace(span: dict[str, Any]) -> dict[str, Any]:
    """Google Cloud Trace's `projects.traces.batchWrite`; nothing here is longer than it takes."""
    attributes = {
        name: {"intValue": str(value)} if isinstance(value, int) else {"stringValue": {"value": value}}
        for name, value in (span["resource"] | span["attributes"]).items()
    }
    shaped = {
        "name": f"projects/headrace/traces/{span['traceId']}/spans/{span['spanId']}",
        "spanId": span["spanId"],
        "displayName": {"value": span["name"]},
        "startTime": rfc3339(span["startTimeUnixNano"]),
        "endTime": rfc3339(span["endTimeUnixNano"]),
        "attributes": {"attributeMap": attributes},
        "spanKind": "SPAN_KIND_UNSPECIFIED",
    }
    if "parentSpanId" in span:
        shaped["parentSpanId"] = span["parentSpanId"]
    return shaped


def honeycomb(log: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """Honeycomb's batch of one: the log's columns win over those of the request's root span."""
    return {
        "time": rfc3339(log["timeUnixNano"]),
        "samplerate": 1,
        "data": {
            "name": root["name"],
            "status_code": 0,
            "duration_ms": (root["endTimeUnixNano"] - root["startTimeUnixNano"]) / 1e6,
            **root["resource"],
            **root["attributes"],
            **log["resource"],
            **log["attributes"],
            "body": log["body"],
            "severity": log["severityText"],
            "severity_number": log["severityNumber"],
            "trace.trace_id": log["traceId"],
            "trace.span_id": log["spanId"],
            "event_id": log["eventId"],
        },
    }


def datadog(metric: str, kind: str, minute_ms: int, tags: dict[str, str], value: float) -> dict[str, Any]:
    """One point of Datadog's `POST /api/v2/series`."""
    shaped: dict[str, Any] = {
        "metric": metric,
        "type": _METRIC_TYPES[kind],
        "points": [{"timestamp": minute_ms // 1_000, "value": value}],
        "tags": sorted(f"{name}:{text}" for name, text in tags.items()),
        "resources": [],
    }
    if kind == "count":
        shaped["interval"] = 60
    return shaped


def rfc3339(ns: int) -> str:
    """Write nanoseconds since the epoch in UTC."""
    seconds, fraction = divmod(ns, _NS_PER_S)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{fraction:09d}Z"
