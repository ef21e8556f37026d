"""The flagship under the `TopologyTestDriver`, and events to feed it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from pipeline import App
from pipeline.record import NO_HEADERS, Headers
from pipeline.testing.driver import OutputRecord, TopologyTestDriver
from topologies.observability import ROUTES, app

PARTITIONS: Final = 2
#: 2023-01-29T08:42:00Z, the start of a minute.
MINUTE: Final = 1_674_981_720_000
ONE_MINUTE: Final = 60_000
DEAD_LETTERS: Final = "dead.letters"
TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"

_NS_PER_MS: Final = 1_000_000


class Flagship:
    """A driver with the flagship's topics."""

    def __init__(self, driver: TopologyTestDriver) -> None:
        self.driver = driver
        self._logs = driver.input_topic("raw.logs", key=bytes)
        self._spans = driver.input_topic("raw.spans", key=bytes)
        self._owners = driver.input_topic("service.owners")

    def log(self, event: dict[str, Any], *, headers: Headers = NO_HEADERS, key: bytes | None = None) -> None:
        """Pipe a log; the broker's timestamp is five seconds after the minute."""
        self._logs.pipe(key, event, MINUTE + 5_000, headers)

    def span(self, event: dict[str, Any], *, headers: Headers = NO_HEADERS, key: bytes | None = None) -> None:
        """Pipe a span."""
        self._spans.pipe(key, event, MINUTE + 5_000, headers)

    def owner(self, service: str, owner: dict[str, Any] | None) -> None:
        """Pipe the owner of a service; None: it has none any more."""
        self._owners.pipe(service, owner, MINUTE)

    def records(self, topic: str) -> list[OutputRecord]:
        """Return all records of a topic; keys are text, values JSON."""
        return self.driver.output_topic(topic).read_all()

    def values(self, topic: str) -> list[Any]:
        """Return all values of a topic."""
        return self.driver.output_topic(topic).read_values()

    def table(self, name: str) -> dict[Any, Any]:
        """Return a window table: key and start to value, over all partitions."""
        rows = {}
        for partition in range(PARTITIONS):
            store = self.driver.store(name, partition)
            for windowed, value in store.all():
                rows[windowed.key, windowed.start] = value
        return rows


@contextmanager
def flagship(application: App = app, topics: tuple[str, ...] = ROUTES.destinations) -> Iterator[Flagship]:
    """Run the flagship, or a variant of it, with `topics` to write to."""
    with TopologyTestDriver(application, partitions=PARTITIONS, topics=topics) as driver:
        yield Flagship(driver)


_ids = itertools.count(1)


def log(after_ms: int = 0, /, **fields: Any) -> dict[str, Any]:
    """Return a log so long after the minute; each has an id of its own."""
    defaults = {
        "event_id": f"log-{next(_ids)}",
        "timestamp": MINUTE + after_ms,
        "service": "checkout",
        "level": "info",
        "message": "order placed",
    }
    return _without_none(defaults | fields)


def span(after_ms: int = 0, /, **fields: Any) -> dict[str, Any]:
    """Return a root span that begins so long after the minute and takes 250 ms."""
    start = (MINUTE + after_ms) * _NS_PER_MS
    defaults = {
        "trace_id": TRACE,
        "span_id": f"{next(_ids):016x}",
        "name": "POST /orders",
        "service": "checkout",
        "start_time_unix_nano": start,
        "end_time_unix_nano": start + 250 * _NS_PER_MS,
    }
    return _without_none(defaults | fields)


def _without_none(event: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if value is not None}
