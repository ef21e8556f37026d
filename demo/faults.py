"""What goes wrong between an event and the broker: copies, delays, and values that are broken."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

DUPLICATE_RATE: Final = 0.02
LATE_RATE: Final = 0.01
MALFORMED_RATE: Final = 0.005

_NS_PER_MS: Final = 1_000_000
#: How long after the first copy another one comes: well within ten minutes.
_COPY_MS: Final = (50, 30_000)
#: How late a late event is: some within a window's grace, some beyond it.
_LATE_MS: Final = (5_000, 150_000)

_encode: Final = msgspec.json.encode

#: Makes a value that cannot be processed of an event.
Break = Callable[[Mapping[str, Any]], bytes]


def deliveries(
    source: random.Random, at_ns: int, event: Mapping[str, Any], *, is_log: bool
) -> Iterator[tuple[int, bytes]]:
    """Yield what reaches the broker for one event: the time of sending, in ns, and the value.

    The event itself always comes, once or twice, on time or late; a broken one may come beside it.
    """
    value = _encode(event)
    if source.random() < LATE_RATE:
        at_ns += source.randint(*_LATE_MS) * _NS_PER_MS
    yield at_ns, value
    if source.random() < DUPLICATE_RATE:
        yield at_ns + source.randint(*_COPY_MS) * _NS_PER_MS, value
    if source.random() < MALFORMED_RATE:
        yield at_ns, source.choice(BROKEN_LOGS if is_log else BROKEN_SPANS)(event)


def not_json(event: Mapping[str, Any]) -> bytes:
    """Text, as a crashed process leaves it in a log."""
    return f"panic: runtime error in {event['service']}".encode()


def truncated(event: Mapping[str, Any]) -> bytes:
    """The first half of the event."""
    value = _encode(event)
    return value[: len(value) // 2]


def invalid_utf8(event: Mapping[str, Any]) -> bytes:
    """Latin-1 where UTF-8 is due."""
    return _encode({**event, "note": "caf*"}).replace(b"caf*", b"caf\xe9")


def an_array(event: Mapping[str, Any]) -> bytes:
    """JSON, but no object."""
    return _encode([event])


def without_message(event: Mapping[str, Any]) -> bytes:
    """A log that says nothing."""
    return _without(event, "message")


def invalid_time(event: Mapping[str, Any]) -> bytes:
    """A log on the 31st of February."""
    return _encode({**event, "timestamp": "2026-02-31T25:61:00Z"})


def without_trace_id(event: Mapping[str, Any]) -> bytes:
    """A span of no trace."""
    return _without(event, "trace_id")


def ends_before_it_starts(event: Mapping[str, Any]) -> bytes:
    """A span of negative duration."""
    return _encode({**event, "start_time_unix_nano": 2_000_000_000, "end_time_unix_nano": 1_000_000_000})


def _without(event: Mapping[str, Any], name: str) -> bytes:
    return _encode({field: value for field, value in event.items() if field != name})


_ANY: Final[tuple[Break, ...]] = (not_json, truncated, invalid_utf8, an_array)
BROKEN_LOGS: Final[tuple[Break, ...]] = (*_ANY, without_message, invalid_time)
BROKEN_SPANS: Final[tuple[Break, ...]] = (*_ANY, without_trace_id, ends_before_it_starts)
