"""Each work as a user writes it, on the engine with the settings a user gets."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.digest import Digest
from benchmarks.events import DROPPED_SEVERITY, WINDOW_MS
from benchmarks.masking import masked_event
from benchmarks.measurement import Job, Measurement
from benchmarks.stopwatch import Stopwatch
from pipeline.clock import SystemClock
from pipeline.config import StreamsConfig
from pipeline.dsl.builder import StreamsBuilder
from pipeline.errors import BrokerUnreachableError
from pipeline.runtime.kafka import KafkaBroker
from pipeline.runtime.worker import Worker
from pipeline.state.provider import RocksDBProvider
from pipeline.topology import Topology
from pipeline.windows import tumbling

STORE: Final = "by-user"

#: Attempts of the last commit: each waits a second for acknowledgements.
_COMMIT_ATTEMPTS: Final = 60


def changelog_of(application_id: str) -> str:
    """Return the changelog topic of the count's store."""
    return f"{application_id}-{STORE}-changelog"


def route_topology(job: Job) -> Topology:
    """Decode, filter, mask, encode, produce."""
    builder = StreamsBuilder(job.application_id)
    logs = builder.stream(job.source)
    kept = logs.filter(lambda _key, event: event["severity"] != DROPPED_SEVERITY)
    kept.map_values(lambda _key, event: masked_event(event), value=dict).to(job.target)
    return builder.build()


def count_topology(job: Job) -> Topology:
    """Count and sum by user and minute."""
    windows = tumbling(timedelta(milliseconds=WINDOW_MS), grace=timedelta(milliseconds=job.grace_ms))
    builder = StreamsBuilder(job.application_id)
    builder.stream(job.source, key=str).group_by_key().windowed_by(windows).aggregate(
        lambda: (0, 0),
        lambda _user, event, so_far: (so_far[0] + 1, so_far[1] + event["bytes"]),
        name=STORE,
        value=tuple[int, int],
    )
    return builder.build()


def route(job: Job) -> Measurement:
    """Run until every record is routed and committed."""
    return _process(job, route_topology(job))


def count(job: Job) -> Measurement:
    """Run until every record is counted and committed."""
    return _process(job, count_topology(job))


def restore(job: Job) -> Measurement:
    """Run until the count's stores are as they were committed."""
    worker = _worker(job, count_topology(job))
    try:
        watch = None
        while worker.status().metrics.get("records_restored", 0) < job.records:
            started = Stopwatch()
            worker.step()
            if watch is None and "records_restored" in worker.status().metrics:
                watch = started
        while worker.status().state != "running":
            worker.step()
        assert watch is not None  # noqa: S101 - there was a record
        measured = watch.stop(worker.status().metrics["records_restored"])
        digest = _stored(worker)
    finally:
        worker.close()
    return msgspec.structs.replace(measured, entries=digest.records, checksum=digest.checksum)


def _worker(job: Job, topology: Topology) -> Worker:
    folder = Path(job.state_dir)
    config = StreamsConfig(application_id=job.application_id, state_dir=folder)
    provider = RocksDBProvider(folder, job.application_id)
    return Worker(topology, config, KafkaBroker(job.address), SystemClock(), provider)


def _process(job: Job, topology: Topology) -> Measurement:
    worker = _worker(job, topology)
    try:
        watch, done = None, 0
        while done < job.records:
            started = Stopwatch()
            worker.step()
            done = worker.status().metrics.get("records_processed", 0)
            if watch is None and done:
                watch = started
        _commit(worker)
        assert watch is not None  # noqa: S101 - there was a record
        return watch.stop(done)
    finally:
        worker.close()


def _commit(worker: Worker) -> None:
    """Commit what the last interval has not committed."""
    for _ in range(_COMMIT_ATTEMPTS - 1):
        try:
            worker.commit()
        except BrokerUnreachableError:
            continue
        return
    worker.commit()


def _stored(worker: Worker) -> Digest:
    digest = Digest()
    for store in worker.registry.open(STORE).values():
        for key, start, value in store.committed_scan():
            digest.add_window(key, start, *value.value)
    return digest
