"""Static members (KIP-345): a restart moves no partitions, and an id is one member's."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing

import pytest

from pipeline.errors import BrokerError
from pipeline.record import TopicPartition
from pipeline.runtime.broker import Broker, Committed, Consumer
from pipeline.runtime.kafka import KafkaBroker
from tests.contract.broker_clients import Listener, create, until

PROTOCOLS = [
    pytest.param("kafka", "consumer", marks=pytest.mark.kafka),
    pytest.param("kafka", "classic", marks=pytest.mark.kafka),
    pytest.param("embedded", "classic", marks=pytest.mark.embedded),
]


class Noting(Listener):
    """Counts its assignments, too."""

    def __init__(self) -> None:
        super().__init__()
        self.assignments = 0

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        self.assignments += bool(partitions)
        return dict(super().on_assigned(partitions))


@pytest.fixture
def address(request: pytest.FixtureRequest) -> str:
    kind = {"embedded": "embedded_broker", "kafka": "apache_kafka"}[request.param]
    found: str = request.getfixturevalue(kind).address
    return found


def member(address: str, protocol: str, group: str, name: str, topic: str, listener: Listener) -> Consumer:
    settings = {"group.protocol": protocol, "group.instance.id": name}
    if protocol == "classic":
        # Tansu lets a group's first member wait for half of it.
        settings["session.timeout.ms"] = "12000"
    consumer = KafkaBroker(address, settings=settings).consumer(group, name)
    consumer.subscribe([topic], listener)
    return consumer


@pytest.mark.parametrize(("address", "protocol"), PROTOCOLS, indirect=["address"])
def test_a_member_that_comes_back_has_its_partitions_and_the_other_keeps_its_own(
    address: str, protocol: str, topic: str, group: str
) -> None:
    broker: Broker = KafkaBroker(address)
    create(broker, topic, 4)
    first, second, again = Noting(), Noting(), Noting()
    with ExitStack() as stack:
        leaving = member(address, protocol, group, "a", topic, first)
        staying = stack.enter_context(closing(member(address, protocol, group, "b", topic, second)))
        until(lambda: len(first.owned) == len(second.owned) == 2, leaving, staying)
        had, kept, assignments = set(first.owned), set(second.owned), second.assignments
        second.revoked.clear()
        leaving.commit({partition: Committed(7) for partition in had})
        leaving.close()
        until(lambda: not first.owned, staying)
        back = stack.enter_context(closing(member(address, protocol, group, "a", topic, again)))
        until(lambda: len(again.owned) == 2, back, staying)
        assert again.owned == had
        assert (second.owned, second.revoked, second.lost, second.assignments) == (kept, [], [], assignments)
        # It is a member like any other.
        assert {entry.offset for entry in back.committed(sorted(had)).values()} == {7}
        back.commit({partition: Committed(8) for partition in had})


@pytest.mark.parametrize(
    ("address", "protocol"),
    [
        *PROTOCOLS[:2],
        pytest.param(
            "embedded",
            "classic",
            marks=[
                pytest.mark.embedded,
                pytest.mark.xfail(strict=True, reason="Tansu tells neither of two members with one id"),
            ],
        ),
    ],
    indirect=["address"],
)
def test_an_id_that_is_used_twice_is_an_error_that_names_the_setting(
    address: str, protocol: str, topic: str, group: str
) -> None:
    create(KafkaBroker(address), topic, 2)
    one, other = Listener(), Listener()
    with closing(member(address, protocol, group, "same", topic, one)) as first:
        until(lambda: len(one.owned) == 2, first)
        with (
            closing(member(address, protocol, group, "same", topic, other)) as second,
            pytest.raises(BrokerError, match="another worker runs with the same group_instance_id"),
        ):
            until(lambda: False, first, second)
