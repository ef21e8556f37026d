"""The contract of `pipeline.runtime.broker`, for every implementation on every broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing

import pytest

from pipeline.errors import BrokerError, BrokerUnreachableError, RecordTooLargeError, TaskMigratedError
from pipeline.record import NO_HEADERS, Headers, TopicPartition
from pipeline.runtime.broker import Broker, Committed, Consumer, Message, Producer, TopicSpec
from pipeline.runtime.kafka import KafkaBroker
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.partitioner import partition_for
from pipeline.testing.process import free_port

FLUSH_S = 30.0
#: Each attempt waits at most 50 ms: so many are a deadline of 30 s.
ATTEMPTS = 600


class Listener:
    """Takes what it is given, from the start or from `offsets`, and notes what happens."""

    def __init__(self, offsets: Mapping[TopicPartition, int] | None = None) -> None:
        self.owned: set[TopicPartition] = set()
        self.revoked: list[TopicPartition] = []
        self.lost: list[TopicPartition] = []
        self.before_revoke: Callable[[Sequence[TopicPartition]], None] = lambda partitions: None
        self._offsets = dict(offsets or {})

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        self.owned.update(partitions)
        return {partition: self._offsets.get(partition, 0) for partition in partitions}

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self.before_revoke(partitions)
        self.revoked += partitions
        self.owned.difference_update(partitions)

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.lost += partitions
        self.owned.difference_update(partitions)


@pytest.fixture
def topic(names: Iterator[str]) -> str:
    return next(names)


@pytest.fixture
def group(names: Iterator[str]) -> str:
    return next(names)


def create(broker: Broker, topic: str, partitions: int = 1, config: Mapping[str, str] | None = None) -> None:
    with closing(broker.admin()) as admin:
        admin.create_topics([TopicSpec(topic, partitions, config or {})])


def write(broker: Broker, topic: str, values: Sequence[bytes | None], partition: int = 0) -> None:
    with closing(broker.producer("writer")) as producer:
        for number, value in enumerate(values):
            producer.produce(topic, value, b"k%d" % number, partition, 1_000 + number, NO_HEADERS)
        assert producer.flush(FLUSH_S) == []


def ends(broker: Broker, *partitions: TopicPartition) -> dict[TopicPartition, int]:
    with closing(broker.admin()) as admin:
        return admin.end_offsets(partitions)


def until(condition: Callable[[], bool], *consumers: Consumer) -> list[Message]:
    """Poll until the condition holds; return what was read."""
    read: list[Message] = []
    for _ in range(ATTEMPTS):
        if condition():
            return read
        for consumer in consumers:
            read += consumer.poll(1_000, 0.05)
    pytest.fail("it did not happen in 30 s")


def join(broker: Broker, group: str, topics: Sequence[str], listener: Listener, count: int) -> Consumer:
    """Return a member that owns `count` partitions, paused as they begin."""
    consumer = broker.consumer(group, "member")
    consumer.subscribe(topics, listener)
    assert until(lambda: len(listener.owned) == count, consumer) == []
    return consumer


def read_all(broker: Broker, topic: str, partitions: int = 1) -> list[Message]:
    """Read a whole topic, partition after partition."""
    records: list[Message] = []
    for number in range(partitions):
        partition = TopicPartition(topic, number)
        records += read_range(broker, partition, 0, ends(broker, partition)[partition])
    return records


def read_range(broker: Broker, partition: TopicPartition, start: int, end: int) -> list[Message]:
    records: list[Message] = []
    with closing(broker.reader()) as reader:
        reader.add(partition, start, end)
        for _ in range(ATTEMPTS):
            records += reader.poll(1_000, 0.05)
            if partition in reader.finished():
                return records
    pytest.fail(f"{partition} was not read to {end} in 30 s, only {len(records)} records")


def one(producer: Producer, topic: str, value: bytes | None, headers: Headers = NO_HEADERS) -> None:
    producer.produce(topic, value, b"key", 0, 1_000, headers)
    assert producer.flush(FLUSH_S) == []


class TestRecords:
    @pytest.mark.parametrize("value", [b"bytes", b"", None, b"\x00" * 100, b"x" * 2 * 1024 * 1024])
    def test_value_comes_back_as_it_was(self, broker: Broker, topic: str, value: bytes | None) -> None:
        create(broker, topic, config={"max.message.bytes": str(4 * 1024 * 1024)})
        write(broker, topic, [value])
        assert [message.value() for message in read_all(broker, topic)] == [value]

    @pytest.mark.parametrize("key", [b"key", b"", None])
    def test_key_comes_back_as_it_was(self, broker: Broker, topic: str, key: bytes | None) -> None:
        create(broker, topic)
        with closing(broker.producer("writer")) as producer:
            producer.produce(topic, b"value", key, 0, 1_000, NO_HEADERS)
            assert producer.flush(FLUSH_S) == []
        assert [message.key() for message in read_all(broker, topic)] == [key]

    @pytest.mark.parametrize(
        "headers",
        [
            [("one", b"1")],
            [("none", None), ("empty", b"")],
            [("same", b"1"), ("same", b"2"), ("same", b"1")],
        ],
    )
    def test_headers_keep_order_duplicates_and_none(
        self, broker: Broker, topic: str, headers: Headers
    ) -> None:
        create(broker, topic)
        with closing(broker.producer("writer")) as producer:
            one(producer, topic, b"value", headers)
        (message,) = read_all(broker, topic)
        assert message.headers() == headers

    def test_without_headers_there_are_none(self, broker: Broker, topic: str) -> None:
        create(broker, topic)
        write(broker, topic, [b"value"])
        (message,) = read_all(broker, topic)
        assert not message.headers()

    @pytest.mark.parametrize("timestamp", [1, 1_000, 1_700_000_000_000, 4_102_444_800_000])
    def test_timestamp_is_the_producers(self, broker: Broker, topic: str, timestamp: int) -> None:
        create(broker, topic)
        with closing(broker.producer("writer")) as producer:
            producer.produce(topic, b"value", None, 0, timestamp, NO_HEADERS)
            assert producer.flush(FLUSH_S) == []
        (message,) = read_all(broker, topic)
        assert message.timestamp() == (1, timestamp)

    def test_no_timestamp_is_the_time_of_writing(self, broker: Broker, topic: str) -> None:
        create(broker, topic)
        with closing(broker.producer("writer")) as producer:
            producer.produce(topic, b"value", None, 0, -1, NO_HEADERS)
            assert producer.flush(FLUSH_S) == []
        (message,) = read_all(broker, topic)
        assert message.timestamp()[1] > 1_700_000_000_000

    def test_zero_timestamp(self, broker: Broker, topic: str, request: pytest.FixtureRequest) -> None:
        if isinstance(broker, KafkaBroker):
            reason = "librdkafka reads 0 as now: the producer writes 1 ms instead"
            request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
        create(broker, topic)
        with closing(broker.producer("writer")) as producer:
            producer.produce(topic, b"value", None, 0, 0, NO_HEADERS)
            assert producer.flush(FLUSH_S) == []
        (message,) = read_all(broker, topic)
        assert message.timestamp() == (1, 0)

    def test_log_append_time(self, broker: Broker, topic: str, request: pytest.FixtureRequest) -> None:
        expect_failure(request, "embedded", "Tansu stores the setting and does not act on it")
        create(broker, topic, config={"message.timestamp.type": "LogAppendTime"})
        write(broker, topic, [b"value"])
        (message,) = read_all(broker, topic)
        kind, timestamp = message.timestamp()
        assert (kind, timestamp > 1_700_000_000_000) == (2, True)

    def test_partition_keeps_the_order_of_many_batches(self, broker: Broker, topic: str) -> None:
        create(broker, topic)
        values: list[bytes | None] = [b"%08d" % number for number in range(20_000)]
        write(broker, topic, values)
        records = read_all(broker, topic)
        assert [message.value() for message in records] == values
        assert [message.offset() for message in records] == list(range(20_000))

    def test_key_goes_where_java_puts_it(self, broker: Broker, topic: str) -> None:
        create(broker, topic, 7)
        keys = [b"%d" % number * (number % 9 + 1) for number in range(200)]
        with closing(broker.producer("writer")) as producer:
            for key in keys:
                producer.produce(topic, b"value", key, -1, 1_000, NO_HEADERS)
            assert producer.flush(FLUSH_S) == []
        placed = {message.key(): message.partition() for message in read_all(broker, topic, 7)}
        assert placed == {key: partition_for(key, 7) for key in keys}


class TestProducer:
    def test_record_above_the_producers_limit(self, broker: Broker, topic: str) -> None:
        create(broker, topic)
        with closing(broker.producer("writer")) as producer:
            with pytest.raises(RecordTooLargeError, match=topic):
                producer.produce(topic, b"x" * (17 * 1024 * 1024), b"key", 0, 1_000, NO_HEADERS)
            one(producer, topic, b"next")
        assert [message.value() for message in read_all(broker, topic)] == [b"next"]

    def test_record_above_the_topics_limit_is_reported_whole(
        self, broker: Broker, topic: str, request: pytest.FixtureRequest
    ) -> None:
        expect_failure(request, "embedded", "Tansu ignores a topic's max.message.bytes")
        create(broker, topic, config={"max.message.bytes": "1000"})
        headers = [("why", b"too large")]
        with closing(broker.producer("writer")) as producer:
            producer.produce(topic, b"x" * 5_000, b"key", 0, 1_234, headers)
            (failed,) = producer.flush(FLUSH_S)
            assert producer.flush(FLUSH_S) == []
        assert failed[:6] == (topic, 0, b"key", b"x" * 5_000, 1_234, headers) or failed[:6] == (
            topic,
            0,
            b"key",
            b"x" * 5_000,
            1_234,
            tuple(headers),
        )
        assert failed.reason

    def test_unknown_topic_is_reported(
        self, broker: Broker, topic: str, request: pytest.FixtureRequest
    ) -> None:
        expect_failure(request, "embedded", "Tansu creates topics on demand")
        if isinstance(broker, KafkaBroker):
            broker = KafkaBroker(broker.address, settings={"topic.metadata.propagation.max.ms": 500})
        with closing(broker.producer("writer")) as producer:
            producer.produce(topic, b"value", b"key", -1, 1_000, NO_HEADERS)
            (failed,) = producer.flush(FLUSH_S)
        assert (failed.topic, failed.key, failed.value) == (topic, b"key", b"value")

    def test_more_than_the_local_queue_holds(self, broker: Broker, topic: str) -> None:
        create(broker, topic)
        if isinstance(broker, KafkaBroker):
            broker = KafkaBroker(broker.address, settings={"queue.buffering.max.messages": 100})
        write(broker, topic, [b"value"] * 2_000)
        partition = TopicPartition(topic, 0)
        assert ends(broker, partition) == {partition: 2_000}


class TestAdmin:
    def test_counts_leave_out_unknown_topics_and_do_not_create_them(self, broker: Broker, topic: str) -> None:
        create(broker, topic, 3)
        with closing(broker.admin()) as admin:
            for _ in range(2):
                assert admin.partition_counts([topic, f"{topic}-unknown"]) == {topic: 3}

    def test_creating_again_is_no_error(self, broker: Broker, topic: str) -> None:
        create(broker, topic, 2)
        create(broker, topic, 2)
        with closing(broker.admin()) as admin:
            assert admin.partition_counts([topic]) == {topic: 2}

    @pytest.mark.parametrize("batches", [[], [1], [10], [10, 10], [1, 10], [10, 1]])
    def test_end_is_exact_whatever_the_batches(self, broker: Broker, topic: str, batches: list[int]) -> None:
        create(broker, topic, 2)
        for size in batches:
            write(broker, topic, [b"value"] * size)
        first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
        assert ends(broker, first, second) == {first: sum(batches), second: 0}
        with closing(broker.admin()) as admin:
            assert admin.beginning_offsets([first, second]) == {first: 0, second: 0}


class TestReader:
    @pytest.mark.parametrize(("start", "end"), [(0, 10), (3, 7), (9, 10), (0, 1), (5, 5)])
    def test_range(self, broker: Broker, topic: str, start: int, end: int) -> None:
        create(broker, topic)
        write(broker, topic, [b"value"] * 10)
        records = read_range(broker, TopicPartition(topic, 0), start, end)
        assert [message.offset() for message in records] == list(range(start, end))

    def test_several_partitions_of_different_length(self, broker: Broker, topic: str) -> None:
        create(broker, topic, 3)
        lengths = {TopicPartition(topic, 0): 5, TopicPartition(topic, 1): 3_000, TopicPartition(topic, 2): 40}
        for partition, length in lengths.items():
            write(broker, topic, [b"value"] * length, partition.partition)
        read: dict[TopicPartition, list[int]] = {partition: [] for partition in lengths}
        done: set[TopicPartition] = set()
        with closing(broker.reader()) as reader:
            for partition, length in lengths.items():
                reader.add(partition, 1, length - 1)
            for _ in range(ATTEMPTS):
                for message in reader.poll(100, 0.05):
                    read[TopicPartition(message.topic(), message.partition())].append(message.offset())
                done.update(reader.finished())
                if done == lengths.keys():
                    break
        assert read == {partition: list(range(1, length - 1)) for partition, length in lengths.items()}

    def test_removed_partition_is_read_no_more(self, broker: Broker, topic: str) -> None:
        create(broker, topic, 2)
        first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
        write(broker, topic, [b"value"] * 10, 0)
        write(broker, topic, [b"value"] * 10, 1)
        with closing(broker.reader()) as reader:
            reader.add(first, 0, 10)
            reader.add(second, 0, 10)
            reader.remove(first)
            read: list[Message] = []
            for _ in range(ATTEMPTS):
                read += reader.poll(100, 0.05)
                if reader.finished() == [second]:
                    break
        assert [message.partition() for message in read] == [1] * 10

    def test_hole_at_the_end_of_the_range(self) -> None:
        broker = MemoryBroker(_Epoch())
        broker.create_topic("compacted")
        with closing(broker.producer("writer")) as producer:
            for key in (b"a", b"b", b"a"):
                one_keyed(producer, "compacted", key)
        broker.compact("compacted")
        records = read_range(broker, TopicPartition("compacted", 0), 0, 1)
        assert records == []
        left = read_range(broker, TopicPartition("compacted", 0), 0, 3)
        assert [message.offset() for message in left] == [1, 2]

    @pytest.mark.kafka
    def test_transaction_markers_are_holes(self, apache_kafka: object, topic: str) -> None:
        from confluent_kafka import Producer as Transactional

        address: str = apache_kafka.address  # type: ignore[attr-defined] # typed where it is made
        broker = KafkaBroker(address)
        create(broker, topic)
        producer = Transactional({"bootstrap.servers": address, "transactional.id": topic})
        producer.init_transactions(30)
        for number in range(3):
            producer.begin_transaction()
            producer.produce(topic, b"%d" % number)
            producer.commit_transaction(30)
        partition = TopicPartition(topic, 0)
        end = ends(broker, partition)[partition]
        records = read_range(broker, partition, 0, end)
        assert (end, [message.offset() for message in records]) == (6, [0, 2, 4])


class TestGroup:
    def test_partitions_start_paused_at_the_given_offset(
        self, broker: Broker, topic: str, group: str
    ) -> None:
        create(broker, topic, 2)
        write(broker, topic, [b"value"] * 10, 0)
        write(broker, topic, [b"value"] * 10, 1)
        listener = Listener({TopicPartition(topic, 0): 4, TopicPartition(topic, 1): 9})
        with closing(join(broker, group, [topic], listener, 2)) as consumer:
            assert list(consumer.poll(100, 0.2)) == []
            consumer.resume([TopicPartition(topic, 0)])
            first = read_count(consumer, 6)
            consumer.resume([TopicPartition(topic, 1)])
            second = read_count(consumer, 1)
        assert [(message.partition(), message.offset()) for message in first] == [
            (0, n) for n in range(4, 10)
        ]
        assert [(message.partition(), message.offset()) for message in second] == [(1, 9)]

    def test_pause_and_resume_lose_and_repeat_nothing(self, broker: Broker, topic: str, group: str) -> None:
        create(broker, topic)
        write(broker, topic, [b"value"] * 3_000)
        partition = TopicPartition(topic, 0)
        offsets: list[int] = []
        with closing(join(broker, group, [topic], Listener(), 1)) as consumer:
            for _ in range(ATTEMPTS):
                consumer.resume([partition])
                offsets += [message.offset() for message in consumer.poll(100, 0.05)]
                consumer.pause([partition])
                assert list(consumer.poll(100, 0)) == []
                if len(offsets) >= 3_000:
                    break
        assert offsets == list(range(3_000))

    def test_commit_is_there_for_the_next_member(self, broker: Broker, topic: str, group: str) -> None:
        create(broker, topic, 3)
        first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
        with closing(join(broker, group, [topic], Listener(), 3)) as consumer:
            assert consumer.committed([first, second]) == {}
            consumer.commit({first: Committed(5), second: Committed(0)})
        with closing(broker.consumer(group, "next")) as consumer:
            committed = consumer.committed([first, second, TopicPartition(topic, 2)])
        assert {partition: entry.offset for partition, entry in committed.items()} == {first: 5, second: 0}

    def test_commit_keeps_metadata(
        self, broker: Broker, topic: str, group: str, request: pytest.FixtureRequest
    ) -> None:
        expect_failure(request, "embedded", "Tansu takes metadata and does not keep it")
        create(broker, topic)
        partition = TopicPartition(topic, 0)
        with closing(join(broker, group, [topic], Listener(), 1)) as consumer:
            consumer.commit({partition: Committed(5, '{"store": 17, "é": 1}')})
            assert consumer.committed([partition]) == {partition: Committed(5, '{"store": 17, "é": 1}')}

    def test_end_offset_is_known_after_a_fetch(self, broker: Broker, topic: str, group: str) -> None:
        create(broker, topic)
        write(broker, topic, [b"value"] * 10)
        partition = TopicPartition(topic, 0)
        with closing(join(broker, group, [topic], Listener(), 1)) as consumer:
            consumer.resume([partition])
            read_count(consumer, 10)
            assert consumer.end_offset(partition) == 10

    def test_two_members_share_and_the_second_inherits(self, broker: Broker, topic: str, group: str) -> None:
        other = f"{topic}-other"
        create(broker, topic, 4)
        create(broker, other, 4)
        first, second = Listener(), Listener()
        consumer = join(broker, group, [topic, other], first, 8)
        committed: list[Committed] = []

        def commit(partitions: Sequence[TopicPartition]) -> None:
            consumer.commit({partition: Committed(7) for partition in partitions})
            committed.extend(consumer.committed(partitions).values())

        first.before_revoke = commit
        with closing(broker.consumer(group, "second")) as joining:
            joining.subscribe([topic, other], second)
            until(lambda: len(first.owned) == len(second.owned) == 4, consumer, joining)
            assert not first.owned & second.owned
            # Range: the same numbers of both topics, so that joins find their other side.
            assert {p.partition for p in first.owned if p.topic == topic} == {
                p.partition for p in first.owned if p.topic == other
            }
            assert {entry.offset for entry in committed} == {7}
            gone = next(iter(second.owned))
            with pytest.raises(TaskMigratedError, match=str(gone)):
                consumer.commit({gone: Committed(9)})
            consumer.close()
            until(lambda: len(second.owned) == 8, joining)
            assert joining.committed([gone])[gone].offset == 7

    def test_listeners_error_comes_out_of_poll(self, broker: Broker, topic: str, group: str) -> None:
        create(broker, topic)

        class Failing(Listener):
            def on_assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
                raise BrokerError("the listener cannot")

        with closing(broker.consumer(group, "member")) as consumer:
            consumer.subscribe([topic], Failing())
            with pytest.raises(BrokerError, match="the listener cannot"):
                until(lambda: False, consumer)

    def test_unknown_topic_is_an_error(
        self, broker: Broker, topic: str, group: str, request: pytest.FixtureRequest
    ) -> None:
        expect_failure(request, "embedded", "Tansu creates topics on demand")
        with closing(broker.consumer(group, "member")) as consumer:
            consumer.subscribe([topic], Listener())
            with pytest.raises(BrokerError, match=topic):
                until(lambda: False, consumer)


class TestUnreachable:
    """Nothing listens there."""

    @pytest.fixture
    def address(self) -> str:
        return f"127.0.0.1:{free_port()}"

    def test_flush_names_the_address(self, address: str) -> None:
        with closing(KafkaBroker(address).producer("writer")) as producer:
            producer.produce("topic", b"value", None, 0, 1_000, NO_HEADERS)
            with pytest.raises(BrokerUnreachableError, match=address):
                producer.flush(0.5)

    def test_poll_names_the_address(self, address: str) -> None:
        broker = KafkaBroker(address, settings={"group.protocol": "consumer"})
        with closing(broker.consumer("group", "member")) as consumer:
            consumer.subscribe(["topic"], Listener())
            with pytest.raises(BrokerUnreachableError, match=address):
                until(lambda: False, consumer)

    def test_memory_broker_can_play_dead_and_come_back(self) -> None:
        broker = MemoryBroker(_Epoch())
        broker.create_topic("topic")
        producer = broker.producer("writer")
        broker.reachable = False
        producer.produce("topic", b"value", None, 0, 1_000, NO_HEADERS)
        with pytest.raises(BrokerUnreachableError, match="memory"):
            producer.flush(1)
        broker.reachable = True
        assert producer.flush(1) == []
        assert [message.value() for message in broker.records("topic")] == [b"value"]


class TestExpiredMember:
    def test_loses_its_partitions_and_may_not_commit(self) -> None:
        broker = MemoryBroker(_Epoch())
        broker.create_topic("topic", 2)
        listener = Listener()
        consumer = join(broker, "group", ["topic"], listener, 2)
        partition = TopicPartition("topic", 0)
        broker.expire("group", "member")
        with pytest.raises(TaskMigratedError, match="topic-0"):
            consumer.commit({partition: Committed(1)})
        consumer.poll(1, 0)
        assert (sorted(listener.lost), len(listener.owned)) == (
            [partition, TopicPartition("topic", 1)],
            2,
        )
        consumer.commit({partition: Committed(1)})


class _Epoch:
    def now_ms(self) -> int:
        return 1_700_000_000_001


def one_keyed(producer: Producer, topic: str, key: bytes) -> None:
    producer.produce(topic, b"value", key, 0, 1_000, NO_HEADERS)
    assert producer.flush(FLUSH_S) == []


def read_count(consumer: Consumer, count: int) -> list[Message]:
    read: list[Message] = []
    for _ in range(ATTEMPTS):
        read += consumer.poll(100, 0.05)
        if len(read) >= count:
            return read
    pytest.fail(f"only {len(read)} of {count} records in 30 s")


def expect_failure(request: pytest.FixtureRequest, kind: str, reason: str) -> None:
    """Mark what one kind of broker cannot do: if it learns to, the test says so."""
    if request.node.callspec.params["broker"] == kind:
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
