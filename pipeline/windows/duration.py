"""Durations: `timedelta` where users write them, whole milliseconds inside."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, TypeAlias

#: A duration as Faust takes it: a timedelta, or seconds.
Duration: TypeAlias = timedelta | float

#: Longer than any time: no end, or never forgotten.
FOREVER_MS: Final = 2**63 - 1


def milliseconds(duration: timedelta, what: str) -> int:
    """Return a duration in whole milliseconds.

    Raises:
        ValueError: it is not a timedelta, or finer than a millisecond; `what` names it.
    """
    if not isinstance(duration, timedelta):
        raise ValueError(f"{what} must be a timedelta, not {duration!r}")  # noqa: TRY004 - one error type for a bad declaration
    whole, rest = divmod(duration, timedelta(milliseconds=1))
    if rest:
        raise ValueError(f"{what} is finer than a millisecond: {duration!r}")
    return whole


def as_timedelta(duration: Duration) -> timedelta:
    """Return a duration that may be given in seconds, as Faust takes it, as a timedelta.

    >>> as_timedelta(1.5)
    datetime.timedelta(seconds=1, microseconds=500000)
    """
    return timedelta(seconds=duration) if isinstance(duration, int | float) else duration


def check_at_least(what: str, ms: int, least: int) -> None:
    """Raise a ValueError that names `what` if it is too small; `least` is 0 or 1."""
    if ms < least:
        raise ValueError(f"{what} must {'be positive' if least else 'not be negative'}, not {ms} ms")
