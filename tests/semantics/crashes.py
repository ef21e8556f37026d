"""Killing the worker in the midst of a batch, so that what it did since the last commit is lost."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from pipeline import StreamsError
from pipeline.testing.driver import TopologyTestDriver


class Bomb:
    """Peeks at values, and kills the worker, once, when it sees the given one.

    Attributes:
        value: what to wait for; None: nothing.
    """

    def __init__(self) -> None:
        self.value: str | None = None

    def __call__(self, _key: object, value: str | None) -> None:
        if value is not None and value == self.value:
            self.value = None
            raise RuntimeError("crash")


def pipe_batch(
    driver: TopologyTestDriver, records: Iterable[tuple[str, str | None, str | None, int]], bomb: Bomb
) -> None:
    """Write (topic, key, value, time) all at once; process and commit them together, if `bomb` lets it.

    Give the driver `poll_records` of at least as many records, and no dead-letter topic.
    """
    producer = driver.broker.producer("test")
    for topic, key, value, time in records:
        producer.produce(topic, _encoded(value), _encoded(key), -1, time, ())
    producer.flush(0)
    try:
        driver.advance_wall_clock(timedelta(0))
    except StreamsError:
        driver.restart(crash=True)
    bomb.value = None


def _encoded(text: str | None) -> bytes | None:
    return None if text is None else text.encode()
