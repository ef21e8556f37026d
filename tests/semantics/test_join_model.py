"""Joins of two streams against models, over random input with restarts, crashes and moves between records."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dsl.builder import StreamsBuilder
from pipeline.testing.driver import TopologyTestDriver
from pipeline.topology import Topology
from tests.semantics.crashes import Bomb, pipe_batch
from tests.semantics.timed import joined, ms, take


class Arrival(NamedTuple):
    """A record of one side; `then` happens to the worker after it."""

    side: str
    key: str | None
    time: int
    has_value: bool
    then: str


class Bounds(NamedTuple):
    """A join's window."""

    before: int
    after: int
    grace: int


class Output(NamedTuple):
    """A joined record: left and right are the numbers of the records, None for one that is missing."""

    key: str | None
    left: int | None
    right: int | None
    time: int


class Kind(NamedTuple):
    """The method of a stream, and the sides whose records come out alone."""

    method: str
    alone: str


INNER, LEFT, OUTER = Kind("join", ""), Kind("left_join", "L"), Kind("outer_join", "LR")


nothing_mostly = st.sampled_from([""] * 12 + ["restart", "crash", "move"])
arrivals = st.lists(
    st.builds(
        Arrival,
        st.sampled_from("LR"),
        st.sampled_from(["a", "b"] * 5 + [None]),
        st.integers(0, 60),
        st.sampled_from([True] * 9 + [False]),
        nothing_mostly,
    ),
    max_size=25,
)
bounds = st.builds(Bounds, st.integers(-8, 15), st.integers(-8, 15), st.sampled_from([0, 0, 3, 20])).map(
    lambda b: b if b.before + b.after >= 0 else Bounds(-b.before, -b.after, b.grace)
)


class Side:
    """What one side remembers: its records, and how far its own time has come (rule a4.5)."""

    def __init__(self, retention: int) -> None:
        self.time, self.retention = -1, retention
        self.records: list[tuple[int, str, int]] = []

    def put(self, time: int, key: str, number: int) -> None:
        if time > self.time - self.retention:
            self.records.append((time, key, number))
        self.time = max(self.time, time)

    def between(self, key: str, first: int, last: int) -> list[tuple[int, int]]:
        visible = max(first, self.time - self.retention + 1)
        found = [(time, n) for time, other, n in self.records if other == key and visible <= time <= last]
        return sorted(found, key=lambda record: record[0])


class Model:
    """The rules a4.1 to a4.8 with deviation 3, on plain lists."""

    def __init__(self, window: Bounds, kind: Kind) -> None:
        self.window, self.alone, self.time = window, kind.alone, -1
        before, after, grace = window
        self.wait = {"L": after + grace, "R": before + grace}
        # Deviation 1: nothing that is on time is hidden.
        longest = max(before + after, max(before, after) + 1)
        self.sides = {"L": Side(longest + grace), "R": Side(longest + grace)}
        self.waiting: list[tuple[int, bool, str, int]] = []

    def take(self, number: int, record: Arrival) -> list[Output]:
        out = self.close(record.time)
        side, key, time, has_value, _ = record
        if not has_value:
            return out
        if key is None:
            return [*out, *([_alone(side, None, number, time)] if side in self.alone else [])]
        before, after, _ = self.window
        other = "R" if side == "L" else "L"
        first, last = (time - before, time + after) if side == "L" else (time - after, time + before)
        matches = self.sides[other].between(key, first, last)
        for other_time, found in matches:
            pair = (number, found) if side == "L" else (found, number)
            out.append(Output(key, *pair, max(time, other_time)))
        partners = {found for _, found in matches}
        self.waiting = [row for row in self.waiting if row[3] not in partners]
        if not matches and side in self.alone:
            if time + self.wait[side] < self.time:
                out.append(_alone(side, key, number, time))
            else:
                self.waiting.append((time, side == "L", key, number))
        self.sides[side].put(time, key, number)
        return out

    def close(self, time: int) -> list[Output]:
        """Rows whose window has closed, by time, right before left, then by key, then as they came."""
        if time <= self.time:
            return []
        self.time = time
        due = sorted(row for row in self.waiting if row[0] + self.wait["L" if row[1] else "R"] < time)
        self.waiting = [row for row in self.waiting if row not in due]
        return [_alone("L" if is_left else "R", key, number, at) for at, is_left, key, number in due]


def _alone(side: str, key: str | None, number: int, time: int) -> Output:
    return Output(key, number, None, time) if side == "L" else Output(key, None, number, time)


def topology(window: Bounds, kind: Kind, bomb: Bomb | None = None) -> Topology:
    builder = StreamsBuilder("test")
    left, right = (builder.stream(topic, key=str, value=str).peek(bomb or Bomb()) for topic in "LR")
    within: tuple[timedelta, timedelta] = (ms(window.before), ms(window.after))
    getattr(left, kind.method)(right, joined, within=within, grace=ms(window.grace), name="j", value=str).to(
        "out"
    )
    return builder.build()


