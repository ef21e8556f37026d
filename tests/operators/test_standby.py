"""Standby replicas: a task that moves to a worker with a copy restores only the difference."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dsl.builder import StreamsBuilder
from pipeline.record import NO_HEADERS, TaskId, TopicPartition
from pipeline.runtime.group import Member
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.standby_placement import keepers, range_owners
from pipeline.runtime.worker import Worker
from pipeline.serde import INT64
from pipeline.state.caching import pack_time
from pipeline.state.provider import MemoryProvider, RocksDBProvider, StoreProvider
from pipeline.state.segment_keys import SESSIONS, WINDOWS
from pipeline.topology import Topology
from pipeline.windows import session, tumbling
from tests.operators.cluster import Cluster

KEYS = 100
PER_STEP = 20
GUARANTEES = ["at_least_once", "exactly_once"]


def counting(*, in_memory: bool = False) -> Topology:
    builder = StreamsBuilder("app")
    builder.stream("in", key=str, value=str).group_by_key().count(name="counts", in_memory=in_memory)
    return builder.build()


def reused_source() -> Topology:
    builder = StreamsBuilder("app")
    builder.table("in", name="counts", value=str, reuse_source=True)
    return builder.build()


def table(worker: Worker) -> dict[str, int]:
    stores = worker.registry.open("counts").values()
    return {key: count for store in stores for key, count in store.all()}


def restored(worker: Worker) -> int:
    return worker.status().metrics["records_restored"]


def copies(worker: Worker) -> tuple[int, int]:
    """Return of how many tasks there are copies, and how far they are behind."""
    status = worker.status().standbys
    assert status is not None
    return status.tasks, status.lag


def two(cluster: Cluster, disk: StoreProvider | None = None) -> tuple[Worker, Worker]:
    """One worker has a partition, the other one the other, and each a copy of the other's."""
    first, second = cluster.worker("a"), cluster.worker("b", disk)
    cluster.run(first, second, turns=8)
    for number in range(KEYS):
        cluster.send("in", f"key-{number}", number % 2)
    cluster.run(first, second, turns=20)
    assert (copies(first), copies(second)) == ((1, 0), (1, 0))
    return first, second


@pytest.mark.parametrize("guarantee", GUARANTEES)
@pytest.mark.parametrize(
    ("topology", "disk"),
    [
        (counting, lambda folder: RocksDBProvider(folder, "app")),
        (lambda: counting(in_memory=True), lambda folder: MemoryProvider()),
        (reused_source, lambda folder: MemoryProvider()),
    ],
    ids=["RocksDB", "in memory", "restored from its topic"],
)
def test_a10_3_a_task_that_moves_to_a_copy_restores_only_the_difference(
    topology: Callable[[], Topology], disk: Callable[[Path], StoreProvider], guarantee: str, tmp_path: Path
) -> None:
    cluster = Cluster(
        topology(),
        {"in": 2},
        standby_replicas=1,
        restore_records=PER_STEP,
        processing_guarantee=guarantee,
    )
    first, second = two(cluster, disk(tmp_path))
    cluster.send("in", "key-new", 0)
    cluster.run(first, turns=4)  # The second one does not hear of it.
    first.abort()
    before = restored(second)
    cluster.run(second, turns=8)
    assert restored(second) - before == 1
    assert set(table(second)) == {*(f"key-{number}" for number in range(KEYS)), "key-new"}
    cluster.send("in", "key-0", 0)
    cluster.run(second, turns=4)
    assert second.status().problem is None
    second.close()


def test_without_copies_everything_is_restored() -> None:
    cluster = Cluster(counting(), {"in": 2})
    first, second = cluster.worker("a"), cluster.worker("b")
    cluster.run(first, second, turns=8)
    for number in range(KEYS):
        cluster.send("in", f"key-{number}", number % 2)
    cluster.run(first, second, turns=6)
    assert second.status().standbys is None
    first.abort()
    before = restored(second)
    cluster.run(second, turns=8)
    assert restored(second) - before == KEYS // 2


