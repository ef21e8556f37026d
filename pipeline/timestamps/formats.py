"""The formats a source declares, and the parser that tries them in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from functools import lru_cache
from typing import Any

from pipeline.errors import ConfigError
from pipeline.timestamps.machine import EPOCH_UNITS, Parse, epoch, rfc3339
from pipeline.timestamps.strptime import strptime


@dataclass(frozen=True, slots=True)
class Format:
    """One way of writing a time.

    Attributes:
        pattern: `rfc3339` (RFC 3339 and ISO 8601's extended form, up to nanoseconds, `T` or a
            space, an optional offset), `epoch_s`, `epoch_ms`, `epoch_us` or `epoch_ns` (a number,
            or text that is one), `epoch` (the unit follows from the magnitude: below 1e11
            seconds, below 1e14 ms, below 1e17 us, else ns), or a pattern of strptime's
            directives. Names are English whatever the locale, `%f` takes up to nine digits, and
            `%L` is a count of milliseconds without leading zeros.
        zone: the time zone of text that doesn't give one.
        year: the year of text that doesn't give one; None: the year that is nearest to the
            time the caller passes.

    Raises:
        ConfigError: the pattern can't be understood, or names no month and day.
    """

    pattern: str
    zone: tzinfo = UTC
    year: int | None = None

    def __post_init__(self) -> None:
        _compiled(self)


#: What JSON events use: RFC 3339 text, or a number since the epoch.
DEFAULT_FORMATS: tuple[str, ...] = ("rfc3339", "epoch")


class TimestampParser:
    """A declared list of formats, tried in order. Compile it once, call it for every record.

    >>> TimestampParser(["rfc3339", "epoch"])("2023-01-29T08:42:09.487160534Z")
    1674981729487160534
    """

    __slots__ = ("_parsers", "formats")

    def __init__(self, formats: Sequence[str | Format] = DEFAULT_FORMATS) -> None:
        if not formats:
            raise ConfigError("a timestamp needs at least one format, for instance 'rfc3339'")
        self.formats = tuple(each if isinstance(each, Format) else Format(each) for each in formats)
        self._parsers = tuple(_compiled(each) for each in self.formats)

    def __call__(self, value: Any, near_ms: int | None = None) -> int | None:
        """Parse a time.

        Args:
            value: text, an int or a float. Anything else is not a time.
            near_ms: milliseconds since the epoch, by which a missing year is chosen.

        Returns:
            Nanoseconds since the epoch, or None where no format fits, or where the time is
            before 1970 or after 2262.

        Raises:
            ConfigError: a format without a year fits, and neither it nor the caller gives one.
        """
        for parse in self._parsers:
            ns = parse(value, near_ms)
            if ns is not None:
                return ns
        return None

    def __str__(self) -> str:
        return ", ".join(each.pattern for each in self.formats)


def parse_timestamp(
    value: Any, formats: Sequence[str | Format] = DEFAULT_FORMATS, *, near_ms: int | None = None
) -> int | None:
    """Parse one time; see `TimestampParser`, which is the faster way to parse many."""
    return TimestampParser(formats)(value, near_ms)


@lru_cache(maxsize=256)
def _compiled(fmt: Format) -> Parse:
    if fmt.pattern in ("rfc3339", "iso8601"):
        return rfc3339(fmt.zone)
    if fmt.pattern == "epoch":
        return epoch(None)
    if fmt.pattern in EPOCH_UNITS:
        return epoch(EPOCH_UNITS[fmt.pattern])
    return strptime(fmt.pattern, fmt.zone, fmt.year)
