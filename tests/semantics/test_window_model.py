"""Windowed aggregates against a plain model, over random input with random commits, crashes and moves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import tumbling
from pipeline.dsl.builder import StreamsBuilder
from pipeline.runtime.broker import Message
from pipeline.serde import STRING, TimeWindowedSerde
from pipeline.state.provider import MemoryProvider
from pipeline.testing.driver import TopologyTestDriver
from pipeline.topology import Topology
from tests.semantics.crashes import Bomb, pipe_batch
from tests.semantics.timed import ms

SIZE = 10


class Arrival(NamedTuple):
    """A record that arrives: out of order, now and then without value or key."""

    key: str | None
    time: int
    has_value: bool


class Batch(NamedTuple):
    """Records that are committed together, and what happens to the worker meanwhile or afterwards."""

    arrivals: list[Arrival]
    crash_at: int | None
    then: str


arrivals = st.builds(
    Arrival, st.sampled_from(["a", "b", "c", None]), st.integers(0, 80), st.sampled_from([True] * 9 + [False])
)
batches = st.lists(
    st.builds(
        Batch,
        st.lists(arrivals, min_size=1, max_size=8),
        st.none() | st.integers(0, 7),
        st.sampled_from(["", "", "restart", "crash", "move"]),
    ),
    min_size=1,
    max_size=6,
)


def texts(bomb: Bomb, grace: int) -> Topology:
    """All values of a window, in the order they were folded in: shows what came twice or not at all."""
    builder = StreamsBuilder("test")
    grouped = builder.stream("in", key=str, value=str).peek(bomb).group_by_key()
    windowed = grouped.windowed_by(tumbling(ms(SIZE), grace=ms(grace)))
    windowed.aggregate(
        str, lambda _, value, so_far: f"{so_far} {value}", name="text", value=str
    ).to_stream().to("out")
    windowed.count(name="count")
    windowed.reduce(max, name="max")
    return builder.build()


def run(driver: TopologyTestDriver, bomb: Bomb, history: Sequence[Batch]) -> None:
    for number, batch in enumerate(history):
        records = [
            ("in", arrival.key, f"{number}.{index}" if arrival.has_value else None, arrival.time)
            for index, arrival in enumerate(batch.arrivals)
        ]
        bomb.value = None if batch.crash_at is None else f"{number}.{batch.crash_at}"
        pipe_batch(driver, records, bomb)
        if batch.then:
            lost = MemoryProvider() if batch.then == "move" else None
            driver.restart(crash=batch.then != "restart", stores=lost)


class Model:
    """One partition: rules a2.1, a2.2, a1.7, deviation 2."""

    def __init__(self, grace: int) -> None:
        self.time, self.grace = -1, grace
        self.windows: dict[tuple[str, int], tuple[list[str], int]] = {}

    def take(self, message: Message) -> None:
        key, value, time = message.key, message.value, message.timestamp
        if key is None or value is None:
            return
        self.time = max(self.time, time)
        start = time // SIZE * SIZE
        if start + SIZE > self.time - self.grace:
            values, latest = self.windows.get((key.decode(), start), ([], -1))
            self.windows[key.decode(), start] = [*values, value.decode()], max(latest, time)

    def visible(self) -> Iterator[tuple[tuple[str, int], list[str]]]:
        newest = max((start for _, start in self.windows), default=0)
        for window, (values, _) in sorted(self.windows.items()):
            if window[1] > newest - SIZE - self.grace:
                yield window, values


@pytest.mark.parametrize("partitions", [1, 3])
@given(history=batches, grace=st.sampled_from([0, 5, 30]))
@settings(max_examples=60)
def test_windowed_aggregates_are_those_of_the_model(
    partitions: int, history: list[Batch], grace: int
) -> None:
    bomb = Bomb()
    with TopologyTestDriver(texts(bomb, grace), partitions={"in": partitions}, poll_records=1000) as driver:
        run(driver, bomb, history)
        models = [Model(grace) for _ in range(partitions)]
        for message in driver.broker.records("in"):
            models[message.partition].take(message)
        for partition, model in enumerate(models):
            expected = dict(model.visible())
            stores = {name: dict(driver.store(name, partition).all()) for name in ("text", "count", "max")}
            found = {
                name: {(window.key, window.start): value for window, value in store.items()}
                for name, store in stores.items()
            }
            assert found["text"] == {window: " " + " ".join(values) for window, values in expected.items()}
            assert found["count"] == {window: len(values) for window, values in expected.items()}
            assert found["max"] == {window: max(values) for window, values in expected.items()}
        # Outputs may repeat after a crash; the last of each window is the final one, at its time.
        written = driver.output_topic("out", key=TimeWindowedSerde(STRING, SIZE), value=str).read_all()
        last = {(record.key.key, record.key.start): (record.value, record.timestamp) for record in written}
        assert last == {
            window: (" " + " ".join(values), latest)
            for model in models
            for window, (values, latest) in model.windows.items()
        }


@given(history=st.lists(arrivals.filter(lambda arrival: arrival.key is not None), max_size=30))
@settings(max_examples=40)
def test_where_nothing_is_late_the_number_of_partitions_does_not_matter(history: list[Arrival]) -> None:
    """Lateness is judged by each task's own time; what is on time comes out the same, key by key."""
    outputs = []
    for partitions in (1, 2, 5):
        with TopologyTestDriver(texts(Bomb(), 1000), partitions={"in": partitions}) as driver:
            topic = driver.input_topic("in", value=str)
            for number, arrival in enumerate(history):
                topic.pipe(arrival.key, str(number) if arrival.has_value else None, arrival.time)
            written = driver.output_topic("out", key=TimeWindowedSerde(STRING, SIZE), value=str).read_all()
            outputs.append([record[:3] for record in written])
    assert outputs[0] == outputs[1] == outputs[2]


@given(history=batches, poll_records=st.integers(1, 5))
@settings(max_examples=40)
def test_counting_through_a_repartition_topic_loses_nothing_and_time_does_not_matter(
    history: list[Batch], poll_records: int
) -> None:
    """Unwindowed: the last count of each value is exact, however records were batched and partitioned."""
    builder = StreamsBuilder("test")
    stream = builder.stream("in", key=str, value=str).filter(lambda _, value: value is not None)
    stream.group_by(lambda _, value: value[-1], name="by-digit").count(name="t").to_stream().to("out")
    orderly = [batch._replace(crash_at=None) for batch in history]
    with TopologyTestDriver(builder.build(), partitions={"in": 3}, poll_records=poll_records) as driver:
        run(driver, Bomb(), orderly)
        expected: dict[str, int] = {}
        for message in driver.broker.records("in"):
            if (value := message.value) is not None:
                expected[value.decode()[-1]] = expected.get(value.decode()[-1], 0) + 1
        last = {record.key: record.value for record in driver.output_topic("out", value=int).read_all()}
        assert last == expected
