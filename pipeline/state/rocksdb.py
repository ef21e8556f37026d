"""An ordered map of bytes on disk: RocksDB. Beside its settings the only module that imports its bindings."""

from __future__ import annotations

import shutil
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from weakref import WeakSet

from rocksdict import DbClosedError, Rdict, ReadOptions, WriteBatch, WriteOptions

from pipeline.errors import CorruptStoreError, StateError
from pipeline.state.rocksdb_settings import RocksDBSettings
from pipeline.state.rows import Rows

_META = "meta"
_POSITION = b"position"
#: A write holds the interpreter's lock: HTTP waits for at most this many entries.
_CHUNK = 4_000
#: Entries that a scan reads at once: at first, and then.
_FIRST, _AHEAD = 8, 64
#: In a database's folder: why it is not to be opened any more.
_DAMAGE = "damage"
#: What RocksDB says of files that are not as it wrote them, or not there, wherever in its message.
_SIGNS = ("Corruption:", "No such file or directory")

#: What is told of a database, by RocksDB's names without their prefix. The block cache is shared by all.
PROPERTIES: Final = (
    "estimate-num-keys",
    "num-entries-active-mem-table",
    "cur-size-all-mem-tables",
    "size-all-mem-tables",
    "num-immutable-mem-table",
    "num-running-compactions",
    "compaction-pending",
    "estimate-pending-compaction-bytes",
    "total-sst-files-size",
    "live-sst-files-size",
    "estimate-live-data-size",
    "estimate-table-readers-mem",
    "num-live-versions",
    "background-errors",
    "block-cache-capacity",
    "block-cache-usage",
    "block-cache-pinned-usage",
)


