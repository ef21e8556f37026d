"""The contract of `pipeline.runtime.broker` for records, topics and ranges, on every broker."""

from __future__ import annotations

import gc
import weakref
from contextlib import closing
from typing import cast

import pytest
from confluent_kafka import Producer as Transactional
from confluent_kafka.admin import AdminClient

from pipeline.errors import RecordTooLargeError, TaskMigratedError
from pipeline.record import NO_HEADERS, Headers, TopicPartition
from pipeline.runtime.broker import Broker, Message, messages_of
from pipeline.runtime.kafka import KafkaBroker
from pipeline.runtime.kafka.linked import COMPILED
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.partitioner import partition_for
from pipeline.testing.brokers import ApacheKafka
from tests.contract.broker_clients import (
    ATTEMPTS,
    FLUSH_S,
    Epoch,
    create,
    ends,
    expect_failure,
    one,
    one_keyed,
    read_all,
    read_range,
    write,
)


class TestRecords:
    @pytest.mark.parametrize("value", [b"bytes", b"", None, b"\x00" * 100, b"x" * 2 * 1024 * 1024])
    def test_value_comes_back_as_it_was(self, broker: Broker, topic: str, value: bytes | None) -> None:
        create(broker, topic, config={"max.message.bytes": str(4 * 1024 * 1024)})
        write(broker, topic, [value])
        assert [message.value for message in read_all(broker, topic)] == [value]

    @pytest.mark.parametrize("key", [b"key", b"", None])
    def test_key_comes_back_as_it_was(self, broker: Broker, topic: str, key: bytes | None) -> None:
        create(broker, topic)
        with closing(broker.producer("writer")) as producer:
            producer.produce(topic, b"value", key, 0, 1_000, NO_HEADERS)
            assert producer.flush(FLUSH_S) == []
        assert [message.key for message in read_all(broker, topic)] == [key]

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
        assert message.headers == headers

    def test_without_headers_there_are_none(self, broker: Broker, topic: str) -> None:
        create(broker, topic)
        write(broker, topic, [b"value"])
        (message,) = read_all(broker, topic)
        assert not message.headers

    @pytest.mark.parametrize("timestamp", [1, 1_000, 1_700_000_000_000, 4_102_444_800_000])
    def test_timestamp_is_the_producers(self, broker: Broker, topic: str, timestamp: int) -> None:
        # Kafka 4 refuses what is more than an hour ahead of its clock, unless the topic allows it.
        create(broker, topic, config={"message.timestamp.after.max.ms": str(2**63 - 1)})
        with closing(broker.producer("writer")) as producer:
            producer.produce(topic, b"value", None, 0, timestamp, NO_HEADERS)
            assert producer.flush(FLUSH_S) == []
        (message,) = read_all(broker, topic)
        assert message.timestamp == timestamp

    def test_no_timestamp_is_the_time_of_writing(self, broker: Broker, topic: str) -> None:
        create(broker, topic)
        with closing(broker.producer("writer")) as producer:
            producer.produce(topic, b"value", None, 0, -1, NO_HEADERS)
            assert producer.flush(FLUSH_S) == []
        (message,) = read_all(broker, topic)
        assert message.timestamp > 1_700_000_000_000

    @pytest.mark.parametrize("count", [1, 150_000])
    def test_what_is_logged_comes_in_its_order_with_the_time_of_writing(
        self, broker: Broker, topic: str, count: int
    ) -> None:
        """Also when it is more than the client's queue takes."""
        create(broker, topic, partitions=2)
        records = [(b"%d" % number, None if number % 3 == 0 else b"v") for number in range(count)]
        with closing(broker.producer("writer")) as producer:
            producer.log(topic, 1, records)
            assert producer.flush(FLUSH_S) == []
        messages = read_all(broker, topic, partitions=2)
        assert [(message.key, message.value) for message in messages] == records
        assert {(message.partition, bool(message.headers)) for message in messages} == {(1, False)}
        assert min(message.timestamp for message in messages) > 1_700_000_000_000

    def test_what_is_logged_and_too_large_is_refused(self, broker: Broker, topic: str) -> None:
        create(broker, topic)
        with closing(broker.producer("writer")) as producer, pytest.raises(RecordTooLargeError):
            producer.log(topic, 0, [(b"key", b"x" * 64 * 1024 * 1024)])

    def test_zero_timestamp(self, broker: Broker, topic: str, request: pytest.FixtureRequest) -> None:
        if isinstance(broker, KafkaBroker):
            reason = "librdkafka reads 0 as now: the producer writes 1 ms instead"
            request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
        create(broker, topic)
        with closing(broker.producer("writer")) as producer:
            producer.produce(topic, b"value", None, 0, 0, NO_HEADERS)
            assert producer.flush(FLUSH_S) == []
        (message,) = read_all(broker, topic)
        assert message.timestamp == 0

    def test_log_append_time(self, broker: Broker, topic: str, request: pytest.FixtureRequest) -> None:
        expect_failure(request, "embedded", "Tansu stores the setting and does not act on it")
        create(broker, topic, config={"message.timestamp.type": "LogAppendTime"})
        write(broker, topic, [b"value"])
        (message,) = read_all(broker, topic)
        assert message.timestamp > 1_700_000_000_000

    def test_partition_keeps_the_order_of_many_batches(self, broker: Broker, topic: str) -> None:
        create(broker, topic)
        values: list[bytes | None] = [b"%08d" % number for number in range(20_000)]
        write(broker, topic, values)
        records = read_all(broker, topic)
        assert [message.value for message in records] == values
        assert [message.offset for message in records] == list(range(20_000))

    def test_key_goes_where_java_puts_it(self, broker: Broker, topic: str) -> None:
        create(broker, topic, 7)
        keys = [b"%d" % number * (number % 9 + 1) for number in range(200)]
        with closing(broker.producer("writer")) as producer:
            for key in keys:
                producer.produce(topic, b"value", key, -1, 1_000, NO_HEADERS)
            assert producer.flush(FLUSH_S) == []
        placed = {message.key: message.partition for message in read_all(broker, topic, 7)}
        assert placed == {key: partition_for(key, 7) for key in keys}


