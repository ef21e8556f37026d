"""Records as they are compared: bytes in a canonical form, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import msgspec

Headers: TypeAlias = "tuple[tuple[str, bytes | None], ...]"

_SHOWN = 3


class Row(NamedTuple):
    """A record of a topic.

    Attributes:
        key: key bytes.
        value: JSON in canonical form: sorted names, no white space.
        timestamp: ms since the epoch.
        headers: in order.
    """

    key: bytes | None
    value: bytes
    timestamp: int
    headers: Headers


def canonical(value: object) -> bytes:
    """Write a value as JSON in canonical form."""
    return msgspec.json.encode(value, order="deterministic")


def decoded(row: Row) -> dict[str, Any]:
    """Return a row's value."""
    value: dict[str, Any] = msgspec.json.decode(row.value)
    return value


def differences(actual: Counter[Row], expected: Counter[Row]) -> list[str]:
    """Say what is missing and what is too much, some of it in full; nothing where both are the same."""
    return [*_beyond("missing", expected, actual), *_beyond("too much", actual, expected)]


def as_set(rows: Counter[Row]) -> Counter[Row]:
    """Forget how often each row is there: at-least-once delivery lets them repeat."""
    return Counter(rows.keys())


def most_repeated(actual: Counter[Row], expected: Counter[Row]) -> float:
    """Return how many times as often as expected the most repeated row is there."""
    return max((count / expected[row] for row, count in actual.items() if expected[row]), default=0.0)


def _beyond(what: str, some: Counter[Row], others: Counter[Row]) -> Iterator[str]:
    rest = some - others
    if rest:
        yield f"{what}: {rest.total()} of {some.total()}, {others.total()} are on the other side"
        yield from (f"{what}: {row} ({count} times)" for row, count in list(rest.items())[:_SHOWN])
