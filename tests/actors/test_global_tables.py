"""Global tables of agents: whole on every worker, written at commits, seen at once where they are written."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipeline import App, TopologyError
from pipeline.agents.stream import AgentStream
from pipeline.errors import UnhandledRecordError
from pipeline.record import GLOBAL, NO_HEADERS
from pipeline.runtime.worker import Worker
from pipeline.state.provider import MemoryProvider, StoreProvider
from pipeline.testing.driver import TopologyTestDriver
from tests.actors.test_tables import USES, Use
from tests.operators.cluster import Cluster

GUARANTEES = ["at_least_once", "exactly_once"]
LOG = "app-t-changelog"


#: The workers of a test that have not ended.
RUNNING: list[Worker] = []


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    yield
    while RUNNING:
        RUNNING.pop().abort()


class Workers(Cluster):
    """A cluster whose workers end with the test."""

    def worker(self, client_id: str, disk: StoreProvider | None = None) -> Worker:
        RUNNING.append(super().worker(client_id, disk))
        return RUNNING[-1]


@pytest.mark.parametrize(("use", "left", "told"), USES.values(), ids=USES)
def test_it_is_a_dictionary(use: Use, left: dict[str, int], told: Any) -> None:
    app = App("tables")
    table = app.GlobalTable("t", default=int)

    @app.agent("in", sink=["out"])
    async def agent(stream: AgentStream[int]) -> Any:
        async for value in stream:
            if value == 0:
                table["a"], table["b"] = 1, 2
            else:
                yield use(table, value)
                # What it has put lies over what is stored.
                assert dict(table.items()) == left

    with TopologyTestDriver(app) as driver:
        topic = driver.input_topic("in", key=str, value=dict)
        topic.pipe("k", 0, 0)
        topic.pipe("k", 9, 1)
        assert dict(driver.store("t").all()) == left
        assert driver.output_topic("out").read_values() == [told]
        driver.restart(crash=True, stores=MemoryProvider())
        assert dict(driver.store("t").all()) == left


class Counting:
    """Workers whose agent adds each event to its key's number, and notes what it then finds there."""

    def __init__(self, topics: dict[str, int] | None = None, partitions: int = 1, **settings: Any) -> None:
        app = App("app")
        table = app.GlobalTable("t", default=int, partitions=partitions)
        self.seen: list[dict[str, int]] = []

        @app.agent("in")
        async def count(stream: AgentStream[int]) -> None:
            async for key, value in stream.items():
                name = (key or b"").decode()
                if value:
                    table[name] += value
                self.seen.append(dict(table.items()))

        self.cluster = Workers(app.topology, topics or {"in": 2}, **settings)

    def told(self) -> list[dict[str, int]]:
        seen, self.seen[:] = list(self.seen), []
        return seen


def rows(worker: Worker) -> dict[str, Any]:
    return dict(worker.registry.open("t")[GLOBAL].all())


def logged(cluster: Cluster) -> list[tuple[bytes | None, bytes | None]]:
    return [(message.key, message.value) for message in cluster.broker.records(LOG)]


def until_running(cluster: Cluster, *workers: Worker) -> None:
    for _ in range(1_000):
        cluster.run(*workers)
        if all(worker.status().state == "running" for worker in workers):
            break
    cluster.run(*workers, turns=30)
    assert [worker.status().state for worker in workers] == ["running"] * len(workers)


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_the_worker_sees_its_writes_at_once_and_others_what_is_committed(guarantee: str) -> None:
    counting = Counting(processing_guarantee=guarantee)
    cluster = counting.cluster
    first, second = cluster.worker("a"), cluster.worker("b")
    until_running(cluster, first, second)
    for partition in (0, 0, 1):
        cluster.send("in", "k", partition)
    for _ in range(3):
        first.step()
    assert counting.told() == [{"k": 1}, {"k": 2}]
    assert logged(cluster) == []
    for _ in range(3):
        second.step()
    # It has not heard of the two yet: of two that count one key the last one wins.
    assert counting.told() == [{"k": 1}]
    cluster.run(first, second)
    assert rows(first) == rows(second)
    assert rows(first)["k"] in {1, 2}
    # By now every worker goes on from there.
    cluster.send("in", "k", 0, b"10")
    cluster.run(first, second)
    (told,) = counting.told()
    assert rows(first) == rows(second) == told
    assert told["k"] in {11, 12}