class RocksDBStore:
    """`BytesStore` on a RocksDB database of its own, without a write-ahead log.

    The changelog is the log. A killed process leaves what RocksDB had flushed to files, data and
    position as of one moment; the rest is restored from the changelog. `close` flushes, so a clean
    restart restores nothing.

    Damaged files are found when it is opened, or when what they held is read. From then on the store is
    of no use: nothing is written, and it cannot be opened again.

    Args:
        path: folder of the database.
        settings: what it shares with other stores.

    Raises:
        CorruptStoreError: its files are damaged.
        StateError: the database cannot be opened, usually because another process has it open.
    """

    def __init__(self, path: Path, settings: RocksDBSettings) -> None:
        self._path = path
        self._settings = settings
        # Whatever refers to a database keeps it locked, and closing it under a call of another
        # thread fails in that thread: so both take turns.
        self._lock = threading.RLock()
        self._scans: WeakSet[_Scan] = WeakSet()
        self._write_options = WriteOptions()
        self._write_options.disable_wal = True  # type: ignore[method-assign,assignment] # a property, whatever the stubs say
        self._open()

    def _open(self) -> None:
        options = self._settings.options()
        self._damage = self._known_damage()
        if self._damage is not None:
            raise self._corrupt("open", self._damage)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._db: Any = Rdict(str(self._path), options, column_families={_META: options})
        except Exception as error:
            if any(sign in str(error) for sign in _SIGNS):
                raise self._corrupt("open", error) from error
            raise StateError(
                f"cannot open the state store at {self._path}: {error}; is another worker using this "
                "data folder? Give each worker one of its own"
            ) from error
        self._meta: Any = self._db.get_column_family(_META)
        self._meta_handle: Any = self._db.get_column_family_handle(_META)
        #: How many times smaller than usual its write buffer is.
        self._shrinks = 1

    def _known_damage(self) -> str | None:
        """Return what was found before; or that what RocksDB starts from is missing: it would begin anew."""
        found = self._path / _DAMAGE
        if found.exists():
            return found.read_text(encoding="utf-8")
        if not (self._path / "CURRENT").exists() and any(self._path.glob("*.sst")):
            return "there is data and no file CURRENT"
        return None

    def get(self, key: bytes) -> bytes | None:
        """Return the value under `key`, or None."""
        with self._lock:
            try:
                value: bytes | None = self._db.get(key)
            except Exception as error:
                raise self._failed("read", error) from error
            return value

    def scan(
        self, start: bytes, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Iterate entries with `start <= key < end`, as they are now; closing ends it with an error."""
        options = ReadOptions()
        if end is not None:
            # RocksDB's bounds may not cross.
            options.set_iterate_upper_bound(max(start, end))
        with self._lock:
            try:
                # Not `items`: it takes damaged data for the end of all data (rocksdict 0.3.29).
                entries = self._db.iter(options)
                if reverse:
                    entries.seek_to_last()
                else:
                    # Not `set_iterate_lower_bound`: it sets the upper bound (rocksdict 0.3.29).
                    entries.seek(start)
            except Exception as error:
                raise self._failed("scan", error) from error
            scan = _Scan(self, entries, start if reverse else None, options)
            self._scans.add(scan)
        return scan

    def write(
        self, changes: Mapping[bytes, bytes | None], position: int, drop: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        """Drop the ranges, apply the changes, set the position.

        In several batches, the position in the last: a crash in between leaves the old position,
        and the changelog from there applies the same changes again. All of them are committed
        already, so nothing is there too early.
        """
        batch = WriteBatch(raw_mode=True)
        for start, end in drop:
            # RocksDB refuses a range whose end is before its start.
            if start < end:
                batch.delete_range(start, end)
        # In order: what is inserted into a skip list beside the last finds its place in a third of the time.
        keys = sorted(changes)
        self._apply(batch, Rows(keys, list(map(changes.__getitem__, keys))), position)

    def load(self, rows: Rows, position: int) -> None:
        """Apply the rows, set the position, in several batches likewise.

        In the order of the log: to sort takes as long as it saves where the write buffer is small.
        """
        self._apply(WriteBatch(raw_mode=True), rows, position)

    def _apply(self, batch: WriteBatch, rows: Rows, position: int) -> None:
        last = len(rows.all_keys) // _CHUNK * _CHUNK
        for begin in range(0, last, _CHUNK):
            _fill(batch, rows[begin : begin + _CHUNK])
            self._write(batch)
            batch = WriteBatch(raw_mode=True)
        _fill(batch, rows[last:])
        with self._lock:
            self._check_open()
            batch.put(_POSITION, position.to_bytes(8, "big"), self._meta_handle)
            self._write(batch)

    def expect(self, rows: int) -> None:
        """Have RocksDB take many rows fast, or go on as usual; see `RocksDBSettings.shrinks`."""
        shrinks = self._settings.shrinks(rows)
        with self._lock:
            self._check_open()
            if shrinks != self._shrinks:
                try:
                    self._db.set_options(self._settings.changed(shrinks))
                except Exception as error:
                    raise self._failed("set options of", error) from error
                self._shrinks = shrinks

    def _write(self, batch: WriteBatch) -> None:
        with self._lock:
            self._check_whole("write")
            try:
                self._db.write(batch, self._write_options)
            except Exception as error:
                raise self._failed("write", error) from error

    def properties(self) -> Mapping[str, int]:
        """Return RocksDB's properties: it keeps them in memory, each takes about a microsecond."""
        with self._lock:
            self._check_open()
            found = ((name, self._db.property_int_value(f"rocksdb.{name}")) for name in PROPERTIES)
            return {name: value for name, value in found if value is not None}

    def approximate_count(self) -> int:
        """Return RocksDB's estimate: what was overwritten or deleted lately may count."""
        with self._lock:
            try:
                estimate: int | None = self._db.property_int_value("rocksdb.estimate-num-keys")
            except Exception as error:
                raise self._failed("read", error) from error
        return estimate or 0

    def position(self) -> int:
        """Return the changelog position of the last write: that of a damaged store says nothing."""
        with self._lock:
            self._check_open()
            self._check_whole("read")
            try:
                stored = self._meta.get(_POSITION)
            except Exception as error:
                raise self._failed("read", error) from error
        return 0 if stored is None else int.from_bytes(stored, "big")

    def wipe(self) -> None:
        """Remove the database, and start an empty one."""
        with self._lock:
            self._check_open()
            self._release()
            shutil.rmtree(self._path)
            self._open()

    def close(self) -> None:
        """Flush to disk, so that the next start restores nothing, and release the database."""
        if self._meta_handle is None:
            return
        # Data before position: killed in between, the old position applies the same data again.
        # Flushing releases the interpreter's lock, and needs none of ours: readers go on.
        try:
            if self._damage is None:
                self._db.flush()
        except Exception as error:
            raise self._failed("flush", error) from error
        finally:
            with self._lock:
                self._release()

    def _release(self) -> None:
        for scan in list(self._scans):
            scan.end()
        self._meta_handle = None
        self._meta.close()
        self._db.close()

    def _check_open(self) -> None:
        if self._meta_handle is None:
            raise self._closed()

    def _check_whole(self, what: str) -> None:
        if self._damage is not None:
            # Found by a reader, which may be one of another thread.
            raise self._corrupt(what, self._damage)

    def _closed(self) -> StateError:
        return StateError(f"the state store at {self._path} is closed")

    def _failed(self, what: str, error: Exception) -> StateError:
        if isinstance(error, DbClosedError):
            return self._closed()
        if any(sign in str(error) for sign in _SIGNS):
            self._damage = str(error)
            (self._path / _DAMAGE).write_text(self._damage, encoding="utf-8")
            return self._corrupt(what, error)
        return StateError(f"cannot {what} the state store at {self._path}: {error}; check disk and folder")

    def _corrupt(self, what: str, why: object) -> CorruptStoreError:
        return CorruptStoreError(f"cannot {what} the state store at {self._path}, which is damaged: {why}")


def _fill(batch: WriteBatch, rows: Rows) -> None:
    if all(rows.all_values):
        # Nothing is deleted: without a step of Python for each row.
        deque(map(batch.put, rows.all_keys, rows.all_values), 0)
        return
    for key, value in rows:
        if value is None:
            batch.delete(key)
        else:
            batch.put(key, value)


class _Scan:
    """An iteration that its store can end: as long as it refers to the database, that stays locked."""

    def __init__(self, store: RocksDBStore, entries: Any, first: bytes | None, options: Any) -> None:
        self._lock, self._closed, self._failed = store._lock, store._closed, store._failed  # noqa: SLF001 - a part of the store
        self._entries: Any = entries
        #: Backwards: where it ends.
        self._first = first
        # RocksDB reads the upper bound where these options keep it: freed, a scan ends anywhere.
        self._options = options
        #: What is read already, the next one last; most scans want few entries, and long ones many at once.
        self._ahead: list[tuple[bytes, bytes]] = []
        self._size = _FIRST
        #: Whether everything is read. RocksDB ends where it cannot read on, too: then it is an error.
        self._whole = False

    def __iter__(self) -> _Scan:
        return self

    def __next__(self) -> tuple[bytes, bytes]:
        if self._entries is None:
            raise self._closed()
        if not self._ahead:
            self._read()
        entry = self._ahead.pop()
        if self._first is not None and entry[0] < self._first:
            self._ahead.clear()
            raise StopIteration
        return entry

    def _read(self) -> None:
        if self._whole:
            raise StopIteration
        failure = None
        with self._lock:
            entries, ahead = self._entries, self._ahead
            if entries is None:
                raise self._closed()
            valid, key, value = entries.valid, entries.key, entries.value
            step = entries.next if self._first is None else entries.prev
            while len(ahead) < self._size and valid():
                ahead.append((key(), value()))
                step()
            if len(ahead) < self._size:
                self._whole = True
                try:
                    entries.status()
                except Exception as error:  # noqa: BLE001 - raised below
                    failure = self._failed("scan", error)
            # What refers to the iterator keeps the database locked, as the frames of an error do.
            del entries, valid, key, value, step
        if failure is not None:
            raise failure
        if not ahead:
            raise StopIteration
        ahead.reverse()
        self._size = _AHEAD

    def end(self) -> None:
        """Let go of the database."""
        self._entries = None
