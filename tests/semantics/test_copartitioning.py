"""How many partitions joined topics have: the nine methods of `CopartitionedTopicsEnforcerTest` (rule b6.4).

External topics say how many; a repartition topic has as many as the user asked for, or as it is given.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import TopologyError
from pipeline.clock import ManualClock
from pipeline.config import StreamsConfig
from pipeline.dsl.builder import StreamsBuilder
from pipeline.dsl.stream import KStream
from pipeline.plan.planner import plan as planned
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.topic_check import TopicCheck
from pipeline.runtime.topics import prepare_topics
from pipeline.testing.driver import TopologyTestDriver
from tests.semantics.timed import Declare, joined, ms, topology


def external(builder: StreamsBuilder, topic: str) -> KStream[str, str]:
    return builder.stream(topic, key=str, value=str)


def internal(builder: StreamsBuilder, topic: str, partitions: int | None = None) -> KStream[str, str]:
    """A repartition topic named as the topic that it comes from."""
    return external(builder, f"{topic}-in").repartition(name=topic, partitions=partitions)


def join(left: KStream[str, str], right: KStream[str, str], name: str = "j") -> KStream[str, str]:
    return left.join(right, joined, within=ms(1), name=name, value=str)


#: By method: what is declared, the counts of external topics, and those that repartition topics get.
AGREE: dict[str, tuple[Declare, dict[str, int], dict[str, int]]] = {
    "a8.5-b6.4-shouldEnforceCopartitioningOnRepartitionTopics": (
        lambda b: join(internal(b, "a", None), external(b, "b")),
        {"a-in": 10, "b": 2},
        {"a": 2},
    ),
    "a8.5-b6.4-shouldSetNumPartitionsToMaximumPartitionsWhenAllTopicsAreRepartitionTopics": (
        lambda b: join(join(internal(b, "a"), internal(b, "b")), internal(b, "c"), "k"),
        {"a-in": 1, "b-in": 15, "c-in": 5},
        {"a": 15, "b": 15, "c": 15},
    ),
    "a8.5-b6.4-shouldNotThrowAnExceptionWhenTopicInfosWithEnforcedNumOfPartitionsAreValid": (
        lambda b: join(internal(b, "a", 10), internal(b, "b", 10)),
        {"a-in": 2, "b-in": 3},
        {"a": 10, "b": 10},
    ),
    "a8.5-b6.4-shouldNotThrowAnExceptionWhenNumberOfPartitionsOfNonRepartitionTopicAndRepartitionTopicWith"
    "EnforcedNumOfPartitionsMatch": (
        lambda b: join(internal(b, "a", 2), external(b, "b")),
        {"a-in": 7, "b": 2},
        {"a": 2},
    ),
    "a8.5-b6.4-shouldDeductNumberOfPartitionsFromRepartitionTopicWithEnforcedNumberOfPartitions": (
        lambda b: join(join(internal(b, "a", 2), internal(b, "b")), internal(b, "c"), "k"),
        {"a-in": 1, "b-in": 15, "c-in": 5},
        {"a": 2, "b": 2, "c": 2},
    ),
}

#: By method: what is declared, the counts of external topics, and what the message names.
DISAGREE: dict[str, tuple[Declare, dict[str, int], tuple[str, ...]]] = {
    "a8.5-b6.4-shouldThrowTopologyExceptionIfPartitionCountsForCoPartitionedTopicsDontMatch": (
        lambda b: join(external(b, "a"), external(b, "b")),
        {"a": 2, "b": 1},
        ("not co-partitioned", "a has 2", "b has 1"),
    ),
    "a8.5-b6.4-shouldThrowAnExceptionIfTopicInfosWithEnforcedNumOfPartitionsHaveDifferentNumOfPartitions": (
        lambda b: join(internal(b, "a", 10), internal(b, "b", 5)),
        {"a-in": 1, "b-in": 1},
        ("not co-partitioned", "test-a-repartition has 10", "test-b-repartition has 5"),
    ),
    "a8.5-b6.4-shouldThrowAnExceptionWhenNumberOfPartitionsOfNonRepartitionTopicAndRepartitionTopicWith"
    "EnforcedNumOfPartitionsDoNotMatch": (
        lambda b: join(internal(b, "a", 10), external(b, "b")),
        {"a-in": 1, "b": 2},
        ("not co-partitioned", "test-a-repartition has 10", "b has 2"),
    ),
}


@pytest.mark.parametrize(("declare", "external", "expected"), AGREE.values(), ids=AGREE.keys())
def test_topics_that_agree(declare: Declare, external: dict[str, int], expected: dict[str, int]) -> None:
    with TopologyTestDriver(topology(declare), partitions=external) as driver:
        found = {name: len(driver.broker.partitions(f"test-{name}-repartition")) for name in expected}
    assert found == expected


@pytest.mark.parametrize(("declare", "external", "says"), DISAGREE.values(), ids=DISAGREE.keys())
def test_topics_that_do_not(declare: Declare, external: dict[str, int], says: tuple[str, ...]) -> None:
    """Known when the worker has seen the topics; the message names operator, line, topics and counts."""
    with pytest.raises(TopologyError) as raised:
        TopologyTestDriver(topology(declare), partitions=external)
    message = str(raised.value)
    assert [part for part in (*says, "j (", "test_copartitioning.py:") if part not in message] == []


def test_a8_5_b6_4_a_topic_that_is_not_there() -> None:
    """`shouldThrowTopologyExceptionIfNoPartitionsFoundForCoPartitionedTopic`."""
    plan = planned(topology(lambda b: join(external(b, "a"), external(b, "b"))))
    broker = MemoryBroker(ManualClock())
    broker.create_topic("a", 2)
    config = StreamsConfig("test", Path())
    with pytest.raises(TopologyError, match=r"topics do not exist.*source-2 \(.*copartitioning.py:.*'b'"):
        prepare_topics(plan, config, broker.admin(), TopicCheck("memory", config))
