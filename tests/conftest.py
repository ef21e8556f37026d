"""Brokers for tests: started once, when the first test asks for one."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from pipeline.clock import SystemClock
from pipeline.runtime.broker import Broker
from pipeline.runtime.kafka import KafkaBroker
from pipeline.runtime.kafka.linked import COMPILED
from pipeline.runtime.memory import MemoryBroker
from pipeline.testing.brokers import ApacheKafka, EmbeddedBroker
from pipeline.testing.kafka_jars import DIRECTORY_VARIABLE

# How long an example takes is for benchmarks to say: by default a slow machine fails.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

_PROJECT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator[EmbeddedBroker]:
    """The embedded broker, one for all tests: use names of your own."""
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture(scope="session")
def apache_kafka() -> Iterator[ApacheKafka]:
    """Apache Kafka with one node, one for all tests: use names of your own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(DIRECTORY_VARIABLE, str(_kafka_directory()))
        with ApacheKafka() as kafka:
            yield kafka


@pytest.fixture(scope="session")
def names() -> Iterator[str]:
    """Names for topics and groups that no other test of this run uses."""
    return (f"test-{number}" for number in itertools.count())


@pytest.fixture
def topic(names: Iterator[str]) -> str:
    """A topic name of this test's own."""
    return next(names)


@pytest.fixture
def group(names: Iterator[str]) -> str:
    """A consumer group of this test's own."""
    return next(names)


@pytest.fixture(
    params=[
        "memory",
        pytest.param("embedded", marks=pytest.mark.embedded),
        pytest.param("kafka", marks=pytest.mark.kafka),
        # Records as the Python client hands them over, without the compiled part.
        pytest.param("kafka-client", marks=pytest.mark.kafka),
    ]
)
def broker(request: pytest.FixtureRequest) -> Broker:
    """Each implementation of the broker protocol, on each kind of broker."""
    if request.param == "memory":
        return MemoryBroker(SystemClock())
    if request.param == "embedded":
        embedded: EmbeddedBroker = request.getfixturevalue("embedded_broker")
        return KafkaBroker(embedded.address)
    kafka: ApacheKafka = request.getfixturevalue("apache_kafka")
    return KafkaBroker(kafka.address, compiled=COMPILED and request.param != "kafka-client")


def _kafka_directory() -> Path:
    return Path(os.environ.get(DIRECTORY_VARIABLE) or _PROJECT / ".kafka")
