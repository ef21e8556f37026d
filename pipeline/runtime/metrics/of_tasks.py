"""What was measured of tasks, their operators and their stores, as samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from pipeline.record import TaskId
from pipeline.runtime.metrics.task_metrics import TaskMetrics
from pipeline.runtime.metrics.timing import NS_PER_MS, Measured

#: Values of the labels in the catalogue's order; the number.
Sample: TypeAlias = tuple[tuple[str, ...], float]
#: A sample with its metric's key in the catalogue.
Labelled: TypeAlias = tuple[str, tuple[str, ...], float]


def latencies(name: str, measured: Measured) -> dict[str, float]:
    """Return average and maximum of durations in ns, as ms."""
    return {
        f"{name}-avg": measured.average / NS_PER_MS,
        f"{name}-max": measured.highest / NS_PER_MS,
    }


def of_tasks(tasks: Mapping[TaskId, TaskMetrics]) -> Iterator[Labelled]:
    """Yield what tasks have counted, and their operators."""
    all_ns = sum(task.time_ns.recent for task in tasks.values())
    for task_id, task in tasks.items():
        name = str(task_id)
        numbers: dict[str, float] = {
            "process-total": task.processed,
            "record-lateness-avg": task.lateness_ms.average,
            "record-lateness-max": task.lateness_ms.highest,
            "active-process-ratio": task.time_ns.recent / all_ns if all_ns else 0,
            **latencies("process-latency", task.process_ns),
        }
        for key, number in numbers.items():
            yield f"stream-task-metrics:{key}", (name,), number
        yield from _of_nodes(name, task)
        for store, lookups in task.lookups.items():
            yield "stream-record-cache-metrics:hit-ratio-avg", (name, store), lookups.average


def _of_nodes(task: str, metrics: TaskMetrics) -> Iterator[Labelled]:
    for name, node in metrics.nodes.items():
        labels = (task, name)
        yield "headrace:node-process-time-ns-total", labels, node.time_ns
        numbers: dict[str, float] = {
            "process-total": node.records,
            **latencies("process-latency", node.process_ns),
        }
        if node.latency_ms.count:
            numbers |= {
                "record-e2e-latency-avg": node.latency_ms.average,
                "record-e2e-latency-min": node.latency_ms.lowest,
                "record-e2e-latency-max": node.latency_ms.highest,
            }
        for key, number in numbers.items():
            yield f"stream-processor-node-metrics:{key}", labels, number


def of_stores(stores: Mapping[tuple[TaskId, str], Any]) -> Iterator[Labelled]:
    """Yield what the engine's thread knows of stores: what is in their caches."""
    for (task, name), store in stores.items():
        labels = (str(task), name)
        yield "headrace:store-uncommitted-entries", labels, store.dirty
        if store.counts_reads:
            yield "headrace:store-reads-total", labels, store.reads
