"""Operators without state: each is a closure around the next one."""

from __future__ import annotations

from typing import Any

from pipeline.errors import ProcessingError, ProduceError, RecordError, RecordTooLargeError
from pipeline.operators.context import OperatorContext, failed
from pipeline.record import Forward, Headers
from pipeline.serde import TimeWindowedSerde
from pipeline.topology import (
    Branch,
    Filter,
    FlatMapValues,
    Map,
    MapValues,
    Node,
    Peek,
    SelectKey,
    Sink,
    describe_function,
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


def build_map(node: Map, context: OperatorContext, forward: Forward) -> Forward:
    """Forward the mapper's pair."""
    mapper, fail = node.mapper, context.fail

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        try:
            new_key, new_value = mapper(key, value)
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


def build_sink(node: Sink, context: OperatorContext, _forward: Forward) -> Forward:
    """Encode, and hand to the producer."""
    fixed = node.topic if isinstance(node.topic, str) else ""
    choose = None if isinstance(node.topic, str) else node.topic
    encode_key, encode_value = node.key.serialize, node.value.serialize
    partition_of = _windowed_partitioner(node, context)
    produce, limit = context.produce, context.max_record_bytes
    drop_null_keys, fail = not node.keep_null_keys, context.fail
    known_topics, check_topic = {fixed}, context.check_topic

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        if key is None and drop_null_keys:
            context.reject(node, "null key")
            return
        try:
            key_bytes = None if key is None else encode_key(key)
            value_bytes = None if value is None else encode_value(value)
        except Exception as error:
            fail(_unencodable_record(node, error))
            return
        if value_bytes is not None and len(value_bytes) > limit:
            fail(_too_large(node, len(value_bytes), limit))
            return
        topic = fixed
        if choose is not None:
            try:
                topic = choose(key, value)
            except Exception as error:
                fail(failed(node, choose, error))
                return
            if not topic or not isinstance(topic, str):
                fail(ProcessingError(f"{node}: {describe_function(choose)} returned no topic's name"))
                return
        try:
            if topic not in known_topics:
                # The producer would wait for it to appear, and everything with it.
                check_topic(topic)
                known_topics.add(topic)
            partition = -1 if partition_of is None or key is None else partition_of(topic, key)
            produce(topic, value_bytes, key_bytes, partition, timestamp, headers)
        except RecordError as error:
            fail(type(error)(f"{node}: {error}"))

    return process


def _unencodable_record(node: Sink, error: Exception) -> ProduceError:
    failure = ProduceError(
        f"{node} cannot encode the record, its key as {node.key.name} and its value as {node.value.name}: "
        f"{error}; give key= or value= to the operator that makes them"
    )
    failure.__cause__ = error
    return failure


def _too_large(node: Sink, size: int, limit: int) -> RecordTooLargeError:
    return RecordTooLargeError(f"{node}: value of {size} bytes exceeds max_record_bytes ({limit})")


def _windowed_partitioner(node: Sink, context: OperatorContext) -> Any:
    """A windowed key is partitioned by the key within the window (`WindowedStreamPartitioner`)."""
    if not isinstance(node.key, TimeWindowedSerde):
        return None
    encode = node.key.inner.serialize
    return lambda topic, windowed: context.partition_for(topic, encode(windowed.key))
