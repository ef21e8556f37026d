"""What measuring costs: `python -m benchmarks.metrics` runs the same work with metrics off and on, in turns.

On the broker in memory, whose records cost about what librdkafka's do, and RocksDB; in processor time of
the one thread, which other processes on the machine disturb less than wall-clock time. Each level is compared
with `off` of the same round, and the median of the rounds counts: 1.02 is two per cent.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, get_args

from benchmarks.engine import count_topology, route_topology
from benchmarks.events import USERS, make_events, random_users
from benchmarks.measurement import Job
from pipeline.clock import SystemClock
from pipeline.config import MetricsLevel, StreamsConfig
from pipeline.runtime.broker import TopicSpec
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.worker import Worker
from pipeline.state.provider import RocksDBProvider
from pipeline.topology import Topology

_WORKS: Final[dict[str, Callable[[Job], Topology]]] = {"route": route_topology, "count": count_topology}
_PARTITIONS: Final = 4
_LEVELS: Final[tuple[MetricsLevel, ...]] = get_args(MetricsLevel)


def main() -> None:
    """Measure, and print a line for each work."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description=__doc__)
    parser.add_argument("--runs", type=int, default=21, help="rounds (21)")
    parser.add_argument("--records", type=int, default=50_000, help="records of a run (50000)")
    options = parser.parse_args()
    for work in _WORKS:
        print(report(work, measure(work, options.runs, options.records)), flush=True)


def measure(work: str, runs: int, records: int) -> dict[MetricsLevel, list[float]]:
    """Return, by level, the microseconds a record of each run."""
    found: dict[MetricsLevel, list[float]] = {level: [] for level in _LEVELS}
    for number in range(runs):
        # Another one begins each time.
        for turn in range(len(_LEVELS)):
            level = _LEVELS[(number + turn) % len(_LEVELS)]
            found[level].append(_run(work, level, records))
    return found


def report(work: str, found: dict[MetricsLevel, list[float]]) -> str:
    """Return one line: by level, the median time of a record, and that of the ratios to `off`."""
    texts = []
    for level, times in found.items():
        ratios = [time / off for time, off in zip(times, found["off"], strict=True)]
        texts.append(f"{level} {statistics.median(times):.2f} us ({statistics.median(ratios):.3f})")
    return f"{work}: {', '.join(texts)}"


def _run(work: str, level: MetricsLevel, records: int) -> float:
    clock = SystemClock()
    broker = MemoryBroker(clock)
    job = Job(
        work="route" if work == "route" else "count",
        side="headrace",
        address="memory",
        application_id="cost",
        source="source",
        target="target",
        changelog="",
        records=records,
        grace_ms=30_000,
        state_dir="",
    )
    broker.admin().create_topics([TopicSpec(name, _PARTITIONS, {}) for name in ("source", "target")])
    producer = broker.producer("fill")
    for event in make_events(records, clock.now_ms() - 3_600_000, 2 * USERS, random_users()):
        producer.produce("source", event.value, event.key, -1, event.timestamp, ())
    with tempfile.TemporaryDirectory() as folder:
        config = StreamsConfig("cost", Path(folder), metrics_recording_level=level)
        stores = RocksDBProvider(Path(folder), "cost")
        worker = Worker(_WORKS[work](job), config, broker, clock, stores)
        while worker.status().state != "running":
            worker.step()
        gc.collect()
        gc.freeze()
        begun = time.thread_time()
        while worker.status().metrics["records_processed"] < records:
            worker.step()
        worker.commit()
        spent = time.thread_time() - begun
        worker.close()
    return spent / records * 1e6


if __name__ == "__main__":
    main()
