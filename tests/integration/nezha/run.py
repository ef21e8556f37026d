"""Running the flagship over the input, and reading what came out in the terms of the oracle."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from demo.topics import topic_specs
from tests.integration.flagship.topics import Outgoing, Topics
from tests.integration.flagship.waiting import wait_until
from tests.integration.flagship.worker import Flagship
from tests.integration.nezha.data import HEADERS, RAW_LOGS, RAW_SPANS, Raw
from tests.integration.nezha.oracle import REPARTITIONS, SEEN_LOGS, SEEN_SPANS
from tests.integration.nezha.rows import Row, canonical
from tests.integration.nezha.tables import Points, Table, last_points

GROUP: Final = "observability"
PARTITIONS: Final = 4
OWNERS: Final = "service.owners"
#: Before all events: brokers take 0 for "now".
OWNED_SINCE_MS: Final = 1
_RAW: Final = (RAW_LOGS, RAW_SPANS)
_SLICES: Final = 60
_DEADLINE_S: Final = 180.0


class Run:
    """One worker on one broker, with topics that nobody else uses."""

    def __init__(self, topics: Topics, worker: Flagship) -> None:
        self.topics, self.worker = topics, worker
        self.crashes = 0

    def prepare(self, owners: dict[str, dict[str, str]]) -> None:
        """Create the topics, as the demonstration does, and load the owners."""
        self.topics.create(topic_specs(PARTITIONS))
        self.topics.write(
            Outgoing(OWNERS, service.encode(), json.dumps(owner).encode(), OWNED_SINCE_MS)
            for service, owner in owners.items()
        )

    def feed(self, raw: Iterable[Raw]) -> None:
        """Write input."""
        self.topics.write(Outgoing(*each, HEADERS) for each in raw)

    def crash_halfway(self, raw: list[Raw], *, forget: bool) -> None:
        """Feed all input; kill the worker when half of it is committed, and start it again.

        At the moment of the kill there are outputs that no commit covers: the new worker makes them
        again. Where a commit came between, the worker is killed once more.

        Args:
            raw: the input.
            forget: delete the killed worker's state folder, so that all must be restored.
        """
        size = -(-len(raw) // _SLICES)
        slices = iter([raw[start : start + size] for start in range(0, len(raw), size)])
        self.worker.start()
        self.worker.wait_ready()
        uncovered = False
        while not uncovered:

            def halfway() -> bool:
                self.feed(next(slices, []))
                done = sum(self.topics.committed(_RAW).values())
                return 2 * done >= len(raw) and self._ahead() > 0

            wait_until(halfway, "half of the input is committed", deadline_s=_DEADLINE_S)
            self.worker.kill()
            self.crashes += 1
            uncovered = self._ahead() > 0
            if forget:
                self.worker.forget()
            self.worker.start()
        for rest in slices:
            self.feed(rest)

    def _ahead(self) -> int:
        """How many outputs of the first sub-topologies are written, but not covered by a commit."""
        covered = sum(self.topics.committed(_RAW).values())
        return sum(self.topics.ends((SEEN_LOGS, SEEN_SPANS)).values()) - covered

    def wait_processed(self) -> None:
        """Wait until the group has committed the end of every topic that it reads.

        Committed offsets are read before ends: what is committed in a topic has all its outputs in
        the next one by then.
        """
        names = (*_RAW, OWNERS, *REPARTITIONS)

        def processed() -> bool:
            self.worker.check()
            return self.topics.committed(names) == self.topics.ends(names)

        wait_until(processed, "all is processed", deadline_s=_DEADLINE_S)

    def rows(self, topic: str) -> list[Row]:
        """Return a topic's records, partition by partition, in order."""
        return [
            Row(
                message.key,
                canonical(msgspec.json.decode(message.value or b"")),
                message.timestamp,
                tuple(message.headers),
            )
            for message in self.topics.read(topic)
        ]

    def counted(self, topic: str) -> Counter[Row]:
        """Return a topic's records, counted."""
        return Counter(self.rows(topic))

    def points(self, topic: str) -> Points:
        """Return the last value of each point that a topic of metrics has."""
        return last_points(json.loads(row.value) for row in self.rows(topic))

    def alerts(self, topic: str) -> Counter[tuple[str, int | None]]:
        """Return how often each service and minute is told of."""
        alerts = (json.loads(row.value) for row in self.rows(topic))
        return Counter((alert["service"], alert["minute_ms"]) for alert in alerts)

    def table(self, name: str) -> Table:
        """Return a table, as its view shows it."""
        return dict(_entry(row) for row in self.worker.rows(name))

    def wait_table(self, name: str, expected: Table) -> None:
        """Wait until a table is as expected: stores are written a moment after offsets are.

        Raises:
            AssertionError: it is not within ten seconds; the message says where it is not.
        """
        actual: Table = {}

        def equal() -> bool:
            actual.clear()
            actual.update(self.table(name))
            return actual == expected

        try:
            wait_until(equal, f"table {name}", deadline_s=10.0)
        except AssertionError:
            wrong = {key: (actual.get(key), expected.get(key)) for key in actual.keys() | expected.keys()}
            shown = [f"{key}: {one} != {two}" for key, (one, two) in wrong.items() if one != two]
            raise AssertionError(f"{name}: {len(shown)} rows differ: {shown[:5]}") from None


@contextmanager
def running(address: str, folder: Path) -> Iterator[Run]:
    """A run on a broker; its worker is stopped in the end."""
    with Topics(address, GROUP) as topics, Flagship(address, folder) as worker:
        yield Run(topics, worker)


def _entry(row: dict[str, Any]) -> tuple[tuple[str, int | None], tuple[Any, int]]:
    start = row["window"]["start"] if "window" in row else None
    return (json.dumps(row["key"]), start), (row["value"], row["timestamp"])
