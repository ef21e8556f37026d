"""How RocksDB is set up: what the stores of a process share, and what changes while one is loaded."""

from __future__ import annotations

from typing import Final

from rocksdict import BlockBasedOptions, Cache, Options, WriteBufferManager

#: So many rows are worth changing options for, and back: RocksDB takes some milliseconds each time.
_MANY: Final = 100_000
#: A write buffer that a processor's cache holds.
_LOAD_BUFFER_BYTES: Final = 2 * 1024 * 1024
#: RocksDB's defaults: write buffers of a store; files of them that are merged, slow writes, stop writes.
_COUNTS: Final = {
    "max_write_buffer_number": 2,
    "level0_file_num_compaction_trigger": 4,
    "level0_slowdown_writes_trigger": 20,
    "level0_stop_writes_trigger": 36,
}


class RocksDBSettings:
    """What the stores of one process share.

    Args:
        block_cache_bytes: one cache for all stores, index and filter blocks included.
        write_buffer_bytes: of each store, before it is written to a file.
        write_buffers_bytes: of all stores together, likewise.
        max_open_files: of each store.
    """

    def __init__(
        self,
        block_cache_bytes: int = 32 * 1024 * 1024,
        write_buffer_bytes: int = 16 * 1024 * 1024,
        write_buffers_bytes: int = 32 * 1024 * 1024,
        max_open_files: int = 256,
    ) -> None:
        self._cache = Cache(block_cache_bytes)
        self._write_buffer_bytes = write_buffer_bytes
        # Without stalling: stores are written in turn by one thread, which would wait for itself.
        self._write_buffers = WriteBufferManager(write_buffers_bytes, False)
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
        options.set_write_buffer_manager(self._write_buffers)
        options.set_max_open_files(self._max_open_files)
        # Every opening starts a new one.
        options.set_keep_log_file_num(2)
        return options

    def shrinks(self, rows: int) -> int:
        """Return how many times smaller a write buffer is to be while so many rows are loaded into a store.

        What a write buffer of the usual size holds lies all over the memory: to find the place of an entry
        among it takes three times as long as in one that the processor's cache holds.
        """
        return max(1, self._write_buffer_bytes // _LOAD_BUFFER_BYTES) if rows >= _MANY else 1

    def changed(self, shrinks: int) -> dict[str, str]:
        """Return the options of an open database that has write buffers so many times smaller than usual.

        So many times more of them make files that are so much smaller: it does with as many bytes what it
        does else.
        """
        counts = {name: str(count * shrinks) for name, count in _COUNTS.items()}
        return {"write_buffer_size": str(self._write_buffer_bytes // shrinks), **counts}
