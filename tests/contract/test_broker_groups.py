"""The contract of `pipeline.runtime.broker` for group members, and for brokers that do not answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing

import pytest

from pipeline.errors import BrokerError, BrokerUnreachableError, TaskMigratedError
from pipeline.record import NO_HEADERS, TopicPartition
from pipeline.runtime.broker import Broker, Committed, messages_of
from pipeline.runtime.kafka import KafkaBroker
from pipeline.runtime.memory import MemoryBroker
from pipeline.testing.process import free_port
from tests.contract.broker_clients import (
    ATTEMPTS,
    Epoch,
    Listener,
    create,
    delete_before,
    expect_failure,
    join,
    read_count,
    until,
    write,
)


def with_protocol(broker: Broker, protocol: str) -> Broker:
    """The in-memory broker has one protocol for groups."""
    if isinstance(broker, KafkaBroker):
        return KafkaBroker(broker.address, settings={"group.protocol": protocol}, compiled=broker.compiled)
    return broker


class TestGroup:
    def test_partitions_start_paused_at_the_given_offset(
        self, broker: Broker, topic: str, group: str
    ) -> None:
        create(broker, topic, 2)
        write(broker, topic, [b"value"] * 10, 0)
        write(broker, topic, [b"value"] * 10, 1)
        listener = Listener({TopicPartition(topic, 0): 4, TopicPartition(topic, 1): 9})
        with closing(join(broker, group, [topic], listener, 2)) as consumer:
            assert consumer.poll(100, 0.2) == {}
            consumer.resume([TopicPartition(topic, 0)])
            first = read_count(consumer, 6)
            consumer.resume([TopicPartition(topic, 1)])
            second = read_count(consumer, 1)
        assert [(message.partition, message.offset) for message in first] == [(0, n) for n in range(4, 10)]
        assert [(message.partition, message.offset) for message in second] == [(1, 9)]

    def test_everybody_sees_who_is_in_a_group_and_has_what(
        self, broker: Broker, topic: str, group: str, request: pytest.FixtureRequest
    ) -> None:
        expect_failure(request, "embedded", "Tansu shows no members of groups")
        create(broker, topic, 3)
        with closing(broker.admin()) as admin:
            assert list(admin.group_members(group)) == []
            with closing(join(broker, group, [topic], Listener(), 3)) as consumer:
                (member,) = admin.group_members(group)
                assert member.id == consumer.member_id() != ""
                assert member.instance == ""
                assert member.partitions == {TopicPartition(topic, number) for number in range(3)}

    def test_everybody_sees_what_a_group_has_committed(self, broker: Broker, topic: str, group: str) -> None:
        create(broker, topic, 3)
        first, second, third = (TopicPartition(topic, number) for number in range(3))
        with (
            closing(broker.admin()) as admin,
            closing(join(broker, group, [topic], Listener(), 3)) as consumer,
        ):
            assert admin.group_offsets(group, [first, second]) == {}
            consumer.commit({first: Committed(7), third: Committed(0)})
            assert admin.group_offsets(group, [first, second]) == {first: Committed(7)}
            assert admin.group_offsets(group, [third]) == {third: Committed(0)}
            assert admin.group_offsets(group, []) == {}

    def test_pause_and_resume_lose_and_repeat_nothing(self, broker: Broker, topic: str, group: str) -> None:
        create(broker, topic)
        write(broker, topic, [b"value"] * 3_000)
        partition = TopicPartition(topic, 0)
        offsets: list[int] = []
        with closing(join(broker, group, [topic], Listener(), 1)) as consumer:
            for _ in range(ATTEMPTS):
                consumer.resume([partition])
                offsets += [message.offset for message in messages_of(consumer.poll(100, 0.05))]
                consumer.pause([partition])
                assert consumer.poll(100, 0) == {}
                if len(offsets) >= 3_000:
                    break
        assert offsets == list(range(3_000))

    @pytest.mark.parametrize("protocol", ["consumer", "classic"])
    def test_the_listener_says_where_to_read_on_when_retention_removed_what_comes_next(
        self, broker: Broker, topic: str, group: str, protocol: str, request: pytest.FixtureRequest
    ) -> None:
        expect_failure(request, "embedded", "Tansu does not know the request that deletes records")
        broker = with_protocol(broker, protocol)
        create(broker, topic, 3)
        lost, read, paused = (TopicPartition(topic, number) for number in range(3))
        for number in range(3):
            write(broker, topic, [b"value"] * 10, number)
        delete_before(broker, lost, 5)
        listener = Listener({lost: 2, read: 4, paused: 0}, on_lost={lost: 7})
        with closing(join(broker, group, [topic], listener, 3)) as consumer:
            consumer.resume([read])
            offsets = [(m.partition, m.offset) for m in read_count(consumer, 6)]
            consumer.resume([lost])
            offsets += [(m.partition, m.offset) for m in read_count(consumer, 3)]
            write(broker, topic, [b"value"], 1)
            offsets += [(m.partition, m.offset) for m in read_count(consumer, 1)]
        assert listener.offsets_lost == [(lost, 2)]
        assert offsets == [*((1, n) for n in range(4, 10)), *((0, n) for n in range(7, 10)), (1, 10)]

    def test_the_listener_says_where_to_read_on_when_the_topic_was_made_anew(
        self, broker: Broker, topic: str, group: str, request: pytest.FixtureRequest
    ) -> None:
        expect_failure(request, "embedded", "Tansu answers a fetch past the end as one at the end")
        create(broker, topic)
        write(broker, topic, [b"value"] * 10)
        partition = TopicPartition(topic, 0)
        listener = Listener({partition: 20}, on_lost={partition: 8})
        with closing(join(broker, group, [topic], listener, 1)) as consumer:
            consumer.resume([partition])
            # Few attempts where it is known to fail.
            read = read_count(consumer, 2, 60 if request.node.get_closest_marker("embedded") else ATTEMPTS)
        assert listener.offsets_lost == [(partition, 20)]
        assert [message.offset for message in read] == [8, 9]

    def test_where_to_read_on_is_asked_again_if_nobody_knows(
        self, broker: Broker, topic: str, group: str, request: pytest.FixtureRequest
    ) -> None:
        expect_failure(request, "embedded", "Tansu does not know the request that deletes records")

        class Unsure(Listener):
            def on_offset_lost(self, partition: TopicPartition, offset: int) -> int:
                found = super().on_offset_lost(partition, offset)
                if len(self.offsets_lost) < 3:
                    raise BrokerUnreachableError("nobody answers")
                return found

        create(broker, topic)
        write(broker, topic, [b"value"] * 10)
        partition = TopicPartition(topic, 0)
        delete_before(broker, partition, 5)
        listener = Unsure({partition: 2}, on_lost={partition: 7})
        with closing(join(broker, group, [topic], listener, 1)) as consumer:
            consumer.resume([partition])
            for _ in range(2):
                with pytest.raises(BrokerUnreachableError):
                    until(lambda: False, consumer)
            assert [message.offset for message in read_count(consumer, 3)] == [7, 8, 9]

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
            with closing(broker.admin()) as admin:
                seen = admin.group_offsets(group, [partition])
        assert seen == {partition: Committed(5, '{"store": 17, "é": 1}')}

    def test_end_offset_is_known_after_a_fetch(self, broker: Broker, topic: str, group: str) -> None:
        create(broker, topic)
        write(broker, topic, [b"value"] * 10)
        partition = TopicPartition(topic, 0)
        with closing(join(broker, group, [topic], Listener(), 1)) as consumer:
            consumer.resume([partition])
            read_count(consumer, 10)
            until(lambda: consumer.end_offset(partition) == 10, consumer)

    def test_a_fetch_tells_how_much_is_left(self, broker: Broker, topic: str, group: str) -> None:
        create(broker, topic)
        write(broker, topic, [b"value"] * 10)
        partition = TopicPartition(topic, 0)
        with closing(join(broker, group, [topic], Listener(), 1)) as consumer:
            consumer.resume([partition])
            until(lambda: consumer.known_end(partition) == 10, consumer)

    def test_the_end_of_an_empty_partition_is_known(self, broker: Broker, topic: str, group: str) -> None:
        create(broker, topic)
        partition = TopicPartition(topic, 0)
        with closing(join(broker, group, [topic], Listener(), 1)) as consumer:
            assert consumer.end_offset(partition) is None
            consumer.resume([partition])
            until(lambda: consumer.end_offset(partition) == 0, consumer)

    def test_offsets_of_topics_that_are_not_subscribed(self, broker: Broker, topic: str, group: str) -> None:
        changelog = TopicPartition(f"{topic}-changelog", 1)
        create(broker, topic)
        create(broker, changelog.topic, 2)
        with closing(join(broker, group, [topic], Listener(), 1)) as consumer:
            consumer.commit({TopicPartition(topic, 0): Committed(3), changelog: Committed(17)})
        with closing(broker.consumer(group, "next")) as consumer:
            assert consumer.committed([changelog])[changelog].offset == 17

    def test_two_members_share_and_the_second_inherits(self, broker: Broker, topic: str, group: str) -> None:
        other = f"{topic}-other"
        create(broker, topic, 4)
        create(broker, other, 4)
        first, second = Listener(), Listener()
        consumer = join(broker, group, [topic, other], first, 8)

        def commit(partitions: Sequence[TopicPartition]) -> None:
            consumer.commit({partition: Committed(7) for partition in partitions})

        first.before_revoke = commit
        with closing(broker.consumer(group, "second")) as joining:
            joining.subscribe([topic, other], second)
            until(lambda: len(first.owned) == len(second.owned) == 4, consumer, joining)
            assert not first.owned & second.owned
            # Range: the same numbers of both topics, so that joins find their other side.
            assert {p.partition for p in first.owned if p.topic == topic} == {
                p.partition for p in first.owned if p.topic == other
            }
            assert {entry.offset for entry in joining.committed(sorted(second.owned)).values()} == {7}
            gone = next(iter(second.owned))
            with pytest.raises(TaskMigratedError, match=str(gone)):
                consumer.commit({gone: Committed(9)})
            consumer.close()
            until(lambda: len(second.owned) == 8, joining)
            everything = joining.committed(sorted(second.owned))
            assert [entry.offset for entry in everything.values()] == [7] * 8

    def test_listeners_error_comes_out_of_poll(self, broker: Broker, topic: str, group: str) -> None:
        create(broker, topic)

        class Failing(Listener):
            def on_assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
                raise BrokerError("the listener cannot")

        with closing(broker.consumer(group, "member")) as consumer:
            consumer.subscribe([topic], Failing())
            with pytest.raises(BrokerError, match="the listener cannot"):
                until(lambda: False, consumer)

    def test_a_member_without_topics_is_assigned_nothing(self, broker: Broker, group: str) -> None:
        assigned: list[Sequence[TopicPartition]] = []

        class Noting(Listener):
            def on_assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
                assigned.append(partitions)
                return super().on_assigned(partitions)

        with closing(broker.consumer(group, "member")) as consumer:
            consumer.subscribe([], Noting())
            for _ in range(3):
                assert consumer.poll(10, 0.01) == {}
        assert [list(partitions) for partitions in assigned] == [[]]

    def test_unknown_topic_is_an_error(self, broker: Broker, topic: str, group: str) -> None:
        if isinstance(broker, KafkaBroker):
            # Under KIP-848 the coordinator waits for the topic without a word: a worker asks
            # `partition_counts` before it subscribes.
            broker = KafkaBroker(broker.address, settings={"group.protocol": "classic"})
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
        broker = MemoryBroker(Epoch())
        broker.create_topic("topic")
        producer = broker.producer("writer")
        broker.reachable = False
        producer.produce("topic", b"value", None, 0, 1_000, NO_HEADERS)
        with pytest.raises(BrokerUnreachableError, match="memory"):
            producer.flush(1)
        broker.reachable = True
        assert producer.flush(1) == []
        assert [message.value for message in broker.records("topic")] == [b"value"]


class TestExpiredMember:
    def test_loses_its_partitions_and_may_not_commit(self) -> None:
        broker = MemoryBroker(Epoch())
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
