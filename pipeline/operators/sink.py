"""Where records leave the task: a topic, which may be an internal one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from pipeline.errors import (
    BrokerUnreachableError,
    ProcessingError,
    ProduceError,
    RecordError,
    RecordTooLargeError,
    RegistryRefusedError,
    RewindError,
)
from pipeline.operators.context import OperatorContext, failed
from pipeline.record import Forward, Headers
from pipeline.serde import Serde, TopicSerde, WindowedSerde, for_topic
from pipeline.topology import Partitioner, Sink, describe_function

#: Of the topics that a sink chooses among, so many are kept open: about a kilobyte each.
MAX_CHOSEN: Final = 1_000


def build_sink(node: Sink, context: OperatorContext, _forward: Forward) -> Forward:
    """Encode, and hand to the producer."""
    if isinstance(node.topic, str):
        return _to_topic(node, node.topic, context)
    return _to_chosen_topics(node, node.topic, context)


def _to_topic(node: Sink, topic: str, context: OperatorContext) -> Forward:
    encode_key, encode_value = node.key.serialize, node.value.serialize
    partition_of = _partitioner(node, context)
    produce, limit = context.produce_uncounted, context.max_record_bytes
    drop_null_keys, fail, flow = not node.keep_null_keys, context.fail, context.flow_to(topic)

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        if key is None and drop_null_keys:
            context.reject(node, "null key")
            return
        try:
            key_bytes = None if key is None else encode_key(key)
            value_bytes = None if value is None else encode_value(value)
        except Exception as error:
            fail(_unencodable_record(node, key, value, error))
            return
        size = 0 if value_bytes is None else len(value_bytes)
        if size > limit:
            fail(_too_large(node, size, limit))
            return
        try:
            partition = -1 if partition_of is None else partition_of(topic, key, value)
            produce(topic, value_bytes, key_bytes, partition, timestamp, headers)
        except ProcessingError as error:
            fail(error)
            return
        except RecordError as error:
            fail(type(error)(f"{node}: {error}"))
            return
        flow.records += 1
        flow.bytes += size if key_bytes is None else size + len(key_bytes)

    return process


def _to_chosen_topics(node: Sink, choose: Callable[[Any, Any], str], context: OperatorContext) -> Forward:
    """Choose for each record, among sinks that are opened as topics are chosen; the oldest are closed."""
    sinks: dict[str, Forward] = {}
    fail = context.fail

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        try:
            topic = choose(key, value)
            sink = sinks.get(topic)
        except Exception as error:
            fail(failed(node, choose, error))
            return
        if sink is None:
            if not topic or not isinstance(topic, str):
                fail(ProcessingError(f"{node}: {describe_function(choose)} returned no topic's name"))
                return
            try:
                # The producer would wait for it to appear, and everything with it.
                context.check_topic(topic)
            except RecordError as error:
                fail(type(error)(f"{node}: {error}"))
                return
            sink = sinks[topic] = _to_topic(_told(node, topic), topic, context)
            if len(sinks) > MAX_CHOSEN:
                del sinks[next(iter(sinks))]
        sink(key, value, timestamp, headers)

    return process


def _told(node: Sink, topic: str) -> Sink:
    """Return a sink whose serdes know the topic."""
    key, value = for_topic(node.key, topic, is_key=True), for_topic(node.value, topic, is_key=False)
    try:
        for serde in (key, value):
            if isinstance(serde, TopicSerde):
                serde.prepare()
    except BrokerUnreachableError as error:
        raise RewindError(f"{node}: {error}; going back to the last commit") from error
    except RegistryRefusedError as error:
        raise RegistryRefusedError(f"{node}: {error}") from error
    return dataclasses.replace(node, key=key, value=value)


def _unencodable_record(node: Sink, key: Any, value: Any, error: Exception) -> ProduceError:
    part, of, serde = ("value", value, node.value) if _encodes(node.key, key) else ("key", key, node.key)
    failure = ProduceError(
        f"{node} cannot encode the record's {part}, of type {type(of).__name__}, as {serde.name}: "
        f"{error}; give the right {part}= to the operator that makes it, or to this one"
    )
    failure.__cause__ = error
    return failure


def _encodes(serde: Serde[Any], key: Any) -> bool:
    """Say whether it is not the key that cannot be encoded: asked again, as nobody keeps count of it."""
    with suppress(Exception):
        if key is not None:
            serde.serialize(key)
        return True
    return False


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
