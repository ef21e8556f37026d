"""Dedup: the first of each id goes through, again once `within` has passed, in event time."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dsl.builder import StreamsBuilder
from pipeline.observability.dedup import dedup
from pipeline.testing.driver import TopologyTestDriver
from tests.semantics.crashes import Bomb, pipe_batch
from tests.semantics.timed import Step, check, ms, topology


def within(span: int, grace: int = 0, bomb: Bomb | None = None) -> Callable[[StreamsBuilder], None]:
    """The value is the event's id, and what follows a slash tells copies apart."""

    def declare(builder: StreamsBuilder) -> None:
        stream = builder.stream("in", key=str, value=str)
        first = dedup(
            stream,
            lambda _, value: value.split("/")[0],
            within=ms(span),
            grace=ms(grace),
            name="seen",
            value=str,
        )
        first.peek(bomb or Bomb()).to("out")

    return declare


CASES: dict[str, tuple[int, int, list[Step]]] = {
    "a-copy-is-dropped, whatever its key": (
        10,
        0,
        [("in k:a@0", "a:a@0"), ("in k:a@0", ""), ("in other:a@5", ""), ("in k:b@5", "b:b@5")],
    ),
    "within-is-inclusive": (10, 0, [("in k:a@0", "a:a@0"), ("in k:a@10", ""), ("in k:a@11", "a:a@11")]),
    "a-repeating-source-gets-through-once-every-within: the first sets the time": (
        10,
        0,
        [("in k:a@0", "a:a@0"), ("in k:a@8", ""), ("in k:a@11", "a:a@11"), ("in k:a@19", "")],
    ),
    "a-copy-before-the-first": (10, 20, [("in k:a@15", "a:a@15"), ("in k:a@5", ""), ("in k:a@4", "a:a@4")]),
    "a-copy-before-the-first, after a restart": (
        10,
        20,
        [("in k:a@15", "a:a@15"), ("restart", ""), ("in k:a@5", ""), ("in k:a@4", "a:a@4")],
    ),
    "late-within-grace-is-compared-with-all": (
        10,
        20,
        [("in k:a@0", "a:a@0"), ("in k:z@30", "z:z@30"), ("in k:a@10", ""), ("in k:a@9", "")],
    ),
    "late-within-grace-is-compared-with-what-went-through-at-the-end-of-a-span": (
        10,
        20,
        [("in k:a@10", "a:a@10"), ("in k:z@40", "z:z@40"), ("in k:a@20", "")],
    ),
    "later-than-grace-may-pass-again, none is lost": (
        10,
        0,
        [("in k:a@0", "a:a@0"), ("in k:z@100", "z:z@100"), ("in k:a@0", "a:a@0")],
    ),
    "state-survives-restart-crash-and-move": (
        10,
        0,
        [
            ("in k:a@0", "a:a@0"),
            ("restart", ""),
            ("in k:a@1", ""),
            ("crash", ""),
            ("in k:a@2", ""),
            ("move", ""),
            ("in k:a@3", ""),
            ("in k:a@11", "a:a@11"),
        ],
    ),
}


@pytest.mark.parametrize(("span", "grace", "steps"), CASES.values(), ids=CASES.keys())
def test_cases(span: int, grace: int, steps: list[Step]) -> None:
    check(within(span, grace), steps)


class Event(NamedTuple):
    id: str
    time: int


histories = st.lists(
    st.tuples(
        st.lists(st.builds(Event, st.sampled_from("abc"), st.integers(0, 100)), max_size=10),
        st.none() | st.integers(0, 9),
    ),
    max_size=5,
)


@pytest.mark.parametrize("partitions", [1, 3])
@given(histories, st.integers(0, 30))
@settings(max_examples=60)
def test_with_enough_grace_it_is_its_definition_whatever_crashes(
    partitions: int, history: list[tuple[list[Event], int | None]], span: int
) -> None:
    """Through goes what has no earlier one that went through within `span`; after a crash, perhaps again."""
    bomb = Bomb()
    with TopologyTestDriver(
        topology(within(span, 1000, bomb)), partitions={"in": partitions}, poll_records=1000
    ) as driver:
        for number, (batch, crash_at) in enumerate(history):
            values = [f"{event.id}/{number}.{index}" for index, event in enumerate(batch)]
            bomb.value = values[crash_at] if crash_at is not None and crash_at < len(values) else None
            pipe_batch(
                driver,
                [("in", event.id, value, event.time) for event, value in zip(batch, values, strict=True)],
                bomb,
            )
        through: dict[str, list[int]] = {}
        expected = set()
        # The order in which records reached the operator is that of the topic between.
        arrived = driver.output_topic("test-seen-repartition", value=str).read_all()
        for record in arrived:
            times = through.setdefault(record.key, [])
            if all(abs(record.timestamp - time) > span for time in times):
                times.append(record.timestamp)
                expected.add(record.value)
        assert {record.value for record in driver.output_topic("out", value=str).read_all()} == expected
