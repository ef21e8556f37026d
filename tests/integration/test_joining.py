"""Joining a group that has just assigned its partitions, on Apache Kafka: nobody waits for a heartbeat."""

from __future__ import annotations

from contextlib import closing

import pytest

from pipeline.runtime.kafka import KafkaBroker
from pipeline.testing.brokers import ApacheKafka
from tests.contract.broker_clients import Listener, create, until

#: Its next heartbeat would tell a member what it is assigned.
_HEARTBEAT_MS = 120_000
_SETTINGS = {
    "group.consumer.heartbeat.interval.ms": str(_HEARTBEAT_MS),
    "group.consumer.max.heartbeat.interval.ms": str(_HEARTBEAT_MS),
    "group.consumer.session.timeout.ms": str(3 * _HEARTBEAT_MS),
    "group.consumer.max.session.timeout.ms": str(3 * _HEARTBEAT_MS),
}


@pytest.mark.kafka
def test_a_member_that_comes_right_after_another_asks_for_its_partitions() -> None:
    with ApacheKafka(settings=_SETTINGS) as server:
        broker = KafkaBroker(server.address, settings={"group.protocol": "consumer"})
        create(broker, "in", 2)
        for name in ("first", "second"):
            listener = Listener()
            with closing(broker.consumer("group", name)) as member:
                member.subscribe(["in"], listener)
                # In less time than a heartbeat takes.
                until(lambda listener=listener: len(listener.owned) == 2, member)  # type: ignore[misc]
