"""Route by hand: decode, filter, mask, encode, produce."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from benchmarks import avro
from benchmarks.events import DROPPED_SEVERITY
from benchmarks.handwritten.clients import (
    BATCH,
    COMMIT_INTERVAL_S,
    WAIT_S,
    CheckedProducer,
    consumer,
    partitions,
)
from benchmarks.log import Log
from benchmarks.masking import masked_event, masked_log
from benchmarks.measurement import Job, Measurement
from benchmarks.stopwatch import Stopwatch


def route(job: Job) -> Measurement:
    """Run until every record is routed and committed."""
    reader, writer = consumer(job.address, job.application_id), CheckedProducer(job.address)
    reader.assign(partitions(job.source))
    routed, produce, target = _routed(job), writer.produce, job.target
    watch, done, due = None, 0, 0.0
    while done < job.records:
        batch = reader.consume(BATCH, WAIT_S)
        if watch is None and batch:
            watch, due = Stopwatch(), time.perf_counter() + COMMIT_INTERVAL_S
        for message in batch:
            value = routed(message.value())
            if value is None:
                continue
            while True:
                try:
                    produce(target, value, message.key(), -1, None, None, message.timestamp()[1])
                except BufferError:
                    writer.poll(WAIT_S)
                else:
                    break
        done += len(batch)
        if done == job.records or (batch and time.perf_counter() >= due):
            writer.flush()
            reader.commit(offsets=reader.position(partitions(job.source)), asynchronous=False)
            due = time.perf_counter() + COMMIT_INTERVAL_S
    assert watch is not None  # noqa: S101 - there was a record
    measured = watch.stop(done)
    reader.close()
    return measured


def _routed(job: Job) -> Callable[[Any], bytes | None]:
    """Return what makes a value to write of a value; None: it is filtered out."""
    encode = msgspec.json.Encoder().encode
    decode: Any = msgspec.json.Decoder(Log).decode if job.format == "typed" else msgspec.json.Decoder().decode

    def routed_event(value: bytes) -> bytes | None:
        event = decode(value)
        return None if event["severity"] == DROPPED_SEVERITY else encode(masked_event(event))

    def routed_log(value: bytes) -> bytes | None:
        log = decode(value)
        return None if log.severity == DROPPED_SEVERITY else encode(masked_log(log))

    def routed_avro(value: bytes) -> bytes | None:
        event = avro.decode(value)
        if event["severity"] == DROPPED_SEVERITY:
            return None
        return avro.encode(masked_event(event), avro.head(value))

    return {"open": routed_event, "typed": routed_log, "avro": routed_avro}[job.format]
