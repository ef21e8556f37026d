"""Types of the observability topology, apart from OpenTelemetry's log record and span."""

from __future__ import annotations

import msgspec

from pipeline.observability import LogRecord, Span


class ServiceOwner(msgspec.Struct, frozen=True):
    """Who answers for a service: the value of topic `service.owners`, keyed by service."""

    team: str
    tier: str = ""


class RequestStats(msgspec.Struct):
    """What the spans of one operation came to within a minute."""

    requests: int = 0
    errors: int = 0
    total_duration_ns: int = 0
    max_duration_ns: int = 0


class Alert(msgspec.Struct, frozen=True):
    """A minute in which a service has too many errors: as many as there were when that was seen."""

    service: str
    minute_ms: int
    errors: int


class LogInRequest(msgspec.Struct, frozen=True):
    """A log together with the root span of the request that it was written in."""

    log: LogRecord
    request: Span


class Metric(msgspec.Struct, frozen=True):
    """One number of one minute."""

    name: str
    value: float
    kind: str
    timestamp_ms: int
    tags: dict[str, str]
