"""The canonical events: a log record and a span, after OpenTelemetry's data models.

As JSON the fields have OpenTelemetry's names (`timeUnixNano`, `severityNumber`, `traceId`), and
those with their default are left out. Two things are simpler than in OTLP's JSON encoding:
attributes are an object, not a list of tagged values, and 64-bit integers are numbers, not text.

Sources: https://opentelemetry.io/docs/specs/otel/logs/data-model/ and
https://opentelemetry.io/docs/specs/otel/trace/api/#span.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

SERVICE_NAME: Final = "service.name"

#: A span's kind: its number is the position.
SPAN_KINDS: Final = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")

#: A span's status code: its number is the position.
STATUS_CODES: Final = ("UNSET", "OK", "ERROR")


class LogRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One log line or event.

    Attributes:
        time_unix_nano: when it happened, nanoseconds since the epoch.
        observed_time_unix_nano: when it was first seen by a collector or by this pipeline.
        severity_number: 1 to 24, 0 where it isn't known; see `pipeline.observability.severity`.
        severity_text: the severity as the source wrote it.
        body: the message, or a structure.
        attributes: all that the event said beyond the fields here, nested as it was.
        resource: what emitted it, under the names of OpenTelemetry's semantic conventions
            (`service.name`, `host.name`, `k8s.pod.name`, ...).
        trace_id: 32 lower-case hexadecimal digits, or "".
        span_id: 16 lower-case hexadecimal digits, or "".
        event_id: identifies the event: equal for copies of it. Never holds a value that is to be
            redacted.
    """

    time_unix_nano: int
    observed_time_unix_nano: int = 0
    severity_number: int = 0
    severity_text: str = ""
    body: Any
    attributes: dict[str, Any] = {}
    resource: dict[str, Any] = {}
    trace_id: str = ""
    span_id: str = ""
    event_id: str

    @property
    def service(self) -> str | None:
        """`service.name` of the resource, None where it isn't known."""
        return self.resource.get(SERVICE_NAME)


class Span(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One operation within a trace.

    Attributes:
        trace_id: 32 lower-case hexadecimal digits.
        span_id: 16 lower-case hexadecimal digits.
        parent_span_id: the same of the parent, "" for a root span.
        name: the operation.
        kind: position in `SPAN_KINDS`.
        start_time_unix_nano: start, nanoseconds since the epoch.
        end_time_unix_nano: end, nanoseconds since the epoch.
        status_code: position in `STATUS_CODES`.
        status_message: what went wrong, for an error.
        attributes: all that the event said beyond the fields here, nested as it was.
        resource: what emitted it, as in `LogRecord`.
    """

    trace_id: str
    span_id: str
    parent_span_id: str = ""
    name: str
    kind: int = 0
    start_time_unix_nano: int
    end_time_unix_nano: int
    status_code: int = 0
    status_message: str = ""
    attributes: dict[str, Any] = {}
    resource: dict[str, Any] = {}

    @property
    def service(self) -> str | None:
        """`service.name` of the resource, None where it isn't known."""
        return self.resource.get(SERVICE_NAME)

    @property
    def duration_ns(self) -> int:
        """End minus start, in nanoseconds."""
        return self.end_time_unix_nano - self.start_time_unix_nano

    @property
    def failed(self) -> bool:
        """Whether its status is ERROR."""
        return STATUS_CODES[self.status_code] == "ERROR"

    @property
    def event_id(self) -> str:
        """Identifies the span: equal for copies of it."""
        return f"{self.trace_id}-{self.span_id}"