def outputs(driver_topology: Topology, history: list[Arrival], partitions: int) -> list[list[Output]]:
    """Return what comes out after each record."""
    with TopologyTestDriver(driver_topology, partitions={"L": partitions, "R": partitions}) as driver:
        out = driver.output_topic("out", value=str)
        found = []
        for number, record in enumerate(history):
            value = number if record.has_value else None
            driver.input_topic(record.side, value=str).pipe(
                record.key, None if value is None else str(value), record.time
            )
            found.append([output(r.key, r.value, r.timestamp) for r in out.read_all()])
            if record.then:
                take(driver, record.then)
                found[-1] += [output(r.key, r.value, r.timestamp) for r in out.read_all()]
        return found


def output(key: str | None, value: str, time: int) -> Output:
    left, right = (None if side == "null" else int(side) for side in value.split("-"))
    return Output(key, left, right, time)


@pytest.mark.parametrize("kind", [INNER, LEFT, OUTER], ids=["inner", "left", "outer"])
@given(window=bounds, history=arrivals)
@settings(max_examples=150)
def test_every_output_is_the_models(kind: Kind, window: Bounds, history: list[Arrival]) -> None:
    model = Model(window, kind)
    expected = [model.take(number, record) for number, record in enumerate(history)]
    assert outputs(topology(window, kind), history, 1) == expected


@given(window=bounds, history=arrivals)
@settings(max_examples=100)
def test_in_order_of_time_the_join_is_its_definition(window: Bounds, history: list[Arrival]) -> None:
    """Without late records: exactly the pairs within bounds, and alone exactly the others."""
    history = sorted(history, key=lambda record: record.time)
    records = [(number, *record) for number, record in enumerate(history) if record.has_value]
    lefts = [(number, key, time) for number, side, key, time, *_ in records if side == "L"]
    rights = [(number, key, time) for number, side, key, time, *_ in records if side == "R"]
    pairs = {
        Output(key, left, right, max(time, other_time))
        for left, key, time in lefts
        for right, other_key, other_time in rights
        if key is not None and key == other_key and time - window.before <= other_time <= time + window.after
    }
    last = max((record.time for record in history), default=0)
    paired_left, paired_right = {pair.left for pair in pairs}, {pair.right for pair in pairs}
    alone = {
        Output(key, left, None, time)
        for left, key, time in lefts
        if key is None or (left not in paired_left and time + window.after + window.grace < last)
    } | {
        Output(key, None, right, time)
        for right, key, time in rights
        if key is None or (right not in paired_right and time + window.before + window.grace < last)
    }
    found = [out for step in outputs(topology(window, OUTER), history, 1) for out in step]
    assert sorted(found, key=str) == sorted(pairs | alone, key=str)


@pytest.mark.parametrize("kind", [INNER, LEFT, OUTER], ids=["inner", "left", "outer"])
@given(history=arrivals, partitions=st.sampled_from([2, 5]))
@settings(max_examples=40)
def test_where_nothing_is_late_outputs_do_not_depend_on_the_number_of_partitions(
    kind: Kind, history: list[Arrival], partitions: int
) -> None:
    """Of each key, and of the records without one. Rows wait until each partition's time has passed them."""
    last = [Arrival("L", f"last {number}", 100_000, True, "") for number in range(40)]
    window = topology(Bounds(5, 10, 1000), kind)

    def by_key(count: int) -> dict[str | None, list[Output]]:
        found: dict[str | None, list[Output]] = {}
        for step in outputs(window, [*history, *last], count):
            for out in step:
                found.setdefault(out.key, []).append(out)
        return found

    assert by_key(partitions) == by_key(1)


@given(
    window=bounds,
    batches=st.lists(st.tuples(arrivals, st.none() | st.integers(0, 20)), max_size=4),
)
@settings(max_examples=80)
def test_a_crash_within_a_batch_changes_no_state_and_loses_no_output(
    window: Bounds, batches: list[tuple[list[Arrival], int | None]]
) -> None:
    """Outputs since the last commit come again: at least once, and no others; rows that wait wait on."""

    def run(*, crashing: bool) -> list[Output]:
        bomb = Bomb()
        crashed = topology(window, OUTER, bomb)
        with TopologyTestDriver(crashed, poll_records=1000) as driver:
            number = 0
            for batch, crash_at in batches:
                values = [str(number + index) for index in range(len(batch))]
                number += len(batch)
                if crashing and crash_at is not None and crash_at < len(values):
                    bomb.value = values[crash_at]
                records = [
                    (record.side, record.key, value if record.has_value else None, record.time)
                    for record, value in zip(batch, values, strict=True)
                ]
                pipe_batch(driver, records, bomb)
            take(driver, "R z:0@1000")
            written = driver.output_topic("out", value=str).read_all()
        return [output(record.key, record.value, record.timestamp) for record in written]

    expected, found = run(crashing=False), run(crashing=True)
    assert set(found) == set(expected)
    assert len(expected) == len(set(expected))
