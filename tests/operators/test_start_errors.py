"""What cannot run with the topics there are fails when the worker starts, with one message."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from pipeline import Processor, Record, Store, TopologyError, tumbling
from pipeline.clock import ManualClock
from pipeline.config import StreamsConfig
from pipeline.dsl.builder import StreamsBuilder
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.worker import Worker
from pipeline.state.provider import MemoryProvider

#: Where the operator that a message is about was declared.
HERE = f"{Path(__file__).relative_to(Path.cwd())}:"
SECOND = timedelta(seconds=1)
PER_SECOND = tumbling(SECOND, grace=timedelta(0))


Declare: TypeAlias = Callable[[Any], object]


class Silent(Processor[Any, Any, Any, Any]):
    def process(self, record: Record[Any, Any]) -> None:
        pass


class Asking(Silent):
    """Asks for a store that it was not declared with."""

    def init(self, context: Any) -> None:
        context.store("mine")


class Waiting(Processor[Any, Any, Any, Any]):
    async def process(self, record: Record[Any, Any]) -> None:  # type: ignore[override]
        pass


class Yielding(Processor[Any, Any, Any, Any]):
    def process(self, record: Record[Any, Any]) -> Any:
        yield record


def text(builder: StreamsBuilder, topic: str = "in") -> Any:
    """Any: what is called with the wrong types is to be called all the same."""
    return builder.stream(topic, key=str, value=str)


def pair(*arguments: Any) -> Any:
    return arguments[1]


def table(builder: StreamsBuilder, name: str = "table") -> Any:
    return builder.table("R", name=name, value=str)


#: Fails when the worker starts and sees the topics: what is declared, which topics there are, what it says.
STARTED: dict[str, tuple[Declare, dict[str, int], tuple[str, ...]]] = {
    "source-topic-missing": (text, {}, ("source-1 (", "reads 'in'", "do not exist, create them")),
    "table-topic-missing": (table, {}, ("table (", "reads 'R'", "do not exist")),
    "sink-topic-missing": (
        lambda b: text(b).to("out"),
        {"in": 1},
        ("sink-1 (", "writes to 'out'", "do not exist"),
    ),
    "streams-not-co-partitioned": (
        lambda b: text(b).join(text(b, "b"), pair, within=SECOND, name="j"),
        {"in": 2, "b": 3},
        ("not co-partitioned", "j (", "b has 3", "in has 2", "repartition()"),
    ),
    "stream-and-table-not-co-partitioned": (
        lambda b: text(b).join(table(b), pair),
        {"in": 2, "R": 3},
        ("not co-partitioned", "join-1 (", "R has 3", "in has 2"),
    ),
    "merged-streams-grouped-by-key-not-co-partitioned (a8.5)": (
        lambda b: text(b).merge(text(b, "b")).group_by_key().count(name="t"),
        {"in": 2, "b": 3},
        ("not co-partitioned", "t (", "b has 3", "in has 2"),
    ),
    "joined-with-an-explicit-count (a8.5)": (
        lambda b: (
            text(b).repartition(name="r", partitions=5).join(text(b, "b"), pair, within=SECOND, name="j")
        ),
        {"in": 2, "b": 3},
        ("not co-partitioned", "j (", "b has 3", "test-r-repartition has 5"),
    ),
    "two-explicit-counts (a8.5)": (
        lambda b: (
            text(b)
            .repartition(name="r", partitions=5)
            .join(text(b, "b").repartition(name="s", partitions=4), pair, within=SECOND, name="j")
        ),
        {"in": 2, "b": 3},
        ("not co-partitioned", "test-r-repartition has 5", "test-s-repartition has 4"),
    ),
    "foreign-key-join-with-a-table-of-no-topic": (
        lambda b: table(b).join(
            text(b, "none.*").to_table(name="t"),
            pair,
            foreign_key=lambda key, value: value,
            name="j",
            value=str,
        ),
        {"R": 2},
        ("j-subscribe-sink (", "'test-j-subscription-registration'", "no topic matches", "create one"),
    ),
    "processor-that-is-async": (
        lambda b: text(b).process(Waiting, name="late"),
        {"in": 1},
        ("late (", "Waiting.process (", "is async", "context.forward(record)"),
    ),
    "processor-that-yields": (
        lambda b: text(b).process_values(Yielding, name="kept"),
        {"in": 1},
        ("kept (", "Yielding.process (", "yields", "context.forward(record)"),
    ),
    "store-that-was-not-declared": (
        lambda b: text(b).process(Asking, Store("other"), name="asking"),
        {"in": 1},
        ("asking (", "asks for store 'mine'", "['other']", "pass it to process()"),
    ),
}


def start(declare: Declare, topics: dict[str, int]) -> None:
    builder = StreamsBuilder("test")
    declare(builder)
    clock = ManualClock()
    broker = MemoryBroker(clock)
    for topic, partitions in topics.items():
        broker.create_topic(topic, partitions)
    config = StreamsConfig("test", Path("unused"))
    worker = Worker(builder.build(), config, broker, clock, MemoryProvider())
    for _ in range(5):
        worker.step()


@pytest.mark.parametrize(("declare", "topics", "says"), STARTED.values(), ids=STARTED.keys())
def test_started(declare: Declare, topics: dict[str, int], says: tuple[str, ...]) -> None:
    with pytest.raises(TopologyError) as raised:
        start(declare, topics)
    message = str(raised.value)
    assert [part for part in (*says, HERE) if part not in message] == []
    assert "\n" not in message


@pytest.mark.parametrize("topic", ["test-t-changelog", "test-g-repartition"])
def test_an_internal_topic_of_another_partition_count(topic: str) -> None:
    """Someone added partitions to the source: keys would meet other state than before."""

    def declare(builder: StreamsBuilder) -> None:
        text(builder).group_by(lambda k, v: k, name="g").count(name="t")

    with pytest.raises(TopologyError, match=f"internal topic '{topic}' has 2 partitions and should have 3"):
        start(declare, {"in": 3, topic: 2})


def test_merged_streams_grouped_by_key_need_no_equal_counts_once_repartitioned() -> None:
    def declare(builder: StreamsBuilder) -> None:
        text(builder).merge(text(builder, "b")).repartition(name="r").group_by_key().count(name="t")

    start(declare, {"in": 2, "b": 3})


def test_a_dead_letter_topic_may_have_any_partition_count_and_any_name() -> None:
    builder = StreamsBuilder("test")
    text(builder)
    clock = ManualClock()
    broker = MemoryBroker(clock)
    broker.create_topic("in", 3)
    broker.create_topic("test-dead", 1)
    config = StreamsConfig("test", Path("unused"), dead_letter="test-dead")
    worker = Worker(builder.build(), config, broker, clock, MemoryProvider())
    for _ in range(5):
        worker.step()
    assert worker.status().state == "running"
