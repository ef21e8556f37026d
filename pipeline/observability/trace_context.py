"""Trace and span ids in the forms they travel in: hexadecimal, UUID, 64-bit B3, W3C traceparent."""

from __future__ import annotations

import re

_HEX = re.compile(r"[0-9a-f]+").fullmatch
_TRACE_DIGITS = 32
_SPAN_DIGITS = 16
#: W3C Trace Context, section 3.2: version, trace id, parent id, flags; later versions may append.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?").fullmatch


def parse_trace_id(text: str) -> str | None:
    """Return a trace id as 32 lower-case hexadecimal digits.

    Args:
        text: 32 digits, a UUID, or 16 digits (B3's 64-bit form, padded with zeros on the left).

    Returns:
        The id; "" for ids that mean none (empty, `-`, only zeros); None where it is no id.
    """
    digits = text.replace("-", "").lower()
    if not digits.strip("0"):
        return ""
    if len(digits) in (_TRACE_DIGITS, _SPAN_DIGITS) and _HEX(digits):
        return digits.zfill(_TRACE_DIGITS)
    return None


def parse_span_id(text: str) -> str | None:
    """Return a span id as 16 lower-case hexadecimal digits, "" for none, None where it is no id."""
    digits = text.lower()
    if not digits.strip("0-"):
        return ""
    return digits if len(digits) == _SPAN_DIGITS and _HEX(digits) else None


def parse_traceparent(text: str) -> tuple[str, str] | None:
    """Return trace id and span id of a W3C `traceparent`, None where it isn't a valid one."""
    found = _TRACEPARENT(text)
    if found is None or not found[1].strip("0") or not found[2].strip("0"):
        return None
    return found[1], found[2]
