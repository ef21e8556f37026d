"""Several workers, and a broker that goes away: what they make of state and records."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline.dsl.builder import StreamsBuilder
from pipeline.errors import StreamsError
from pipeline.record import TopicPartition
from pipeline.runtime.worker import Worker
from pipeline.topology import Topology
from pipeline.windows import tumbling
from tests.operators.cluster import Cluster


def table(worker: Worker) -> dict[str, int]:
    stores = worker.registry.open("counts").values()
    return {key: count for store in stores for key, count in store.all()}


def counting() -> Topology:
    builder = StreamsBuilder("app")
    builder.stream("in", key=str, value=str).group_by_key().count(name="counts")
    return builder.build()


def merging() -> Topology:
    builder = StreamsBuilder("app")
    builder.stream(["p", "q"], key=str, value=str).to("out")
    return builder.build()


def test_a_commit_of_revoked_tasks_leaves_the_changelog_positions_of_the_others() -> None:
    cluster = Cluster(counting(), {"in": 2}, cache_entries=3)
    first = cluster.worker("a")
    cluster.run(first, turns=5)
    for key in ("x", "y", "z"):
        cluster.send("in", key, 0)
    cluster.send("in", "u", 1)
    first.step()  # The cache is full: the next step commits, although it is not due.
    cluster.broker.reachable = False
    first.step()  # Flushed and logged; not acknowledged.
    cluster.broker.reachable = True
    second = cluster.worker("b")
    cluster.run(second, first, turns=6, advance_ms=0)  # in-1 goes to the second, with a commit.
    cluster.run(first, second)
    first.abort()
    cluster.run(second)
    assert table(second) == {"x": 1, "y": 1, "z": 1, "u": 1}


def test_a10_1_what_a_worker_logs_after_it_lost_a_partition_is_not_restored() -> None:
    cluster = Cluster(counting(), {"in": 1})
    stalled = cluster.worker("a")
    cluster.run(stalled, turns=5)
    for _ in range(2):
        cluster.send("in", "x")
    stalled.step()
    cluster.broker.expire("app", "a")
    owner = cluster.worker("b")
    cluster.run(owner, turns=5, advance_ms=0)
    cluster.send("in", "x")
    cluster.run(owner, turns=2, advance_ms=0)
    owner.commit()
    cluster.clock.advance(2_000)
    stalled.step()  # Its commit is due: it logs its count of 2, and only then learns that it is out.
    cluster.send("in", "y")
    cluster.run(owner, turns=8)  # It finds records that are not its own, restores, and logs again.
    assert table(owner) == {"x": 3, "y": 1}
    owner.abort()
    stalled.abort()
    heir = cluster.worker("c")
    cluster.run(heir)
    assert table(heir) == {"x": 3, "y": 1}


def test_a_flush_that_cannot_ask_for_a_topic_is_made_again_after_going_back() -> None:
    builder = StreamsBuilder("app")
    counts = builder.stream("in", key=str, value=str).group_by_key()
    windows = tumbling(timedelta(seconds=1), grace=timedelta(0))
    counts.windowed_by(windows).count(name="counts").to_stream().to(
        lambda window, _count: f"out-{window.key}"
    )
    cluster = Cluster(builder.build(), {"in": 1, "out-x": 1})
    worker = cluster.worker("a")
    cluster.run(worker, turns=5)
    cluster.send("in", "x")
    worker.step()
    cluster.clock.advance(2_000)
    cluster.broker.reachable = False
    worker.step()
    assert "going back to the last commit; trying again in" in (worker.status().problem or "")
    cluster.broker.reachable = True
    cluster.run(worker, turns=8)
    assert worker.status().problem is None
    assert len(cluster.broker.records("app-counts-changelog")) == 1
    assert len(cluster.broker.records("out-x")) == 1


def test_topics_with_different_partition_counts_are_read_whole_by_two_workers() -> None:
    cluster = Cluster(merging(), {"p": 2, "q": 3, "out": 1})
    first, second = cluster.worker("a"), cluster.worker("b")
    cluster.run(first, second, turns=8)
    for topic, partitions in (("p", 2), ("q", 3)):
        for number in range(partitions):
            cluster.send(topic, f"{topic}{number}", number)
    cluster.run(first, second, turns=20)
    assert cluster.read("out") == [b"p0", b"p1", b"q0", b"q1", b"q2"]


def test_records_of_a_partition_that_stayed_while_its_task_was_closed_are_not_skipped() -> None:
    cluster = Cluster(merging(), {"p": 2, "q": 3, "out": 1})
    first = cluster.worker("a")
    cluster.run(first, turns=6)
    second = cluster.worker("b")
    cluster.run(first, second, turns=8)  # p-1 moves, q-1 stays: their task is closed.
    for number in range(3):
        cluster.send("q", f"q{number}", number)
    cluster.run(first, second)
    second.close()
    cluster.run(first)
    cluster.send("q", "later", 1)
    cluster.run(first)
    assert cluster.read("out") == [b"later", b"q0", b"q1", b"q2"]


def test_a_task_does_not_wait_for_records_that_retention_removed() -> None:
    cluster = Cluster(merging(), {"p": 1, "q": 1, "out": 1})
    worker = cluster.worker("a")
    cluster.run(worker, turns=6)
    cluster.send("p", "p0")
    cluster.send("q", "q0")
    cluster.run(worker, turns=5)
    worker.close()
    cluster.send("q", "removed")
    cluster.broker.delete_before(TopicPartition("q", 0), 2)
    worker = cluster.worker("a")
    cluster.send("p", "p1")
    cluster.run(worker, turns=20)
    assert cluster.read("out") == [b"p0", b"p1", b"q0"]


def test_a_worker_without_partitions_is_running() -> None:
    cluster = Cluster(counting(), {"in": 1})
    first, idle = cluster.worker("a"), cluster.worker("b")
    cluster.run(first, idle)
    assert (first.status().state, idle.status().state) == ("running", "running")


def test_an_aggregate_that_cannot_be_encoded_is_blamed_on_its_operator() -> None:
    builder = StreamsBuilder("app")
    words = builder.stream("in", key=str, value=str).group_by_key()
    words.aggregate(lambda: 2**62, lambda _key, _value, total: 2 * total, name="counts", value=int)
    cluster = Cluster(builder.build(), {"in": 1})
    worker = cluster.worker("a")
    cluster.run(worker, turns=5)
    cluster.send("in", "x")
    with pytest.raises(StreamsError) as raised:
        cluster.run(worker, turns=3)
    says = str(raised.value)
    assert "counts (tests/operators/test_workers.py:" in says
    assert "a value of type int under key 'x' that cannot be encoded" in says


def test_so_is_one_in_a_window() -> None:
    builder = StreamsBuilder("app")
    words = builder.stream("in", key=str, value=str).group_by_key()
    windows = tumbling(timedelta(seconds=1), grace=timedelta(0))
    words.windowed_by(windows).aggregate(
        lambda: 1, lambda key, _value, total: "none" if key == "y" else total, name="counts", value=int
    )
    cluster = Cluster(builder.build(), {"in": 1})
    worker = cluster.worker("a")
    cluster.run(worker, turns=5)
    for key in ("x", "y", "z"):
        cluster.send("in", key)
    with pytest.raises(StreamsError) as raised:
        cluster.run(worker, turns=3)
    says = str(raised.value)
    assert "counts (tests/operators/test_workers.py:" in says
    assert "a value of type str under key 'y' that cannot be encoded" in says


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
@pytest.mark.parametrize(("away_ms", "state"), [(20_000, "running"), (40_000, "connecting")])
def test_clients_that_find_no_broker_for_long_are_given_up_for_new_ones(
    guarantee: str, away_ms: int, state: str
) -> None:
    cluster = Cluster(counting(), {"in": 2}, processing_guarantee=guarantee)
    worker = cluster.worker("a")
    cluster.run(worker, turns=5)
    cluster.send("in", "x", 0)
    worker.step()
    cluster.broker.reachable = False
    cluster.run(worker, turns=away_ms // 2_000)
    assert worker.status().state == state
    cluster.broker.reachable = True
    cluster.send("in", "x", 0)
    cluster.run(worker, turns=20)
    assert worker.status().state == "running"
    assert worker.status().problem is None
    assert table(worker) == {"x": 2}


@pytest.mark.parametrize("partitions", [1, 2])
def test_a_worker_that_is_to_stop_begins_no_other_record(partitions: int) -> None:
    taken: list[str] = []

    def take(_key: str, value: str) -> None:
        taken.append(value)
        if value == "2":
            worker.hurry()

    builder = StreamsBuilder("app")
    builder.stream("in", key=str, value=str).foreach(take)
    cluster = Cluster(builder.build(), {"in": partitions})
    worker = cluster.worker("a")
    cluster.run(worker, turns=5)
    for number in range(100):
        cluster.send("in", "x", number % partitions, str(number).encode())
    worker.step()
    left = [number for number in map(str, range(0, 100, partitions)) if number not in taken]
    assert taken[-1] == "2"
    assert left
    worker.close()
    follower = cluster.worker("b")
    cluster.run(follower)
    assert sorted(taken, key=int) == [str(number) for number in range(100)]


def test_the_commit_interval_begins_when_a_commit_ends() -> None:
    builder = StreamsBuilder("app")
    counts = builder.stream("in", key=str, value=str).group_by_key().count(name="counts")
    # Updates are forwarded by the commit: each of them takes five seconds.
    counts.to_stream().foreach(lambda _key, _count: cluster.clock.advance(5_000))
    cluster = Cluster(builder.build(), {"in": 1}, commit_interval_ms=1_000)
    worker = cluster.worker("a")
    cluster.run(worker, turns=5)
    committed = []
    for pause_ms in (0, 1_000, 0, 999, 1):
        cluster.send("in", "x")
        cluster.clock.advance(pause_ms)
        worker.step()
        committed.append(worker.status().metrics["commits"])
    first = committed[0]
    assert committed == [first, first + 1, first + 1, first + 1, first + 2]
