"""What cannot be declared of tables fails there, with the operator, the line, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from pipeline import (
    BufferConfig,
    StreamsError,
    TopologyError,
    tumbling,
    unlimited,
    until_time_limit,
    until_window_closes,
)
from pipeline.dsl.builder import StreamsBuilder
from pipeline.plan.planner import plan
from pipeline.testing.driver import TopologyTestDriver
from tests.semantics.timed import joined

#: Where the operator that a message is about was declared.
HERE = f"{Path(__file__).relative_to(Path.cwd())}:"

Declare: TypeAlias = Callable[[Any], Any]


def table(builder: StreamsBuilder, name: str = "t", **options: Any) -> Any:
    """Any: what is called with the wrong types is to be called all the same."""
    return builder.table(name.upper(), name=name, value=str, **options)


def joined_of_other_keys(builder: StreamsBuilder) -> None:
    table(builder).join(table(builder, "u", key=int), joined)


class Windows:
    """Keys like those of a windowed table."""

    name = "windowed:string"

    def serialize(self, value: Any) -> bytes:
        raise NotImplementedError

    deserialize = serialize


def counted(builder: StreamsBuilder, windows: Any = None) -> Any:
    grouped = builder.stream("in", key=str, value=str).group_by_key()
    return grouped.windowed_by(windows or tumbling(timedelta(1), grace=timedelta(0))).count(name="c")


def added(_key: object, value: object, _so_far: object) -> object:
    return value


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
    "a grouped table without a name for the topic": (
        lambda b: table(b).group_by(lambda k, v: (k, v)),
        ("group_by", HERE, "name="),
    ),
    "a fold of a grouped table without a name": (
        lambda b: table(b).group_by(lambda k, v: (k, v), name="g").count(),
        ("count", HERE, "name="),
    ),
    "a fold of a grouped table to unknown values": (
        lambda b: table(b).group_by(lambda k, v: (k, v), name="g").aggregate(list, added, added, name="a"),
        ("aggregate", HERE, "value="),
    ),
    "a suppression without a name": (
        lambda b: table(b).suppress(until_time_limit(timedelta(1))),
        ("suppress", HERE, "name="),
    ),
    "a suppression of something else": (
        lambda b: table(b).suppress(timedelta(1), name="s"),
        ("suppress", HERE, "until_window_closes(...) or until_time_limit(...)"),
    ),
    "a suppression of unknown values": (
        lambda b: table(b).map_values(broken).suppress(until_time_limit(timedelta(1)), name="s"),
        ("suppress", HERE, "value="),
    ),
    "a suppression of a versioned table": (
        lambda b: table(b, history=timedelta(1)).suppress(until_time_limit(timedelta(1)), name="s"),
        ("suppress", HERE, "t (", "is versioned"),
    ),
    "a suppression of a view of a versioned table": (
        lambda b: (
            table(b, history=timedelta(1))
            .filter(lambda k, v: True)
            .suppress(until_time_limit(timedelta(1)), name="s")
        ),
        ("suppress", HERE, "table-filter-1 (", "is versioned"),
    ),
    "windows that close of a table without windows": (
        lambda b: table(b).filter(lambda k, v: True).suppress(until_window_closes(), name="s"),
        ("suppress", HERE, "table-filter-1 (", "is made of t (", "until_time_limit"),
    ),
    "windows that close of a count without windows": (
        lambda b: (
            b.stream("in", key=str, value=str)
            .group_by_key()
            .count(name="c")
            .suppress(until_window_closes(), name="s")
        ),
        ("suppress", HERE, "c (", "is made of source-1 ("),
    ),
    "windows that close, one side of a join without windows": (
        lambda b: (
            counted(b)
            .join(table(b, key=Windows()), joined, value=str)
            .suppress(until_window_closes(), name="s")
        ),
        ("suppress", HERE, "table-join-1 (", "is made of t ("),
    ),
    "windows that close of keys without windows": (
        lambda b: (
            counted(b)
            .to_stream(lambda window, _: window.key, key=str)
            .to_table(name="t")
            .suppress(until_window_closes(), name="s")
        ),
        ("suppress", HERE, "t (", "are string"),
    ),
    "the window that never closes": (
        lambda b: counted(b, unlimited()).suppress(until_window_closes(), name="s"),
        ("suppress", HERE, "never closes"),
    ),
    "a reduction with a fold's function": (
        lambda b: table(b).group_by(lambda k, v: (k, v), name="g").reduce(added, added, name="a"),
        ("reduce", HERE, "(so_far, new)", "added"),
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


#: Of T, to `out`: the function fails on `!`.
FAILING: dict[str, Declare] = {
    "filter": lambda b: table(b).filter(broken),
    "stored filter": lambda b: table(b).filter(broken, name="f"),
    "map_values": lambda b: table(b).map_values(broken, value=str),
    "stored map_values": lambda b: table(b).map_values(broken, value=str, name="m"),
    "join": lambda b: table(b).left_join(table(b, "u"), broken, value=str),
    "stored join": lambda b: table(b).left_join(table(b, "u"), broken, value=str, name="j"),
}
DEAD = [("k", "!", 2)]


def outputs(declare: Declare) -> tuple[list[Any], list[Any]]:
    """Return what comes out for k: a, !, b, and what is put aside."""
    builder = StreamsBuilder("test")
    declare(builder).to_stream().to("out")
    with TopologyTestDriver(builder.build(), dead_letter="dead") as driver:
        for time, value in enumerate("a!b", start=1):
            driver.input_topic("T", value=str).pipe("k", value, time)
        out, dead = (driver.output_topic(topic, value=str).read_all() for topic in ("out", "dead"))
    return [(r.key, r.value) for r in out], [(r.key, r.value, r.timestamp) for r in dead]


@pytest.mark.parametrize("declare", FAILING.values(), ids=FAILING.keys())
def test_a_row_for_which_a_function_fails_is_put_aside_and_is_not_there(declare: Declare) -> None:
    assert outputs(declare) == ([("k", "a"), ("k", None), ("k", "b")], DEAD)


@pytest.mark.parametrize("declare", FAILING.values(), ids=FAILING.keys())
def test_what_a_failed_row_was_before_is_subtracted_once(declare: Declare) -> None:
    def counted(builder: StreamsBuilder) -> Any:
        grouped = declare(builder).group_by(lambda _, value: ("all", value), name="g", value=str)
        return grouped.reduce(lambda one, new: f"{one}+{new}", lambda one, old: f"{one}-{old}", name="r")

    assert outputs(counted) == ([("all", "a"), ("all", "a-a"), ("all", "a-a+b")], DEAD)


def test_a_row_whose_group_cannot_be_told_is_in_none() -> None:
    def counted(builder: StreamsBuilder) -> Any:
        return table(builder).group_by(broken_pair, name="g").reduce(added_text, added_text, name="r")

    assert outputs(counted) == ([("k", "a"), ("k", "aa"), ("k", "aab")], DEAD)


def broken_pair(key: str, value: str) -> tuple[str, str]:
    return key, broken(key, value)


def added_text(so_far: str, value: str) -> str:
    return so_far + value


@pytest.mark.parametrize(
    "declare",
    [*FAILING.values(), lambda b: table(b, "u").left_join(table(b).map_values(broken), joined)],
    ids=[*FAILING, "join with a view"],
)
def test_a_function_that_raises_is_named(declare: Declare) -> None:
    builder = StreamsBuilder("test")
    declare(builder)
    with TopologyTestDriver(builder.build()) as driver:
        piped = driver.input_topic("T", value=str)
        piped.pipe("k", "a", 1)
        with pytest.raises(StreamsError, match=r"broken \(.*test_table_errors.py:\d+\) raised ValueError"):
            piped.pipe("k", "!", 2)


def test_who_asks_for_a_row_that_cannot_be_computed_is_told() -> None:
    """A stream's record meets a view."""
    builder = StreamsBuilder("test")
    view = table(builder).map_values(broken, value=str)
    builder.stream("in", key=str, value=str).join(view, joined, value=str).to("out")
    with TopologyTestDriver(builder.build(), dead_letter="dead") as driver:
        driver.input_topic("T", value=str).pipe("k", "!", 1)
        for value in ("x", "y"):
            driver.input_topic("in", value=str).pipe("k", value, 2)
        dead = driver.output_topic("dead", value=str).read_all()
    assert [record.value for record in dead] == ["!", "x", "y"]


