"""An idle source's time on real brokers: what they say of a partition's end is what it depends on."""

from __future__ import annotations

from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.clock import SystemClock
from pipeline.config import StreamsConfig
from pipeline.dsl.builder import StreamsBuilder
from pipeline.record import NO_HEADERS, TopicPartition
from pipeline.runtime.broker import TopicSpec
from pipeline.runtime.kafka import KafkaBroker
from pipeline.runtime.worker import Worker
from pipeline.state.provider import MemoryProvider

#: Each turn of a worker waits up to 20 ms for records: so many are a deadline of two minutes.
TURNS = 6_000


def declared(name: str) -> StreamsBuilder:
    """A left record waits for a second: longer than the source must be idle."""
    builder = StreamsBuilder(f"{name}-app")
    left, right = (builder.stream(f"{name}-{side}", key=str, value=str) for side in ("left", "right"))
    within = timedelta(milliseconds=1_000)
    joined = left.left_join(right, lambda _, one, two: f"{one}-{two}", within=within, name="j", value=str)
    joined.to(f"{name}-out")
    return builder


@pytest.mark.parametrize(
    ("fixture", "guarantee"),
    [
        pytest.param("embedded_broker", "at_least_once", marks=pytest.mark.embedded),
        pytest.param("apache_kafka", "at_least_once", marks=pytest.mark.kafka),
        pytest.param("apache_kafka", "exactly_once", marks=pytest.mark.kafka),
    ],
)
def test_a1_2_deviation8_a_window_closes_without_input(
    fixture: str, topic: str, guarantee: str, request: pytest.FixtureRequest
) -> None:
    broker = KafkaBroker(request.getfixturevalue(fixture).address)
    with closing(broker.admin()) as admin:
        admin.create_topics([TopicSpec(f"{topic}-{name}", 1, {}) for name in ("left", "right", "out")])
        builder, out = declared(topic), TopicPartition(f"{topic}-out", 0)
        config = StreamsConfig(
            builder.application_id, Path("unused"), source_idle_ms=500, processing_guarantee=guarantee
        )
        with ExitStack() as stack:
            clock = SystemClock()
            worker = Worker(builder.build(), config, broker, clock, MemoryProvider())
            stack.callback(worker.close)
            producer = stack.enter_context(closing(broker.producer("writer")))
            written = clock.now_ms()
            producer.produce(f"{topic}-left", b"A", b"k", 0, 1_700_000_000_000, NO_HEADERS)
            assert producer.flush(30) == []
            for turn in range(TURNS):
                worker.step()
                if turn % 10 == 0 and admin.end_offsets([out])[out] > 0:
                    break
            assert clock.now_ms() - written > 1_000
            assert worker.status().metrics["records_processed"] == 1
            assert admin.end_offsets([out])[out] > 0
