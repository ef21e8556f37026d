"""What makes each metric move: small runs of a worker, of which `/metrics` tells."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias

from prometheus_client.parser import text_string_to_metric_families

from pipeline import App, Processor, ProcessorContext, PunctuationType, Record, tumbling
from pipeline.clock import ManualClock
from pipeline.config import StreamsConfig
from pipeline.record import TopicPartition
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.metrics.catalog import CATALOG
from pipeline.runtime.worker import Worker
from pipeline.state.provider import MemoryProvider, RocksDBProvider, StoreProvider
from tests.unit.app_in_memory import START, MemoryApp, World, ask, produce, step

MINUTE: Final = 60_000
SOURCES: Final = ("events", "others", "rates")

#: By name and labels, the number.
Scraped: TypeAlias = dict[tuple[str, frozenset[tuple[str, str]]], float]


class TickingClock(ManualClock):
    """A clock by which everything takes a microsecond."""

    def __init__(self, now_ms: int) -> None:
        super().__init__(now_ms)
        self._ticks = 0

    def now_ns(self) -> int:
        self._ticks += 1_000
        return super().now_ns() + self._ticks


class Hourly(Processor[str, Any, str, Any]):
    """Has a punctuation by the wall clock."""

    def init(self, context: ProcessorContext[str, Any]) -> None:
        context.schedule(timedelta(hours=1), PunctuationType.WALL_CLOCK_TIME, lambda _: None)

    def process(self, record: Record[str, Any]) -> None:
        """Take nothing."""


def declare() -> MemoryApp:
    app = MemoryApp("web")
    events = app.stream("events", key=str, value=dict, timestamp=lambda record, _: record.value["at"])
    kept = events.filter(lambda _, value: 1 / value.get("divisor", 1) > 0)
    windows = tumbling(timedelta(minutes=1), grace=timedelta(0))
    per_minute = kept.group_by_key().windowed_by(windows).count(name="per-minute")
    per_minute.to_stream().to("minutes")
    events.process(Hourly, name="hourly")
    app.global_table("rates", name="rates", value=int)
    app.stream("others", key=str, value=dict).merge(events).to("out", value=dict)
    return app


def place(stores: StoreProvider | None = None, partitions: int = 1, **settings: Any) -> World:
    app, clock = declare(), TickingClock(START)
    broker = MemoryBroker(clock)
    for topic in (*SOURCES, "minutes", "out", "dead"):
        broker.create_topic(topic, partitions)
    return World(app, another(World(app, None, broker, clock), stores, **settings), broker, clock)  # type: ignore[arg-type] # its worker comes next


def another(world: World, stores: StoreProvider | None = None, **settings: Any) -> Worker:
    """Start a worker in a world, and let the application tell of it."""
    config = StreamsConfig(world.app.conf.id, Path("unused"), **settings)
    world.app.__dict__.pop("engine", None)
    world.app.worker = worker = Worker(
        world.app.topology, config, world.broker, world.clock, stores or MemoryProvider()
    )
    return worker


def event(key: str | None, at: int = 0, **fields: Any) -> tuple[bytes, bytes]:
    return (None if key is None else key.encode()), json.dumps({"at": START + at, **fields}).encode()  # type: ignore[return-value] # the broker takes records without a key


def scrape(app: App) -> Scraped:
    """Return what `/metrics` tells, read as Prometheus reads it."""
    ((status, body, headers),) = ask(app, "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body["text"])
        for sample in family.samples
    }


def told(scraped: Scraped, key: str, **labels: str) -> list[float]:
    """Return the samples of a metric whose labels are as wanted."""
    wanted = labels.items()
    name = CATALOG[key].prometheus
    return [number for (each, found), number in scraped.items() if each == name and wanted <= set(found)]


# Scenarios: each returns what was told at its end.


def busy(folder: Path) -> Scraped:
    """Ordinary work, a minute of it, with a restart on the same disk, and nothing in memory."""
    world = place(RocksDBProvider(folder, "web"))
    produce(world.broker, "rates", [(b"EUR", (1).to_bytes(8, "big"))])
    produce(world.broker, "events", [event(f"k{n % 7}", n * 500) for n in range(300)])
    step(world)
    world.clock.advance(3_700_000)
    step(world)
    world.worker.close()
    restarted = World(world.app, another(world, RocksDBProvider(folder, "web")), *world[2:])
    produce(world.broker, "events", [event(f"k{n % 7}", 150_000 + n * 500) for n in range(700)])
    step(restarted)
    restarted.clock.advance(3_700_000)
    step(restarted)
    try:
        return scrape(restarted.app)
    finally:
        restarted.worker.close()


def bad(_folder: Path) -> Scraped:
    """Records that are dropped or skipped."""
    world = place(on_decode_error="continue", on_processing_error="continue", on_produce_error="continue")
    produce(world.broker, "events", [event("a", 10 * MINUTE), event("a", 0), event(None, 10 * MINUTE)])
    produce(world.broker, "events", [(b"a", b"{"), event("a", 10 * MINUTE, divisor=0)])
    step(world)
    return scrape(world.app)


def put_aside(_folder: Path) -> Scraped:
    """Records that go to the dead-letter topic."""
    world = place(dead_letter="dead")
    produce(world.broker, "events", [(b"a", b"{"), event("a", divisor=0), event(None)])
    step(world)
    return scrape(world.app)


def restored(_folder: Path) -> Scraped:
    """A worker that has lost its disk."""
    world = place()
    produce(world.broker, "events", [event(f"k{n}") for n in range(10)])
    step(world)
    world.worker.close()
    again = World(world.app, another(world), *world[2:])
    step(again)
    return scrape(again.app)


def restoring(_folder: Path) -> Scraped:
    """The same, while it restores."""
    world = place()
    produce(world.broker, "events", [event(f"k{n}") for n in range(10)])
    step(world)
    world.worker.close()
    again = World(world.app, another(world, restore_records=1), *world[2:])
    step(again, until=lambda: bool(again.worker.registry.restoring("per-minute")))
    return scrape(again.app)


def waiting(_folder: Path) -> Scraped:
    """A task that waits for one of its inputs, with more than it has polled at the broker."""
    world = place(max_task_idle_ms=3_600_000, poll_records=5)
    step(world)
    produce(world.broker, "events", [event("a") for _ in range(12)])
    world.clock.advance(2_000)
    world.worker.step()
    return scrape(world.app)


def unreachable(_folder: Path) -> Scraped:
    """A broker that is gone before a commit."""
    world = place()
    step(world)
    produce(world.broker, "events", [event("a")])
    world.worker.step()
    world.broker.reachable = False
    world.clock.advance(2_000)
    world.worker.step()
    return scrape(world.app)


def shared(_folder: Path) -> Scraped:
    """A second worker takes partitions over, while a stranger writes to a changelog of the first."""
    world = place(partitions=2)
    step(world)
    produce(world.broker, "events", [event(f"k{n}") for n in range(10)])
    world.worker.step()
    produce(
        world.broker,
        "web-per-minute-changelog",
        [(f"k{n}".encode() + bytes(12), bytes(16)) for n in range(10)],
    )
    second = another(World(declare(), world.worker, *world[2:]))
    for _ in range(10):
        second.step()
        world.worker.step()
    world.app.worker = world.worker
    world.clock.advance(2_000)
    world.worker.step()
    return scrape(world.app)


def lost(_folder: Path) -> Scraped:
    """Records that retention has removed before they were read."""
    world = place()
    produce(world.broker, "events", [event("a") for _ in range(3)])
    step(world)
    world.worker.close()
    produce(world.broker, "events", [event("a") for _ in range(3)])
    world.broker.delete_before(TopicPartition("events", 0), 5)
    again = World(world.app, another(world), *world[2:])
    step(again)
    return scrape(again.app)


def late(_folder: Path) -> Scraped:
    """Records that are behind the task's time."""
    world = place(metrics_recording_level="debug")
    produce(world.broker, "events", [event("a", 10_000 * (n % 2)) for n in range(300)])
    step(world)
    return scrape(world.app)


def uncommitted(_folder: Path) -> Scraped:
    """A record that awaits its commit."""
    world = place(commit_interval_ms=3_600_000)
    produce(world.broker, "events", [event("a")])
    for _ in range(5):
        world.worker.step()
    world.clock.advance(2_000)
    world.worker.step()
    return scrape(world.app)


def global_rows(_folder: Path) -> Scraped:
    """Rows of a global table."""
    world = place()
    produce(world.broker, "rates", [(b"EUR", bytes(8)), (b"USD", bytes(8))])
    step(world)
    return scrape(world.app)


SCENARIOS: Final[dict[str, Callable[[Path], Scraped]]] = {
    scenario.__name__: scenario
    for scenario in (
        *(busy, bad, late, put_aside, restored, restoring, waiting, unreachable, uncommitted),
        *(shared, lost, global_rows),
    )
}
