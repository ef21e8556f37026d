"""The records that are measured: log events of 190 bytes, and what must come of them.

Everything follows from the number of a record, so that two runs see the same bytes. What must come
out is computed here, while the events are made, and not by any code that is measured.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from benchmarks.digest import Digest

VALUE_BYTES: Final = 190
USERS: Final = 100_000
WINDOW_MS: Final = 60_000

#: What an address is replaced by, in the expected output and by the loops that are measured.
MASK: Final = "[email]"

_SEED: Final = 7
_SERVICES: Final = ("checkout", "catalog", "payment", "frontend", "shipping")
_SEVERITIES: Final = ("INFO", "WARN", "INFO", "ERROR", "INFO", "INFO", "DEBUG", "INFO", "INFO", "WARN")
_NAMES: Final = ("mary", "john.doe", "li_wei", "a.b.c", "kwame+logs")
_DOMAINS: Final = ("example.com", "mail.example.org", "corp.example.co.uk")

#: Events with this severity are filtered out by the route.
DROPPED_SEVERITY: Final = "DEBUG"


class Event(NamedTuple):
    """One record of a source topic.

    Attributes:
        key: the user, UTF-8.
        value: JSON, `VALUE_BYTES` long.
        timestamp: event time in ms since the epoch.
        routed: what the route makes of the value; None if it filters the event out.
        amount: the number in field `bytes`, which the count sums up.
    """

    key: bytes
    value: bytes
    timestamp: int
    routed: bytes | None
    amount: int


def random_users() -> Callable[[int], int]:
    """Return a function from a record's number to its user: uniform, the same in every run."""
    draw = random.Random(_SEED)
    return lambda _number: draw.randrange(USERS)


def users_in_turn(number: int) -> int:
    """Return the user of a record when users take turns: no user twice among `USERS` records."""
    return number % USERS


def make_events(
    count: int, start_ms: int, records_per_window: int, user: Callable[[int], int]
) -> Iterator[Event]:
    """Make events with ascending times.

    Args:
        count: how many.
        start_ms: time of the first one.
        records_per_window: how many fall into one window of `WINDOW_MS`.
        user: from a record's number to the number of its user.
    """
    for number in range(count):
        timestamp = start_ms + number * WINDOW_MS // records_per_window
        yield _event(number, timestamp, user(number))


def _event(number: int, timestamp: int, user: int) -> Event:
    severity = _SEVERITIES[number % len(_SEVERITIES)]
    amount = 1_000 + (number * 7_919) % 9_000
    address = f"{_NAMES[number % len(_NAMES)]}{number % 97}@{_DOMAINS[number % len(_DOMAINS)]}"
    head = (
        f'{{"id":"{number:010}","host":"web-{number % 90 + 10}","service":"{_SERVICES[number % 5]}",'
        f'"severity":"{severity}","user":"user-{user:06}","bytes":{amount},"message":"GET /cart for '
    )
    padding = "." * (VALUE_BYTES - len(head) - len(address) - 2)
    value = f'{head}{address}{padding}"}}'.encode()
    routed = None if severity == DROPPED_SEVERITY else f'{head}{MASK}{padding}"}}'.encode()
    return Event(f"user-{user:06}".encode(), value, timestamp, routed, amount)


class RouteExpectation:
    """What the route must have written, whatever the order."""

    def __init__(self) -> None:
        self.digest = Digest()

    def add(self, event: Event) -> None:
        """Take an event into account."""
        if event.routed is not None:
            self.digest.add(event.key, event.routed)


class CountExpectation:
    """What the windowed count and sum must have come to."""

    def __init__(self) -> None:
        self._windows: dict[tuple[bytes, int], tuple[int, int]] = {}

    def add(self, event: Event) -> None:
        """Take an event into account."""
        window = (event.key, event.timestamp // WINDOW_MS * WINDOW_MS)
        count, total = self._windows.get(window, (0, 0))
        self._windows[window] = (count + 1, total + event.amount)

    @property
    def digest(self) -> Digest:
        """Digest of all windows; see `benchmarks.digest.add_window`."""
        digest = Digest()
        for (key, start), (count, total) in self._windows.items():
            digest.add_window(key, start, count, total)
        return digest
