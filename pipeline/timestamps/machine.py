"""Times that machines write: RFC 3339 text, and numbers since the epoch."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, tzinfo
from decimal import Decimal
from math import isfinite
from typing import Any, TypeAlias

from pipeline.timestamps.instant import END_NS, EPOCH, NS_PER_MS, NS_PER_S, checked, fraction_ns, since_epoch

#: Parses a value to nanoseconds since the epoch, given a time in ms to choose a year by; None: no match.
Parse: TypeAlias = Callable[[Any, int | None], int | None]

EPOCH_UNITS = {"epoch_s": NS_PER_S, "epoch_ms": NS_PER_MS, "epoch_us": 1_000, "epoch_ns": 1}
_MAGNITUDES = ((10**11, NS_PER_S), (10**14, NS_PER_MS), (10**17, 1_000))
_NUMBER = re.compile(r"([0-9]{1,19})(\.[0-9]{1,9})?")


def epoch(unit: int | None) -> Parse:
    """Parser of numbers in a unit of so many nanoseconds; None: the unit follows from the magnitude."""

    def parse(value: Any, _near_ms: int | None) -> int | None:
        number: int | Decimal
        if type(value) is int:
            number = value
        elif type(value) is float and isfinite(value):
            number = Decimal(repr(value))  # the decimal that was written, not its binary neighbour
        elif type(value) is str and (found := _NUMBER.fullmatch(value)):
            number = Decimal(value) if found[2] else int(value)
        else:
            return None
        return checked(int(number * (unit or _unit(number))))

    return parse


def _unit(number: int | Decimal) -> int:
    """Nanoseconds in the unit that a number of this size is in."""
    for below, unit in _MAGNITUDES:
        if number < below:
            return unit
    return 1


# --- RFC 3339 --------------------------------------------------------------------------------

_POINTS = frozenset(".,")
_SECOND_END = 19
_MICROSECOND_END = 26  # in "2023-01-29T08:42:09.487160534Z": what follows are the nanoseconds
#: What `fromisoformat` refuses: a leap second, a space before the offset, `z`, `UTC`.
_LOOSE = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:)([0-9]{2})([.,][0-9]{1,9})?[0-9]*"
    r" ?(?:([Zz]|UTC|GMT)|([+-][0-9]{2}):?([0-9]{2}))?"
)


def rfc3339(zone: tzinfo) -> Parse:
    """Parser of RFC 3339 and of ISO 8601's extended form, in `zone` where the text gives no offset."""
    from_iso = datetime.fromisoformat

    def parse(value: Any, _near_ms: int | None) -> int | None:
        if type(value) is not str or not _is_extended(value):
            return None
        try:
            moment = from_iso(value)
        except ValueError:
            return _loose_rfc3339(value, zone)
        delta = (moment if moment.tzinfo else moment.replace(tzinfo=zone)) - EPOCH
        ns = (delta.days * 86_400 + delta.seconds) * NS_PER_S + delta.microseconds * 1_000
        if len(value) > _MICROSECOND_END and value[19] in ".,":
            ns += _nanoseconds(value)
        return ns if 0 <= ns < END_NS else None

    return parse


def _is_extended(text: str) -> bool:
    """Whether the separators stand where RFC 3339 has them.

    `fromisoformat` alone would read "1610121712345" as a time in 1610 (the basic form), and
    "2019-12-30 09:28.31" as 28 minutes and 0.31 seconds.
    """
    if len(text) >= _SECOND_END:
        return text[4] == "-" and text[16] == ":" and text[10] in "Tt "
    return (
        text[4:8:3] == "--"
        and text[10:11] in "Tt "
        and text[13:14] in ("", ":")
        and text[16:17] not in _POINTS
    )


def _nanoseconds(text: str) -> int:
    """Digits seven to nine of the fraction, which datetime cuts off."""
    digits = text[_MICROSECOND_END : _MICROSECOND_END + 3]
    if digits.isdigit():
        return int(digits.ljust(3, "0"))
    end = next(index for index, character in enumerate(digits) if not character.isdigit())
    return int(digits[:end].ljust(3, "0"))


def _loose_rfc3339(text: str, zone: tzinfo) -> int | None:
    found = _LOOSE.fullmatch(text)
    if found is None:
        return None
    date, clock, second, fraction, utc, hours, minutes = found.groups()
    leap = second == "60"
    offset = "+00:00" if utc else f"{hours}:{minutes}" if hours else ""
    try:
        moment = datetime.fromisoformat(f"{date}T{clock}{'59' if leap else second}{offset}")
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return checked(since_epoch(moment) + leap * NS_PER_S + fraction_ns((fraction or ".")[1:]))
