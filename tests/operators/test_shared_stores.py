"""Processors that declare a store alike share it: one writes what the other reads."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeline import Processor, ProcessorContext, Record, Store, TopologyError
from pipeline.dsl.builder import StreamsBuilder
from pipeline.plan.description import describe
from pipeline.plan.graph import to_dot
from pipeline.plan.planner import plan
from pipeline.state.provider import MemoryProvider
from pipeline.testing.driver import TopologyTestDriver
from tests.semantics.timed import Declare, Step, check, topology


class Keep(Processor[str, str, str, str]):
    """Writes the last value of each key."""

    def init(self, context: ProcessorContext[str, str]) -> None:
        self.store = context.store("last")

    def process(self, record: Record[str, str]) -> None:
        self.store.put(record.key, record.value, record.timestamp)


class Recall(Processor[str, str, str, str]):
    """Adds what the other one has kept."""

    def init(self, context: ProcessorContext[str, str]) -> None:
        self.context, self.store = context, context.store("last")

    def process(self, record: Record[str, str]) -> None:
        self.context.forward(record.with_value(f"{record.value}-{self.store.get(record.key)}"))


def shared(builder: StreamsBuilder) -> None:
    """Streams that nothing else connects."""
    builder.stream("R", key=str, value=str).process(Keep, Store("last", value=str))
    asked = builder.stream("L", key=str, value=str).process_values(Recall, Store("last", value=str))
    asked.to("out", value=str)


def of_one_stream(builder: StreamsBuilder) -> None:
    """Both take every record, in the order they were declared."""
    stream, last = builder.stream("L", key=str, value=str), Store("last", value=str)
    stream.process_values(Recall, last, value=str).to("out")
    stream.process(Keep, last)


CASES: dict[str, tuple[Declare, list[Step]]] = {
    "of-two-streams": (
        shared,
        [("L k:A@1", "k:A-None@1"), ("R k:a@2", ""), ("L k:B@3 j:C@4", "k:B-a@3 j:C-None@4")],
    ),
    "of-one-stream": (of_one_stream, [("L k:A@1 k:B@2", "k:A-None@1 k:B-A@2")]),
    "kept-over-a-restart": (shared, [("R k:a@2", ""), ("restart", ""), ("L k:B@3", "k:B-a@3")]),
    "restored-from-its-changelog": (shared, [("R k:a@2", ""), ("move", ""), ("L k:B@3", "k:B-a@3")]),
}


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize(("declare", "steps"), CASES.values(), ids=CASES.keys())
def test_shared_store(declare: Declare, steps: list[Step], partitions: int) -> None:
    check(declare, steps, partitions=partitions)


def test_who_shares_a_store_is_one_sub_topology_with_one_changelog() -> None:
    planned = plan(topology(shared))
    (sub,) = planned.subtopologies
    assert [store.name for store in sub.stores] == ["last"]
    assert to_dot(planned).count('label="last') == 1
    assert describe(planned).count("changelog test-last-changelog") == 2
    with TopologyTestDriver(topology(shared), stores=MemoryProvider()) as driver:
        assert [topic for topic in driver.broker.admin().topics() if "changelog" in topic] == [
            "test-last-changelog"
        ]


def test_topics_of_a_shared_store_need_equal_partition_counts() -> None:
    with pytest.raises(TopologyError, match=r"topics not co-partitioned: .*L has 2, R has 3"):
        TopologyTestDriver(topology(shared), partitions={"L": 2, "R": 3})


def on_both_sides_of_a_repartition(builder: StreamsBuilder, partitions: int | None) -> None:
    last = Store("last", value=str)
    kept = builder.stream("L", key=str, value=str).process_values(Recall, last, value=str)
    kept.repartition(name="again", partitions=partitions).process(Keep, last)


def test_a_repartition_between_two_that_share_a_store_is_told_its_partitions() -> None:
    with pytest.raises(TopologyError, match=r"test-again-repartition.*depend on one another.*partitions="):
        TopologyTestDriver(topology(lambda b: on_both_sides_of_a_repartition(b, None)), partitions=2)
    with TopologyTestDriver(topology(lambda b: on_both_sides_of_a_repartition(b, 2)), partitions=2) as driver:
        driver.input_topic("L", key=str, value=str).pipe("k", "A", timestamp=1)
        assert [driver.store("last", partition=number).get("k") for number in range(2)].count("A-None") == 1


UNLIKE: dict[str, Callable[[StreamsBuilder], object]] = {
    "another-serde": lambda b: b.stream("L", key=str).process(Recall, Store("last", value=int)),
    "another-kind": lambda b: b.stream("L", key=str).process(
        Recall, Store("last", value=str, in_memory=True)
    ),
}


@pytest.mark.parametrize("declare", UNLIKE.values(), ids=UNLIKE.keys())
def test_stores_of_one_name_must_be_alike(declare: Callable[[StreamsBuilder], object]) -> None:
    builder = StreamsBuilder("test")
    builder.stream("R", key=str).process(Keep, Store("last", value=str))
    with pytest.raises(TopologyError, match=r"store name 'last' is used twice.*declare it alike for both"):
        declare(builder)


def test_a_tables_store_is_its_own() -> None:
    builder = StreamsBuilder("test")
    builder.table("R", name="last", value=str)
    with pytest.raises(
        TopologyError, match=r"store name 'last' is used twice.*give one of them another name$"
    ):
        builder.stream("L", key=str).process(Recall, Store("last", value=str))
