"""The contract of transactions in `pipeline.runtime.broker`, on every broker that has them."""

from __future__ import annotations

from contextlib import closing

import pytest

from pipeline.errors import ConfigError, TaskMigratedError
from pipeline.record import NO_HEADERS, TopicPartition
from pipeline.runtime.broker import Broker, Committed
from pipeline.runtime.producer import TransactionalProducer
from tests.contract.broker_clients import (
    FLUSH_S,
    Listener,
    create,
    ends,
    join,
    read_count,
    read_range,
    until,
    write,
)

TIMEOUT_MS = 10_000


def transactional(broker: Broker, transactional_id: str) -> TransactionalProducer:
    return broker.transactional_producer("writer", transactional_id, TIMEOUT_MS)


def put(producer: TransactionalProducer, topic: str, *values: bytes) -> None:
    for value in values:
        producer.produce(topic, value, b"key", 0, 1_000, NO_HEADERS)
    assert producer.flush(FLUSH_S) == []


def settled(broker: Broker, topic: str) -> list[bytes | None]:
    """Return what a reader sees of partition 0."""
    partition = TopicPartition(topic, 0)
    with closing(broker.admin()) as admin:
        end = admin.end_offsets([partition], stable=True)[partition]
    return [message.value for message in read_range(broker, partition, 0, end)]


@pytest.fixture
def able(broker: Broker, request: pytest.FixtureRequest) -> Broker:
    """A broker that can; the embedded one is tested for saying that it cannot."""
    if request.node.callspec.params["broker"] == "embedded":
        with pytest.raises(ConfigError, match=r"cannot do exactly-once.*Use Apache Kafka"):
            transactional(broker, "t")
        pytest.xfail("Tansu shows readers the records of aborted transactions: it is refused")
    return broker


@pytest.fixture
def members(able: Broker, topic: str, group: str) -> tuple[str, TopicPartition, Listener]:
    """A source topic with one partition, and who owns it."""
    create(able, topic)
    create(able, f"{topic}-out")
    return f"{topic}-out", TopicPartition(topic, 0), Listener()


def test_a10_2_records_and_offsets_appear_together(
    able: Broker, group: str, members: tuple[str, TopicPartition, Listener]
) -> None:
    out, source, listener = members
    with (
        closing(join(able, group, [source.topic], listener, 1)) as consumer,
        closing(transactional(able, group)) as producer,
    ):
        put(producer, out, b"1", b"2")
        assert settled(able, out) == []
        assert consumer.committed([source]) == {}
        producer.commit(
            {source: Committed(7), TopicPartition(out, 0): Committed(2)}, consumer.group_metadata()
        )
        until(lambda: settled(able, out) == [b"1", b"2"], consumer)
        assert consumer.committed([source])[source].offset == 7
        put(producer, out, b"3")
        producer.commit({source: Committed(8)}, consumer.group_metadata())
        until(lambda: settled(able, out) == [b"1", b"2", b"3"], consumer)
        assert consumer.committed([source])[source].offset == 8


def test_a10_2_what_was_not_committed_never_appears(
    able: Broker, group: str, members: tuple[str, TopicPartition, Listener]
) -> None:
    out, source, listener = members
    with closing(join(able, group, [source.topic], listener, 1)) as consumer:
        with closing(transactional(able, group)) as producer:
            put(producer, out, b"aborted")
        write(able, out, [b"after"])
        until(lambda: settled(able, out) == [b"after"], consumer)


def test_an_open_transaction_holds_back_what_follows_it(
    able: Broker, group: str, members: tuple[str, TopicPartition, Listener]
) -> None:
    out, source, listener = members
    partition = TopicPartition(out, 0)
    with (
        closing(join(able, group, [source.topic], listener, 1)) as consumer,
        closing(transactional(able, group)) as producer,
    ):
        write(able, out, [b"before"])
        put(producer, out, b"open")
        write(able, out, [b"after"])
        assert settled(able, out) == [b"before"]
        assert ends(able, partition) == {partition: 3}
        producer.commit({source: Committed(1)}, consumer.group_metadata())
        until(lambda: settled(able, out) == [b"before", b"open", b"after"], consumer)
        # Its marker takes an offset, too.
        assert ends(able, partition) == {partition: 4}


def test_a_consumer_sees_committed_records_only(
    able: Broker, group: str, members: tuple[str, TopicPartition, Listener]
) -> None:
    out, source, listener = members
    reading = Listener()
    with (
        closing(join(able, group, [source.topic], listener, 1)) as consumer,
        closing(join(able, f"{group}-out", [out], reading, 1)) as reader,
    ):
        reader.resume([TopicPartition(out, 0)])
        with closing(transactional(able, group)) as producer:
            put(producer, out, b"aborted")
        with closing(transactional(able, group)) as producer:
            put(producer, out, b"committed")
            producer.commit({source: Committed(1)}, consumer.group_metadata())
        (message,) = read_count(reader, 1)
        assert message.value == b"committed"
        end = ends(able, TopicPartition(out, 0))[TopicPartition(out, 0)]
        until(lambda: reader.end_offset(TopicPartition(out, 0)) == end, reader)


def test_a10_2_who_takes_over_an_id_fences_who_had_it(
    able: Broker, group: str, members: tuple[str, TopicPartition, Listener]
) -> None:
    out, source, listener = members
    with (
        closing(join(able, group, [source.topic], listener, 1)) as consumer,
        closing(transactional(able, group)) as zombie,
    ):
        put(zombie, out, b"zombie")
        with closing(transactional(able, group)) as producer:
            with pytest.raises(TaskMigratedError):
                zombie.commit({source: Committed(9)}, consumer.group_metadata())
            put(producer, out, b"new")
            producer.commit({source: Committed(1)}, consumer.group_metadata())
        until(lambda: settled(able, out) == [b"new"], consumer)
        assert consumer.committed([source])[source].offset == 1


def test_a_member_that_lost_its_partitions_commits_nothing(
    able: Broker, group: str, members: tuple[str, TopicPartition, Listener]
) -> None:
    out, source, listener = members
    consumer = join(able, group, [source.topic], listener, 1)
    with closing(transactional(able, group)) as producer:
        put(producer, out, b"late")
        consumer.close()
        after = Listener()
        with closing(join(able, group, [source.topic], after, 1)) as heir:
            with pytest.raises((TaskMigratedError, RuntimeError)):
                producer.commit({source: Committed(9)}, consumer.group_metadata())
            assert heir.committed([source]) == {}
