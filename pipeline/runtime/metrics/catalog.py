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


_OF_TASK: Final = ("task_id",)
_OF_NODE: Final = ("task_id", "processor_node_id")
_OF_STORE: Final = ("task_id", "store")

#: What RocksDB tells of one database, under its own names.
_ROCKSDB: Final[dict[str, tuple[Unit, str]]] = {
    "num-entries-active-mem-table": ("entries", "Entries in the memtable that is written to."),
    "cur-size-all-mem-tables": ("bytes", "Memtables that are not flushed."),
    "size-all-mem-tables": ("bytes", "Memtables, those that are flushed and still referred to included."),
    "num-immutable-mem-table": ("", "Memtables that wait to be flushed."),
    "num-running-compactions": ("", "Compactions that run."),
    "compaction-pending": ("", "1 if a compaction is due, else 0."),
    "estimate-pending-compaction-bytes": ("bytes", "What compactions have to rewrite."),
    "total-sst-files-size": ("bytes", "Files, those that are to be deleted included."),
    "live-sst-files-size": ("bytes", "Files of the latest version."),
    "estimate-live-data-size": ("bytes", "Data that is neither overwritten nor deleted."),
    "estimate-table-readers-mem": ("bytes", "Memory for reading files, without the block cache."),
    "num-live-versions": ("", "Versions that something still refers to."),
    "background-errors": ("times", "Errors of flushes and compactions."),
}


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
    Metric(_TASK, "process-total", "records", "Records processed by a task.", _OF_TASK, rate=True),
    Metric(
        _TASK,
        "dropped-records-total",
        "records",
        "Records dropped by a rule, or skipped because they failed.",
        ("task_id", "reason"),
        rate=True,
    ),
    Metric(_TASK, "process-latency-avg", "ms", "Average time of one record. Sampled.", _OF_TASK),
    Metric(_TASK, "process-latency-max", "ms", "Longest time of one record. Sampled.", _OF_TASK),
    Metric(
        _TASK, "record-lateness-avg", "ms", "How far records are behind the task's time. Sampled.", _OF_TASK
    ),
    Metric(_TASK, "record-lateness-max", "ms", "Farthest a record was behind it. Sampled.", _OF_TASK),
    Metric(_TASK, "active-process-ratio", "ratio", "The task's share of all processing. Sampled.", _OF_TASK),
    Metric(_TASK, "active-buffer-count", "records", "Records polled that wait for their turn.", _OF_TASK),
    # Operators.
    Metric(
        _NODE, "process-total", "records", "Records that came to an operator. Estimated.", _OF_NODE, rate=True
    ),
    Metric(
        OWN,
        "node-process-time-ns-total",
        "ns",
        "Time in an operator, without those after it; a source's is that of decoding, too. Estimated.",
        _OF_NODE,
    ),
    Metric(_NODE, "process-latency-avg", "ms", "Average time of one record there. Sampled.", _OF_NODE),
    Metric(_NODE, "process-latency-max", "ms", "Longest time of one record there. Sampled.", _OF_NODE),
    *(
        Metric(
            _NODE,
            f"record-e2e-latency-{name}",
            "ms",
            f"{text} age of records by the wall clock, at sources when read, at ends when they leave. "
            "Sampled.",
            _OF_NODE,
        )
        for name, text in (("avg", "Average"), ("min", "Smallest"), ("max", "Largest"))
    ),
    # Stores.
    Metric(
        "stream-record-cache-metrics",
        "hit-ratio-avg",
        "ratio",
        "Share of look-ups that a store's cache answered. Sampled.",
        _OF_STORE,
    ),
    Metric(OWN, "store-reads-total", "times", "Look-ups that its cache could not answer.", _OF_STORE),
    Metric(OWN, "store-uncommitted-entries", "entries", "Entries that await the next commit.", _OF_STORE),
    Metric(_STATE, "estimate-num-keys", "entries", "About how many entries are committed.", _OF_STORE),
    *(Metric(_STATE, name, unit, text, _OF_STORE) for name, (unit, text) in _ROCKSDB.items()),
    Metric(_STATE, "block-cache-capacity", "bytes", "Of RocksDB's cache, which all stores share."),
    Metric(_STATE, "block-cache-usage", "bytes", "What is in RocksDB's cache."),
    Metric(_STATE, "block-cache-pinned-usage", "bytes", "What is pinned in RocksDB's cache."),
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
