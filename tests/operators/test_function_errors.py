"""A function that cannot be called as it will be fails where it is declared: with the operator's name,
the line, what the function is called with and what it takes instead."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import typing
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from pipeline import Processor, TopologyError, session
from pipeline.dsl.builder import StreamsBuilder
from pipeline.dsl.functions import PARAMETERS
from pipeline.topology import Node
from tests.plan.node_types import node_types

HERE = f"{Path(__file__).relative_to(Path.cwd())}:"
SECOND = timedelta(seconds=1)

Declare: TypeAlias = Callable[[Any, Any], object]


class Dedup(Processor[Any, Any, Any, Any]):
    def __init__(self, within: timedelta) -> None: ...


def text(builder: StreamsBuilder, topic: str = "in") -> Any:
    """Any: what is called with the wrong functions is to be called all the same."""
    return builder.stream(topic, key=str, value=str)


def table(builder: StreamsBuilder) -> Any:
    return builder.table("R", name="table", value=str)


def one(argument: Any) -> Any: ...


def joiner(key: Any, left: Any, right: Any) -> Any: ...


#: By operator: how it is declared with a function, how its message begins, what the function is called with.
OPERATORS: dict[str, tuple[Declare, str, str]] = {
    "stream-timestamp": (
        lambda b, f: b.stream("in", timestamp=f),
        "source-1 (",
        "timestamp is called with (record, partition_time)",
    ),
    "table-timestamp": (
        lambda b, f: b.table("in", name="t", timestamp=f),
        "t (",
        "timestamp is called with (record, partition_time)",
    ),
    "filter": (lambda b, f: text(b).filter(f), "filter-1 (", "predicate is called with (key, value)"),
    "map": (lambda b, f: text(b).map(f), "map-1 (", "mapper is called with (key, value)"),
    "map_values": (
        lambda b, f: text(b).map_values(f),
        "map-values-1 (",
        "mapper is called with (key, value)",
    ),
    "flat_map_values": (
        lambda b, f: text(b).flat_map_values(f),
        "flat-map-values-1 (",
        "mapper is called with (key, value)",
    ),
    "select_key": (
        lambda b, f: text(b).select_key(f),
        "select-key-1 (",
        "mapper is called with (key, value)",
    ),
    "peek": (lambda b, f: text(b).peek(f), "peek-1 (", "action is called with (key, value)"),
    "branch": (lambda b, f: text(b).branch({"a": f}), "branch-1 (", "predicate is called with (key, value)"),
    "to": (lambda b, f: text(b).to(f), "sink-1 (", "topic is called with (key, value)"),
    "process": (lambda b, f: text(b).process(f, name="p"), "p (", "supplier is called with ()"),
    "group_by": (
        lambda b, f: text(b).group_by(f, name="g"),
        "select-key-1 (",
        "mapper is called with (key, value)",
    ),
    "reduce": (
        lambda b, f: text(b).group_by_key().reduce(f, name="t"),
        "reduce at ",
        "reducer is called with (so_far, new)",
    ),
    "aggregate-aggregator": (
        lambda b, f: text(b).group_by_key().aggregate(int, f, name="t", value=int),
        "t (",
        "aggregator is called with (key, value, so_far)",
    ),
    "session-merger": (
        lambda b, f: (
            text(b)
            .group_by_key()
            .windowed_by(session(SECOND, grace=SECOND))
            .aggregate(int, joiner, f, name="t", value=int)
        ),
        "aggregate at ",
        "merger is called with (key, left, right)",
    ),
    "cogroup": (
        lambda b, f: text(b).group_by_key().cogroup(f),
        "cogroup at ",
        "aggregator is called with (key, value, so_far)",
    ),
    "cogroup-another": (
        lambda b, f: text(b).group_by_key().cogroup(joiner).cogroup(text(b, "b").group_by_key(), f),
        "cogroup at ",
        "aggregator is called with (key, value, so_far)",
    ),
    "aggregate-initializer": (
        lambda b, f: text(b).group_by_key().aggregate(f, joiner, name="t", value=int),
        "t (",
        "initializer is called with ()",
    ),
    "stream-join": (
        lambda b, f: text(b).join(text(b, "b"), f, within=SECOND, name="j"),
        "j (",
        "joiner is called with (key, left, right)",
    ),
    "stream-left-join": (
        lambda b, f: text(b).left_join(text(b, "b"), f, within=SECOND, name="j"),
        "j (",
        "joiner is called with (key, left, right)",
    ),
    "table-join": (
        lambda b, f: text(b).join(table(b), f),
        "join-1 (",
        "joiner is called with (key, left, right)",
    ),
    "table-left-join": (
        lambda b, f: text(b).left_join(table(b), f),
        "left-join-1 (",
        "joiner is called with (key, left, right)",
    ),
}


@pytest.mark.parametrize(("declare", "begins", "called"), OPERATORS.values(), ids=OPERATORS.keys())
def test_every_operator_checks_its_function(declare: Declare, begins: str, called: str) -> None:
    with pytest.raises(TopologyError) as raised:
        declare(StreamsBuilder("test"), one)
    message = str(raised.value)
    assert message.startswith(begins + HERE)
    assert [part for part in (called, "one (", "takes (argument)") if part not in message] == []


@pytest.mark.parametrize(("declare", "begins", "called"), OPERATORS.values(), ids=OPERATORS.keys())
@pytest.mark.parametrize("value", [7, b"key"])
def test_every_operator_refuses_what_is_no_function(
    declare: Declare, begins: str, called: str, value: object
) -> None:
    with pytest.raises(TopologyError) as raised:
        declare(StreamsBuilder("test"), value)
    assert f"{value!r}" in str(raised.value)
    assert HERE in str(raised.value)


@pytest.mark.parametrize("name", sorted(OPERATORS.keys() - {"to"}))
def test_a_string_is_a_function_nowhere(name: str) -> None:
    """`to` takes one: a topic's name."""
    with pytest.raises(TopologyError, match=r"must be a function of .*, not 'key'"):
        OPERATORS[name][0](StreamsBuilder("test"), "key")


