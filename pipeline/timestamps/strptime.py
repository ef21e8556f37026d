"""Times that people read: strptime's directives, compiled to a regular expression.

Not the standard library's strptime: that one takes names of months from the locale, can't leave
out the year without a leap year bug, stops at microseconds, and is several times slower.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

from pipeline.errors import ConfigError
from pipeline.timestamps.instant import END_NS, EPOCH, NS_PER_MS, NS_PER_S, checked, fraction_ns, since_epoch
from pipeline.timestamps.machine import Parse

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DIRECTIVES = {
    "Y": r"(?P<year>[0-9]{4})",
    "y": r"(?P<short_year>[0-9]{2})",
    "m": r"(?P<month>[0-9]{1,2})",
    "b": rf"(?P<month_name>{'|'.join(_MONTHS)})[a-z]{{0,6}}",
    "d": r" ?(?P<day>[0-9]{1,2})",
    "a": r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6}",
    "H": r" ?(?P<hour>[0-9]{1,2})",
    "I": r" ?(?P<hour>[0-9]{1,2})",
    "p": r"(?P<half>am|pm)",
    "M": r"(?P<minute>[0-9]{1,2})",
    "S": r"(?P<second>[0-9]{1,2})",
    "f": r"(?P<fraction>[0-9]{1,9})",
    "L": r"(?P<millisecond>[0-9]{1,3})",
    "z": r"(?P<offset>z|[+-][0-9]{2}:?[0-9]{2})",
    "Z": r"(?:utc|gmt|z)",
    "%": "%",
}
_ALIASES = {"e": "d", "B": "b", "A": "a"}
_TOKEN = re.compile(r"%(.)|(\s+)|([^%\s]+)|%$", re.DOTALL)
_HALF_A_YEAR_NS = 182 * 86_400 * NS_PER_S
_LAST_SHORT_YEAR_OF_2000 = 68  # POSIX: 69 to 99 are 1969 to 1999


def strptime(pattern: str, zone: tzinfo, declared_year: int | None) -> Parse:
    """Compile a pattern; `pipeline.timestamps.Format` says what it may hold.

    Raises:
        ConfigError: an unknown directive, one given twice, or no month and day.
    """
    try:
        match = re.compile(_regex(pattern), re.IGNORECASE).fullmatch
    except re.error as error:
        raise ConfigError(f"timestamp format {pattern!r}: {error}") from error

    def parse(value: Any, near_ms: int | None) -> int | None:
        found = match(value) if type(value) is str else None
        if found is None:
            return None
        fields = found.groupdict()
        year = _year(fields) or declared_year
        if year is not None:
            return _moment_ns(fields, year, zone)
        if near_ms is None:
            raise ConfigError(
                f"timestamp format {pattern!r} has no year: declare Format(..., year=...), "
                "or pass a time to choose it by"
            )
        return _nearest(fields, near_ms, zone)

    return parse


def _regex(pattern: str) -> str:
    parts: list[str] = []
    letters: set[str] = set()
    for directive, space, literal in _TOKEN.findall(pattern):
        letter = _ALIASES.get(directive, directive)
        if letter in _DIRECTIVES:
            letters.add(letter)
            parts.append(_DIRECTIVES[letter])
        elif space or literal:
            parts.append(r"\s+" if space else re.escape(literal))
        else:
            known = "rfc3339, epoch, epoch_s, epoch_ms, epoch_us, epoch_ns, or a strptime pattern"
            raise ConfigError(f"timestamp format {pattern!r}: unknown %{directive}. Use {known}")
    if "d" not in letters or not letters & {"m", "b"}:
        raise ConfigError(f"timestamp format {pattern!r} is no name of a format and has no month and day")
    return "".join(parts)


def _year(fields: Mapping[str, str | None]) -> int | None:
    if year := fields.get("year"):
        return int(year)
    if short := fields.get("short_year"):
        return int(short) + (2000 if int(short) <= _LAST_SHORT_YEAR_OF_2000 else 1900)
    return None


def _moment_ns(fields: Mapping[str, str | None], year: int, zone: tzinfo) -> int | None:
    name = fields.get("month_name")
    month = _MONTHS.index(name.lower()) + 1 if name else int(fields.get("month") or 1)
    hour = int(fields.get("hour") or 0)
    if half := fields.get("half"):
        hour = hour % 12 + (12 if half.lower() == "pm" else 0)
    minute, second = int(fields.get("minute") or 0), int(fields.get("second") or 0)
    offset = fields.get("offset")
    try:
        moment = datetime(
            year,
            month,
            int(fields["day"] or 1),
            hour,
            minute,
            second,
            tzinfo=_zone(offset) if offset else zone,
        )
    except ValueError:
        return None
    fraction = fraction_ns(fields.get("fraction") or "") + int(fields.get("millisecond") or 0) * NS_PER_MS
    return checked(since_epoch(moment) + fraction)


def _zone(offset: str) -> tzinfo:
    if offset in "zZ":
        return UTC
    minutes = int(offset[1:3]) * 60 + int(offset[-2:])
    return timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))


def _nearest(fields: Mapping[str, str | None], near_ms: int, zone: tzinfo) -> int | None:
    """Choose the year that puts a time nearest to another: December's lines arrive in January."""
    near_ns = max(0, min(near_ms * NS_PER_MS, END_NS))
    year = (EPOCH + timedelta(seconds=near_ns // NS_PER_S)).year
    ns = _moment_ns(fields, year, zone)
    if ns is not None and abs(ns - near_ns) < _HALF_A_YEAR_NS:
        return ns
    candidates = (ns, _moment_ns(fields, year - 1, zone), _moment_ns(fields, year + 1, zone))
    return min(
        (each for each in candidates if each is not None), key=lambda each: abs(each - near_ns), default=None
    )
