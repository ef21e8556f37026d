"""A function that cannot be called as it will be fails where it is declared: with the operator's name,
the line, what the function is called with and what it takes instead."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import importlib
import inspect
import pkgutil
import re
import typing
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest

import pipeline.dsl
from pipeline import Processor, TopologyError, session, tumbling
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


def grouped(builder: StreamsBuilder) -> Any:
    return text(builder).group_by_key()


def grouped_table(builder: StreamsBuilder) -> Any:
    return table(builder).group_by(pair, name="g")


def windowed(builder: StreamsBuilder) -> Any:
    return grouped(builder).windowed_by(tumbling(SECOND, grace=SECOND))


def in_sessions(builder: StreamsBuilder) -> Any:
    return grouped(builder).windowed_by(session(SECOND, grace=SECOND))


def cogrouped(builder: StreamsBuilder) -> Any:
    return grouped(builder).cogroup(joiner)


def pair(key: Any, value: Any) -> Any: ...


def made() -> Any: ...


async def made_later() -> Any: ...


async def waits_for(stream: Any) -> None: ...


#: By method and parameter, as they are declared: how a function comes there, and how the message begins.
FUNCTIONS: dict[str, tuple[Declare, str]] = {
    # Sources.
    "StreamsBuilder.stream(timestamp)": (lambda b, f: b.stream("in", timestamp=f), "source-1 ("),
    "StreamsBuilder.table(timestamp)": (lambda b, f: b.table("in", name="t", timestamp=f), "t ("),
    "StreamsBuilder.global_table(timestamp)": (
        lambda b, f: b.global_table("in", name="t", timestamp=f),
        "t (",
    ),
    # Streams, one record at a time.
    "StatelessOperators.filter(predicate)": (lambda b, f: text(b).filter(f), "filter-1 ("),
    "StatelessOperators.filter_not(predicate)": (lambda b, f: text(b).filter_not(f), "filter-not-1 ("),
    "StatelessOperators.map(mapper)": (lambda b, f: text(b).map(f), "map-1 ("),
    "StatelessOperators.map_values(mapper)": (lambda b, f: text(b).map_values(f), "map-values-1 ("),
    "StatelessOperators.flat_map(mapper)": (lambda b, f: text(b).flat_map(f), "flat-map-1 ("),
    "StatelessOperators.flat_map_values(mapper)": (
        lambda b, f: text(b).flat_map_values(f),
        "flat-map-values-1 (",
    ),
    "StatelessOperators.select_key(mapper)": (lambda b, f: text(b).select_key(f), "select-key-1 ("),
    "StatelessOperators.peek(action)": (lambda b, f: text(b).peek(f), "peek-1 ("),
    "StatelessOperators.foreach(action)": (lambda b, f: text(b).foreach(f), "foreach-1 ("),
    "StatelessOperators.branch(predicates)": (lambda b, f: text(b).branch({"a": f}), "branch-1 ("),
    "StatelessOperators.process(supplier)": (lambda b, f: text(b).process(f, name="p"), "p ("),
    "StatelessOperators.process_values(supplier)": (
        lambda b, f: text(b).process_values(f, name="p"),
        "p (",
    ),
    "StatelessOperators.to(topic)": (lambda b, f: text(b).to(f), "sink-1 ("),
    "StatelessOperators.to(partitioner)": (lambda b, f: text(b).to("out", partitioner=f), "sink-1 ("),
    # Streams by key.
    "KeyedOperators.repartition(partitioner)": (
        lambda b, f: text(b).repartition(name="r", partitioner=f),
        "r-repartition (",
    ),
    "KeyedOperators.group_by(mapper)": (lambda b, f: text(b).group_by(f, name="g"), "select-key-1 ("),
    "KGroupedStream.reduce(reducer)": (lambda b, f: grouped(b).reduce(f, name="t"), "reduce at "),
    "KGroupedStream.aggregate(initializer)": (
        lambda b, f: grouped(b).aggregate(f, joiner, name="t", value=int),
        "t (",
    ),
    "KGroupedStream.aggregate(aggregator)": (
        lambda b, f: grouped(b).aggregate(made, f, name="t", value=int),
        "t (",
    ),
    "KGroupedStream.cogroup(aggregator)": (lambda b, f: grouped(b).cogroup(f), "cogroup at "),
    "WindowedKStream.reduce(reducer)": (lambda b, f: windowed(b).reduce(f, name="t"), "reduce at "),
    "TimeWindowedKStream.aggregate(initializer)": (
        lambda b, f: windowed(b).aggregate(f, joiner, name="t", value=int),
        "t (",
    ),
    "TimeWindowedKStream.aggregate(aggregator)": (
        lambda b, f: windowed(b).aggregate(made, f, name="t", value=int),
        "t (",
    ),
    "SessionWindowedKStream.aggregate(initializer)": (
        lambda b, f: in_sessions(b).aggregate(f, joiner, joiner, name="t", value=int),
        "t (",
    ),
    "SessionWindowedKStream.aggregate(aggregator)": (
        lambda b, f: in_sessions(b).aggregate(made, f, joiner, name="t", value=int),
        "t (",
    ),
    "SessionWindowedKStream.aggregate(merger)": (
        lambda b, f: in_sessions(b).aggregate(made, joiner, f, name="t", value=int),
        "aggregate at ",
    ),
    "CogroupedKStream.cogroup(aggregator)": (
        lambda b, f: cogrouped(b).cogroup(grouped(b), f),
        "cogroup at ",
    ),
    "CogroupedKStream.aggregate(initializer)": (
        lambda b, f: cogrouped(b).aggregate(f, name="t", value=int),
        "t (",
    ),
    "TimeWindowedCogroupedKStream.aggregate(initializer)": (
        lambda b, f: (
            cogrouped(b).windowed_by(tumbling(SECOND, grace=SECOND)).aggregate(f, name="t", value=int)
        ),
        "t (",
    ),
    "SessionWindowedCogroupedKStream.aggregate(initializer)": (
        lambda b, f: (
            cogrouped(b).windowed_by(session(SECOND, grace=SECOND)).aggregate(f, joiner, name="t", value=int)
        ),
        "t (",
    ),
    "SessionWindowedCogroupedKStream.aggregate(merger)": (
        lambda b, f: (
            cogrouped(b).windowed_by(session(SECOND, grace=SECOND)).aggregate(made, f, name="t", value=int)
        ),
        "aggregate at ",
    ),
    # Joins of streams.
    "JoinOperators.join(joiner)": (
        lambda b, f: text(b).join(text(b, "b"), f, within=SECOND, name="j"),
        "j (",
    ),
    "JoinOperators.left_join(joiner)": (lambda b, f: text(b).left_join(table(b), f), "left-join-1 ("),
    "JoinOperators.outer_join(joiner)": (
        lambda b, f: text(b).outer_join(text(b, "b"), f, within=SECOND, name="j"),
        "j (",
    ),
    "JoinOperators.join(key_mapper)": (
        lambda b, f: text(b).join(b.global_table("G", name="g"), joiner, key_mapper=f),
        "join-1 (",
    ),
    "JoinOperators.left_join(key_mapper)": (
        lambda b, f: text(b).left_join(b.global_table("G", name="g"), joiner, key_mapper=f),
        "left-join-1 (",
    ),
    # Tables.
    "KTable.filter(predicate)": (lambda b, f: table(b).filter(f), "table-filter-1 ("),
    "KTable.filter_not(predicate)": (lambda b, f: table(b).filter_not(f), "table-filter-1 ("),
    "KTable.map_values(mapper)": (lambda b, f: table(b).map_values(f), "table-map-values-1 ("),
    "KTable.to_stream(mapper)": (lambda b, f: table(b).to_stream(f), "select-key-1 ("),
    "KTable.group_by(mapper)": (lambda b, f: table(b).group_by(f, name="g"), "group-table-1 ("),
    "KGroupedTable.reduce(adder)": (
        lambda b, f: grouped_table(b).reduce(f, pair, name="t"),
        "reduce at ",
    ),
    "KGroupedTable.reduce(subtractor)": (
        lambda b, f: grouped_table(b).reduce(pair, f, name="t"),
        "reduce at ",
    ),
    "KGroupedTable.aggregate(initializer)": (
        lambda b, f: grouped_table(b).aggregate(f, joiner, joiner, name="t", value=int),
        "t (",
    ),
    "KGroupedTable.aggregate(adder)": (
        lambda b, f: grouped_table(b).aggregate(made, f, joiner, name="t", value=int),
        "t (",
    ),
    "KGroupedTable.aggregate(subtractor)": (
        lambda b, f: grouped_table(b).aggregate(made, joiner, f, name="t", value=int),
        "t (",
    ),
    # Joins of tables.
    "TableJoinOperators.join(joiner)": (lambda b, f: table(b).join(other_table(b), f), "table-join-1 ("),
    "TableJoinOperators.left_join(joiner)": (
        lambda b, f: table(b).left_join(other_table(b), f),
        "table-left-join-1 (",
    ),
    "TableJoinOperators.outer_join(joiner)": (
        lambda b, f: table(b).outer_join(other_table(b), f),
        "table-outer-join-1 (",
    ),
    "TableJoinOperators.join(foreign_key)": (
        lambda b, f: table(b).join(other_table(b), joiner, foreign_key=f, name="fk", value=str),
        "",
    ),
    "AgentOperators.agent(uses)": (lambda b, f: text(b).agent(waits_for, uses=f), "agent-1"),
    "AgentOperators.agent(answers)": (lambda b, f: text(b).agent(waits_for, answers=f), "agent-1"),
    "AgentOperators.agent(function)": (lambda b, f: text(b).agent(f), "agent-1"),
    "TableJoinOperators.left_join(foreign_key)": (
        lambda b, f: table(b).left_join(other_table(b), joiner, foreign_key=f, name="fk", value=str),
        "",
    ),
}


def other_table(builder: StreamsBuilder) -> Any:
    return builder.table("S", name="other", value=str)


#: Without one of these, something else is declared.
OPTIONAL = ("(timestamp)", "(partitioner)", "(foreign_key)", "(uses)", "(answers)", "to_stream(mapper)")


def role(function: str) -> str:
    """The parameter, as `PARAMETERS` has it. A grouped table's `reduce` takes two reducers."""
    if function.startswith("KGroupedTable.reduce"):
        return "reducer"
    name = function.partition("(")[2].removesuffix(")")
    return name if name in {"uses", "answers"} else name.removesuffix("s")


