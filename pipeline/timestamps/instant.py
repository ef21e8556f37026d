"""Instants as nanoseconds since the epoch, and the range that is one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
END_NS = 2**63  # 2262-04-11: what a signed 64-bit count of nanoseconds can hold


def checked(ns: int) -> int | None:
    """Return an instant, or None where it is before 1970 or after 2262."""
    return ns if 0 <= ns < END_NS else None


def since_epoch(moment: datetime) -> int:
    """Nanoseconds since the epoch of a datetime with a zone."""
    delta = moment - EPOCH
    return (delta.days * 86_400 + delta.seconds) * NS_PER_S + delta.microseconds * 1_000


def fraction_ns(digits: str) -> int:
    """Nanoseconds of a second's decimals; those beyond nine are cut off."""
    return int(digits[:9].ljust(9, "0"))


def format_rfc3339(ns: int) -> str:
    """Write nanoseconds since the epoch as RFC 3339 in UTC, with nine decimals.

    >>> format_rfc3339(1674981729487160534)
    '2023-01-29T08:42:09.487160534Z'
    """
    seconds, fraction = divmod(ns, NS_PER_S)
    moment = EPOCH + timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"