class TestProducer:
    def test_record_above_the_producers_limit(self, broker: Broker, topic: str) -> None:
        create(broker, topic)
        with closing(broker.producer("writer")) as producer:
            with pytest.raises(RecordTooLargeError, match=topic):
                producer.produce(topic, b"x" * (17 * 1024 * 1024), b"key", 0, 1_000, NO_HEADERS)
            one(producer, topic, b"next")
        assert [message.value for message in read_all(broker, topic)] == [b"next"]

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
        assert failed[:5] == (topic, 0, b"key", b"x" * 5_000, 1_234)
        assert list(failed.headers) == headers
        assert failed.reason

    def test_what_is_flushed_is_queued_no_more(self, broker: Broker, topic: str) -> None:
        create(broker, topic)
        with closing(broker.producer("client")) as producer:
            assert producer.queued == 0
            one(producer, topic, b"value")
            assert producer.queued == 0

    @pytest.mark.parametrize("headers", [NO_HEADERS, (("name", b"value"),)], ids=["bare", "headers"])
    def test_who_is_held_produces_when_it_is_time(self, broker: Broker, topic: str, headers: Headers) -> None:
        create(broker, topic)
        partition = TopicPartition(topic, 0)
        written: list[int] = []

        def wait() -> None:
            assert producer.flush(FLUSH_S) == []
            written.append(ends(broker, partition)[partition])

        with closing(broker.producer("writer")) as producer:
            producer.hold(wait)
            producer.produce(topic, b"held", b"key", 0, 1_000, headers)
            producer.log(topic, 0, [(b"key", b"logged")])
            producer.release()
            producer.produce(topic, b"free", b"key", 0, 1_000, headers)
            assert producer.flush(FLUSH_S) == []
        # It was asked before each was queued.
        assert written == [0, 1]
        values = [message.value for message in read_range(broker, partition, 0, 3)]
        assert values == [b"held", b"logged", b"free"]

    def test_what_a_held_producer_waits_for_can_fail(self, broker: Broker, topic: str) -> None:
        create(broker, topic)

        def fail() -> None:
            raise TaskMigratedError("not any more")

        with closing(broker.producer("writer")) as producer:
            producer.hold(fail)
            with pytest.raises(TaskMigratedError, match="not any more"):
                producer.produce(topic, b"held", b"key", 0, 1_000, NO_HEADERS)
            with pytest.raises(TaskMigratedError, match="not any more"):
                producer.log(topic, 0, [(b"key", b"logged")])
            assert producer.flush(FLUSH_S) == []
        assert ends(broker, TopicPartition(topic, 0)) == {TopicPartition(topic, 0): 0}

    def test_a_client_without_a_broker_has_records_queued(self) -> None:
        broker = MemoryBroker(Epoch())
        create(broker, "topic")
        broker.reachable = False
        with closing(broker.producer("client")) as producer:
            producer.produce("topic", b"value", b"key", 0, 1_000, NO_HEADERS)
            assert producer.queued == 1

    @pytest.mark.parametrize("closes", [True, False])
    def test_is_freed_when_nobody_has_it_any_more(self, broker: Broker, topic: str, *, closes: bool) -> None:
        create(broker, topic)
        producer = broker.producer("writer")
        one(producer, topic, b"value")
        if closes:
            producer.close()
        gone = weakref.ref(producer)
        del producer
        gc.collect()
        assert gone() is None

    @pytest.mark.kafka
    def test_what_is_taken_for_bytes_is_written_as_such(self, topic: str, apache_kafka: ApacheKafka) -> None:
        """A serde may return what it should not, and the Python client takes it."""
        broker = KafkaBroker(apache_kafka.address)
        create(broker, topic)
        with closing(broker.producer("writer")) as producer:
            one(producer, topic, cast("bytes", "text"))
            with pytest.raises(TypeError, match="int"):
                producer.produce(topic, cast("bytes", 7), None, 0, 1_000, NO_HEADERS)
        assert [message.value for message in read_all(broker, topic)] == [b"text"]

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

    def test_all_topics_are_listed(self, broker: Broker, topic: str) -> None:
        create(broker, topic, 3)
        create(broker, f"{topic}.dotted")
        with closing(broker.admin()) as admin:
            assert {topic, f"{topic}.dotted"} <= set(admin.topics())
            assert f"{topic}-unknown" not in admin.topics()

    def test_creating_again_is_no_error(self, broker: Broker, topic: str) -> None:
        create(broker, topic, 2)
        create(broker, topic, 2)
        with closing(broker.admin()) as admin:
            assert admin.partition_counts([topic]) == {topic: 2}

    def test_a_topics_configuration_is_what_it_was_made_with(self, broker: Broker, topic: str) -> None:
        create(broker, topic, config={"cleanup.policy": "compact"})
        with closing(broker.admin()) as admin:
            assert admin.topic_configs([topic])[topic]["cleanup.policy"] == "compact"

    def test_a_topics_configuration_is_told_with_its_defaults_or_not_at_all(
        self, broker: Broker, topic: str
    ) -> None:
        create(broker, topic)
        with closing(broker.admin()) as admin:
            config = admin.topic_configs([topic])[topic]
        assert config.get("cleanup.policy", "delete") == "delete"
        assert ("retention.ms" in config) == ("cleanup.policy" in config)

    def test_configurations_of_several_topics_leave_out_unknown_ones(
        self, broker: Broker, topic: str
    ) -> None:
        create(broker, topic, 2, config={"cleanup.policy": "compact"})
        create(broker, f"{topic}-other", config={"cleanup.policy": "delete"})
        with closing(broker.admin()) as admin:
            assert admin.topic_configs([]) == {}
            configs = admin.topic_configs([topic, f"{topic}-unknown", f"{topic}-other"])
        assert {name: config["cleanup.policy"] for name, config in configs.items()} == {
            topic: "compact",
            f"{topic}-other": "delete",
        }

    def test_replication_factor_is_what_was_asked_for(self, broker: Broker, topic: str) -> None:
        create(broker, topic, 2, config={"replication.factor": "1"})
        with closing(broker.admin()) as admin:
            assert admin.topic_configs([topic])[topic]["replication.factor"] == "1"

    @pytest.mark.parametrize("batches", [[], [1], [10], [10, 10], [1, 10], [10, 1]])
    def test_end_is_exact_whatever_the_batches(self, broker: Broker, topic: str, batches: list[int]) -> None:
        create(broker, topic, 2)
        for size in batches:
            write(broker, topic, [b"value"] * size)
        first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
        assert ends(broker, first, second) == {first: sum(batches), second: 0}
        with closing(broker.admin()) as admin:
            assert admin.beginning_offsets([first, second]) == {first: 0, second: 0}

    @pytest.mark.parametrize(
        ("timestamp", "offset"),
        [(0, 0), (1_000, 0), (1_005, 5), (1_006, 7), (1_007, 7), (1_009, 9), (1_010, 10), (10**12, 10)],
    )
    def test_offset_of_a_timestamp_or_the_end(
        self, broker: Broker, topic: str, timestamp: int, offset: int, request: pytest.FixtureRequest
    ) -> None:
        if offset > 0:
            expect_failure(request, "embedded", "Tansu answers with the first offset whatever the timestamp")
        create(broker, topic, 2)
        with closing(broker.producer("writer")) as producer:
            for number in (0, 1, 2, 3, 4, 5, 4, 7, 8, 9):
                producer.produce(topic, b"value", None, 0, 1_000 + number, NO_HEADERS)
            assert producer.flush(FLUSH_S) == []
        first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
        with closing(broker.admin()) as admin:
            assert admin.offsets_at([first, second], timestamp) == {first: offset, second: 0}


