"""An ordered map of bytes on disk: RocksDB. The only module that imports its bindings."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DbClosedError,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)

from pipeline.errors import StateError

_META = "meta"
_POSITION = b"position"
#: A write holds the interpreter's lock: HTTP waits for at most this many entries.
_CHUNK = 4_000
#: How long closing waits for scans of other threads; queries are bounded, so this is long.
_READERS_TIMEOUT_S = 30.0


class RocksDBSettings:
    """What the stores of one process share.

    Args:
        block_cache_bytes: one cache for all stores, index and filter blocks included.
        write_buffer_bytes: of each store, before it is written to a file.
        max_open_files: of each store.
    """

    def __init__(
        self,
        block_cache_bytes: int = 64 * 1024 * 1024,
        write_buffer_bytes: int = 16 * 1024 * 1024,
        max_open_files: int = 256,
    ) -> None:
        self._cache = Cache(block_cache_bytes)
        self._write_buffer_bytes = write_buffer_bytes
        self._max_open_files = max_open_files

    def options(self) -> Options:
        """Return the options of one database."""
        table = BlockBasedOptions()
        table.set_block_cache(self._cache)
        table.set_cache_index_and_filter_blocks(True)
        table.set_pin_l0_filter_and_index_blocks_in_cache(True)
        table.set_bloom_filter(10, False)
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.create_missing_column_families(True)
        # Without a write-ahead log, this keeps data and position in step across column families.
        options.set_atomic_flush(True)
        options.set_block_based_table_factory(table)
        options.set_write_buffer_size(self._write_buffer_bytes)
        options.set_max_open_files(self._max_open_files)
        return options


class RocksDBStore:
    """`BytesStore` on a RocksDB database of its own, without a write-ahead log.

    The changelog is the log: what was not flushed to a file when the process is killed comes from
    there. Data and position are flushed together, so that they always agree.

    Args:
        path: folder of the database.
        settings: what it shares with other stores.

    Raises:
        StateError: the database cannot be opened, usually because another process has it open.
    """

    def __init__(self, path: Path, settings: RocksDBSettings) -> None:
        self._path = path
        self._settings = settings
        self._reading = threading.Condition()
        self._readers = 0
        self._write_options = WriteOptions()
        self._write_options.disable_wal = True  # type: ignore[method-assign,assignment] # a property, whatever the stubs say
        self._open()

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        options = self._settings.options()
        try:
            self._db: Any = Rdict(str(self._path), options, column_families={_META: options})
        except Exception as error:
            raise StateError(
                f"cannot open the state store at {self._path}: {error}; is another worker using this "
                "data folder? Give each worker one of its own"
            ) from error
        self._meta: Any = self._db.get_column_family(_META)
        self._meta_handle: Any = self._db.get_column_family_handle(_META)

    def get(self, key: bytes) -> bytes | None:
        """Return the value under `key`, or None."""
        try:
            value: bytes | None = self._db.get(key)
        except DbClosedError as error:
            raise self._closed() from error
        return value

    def scan(
        self, start: bytes, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Iterate entries with `start <= key < end`, as they are when the first is taken."""
        if end is not None and end <= start:
            return iter(())
        return self._iterate(start, end, reverse=reverse)

    def _iterate(self, start: bytes, end: bytes | None, *, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        # The bindings' lower bound does not work (0.3.29 sets the upper one): forward, the scan
        # seeks; backward, it stops by itself.
        options = ReadOptions()
        if end is not None:
            options.set_iterate_upper_bound(end)
        # An iterator holds the database open and locked: closing waits for those of other threads.
        with self._reading:
            self._readers += 1
        try:
            if not reverse:
                yield from self._db.items(from_key=start, read_opt=options)
                return
            for key, value in self._db.items(backwards=True, read_opt=options):
                if key < start:
                    return
                yield key, value
        except DbClosedError as error:
            raise self._closed() from error
        finally:
            with self._reading:
                self._readers -= 1
                self._reading.notify_all()

    def write(
        self, changes: Mapping[bytes, bytes | None], position: int, drop: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        """Drop the ranges, apply the changes, set the position.

        In several batches, the position in the last: a crash in between leaves the old position,
        and the changelog from there applies the same changes again.
        """
        batch = WriteBatch(raw_mode=True)
        for start, end in drop:
            batch.delete_range(start, end)
        entries = iter(changes.items())
        while chunk := list(islice(entries, _CHUNK)):
            for key, value in chunk:
                if value is None:
                    batch.delete(key)
                else:
                    batch.put(key, value)
            if len(chunk) == _CHUNK:
                self._write(batch)
                batch = WriteBatch(raw_mode=True)
        batch.put(_POSITION, position.to_bytes(8, "big"), self._meta_handle)
        self._write(batch)

    def _write(self, batch: WriteBatch) -> None:
        try:
            self._db.write(batch, self._write_options)
        except DbClosedError as error:
            raise self._closed() from error

    def position(self) -> int:
        """Return the changelog position of the last write."""
        stored = self._meta.get(_POSITION)
        return 0 if stored is None else int.from_bytes(stored, "big")

    def wipe(self) -> None:
        """Remove the database, and start an empty one."""
        self._release(flush=False)
        shutil.rmtree(self._path)
        self._open()

    def close(self) -> None:
        """Flush to disk, so that the next start restores nothing, and release the database."""
        self._release(flush=True)

    def _release(self, *, flush: bool) -> None:
        if self._meta_handle is None:
            return
        with self._reading:
            if not self._reading.wait_for(lambda: self._readers == 0, _READERS_TIMEOUT_S):
                raise StateError(f"the state store at {self._path} is still being read: it cannot be closed")
        if flush:
            self._db.flush()
        # Whatever refers to the database keeps it locked.
        self._meta.close()
        self._meta_handle = None
        self._db.close()

    def _closed(self) -> StateError:
        return StateError(f"the state store at {self._path} is closed")
