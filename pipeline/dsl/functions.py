"""What users' functions are called with: checked where they are declared, not at the first record.

`PARAMETERS` is the one list of them, by the name that a function has as a node's field and as the
DSL's parameter. `Graph.add` checks every node against it; an operator has nothing to do for that,
unless it wraps a user's function in one of its own.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pipeline.errors import TopologyError
from pipeline.timestamps import ByClock
from pipeline.topology import FlatMap, FlatMapValues, Node, describe_function

_KEY_VALUE: Final = ("key", "value")
_SIDES: Final = ("key", "left", "right")
_FOLD: Final = ("key", "value", "so_far")

PARAMETERS: Final[Mapping[str, tuple[str, ...]]] = {
    "action": _KEY_VALUE,
    "adder": _FOLD,
    "aggregator": _FOLD,
    "aggregators": _FOLD,
    "foreign_key": _KEY_VALUE,
    "function": ("stream",),
    "initializer": (),
    "joiner": _SIDES,
    "key_mapper": _KEY_VALUE,
    "mapper": _KEY_VALUE,
    "merger": _SIDES,
    "uses": (),
    "answers": ("value",),
    "partitioner": ("topic", "key", "value", "partitions"),
    "predicate": _KEY_VALUE,
    "predicates": _KEY_VALUE,
    "reducer": ("so_far", "new"),
    "subtractor": _FOLD,
    "supplier": (),
    "timestamp": ("record", "partition_time"),
    "topic": _KEY_VALUE,
}

#: What one of several is called.
_SINGULAR: Final = {"aggregators": "aggregator", "predicates": "predicate"}
#: Functions that are async: an agent waits where an operator does not.
_ASYNC: Final = "function"


def check_functions(node: Node) -> None:
    """Check every function of a node.

    Raises:
        TopologyError: one of them is no function, or cannot be called as it will be.
    """
    for field in dataclasses.fields(node):
        if field.name in PARAMETERS:
            for function in _functions(field, getattr(node, field.name)):
                role = _SINGULAR.get(field.name, field.name)
                check_function(function, role, str(node), yields=isinstance(node, FlatMap | FlatMapValues))


def check_function(function: object, role: str, who: str, *, yields: bool = False) -> None:
    """Check one function.

    Decorated functions are judged by what the decorator returned; functions that do not tell their
    parameters, as some written in C, by being callable.

    Args:
        function: what the user gave.
        role: its name in `PARAMETERS`.
        who: operator and line, for messages.
        yields: whether it may be a generator, whose results are iterated over.

    Raises:
        TopologyError: it is no function, is async (or not, for an agent), yields where nobody would iterate,
            or cannot be called as it will be.
    """
    called_with = f"({', '.join(PARAMETERS[role])})"
    if not callable(function):
        raise TopologyError(f"{who}: {role} must be a function of {called_with}, not {function!r}")
    is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    if role == _ASYNC and not is_async:
        raise TopologyError(
            f"{who}: an agent is an async function of {called_with}, and {describe_function(function)} is not"
        )
    if is_async and role != _ASYNC:
        raise TopologyError(
            f"{who}: {role} must be a plain function, and {describe_function(function)} is async: operators "
            "do not wait"
        )
    if inspect.isgeneratorfunction(function) and not yields:
        raise TopologyError(
            f"{who}: {role} must be a plain function, and {describe_function(function)} yields: "
            "return what it makes; flat_map and flat_map_values take functions that yield"
        )
    try:
        signature = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*PARAMETERS[role])
    except TypeError:
        raise TopologyError(
            f"{who}: {role} is called with {called_with}, and {describe_function(function)} takes "
            f"{_shown(signature)}: give it the parameters {called_with}"
        ) from None


def _functions(field: dataclasses.Field[Any], value: object) -> Iterator[object]:
    """A field holds a function, or several; none if it may be left out, or holds what takes its place."""
    if isinstance(value, tuple):
        yield from value
    elif isinstance(value, ByClock):
        return
    elif value is not field.default and not (field.name == "topic" and isinstance(value, str)):
        yield value


def _shown(signature: inspect.Signature) -> str:
    """Names alone: annotations would bury them."""
    parameters = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty))
