"""What measuring costs: `python -m benchmarks.metrics` runs the same work with metrics off and on, in turns.

Three workers in one process, one a level, each on a broker in memory of its own with the same records, whose
calls cost about what librdkafka's do, and on RocksDB. They take turns step by step, of a thousand records,
so that whatever else the machine does happens to all of them. What counts is processor time of the one thread
in the median step; and the median of the runs' ratios to `off`: 1.02 is two per cent.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, get_args

from benchmarks.events import USERS, make_events, random_users
from benchmarks.measurement import Job, WorkName
from benchmarks.topologies import count_topology, route_topology
from pipeline.clock import SystemClock
from pipeline.config import MetricsLevel, StreamsConfig
from pipeline.runtime import collector
from pipeline.runtime.broker import TopicSpec
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.worker import Worker
from pipeline.state.provider import RocksDBProvider
from pipeline.topology import Topology

_WORKS: Final[dict[WorkName, Callable[[Job], Topology]]] = {"route": route_topology, "count": count_topology}
_PARTITIONS: Final = 4
#: Records polled and processed in a step that counts.
_WHOLE_STEP: Final = 1_500
_LEVELS: Final[tuple[MetricsLevel, ...]] = get_args(MetricsLevel)


def main() -> None:
    """Measure, and print a line for each work."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="runs (5)")
    parser.add_argument(
        "--records", type=int, default=100_000, help="records of a run, at each level (100000)"
    )
    options = parser.parse_args()
    for work in _WORKS:
        runs = [measure(work, options.records) for _ in range(options.runs)]
        print(report(work, runs), flush=True)


def report(work: WorkName, runs: list[dict[MetricsLevel, float]]) -> str:
    """Return one line: by level, the median time of a record, and that of the ratios to `off`."""
    texts = []
    for level in _LEVELS:
        median = statistics.median(run[level] for run in runs)
        ratio = statistics.median(run[level] / run["off"] for run in runs)
        texts.append(f"{level} {median:.2f} us ({ratio:.3f})")
    return f"{work}: {', '.join(texts)}"


def measure(work: WorkName, records: int) -> dict[MetricsLevel, float]:
    """Return, by level, the microseconds that a record took in the median step."""
    steps: dict[MetricsLevel, list[float]] = {level: [] for level in _LEVELS}
    with ExitStack() as opened:
        workers = {level: opened.enter_context(_worker(work, level, records)) for level in _LEVELS}
        collector.settle()
        turn, going = 0, True
        while going:
            turn += 1
            # Another one begins each time.
            for place in range(len(_LEVELS)):
                level = _LEVELS[(turn + place) % len(_LEVELS)]
                begun = time.thread_time()
                moved = workers[level].step()
                if moved >= _WHOLE_STEP:
                    # Each was polled and processed: it moved twice.
                    steps[level].append((time.thread_time() - begun) / (moved / 2) * 1e6)
            going = any(each.status().metrics["records_processed"] < records for each in workers.values())
        gc.unfreeze()
    return {level: statistics.median(found) for level, found in steps.items()}


@contextmanager
def _worker(work: WorkName, level: MetricsLevel, records: int) -> Iterator[Worker]:
    """Return a worker that is about to process the records."""
    clock = SystemClock()
    broker = MemoryBroker(clock)
    job = Job(
        work=work,
        contender="headrace",
        address="memory",
        application_id="cost",
        source="source",
        target="target",
        records=records,
        results=records,
        grace_ms=30_000,
        state_dir="",
    )
    broker.admin().create_topics([TopicSpec(name, _PARTITIONS, {}) for name in ("source", "target")])
    with tempfile.TemporaryDirectory() as folder:
        config = StreamsConfig("cost", Path(folder), metrics_recording_level=level)
        worker = Worker(_WORKS[work](job), config, broker, clock, RocksDBProvider(Path(folder), "cost"))
        while worker.status().state != "running":
            worker.step()
        producer = broker.producer("fill")
        for event in make_events(records, clock.now_ms() - 3_600_000, 2 * USERS, random_users()):
            producer.produce("source", event.value, event.key, -1, event.timestamp, ())
        yield worker
        worker.close()


if __name__ == "__main__":
    main()
