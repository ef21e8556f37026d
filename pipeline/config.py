"""Every setting of the engine, its unit, default and the action at its bound."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from pipeline.errors import ConfigError

KIB: Final = 1024
MIB: Final = 1024 * KIB
GUARANTEES: Final = ("at_least_once", "exactly_once")

_MAY_BE_ZERO: Final = frozenset({"max_task_idle_ms", "corrupt_stores", "agent_drain_ms", "standby_replicas"})

#: Where a record can fail.
Stage: TypeAlias = Literal["decode", "processing", "produce"]
#: What can become of it.
ErrorAction: TypeAlias = Literal["fail", "continue", "dead-letter"]
#: How much is measured.
MetricsLevel: TypeAlias = Literal["off", "info", "debug"]


@dataclass(frozen=True, slots=True)
class StreamsConfig:
    """Settings of one application, immutable once the worker runs.

    Attributes:
        application_id: consumer group, prefix of internal topics, name of the state folder.
        state_dir: where RocksDB databases live.
        processing_guarantee: `at_least_once`, or `exactly_once`: results, offsets and state become
            visible in transactions, all at once or not at all (needs Apache Kafka).
        transaction_timeout_ms: with `exactly_once`: the broker aborts a transaction that is open for
            longer, as that of a worker that crashed; until then, readers wait for its end.
        commit_interval_ms: how long after the end of a commit the next one begins (`commit.interval.ms`).
        poll_records: at most so many records are taken from the client at once.
        buffered_records: a partition with more records waiting than this is paused until half
            of them are processed.
        buffered_bytes: once the records that wait take more memory than this, those of all partitions
            together, every partition that has some is paused until half of it is free.
        cache_entries: a task commits before a store's cache holds more uncommitted entries, those of a commit
            that is under way apart; of what agents write to a global table, so many are held until they are
            read back, before anything is processed.
        cache_bytes: a worker commits before the caches of all its stores hold more, counted as it is stored
            and 256 for each entry, and has them forget what is committed: of windows the older half if that
            is enough. Decoded, JSON takes up to three times as much.
        block_cache_bytes: of RocksDB, for all stores of the worker; index and filter blocks included.
        write_buffer_bytes: of each store, before RocksDB writes them to a file; in parts of 2 MiB while many
            records are restored (100,000 or more).
        write_buffers_bytes: of all stores of the worker together, likewise.
        store_open_files: files that RocksDB keeps open of each store.
        max_record_bytes: a larger value (bytes) read or produced is an error of that record.
        max_internal_record_bytes: the limit that internal topics and the dead-letter topic get, so
            that a record too large elsewhere can still be put aside.
        restore_records: changelog records, and records of global tables, read at once, before the worker
            turns to its consumer again. So many keys of a store that a crashed worker had logged and not
            committed are gathered before they are logged again.
        delivery_timeout_ms: how long a record may wait for the broker's acknowledgement; then the
            worker goes back to its last commit, and tries again. Whoever fails to commit for 30 s does so
            before that, with new clients.
        replication_factor: of internal topics; -1 is the broker's default.
        changelog_retention_ms: a window changelog keeps records this long beyond the store's own
            retention, counted from when they were written.
        compaction_lag_ms: a changelog keeps every record at least this long, so that compaction
            does not remove a committed value in favour of an uncommitted one.
        max_rewinds: when what was in hand is lost so many times in a row, before any of it could be committed
            (a record takes longer than the group, or the transaction, waits for this worker), the worker
            stops and says where.
        group_instance_id: this worker's name in the group, for static membership (KIP-345): a worker that is
            started again within the session timeout gets its partitions back, and the others keep theirs.
            None: it leaves the group when it stops. Each worker needs its own: give it in the environment,
            HEADRACE_GROUP_INSTANCE_ID, or with `faust worker --group-instance-id`.
        session_timeout_ms: how long the group waits for a worker that is not heard of before it gives its
            partitions to others. None: 6 s, and 45 s with a `group_instance_id`. On Apache Kafka 4 the broker
            decides (`group.consumer.session.timeout.ms`; 45 s by default).
        shutdown_timeout_ms: how long stopping may take, the last commit included; then the process ends all
            the same, with exit code 3, and says what was not committed.
        repartition_purge_interval_ms: how often records of repartition topics are deleted that are
            processed and committed; None: they stay.
        metadata_interval_ms: how often topics are looked for that match a pattern (Kafka Streams:
            `metadata.max.age.ms`).
        max_task_idle_ms: how long a task waits, by the wall clock, for an empty partition of which the broker
            has no more before it processes records of others (rule a1.6); 0: only for what the broker has,
            None: not even for that.
        source_idle_ms: once no record has come for a task, and none is waiting, for so long by the wall
            clock, the task's time goes on with the wall clock, so that windows close without input; a
            record that comes later with an older timestamp is late. None: time stands still without records.
        standby_replicas: so many other workers keep a copy of each store that can be restored, so that one of
            them restores little when the task comes to it (Kafka Streams: `num.standby.replicas`). 0: nobody
            does. It needs a broker that shows who is in a group, as Apache Kafka does.
        state_cleanup_delay_ms: stores of a task that went away to another worker stay so long in the data
            folder, so that it restores little when it comes back; those without a changelog stay for ever
            (Kafka Streams: `state.cleanup.delay.ms`).
        corrupt_stores: so many stores that were found damaged are kept aside in the data folder, for looking
            into; older ones are removed.
        agent_drain_ms: how long a worker that stops, or gives partitions away, waits for agents to finish
            the records that they have in hand; what is not finished comes again.
        max_asks: so many answers of agents are waited for at once in a process; more questions are refused.
        ask_timeout_ms: how long an answer is waited for.
        application_version: what dead letters and logs call the version of the application.
        dead_letter: topic for records that fail; None: there is none.
        on_decode_error: what becomes of a record whose bytes cannot be decoded, or whose time cannot be
            read. `fail` stops the worker, `continue` skips the record, counts it and logs now and then,
            `dead-letter` puts it aside as it came. None: `dead-letter` if `dead_letter` is set, else `fail`.
        on_processing_error: likewise where a user's function raises; in a punctuation, too.
        on_produce_error: likewise where a result cannot be encoded, or a topic does not take it. With
            exactly-once a record that the broker refused always stops the worker: its transaction is lost.
        metrics_recording_level: how much is measured (Kafka Streams: `metrics.recording.level`): `info`
            times one record of about 256 on its way through the operators; `debug` one of about 32, for
            figures that settle sooner; `off` measures nothing, `/metrics` has counts of the worker alone.
        metrics_topics: so many topics have counts of their own in `/metrics`, in each direction.
    """

    application_id: str
    state_dir: Path
    processing_guarantee: str = "at_least_once"
    transaction_timeout_ms: int = 10_000
    commit_interval_ms: int = 1_000
    poll_records: int = 1_000
    buffered_records: int = 10_000
    buffered_bytes: int = 128 * MIB
    cache_entries: int = 100_000
    cache_bytes: int = 80 * MIB
    block_cache_bytes: int = 32 * MIB
    write_buffer_bytes: int = 16 * MIB
    write_buffers_bytes: int = 32 * MIB
    store_open_files: int = 256
    max_record_bytes: int = MIB
    max_internal_record_bytes: int = 16 * MIB
    restore_records: int = 5_000
    delivery_timeout_ms: int = 120_000
    replication_factor: int = -1
    changelog_retention_ms: int = 24 * 3_600_000
    compaction_lag_ms: int = 3_600_000
    max_rewinds: int = 10
    group_instance_id: str | None = None
    session_timeout_ms: int | None = None
    shutdown_timeout_ms: int = 30_000
    repartition_purge_interval_ms: int | None = 30_000
    metadata_interval_ms: int = 30_000
    max_task_idle_ms: int | None = 0
    source_idle_ms: int | None = None
    standby_replicas: int = 0
    state_cleanup_delay_ms: int = 600_000
    corrupt_stores: int = 2
    agent_drain_ms: int = 5_000
    max_asks: int = 1_000
    ask_timeout_ms: int = 30_000
    application_version: str = "1"
    dead_letter: str | None = None
    on_decode_error: ErrorAction | None = None
    on_processing_error: ErrorAction | None = None
    on_produce_error: ErrorAction | None = None
    metrics_recording_level: MetricsLevel = "info"
    metrics_topics: int = 1_000

    def __post_init__(self) -> None:
        if not self.application_id:
            raise ConfigError("application_id is empty")
        if self.processing_guarantee not in GUARANTEES:
            raise ConfigError(
                f"processing_guarantee is {self.processing_guarantee!r}: it must be {' or '.join(GUARANTEES)}"
            )
        for name, value in self.numbers().items():
            least = 0 if name in _MAY_BE_ZERO else 1
            if value is not None and value < least and not (name == "replication_factor" and value == -1):
                raise ConfigError(f"{name} is {value}: it must be at least {least}")

        if self.metrics_recording_level not in get_args(MetricsLevel):
            levels = ", ".join(get_args(MetricsLevel))
            raise ConfigError(
                f"metrics_recording_level is {self.metrics_recording_level!r}: it must be one of {levels}"
            )
        for stage in get_args(Stage):
            action = self.action(stage)
            if action not in get_args(ErrorAction):
                actions = ", ".join(get_args(ErrorAction))
                raise ConfigError(f"on_{stage}_error is {action!r}: it must be one of {actions}")
            if action == "dead-letter" and self.dead_letter is None:
                raise ConfigError(f"on_{stage}_error is dead-letter: say to which topic with dead_letter=")

    def action(self, stage: Stage) -> ErrorAction:
        """Return what becomes of a record that fails at this stage."""
        chosen: ErrorAction | None = getattr(self, f"on_{stage}_error")
        if chosen is None:
            return "fail" if self.dead_letter is None else "dead-letter"
        return chosen

    @property
    def exactly_once(self) -> bool:
        """Whether results, offsets and state are committed in transactions."""
        return self.processing_guarantee == "exactly_once"

    def numbers(self) -> dict[str, int | None]:
        """Return the numeric settings by name, as `limits` shows them; None: there is no bound."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.type in {"int", "int | None"}}
