"""Operators for observability pipelines: normalise, redact, dedup, route, and reshape events."""

from __future__ import annotations

from pipeline.observability.dedup import dedup
from pipeline.observability.errors import InvalidEventError
from pipeline.observability.model import LogRecord, Span
from pipeline.observability.normalise import normalise_log, normalise_span
from pipeline.observability.redact import Redactor, Rule
from pipeline.observability.routes import Route, Routes, Unmatched, UnroutableError
from pipeline.observability.severity import DEBUG, ERROR, FATAL, INFO, TRACE, WARN
from pipeline.observability.shapes import (
    archive_ndjson,
    cloud_trace_span,
    datadog_series,
    honeycomb_event,
    splunk_hec,
)
from pipeline.observability.stages import deliver, normalise_logs, normalise_spans, redact
from pipeline.timestamps import EventTime, Format, Policy, TimestampParser

__all__ = [
    "DEBUG",
    "ERROR",
    "FATAL",
    "INFO",
    "TRACE",
    "WARN",
    "EventTime",
    "Format",
    "InvalidEventError",
    "LogRecord",
    "Policy",
    "Redactor",
    "Route",
    "Routes",
    "Rule",
    "Span",
    "TimestampParser",
    "Unmatched",
    "UnroutableError",
    "archive_ndjson",
    "cloud_trace_span",
    "datadog_series",
    "dedup",
    "deliver",
    "honeycomb_event",
    "normalise_log",
    "normalise_logs",
    "normalise_span",
    "normalise_spans",
    "redact",
    "splunk_hec",
]
