"""Kafka Streams in a JVM: started once, when the first test asks for it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.testing.java import NoJdkError
from pipeline.testing.kafka_jars import DIRECTORY_VARIABLE
from tests.oracle.kafka_streams import KafkaStreams

_PROJECT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="session")
def kafka_streams() -> Iterator[KafkaStreams]:
    """Kafka Streams' own test driver, one JVM for all tests. Skipped without a JDK, except in CI."""
    directory = Path(os.environ.get(DIRECTORY_VARIABLE) or _PROJECT / ".kafka")
    try:
        with KafkaStreams(directory) as kafka:
            yield kafka
    except NoJdkError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Thousands of records are dropped on purpose: nobody needs to read of each."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
