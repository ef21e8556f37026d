"""Read by hand, and read and decode."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
from confluent_kafka import Message

from benchmarks import avro
from benchmarks.handwritten.clients import BATCH, COMMIT_INTERVAL_S, WAIT_S, consumer, partitions
from benchmarks.log import Log
from benchmarks.measurement import Job, Measurement
from benchmarks.stopwatch import Stopwatch


def read(job: Job) -> Measurement:
    """Run until every record is read, and decoded, and committed."""
    reader, amount = consumer(job.address, job.application_id), _amount_of(job)
    reader.assign(partitions(job.source))
    watch, done, total, due = None, 0, 0, 0.0
    while done < job.records:
        batch = reader.consume(BATCH, WAIT_S)
        if watch is None and batch:
            watch, due = Stopwatch(), time.perf_counter() + COMMIT_INTERVAL_S
        total += amount(batch)
        done += len(batch)
        if done == job.records or (batch and time.perf_counter() >= due):
            reader.commit(offsets=reader.position(partitions(job.source)), asynchronous=False)
            due = time.perf_counter() + COMMIT_INTERVAL_S
    assert watch is not None  # noqa: S101 - there was a record
    measured = watch.stop(done)
    reader.close()
    return msgspec.structs.replace(measured, entries=done, checksum=total)


def _amount_of(job: Job) -> Callable[[list[Message]], int]:
    """Return what sums up a batch."""
    if job.work == "read":
        return lambda batch: sum([len(message.value() or b"") for message in batch])
    if job.format == "typed":
        decode_log: Any = msgspec.json.Decoder(Log).decode
        return lambda batch: sum([decode_log(message.value()).bytes for message in batch])
    decode: Any = avro.decode if job.format == "avro" else msgspec.json.Decoder().decode
    return lambda batch: sum([decode(message.value())["bytes"] for message in batch])