def test_a10_3_what_was_logged_without_a_commit_is_in_no_copy() -> None:
    cluster = Cluster(counting(), {"in": 2}, standby_replicas=1)
    first, second = two(cluster)
    producer = cluster.broker.producer("killed")
    for key in ("key-0", "key-uncommitted"):
        value = pack_time(0) + INT64.serialize(99)
        producer.produce("app-counts-changelog", value, key.encode(), 0, -1, NO_HEADERS)
    producer.flush(0)
    before = second.status().metrics["records_standby"]
    cluster.run(second, turns=10)
    assert second.status().metrics["records_standby"] == before
    first.abort()
    cluster.run(second, turns=8)
    assert table(second) == {f"key-{number}": 1 for number in range(KEYS)}
    # Nor is it in a copy that is made later: the owner has logged what these keys are worth.
    third = cluster.worker("c")
    cluster.run(second, third, turns=12)
    second.abort()
    cluster.run(third, turns=8)
    assert table(third) == {f"key-{number}": 1 for number in range(KEYS)}


def test_a_step_reads_so_many_records() -> None:
    cluster = Cluster(counting(), {"in": 2}, standby_replicas=1, restore_records=PER_STEP)
    first, second = cluster.worker("a"), cluster.worker("b")
    cluster.run(first, second, turns=8)
    for number in range(KEYS):
        cluster.send("in", f"key-{number}", 0)
    cluster.run(first, turns=6)
    read = []
    for _ in range(10):
        before = second.status().metrics["records_standby"]
        second.step()
        read.append(second.status().metrics["records_standby"] - before)
        cluster.clock.advance(1_000)
    assert max(read) == PER_STEP
    assert sum(read) == KEYS


@pytest.mark.parametrize("replicas", [1, 2, 5])
def test_each_task_has_so_many_copies_on_other_workers(replicas: int) -> None:
    cluster = Cluster(counting(), {"in": 5}, standby_replicas=replicas)
    workers = [cluster.worker(name) for name in "abc"]
    cluster.run(*workers, turns=20)
    assert sum(copies(worker)[0] for worker in workers) == 5 * min(replicas, 2)
    workers.pop().close()
    cluster.run(*workers, turns=20)
    assert sum(copies(worker)[0] for worker in workers) == 5
    workers.pop().close()
    cluster.run(*workers, turns=20)
    assert copies(workers[0]) == (0, 0)


def test_a_copy_stays_on_disk_when_it_is_kept_elsewhere_and_is_removed_like_other_stores() -> None:
    cluster = Cluster(counting(), {"in": 1}, standby_replicas=1, state_cleanup_delay_ms=600_000)
    disk = MemoryProvider()
    owner, heir = cluster.worker("b"), cluster.worker("c", disk)
    cluster.run(owner, heir, turns=8)
    assert copies(heir)[0] == 1
    assert set(disk.stored()) == {TaskId(0, 0)}
    cluster.run(owner, heir, turns=10, advance_ms=600_000)
    assert set(disk.stored()) == {TaskId(0, 0)}  # It is a copy that is kept.
    other = cluster.worker("a")
    cluster.run(owner, heir, other, turns=10)
    assert (other.status().tasks, copies(owner)[0], copies(heir)[0]) == (1, 1, 0)
    assert set(disk.stored()) == {TaskId(0, 0)}
    cluster.run(owner, heir, other, turns=10, advance_ms=600_000)
    assert not disk.stored()


def test_windows_that_have_expired_are_dropped_from_copies() -> None:
    builder = StreamsBuilder("app")
    words = builder.stream("in", key=str, value=str).group_by_key()
    words.windowed_by(tumbling(timedelta(minutes=1), grace=timedelta(0))).count(name="counts")
    cluster = Cluster(builder.build(), {"in": 1}, standby_replicas=1)
    disk = MemoryProvider()
    owner, heir = cluster.worker("a"), cluster.worker("b", disk)
    cluster.run(owner, heir, turns=8)
    for minute in range(50):
        producer = cluster.broker.producer("test")
        producer.produce("in", b"x", b"key", 0, minute * 60_000, NO_HEADERS)
        producer.flush(0)
        cluster.run(owner, heir, turns=4)
    owner.abort()
    heir.abort()
    assert 0 < disk.open(TaskId(0, 0), "counts").approximate_count() < 10


