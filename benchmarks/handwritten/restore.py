"""Restore by hand: a changelog into RocksDB."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Final

import msgspec
from confluent_kafka import TopicPartition

from benchmarks.handwritten.clients import WAIT_S, consumer, open_stores, partitions
from benchmarks.measurement import Job, Measurement
from benchmarks.stopwatch import Stopwatch
from benchmarks.windows import windows_digest

#: Records taken at once: the last value of each key among them is written.
_CHUNK: Final = 20_000


def restore(job: Job) -> Measurement:
    """Run until every record of the changelog is in the stores."""
    reader = consumer(job.address, job.application_id)
    stores = open_stores(Path(job.state_dir))
    reader.assign(partitions(job.changelog))
    watch, done = None, 0
    while done < job.records:
        batch = reader.consume(_CHUNK, WAIT_S)
        if watch is None and batch:
            watch = Stopwatch()
        changes: list[dict[bytes, bytes]] = [{} for _ in stores]
        for message in batch:
            changes[message.partition() or 0][message.key() or b""] = message.value() or b""
        positions: list[TopicPartition] = reader.position(partitions(job.changelog))
        for store, changed, position in zip(stores, changes, positions, strict=True):
            if changed:
                store.write(changed, position.offset)
        done += len(batch)
    assert watch is not None  # noqa: S101 - there was a record
    measured = watch.stop(done)
    reader.close()
    digest = windows_digest(chain.from_iterable(store.items() for store in stores))
    return msgspec.structs.replace(measured, entries=digest.records, checksum=digest.checksum)