@pytest.mark.parametrize("name", sorted(name for name in OPERATORS if "timestamp" not in name))
def test_no_function_is_left_out(name: str) -> None:
    with pytest.raises(TopologyError, match="None"):
        OPERATORS[name][0](StreamsBuilder("test"), None)


async def waits(key: Any, value: Any) -> bool:
    await asyncio.sleep(0)
    return True


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    """Its result takes other parameters than the function that it wraps."""

    @functools.wraps(function)
    def called(*arguments: Any) -> Any:
        return function(arguments)

    return called


class Callable2:
    def __call__(self, key: Any, value: Any) -> bool:
        return True

    def method(self, key: Any, value: Any) -> bool:
        return True

    def short(self, key: Any) -> bool:
        return True


#: Given to `filter`: what the message says, None if it is taken.
SHAPES: dict[str, tuple[object, str | None]] = {
    "lambda": (lambda key, value: True, None),
    "lambda-of-the-value-alone": (
        lambda log: True,
        "and <lambda> (",
    ),
    "no-parameters": (lambda: True, "takes ():"),
    "one-too-many": (lambda key, value, more: True, "takes (key, value, more):"),
    "defaults-do-not-count": (lambda key, value, more=1: True, None),
    "any-number": (lambda *arguments: True, None),
    "keywords-alone": (lambda *, key, value: True, "takes (*, key, value):"),
    "partial": (functools.partial(joiner, 1), None),
    "partial-of-too-much": (functools.partial(joiner, 1, 2), "takes (right):"),
    "decorated-by-what-takes-anything": (decorated(one), None),
    "method": (Callable2().method, None),
    "method-that-is-short": (Callable2().short, "takes (key):"),
    "method-of-no-object": (Callable2.method, "takes (self, key, value):"),
    "object-that-is-called": (Callable2(), None),
    "written-in-c": (max, None),
    "async": (waits, "waits ("),
    "object-that-is-not": (Dedup(SECOND), "not <"),
    "annotations-are-not-shown": (one, "takes (argument):"),
}


@pytest.mark.parametrize(("function", "says"), SHAPES.values(), ids=SHAPES.keys())
def test_shapes_of_functions(function: Any, says: str | None) -> None:
    stream = text(StreamsBuilder("test"))
    if says is None:
        stream.filter(function)
        return
    with pytest.raises(TopologyError) as raised:
        stream.filter(function)
    assert says in str(raised.value)
    assert HERE in str(raised.value)


def test_a_processor_that_needs_arguments() -> None:
    """Its class is called with none."""
    with pytest.raises(TopologyError, match=r"supplier is called with \(\), and Dedup \(.*takes \(within\)"):
        text(StreamsBuilder("test")).process(Dedup)


def functions_of(kind: type[Node]) -> Iterator[tuple[str, int]]:
    """Names of the fields that hold functions, and how many parameters each has."""
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        for hint in (hints[field.name], *typing.get_args(hints[field.name])):
            if typing.get_origin(hint) is typing.get_origin(Callable[..., Any]):
                yield field.name, len(typing.get_args(hint)[0])


@pytest.mark.parametrize("kind", list(node_types()), ids=lambda kind: kind.__name__)
def test_every_function_of_a_node_is_checked(kind: type[Node]) -> None:
    """A node's field that holds a function is listed in `PARAMETERS`, or nobody checks it."""
    functions = dict(functions_of(kind))
    assert {name: len(PARAMETERS[name]) for name in functions} == functions