BAD_BUFFERS: dict[str, tuple[Callable[[], object], str]] = {
    "no record": (lambda: BufferConfig(max_records=0), "max_records must be a positive number, not 0"),
    "a text": (lambda: BufferConfig(max_bytes="1"), "max_bytes must be a positive number, not '1'"),  # type: ignore[arg-type] # on purpose
    "unknown action": (
        lambda: BufferConfig(when_full="drop"),  # type: ignore[arg-type] # on purpose
        "must be 'shut-down' or 'emit-early', not 'drop'",
    ),
    "early without a limit": (
        lambda: BufferConfig(when_full="emit-early"),
        "needs max_records= or max_bytes=",
    ),
    "early final results": (
        lambda: until_window_closes(BufferConfig(max_records=1, when_full="emit-early")),
        "final results only",
    ),
    "a negative wait": (lambda: until_time_limit(timedelta(-1)), "wait must not be negative"),
    "a wait that is no duration": (lambda: until_time_limit(5), "wait must be a timedelta, not 5"),  # type: ignore[arg-type] # on purpose
}


@pytest.mark.parametrize(("make", "problem"), BAD_BUFFERS.values(), ids=BAD_BUFFERS.keys())
def test_buffers_and_waits_that_make_no_sense(make: Callable[[], object], problem: str) -> None:
    with pytest.raises(TopologyError, match=rf" at .*test_table_errors.py:\d+: .*{problem}"):
        make()
