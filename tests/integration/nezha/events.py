"""Oracle: raw logs and spans as OpenTelemetry's models have them, by rules made for this data."""

from __future__ import annotations

import calendar
import json
import re
import time
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from tests.integration.nezha.data import Raw

_NS_PER_MS: Final = 1_000_000
_SEVERITIES: Final = {"INFO": 9, "WARN": 13, "ERROR": 17}
#: By chance, one span id of the full data is a valid Mastercard number, and messages quote it.
_CARD: Final = re.compile(r"\b(?:4[0-9]|5[1-5])[0-9]{14}\b")
_LOG_FIELDS: Final = ("time_unix_nano", "node", "pod", "service", "container", "trace_id", "span_id", "log")


class Event(NamedTuple):
    """A log or a span.

    Attributes:
        id: equal for copies.
        time_ms: event time.
        service: who emitted it.
        trace: the request it belongs to.
        record: the canonical event.
    """

    id: str
    time_ms: int
    service: str
    trace: str
    record: dict[str, Any]


def log_event(raw: Raw) -> Event:
    """Normalise a line of `logs.ndjson`: a container's log line, wrapped by the runtime as JSON.

    The severity is the second word of the message, which begins with a time of day.
    """
    event = json.loads(raw.value)
    wrapped = json.loads(event["log"])
    message = _CARD.sub(_masked, wrapped.pop("log").rstrip("\r\n"))
    severity = message.split()[1]
    content = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    identity = blake2b(content.encode(), digest_size=16).hexdigest()
    record = {
        "timeUnixNano": event["time_unix_nano"],
        "observedTimeUnixNano": raw.timestamp * _NS_PER_MS,
        "severityNumber": _SEVERITIES[severity],
        "severityText": severity,
        "body": message,
        "attributes": wrapped | {name: value for name, value in event.items() if name not in _LOG_FIELDS},
        "resource": {
            "service.name": event["service"],
            "k8s.node.name": event["node"],
            "k8s.pod.name": event["pod"],
            "k8s.container.name": event["container"],
        },
        "traceId": event["trace_id"],
        "spanId": event["span_id"],
        "eventId": identity,
    }
    return Event(identity, _rfc3339_ms(event["timestamp"]), event["service"], event["trace_id"], record)


def span_event(raw: Raw) -> Event:
    """Normalise a line of `spans.ndjson`."""
    event = json.loads(raw.value)
    record = {
        "traceId": event["trace_id"],
        "spanId": event["span_id"],
        "name": event["name"],
        "startTimeUnixNano": event["start_time_unix_nano"],
        "endTimeUnixNano": event["end_time_unix_nano"],
        "attributes": {"duration_us": event["duration_us"]},
        "resource": {"service.name": event["service"], "k8s.pod.name": event["pod"]},
    }
    if event["parent_span_id"] is not None:
        record["parentSpanId"] = event["parent_span_id"]
    identity = f"{event['trace_id']}-{event['span_id']}"
    return Event(
        identity,
        event["start_time_unix_nano"] // _NS_PER_MS,
        event["service"],
        event["trace_id"],
        record,
    )


def _masked(found: re.Match[str]) -> str:
    """Mask 16 digits if the last is their check digit (Luhn)."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in found[0][0::2])
    valid = (sum(doubled) + sum(map(int, found[0][1::2]))) % 10 == 0
    return "[REDACTED:card]" if valid else found[0]


def _rfc3339_ms(text: str) -> int:
    """Milliseconds of `2023-01-29T08:42:15.4440471Z`; what is finer is cut off."""
    seconds = calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))
    fraction = text[19:].removeprefix(".").removesuffix("Z")
    return seconds * 1_000 + int(fraction[:3].ljust(3, "0"))