def test_tasks_of_one_worker_see_one_anothers_writes() -> None:
    counting = Counting({"in": 3})
    worker = counting.cluster.worker("a")
    until_running(counting.cluster, worker)
    for number in range(9):
        counting.cluster.send("in", "k", number % 3)
    counting.cluster.run(worker, turns=3, advance_ms=0)
    assert counting.told() == [{"k": number + 1} for number in range(9)]
    assert logged(counting.cluster) == []
    counting.cluster.run(worker)
    # One row for all that a commit holds.
    assert logged(counting.cluster) == [(b"k", b"9")]
    assert rows(worker) == {"k": 9}


def test_no_older_value_comes_back_between_commit_and_reading_it() -> None:
    counting = Counting({"in": 1}, restore_records=1)
    worker = counting.cluster.worker("a")
    until_running(counting.cluster, worker)
    # Each turn reads one row back, and each event makes three.
    for number in range(20):
        for key in "abc":
            counting.cluster.send("in", key, value=b"1")
        counting.cluster.run(worker, turns=1)
        told = counting.told()
        if told:
            assert told[-1] == dict.fromkeys("abc", number + 1) or number == 0
    counting.cluster.run(worker, turns=100)
    assert rows(worker) == dict.fromkeys("abc", 20)


@pytest.mark.parametrize("guarantee", GUARANTEES)
@pytest.mark.parametrize("seed", range(6))
def test_counts_by_the_partitions_own_keys_are_right_wherever_tasks_go(seed: int, guarantee: str) -> None:
    """Who takes a task over knows what its last owner had written: workers come and go, and one crashes."""
    choose = random.Random(seed)
    partitions = 4
    counting = Counting(
        {"in": partitions},
        choose.randint(1, 3),
        processing_guarantee=guarantee,
        restore_records=choose.randint(1, 4),
    )
    cluster, sent = counting.cluster, {f"k{number}": 0 for number in range(3 * partitions)}
    disks = {name: MemoryProvider() for name in "abc"}
    workers = {"a": cluster.worker("a", disks["a"])}
    for _ in range(60):
        for number in range(3 * partitions):
            if choose.random() < 0.7:
                cluster.send("in", f"k{number}", number % partitions)
                sent[f"k{number}"] += 1
        cluster.run(*workers.values(), turns=choose.randint(1, 4), advance_ms=choose.choice((0, 300, 2_000)))
        name = choose.choice("abc")
        if name not in workers:
            workers[name] = cluster.worker(name, disks[name])
        elif choose.random() < 0.3:
            worker = workers.pop(name)
            if choose.random() < 0.5:
                worker.close()
            else:
                # With at-least-once in between two steps: what it does again was not written.
                worker.abort()
    workers.setdefault("a", cluster.worker("a", disks["a"]))
    until_running(cluster, *workers.values())
    for _ in range(1_000):
        if all(rows(worker) == sent for worker in workers.values()):
            break
        cluster.run(*workers.values())
    assert [rows(worker) for worker in workers.values()] == [sent] * len(workers)


@pytest.mark.parametrize(("guarantee", "total"), [("at_least_once", 4), ("exactly_once", 2)])
def test_a_worker_that_crashes_between_writing_and_committing(guarantee: str, total: int) -> None:
    """At-least-once does both again, and the page says so; exactly-once has no such case."""
    counting = Counting({"in": 1, LOG: 1}, processing_guarantee=guarantee)
    cluster = counting.cluster
    for _ in range(2):
        cluster.send("in", "k")
    worker = cluster.worker("a")
    if guarantee == "exactly_once":
        written = cluster.broker.transactional_producer("killed", "killed", 10_000)
        written.produce(LOG, b"2", b"k", 0, 0, NO_HEADERS)
        written.flush(0)
        until_running(cluster, worker)
        # It may have been committed, and be read as soon as the broker has said so everywhere.
        assert counting.told() == []
        cluster.broker.transactional_producer("started again", "killed", 10_000)
    else:
        cluster.send(LOG, "k", 0, b"2")
        until_running(cluster, worker)
    cluster.run(worker)
    assert rows(worker) == {"k": total}


