"""From node types to behaviour."""

from __future__ import annotations

from pipeline.dsl.builder import StreamsBuilder
from pipeline.plan.compiler import OPERATORS
from pipeline.plan.planner import plan
from pipeline.testing.driver import TopologyTestDriver
from pipeline.topology import ForeignKeyJoin, GlobalTable, Repartition, TableNode
from tests.plan.node_types import node_types


def test_every_node_type_has_an_operator_but_what_is_rewritten_and_what_belongs_to_no_task() -> None:
    assert set(node_types()) - {TableNode} - set(OPERATORS) == {Repartition, ForeignKeyJoin, GlobalTable}
    assert set(OPERATORS) <= set(node_types())


def test_a_chain_of_diamonds_is_planned_and_run_without_walking_every_path() -> None:
    """40 branches merged again: 2^40 paths from the first to the last."""
    builder = StreamsBuilder("test")
    stream = builder.stream("in", key=str, value=str)
    for _ in range(40):
        arms = stream.branch({"a": lambda _, value: value == "a"}, default="b")
        stream = arms["a"].merge(arms["b"])
    stream.group_by_key().count(name="t")
    with TopologyTestDriver(builder.build()) as driver:
        driver.input_topic("in", value=str).pipe("k", "a", 1)
        assert driver.store("t").get("k") == 1


def test_a8_8_unconnected_nodes_are_sub_topologies_of_their_own_with_tasks_of_their_own() -> None:
    builder = StreamsBuilder("test")
    for topic in ("a", "b"):
        builder.stream(topic, key=str, value=str).group_by_key().count(name=f"{topic}-count")
    planned = plan(builder.build())
    assert [sub.topics for sub in planned.subtopologies] == [("a",), ("b",)]
    assert [store.name for sub in planned.subtopologies for store in sub.stores] == ["a-count", "b-count"]


def test_a8_8_a_shared_table_connects() -> None:
    builder = StreamsBuilder("test")
    table = builder.table("t", name="t", value=str)
    for topic in ("a", "b"):
        builder.stream(topic, key=str, value=str).join(table, lambda _key, left, _right: left)
    (sub,) = plan(builder.build()).subtopologies
    assert sub.topics == ("t", "a", "b")
