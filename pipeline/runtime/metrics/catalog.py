"""Every metric there is: one table, which `/metrics` and docs/metrics.md are made from.

Names are Kafka's where it has the metric (KIP-444, KIP-471, KIP-607, KIP-613, KIP-846), written as the
JMX exporter for Prometheus writes them: `stream-task-metrics` and `process-total` make
`kafka_streams_stream_task_metrics_process_total`. What Kafka Streams does not have is `headrace_...`.
Labels are Kafka's tags, without the thread: a worker has one. A store is `store` whatever its type, where
Kafka has a tag for each type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Unit = Literal["", "records", "bytes", "ms", "ns", "1/s", "ratio", "tasks", "entries", "times"]

_THREAD: Final = "stream-thread-metrics"
_TASK: Final = "stream-task-metrics"
_NODE: Final = "stream-processor-node-metrics"
_TOPIC: Final = "stream-topic-metrics"
_STATE: Final = "stream-state-metrics"
_COORDINATOR: Final = "consumer-coordinator-metrics"
OWN: Final = "headrace"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, of which there is a sample for each combination of labels.

    Attributes:
        group: the type in Kafka's MBean; `headrace` where Kafka has no such metric.
        name: name in Kafka; one that ends with `-total` only grows until the worker ends.
        unit: of its numbers.
        text: what it says.
        labels: beside `application`, which all have.
        rate: whether there is a gauge beside it, its growth a second, as Kafka has.
    """

    group: str
    name: str
    unit: Unit
    text: str
    labels: tuple[str, ...] = ()
    rate: bool = False

    @property
    def key(self) -> str:
        """What the code calls it: `stream-task-metrics:process-total`."""
        return f"{self.group}:{self.name}"

    @property
    def is_counter(self) -> bool:
        """Whether it only grows."""
        return self.name.endswith("-total")

    @property
    def prometheus(self) -> str:
        """Its name in `/metrics`."""
        prefix = {"consumer": "kafka_consumer_", OWN: ""}.get(self.group.partition("-")[0], "kafka_streams_")
        return f"{prefix}{self.group}_{self.name}".replace("-", "_")

    @property
    def help(self) -> str:
        """What `/metrics` says of it."""
        return f"{self.text} [{self.unit}]" if self.unit else self.text

    @property
    def as_rate(self) -> Metric:
        """The gauge beside it."""
        name = self.name.removesuffix("-total") + "-rate"
        return Metric(self.group, name, "1/s", f"{self.text} A second, over the last minute.", self.labels)


def _loop(name: str, what: str) -> tuple[Metric, ...]:
    """What Kafka Streams says of each part of its thread's loop."""
    return (
        Metric(_THREAD, f"{name}-latency-avg", "ms", f"Average time of one {what}."),
        Metric(_THREAD, f"{name}-latency-max", "ms", f"Longest time of one {what}."),
        Metric(_THREAD, f"{name}-ratio", "ratio", f"Share of the thread's time that a {what} takes."),
    )


_TABLE: Final = (
    # The worker.
    Metric(OWN, "state", "", "1 for the state that the worker is in, 0 for the others.", ("state",)),
    Metric("stream-metrics", "alive-stream-threads", "", "1 while the worker's thread runs, else 0."),
    Metric(OWN, "tasks", "tasks", "Tasks held by this worker."),
    Metric(_THREAD, "task-created-total", "tasks", "Tasks opened.", rate=True),
    Metric(_THREAD, "task-closed-total", "tasks", "Tasks closed.", rate=True),
    Metric(_THREAD, "thread-start-time", "ms", "When the worker was made, since the epoch."),
    Metric(
        _THREAD,
        "process-total",
        "records",
        "Records taken from source topics and processed, whatever came of them.",
        rate=True,
    ),
    *_loop("process", "turn of processing"),
    Metric(_THREAD, "process-records-avg", "records", "Average number of records processed in a turn."),
    Metric(_THREAD, "process-records-max", "records", "Largest number of records processed in a turn."),
    Metric(_THREAD, "poll-total", "times", "Polls of the consumer.", rate=True),
    *_loop("poll", "poll, waiting for records included"),
    Metric(_THREAD, "poll-records-avg", "records", "Average number of records that a poll returned."),
    Metric(_THREAD, "poll-records-max", "records", "Largest number of records that a poll returned."),
    Metric(_THREAD, "commit-total", "times", "Commits of offsets and state.", rate=True),
    *_loop("commit", "commit: flushing caches and producer, offsets, stores"),
    Metric(
        _THREAD, "punctuate-total", "times", "Tasks in which the wall clock fired punctuations.", rate=True
    ),
    *_loop("punctuate", "turn of wall-clock punctuations"),
    Metric(OWN, "commit-failures-total", "times", "Commits that failed, and are made again or given up."),
    Metric(
        OWN,
        "revocations-uncommitted-total",
        "times",
        "Partitions given up without a commit, because the broker did not answer: they are replayed.",
    ),
    Metric(_COORDINATOR, "rebalance-total", "times", "Assignments that the group gave this worker."),
    Metric(_COORDINATOR, "assigned-partitions", "", "Source partitions that this worker has."),
    Metric(OWN, "offsets-reset-total", "times", "Partitions read on elsewhere, what came next being gone."),
    Metric(OWN, "producer-queue-records", "records", "Records that wait in the producer for delivery."),
    # Topics.
    Metric(_TOPIC, "records-consumed-total", "records", "Records polled.", ("topic_name",), rate=True),
    Metric(_TOPIC, "bytes-consumed-total", "bytes", "Keys and values polled.", ("topic_name",), rate=True),
    Metric(_TOPIC, "records-produced-total", "records", "Records produced.", ("topic_name",), rate=True),
    Metric(_TOPIC, "bytes-produced-total", "bytes", "Keys and values produced.", ("topic_name",), rate=True),
    Metric(
        "consumer-fetch-manager-metrics",
        "records-lag",
        "records",
        "Records of a partition that are not processed yet, as far as the client knows its end.",
        ("topic", "partition"),
    ),
    Metric(
        OWN,
        "dead-letters-total",
        "records",
        "Records put aside, by the topic they came from and by what failed.",
        ("topic_name", "reason"),
    ),
    # Tasks.
    Metric(_TASK, "process-total", "records", "Records processed by a task.", ("task_id",), rate=True),
    Metric(
        _TASK,
        "dropped-records-total",
        "records",
        "Records dropped by a rule, or skipped because they failed.",
        ("task_id", "reason"),
        rate=True,
    ),
    # Restoring.
    Metric(OWN, "restored-records-total", "records", "Changelog records read while restoring."),
    Metric(OWN, "restore-time-ns-total", "ns", "Time spent reading changelogs and writing stores."),
    Metric(
        OWN,
        "store-restore-remaining-records",
        "records",
        "Changelog records still to be read before a store can be queried.",
        ("store", "partition"),
    ),
    Metric(OWN, "global-records-total", "records", "Records read into global tables."),
)

#: By key; the rates beside counters included.
CATALOG: Final[dict[str, Metric]] = {
    each.key: each for metric in _TABLE for each in ((metric, metric.as_rate) if metric.rate else (metric,))
}
