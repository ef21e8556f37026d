"""Records through a worker in memory, in portions whose begin and end a caller can see.

`python -m benchmarks.instructions.records` is what is run under valgrind: each portion begins and ends with a
call of `getppid`, which callgrind is told to look out for.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from benchmarks.events import DROPPED_SEVERITY, Event, make_events
from benchmarks.redaction import redacted_event
from pipeline.clock import ManualClock
from pipeline.config import StreamsConfig
from pipeline.dsl.builder import StreamsBuilder
from pipeline.runtime import collector
from pipeline.runtime.broker import TopicSpec
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.worker import Worker
from pipeline.state.provider import RocksDBProvider
from pipeline.windows import tumbling

#: Processed before anything is counted: by then Python has specialised its code.
WARM: Final = 1_000
COUNTED: Final = 2_000

_PARTITIONS: Final = 4
_NOW_MS: Final = 1_700_000_040_000
_USERS: Final = 1_000


def forward(builder: StreamsBuilder) -> None:
    """Hand bytes on: what the engine itself costs."""
    builder.stream("source", value=bytes).filter(lambda _key, value: value is not None).to("target")


def route(builder: StreamsBuilder) -> None:
    """Decode, filter, mask, encode, produce."""
    kept = builder.stream("source").filter(lambda _key, event: event["severity"] != DROPPED_SEVERITY)
    kept.map_values(lambda _key, event: redacted_event(event), value=dict).to("target")


def count(builder: StreamsBuilder) -> None:
    """Count and sum by user and minute."""
    windows = tumbling(timedelta(minutes=1), grace=timedelta(minutes=1))
    builder.stream("source", key=str).group_by_key().windowed_by(windows).aggregate(
        lambda: (0, 0),
        lambda _user, event, so_far: (so_far[0] + 1, so_far[1] + event["bytes"]),
        name="by-user",
        value=tuple[int, int],
    )


WORKS: Final[dict[str, Callable[[StreamsBuilder], None]]] = {
    "forward": forward,
    "route": route,
    "count": count,
}


class Portions:
    """A worker, and the records that it is given."""

    def __init__(self, worker: Worker, broker: MemoryBroker) -> None:
        self._worker, self._producer, self._done = worker, broker.producer("fill"), 0
        self._events = make_events(WARM + COUNTED, _NOW_MS, 2 * _USERS, lambda number: number * 7 % _USERS)

    def put(self, records: int) -> None:
        """Have records ready in the source."""
        for _ in range(records):
            event: Event = next(self._events)
            self._producer.produce("source", event.value, event.key, -1, event.timestamp, ())
        self._done += records
        collector.settle()

    def process(self) -> None:
        """Process and commit them."""
        while self._worker.status().metrics.get("records_processed", 0) < self._done:
            self._worker.step()
        self._worker.commit()


@contextmanager
def portions(declare: Callable[[StreamsBuilder], None]) -> Iterator[Portions]:
    """Return a running worker for what is declared; its time stands still, so that nothing depends on it."""
    clock, builder = ManualClock(_NOW_MS), StreamsBuilder("counted")
    declare(builder)
    broker = MemoryBroker(clock)
    broker.admin().create_topics([TopicSpec(name, _PARTITIONS, {}) for name in ("source", "target")])
    with tempfile.TemporaryDirectory() as folder:
        config, stores = StreamsConfig("counted", Path(folder)), RocksDBProvider(Path(folder), "counted")
        worker = Worker(builder.build(), config, broker, clock, stores)
        while worker.status().state != "running":
            worker.step()
        yield Portions(worker, broker)
        worker.close()


def main(works: Sequence[str]) -> None:
    """Process each work's records; only those after the warming up between two calls of `getppid`."""
    for work in works:
        with portions(WORKS[work]) as given:
            given.put(WARM)
            given.process()
            given.put(COUNTED)
            os.getppid()
            given.process()
            os.getppid()


if __name__ == "__main__":
    main(sys.argv[1:])
