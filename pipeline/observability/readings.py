"""Readings: the value of a field as the type its role asks for, or an error that names the field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pipeline.observability import severity
from pipeline.observability.errors import InvalidEventError
from pipeline.observability.fields import Fields, Found
from pipeline.observability.trace_context import parse_traceparent
from pipeline.timestamps import TimestampParser

_NANOSECONDS = TimestampParser(["epoch_ns"])
_UNITS = {"duration_ns": 1, "duration_us": 1_000, "duration_ms": 1_000_000}


def wrong_type(expected: str, field: Found) -> InvalidEventError:
    """The error for a value of another type than expected."""
    return InvalidEventError(f"expected {expected}, got {type(field.value).__name__}", field=field.name)


def required(fields: Fields, role: str, names: Sequence[str]) -> Found:
    """Return the field of a role that has to be there; `names` are those it could have had."""
    found = fields.roles.get(role)
    if found is None:
        raise InvalidEventError(f"missing: none of {', '.join(names)}", field=role)
    return found


def read_text(field: Found) -> str:
    """Read text."""
    if type(field.value) is not str:
        raise wrong_type("text", field)
    return field.value


def parse_instant(field: Found, times: TimestampParser, near_ms: int | None = None) -> int | None:
    """Parse a time: nanoseconds where the field's name says so, else by `times`. None: no format fits."""
    if field.name.endswith(("UnixNano", "unix_nano")):
        return _NANOSECONDS(field.value)
    return times(field.value, near_ms)


def read_instant(field: Found, times: TimestampParser) -> int:
    """Read a time, in nanoseconds since the epoch."""
    if type(field.value) not in (str, int, float):
        raise wrong_type("a time", field)
    ns = parse_instant(field, times)
    if ns is None:
        nanoseconds = field.name.endswith(("UnixNano", "unix_nano"))
        formats = "a number of nanoseconds since the epoch" if nanoseconds else f"any of {times}"
        raise InvalidEventError(f"not {formats}", field=field.name)
    return ns


def read_end_by_duration(fields: Fields, start: int, names: Sequence[str]) -> int:
    """Read a span's end from its start and its duration, which stays an attribute."""
    for name, unit in _UNITS.items():
        duration = fields.attributes.get(name)
        if isinstance(duration, int | float):
            return start + round(duration * unit)
    raise InvalidEventError(f"missing: none of {', '.join((*names, *_UNITS))}", field="end")


def read_id(fields: Fields, role: str, parse: Callable[[str], str | None]) -> str:
    """Read a trace or span id, "" where there is none. What is no id goes to the attributes."""
    field = fields.roles.get(role)
    if field is None:
        return ""
    parsed = parse(read_text(field))
    if parsed is None:
        fields.attributes[field.name] = field.value
        return ""
    return parsed


def read_required_id(
    fields: Fields, role: str, parse: Callable[[str], str | None], names: Sequence[str]
) -> str:
    """Read a trace or span id that has to be there."""
    field = required(fields, role, names)
    parsed = parse(read_text(field))
    if not parsed:
        raise InvalidEventError("not a hexadecimal id that isn't zero", field=field.name)
    return parsed


def read_traceparent(fields: Fields, trace_id: str, span_id: str) -> tuple[str, str]:
    """Read both ids from `traceparent` where there is no trace id; else it stays an attribute."""
    field = fields.roles.get("traceparent")
    if field is None:
        return trace_id, span_id
    parsed = parse_traceparent(field.value) if not trace_id and type(field.value) is str else None
    if parsed is None:
        fields.attributes[field.name] = field.value
        return trace_id, span_id
    return parsed


def read_position(fields: Fields, role: str, names: Sequence[str], prefix: str) -> int:
    """Read a number or a name as a position in `names`. What is neither goes to the attributes, as 0."""
    field = fields.roles.get(role)
    if field is None:
        return 0
    value = field.value
    if type(value) is int and 0 <= value < len(names):
        return value
    if type(value) is str and (name := value.upper().removeprefix(prefix)) in names:
        return names.index(name)
    fields.attributes[field.name] = value
    return 0


def read_severity(fields: Fields, body: Any) -> tuple[int, str]:
    """Read severity number and text, from the message where no field says it.

    Numbers are OpenTelemetry's 1 to 24 or, being 30, 40, 50 or 60 (or 10 and 20 under `level`),
    bunyan's and pino's; under the names of syslog's severity, its 0 to 7.
    """
    roles = fields.roles
    number = _read_severity_number(roles["severity_number"]) if "severity_number" in roles else 0
    if "severity" in roles:
        named, text = _read_severity_name(roles["severity"])
        number = number or named
    elif "syslog_severity" in roles:
        text = ""
        number = number or severity.SYSLOG[_read_int(roles["syslog_severity"], 0, len(severity.SYSLOG) - 1)]
    elif number == 0 and type(body) is str:
        text = severity.find_severity(body) or ""
        number = severity.severity_number(text) if text else 0
    else:
        text = ""
    return number, text


def _read_severity_number(field: Found) -> int:
    return _read_int(field, 0, severity.HIGHEST)


def _read_severity_name(field: Found) -> tuple[int, str]:
    value = field.value
    if type(value) is str and not value.isdecimal():
        return severity.severity_number(value), value
    by_level = severity.LEVELS.get(int(value)) if type(value) is int else None
    if by_level and (value > severity.HIGHEST or field.name == "level"):
        return by_level, str(value)
    return _read_int(field, 0, severity.HIGHEST), str(value)


def _read_int(field: Found, lowest: int, highest: int) -> int:
    value = field.value
    if type(value) is str and value.isdecimal() and len(value) <= len(str(highest)):
        value = int(value)
    if type(value) is not int:
        raise wrong_type("a name or a number", field)
    if not lowest <= value <= highest:
        raise InvalidEventError(f"expected {lowest} to {highest}", field=field.name)
    return value
