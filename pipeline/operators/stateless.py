"""Operators without state: each is a closure around the next one."""

from __future__ import annotations

from typing import Any

from pipeline.operators.context import OperatorContext, failed
from pipeline.operators.pairs import as_pair
from pipeline.record import Forward, Headers
from pipeline.topology import (
    Branch,
    Filter,
    FilterNot,
    FlatMap,
    FlatMapValues,
    ForEach,
    Map,
    MapValues,
    Node,
    Peek,
    SelectKey,
)


def build_filter(node: Filter, context: OperatorContext, forward: Forward) -> Forward:
    """Forward what the predicate holds for."""
    predicate, fail = node.predicate, context.fail

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        try:
            keep = predicate(key, value)
        except Exception as error:
            fail(failed(node, predicate, error))
            return
        if keep:
            forward(key, value, timestamp, headers)

    return process


def build_filter_not(node: FilterNot, context: OperatorContext, forward: Forward) -> Forward:
    """Forward what the predicate does not hold for."""
    predicate, fail = node.predicate, context.fail

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        try:
            discard = predicate(key, value)
        except Exception as error:
            fail(failed(node, predicate, error))
            return
        if not discard:
            forward(key, value, timestamp, headers)

    return process


def build_map(node: Map, context: OperatorContext, forward: Forward) -> Forward:
    """Forward the mapper's pair."""
    mapper, fail = node.mapper, context.fail

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        try:
            new_key, new_value = as_pair(mapper(key, value))
        except Exception as error:
            fail(failed(node, mapper, error))
            return
        forward(new_key, new_value, timestamp, headers)

    return process


def build_map_values(node: MapValues, context: OperatorContext, forward: Forward) -> Forward:
    """Forward the mapper's value under the same key."""
    mapper, fail = node.mapper, context.fail

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        try:
            new_value = mapper(key, value)
        except Exception as error:
            fail(failed(node, mapper, error))
            return
        forward(key, new_value, timestamp, headers)

    return process


def build_flat_map_values(node: FlatMapValues, context: OperatorContext, forward: Forward) -> Forward:
    """Forward each of the mapper's values; none of them if the mapper fails at a later one."""
    mapper, fail = node.mapper, context.fail

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        try:
            new_values = tuple(mapper(key, value))
        except Exception as error:
            fail(failed(node, mapper, error))
            return
        for new_value in new_values:
            forward(key, new_value, timestamp, headers)

    return process


def build_flat_map(node: FlatMap, context: OperatorContext, forward: Forward) -> Forward:
    """Forward each of the mapper's pairs; none of them if the mapper fails at a later one."""
    mapper, fail = node.mapper, context.fail

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        try:
            pairs = [as_pair(pair) for pair in mapper(key, value)]
        except Exception as error:
            fail(failed(node, mapper, error))
            return
        for new_key, new_value in pairs:
            forward(new_key, new_value, timestamp, headers)

    return process


def build_select_key(node: SelectKey, context: OperatorContext, forward: Forward) -> Forward:
    """Forward under the mapper's key."""
    mapper, fail = node.mapper, context.fail

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        try:
            new_key = mapper(key, value)
        except Exception as error:
            fail(failed(node, mapper, error))
            return
        forward(new_key, value, timestamp, headers)

    return process


def build_peek(node: Peek, context: OperatorContext, forward: Forward) -> Forward:
    """Show the record to the action, then forward it."""
    action, fail = node.action, context.fail

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        try:
            action(key, value)
        except Exception as error:
            fail(failed(node, action, error))
            return
        forward(key, value, timestamp, headers)

    return process


def build_for_each(node: ForEach, context: OperatorContext, _forward: Forward) -> Forward:
    """Show the record to the action: nothing follows."""
    action, fail = node.action, context.fail

    def process(key: Any, value: Any, _timestamp: int, _headers: Headers) -> None:
        try:
            action(key, value)
        except Exception as error:
            fail(failed(node, action, error))

    return process


def build_pass_through(_node: Node, _context: OperatorContext, forward: Forward) -> Forward:
    """Forward as it is: merges and the arms of a branch are wiring, not work."""
    return forward


def build_branch(node: Branch, context: OperatorContext, arms: tuple[Forward, ...]) -> Forward:
    """Forward to the first arm whose predicate holds; the arm after the last is the default."""
    tests = tuple(zip(node.predicates, arms, strict=False))
    default = arms[len(tests)] if len(arms) > len(tests) else None
    fail = context.fail

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        for predicate, arm in tests:
            try:
                chosen = predicate(key, value)
            except Exception as error:
                fail(failed(node, predicate, error))
                return
            if chosen:
                arm(key, value, timestamp, headers)
                return
        if default is not None:
            default(key, value, timestamp, headers)

    return process
