"""Agents: coroutines that the engine drives, with what they await, their order, and their offsets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any, Self

import pytest

from pipeline.agents.stream import AgentStream
from pipeline.dsl.builder import StreamsBuilder
from pipeline.errors import TopologyError, UnhandledRecordError
from pipeline.runtime.worker import Worker
from pipeline.serde import INT64
from pipeline.state.provider import StoreProvider
from pipeline.testing.driver import OutputRecord, TopologyTestDriver
from pipeline.topology import Topology
from tests.operators.cluster import Cluster

Function = Callable[[AgentStream[int]], Any]


def topology(function: Function, *, count: bool = False, concurrency: int = 1) -> Topology:
    """An agent of whole numbers; with `count`, its task has state."""
    builder = StreamsBuilder("app")
    numbers = builder.stream("in", key=str, value=int)
    numbers.agent(function, value=str, concurrency=concurrency).to("out", key=str)
    if count:
        numbers.group_by_key().count(name="counts")
    return builder.build()


class Driven(TopologyTestDriver):
    """With what it writes to `out`, as keys and values, each once."""

    def __init__(self, function: Function, **options: Any) -> None:
        super().__init__(topology(function, **options), dead_letter="dead")
        self._out = self.output_topic("out", key=str, value=str)

    def written(self) -> list[tuple[str, str]]:
        return [(record.key, record.value) for record in self._out.read_all()]


def pipe(driver: TopologyTestDriver, *records: tuple[str, int]) -> None:
    topic = driver.input_topic("in", key=str, value=int)
    for number, (key, value) in enumerate(records):
        topic.pipe(key, value, number)


def int64(value: int) -> bytes:
    return INT64.serialize(value)


def asleep(*seconds: float) -> Awaitable[list[None]]:
    return asyncio.gather(*(asyncio.sleep(each) for each in seconds))


async def values(stream: AgentStream[int]) -> AsyncIterator[str]:
    async for value in stream:
        yield str(value)


async def items(stream: AgentStream[int]) -> AsyncIterator[str]:
    async for key, value in stream.items():
        yield f"{key}{value}"


async def events(stream: AgentStream[int]) -> AsyncIterator[str]:
    async for event in stream.events():
        yield f"{event.key}{event.value}@{event.timestamp} {event.topic}-{event.partition}/{event.offset}"


async def numbered(stream: AgentStream[int]) -> AsyncIterator[str]:
    async for number, value in stream.enumerate(5):
        yield f"{number}:{value}"


async def even(stream: AgentStream[int]) -> AsyncIterator[str]:
    async for value in stream.filter(lambda value: value % 2 == 0):
        yield str(value)


async def even_by_and_by(stream: AgentStream[int]) -> AsyncIterator[str]:
    async def is_even(value: int) -> bool:
        await asyncio.sleep(0)
        return value % 2 == 0

    async for value in stream.filter(is_even):
        yield str(value)


async def odd_items(stream: AgentStream[int]) -> AsyncIterator[str]:
    async for key, value in stream.filter(lambda value: value % 2).items():
        yield f"{key}{value}"


async def odd_events(stream: AgentStream[int]) -> AsyncIterator[str]:
    async for event in stream.filter(lambda value: value % 2).filter(lambda value: value > 1).events():
        yield f"{event.key}{event.offset}"


async def odd_pairs(stream: AgentStream[int]) -> AsyncIterator[str]:
    async for batch in stream.filter(lambda value: value % 2).take(2):
        yield str(batch)


async def pairs(stream: AgentStream[int]) -> AsyncIterator[str]:
    async for batch in stream.take(2):
        yield str(batch)


async def twice(stream: AgentStream[int]) -> AsyncIterator[str]:
    async for value in stream:
        yield str(value)
        await asyncio.sleep(0)
        yield str(value)


async def nothing(stream: AgentStream[int]) -> None:
    async for _value in stream:
        pass


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (values, ["1", "2", "3"]),
        (items, ["a1", "b2", "a3"]),
        (events, ["a1@0 in-0/0", "b2@1 in-0/1", "a3@2 in-0/2"]),
        (numbered, ["5:1", "6:2", "7:3"]),
        (even, ["2"]),
        (even_by_and_by, ["2"]),
        (odd_items, ["a1", "a3"]),
        (odd_events, ["a2"]),
        (odd_pairs, ["[1, 3]"]),
        (pairs, ["[1, 2]"]),
        (twice, ["1", "1", "2", "2", "3", "3"]),
        (nothing, []),
    ],
)
def test_what_an_agent_iterates_over_and_yields(function: Function, expected: list[str]) -> None:
    with Driven(function) as driver:
        pipe(driver, ("a", 1), ("b", 2), ("a", 3))
        assert [value for _key, value in driver.written()] == expected


def test_what_a_filter_takes_out_of_a_batch_is_done_at_once() -> None:
    async def even_pairs(stream: AgentStream[int]) -> AsyncIterator[str]:
        async for batch in stream.filter(lambda value: value % 2 == 0).take(2):
            yield str(batch)

    with Driven(even_pairs, concurrency=2) as driver:
        # The instance that has a2 has done with c1: it has no more in hand than the other one, and takes e6.
        pipe(driver, ("a", 2), ("b", 4), ("c", 1), ("e", 6))
        assert [value for _key, value in driver.written()] == ["[2, 6]"]


def test_what_is_yielded_has_the_records_key_time_and_headers() -> None:
    with Driven(values) as driver:
        driver.input_topic("in", key=str, value=int).pipe("k", 1, 77, (("h", b"1"),))
        (record,) = driver.output_topic("out", key=str, value=str).read_all()
        assert record == OutputRecord("k", "1", 77, (("h", b"1"),), 0)


async def slow(stream: AgentStream[int]) -> AsyncIterator[str]:
    async for value in stream:
        await asyncio.sleep(value)
        yield str(value)


SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("concurrency", "records", "by_second"),
    [
        pytest.param(1, "a1 b1 c1", ["", "a1", "b1", "c1"], id="one at a time"),
        pytest.param(2, "a1 b1 c1", ["", "a1 b1", "c1", ""], id="two keys at once"),
        pytest.param(2, "a2 b1 c1", ["", "b1", "a2 c1", ""], id="who is done takes the next"),
        pytest.param(2, "a1 a1 b1", ["", "a1", "a1 b1", ""], id="a key in its order"),
        pytest.param(3, "a2 a1 b1", ["", "", "a2", "a1 b1"], id="what comes after waits, too"),
        pytest.param(3, "a0 b2 c1", ["a0", "c1", "b2", ""], id="nobody waits for nothing"),
    ],
)
def test_while_it_awaits_no_more_are_taken_up(concurrency: int, records: str, by_second: list[str]) -> None:
    with Driven(slow, concurrency=concurrency) as driver:
        pipe(driver, *((record[0], int(record[1])) for record in records.split()))
        for expected in by_second:
            assert " ".join(key + value for key, value in driver.written()) == expected
            driver.advance_wall_clock(SECOND)


async def in_time(stream: AgentStream[int]) -> AsyncIterator[str]:
    async for value in stream:
        try:
            async with asyncio.timeout(2):
                await asyncio.sleep(value)
        except TimeoutError:
            yield "late"
        else:
            yield str(value)


async def gathered(stream: AgentStream[int]) -> AsyncIterator[str]:
    async for value in stream:
        await asleep(value, 0, value)
        yield str(value)


async def waited_for(stream: AgentStream[int]) -> AsyncIterator[str]:
    async for value in stream:
        try:
            await asyncio.wait_for(asyncio.sleep(value), 2)
        except TimeoutError:
            yield "late"
        else:
            yield str(value)


async def in_a_task(stream: AgentStream[int]) -> AsyncIterator[str]:
    async for value in stream:
        await asyncio.create_task(asyncio.sleep(value))
        yield str(value)


async def failing_wait(stream: AgentStream[int]) -> AsyncIterator[str]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_exception(KeyError("it"))
    try:
        await future
    except KeyError as error:
        async for value in stream:
            yield f"{value} {error}"


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (in_time, ["1", "late", "0"]),
        (gathered, ["1", "3", "0"]),
        (waited_for, ["1", "late", "0"]),
        (in_a_task, ["1", "3", "0"]),
        (failing_wait, ["1 'it'", "3 'it'", "0 'it'"]),
    ],
)
def test_what_asyncio_offers_works(function: Function, expected: list[str]) -> None:
    with Driven(function) as driver:
        pipe(driver, ("a", 1), ("a", 3), ("a", 0))
        for _ in range(5):
            driver.advance_wall_clock(SECOND)
        assert [value for _key, value in driver.written()] == expected


def test_a_batch_is_handed_over_when_its_time_is_up() -> None:
    async def batches(stream: AgentStream[int]) -> AsyncIterator[str]:
        async for batch in stream.take(3, within=2):
            yield str(batch)

    with Driven(batches) as driver:
        pipe(driver, ("a", 1), ("a", 2), ("a", 3), ("a", 4))
        assert driver.written() == [("a", "[1, 2, 3]")]
        driver.advance_wall_clock(SECOND)
        pipe(driver, ("b", 5))
        driver.advance_wall_clock(SECOND)
        assert driver.written() == [("b", "[4, 5]")]
        driver.advance_wall_clock(10 * SECOND)
        assert driver.written() == []


def test_a_commit_of_state_ends_a_batch() -> None:
    async def batches(stream: AgentStream[int]) -> AsyncIterator[str]:
        async for batch in stream.take(3):
            yield str(batch)

    with Driven(batches, count=True) as driver:
        pipe(driver, ("a", 1), ("a", 2))
        assert [value for _key, value in driver.written()] == ["[1]", "[2]"]


# Exceptions


async def choosy(stream: AgentStream[int]) -> AsyncIterator[str]:
    seen = 0
    async for value in stream:
        seen += 1
        if value < 0:
            await asyncio.sleep(-1 - value)
            raise ValueError(f"negative: {value}")
        yield f"{value} {seen}"


@pytest.mark.parametrize("bad", [-1, -2], ids=["at once", "after an await"])
def test_a_record_that_it_raises_on_is_put_aside_and_it_begins_anew(bad: int) -> None:
    with Driven(choosy) as driver:
        pipe(driver, ("a", 1), ("b", bad), ("c", 3))
        driver.advance_wall_clock(SECOND)
        assert driver.written() == [("a", "1 1"), ("c", "3 1")]
        (letter,) = driver.output_topic("dead", key=str, value=int).read_all()
        assert (letter.key, letter.value) == ("b", bad)
        headers = {name: (value or b"").decode() for name, value in letter.headers}
        assert "choosy" in headers["__streams.errors.message"]
        assert "test_agents.py" in headers["__streams.errors.message"]
        assert headers["__streams.errors.offset"] == "1"


def test_it_stops_the_worker_where_nothing_is_put_aside() -> None:
    with (
        pytest.raises(UnhandledRecordError, match=r"agent-1.*choosy.*negative: -1 \[record in-0 offset 1\]"),
        TopologyTestDriver(topology(choosy)) as driver,
    ):
        pipe(driver, ("a", 1), ("b", -1))


def test_every_record_of_a_batch_is_put_aside() -> None:
    async def batches(stream: AgentStream[int]) -> AsyncIterator[str]:
        async for _batch in stream.take(2):
            raise ValueError("no")
            yield ""

    with Driven(batches) as driver:
        pipe(driver, ("a", 1), ("b", 2), ("c", 3), ("d", 4))
        letters = driver.output_topic("dead", key=str, value=int).read_all()
        assert [letter.value for letter in letters] == [1, 2, 3, 4]


def test_a_function_that_returns_is_called_again() -> None:
    async def one(stream: AgentStream[int]) -> AsyncIterator[str]:
        async for value in stream:
            yield str(value)
            return

    with Driven(one) as driver:
        pipe(driver, ("a", 1), ("a", 2))
        assert driver.written() == [("a", "1"), ("a", "2")]


def test_it_is_ended_with_its_task() -> None:
    told: list[str] = []

    async def closing(stream: AgentStream[int]) -> None:
        try:
            async for value in stream:
                await asyncio.sleep(value)
        finally:
            told.append("closed")

    for value in (0, 100):
        with TopologyTestDriver(topology(closing), agent_drain_ms=0) as driver:
            pipe(driver, ("a", value))
            assert told == []
        assert told == ["closed"]
        told.clear()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda stream: None, "an agent is an async function"),
        (asleep, "an agent is an async function"),
        (42, "must be a function"),
    ],
)
def test_what_is_no_agent_is_refused(function: Any, message: str) -> None:
    with pytest.raises(TopologyError, match=message):
        topology(function)


def test_a_wrong_number_of_parameters_is_refused() -> None:
    async def two(stream: object, other: object) -> None:
        pass

    builder = StreamsBuilder("app")
    with pytest.raises(
        TopologyError, match=r"function is called with \(stream\), and .*two .* takes \(stream, other\)"
    ):
        builder.stream("in").agent(two)  # type: ignore[arg-type]
    with pytest.raises(TopologyError, match="concurrency is 0"):
        builder.stream("in").agent(nothing, concurrency=0)


# Offsets


class Workers(Cluster):
    """A cluster whose workers end with the test."""

    def __init__(self, topology: Topology, topics: dict[str, int], **settings: Any) -> None:
        super().__init__(topology, topics, **settings)
        self.all: list[Worker] = []

    def worker(self, client_id: str, disk: StoreProvider | None = None) -> Worker:
        self.all.append(super().worker(client_id, disk))
        return self.all[-1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for worker in self.all:
            worker.abort()


def test_offsets_are_committed_up_to_the_first_record_in_flight() -> None:
    """Without state: what comes after the slow record is not done again... but for a crash."""
    with Workers(topology(slow, concurrency=2), {"in": 1, "out": 1}) as cluster:
        worker = cluster.worker("a")
        for key, seconds in (("a", 0), ("b", 100), ("c", 0), ("d", 0)):
            cluster.send("in", key, value=int64(seconds))
        cluster.run(worker, turns=10, advance_ms=1_000)
        assert cluster.read("out") == [b"a", b"c", b"d"]
        worker.abort()
        heir = cluster.worker("b")
        cluster.run(heir, turns=10, advance_ms=1_000)
        assert cluster.read("out") == [b"a", b"c", b"c", b"d", b"d"]
        cluster.run(heir, turns=10, advance_ms=20_000)
        assert cluster.read("out") == [b"a", b"b", b"c", b"c", b"d", b"d"]


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
def test_state_is_committed_when_nothing_is_in_flight(guarantee: str) -> None:
    with Workers(
        topology(slow, count=True, concurrency=2), {"in": 1, "out": 1}, processing_guarantee=guarantee
    ) as cluster:
        worker = cluster.worker("a")
        for key, seconds in (("a", 0), ("b", 5), ("c", 0)):
            cluster.send("in", key, value=int64(seconds))
        cluster.run(worker, turns=10, advance_ms=100)
        # The commit is due, and waits; what comes meanwhile is not taken up.
        cluster.run(worker, turns=3, advance_ms=1_000)
        assert worker.status().metrics["commits"] == 0
        cluster.send("in", "d", value=int64(0))
        cluster.run(worker, turns=2, advance_ms=100)
        assert worker.status().metrics["records_processed"] == 3
        worker.abort()
        heir = cluster.worker("b")
        cluster.run(heir, turns=30, advance_ms=1_000)
        counts = {key: count for store in heir.registry.open("counts").values() for key, count in store.all()}
        assert counts == {"a": 1, "b": 1, "c": 1, "d": 1}
        repeated = [b"a", b"c"] if guarantee == "at_least_once" else []
        assert cluster.read("out") == sorted([b"a", b"b", b"c", b"d", *repeated])


def test_a_task_that_waits_does_not_hold_up_others() -> None:
    with Workers(topology(slow), {"in": 2, "out": 1}) as cluster:
        worker = cluster.worker("a")
        cluster.send("in", "a", 0, value=int64(1000))
        for _ in range(3):
            cluster.send("in", "b", 1, value=int64(0))
        cluster.run(worker, turns=10)
        assert cluster.read("out") == [b"b", b"b", b"b"]


def test_a_worker_that_stops_gives_agents_time_to_finish() -> None:
    with Workers(topology(in_real_time), {"in": 1, "out": 1}, agent_drain_ms=60_000) as cluster:
        worker = cluster.worker("a")
        cluster.send("in", "a", value=int64(0))
        while cluster.broker.records("out") == [] and not worker.status().metrics["records_processed"]:
            worker.step()
        worker.close()
        assert cluster.read("out") == [b"a"]


async def in_real_time(stream: AgentStream[int]) -> AsyncIterator[str]:
    """Something outside of this process has it go on, such as an answer."""
    loop = asyncio.get_running_loop()
    async for value in stream:
        await loop.run_in_executor(None, lambda: None)
        yield str(value)


def test_workers_that_take_partitions_from_one_another_leave_time_for_a_commit() -> None:
    """With exactly-once who gives partitions away with a record in hand begins anew, and so do all."""
    with Workers(
        topology(slow, count=True),
        {"in": 3, "out": 1},
        processing_guarantee="exactly_once",
        agent_drain_ms=0,
        commit_interval_ms=300,
    ) as cluster:
        workers = [cluster.worker(name) for name in "abc"]
        cluster.run(*workers, turns=10)
        for partition in range(3):
            for number in range(3):
                cluster.send("in", f"{partition}{number}", partition, value=int64(2))
        # The first turns in which records are in hand; then one worker is given up, and comes back.
        cluster.run(*workers, turns=3, advance_ms=300)
        cluster.broker.expire("app", "a")
        cluster.run(*workers, turns=400, advance_ms=300)
        expected = [f"{partition}{number}".encode() for partition in range(3) for number in range(3)]
        assert cluster.read("out") == expected
