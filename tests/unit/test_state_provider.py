"""Where tasks get their stores from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.errors import StateError
from pipeline.record import TaskId
from pipeline.state.provider import MemoryProvider, RocksDBProvider, StoreProvider


@pytest.fixture(params=["rocksdb", "memory"])
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreProvider]:
    with closing(
        RocksDBProvider(tmp_path, "app") if request.param == "rocksdb" else MemoryProvider()
    ) as opened:
        yield opened


def test_every_task_and_name_has_a_store_of_its_own(provider: StoreProvider) -> None:
    names = [(TaskId(0, 0), "a"), (TaskId(0, 1), "a"), (TaskId(1, 0), "a"), (TaskId(0, 0), "b")]
    stores = [provider.open(*name) for name in names]
    for number, store in enumerate(stores):
        store.write({b"k": b"%d" % number}, number)
    found = [(store.get(b"k"), store.position()) for store in stores]
    for store in stores:
        store.close()
    assert found == [(b"0", 0), (b"1", 1), (b"2", 2), (b"3", 3)]


def test_a_store_opened_again_holds_what_it_held(provider: StoreProvider) -> None:
    store = provider.open(TaskId(0, 0), "a")
    store.write({b"k": b"v"}, 4)
    store.close()
    again = provider.open(TaskId(0, 0), "a")
    assert (again.get(b"k"), again.position()) == (b"v", 4)
    again.close()


def test_databases_lie_by_application_task_and_store(tmp_path: Path) -> None:
    with closing(RocksDBProvider(tmp_path, "app")) as provider:
        provider.open(TaskId(2, 7), "counts").close()
    assert (tmp_path / "app" / "2_7" / "counts" / "CURRENT").exists()


def test_a_folder_is_one_workers(tmp_path: Path) -> None:
    with closing(RocksDBProvider(tmp_path, "app")) as first:
        first.open(TaskId(0, 0), "a").close()
        with pytest.raises(StateError, match=r"another worker uses the data folder .*--datadir"):
            RocksDBProvider(tmp_path, "app").open(TaskId(0, 1), "a")
        with closing(RocksDBProvider(tmp_path, "other")) as other:
            assert other.identity != first.identity


def test_a_worker_is_the_same_after_a_restart(tmp_path: Path) -> None:
    identities = set()
    for _ in range(2):
        with closing(RocksDBProvider(tmp_path, "app")) as provider:
            identities.add(provider.identity)
    assert len(identities) == 1
    assert len({MemoryProvider().identity for _ in range(2)}) == 2


def test_a_folder_of_another_layout_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "layout").write_text("0", encoding="utf-8")
    with pytest.raises(StateError, match="layout 0, and this version reads and writes layout 1: remove"):
        RocksDBProvider(tmp_path, "app").open(TaskId(0, 0), "a")


def test_a_folder_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    (tmp_path / "app").write_text("a file", encoding="utf-8")
    with pytest.raises(StateError, match="cannot use the data folder"):
        RocksDBProvider(tmp_path, "app").open(TaskId(0, 0), "a")