class TestReader:
    @pytest.mark.parametrize(("start", "end"), [(0, 10), (3, 7), (9, 10), (0, 1), (5, 5)])
    def test_range(self, broker: Broker, topic: str, start: int, end: int) -> None:
        create(broker, topic)
        write(broker, topic, [b"value"] * 10)
        records = read_range(broker, TopicPartition(topic, 0), start, end)
        assert [message.offset for message in records] == list(range(start, end))

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
                for partition, run in reader.poll(100, 0.05).items():
                    read[partition] += [message.offset for message in run]
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
                read += messages_of(reader.poll(100, 0.05))
                if reader.finished() == [second]:
                    break
        assert [message.partition for message in read] == [1] * 10

    @pytest.mark.parametrize("closes", [True, False])
    def test_is_freed_when_nobody_has_it_any_more(self, broker: Broker, topic: str, *, closes: bool) -> None:
        """Each holds threads, connections, and one of the process's 1,024 places for thread-local data."""
        create(broker, topic)
        write(broker, topic, [b"value"])
        reader = broker.reader()
        reader.add(TopicPartition(topic, 0), 0, 1)
        for _ in range(ATTEMPTS):
            if reader.poll(1, 0.05):
                break
        if closes:
            reader.close()
        gone = weakref.ref(reader)
        del reader
        gc.collect()
        assert gone() is None

    @pytest.mark.kafka
    @pytest.mark.parametrize("compiled", [COMPILED, False])
    def test_survives_that_its_topic_is_deleted(
        self, apache_kafka: ApacheKafka, topic: str, *, compiled: bool
    ) -> None:
        """The client's errors come among a partition's records then."""
        asks = {"topic.metadata.propagation.max.ms": 500, "topic.metadata.refresh.interval.ms": 500}
        broker = KafkaBroker(apache_kafka.address, settings=asks, compiled=compiled)
        create(broker, topic)
        write(broker, topic, [b"value"] * 3)
        read: list[Message] = []
        with closing(broker.reader()) as reader:
            reader.add(TopicPartition(topic, 0), 0, None)
            while len(read) < 3:
                read += messages_of(reader.poll(100, 0.05))
            admin = AdminClient({"bootstrap.servers": broker.address})
            admin.delete_topics([topic])[topic].result()
            # It would be heard of within half a second; nothing tells that it was.
            for _ in range(60):
                assert reader.poll(100, 0.05) == {}

    def test_without_an_end_what_is_written_later_is_read_too(self, broker: Broker, topic: str) -> None:
        create(broker, topic, 2)
        followed, bounded = TopicPartition(topic, 0), TopicPartition(topic, 1)
        write(broker, topic, [b"value"] * 10, 0)
        write(broker, topic, [b"value"] * 10, 1)
        read: list[tuple[int, int]] = []
        done: list[TopicPartition] = []

        def read_until(count: int) -> None:
            for _ in range(ATTEMPTS):
                records = messages_of(reader.poll(100, 0.05))
                read.extend((message.partition, message.offset) for message in records)
                done.extend(reader.finished())
                if len(read) >= count:
                    return

        with closing(broker.reader()) as reader:
            reader.add(followed, 4, None)
            reader.add(bounded, 0, 3)
            read_until(9)
            write(broker, topic, [b"value"] * 5, 0)
            read_until(14)
            reader.remove(followed)
            reader.add(bounded, 3, None)
            write(broker, topic, [b"value"] * 5, 0)
            read_until(21)
        assert [offset for number, offset in read if number == 0] == list(range(4, 15))
        assert [offset for number, offset in read if number == 1] == list(range(10))
        assert done == [bounded]

    def test_without_an_end_a_partition_made_anew_is_read_from_its_first_record(
        self, broker: Broker, topic: str, request: pytest.FixtureRequest
    ) -> None:
        expect_failure(request, "embedded", "Tansu says that there is nothing where there never was anything")
        create(broker, topic)
        write(broker, topic, [b"value"] * 3)
        read: list[int] = []
        with closing(broker.reader()) as reader:
            reader.add(TopicPartition(topic, 0), 50, None)
            for _ in range(100):
                read += [message.offset for message in messages_of(reader.poll(100, 0.05))]
                if len(read) == 3:
                    break
        assert read == [0, 1, 2]

    def test_hole_at_the_end_of_the_range(self) -> None:
        broker = MemoryBroker(Epoch())
        broker.create_topic("compacted")
        with closing(broker.producer("writer")) as producer:
            for key in (b"a", b"b", b"a"):
                one_keyed(producer, "compacted", key)
        broker.compact("compacted")
        records = read_range(broker, TopicPartition("compacted", 0), 0, 1)
        assert records == []
        left = read_range(broker, TopicPartition("compacted", 0), 0, 3)
        assert [message.offset for message in left] == [1, 2]

    @pytest.mark.kafka
    def test_transaction_markers_are_holes(self, apache_kafka: ApacheKafka, topic: str) -> None:
        address = apache_kafka.address
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
        assert (end, [message.offset for message in records]) == (6, [0, 2, 4])
