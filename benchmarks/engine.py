"""The engine, with the settings a user gets, at any work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.digest import Digest
from benchmarks.measurement import Job, Measurement, WorkName
from benchmarks.stopwatch import Stopwatch
from benchmarks.topologies import STORE, TOPOLOGIES
from pipeline.clock import SystemClock
from pipeline.config import StreamsConfig
from pipeline.errors import BrokerUnreachableError
from pipeline.runtime.kafka import KafkaBroker
from pipeline.runtime.worker import Worker
from pipeline.state.provider import RocksDBProvider
from pipeline.topology import Topology

#: Attempts of the last commit: each waits a second for acknowledgements.
_COMMIT_ATTEMPTS: Final = 60


#: These read every record a second time, from their repartition topic.
_THROUGH_A_TOPIC: Final[frozenset[WorkName]] = frozenset({"repartition", "dedup"})


def run(job: Job) -> Measurement:
    """Run until every record is processed and committed; or restored."""
    return restore(job) if job.work == "restore" else _process(job)


def restore(job: Job) -> Measurement:
    """Run until the count's stores are as they were committed."""
    worker = _worker(job, TOPOLOGIES["restore"](job, Digest()))
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
    config = StreamsConfig(application_id=job.application_id, state_dir=Path(job.state_dir))
    if job.exactly_once:
        config = replace(config, processing_guarantee="exactly_once", commit_interval_ms=100)
    return worker_of(job, topology, config)


def worker_of(job: Job, topology: Topology, config: StreamsConfig) -> Worker:
    """Return a worker that is to do a job."""
    provider = RocksDBProvider(config.state_dir, config.application_id)
    return Worker(topology, config, KafkaBroker(job.address), SystemClock(), provider)


def _process(job: Job) -> Measurement:
    result = Digest()
    worker = _worker(job, TOPOLOGIES[job.work](job, result))
    processed = job.records * (2 if job.work in _THROUGH_A_TOPIC else 1)
    try:
        watch, done = None, 0
        while not done:
            watch = Stopwatch()
            worker.step()
            done = worker.status().metrics.get("records_processed", 0)
        while done < processed:
            worker.step()
            done = worker.status().metrics.get("records_processed", 0)
        commit(worker)
        assert watch is not None  # noqa: S101 - there was a record
        measured = watch.stop(job.records)
    finally:
        worker.close()
    return msgspec.structs.replace(measured, entries=result.records, checksum=result.checksum)


def commit(worker: Worker) -> None:
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
