"""What cannot be declared of tables fails there, with the operator, the line, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from pipeline import StreamsError, TopologyError
from pipeline.dsl.builder import StreamsBuilder
from pipeline.plan.planner import plan
from pipeline.testing.driver import TopologyTestDriver
from tests.semantics.timed import joined

#: Where the operator that a message is about was declared.
HERE = f"{Path(__file__).relative_to(Path.cwd())}:"

Declare: TypeAlias = Callable[[Any], object]


def table(builder: StreamsBuilder, name: str = "t", **options: Any) -> Any:
    """Any: what is called with the wrong types is to be called all the same."""
    return builder.table(name.upper(), name=name, value=str, **options)


def joined_of_other_keys(builder: StreamsBuilder) -> None:
    table(builder).join(table(builder, "u", key=int), joined)


#: What is declared, and what the message says.
DECLARED: dict[str, tuple[Declare, tuple[str, ...]]] = {
    "an option without a store": (
        lambda b: table(b).filter(lambda k, v: True, caching=False, in_memory=True),
        ("filter", HERE, "caching=, in_memory=", "name="),
    ),
    "a stored view of unknown values": (
        lambda b: table(b).map_values(lambda k, v: v, name="m"),
        ("map_values", HERE, "value="),
    ),
    "a join with what is no table": (
        lambda b: table(b).left_join(b.stream("in"), joined),
        ("left_join", HERE, "takes a table"),
    ),
    "a join of tables with keys of other types": (
        joined_of_other_keys,
        ("table-join-1", HERE, "'t' are string", "'u' are int64", "key="),
    ),
    "a stored join of unknown values": (
        lambda b: table(b).join(table(b, "u"), joined, name="j"),
        ("join", HERE, "value="),
    ),
    "retention of a table without windows": (
        lambda b: table(b).filter(lambda k, v: True, name="f", retention=timedelta(1)),
        ("filter", HERE, "retention="),
    ),
    "a table of a stream without a name": (
        lambda b: b.stream("in", key=str, value=str).to_table(),
        ("to_table", HERE, "name="),
    ),
    "a table of a stream of unknown values": (
        lambda b: b.stream("in", key=str, value=str).map_values(lambda k, v: v).to_table(name="x"),
        ("to_table", HERE, "value="),
    ),
}


@pytest.mark.parametrize(("declare", "parts"), DECLARED.values(), ids=DECLARED.keys())
def test_declared(declare: Declare, parts: tuple[str, ...]) -> None:
    builder = StreamsBuilder("test")
    with pytest.raises(TopologyError) as caught:
        _ = declare(builder), plan(builder.build())
    for part in parts:
        assert part in str(caught.value)


def test_tables_that_are_joined_have_equal_partition_counts() -> None:
    builder = StreamsBuilder("test")
    table(builder).join(table(builder, "u"), joined)
    with pytest.raises(TopologyError, match=r"table-join-1 .*T has 2.*U has 3|U has 3.*T has 2"):
        TopologyTestDriver(builder.build(), partitions={"T": 2, "U": 3})


def broken(_key: object, value: str, *_others: object) -> str:
    if value == "!":
        raise ValueError("broken")
    return value


FAILING: dict[str, Declare] = {
    "filter": lambda b: table(b).filter(broken),
    "stored filter": lambda b: table(b).filter(broken, name="f"),
    "map_values": lambda b: table(b).map_values(broken, value=str),
    "join": lambda b: table(b).left_join(table(b, "u"), broken),
    "join with a view": lambda b: table(b, "u").left_join(table(b).map_values(broken), joined),
}


@pytest.mark.parametrize("declare", FAILING.values(), ids=FAILING.keys())
def test_a_function_that_raises_is_named_and_the_change_is_put_aside(declare: Declare) -> None:
    builder = StreamsBuilder("test")
    declare(builder)
    for dead_letter in ("dead", None):
        with TopologyTestDriver(builder.build(), dead_letter=dead_letter) as driver:
            piped = driver.input_topic("T", value=str)
            piped.pipe("k", "a", 1)
            if dead_letter is None:
                with pytest.raises(
                    StreamsError, match=r"broken \(.*test_table_errors.py:\d+\) raised ValueError"
                ):
                    piped.pipe("k", "!", 2)
                break
            piped.pipe("k", "!", 2)
            piped.pipe("k", "b", 3)
            (dead,) = driver.output_topic("dead", value=str).read_all()
            assert (dead.key, dead.value, dead.timestamp) == ("k", "!", 2)
