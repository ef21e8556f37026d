"""Every bound of a worker: its value, default and unit, the setting that changes it, and what happens there.

`faust -A <app> limits` prints them: the engine's settings, those of its clients, what no setting changes,
and what the operators of the topology were declared with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from pipeline.config import KIB, MIB, StreamsConfig
from pipeline.operators.sink import MAX_CHOSEN
from pipeline.plan.limits import Limit, operator_limits
from pipeline.plan.planner import Plan
from pipeline.runtime.dead_letter import LONGEST_TEXT
from pipeline.runtime.kafka.limits import client_limits
from pipeline.runtime.kafka.settings import Setting
from pipeline.runtime.progress import MAX_BYTES
from pipeline.runtime.scan import DEFAULT_LIMIT, MAX_EXAMINED, MAX_LIMIT
from pipeline.serde.registry import MAX_SCHEMAS, REQUEST_S, UNKNOWN_MS

#: So many times its bytes a value takes at most when it is decoded: an object of JSON, of many fields.
_DECODED: Final = 3

#: By the name of the setting in `StreamsConfig`: the unit, and what happens at the bound.
ENGINE: Final = {
    "transaction_timeout_ms": ("ms", "the broker aborts the transaction of a worker that crashed"),
    "commit_interval_ms": ("ms", "results, offsets and state are committed"),
    "poll_records": ("records", "the rest waits in the client"),
    "buffered_records": ("records a partition", "the partition is paused until half of them are processed"),
    "buffered_bytes": (
        "bytes",
        "all partitions that have records waiting are paused until half of it is free",
    ),
    "cache_entries": (
        "entries a store",
        "the task commits; the oldest of what is committed are forgotten, or read back (global tables)",
    ),
    "cache_bytes": (
        "bytes",
        "the worker commits, and of all stores forgets the older half of what is committed, or all",
    ),
    "block_cache_bytes": ("bytes", "RocksDB forgets the blocks that were read longest ago, of all stores"),
    "write_buffer_bytes": ("bytes a store", "RocksDB writes them to a file"),
    "write_buffers_bytes": ("bytes", "RocksDB writes the oldest of all stores' buffers to files"),
    "store_open_files": ("files a store", "RocksDB closes the file that was read longest ago"),
    "max_record_bytes": ("bytes", "an error of that record: dead letter, or the worker stops"),
    "max_internal_record_bytes": ("bytes", "the broker refuses the record, and the worker stops"),
    "restore_records": (
        "records",
        "the worker turns to its consumer, then goes on; keys not committed are logged again",
    ),
    "delivery_timeout_ms": ("ms", "the worker goes back to its last commit, and tries again"),
    "replication_factor": ("replicas", "-1: the broker's default"),
    "changelog_retention_ms": ("ms", "the broker deletes older records of window changelogs"),
    "max_rewinds": ("times in a row", "the worker stops, and says which records it does not get past"),
    "session_timeout_ms": (
        "ms",
        "others get the partitions of a silent worker; off: as the protocol has it",
    ),
    "shutdown_timeout_ms": ("ms", "the process ends, and says what was not committed: it comes again"),
    "metrics_topics": ("topics", "records of others are counted together, as topic (other)"),
    "repartition_purge_interval_ms": ("ms", "the broker deletes what is committed of repartition topics"),
    "metadata_interval_ms": ("ms", "topics that match a pattern are looked for; new ones are taken in"),
    "max_task_idle_ms": ("ms", "the task processes records of other partitions; off: it never waits"),
    "source_idle_ms": ("ms", "the time of a task without records goes on with the wall clock"),
    "agent_drain_ms": ("ms", "agents are ended; the records that they have in hand come again"),
    "max_asks": ("answers", "asking one more is an error"),
    "ask_timeout_ms": ("ms", "waiting for an answer is an error"),
    "standby_replicas": ("copies a store", "no other worker keeps a copy"),
    "state_cleanup_delay_ms": ("ms", "stores of tasks that went away are removed"),
    "corrupt_stores": ("stores", "damaged stores that were set aside before are removed"),
    "compaction_lag_ms": ("ms", "the broker may compact older records of changelogs"),
}


def limits(config: StreamsConfig, client: Mapping[str, Setting], plan: Plan) -> list[Limit]:
    """Return every bound.

    Args:
        config: the engine's settings.
        client: librdkafka's settings, as the worker's clients get them.
        plan: the topology as it will run.
    """
    return [*_of_engine(config), *client_limits(client), *_FIXED, *operator_limits(plan)]


def memory_bounds(config: StreamsConfig, client: Mapping[str, Setting]) -> dict[str, int]:
    """Return the bounds of a worker's memory, in bytes, by what they are about.

    What the interpreter and its libraries take without any record comes on top; and what is `in_memory` by
    the topology's own wish.
    """
    clients = {each.name: each.value or 0 for each in client_limits(client)}
    fetched = clients["consumer: queued.max.messages.kbytes"] * KIB + clients["consumer: fetch.max.bytes"]
    return {
        "fetched": fetched,
        "waiting": config.buffered_bytes,
        "caches": _DECODED * config.cache_bytes,
        "RocksDB's blocks": config.block_cache_bytes,
        "RocksDB's write buffers": config.write_buffers_bytes,
        "produced": clients["producer: queue.buffering.max.kbytes"] * KIB,
    }


def format_memory(bounds: Mapping[str, int]) -> str:
    """Return the bounds of memory as a line."""
    parts = ", ".join(f"{name} {size // MIB:,}" for name, size in bounds.items())
    total = sum(bounds.values()) // MIB
    return f"memory: at most {total:,} MiB ({parts}), beside what the interpreter takes without a record"


def format_limits(bounds: Iterable[Limit]) -> str:
    """Return bounds as a table."""
    rows = [("limit", "value", "default", "unit", "setting", "at the bound")]
    rows += [
        (each.name, _number(each.value), _number(each.default), each.unit, each.setting, each.action)
        for each in bounds
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        f"{name:<{widths[0]}}  {value:>{widths[1]}}  {default:>{widths[2]}}  {unit:<{widths[3]}}  "
        f"{setting:<{widths[4]}}  {action}"
        for name, value, default, unit, setting, action in rows
    )


def _number(value: int | None) -> str:
    return "off" if value is None else f"{value:,}"


def _of_engine(config: StreamsConfig) -> Iterator[Limit]:
    defaults = StreamsConfig(config.application_id, config.state_dir).numbers()
    for name, value in config.numbers().items():
        given, (unit, action) = name.removesuffix("_ms"), ENGINE[name]
        yield Limit(given, value, defaults[name], unit, f"App({given}=)", action)


def _fixed(name: str, value: int, unit: str, action: str, setting: str = "fixed") -> Limit:
    return Limit(name, value, value, unit, setting, action)


_FIXED: Final = (
    _fixed("HTTP: rows of an answer", DEFAULT_LIMIT, "rows", "a token to go on with comes along", "?limit="),
    _fixed("HTTP: largest limit", MAX_LIMIT, "rows", "a larger one is refused: 400"),
    _fixed("HTTP: rows examined", MAX_EXAMINED, "rows an answer", "the page ends early; its token goes on"),
    _fixed(
        "to: chosen topics kept open",
        MAX_CHOSEN,
        "topics a sink and task",
        "the oldest is opened again if chosen",
    ),
    _fixed("dead letter: text of the error", LONGEST_TEXT, "characters", "the rest is cut off"),
    _fixed(
        "Avro: schemas kept", MAX_SCHEMAS, "schemas a serde", "the oldest is asked for again when it is met"
    ),
    _fixed("Avro: unknown schema id", UNKNOWN_MS, "ms", "the registry is asked for it again"),
    _fixed(
        "schema registry: a request",
        1_000 * REQUEST_S,
        "ms",
        "the worker goes back to its last commit, and tries again",
        'SchemaRegistry(settings={"timeout":})',
    ),
    _fixed("commit: times beside an offset", MAX_BYTES, "bytes", "they are left out: time starts anew"),
)