@pytest.mark.parametrize(
    ("windows", "late"),
    [
        (tumbling(timedelta(minutes=1), grace=timedelta(0)), WINDOWS.changelog_key(b"late", (3_600_000, 0))),
        (
            session(timedelta(minutes=1), grace=timedelta(0)),
            SESSIONS.changelog_key(b"late", (3_600_000, 3_600_000)),
        ),
    ],
    ids=["windows", "sessions"],
)
def test_a10_3_what_was_logged_without_a_commit_lets_nothing_expire_in_a_copy(
    windows: Any, late: bytes
) -> None:
    builder = StreamsBuilder("app")
    builder.stream("in", key=str, value=str).group_by_key().windowed_by(windows).count(name="counts")
    cluster = Cluster(builder.build(), {"in": 1}, standby_replicas=1)
    owner = cluster.worker("b")
    cluster.send("in", "early")
    cluster.run(owner, turns=4)
    # An hour ahead; the next owner logs that it does not count, and only then it is read by a copy.
    producer = cluster.broker.producer("killed")
    value = pack_time(3_600_000) + INT64.serialize(1)
    producer.produce("app-counts-changelog", value, late, 0, -1, NO_HEADERS)
    producer.flush(0)
    owner.abort()
    owner = cluster.worker("b")
    cluster.run(owner, turns=4)
    heir = cluster.worker("c")
    cluster.run(owner, heir, turns=12)
    assert (copies(heir), heir.status().metrics["records_standby"]) == ((1, 0), 3)
    owner.abort()
    cluster.send("in", "early")
    cluster.run(heir, turns=8)
    assert [count for _window, count in next(iter(heir.registry.open("counts").values())).all()] == [2]


class Mute(MemoryBroker):
    """Shows nobody who is in a group."""

    def members(self, group: str) -> list[Member]:
        return []


def test_a_broker_that_shows_no_members_is_warned_about_once(caplog: pytest.LogCaptureFixture) -> None:
    cluster = Cluster(counting(), {}, standby_replicas=1)
    cluster.broker = Mute(cluster.clock)
    cluster.broker.create_topic("in", 2)
    with caplog.at_level(logging.WARNING, logger="pipeline.runtime.standby"):
        worker = cluster.worker("a")
        cluster.run(worker, turns=20)
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("standby_replicas has no effect here")
    assert copies(worker) == (0, 0)


def test_a_damaged_copy_is_set_aside_and_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cluster = Cluster(counting(), {"in": 2}, standby_replicas=1)
    first, second = two(cluster, RocksDBProvider(tmp_path, "app"))
    second.close()
    (tmp_path / "app" / "0_0" / "counts" / "CURRENT").write_text("")
    second = cluster.worker("b", RocksDBProvider(tmp_path, "app"))
    cluster.run(first, second, turns=12)
    assert copies(second) == (1, 0)
    assert "set aside" in caplog.text
    first.abort()
    before = restored(second)
    cluster.run(second, turns=8)
    assert restored(second) == before
    assert len(table(second)) == KEYS
    second.close()


NAMES = st.text("abcXYZ019-_", min_size=1, max_size=4)


@given(
    ids=st.lists(NAMES, min_size=1, max_size=6, unique=True),
    static=st.sets(NAMES),
    count=st.integers(1, 20),
    replicas=st.integers(0, 6),
)
def test_the_first_copy_is_where_the_partition_goes_when_its_owner_goes(
    ids: list[str], static: set[str], count: int, replicas: int
) -> None:
    # What the assignor does, said again: static members first, ranges in the order of the names.
    def assigned(group: list[str]) -> list[str]:
        return range_owners(sorted(group, key=lambda name: (name not in static, name)), count)

    owners = assigned(ids)
    members = [
        Member(
            name,
            name if name in static else "",
            frozenset(TopicPartition("t", number) for number in range(count) if owners[number] == name),
        )
        for name in ids
    ]
    found = keepers(members, "t", count, replicas)
    assert found == keepers(members[::-1], "t", count, replicas)
    assert found == keepers(
        [Member(each.id, each.instance, frozenset()) for each in members], "t", count, replicas
    )
    for number, (owner, *heirs) in enumerate(found):
        assert owner == owners[number]
        assert len(heirs) == len({*heirs} - {owner}) == min(replicas, len(ids) - 1)
        if heirs:
            assert heirs[0] == assigned([name for name in ids if name != owner])[number]
