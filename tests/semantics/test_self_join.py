"""The join of a stream with itself: rule a4.12, the table of b1. One store gives what two would."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import KStream
from pipeline.dsl.builder import StreamsBuilder
from pipeline.plan.planner import plan
from pipeline.testing.driver import TopologyTestDriver
from tests.semantics.timed import Declare, Step, check, joined, ms, shown, take, topology

Within: TypeAlias = timedelta | tuple[timedelta, timedelta]

INPUT = ["L k:∅@1", "L k:A@2", "L k:B@3", "L k:∅@4", "L k:C@5", "L k:∅@6", "L k:D@7"]
B1 = {
    2: "k:A-A@2",
    3: "k:B-A@3 k:A-B@3 k:B-B@3",
    5: "k:C-A@5 k:C-B@5 k:A-C@5 k:B-C@5 k:C-C@5",
    7: "k:D-A@7 k:D-B@7 k:D-C@7 k:A-D@7 k:B-D@7 k:C-D@7 k:D-D@7",
}


def read(builder: StreamsBuilder) -> KStream[str, str]:
    return builder.stream("L", key=str, value=str)


def one_stream(builder: StreamsBuilder) -> tuple[KStream[str, str], KStream[str, str]]:
    stream = read(builder)
    return stream, stream


def one_topic(builder: StreamsBuilder) -> tuple[KStream[str, str], KStream[str, str]]:
    return read(builder), read(builder)


def rekeyed(builder: StreamsBuilder) -> tuple[KStream[str, str], KStream[str, str]]:
    stream = read(builder).select_key(lambda key, _: key, key=str)
    return stream, stream


def apart(builder: StreamsBuilder) -> tuple[KStream[str, str], KStream[str, str]]:
    """The same records, by two ways: nothing that can be shared."""
    stream = read(builder)
    return stream.filter(lambda _k, _v: True), stream.filter(lambda _k, _v: True)


Sides: TypeAlias = Callable[[StreamsBuilder], tuple[KStream[str, str], KStream[str, str]]]


def join(sides: Sides, within: Within, grace: int = 0, kind: str = "join") -> Declare:
    def declare(builder: StreamsBuilder) -> None:
        left, right = sides(builder)
        getattr(left, kind)(right, joined, within=within, grace=ms(grace), name="j", value=str).to("out")

    return declare


@pytest.mark.parametrize("sides", [one_stream, one_topic, rekeyed, apart], ids=lambda sides: sides.__name__)
@pytest.mark.parametrize("partitions", [1, 3])
def test_b1_self_join(sides: Sides, partitions: int) -> None:
    steps = [(given, B1.get(number, "")) for number, given in enumerate(INPUT, start=1)]
    check(join(sides, ms(10_000)), steps, partitions={"L": partitions})


CASES: dict[str, tuple[Declare, list[Step]]] = {
    "a4.12-a-late-record-meets-both-ways, its own pair placed by time": (
        join(one_stream, ms(10)),
        [
            ("L k:A@20", "k:A-A@20"),
            ("L k:B@10", "k:B-A@20 k:B-B@10 k:A-B@20"),
            ("L k:C@15", "k:C-B@15 k:C-A@20 k:B-C@15 k:C-C@15 k:A-C@20"),
        ],
    ),
    "a4.12-the-own-pair-only-where-the-window-contains-it: Kafka Streams' single store makes it always": (
        join(one_stream, (ms(10), ms(-5))),
        [
            ("L k:A@0", ""),
            ("L k:B@4", ""),
            ("L k:C@5", "k:C-A@5"),
            ("L k:D@10", "k:D-A@10 k:D-B@10 k:D-C@10"),
        ],
    ),
    "a4.12-asymmetric-bounds-are-each-sides-own": (
        join(one_stream, (ms(0), ms(10))),
        [("L k:A@0", "k:A-A@0"), ("L k:B@10", "k:A-B@10 k:B-B@10"), ("L k:C@5", "k:C-B@10 k:A-C@5 k:C-C@5")],
    ),
    "a4.12-one-store-survives-restart-crash-and-move": (
        join(one_stream, ms(10)),
        [
            ("L k:A@0", "k:A-A@0"),
            ("restart", ""),
            ("L k:B@1", "k:B-A@1 k:A-B@1 k:B-B@1"),
            ("crash", ""),
            ("L j:C@1", "j:C-C@1"),
            ("move", ""),
            ("L k:D@11", "k:D-B@11 k:B-D@11 k:D-D@11"),
        ],
    ),
    "a4.12-a-left-join-with-itself-leaves-nobody-alone": (
        join(one_stream, ms(10), kind="left_join"),
        [("L k:A@0", "k:A-A@0"), ("L j:B@100", "j:B-B@100")],
    ),
}


@pytest.mark.parametrize(("declare", "steps"), CASES.values(), ids=CASES.keys())
def test_cases(declare: Declare, steps: list[Step]) -> None:
    check(declare, steps)


records = st.builds("L {}:{}@{}".format, st.sampled_from("ab∅"), st.sampled_from("ABC∅"), st.integers(0, 60))
bounds = st.tuples(st.integers(-8, 15), st.integers(-8, 15)).map(
    lambda b: b if sum(b) >= 0 else (-b[0], -b[1])
)


@given(
    history=st.lists(records | st.sampled_from(["restart", "move"]), max_size=25),
    within=bounds.map(lambda b: (ms(b[0]), ms(b[1]))),
    grace=st.sampled_from([0, 0, 3, 20]),
)
@settings(max_examples=100)
def test_a4_12_b2_one_store_gives_what_two_would(history: list[str], within: Within, grace: int) -> None:
    def outputs(sides: Sides) -> list[str]:
        with TopologyTestDriver(topology(join(sides, within, grace))) as driver:
            out, found = driver.output_topic("out", value=str), []
            for step in history:
                take(driver, step)
                found.append(shown(out.read_all()))
            return found

    assert outputs(one_stream) == outputs(apart)


@pytest.mark.parametrize(
    ("sides", "kind", "stores", "repartitions"),
    [
        (one_stream, "join", 1, 0),
        (one_topic, "join", 1, 0),
        (rekeyed, "join", 1, 1),
        (apart, "join", 2, 0),
        (one_stream, "left_join", 3, 0),
    ],
    ids=["stream", "topic", "rekeyed", "apart", "left"],
)
def test_a4_12_what_it_keeps(sides: Any, kind: str, stores: int, repartitions: int) -> None:
    planned = plan(topology(join(sides, ms(10), kind=kind)))
    assert sum(len(sub.stores) for sub in planned.subtopologies) == stores
    assert len(planned.repartition_topics) == repartitions
