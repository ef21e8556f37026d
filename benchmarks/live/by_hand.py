"""The route as one would write it by hand for low latency: `python -m benchmarks.live.by_hand`.

It takes what is there, and waits for the first record only: a batch is never waited for.
"""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

import msgspec
from confluent_kafka import Consumer

from benchmarks.events import DROPPED_SEVERITY
from benchmarks.handwritten.clients import BATCH, COMMIT_INTERVAL_S, WAIT_S, CheckedProducer
from benchmarks.live.job import LiveJob
from benchmarks.masking import masked_event


def main() -> None:
    """Route until SIGTERM comes."""
    job, stopped = LiveJob.of_environment(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    reader, writer = _member(job), CheckedProducer(job.address)
    reader.subscribe([job.source])
    decode: Any = msgspec.json.Decoder().decode
    encode, produce, target = msgspec.json.Encoder().encode, writer.produce, job.target
    due, dirty = time.perf_counter(), False
    while not stopped.is_set():
        batch = reader.consume(BATCH, 0)
        if not batch and (first := reader.poll(WAIT_S)) is not None:
            batch = [first, *reader.consume(BATCH - 1, 0)]
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
        dirty = dirty or bool(batch)
        if dirty and time.perf_counter() >= due:
            _commit(reader, writer)
            due, dirty = time.perf_counter() + COMMIT_INTERVAL_S, False
    if dirty:
        _commit(reader, writer)
    reader.close()


def _member(job: LiveJob) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": job.address,
            "group.id": job.application_id,
            "group.protocol": "consumer",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            # By default the client sleeps a second whenever its queue is full.
            "fetch.queue.backoff.ms": 5,
        }
    )


def _commit(reader: Consumer, writer: CheckedProducer) -> None:
    writer.flush()
    reader.commit(offsets=reader.position(reader.assignment()), asynchronous=False)


if __name__ == "__main__":
    main()
