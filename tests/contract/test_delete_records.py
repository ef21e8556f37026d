"""The contract of `Admin.delete_records`: records before an offset go when asked for, and nobody waits."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import closing

import pytest

from pipeline.errors import BrokerError
from pipeline.record import TopicPartition
from pipeline.runtime.broker import Admin, Broker
from tests.contract.broker_clients import ATTEMPTS, create, ends, expect_failure, read_range, write


@pytest.fixture(autouse=True)
def knows_the_request(request: pytest.FixtureRequest) -> None:
    expect_failure(request, "embedded", "Tansu lists the request, and hangs up when it gets it")


def outcome(admin: Admin, before: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, BrokerError]:
    """Ask, and look until every answer has come."""
    deletion, waiting = admin.delete_records(before), threading.Event()
    for _ in range(ATTEMPTS):
        failures = deletion.failures()
        if failures is not None:
            return failures
        waiting.wait(0.05)
    pytest.fail("no answer in 30 s")


def test_what_lies_before_is_gone_and_the_rest_stays(broker: Broker, topic: str) -> None:
    create(broker, topic, 3)
    asked = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
    for number in range(3):
        write(broker, topic, [b"value"] * 10, number)
    with closing(broker.admin()) as admin:
        assert outcome(admin, {asked[0]: 7, asked[1]: 10}) == {}
        begins = admin.beginning_offsets([*asked, TopicPartition(topic, 2)])
    assert list(begins.values()) == [7, 10, 0]
    assert [message.offset for message in read_range(broker, asked[0], 0, 10)] == [7, 8, 9]
    assert ends(broker, *asked) == dict.fromkeys(asked, 10)


def test_what_is_gone_already_is_no_failure(broker: Broker, topic: str) -> None:
    create(broker, topic)
    partition = TopicPartition(topic, 0)
    write(broker, topic, [b"value"] * 10)
    with closing(broker.admin()) as admin:
        for offset in (0, 5, 5, 3):
            assert outcome(admin, {partition: offset}) == {}
        assert admin.beginning_offsets([partition]) == {partition: 5}


def test_each_partition_fails_by_itself_with_its_reason(broker: Broker, topic: str) -> None:
    create(broker, topic, 2)
    create(broker, f"{topic}-compacted", config={"cleanup.policy": "compact"})
    well, past_the_end = TopicPartition(topic, 0), TopicPartition(topic, 1)
    compacted = TopicPartition(f"{topic}-compacted", 0)
    write(broker, topic, [b"value"] * 10)
    write(broker, compacted.topic, [b"value"] * 10)
    with closing(broker.admin()) as admin:
        failures = outcome(admin, {well: 4, past_the_end: 1, compacted: 4})
        assert failures.keys() == {past_the_end, compacted}
        assert [partition for partition, why in failures.items() if str(partition) not in str(why)] == []
        assert admin.beginning_offsets([well, compacted]) == {well: 4, compacted: 0}


def test_a_topic_that_does_not_exist_is_a_failure(broker: Broker, topic: str) -> None:
    create(broker, topic)
    missing = TopicPartition(f"{topic}-unknown", 0)
    with closing(broker.admin()) as admin:
        assert outcome(admin, {missing: 1}).keys() == {missing}
