"""Where tasks get their stores from."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.record import TaskId
from pipeline.state.provider import MemoryProvider, RocksDBProvider, StoreProvider


def provider_of(kind: str, path: Path) -> StoreProvider:
    return RocksDBProvider(path, "app") if kind == "rocksdb" else MemoryProvider()


@pytest.mark.parametrize("kind", ["rocksdb", "memory"])
def test_every_task_and_name_has_a_store_of_its_own(kind: str, tmp_path: Path) -> None:
    provider = provider_of(kind, tmp_path)
    names = [(TaskId(0, 0), "a"), (TaskId(0, 1), "a"), (TaskId(1, 0), "a"), (TaskId(0, 0), "b")]
    stores = [provider.open(*name) for name in names]
    for number, store in enumerate(stores):
        store.write({b"k": b"%d" % number}, number)
    found = [(store.get(b"k"), store.position()) for store in stores]
    for store in stores:
        store.close()
    assert found == [(b"0", 0), (b"1", 1), (b"2", 2), (b"3", 3)]


@pytest.mark.parametrize("kind", ["rocksdb", "memory"])
def test_a_store_opened_again_holds_what_it_held(kind: str, tmp_path: Path) -> None:
    provider = provider_of(kind, tmp_path)
    store = provider.open(TaskId(0, 0), "a")
    store.write({b"k": b"v"}, 4)
    store.close()
    again = provider.open(TaskId(0, 0), "a")
    assert (again.get(b"k"), again.position()) == (b"v", 4)
    again.close()


def test_databases_lie_by_application_task_and_store(tmp_path: Path) -> None:
    RocksDBProvider(tmp_path, "app").open(TaskId(2, 7), "counts").close()
    assert (tmp_path / "app" / "2_7" / "counts" / "CURRENT").exists()
