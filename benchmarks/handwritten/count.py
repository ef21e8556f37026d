"""Count and sum in one-minute windows by hand, with RocksDB and a changelog."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Consumer, TopicPartition

from benchmarks.events import WINDOW_MS
from benchmarks.handwritten.clients import (
    BATCH,
    COMMIT_INTERVAL_S,
    WAIT_S,
    CheckedProducer,
    Store,
    consumer,
    open_stores,
    partitions,
)
from benchmarks.measurement import Job, Measurement
from benchmarks.stopwatch import Stopwatch
from benchmarks.windows import pack_key, pack_value, unpack_value

#: What is kept in memory of each store, so that most windows are not read again.
_CACHED = 100_000


class _Table:
    """The windows of one partition: what changed since the last commit, before what is stored."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.cache: dict[bytes, list[int]] = {}
        self.changed: dict[bytes, list[int]] = {}
        self.position = 0

    def stored(self, key: bytes) -> list[int]:
        """Return timestamp, count and sum of a window that has not changed since the last commit."""
        entry = self.cache.get(key)
        if entry is None:
            found = self.store.get(key)
            return [0, 0, 0] if found is None else unpack_value(found)
        return entry

    def committed(self, encoded: dict[bytes, bytes]) -> None:
        """Store what changed."""
        self.store.write(encoded, self.position)
        if len(self.cache) > _CACHED:
            self.cache.clear()
        self.cache.update(self.changed)
        self.changed = {}


def count(job: Job) -> Measurement:
    """Run until every record is counted and committed."""
    reader, writer = consumer(job.address, job.application_id), CheckedProducer(job.address)
    reader.assign(partitions(job.source))
    tables = [_Table(store) for store in open_stores(Path(job.state_dir))]
    decode: Any = msgspec.json.Decoder().decode
    watch, done, due = None, 0, 0.0
    while done < job.records:
        batch = reader.consume(BATCH, WAIT_S)
        if watch is None and batch:
            watch, due = Stopwatch(), time.perf_counter() + COMMIT_INTERVAL_S
        for message in batch:
            amount = decode(message.value())["bytes"]
            table = tables[message.partition() or 0]
            timestamp = message.timestamp()[1]
            key = pack_key(message.key() or b"", timestamp - timestamp % WINDOW_MS)
            entry = table.changed.get(key)
            if entry is None:
                entry = table.changed[key] = table.stored(key)
            entry[0] = max(entry[0], timestamp)
            entry[1] += 1
            entry[2] += amount
        done += len(batch)
        if done == job.records or (batch and time.perf_counter() >= due):
            _commit(job, tables, reader, writer)
            due = time.perf_counter() + COMMIT_INTERVAL_S
    assert watch is not None  # noqa: S101 - there was a record
    measured = watch.stop(done)
    reader.close()
    return measured


def _commit(job: Job, tables: list[_Table], reader: Consumer, writer: CheckedProducer) -> None:
    """Changelog, flush, offsets with the changelog's positions, stores."""
    produce, topic = writer.produce, job.changelog
    batches: list[dict[bytes, bytes]] = []
    for number, table in enumerate(tables):
        encoded = {key: pack_value(*entry) for key, entry in table.changed.items()}
        batches.append(encoded)
        for key, value in encoded.items():
            while True:
                try:
                    produce(topic, value, key, number)
                except BufferError:
                    writer.poll(WAIT_S)
                else:
                    break
        table.position += len(encoded)
    writer.flush()
    positions = [TopicPartition(topic, number, table.position) for number, table in enumerate(tables)]
    reader.commit(offsets=[*reader.position(partitions(job.source)), *positions], asynchronous=False)
    for table, encoded in zip(tables, batches, strict=True):
        table.committed(encoded)
