"""What is RocksDB's alone: processes that die, and processes that share a folder."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import StateError
from pipeline.state.rocksdb import RocksDBStore
from pipeline.state.rocksdb_settings import RocksDBSettings
from pipeline.state.rows import Rows

# Every write sets all keys to its position. The write buffer is small, so that RocksDB flushes
# on its own, at moments that nobody chose.
WRITER = """
import sys
from itertools import count
from pathlib import Path
from pipeline.state.rocksdb import RocksDBStore
from pipeline.state.rocksdb_settings import RocksDBSettings

path, keys = Path(sys.argv[1]), [b"%06d" % n for n in range(int(sys.argv[2]))]
store = RocksDBStore(path, RocksDBSettings(write_buffer_bytes=256 * 1024))
for position in count(1):
    value = position.to_bytes(8, "big") + bytes(100)
    store.write(dict.fromkeys(keys, value), position)
    print(position, flush=True)
"""

OPENER = """
import sys
from pathlib import Path
from pipeline.errors import StateError
from pipeline.state.rocksdb import RocksDBStore
from pipeline.state.rocksdb_settings import RocksDBSettings

try:
    RocksDBStore(Path(sys.argv[1]), RocksDBSettings())
except StateError as error:
    print(error)
"""


def written_until_killed(path: Path, keys: int, writes: int) -> int:
    """Let a process write, kill it, and return the last position that it reported."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(keys)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        last = 0
        for line in writer.stdout:
            last = int(line)
            if last == writes:
                writer.send_signal(signal.SIGKILL)
        assert writer.wait(30) == -signal.SIGKILL
    return last


@pytest.mark.parametrize(
    ("expected", "files"), [(0, False), (99_999, False), (100_000, True), (10_000_000, True)]
)
def test_many_rows_go_through_a_smaller_write_buffer(tmp_path: Path, expected: int, *, files: bool) -> None:
    """What is loaded then is in files long before the usual buffer is full; and afterwards it is as usual."""
    store = RocksDBStore(tmp_path / "db", RocksDBSettings())

    def load(name: str, mebibytes: int) -> int:
        rows = ((b"%s%06d" % (name.encode(), number), bytes(1024)) for number in range(1024 * mebibytes))
        store.load(Rows.of(rows), 1)
        return store.properties()["num-immutable-mem-table"] + store.properties()["live-sst-files-size"]

    try:
        store.expect(expected)
        assert (load("before", 6) > 0) is files
        store.expect(0)
        # What is next may go into a file once more: a flush that was due when the options were changed.
        load("after", 8)
        assert store.properties()["num-entries-active-mem-table"] >= 4 * 1024
    finally:
        store.close()


@pytest.mark.parametrize("writes", [40, 67, 100])
def test_data_and_position_agree_after_kill_9(tmp_path: Path, writes: int) -> None:
    last = written_until_killed(tmp_path / "db", keys=500, writes=writes)
    store = RocksDBStore(tmp_path / "db", RocksDBSettings())
    position = store.position()
    values = {int.from_bytes(value[:8], "big") for _, value in store.scan(b"", None)}
    store.close()
    assert 0 < position <= last
    assert values == {position}


def test_a_write_of_several_batches_is_never_behind_its_position_after_kill_9(tmp_path: Path) -> None:
    """It may be ahead: what lies between is applied again from the changelog."""
    written_until_killed(tmp_path / "db", keys=9_000, writes=12)
    store = RocksDBStore(tmp_path / "db", RocksDBSettings())
    position = store.position()
    values = [int.from_bytes(value[:8], "big") for _, value in store.scan(b"", None)]
    store.close()
    assert position > 0
    assert len(values) == 9_000
    assert min(values) >= position


def test_a_second_process_is_told_which_folder_is_in_use(tmp_path: Path) -> None:
    path = tmp_path / "app" / "0_0" / "counts"
    store = RocksDBStore(path, RocksDBSettings())
    second = subprocess.run(
        [sys.executable, "-c", OPENER, str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    store.close()
    assert str(path) in second.stdout
    assert "data folder" in second.stdout


def test_a_folder_that_holds_something_else_is_named(tmp_path: Path) -> None:
    path = tmp_path / "counts"
    path.write_text("not a folder")
    with pytest.raises(StateError, match="counts"):
        RocksDBStore(path, RocksDBSettings())


def test_stores_of_one_process_share_settings(tmp_path: Path) -> None:
    settings = RocksDBSettings(block_cache_bytes=1024 * 1024)
    stores = [RocksDBStore(tmp_path / f"s{number}", settings) for number in range(3)]
    for number, store in enumerate(stores):
        store.write({b"k": b"%d" % number}, number)
    found = [store.get(b"k") for store in stores]
    for store in stores:
        store.close()
    assert found == [b"0", b"1", b"2"]