def test_what_a_task_had_put_that_went_away_is_forgotten() -> None:
    """Its next owner does that again: it must not be written by who has it no more."""
    counting = Counting({"in": 2})
    cluster = counting.cluster
    first = cluster.worker("a")
    until_running(cluster, first)
    for partition in (0, 1):
        cluster.send("in", f"k{partition}", partition)
        cluster.send("in", "both", partition)
    cluster.run(first, turns=3, advance_ms=0)
    assert counting.told()[-1] == {"both": 2, "k0": 1, "k1": 1}
    cluster.broker.expire("app", "a")
    cluster.run(first, turns=1)
    assert logged(cluster) == []
    cluster.run(first)
    assert rows(first) == {"both": 2, "k0": 1, "k1": 1}


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_what_is_not_committed_is_forgotten(guarantee: str) -> None:
    counting = Counting({"in": 1}, processing_guarantee=guarantee)
    worker = counting.cluster.worker("a")
    until_running(counting.cluster, worker)
    counting.cluster.send("in", "k")
    counting.cluster.run(worker, turns=3, advance_ms=0)
    assert counting.told() == [{"k": 1}]
    worker.abort()
    again = counting.cluster.worker("a")
    until_running(counting.cluster, again)
    assert counting.told() == [{"k": 1}]
    assert rows(again) == {"k": 1}


def test_many_keys_are_committed_before_the_commit_is_due() -> None:
    counting = Counting({"in": 1}, cache_entries=5)
    worker = counting.cluster.worker("a")
    until_running(counting.cluster, worker)
    for number in range(12):
        counting.cluster.send("in", f"k{number:02}")
    for _ in range(12):
        worker.step()
    assert len(logged(counting.cluster)) >= 10


def test_writing_stops_while_what_is_held_is_not_read_back() -> None:
    counting = Counting({"in": 1}, cache_entries=4, restore_records=1, poll_records=2)
    worker = counting.cluster.worker("a")
    until_running(counting.cluster, worker)
    for number in range(200):
        counting.cluster.send("in", f"k{number:03}")
    ahead = []
    for _ in range(1_000):
        worker.step()
        ahead.append(len(logged(counting.cluster)) - len(rows(worker)))
    assert max(ahead) <= 10
    counting.cluster.run(worker)
    assert rows(worker) == {f"k{number:03}": 1 for number in range(200)}


def test_holes_at_the_end_of_the_topic_hold_nothing_back() -> None:
    """The marker of another's transaction, behind what was written, is no record that could be read."""
    counting = Counting({"in": 1}, cache_entries=2)
    cluster = counting.cluster
    worker = cluster.worker("a")
    until_running(cluster, worker)
    for number in range(30):
        cluster.send("in", f"k{number}")
        cluster.run(worker, turns=2)
        other = cluster.broker.transactional_producer("other", "other", 60_000)
        other.produce(LOG, b"7", b"aborted", 0, 0, NO_HEADERS)
        other.flush(0)
        cluster.run(worker, turns=2)
    cluster.broker.transactional_producer("other", "other", 60_000)
    cluster.run(worker, turns=100)
    assert rows(worker) == {f"k{number}": 1 for number in range(30)}


def test_another_worker_sees_sets() -> None:
    app = App("app")
    table = app.SetGlobalTable("t")
    found: list[Any] = []

    @app.agent("in")
    async def collect(stream: AgentStream[int]) -> None:
        async for value in stream:
            table["all"].add(value)
            found.append(sorted(table["all"]))

    cluster = Workers(app.topology, {"in": 2})
    workers = [cluster.worker(name) for name in "ab"]
    until_running(cluster, *workers)
    for number in range(4):
        cluster.send("in", "k", number % 2, str(number).encode())
        cluster.run(*workers)
    assert found == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]
    assert [rows(worker) for worker in workers] == 2 * [{"all": [0, 1, 2, 3]}]


def test_agents_that_share_it_are_in_tasks_of_their_own() -> None:
    app = App("app")
    table = app.GlobalTable("count", default=int)

    @app.agent("in")
    async def count(stream: AgentStream[int]) -> None:
        """It may be called like the table."""
        async for value in stream:
            table["k"] += value

    @app.agent("other")
    async def other(stream: AgentStream[int]) -> None:
        async for _ in stream:
            del table["k"]

    found = app.plan
    assert len(found.subtopologies) == 2
    assert found.internal_topics == {"app-count-changelog"}
    assert set(found.external_sources) == {"in", "other"}
    with TopologyTestDriver(app, partitions={"in": 3, "other": 2}) as driver:
        driver.input_topic("in", key=str, value=dict).pipe("a", 5, 0)
        assert dict(driver.store("count").all()) == {"k": 5}
        driver.input_topic("other", key=str, value=dict).pipe("b", 5, 0)
        assert dict(driver.store("count").all()) == {}


