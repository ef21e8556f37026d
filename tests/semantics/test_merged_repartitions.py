"""Repartition topics that are not needed, left out on demand (rule a9.13, `merge.repartition.topics`).

What comes out is the same with them and without: only topics differ.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from pipeline.dsl.builder import StreamsBuilder
from pipeline.dsl.stream import KStream
from pipeline.testing.driver import TopologyTestDriver
from tests.semantics.timed import Declare, Step, check, joined, ms, shown, take, topology


def text(builder: StreamsBuilder, topic: str = "in") -> KStream[str, str]:
    return builder.stream(topic, key=str, value=str)


def rekeyed(builder: StreamsBuilder, topic: str = "in") -> KStream[str, str]:
    return text(builder, topic).select_key(lambda _, value: value[0], key=str)


def newest(stream: KStream[str, str], name: str) -> None:
    table = stream.group_by_key(name=f"by-{name}").reduce(lambda _, new: new, name=name)
    table.to_stream().to(f"{name}.out")


def two_groupings(builder: StreamsBuilder) -> None:
    keyed = rekeyed(builder)
    newest(keyed, "a")
    newest(keyed, "b")


def grouping_and_joins(builder: StreamsBuilder) -> None:
    """A left join wants records without a key: the topic that it shares carries them."""
    keyed = rekeyed(builder)
    newest(keyed, "a")
    table = builder.table("R", name="r", value=str)
    keyed.left_join(table, joined, name="j", value=str).to("b.out")
    keyed.join(text(builder, "in2"), joined, within=ms(10), name="k", value=str).to("c.out")


def two_mappers(builder: StreamsBuilder) -> None:
    """Two mappers make two streams: nothing says that they return the same."""
    stream = text(builder)
    for name in ("a", "b"):
        table = stream.group_by(lambda key, _: key, name=f"by-{name}").count(name=name)
        table.to_stream().to(f"{name}.out")


def different_serdes(builder: StreamsBuilder) -> None:
    keyed = rekeyed(builder)
    newest(keyed, "a")
    keyed.group_by_key(name="by-b", value=Any).count(name="b")


def filtered_between(builder: StreamsBuilder) -> None:
    """Only what directly follows the same stream shares: else the topic would carry what nobody reads."""
    keyed = rekeyed(builder)
    newest(keyed.filter(lambda key, value: True), "a")
    newest(keyed, "b")


def asked_for(builder: StreamsBuilder) -> None:
    """What the user asked for stays."""
    keyed = rekeyed(builder)
    newest(keyed, "a")
    keyed.repartition(name="r").to("b.out")


def twice_the_same(builder: StreamsBuilder) -> None:
    text(builder).repartition(name="r").filter(lambda key, value: True).repartition(name="s").to("a.out")


def twice_with_a_value_changed(builder: StreamsBuilder) -> None:
    stream = text(builder).repartition(name="r").map_values(lambda key, value: value, value=str)
    stream.repartition(name="s").to("a.out")


def twice_with_a_key_changed(builder: StreamsBuilder) -> None:
    stream = text(builder).repartition(name="r").select_key(lambda key, value: value, key=str)
    stream.repartition(name="s").to("a.out")


def overruled(builder: StreamsBuilder) -> None:
    """The second decides how many partitions there are."""
    text(builder).repartition(name="r", partitions=2).repartition(name="s", partitions=3).to("a.out")


def overruled_but_read(builder: StreamsBuilder) -> None:
    stream = text(builder).repartition(name="r", partitions=2)
    stream.repartition(name="s", partitions=3).to("a.out")
    stream.to("b.out")


def three_in_a_row(builder: StreamsBuilder) -> None:
    stream = text(builder).repartition(name="r").repartition(name="s")
    stream.repartition(name="u", partitions=3).to("a.out")


#: What is declared, the repartition topics that it asks for, and those that are left.
MERGED: dict[str, tuple[Declare, set[str], set[str]]] = {
    "a9.13-two-groupings-of-one-stream: the first name wins": (two_groupings, {"by-a", "by-b"}, {"by-a"}),
    "a9.13-grouping-and-joins-of-one-stream": (grouping_and_joins, {"by-a", "j", "k-left"}, {"by-a"}),
    "a9.13-two-mappers": (two_mappers, {"by-a", "by-b"}, {"by-a", "by-b"}),
    "a9.13-different-serdes": (different_serdes, {"by-a", "by-b"}, {"by-a", "by-b"}),
    "a9.13-an-operator-between": (filtered_between, {"by-a", "by-b"}, {"by-a", "by-b"}),
    "a9.13-an-explicit-repartition-stays": (asked_for, {"by-a", "r"}, {"by-a", "r"}),
    "twice-the-same": (twice_the_same, {"r", "s"}, {"r"}),
    "twice-with-a-value-changed-between": (twice_with_a_value_changed, {"r", "s"}, {"r", "s"}),
    "twice-with-a-key-changed-between": (twice_with_a_key_changed, {"r", "s"}, {"r", "s"}),
    "overruled-by-the-next": (overruled, {"r", "s"}, {"s"}),
    "overruled-but-read-by-another": (overruled_but_read, {"r", "s"}, {"r", "s"}),
    "three-in-a-row": (three_in_a_row, {"r", "s", "u"}, {"u"}),
}

RECORDS = ("R x:own@1", "in k:x1@2", "in k:y1@3", "in2 x:z@5", "in k:x2@6", "in ∅:x3@7", "in2 y:z@8")


def run(declare: Declare, *, merge: bool) -> tuple[set[str], dict[str, list[str]]]:
    """Return the repartition topics, and what comes out by topic, step by step."""
    declared = dataclasses.replace(topology(declare), merge_repartitions=merge)
    with TopologyTestDriver(declared, partitions={"in": 2, "in2": 2, "R": 2}) as driver:
        names = [topic for topic in driver.broker.topics() if topic.endswith(".out")]
        outputs = {name: driver.output_topic(name, key=str, value=bytes) for name in names}
        got: dict[str, list[str]] = {name: [] for name in names}
        for record in RECORDS:
            if driver.broker.exists(record.partition(" ")[0]):
                take(driver, record)
            for name, output in outputs.items():
                got[name].append(shown(output.read_all()))
        topics = {topic for topic in driver.broker.topics() if topic.endswith("-repartition")}
    return {topic.removeprefix("test-").removesuffix("-repartition") for topic in topics}, got


@pytest.mark.parametrize(("declare", "all_topics", "merged"), MERGED.values(), ids=MERGED.keys())
def test_topics_and_outputs(declare: Declare, all_topics: set[str], merged: set[str]) -> None:
    topics, outputs = run(declare, merge=False)
    assert topics == all_topics
    assert any(map(any, outputs.values()))
    topics, merged_outputs = run(declare, merge=True)
    assert topics == merged
    assert merged_outputs == outputs


def test_a9_13_off_unless_asked_for() -> None:
    """A name that is the user's is not taken away by an operator that was put before it."""
    assert not StreamsBuilder("test")._merge_repartitions


KEYLESS: list[Step] = [("in ∅:x@1", "∅:x-null@1"), ("in k:x@2", "x:x-null@2")]


def keyless_beside_a_grouping(builder: StreamsBuilder) -> None:
    keyed = text(builder).select_key(lambda key, value: None if key is None else value, key=str)
    newest(keyed, "a")
    keyed.left_join(builder.table("R", name="r", value=str), joined, name="j", value=str).to("out")


def test_a7_2_a_shared_topic_carries_records_without_a_key_if_one_reader_wants_them() -> None:
    def declare(builder: StreamsBuilder) -> None:
        builder._merge_repartitions = True
        keyless_beside_a_grouping(builder)

    check(declare, KEYLESS)
