"""Damaged files of a store: found, set aside, restored; never taken for the state."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.dsl.builder import StreamsBuilder
from pipeline.errors import CorruptStoreError, StateError
from pipeline.record import TaskId
from pipeline.runtime.worker import Worker
from pipeline.state.provider import RocksDBProvider
from pipeline.topology import Topology
from tests.operators.cluster import Cluster

TASK = TaskId(0, 0)
KEYS = [f"key-{number:05}" for number in range(2_000)]


def counting(*, logging: bool = True) -> Topology:
    builder = StreamsBuilder("app")
    builder.stream("in", key=str, value=str).group_by_key().count(name="counts", logging=logging)
    return builder.build()


def table(worker: Worker) -> dict[str, int]:
    stores = worker.registry.open("counts").values()
    return {key: count for store in stores for key, count in store.all()}


def flip(file: Path, start: int, length: int) -> None:
    data = bytearray(file.read_bytes())
    start %= len(data)
    data[start : start + length] = bytes(byte ^ 0x5A for byte in data[start : start + length])
    file.write_bytes(bytes(data))


def data_file(folder: Path) -> Path:
    return max(folder.glob("*.sst"), key=lambda path: path.stat().st_size)


def manifest(folder: Path) -> Path:
    (found,) = folder.glob("MANIFEST-*")
    return found


def remove(folder: Path, *patterns: str) -> None:
    for pattern in patterns:
        for path in folder.glob(pattern):
            path.unlink()


DAMAGE: dict[str, Callable[[Path], None]] = {
    "data is cut off": lambda folder: os.truncate(data_file(folder), 1_000),
    "data is missing": lambda folder: data_file(folder).unlink(),
    "the end of data is changed": lambda folder: flip(data_file(folder), -40, 40),
    "the manifest is changed": lambda folder: flip(manifest(folder), 100, 50),
    "the manifest is cut off": lambda folder: os.truncate(manifest(folder), 50),
    "the manifest is missing": lambda folder: manifest(folder).unlink(),
    "CURRENT is changed": lambda folder: flip(folder / "CURRENT", 0, 5),
    "CURRENT is empty": lambda folder: os.truncate(folder / "CURRENT", 0),
    "CURRENT is missing": lambda folder: (folder / "CURRENT").unlink(),
    "CURRENT and the log are missing": lambda folder: remove(folder, "CURRENT", "*.log"),
    "rows are changed, which only reading tells": lambda folder: flip(data_file(folder), 100, 500),
}


def filled(folder: Path, *, logged: bool = True, **settings: int) -> Cluster:
    cluster = Cluster(counting(logging=logged), {"in": 1}, **settings)
    worker = cluster.worker("a", RocksDBProvider(folder, "app"))
    cluster.run(worker, turns=4)
    for key in KEYS:
        cluster.send("in", key)
    cluster.run(worker, turns=8)
    assert len(table(worker)) == len(KEYS)
    worker.close()
    return cluster


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a10_3_a_damaged_store_is_set_aside_and_restored(
    damage: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = filled(tmp_path)
    folder = tmp_path / "app" / "0_0" / "counts"
    damage(folder)
    worker = cluster.worker("a", RocksDBProvider(tmp_path, "app"))
    with caplog.at_level(logging.ERROR):
        cluster.run(worker, turns=4)
        for key in KEYS:
            cluster.send("in", key)
        cluster.run(worker, turns=12)
    assert table(worker) == dict.fromkeys(KEYS, 2)
    assert worker.status().problem is None
    (aside,) = folder.parent.glob("counts+corrupt-*")
    (said,) = [record.getMessage() for record in caplog.records]
    assert str(folder) in said
    assert str(aside) in said
    worker.close()


@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_does_not_end_where_data_is_damaged(reverse: bool, tmp_path: Path) -> None:  # noqa: FBT001 - pytest passes it by name
    filled(tmp_path)
    provider = RocksDBProvider(tmp_path, "app")
    flip(data_file(tmp_path / "app" / "0_0" / "counts"), 100, 500)
    store = provider.open(TASK, "counts")
    with pytest.raises(CorruptStoreError, match="damaged"):
        list(store.scan(b"", None, reverse=reverse))
    store.close()
    with pytest.raises(CorruptStoreError, match="damaged"):
        provider.open(TASK, "counts")
    provider.close()


def test_what_a_query_finds_damaged_is_restored_after_the_next_commit(tmp_path: Path) -> None:
    cluster = filled(tmp_path)
    flip(data_file(tmp_path / "app" / "0_0" / "counts"), 100, 500)
    worker = cluster.worker("a", RocksDBProvider(tmp_path, "app"))
    cluster.run(worker, turns=4)
    with pytest.raises(CorruptStoreError):
        table(worker)
    cluster.send("in", "new")  # It is in none of the damaged rows.
    cluster.run(worker, turns=12)
    assert table(worker) == dict.fromkeys([*KEYS, "new"], 1)
    worker.close()


def test_a_store_without_a_changelog_is_not_begun_anew(tmp_path: Path) -> None:
    cluster = filled(tmp_path, logged=False)
    folder = tmp_path / "app" / "0_0" / "counts+unlogged"
    os.truncate(folder / "CURRENT", 0)
    worker = cluster.worker("a", RocksDBProvider(tmp_path, "app"))
    with pytest.raises(
        StateError, match=r"store 'counts' has no changelog to restore it from.*Bring its folder"
    ):
        cluster.run(worker, turns=4)
    worker.abort()
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_store_that_is_in_use_is_not_damaged(tmp_path: Path) -> None:
    provider = RocksDBProvider(tmp_path, "app")
    store = provider.open(TASK, "counts")
    with pytest.raises(StateError, match="another worker") as raised:
        provider.open(TASK, "counts")
    assert not isinstance(raised.value, CorruptStoreError)
    store.close()
    provider.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_store_that_may_not_be_read_is_not_damaged(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "app" / "0_0" / "counts" / "CURRENT").chmod(0)
    provider = RocksDBProvider(tmp_path, "app")
    with pytest.raises(StateError, match="ermission") as raised:
        provider.open(TASK, "counts")
    assert not isinstance(raised.value, CorruptStoreError)
    provider.close()


def test_so_many_damaged_stores_are_kept(tmp_path: Path) -> None:
    cluster = filled(tmp_path, corrupt_stores=2)
    folder = tmp_path / "app" / "0_0" / "counts"
    found: list[Path] = []
    for _ in range(4):
        os.truncate(folder / "CURRENT", 0)
        worker = cluster.worker("a", RocksDBProvider(tmp_path, "app"))
        cluster.run(worker, turns=8)
        assert len(table(worker)) == len(KEYS)
        worker.close()
        (new,) = set(folder.parent.glob("counts+corrupt-*")) - set(found)
        found.append(new)
    assert [path for path in found if path.exists()] == found[-2:]