@pytest.mark.parametrize(
    ("name", "declare", "begins"), [(n, *f) for n, f in FUNCTIONS.items()], ids=FUNCTIONS
)
def test_every_operator_checks_its_function(name: str, declare: Declare, begins: str) -> None:
    """`made` takes nothing, which is too little everywhere but where nothing is given: `one` is for these."""
    wrong: Any = one if not PARAMETERS[role(name)] else made_later if role(name) == "function" else made
    takes = "takes (argument):" if wrong is one else "takes ():"
    with pytest.raises(TopologyError) as raised:
        declare(StreamsBuilder("test"), wrong)
    message = str(raised.value)
    assert message.startswith(begins)
    called = f"{role(name)} is called with ({', '.join(PARAMETERS[role(name)])})"
    assert [part for part in (HERE, called, f"{wrong.__name__} (", takes) if part not in message] == []


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("value", [7, b"key", "key", None])
def test_every_operator_refuses_what_is_no_function(name: str, value: object) -> None:
    declare, _begins = FUNCTIONS[name]
    if (value == "key" and name.endswith("(topic)")) or (value is None and name.endswith(OPTIONAL)):
        declare(StreamsBuilder("test"), value)
        return
    with pytest.raises(TopologyError) as raised:
        declare(StreamsBuilder("test"), value)
    message = str(raised.value)
    assert HERE in message
    assert repr(value) in message or f"needs {role(name)}=" in message


def declared_functions() -> Iterator[str]:
    """Every parameter of the DSL that takes a function, as `Class.method(parameter)`."""
    for found in pkgutil.iter_modules(pipeline.dsl.__path__, "pipeline.dsl."):
        module = importlib.import_module(found.name)
        classes = [kind for kind in vars(module).values() if inspect.isclass(kind)]
        for kind in classes:
            for name, method in vars(kind).items():
                if kind.__module__ == found.name and inspect.isfunction(method) and not name.startswith("_"):
                    for parameter in inspect.signature(method).parameters.values():
                        if re.search("Callable\\[|TimestampExtractor", str(parameter.annotation)):
                            yield f"{kind.__name__}.{name}({parameter.name})"


def test_the_table_has_every_parameter_that_takes_a_function() -> None:
    """Not what a user never calls: the graph, and what groupings have in common."""
    found = {name for name in declared_functions() if not name.startswith(("Graph.", "Grouping."))}
    assert found == FUNCTIONS.keys()


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
