"""Route by hand: decode, filter, mask, encode, produce."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from benchmarks.events import DROPPED_SEVERITY
from benchmarks.handwritten.clients import (
    BATCH,
    COMMIT_INTERVAL_S,
    WAIT_S,
    CheckedProducer,
    consumer,
    partitions,
)
from benchmarks.masking import masked_event
from benchmarks.measurement import Job, Measurement
from benchmarks.stopwatch import Stopwatch


def route(job: Job) -> Measurement:
    """Run until every record is routed and committed."""
    reader, writer = consumer(job.address, job.application_id), CheckedProducer(job.address)
    reader.assign(partitions(job.source))
    decode: Any = msgspec.json.Decoder().decode
    encode, produce, target = msgspec.json.Encoder().encode, writer.produce, job.target
    watch, done, due = None, 0, 0.0
    while done < job.records:
        batch = reader.consume(BATCH, WAIT_S)
        if watch is None and batch:
            watch, due = Stopwatch(), time.perf_counter() + COMMIT_INTERVAL_S
        for message in batch:
            event = decode(message.value())
            if event["severity"] == DROPPED_SEVERITY:
                continue
            value = encode(masked_event(event))
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
