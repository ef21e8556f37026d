"""A join of streams, or of a stream and a table, that cannot run fails where it is declared: with the
operator, the line, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from pipeline import TopologyError, tumbling
from pipeline.dsl.builder import StreamsBuilder
from pipeline.plan.planner import plan
from tests.semantics.timed import joined

#: Where the operator that a message is about was declared.
HERE = f"{Path(__file__).relative_to(Path.cwd())}:"
SECOND = timedelta(seconds=1)

Declare: TypeAlias = Callable[[Any], object]


def left(builder: StreamsBuilder, **serdes: Any) -> Any:
    """Any: what is called with the wrong types is to be called all the same."""
    return builder.stream("L", **({"key": str, "value": str} | serdes))


def right(builder: StreamsBuilder, **serdes: Any) -> Any:
    return builder.stream("R", **({"key": str, "value": str} | serdes))


def table(builder: StreamsBuilder, **options: Any) -> Any:
    return builder.table("T", name="t", value=str, **options)


def unmapped(stream: Any) -> Any:
    return stream.map_values(lambda _key, value: value)


def counts(builder: StreamsBuilder) -> Any:
    windows = tumbling(SECOND, grace=timedelta(0))
    return right(builder).group_by_key().windowed_by(windows).count(name="counts")


#: What is declared, and what the message says.
DECLARED: dict[str, tuple[Declare, tuple[str, ...]]] = {
    "outer join without a window": (
        lambda b: left(b).outer_join(right(b), joined, name="j"),
        ("outer_join at", "two streams", "needs within="),
    ),
    "outer join without a name": (
        lambda b: left(b).outer_join(right(b), joined, within=SECOND),
        ("outer_join at", "needs name="),
    ),
    "outer join of a stream with a table": (
        lambda b: left(b).outer_join(table(b), joined),
        ("outer_join at", "left_join", "to_table()"),
    ),
    "outer join with what is no stream": (
        lambda b: left(b).outer_join("R", joined, within=SECOND, name="j"),
        ("outer_join at", "takes a stream", "not 'R'"),
    ),
    "outer join of unknown values on the left": (
        lambda b: unmapped(left(b)).outer_join(right(b), joined, within=SECOND, name="j"),
        ("outer_join at", "give value="),
    ),
    "outer join of unknown values on the right": (
        lambda b: left(b).outer_join(unmapped(right(b)), joined, within=SECOND, name="j"),
        ("outer_join at", "give value="),
    ),
    "outer join of keys that are encoded differently": (
        lambda b: left(b, key=int).outer_join(right(b), joined, within=SECOND, name="j"),
        ("j (", "int64", "string", "give both the same key="),
    ),
    "window that ends before it begins": (
        lambda b: left(b).outer_join(right(b), joined, within=(-SECOND, SECOND / 2), name="j"),
        ("outer_join at", "is empty", "-1000 ms", "500 ms"),
    ),
    "window with one bound": (
        lambda b: left(b).join(right(b), joined, within=(SECOND,), name="j"),
        ("join at", "within=", "(before, after)"),
    ),
    "window of three bounds": (
        lambda b: left(b).left_join(right(b), joined, within=(SECOND, SECOND, SECOND), name="j"),
        ("left_join at", "within=", "(before, after)"),
    ),
    "windowed table on the right side": (
        lambda b: left(b).left_join(counts(b), joined),
        ("left_join at", "'counts' is windowed", "to_stream()"),
    ),
    "windowed table on the right side of an outer join": (
        lambda b: left(b).outer_join(counts(b), joined, within=SECOND, name="j"),
        ("outer_join at", "two streams"),
    ),
    "table with a window": (
        lambda b: left(b).left_join(table(b), joined, within=SECOND),
        ("left_join at", "within= is for streams"),
    ),
    "grace with a table of latest values (a5.5)": (
        lambda b: left(b).join(table(b), joined, grace=SECOND, name="j"),
        ("join at", "'t'", "latest values", "history="),
    ),
    "grace with a stored view of a versioned table (a5.5)": (
        lambda b: left(b).join(
            table(b, history=SECOND).filter(lambda _k, _v: True, name="f"), joined, grace=SECOND, name="j"
        ),
        ("join at", "'f'", "latest values", "history="),
    ),
    "grace longer than the history (a5.5)": (
        lambda b: left(b).join(table(b, history=SECOND), joined, grace=2 * SECOND, name="j"),
        ("join at", "2000 ms", "'t', 1000 ms", "raise history=", "lower grace="),
    ),
    "grace longer than the history of a view's parent (a5.5)": (
        lambda b: left(b).join(
            table(b, history=SECOND).filter(lambda _k, _v: True), joined, grace=2 * SECOND, name="j"
        ),
        ("join at", "2000 ms", "1000 ms", "raise history="),
    ),
    "grace with a table without a name": (
        lambda b: left(b).left_join(table(b, history=SECOND), joined, grace=SECOND),
        ("left_join at", "needs name=", "store"),
    ),
    "grace of unknown values": (
        lambda b: unmapped(left(b)).join(table(b, history=SECOND), joined, grace=SECOND, name="j"),
        ("join at", "give value="),
    ),
    "negative grace with a table": (
        lambda b: left(b).join(table(b, history=SECOND), joined, grace=-SECOND, name="j"),
        ("join at", "grace must not be negative"),
    ),
    "grace with a table that is a number": (
        lambda b: left(b).join(table(b, history=SECOND), joined, grace=1, name="j"),
        ("join at", "grace must be a timedelta"),
    ),
    "a name that clashes with the store of waiting records": (
        lambda b: [
            left(b).join(table(b, history=SECOND), joined, grace=SECOND, name="j"),
            b.table("U", name="j-buffer", value=str),
        ],
        ("store name 'j-buffer' is used twice", "j (", "j-buffer ("),
    ),
    "a name that clashes with the store of unmatched records": (
        lambda b: [
            left(b).outer_join(right(b), joined, within=SECOND, name="j"),
            b.table("U", name="j-unmatched", value=str),
        ],
        ("store name 'j-unmatched' is used twice", "j (", "j-unmatched ("),
    ),
    "a joiner of two parameters": (
        lambda b: left(b).outer_join(right(b), lambda one, other: one, within=SECOND, name="j"),
        ("j (", "joiner is called with (key, left, right)"),
    ),
}


def planned(declare: Declare) -> None:
    builder = StreamsBuilder("test")
    declare(builder)
    plan(builder.build())


@pytest.mark.parametrize(("declare", "says"), DECLARED.values(), ids=DECLARED.keys())
def test_declared(declare: Declare, says: tuple[str, ...]) -> None:
    with pytest.raises(TopologyError) as raised:
        planned(declare)
    message = str(raised.value)
    assert [part for part in (*says, HERE) if part not in message] == []
    assert "\n" not in message
