"""What was measured, as samples: made by the engine's thread once a second, and never changed again.

So whoever reads it, in whatever thread, waits for nobody and holds nobody up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from pipeline.clock import Clock
from pipeline.record import TaskId, TopicPartition
from pipeline.runtime.metrics.catalog import CATALOG
from pipeline.runtime.metrics.of_tasks import Labelled, Sample, latencies, of_stores, of_tasks
from pipeline.runtime.metrics.recorder import Recorder
from pipeline.runtime.metrics.timing import NS_PER_MS, WINDOW_MS

#: How often a snapshot is made.
INTERVAL_MS: Final = 1_000


class Snapshot(NamedTuple):
    """What a worker had measured at one moment.

    Attributes:
        time_ms: when, by the worker's clock.
        samples: by the metric's key in the catalogue.
        stores: by task and name; what their databases tell, whoever reads this may ask.
    """

    time_ms: int
    samples: Mapping[str, list[Sample]]
    stores: Mapping[tuple[TaskId, str], Any] = {}


class Sources(NamedTuple):
    """What is not counted but looked up when a snapshot is made.

    Attributes:
        lags: by source partition, records that are not processed yet; left out where unknown.
        partitions: number of source partitions that the worker has.
        queued: records that wait in the producer.
        buffered: by task, records that wait for their turn.
        stores: by task and name.
    """

    lags: Mapping[TopicPartition, int] = {}
    partitions: int = 0
    queued: int = 0
    buffered: Mapping[TaskId, int] = {}
    stores: Mapping[tuple[TaskId, str], Any] = {}


class Snapshots:
    """Makes snapshots, and what depends on several of them: rates, ratios, windows.

    Args:
        recorder: what is counted.
        clock: time.
    """

    def __init__(self, recorder: Recorder, clock: Clock) -> None:
        self._recorder, self._clock = recorder, clock
        start = _Base(clock.now_ms(), clock.now_ns(), {})
        self._before = self._since = start
        self.latest = Snapshot(-INTERVAL_MS, {})

    def is_due(self, now_ms: int) -> bool:
        """Whether the last one is old enough; a clock that was set back does not stop them."""
        return self._recorder.enabled and abs(now_ms - self.latest.time_ms) >= INTERVAL_MS

    def take(self, sources: Sources) -> Snapshot:
        """Make a snapshot of this moment."""
        now_ms, now_ns = self._clock.now_ms(), self._clock.now_ns()
        samples: dict[str, list[Sample]] = {}
        for key, labels, number in self._samples(sources, now_ns):
            samples.setdefault(key, []).append((labels, number))
        self._add_rates(samples, now_ns)
        self.latest = Snapshot(now_ms, samples, sources.stores)
        if now_ns - self._since.time_ns >= WINDOW_MS * NS_PER_MS:
            self._before, self._since = self._since, _Base(now_ms, now_ns, _rated(samples))
            self._recorder.turn()
        return self.latest

    def _samples(self, sources: Sources, now_ns: int) -> Iterable[Labelled]:
        yield from self._of_worker(sources, now_ns)
        yield from self._of_topics()
        for partition, lag in sources.lags.items():
            labels = (partition.topic, str(partition.partition))
            yield "consumer-fetch-manager-metrics:records-lag", labels, lag
        yield from of_tasks(self._recorder.tasks)
        for task, waiting in sources.buffered.items():
            yield "stream-task-metrics:active-buffer-count", (str(task),), waiting
        yield from of_stores(sources.stores)

    def _of_worker(self, sources: Sources, now_ns: int) -> Iterable[Labelled]:
        recorder, thread = self._recorder, "stream-thread-metrics"
        counters = recorder.counters
        numbers: dict[str, float] = {
            f"{thread}:task-created-total": recorder.tasks_created,
            f"{thread}:task-closed-total": recorder.tasks_closed,
            f"{thread}:thread-start-time": recorder.started_ms,
            f"{thread}:process-total": counters["records_processed"],
            f"{thread}:poll-total": recorder.polling.count,
            f"{thread}:commit-total": counters["commits"],
            f"{thread}:punctuate-total": recorder.punctuated,
            f"{thread}:process-records-avg": recorder.processed.average,
            f"{thread}:process-records-max": recorder.processed.highest,
            f"{thread}:poll-records-avg": recorder.polled.average,
            f"{thread}:poll-records-max": recorder.polled.highest,
            "headrace:commit-failures-total": recorder.commit_failures,
            "headrace:revocations-uncommitted-total": counters["revocations_uncommitted"],
            "headrace:offsets-reset-total": counters["offsets_reset"],
            "headrace:restored-records-total": counters["records_restored"],
            "headrace:restore-time-ns-total": recorder.restoring.total,
            "headrace:global-records-total": counters["records_global"],
            "headrace:producer-queue-records": sources.queued,
            "consumer-coordinator-metrics:rebalance-total": recorder.rebalances,
            "consumer-coordinator-metrics:assigned-partitions": sources.partitions,
        }
        elapsed_ns = now_ns - self._before.time_ns
        for name, timing in recorder.loops.items():
            numbers |= latencies(f"{thread}:{name}-latency", timing)
            numbers[f"{thread}:{name}-ratio"] = timing.recent / elapsed_ns if elapsed_ns else math.nan
        for key, number in numbers.items():
            yield key, (), number

    def _of_topics(self) -> Iterable[Labelled]:
        recorder = self._recorder
        for name, flows in (("consumed", recorder.traffic.consumed), ("produced", recorder.traffic.produced)):
            for topic, flow in flows.items():
                yield f"stream-topic-metrics:records-{name}-total", (topic,), flow.records
                yield f"stream-topic-metrics:bytes-{name}-total", (topic,), flow.bytes
        for where, count in recorder.dead_letters.items():
            yield "headrace:dead-letters-total", where, count
        for where, count in recorder.dropped.items():
            yield "stream-task-metrics:dropped-records-total", where, count

    def _add_rates(self, samples: dict[str, list[Sample]], now_ns: int) -> None:
        elapsed_s = (now_ns - self._before.time_ns) / 1e9
        for key, counts in _rated(samples).items():
            before = self._before.counts.get(key, {})
            samples[CATALOG[key].as_rate.key] = [
                (labels, max(0, count - before.get(labels, 0)) / elapsed_s if elapsed_s else math.nan)
                for labels, count in counts.items()
            ]


class _Base(NamedTuple):
    """A moment that rates and ratios are told from."""

    time_ms: int
    time_ns: int
    counts: Mapping[str, Mapping[tuple[str, ...], float]]


def _rated(samples: Mapping[str, list[Sample]]) -> dict[str, dict[tuple[str, ...], float]]:
    return {key: dict(counts) for key, counts in samples.items() if CATALOG[key].rate}
