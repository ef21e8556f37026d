"""Each work as a user of Headrace writes it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from benchmarks.avro import SCHEMA_FILE
from benchmarks.digest import Digest
from benchmarks.events import DROPPED_SEVERITY, HOP_MS, SESSION_GAP_MS, WINDOW_MS
from benchmarks.log import Log
from benchmarks.measurement import Job, WorkName
from benchmarks.redaction import redacted_event, redacted_log
from pipeline.dsl.builder import StreamsBuilder
from pipeline.observability import dedup
from pipeline.serde.avro.declaration import avro
from pipeline.serde.local_registry import LocalRegistry
from pipeline.topology import Topology
from pipeline.windows import TimeWindows, hopping, session, tumbling

STORE: Final = "by-user"

_COPIES: Final = timedelta(minutes=10)
_WINDOW: Final = timedelta(milliseconds=WINDOW_MS)


def changelog_of(application_id: str) -> str:
    """Return the changelog topic of the count's store."""
    return f"{application_id}-{STORE}-changelog"


def read_topology(job: Job, result: Digest) -> Topology:
    """Take bytes."""
    builder = StreamsBuilder(job.application_id)

    def add(_key: bytes, value: bytes) -> None:
        result.records += 1
        result.checksum += len(value)

    builder.stream(job.source, value=bytes).foreach(add)
    return builder.build()


def decode_topology(job: Job, result: Digest) -> Topology:
    """Decode."""
    builder = StreamsBuilder(job.application_id)
    if job.format == "typed":
        builder.stream(job.source, value=Log).foreach(_adder_of_logs(result))
    else:
        builder.stream(job.source, value=_events(job)).foreach(_adder(result))
    return builder.build()


def route_topology(job: Job, _result: Digest | None = None) -> Topology:
    """Decode, filter, mask, encode, produce."""
    builder = StreamsBuilder(job.application_id)
    if job.format == "typed":
        typed = builder.stream(job.source, value=Log)
        kept = typed.filter(lambda _key, log: log.severity != DROPPED_SEVERITY)
        kept.map_values(lambda _key, log: redacted_log(log), value=Log).to(job.target)
    else:
        value = _events(job)
        logs = builder.stream(job.source, value=value)
        some = logs.filter(lambda _key, event: event["severity"] != DROPPED_SEVERITY)
        some.map_values(lambda _key, event: redacted_event(event), value=value).to(job.target)
    return builder.build()


def repartition_topology(job: Job, result: Digest) -> Topology:
    """Key by host, through a topic."""
    builder = StreamsBuilder(job.application_id)
    by_host = builder.stream(job.source).select_key(lambda _key, event: event["host"], key=str)
    by_host.repartition(name="by-host").foreach(_adder(result))
    return builder.build()


def dedup_topology(job: Job, result: Digest) -> Topology:
    """Pass the first of each id."""
    builder = StreamsBuilder(job.application_id)
    passed = dedup(
        builder.stream(job.source),
        lambda _key, event: event["id"],
        within=_COPIES,
        grace=timedelta(milliseconds=job.grace_ms),
        name="seen",
    )
    passed.foreach(_adder(result))
    return builder.build()


def count_topology(job: Job, _result: Digest | None = None) -> Topology:
    """Count and sum by user and minute."""
    return _in_windows(job, tumbling(_WINDOW, grace=timedelta(milliseconds=job.grace_ms)))


def hopping_topology(job: Job, _result: Digest | None = None) -> Topology:
    """Count and sum by user and minute, a minute every twenty seconds."""
    windows = hopping(
        _WINDOW, advance=timedelta(milliseconds=HOP_MS), grace=timedelta(milliseconds=job.grace_ms)
    )
    return _in_windows(job, windows)


def _in_windows(job: Job, windows: TimeWindows) -> Topology:
    builder = StreamsBuilder(job.application_id)
    builder.stream(job.source, key=str).group_by_key().windowed_by(windows).aggregate(
        lambda: (0, 0), _counted, name=STORE, value=tuple[int, int]
    )
    return builder.build()


def session_topology(job: Job, _result: Digest | None = None) -> Topology:
    """Count and sum by user and session."""
    windows = session(timedelta(milliseconds=SESSION_GAP_MS), grace=timedelta(milliseconds=job.grace_ms))
    builder = StreamsBuilder(job.application_id)
    builder.stream(job.source, key=str).group_by_key().windowed_by(windows).aggregate(
        lambda: (0, 0),
        _counted,
        lambda _user, left, right: (left[0] + right[0], left[1] + right[1]),
        name=STORE,
        value=tuple[int, int],
    )
    return builder.build()


def stream_join_topology(job: Job, result: Digest) -> Topology:
    """Join with what comes within a minute."""
    builder = StreamsBuilder(job.application_id)
    left, right = builder.stream(job.source, key=str), builder.stream(job.other, key=str)
    joined = left.join(
        right,
        lambda _user, event, other: event["bytes"] + other["bytes"],
        within=_WINDOW,
        grace=timedelta(milliseconds=job.grace_ms),
        name="joined",
        value=int,
    )
    joined.foreach(_adder_of_numbers(result))
    return builder.build()


def table_join_topology(job: Job, result: Digest) -> Topology:
    """Join with the user's row."""
    builder = StreamsBuilder(job.application_id)
    users = builder.table(job.other, key=str, name="users")
    joined = builder.stream(job.source, key=str).join(
        users, lambda _user, event, user: event["bytes"] + user["bytes"], value=int
    )
    joined.foreach(_adder_of_numbers(result))
    return builder.build()


def _events(job: Job) -> Any:
    """Return what says how events are read, and written, that are dictionaries."""
    if job.format == "avro":
        return avro(SCHEMA_FILE, registry=LocalRegistry(SCHEMA_FILE.parent))
    return dict


def _counted(_user: str, event: dict[str, Any], so_far: tuple[int, int]) -> tuple[int, int]:
    return so_far[0] + 1, so_far[1] + event["bytes"]


def _adder(result: Digest) -> Callable[[Any, dict[str, Any]], None]:
    def add(_key: Any, event: dict[str, Any]) -> None:
        result.records += 1
        result.checksum += event["bytes"]

    return add


def _adder_of_logs(result: Digest) -> Callable[[Any, Log], None]:
    def add(_key: Any, log: Log) -> None:
        result.records += 1
        result.checksum += log.bytes

    return add


def _adder_of_numbers(result: Digest) -> Callable[[Any, int], None]:
    def add(_key: Any, amount: int) -> None:
        result.records += 1
        result.checksum += amount

    return add


TOPOLOGIES: Final[dict[WorkName, Callable[[Job, Digest], Topology]]] = {
    "read": read_topology,
    "decode": decode_topology,
    "route": route_topology,
    "repartition": repartition_topology,
    "dedup": dedup_topology,
    "count": count_topology,
    "hopping": hopping_topology,
    "session": session_topology,
    "stream-join": stream_join_topology,
    "table-join": table_join_topology,
    "restore": count_topology,
}
