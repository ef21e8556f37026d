"""Clients and stores with the settings that proved fastest, the same durability as the engine's."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from rocksdict import (
    BlockBasedOptions,
    Cache,
    Options,
    Rdict,
    WriteBatch,
    WriteOptions,
)

from benchmarks.topics import PARTITIONS

COMMIT_INTERVAL_S: Final = 1.0
#: Records taken at once.
BATCH: Final = 1_000
#: How long to wait for a batch to fill.
WAIT_S: Final = 0.05

_FLUSH_TIMEOUT_S: Final = 60.0
_MIB: Final = 1024 * 1024
_POSITION: Final = struct.Struct(">q")


def consumer(address: str, group: str) -> Consumer:
    """Return a consumer that fetches as fast as it is read."""
    return Consumer(
        {
            "bootstrap.servers": address,
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            # By default the client sleeps a second whenever its queue is full.
            "fetch.queue.backoff.ms": 5,
        }
    )


def partitions(topic: str, offset: int = 0) -> list[TopicPartition]:
    """Return all partitions of a topic, at an offset."""
    return [TopicPartition(topic, number, offset) for number in range(PARTITIONS)]


class CheckedProducer:
    """A producer that stops at the first record that is not delivered."""

    def __init__(self, address: str) -> None:
        self._failures: list[KafkaError] = []
        self._client = Producer(
            {
                "bootstrap.servers": address,
                "acks": "all",
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": 5,
                "batch.size": 256 * 1024,
                "queue.buffering.max.messages": 200_000,
                # Delivered records never call Python.
                "delivery.report.only.error": True,
                "on_delivery": self._failed,
            }
        )
        #: `(topic, value, key, partition, on_delivery, callback, timestamp)`; positional is faster.
        self.produce = self._client.produce
        #: Waits for room when `produce` raised BufferError.
        self.poll = self._client.poll

    def _failed(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failures.append(error)

    def flush(self) -> None:
        """Wait until everything is acknowledged.

        Raises:
            RuntimeError: something was not.
        """
        left = self._client.flush(_FLUSH_TIMEOUT_S)
        if left or self._failures:
            raise RuntimeError(f"{left} records unacknowledged, failures: {self._failures[:3]}")


class Store:
    """One RocksDB database, with a changelog position in it.

    Args:
        path: its folder.
        cache: block cache, shared by all stores.
    """

    def __init__(self, path: Path, cache: Cache) -> None:
        self._db = Rdict(str(path), _options(cache), column_families={"meta": _options(cache)})
        self._meta = self._db.get_column_family_handle("meta")
        # The changelog is the log.
        self._write = WriteOptions()
        self._write.disable_wal = True  # type: ignore[method-assign,assignment] # a property, whatever the stubs say
        self.get: Any = self._db.get

    def write(self, changes: dict[bytes, bytes], position: int) -> None:
        """Write changes and position in one batch."""
        batch = WriteBatch(raw_mode=True)
        put = batch.put
        for key, value in changes.items():
            put(key, value)
        put(b"position", _POSITION.pack(position), self._meta)
        self._db.write(batch, self._write)

    def items(self) -> Any:
        """Iterate all entries."""
        return self._db.items()

    def close(self) -> None:
        """Close the database."""
        self._db.close()


def _options(cache: Cache) -> Options:
    table = BlockBasedOptions()
    table.set_block_cache(cache)
    table.set_cache_index_and_filter_blocks(True)
    table.set_bloom_filter(10, False)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_atomic_flush(True)
    options.set_write_buffer_size(16 * _MIB)
    options.set_block_based_table_factory(table)
    return options


def open_stores(folder: Path) -> list[Store]:
    """Return one store for each partition."""
    cache = Cache(64 * _MIB)
    return [Store(folder / str(number), cache) for number in range(PARTITIONS)]
