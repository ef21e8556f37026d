"""Apache Kafka that asks who is there: every client gets in, and who does not is told why at once."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from pipeline.clock import SystemClock
from pipeline.config import StreamsConfig
from pipeline.credentials import connection_settings
from pipeline.dsl.builder import StreamsBuilder
from pipeline.errors import BrokerRefusedError
from pipeline.record import NO_HEADERS, TopicPartition
from pipeline.runtime.broker import Committed
from pipeline.runtime.kafka import KafkaBroker
from pipeline.runtime.worker import Worker
from pipeline.state.provider import MemoryProvider
from pipeline.testing.secured import Certificates
from tests.contract.broker_clients import FLUSH_S, Listener, create, join, read_count, read_range
from tests.integration.secured.broker import SECRET, Secured, secured

pytestmark = pytest.mark.kafka

WRONG: Final = "hunter2"
#: A step that finds no broker ends after 4 s, that of a busy machine later.
_BOUND_MS: Final = 60_000


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured(tmp_path_factory.mktemp("certificates")) as started:
        started.add_user("admin")
        yield started


def unsigned(_config: str) -> tuple[str, float]:
    """A token as OAUTHBEARER has it, which this broker believes without a signature."""
    ends = SystemClock().now_ms() // 1_000 + 3_600
    parts = {"alg": "none"}, {"sub": "admin", "iat": ends - 3_700, "exp": ends}
    encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    return f"{'.'.join(encoded)}.", float(ends)


def sasl(mechanism: str, **more: Any) -> dict[str, Any]:
    given = {"security.protocol": "sasl_ssl", "sasl.mechanisms": mechanism, "ssl.ca.location": "authority"}
    if mechanism != "OAUTHBEARER":
        given |= {"sasl.username": "admin", "sasl.password": SECRET}
    return {**given, **{name.replace("_", "."): value for name, value in more.items()}}


OPEN_SASL: Final = {
    "security.protocol": "sasl_plaintext",
    "sasl.mechanisms": "PLAIN",
    "sasl.username": "admin",
    "sasl.password": SECRET,
}
MUTUAL: Final = {
    "security.protocol": "ssl",
    "ssl.ca.location": "authority",
    "ssl.certificate.location": "client",
    "ssl.key.location": "client key",
}
WAYS_IN: Final = {
    "plain": ("SASL", sasl("PLAIN")),
    "scram-256": ("SASL", sasl("SCRAM-SHA-256")),
    "scram-512": ("SASL", sasl("SCRAM-SHA-512")),
    "token": ("SASL", sasl("OAUTHBEARER") | {"oauth_cb": unsigned}),
    "certificate": ("MUTUAL", MUTUAL),
}


def with_files(settings: dict[str, Any], certificates: Certificates) -> dict[str, Any]:
    files = {
        "authority": certificates.authority,
        "stranger": certificates.stranger,
        "client": certificates.certificate("client"),
        "client key": certificates.key("client"),
    }
    found = {
        name: str(files.get(value, value)) if name.startswith("ssl.") else value
        for name, value in settings.items()
    }
    return connection_settings(None, found)


@pytest.mark.parametrize("way", WAYS_IN)
def test_every_client_gets_in(broker: Secured, way: str) -> None:
    listener, settings = WAYS_IN[way]
    kafka = KafkaBroker(broker.kafka.address_of(listener), settings=with_files(settings, broker.certificates))
    topic, partition = f"in-{way}", TopicPartition(f"in-{way}", 0)
    create(kafka, topic)
    with closing(kafka.producer("plain")) as producer:
        producer.produce(topic, b"1", b"k", 0, 1_000, NO_HEADERS)
        assert producer.flush(FLUSH_S) == []
    with (
        closing(join(kafka, way, [topic], Listener(), 1)) as consumer,
        closing(kafka.transactional_producer("once", f"once-{way}", 10_000)) as producer,
    ):
        consumer.resume([partition])
        assert [message.value for message in read_count(consumer, 1)] == [b"1"]
        producer.produce(topic, b"2", b"k", 0, 1_000, NO_HEADERS)
        assert producer.flush(FLUSH_S) == []
        producer.commit({partition: Committed(1, "")}, consumer.group_metadata())
        assert consumer.committed([partition]) == {partition: Committed(1, "")}
    with closing(kafka.admin()) as admin:
        end = admin.end_offsets([partition], stable=True)[partition]
        assert topic in admin.topics()
    assert [message.value for message in read_range(kafka, partition, 0, end)] == [b"1", b"2"]


def step(address: str, settings: dict[str, Any]) -> Worker:
    """Have a worker try once to begin."""
    builder = StreamsBuilder("nobody")
    builder.stream("in").to("out")
    config = StreamsConfig("nobody", Path("unused"))
    clock = SystemClock()
    worker = Worker(builder.build(), config, KafkaBroker(address, settings=settings), clock, MemoryProvider())
    begun = clock.now_ms()
    try:
        worker.step()
    finally:
        assert clock.now_ms() - begun < _BOUND_MS
        worker.abort()
    return worker


@pytest.mark.parametrize(
    ("listener", "settings", "message"),
    [
        (
            "SASL",
            sasl("PLAIN", sasl_password=WRONG),
            "Invalid username or password.* not accept who .*: check",
        ),
        (
            "SASL",
            sasl("SCRAM-SHA-512", sasl_password=WRONG),
            "invalid credentials.* not accept who .*: check",
        ),
        (
            "SASL",
            sasl("PLAIN", ssl_ca_location="stranger"),
            "certificate verify failed.*no secure connection.*ssl.ca.location",
        ),
        ("PLAINTEXT", OPEN_SASL, "not accept who"),
    ],
)
def test_who_is_not_let_in_stops_and_says_why(
    broker: Secured, listener: str, settings: dict[str, Any], message: str
) -> None:
    given = with_files(settings, broker.certificates)
    with pytest.raises(BrokerRefusedError, match=message) as caught:
        step(broker.kafka.address_of(listener), given)
    assert WRONG not in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("listener", "settings", "message"),
    [
        ("SASL", {}, "security.protocol is what is spoken there"),
        ("SASL", {"security.protocol": "ssl", "ssl.ca.location": "authority"}, "security.protocol is what"),
        # librdkafka adds its guess, a PLAINTEXT listener, only if the handshake fails before the connection.
        ("PLAINTEXT", sasl("PLAIN"), "SSL connection closed by peer.*security.protocol"),
        ("MUTUAL", {"security.protocol": "ssl", "ssl.ca.location": "authority"}, "alert bad certificate"),
    ],
)
def test_who_speaks_something_else_says_so_and_tries_again(
    broker: Secured, listener: str, settings: dict[str, Any], message: str
) -> None:
    """The same is seen of a broker that is just going down: it is no reason to stop."""
    worker = step(broker.kafka.address_of(listener), with_files(settings, broker.certificates))
    problem = worker.status().problem
    assert problem is not None
    assert SECRET not in problem
    assert re.search(message, problem), problem
