"""Where records leave the task: a topic, which may be an internal one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.errors import ProcessingError, ProduceError, RecordError, RecordTooLargeError
from pipeline.operators.context import OperatorContext, failed
from pipeline.record import Forward, Headers
from pipeline.serde import WindowedSerde
from pipeline.topology import Partitioner, Sink, describe_function


def build_sink(node: Sink, context: OperatorContext, _forward: Forward) -> Forward:
    """Encode, and hand to the producer."""
    fixed = node.topic if isinstance(node.topic, str) else ""
    choose = None if isinstance(node.topic, str) else node.topic
    encode_key, encode_value = node.key.serialize, node.value.serialize
    partition_of = _partitioner(node, context)
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
            partition = -1 if partition_of is None else partition_of(topic, key, value)
            produce(topic, value_bytes, key_bytes, partition, timestamp, headers)
        except ProcessingError as error:
            fail(error)
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


def _partitioner(node: Sink, context: OperatorContext) -> Callable[[str, Any, Any], int] | None:
    """Return what chooses a record's partition; None: the producer does, by the key's bytes."""
    by_key = None
    if isinstance(node.key, WindowedSerde):
        by_key = _by_inner_key(node.key, context)
    if node.partitioner is None:
        return by_key
    return _users_partitioner(node, node.partitioner, by_key, context)


def _by_inner_key(serde: WindowedSerde, context: OperatorContext) -> Callable[[str, Any, Any], int]:
    """A windowed key is partitioned by the key within the window (`WindowedStreamPartitioner`)."""
    encode, partition_for = serde.inner.serialize, context.partition_for
    return lambda topic, key, _value: -1 if key is None else partition_for(topic, encode(key.key))


def _users_partitioner(
    node: Sink,
    partitioner: Partitioner,
    by_key: Callable[[str, Any, Any], int] | None,
    context: OperatorContext,
) -> Callable[[str, Any, Any], int]:
    partition_count = context.partition_count

    def partition_of(topic: str, key: Any, value: Any) -> int:
        count = partition_count(topic)
        try:
            partition = partitioner(topic, key, value, count)
        except Exception as error:
            raise failed(node, partitioner, error) from error
        if partition is None and node.follows:
            return -1 if by_key is None else by_key(topic, key, value)
        if not isinstance(partition, int) or not 0 <= partition < count:
            raise ProcessingError(
                f"{node}: {describe_function(partitioner)} returned {partition!r} for topic {topic!r}, which "
                f"has partitions 0 to {count - 1}"
            )
        return partition

    return partition_of
