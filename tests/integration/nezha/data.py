"""The input: real logs and spans of a microservice system, as records of the raw topics."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

#: In the repository: 40 whole traces.
SAMPLE: Final = Path(__file__).parents[2] / "data" / "nezha"
#: Beside it, where it is given: all 29,695 logs and 55,895 spans.
FULL: Final = Path(__file__).parents[4] / "shared" / "data" / "nezha"

RAW_LOGS: Final = "raw.logs"
RAW_SPANS: Final = "raw.spans"
#: Every raw record carries it; so must what is made of it.
HEADERS: Final = (("collector", b"nezha"),)
#: A collector stamps a record so long after the event.
_DELAY_MS: Final = 250
_NS_PER_MS: Final = 1_000_000


class Raw(NamedTuple):
    """A record to write.

    Attributes:
        topic: where to.
        key: the trace id: copies of an event lie in one partition, in the file's order.
        value: the line; in a part of the logs with a `user_id`, which the system didn't write.
        timestamp: ms since the epoch.
    """

    topic: str
    key: bytes
    value: bytes
    timestamp: int


def load(directory: Path) -> list[Raw]:
    """Read both files; logs and spans alternate, so that each half has a half of both."""
    logs = list(_records(directory / "logs.ndjson.gz", RAW_LOGS, "time_unix_nano"))
    spans = list(_records(directory / "spans.ndjson.gz", RAW_SPANS, "start_time_unix_nano"))
    placed = [(index / len(part), raw) for part in (logs, spans) for index, raw in enumerate(part)]
    return [raw for _, raw in sorted(placed, key=lambda each: each[0])]


def owners(raw: list[Raw]) -> dict[str, dict[str, str]]:
    """Give every other service an owner, and every fourth of them no tier."""
    services = sorted({json.loads(each.value)["service"] for each in raw})
    found = {service: {"team": f"team-{service[3:6]}"} for service in services[::2]}
    for number, owner in enumerate(found.values()):
        if number % 4:
            owner |= {"tier": str(number % 3)}
    return found


def _records(path: Path, topic: str, time: str) -> Iterator[Raw]:
    with gzip.open(path) as lines:
        for line in lines:
            event: dict[str, Any] = json.loads(line)
            trace = event["trace_id"]
            value = line.rstrip(b"\n")
            if topic == RAW_LOGS and int(trace[0], 16) % 2:
                value = json.dumps({**event, "user_id": f"user-{trace[:3]}"}).encode()
            yield Raw(topic, trace.encode(), value, event[time] // _NS_PER_MS + _DELAY_MS)
