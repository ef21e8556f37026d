"""Brokers of their own, for an application whose topics have fixed names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from pipeline.testing.brokers import ApacheKafka, EmbeddedBroker

_PROJECT: Final = Path(__file__).parents[3]
_SESSION_MS: Final = "6000"
#: A killed worker's partitions wait for the end of its session, 45 s by default.
_KAFKA: Final = {
    "group.consumer.min.session.timeout.ms": _SESSION_MS,
    "group.consumer.session.timeout.ms": _SESSION_MS,
}

#: Parameters of fixtures that start one.
EMBEDDED: Final = pytest.param("embedded", marks=pytest.mark.embedded)
KAFKA: Final = pytest.param("kafka", marks=pytest.mark.kafka)


@contextmanager
def project_directory() -> Iterator[None]:
    """Work in the project's directory: the worker's command finds its module there, Kafka its jars."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(_PROJECT)
        yield


@contextmanager
def started(kind: str) -> Iterator[str]:
    """Start a broker, and yield its address; meanwhile work in the project's directory."""
    with (
        project_directory(),
        EmbeddedBroker() if kind == "embedded" else ApacheKafka(settings=_KAFKA) as broker,
    ):
        yield broker.address
