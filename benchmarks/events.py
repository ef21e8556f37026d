"""The records that are measured: log events of 190 bytes or more, and what the route makes of them.

Everything follows from the number of a record, so that two runs see the same bytes. What must come
out is computed while the events are made, and not by any code that is measured.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

#: Size of a value without further fields.
VALUE_BYTES: Final = 190
USERS: Final = 100_000
WINDOW_MS: Final = 60_000
#: A hopping window of `WINDOW_MS` begins every so often.
HOP_MS: Final = 20_000
#: A pause after which a session ends.
SESSION_GAP_MS: Final = 30_000

#: What an address is replaced by, in the expected output and by the loops that are measured.
MASK: Final = "[email]"

#: Events begin this long ago: recent enough for every default retention.
_HISTORY_MS: Final = 2 * 3_600_000
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
        value: JSON.
        timestamp: event time in ms since the epoch.
        routed: what the route makes of the value; None if it filters the event out.
        amount: the number in field `bytes`, which is summed up.
        topic: that it goes to, `source` or `other`.
        copy: whether an event with the same id came before.
    """

    key: bytes
    value: bytes
    timestamp: int
    routed: bytes | None
    amount: int
    topic: str = "source"
    copy: bool = False


def start_of_history(now_ms: int) -> int:
    """Return the time of the first event, in ms: where a window begins."""
    return (now_ms - _HISTORY_MS) // WINDOW_MS * WINDOW_MS


def random_users() -> Callable[[int], int]:
    """Return a function from a record's number to its user: uniform, the same in every run."""
    draw = random.Random(_SEED)
    return lambda _number: draw.randrange(USERS)


def users_in_turn(number: int) -> int:
    """Return the user of a record when users take turns: no user twice among `USERS` records."""
    return number % USERS


def make_events(
    count: int,
    start_ms: int,
    records_per_window: int,
    user: Callable[[int], int],
    value_bytes: int = VALUE_BYTES,
) -> Iterator[Event]:
    """Make events with ascending times.

    Args:
        count: how many.
        start_ms: time of the first one.
        records_per_window: how many fall into one window of `WINDOW_MS`.
        user: from a record's number to the number of its user.
        value_bytes: size of a value: more than `VALUE_BYTES` are further fields.
    """
    more = _further_fields(value_bytes - VALUE_BYTES)
    for number in range(count):
        timestamp = start_ms + number * WINDOW_MS // records_per_window
        yield _event(number, timestamp, user(number), more)


def _further_fields(size: int) -> str:
    """Return what a log carries beside its message, so long, as text of JSON that continues an object."""
    if not size:
        return ""
    begin, end = ',"labels":{"region":"eu-west-1","zone":"b","pod":"web-7d4b9c"},"agent":"', '"'
    agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    length = size - len(begin) - len(end)
    return f"{begin}{(agent * (length // len(agent) + 1))[:length]}{end}"


def _event(number: int, timestamp: int, user: int, more: str) -> Event:
    severity = _SEVERITIES[number % len(_SEVERITIES)]
    amount = 1_000 + (number * 7_919) % 9_000
    address = f"{_NAMES[number % len(_NAMES)]}{number % 97}@{_DOMAINS[number % len(_DOMAINS)]}"
    head = (
        f'{{"id":"{number:010}","host":"web-{number % 90 + 10}","service":"{_SERVICES[number % 5]}",'
        f'"severity":"{severity}","user":"user-{user:06}","bytes":{amount},"message":"GET /cart for '
    )
    padding = "." * (VALUE_BYTES - len(head) - len(address) - 2)
    value = f'{head}{address}{padding}"{more}}}'.encode()
    routed = None if severity == DROPPED_SEVERITY else f'{head}{MASK}{padding}"{more}}}'.encode()
    return Event(f"user-{user:06}".encode(), value, timestamp, routed, amount)