def test_it_is_there_when_on_recover_is_called() -> None:
    app = App("app")
    table = app.GlobalTable("t", default=int)
    recovered = []

    @table.on_recover
    def tell() -> None:
        recovered.append(dict(table.items()))

    @app.agent("in")
    async def count(stream: AgentStream[int]) -> None:
        async for value in stream:
            table["k"] += value

    with TopologyTestDriver(app) as driver:
        driver.input_topic("in").pipe("a", 5, 0)
        driver.restart(stores=MemoryProvider())
        driver.input_topic("in").pipe("a", 5, 0)
        assert recovered == [{}, {"k": 5}]


def test_an_agents_test_has_it() -> None:
    app = App("app")
    table = app.GlobalTable("t", default=int)

    @app.agent(app.topic("in", value_type=int))
    async def count(stream: AgentStream[int]) -> Any:
        async for value in stream:
            table["k"] += value
            yield table["k"]

    with count.test_context() as tested:
        asyncio.run(tested.put(2))
        asyncio.run(tested.put(3))
        assert tested.yielded == [2, 5]


def test_its_topic_is_compacted_and_checked() -> None:
    counting = Counting(partitions=3)
    cluster = counting.cluster
    worker = cluster.worker("a")
    until_running(cluster, worker)
    assert cluster.broker.admin().partition_counts([LOG]) == {LOG: 3}
    for number in range(30):
        cluster.send("in", f"k{number}")
    cluster.run(worker)
    used = {message.partition for message in cluster.broker.records(LOG)}
    assert used == {0, 1, 2}
    cluster.broker.delete_topic(LOG)
    cluster.broker.create_topic(LOG, 2)
    with pytest.raises(TopologyError, match=rf"internal topic '{LOG}' has 2 partitions and should have 3"):
        cluster.run(cluster.worker("b"))


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda app: app.GlobalTable("t").tumbling(10), "'t' at .*a global table has no windows"),
        (lambda app: app.GlobalTable("t").hopping(10, 5), "put a window's start in the key"),
        (lambda app: app.SetGlobalTable("t").tumbling(10), "has no windows"),
        (lambda app: app.GlobalTable("t", partitions=0), "partitions is 0"),
        (lambda app: [app.GlobalTable("t"), app.Table("t")], "table name 't' is used twice"),
        (lambda app: [app.stream("in").group_by_key().count(name="t"), app.GlobalTable("t")], "used twice"),
        (lambda app: app.GlobalTable("a/b"), "name"),
    ],
)
def test_what_is_refused(declare: Callable[[App], Any], message: str) -> None:
    with pytest.raises(TopologyError, match=message):
        declare(App("app"))


def test_another_applications_table_is_not_here() -> None:
    table = App("other").GlobalTable("t")
    app = App("app")

    @app.agent("in")
    async def agent(stream: AgentStream[int]) -> None:
        async for _ in stream:
            table["k"] = 1

    with pytest.raises(TopologyError, match=r"agent .*uses global table 't', which is another application's"):
        _ = app.plan


def test_what_cannot_be_encoded_is_the_events_error() -> None:
    app = App("app")
    table = app.GlobalTable("t", value_type=int)

    @app.agent("in")
    async def agent(stream: AgentStream[Any]) -> None:
        async for value in stream:
            table["k"] = value

    with pytest.raises(UnhandledRecordError, match="in-0 offset 0"), TopologyTestDriver(app) as driver:
        driver.input_topic("in").pipe("a", "text", 0)


def test_a_topic_made_by_hand_is_read_up_from_its_first_record() -> None:
    counting = Counting({"in": 1, LOG: 1})
    cluster = counting.cluster
    cluster.send(LOG, "k", 0, b"5")
    worker = cluster.worker("a")
    until_running(cluster, worker)
    cluster.send("in", "k")
    cluster.run(worker)
    assert counting.told() == [{"k": 6}]
