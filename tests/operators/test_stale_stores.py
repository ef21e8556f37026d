"""Stores of tasks that went away to another worker: kept for a while, then removed a little at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.dsl.builder import StreamsBuilder
from pipeline.record import TaskId
from pipeline.runtime.worker import Worker
from pipeline.state.provider import RocksDBProvider
from pipeline.topology import Topology
from tests.operators.cluster import Cluster

#: Longer than it takes to look twice: tasks are seen to be away, and their stores stay.
DELAY_MS = 300_000


def counting() -> Topology:
    builder = StreamsBuilder("app")
    words = builder.stream("in", key=str, value=str).group_by_key()
    words.count(name="counts")
    words.count(name="local", logging=False)
    return builder.build()


def table(worker: Worker) -> dict[str, int]:
    stores = worker.registry.open("counts").values()
    return {key: count for store in stores for key, count in store.all()}


def stored(folder: Path) -> set[str]:
    """Return what lies in the data folder of the first worker."""
    paths = (folder / "a" / "app").glob("*/*")
    return {f"{path.parent.name}/{path.name}" for path in paths if path.name[0] != "."}


def two_workers(folder: Path) -> tuple[Cluster, Worker, Worker]:
    """The first worker has both tasks, then the second one takes one of them."""
    cluster = Cluster(counting(), {"in": 2}, state_cleanup_delay_ms=DELAY_MS)
    first = cluster.worker("a", RocksDBProvider(folder / "a", "app"))
    cluster.run(first, turns=4)
    for number in range(100):
        cluster.send("in", f"key-{number}", number % 2)
    cluster.run(first, turns=4)
    second = cluster.worker("b", RocksDBProvider(folder / "b", "app"))
    cluster.run(first, second, turns=6)
    assert (first.status().tasks, second.status().tasks) == (1, 1)
    return cluster, first, second


ALL = {"0_0/counts", "0_0/local+unlogged", "0_1/counts", "0_1/local+unlogged"}


def test_they_are_removed_after_the_delay_and_those_without_a_changelog_never(tmp_path: Path) -> None:
    cluster, first, second = two_workers(tmp_path)
    cluster.run(first, second, turns=10, advance_ms=20_000)
    assert stored(tmp_path) == ALL
    cluster.run(first, second, turns=10, advance_ms=DELAY_MS)
    assert stored(tmp_path) == ALL - {"0_1/counts"}
    assert len(table(first) | table(second)) == 100
    first.close()
    second.close()


def test_a_task_that_comes_back_in_time_restores_only_the_difference(tmp_path: Path) -> None:
    cluster, first, second = two_workers(tmp_path)
    cluster.send("in", "key-new", 1)
    cluster.run(first, second, turns=6)
    before = first.status().metrics["records_restored"]
    second.close()
    cluster.run(first, turns=6)
    assert first.status().metrics["records_restored"] - before == 1
    assert len(table(first)) == 101
    cluster.run(first, turns=10, advance_ms=DELAY_MS)
    assert stored(tmp_path) == ALL
    first.close()


def test_a_task_that_comes_back_late_restores_everything(tmp_path: Path) -> None:
    cluster, first, second = two_workers(tmp_path)
    cluster.run(first, second, turns=10, advance_ms=DELAY_MS)
    before = first.status().metrics["records_restored"]
    second.close()
    cluster.run(first, turns=6)
    assert first.status().metrics["records_restored"] - before == 50
    assert len(table(first)) == 100
    first.close()


def test_a_worker_that_waits_for_its_partitions_removes_nothing(tmp_path: Path) -> None:
    cluster, first, second = two_workers(tmp_path)
    first.close()
    cluster.broker.reachable = False
    first = cluster.worker("a", RocksDBProvider(tmp_path / "a", "app"))
    cluster.run(first, turns=20, advance_ms=DELAY_MS)
    assert stored(tmp_path) == ALL
    first.close()
    second.abort()


@pytest.mark.parametrize("files", [1, 3])
def test_a_step_removes_so_many_files(files: int, tmp_path: Path) -> None:
    provider, task = RocksDBProvider(tmp_path, "app"), TaskId(0, 1)
    store = provider.open(task, "counts")
    store.write({b"a": b"b"}, 1)
    store.close()
    folder = tmp_path / "app" / "0_1"
    count = len(list((folder / "counts").iterdir()))
    provider.discard(task, "counts")
    assert provider.stored() == {task: []}
    provider.close()
    # What a worker left that was stopped meanwhile, the next one removes.
    provider = RocksDBProvider(tmp_path, "app")
    steps = []
    while removed := provider.sweep(files):
        steps.append(removed)
    assert max(steps) <= files + 1  # The folder goes with its last file.
    assert sum(steps) == count + 1
    assert not folder.exists()
    provider.close()
