"""Windows of every kind through crashes in the midst of a batch, restarts, and machines that are lost.

Whatever happens, the tables are those of a run that nothing has happened to, and so is what came out
last. What comes out may come out again after a crash: nothing else does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import EmitStrategy, Windowed
from pipeline.dsl.builder import StreamsBuilder
from pipeline.serde import STRING, Serde, SessionWindowedSerde, TimeWindowedSerde
from pipeline.state.provider import MemoryProvider
from pipeline.testing.driver import TopologyTestDriver
from pipeline.topology import Topology
from pipeline.windows import SessionWindows, SlidingWindows, TimeWindows, Windows
from tests.semantics.crashes import Bomb, pipe_batch

KINDS = [
    pytest.param(TimeWindows(10, 5, 4), id="hopping"),
    pytest.param(SlidingWindows(8, 5), id="sliding"),
    pytest.param(SessionWindows(4, 5), id="sessions"),
]


class Batch(NamedTuple):
    """Records that are committed together, and what happens meanwhile or afterwards."""

    records: list[tuple[str, int]]
    crash_at: int | None
    then: str


BATCHES = st.lists(
    st.builds(
        Batch,
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60)), min_size=1, max_size=8),
        st.none() | st.integers(0, 7),
        st.sampled_from(["", "", "restart", "crash", "move"]),
    ),
    min_size=1,
    max_size=6,
)


def texts(windows: Windows, bomb: Bomb, *, final: bool, caching: bool) -> Topology:
    """All values of a window, in the order they were folded in: shows what came twice or not at all."""
    builder = StreamsBuilder("test")
    grouped: Any = builder.stream("in", key=str, value=str).peek(bomb).group_by_key()
    windowed = grouped.windowed_by(windows)
    if final:
        windowed = windowed.emit_strategy(EmitStrategy.ON_WINDOW_CLOSE)
    mergers = [lambda _key, left, right: left + right] if isinstance(windows, SessionWindows) else []
    table = windowed.aggregate(
        str, lambda _, value, so_far: f"{so_far} {value}", *mergers, name="t", value=str, caching=caching
    )
    table.to_stream().to("out")
    return builder.build()


def run(driver: TopologyTestDriver, bomb: Bomb, history: Sequence[Batch], *, interrupted: bool) -> None:
    for number, batch in enumerate(history):
        records = [("in", key, f"{number}.{index}", time) for index, (key, time) in enumerate(batch.records)]
        crashes = interrupted and batch.crash_at is not None
        bomb.value = f"{number}.{batch.crash_at}" if crashes else None
        pipe_batch(driver, records, bomb)
        if interrupted and batch.then:
            lost = MemoryProvider() if batch.then == "move" else None
            driver.restart(crash=batch.then != "restart", stores=lost)


class Results(NamedTuple):
    """What a run leaves: its tables by partition, and what came out, in order."""

    tables: list[dict[Windowed[str], str]]
    outputs: list[tuple[Windowed[str], str | None, int]]


def results(
    windows: Windows, history: Sequence[Batch], *, interrupted: bool, final: bool, caching: bool
) -> Results:
    bomb = Bomb()
    key: Serde[Any] = SessionWindowedSerde(STRING)
    if not isinstance(windows, SessionWindows):
        key = TimeWindowedSerde(STRING, windows.size_ms)
    topology = texts(windows, bomb, final=final, caching=caching)
    with TopologyTestDriver(topology, partitions={"in": 2}, poll_records=1_000) as driver:
        run(driver, bomb, history, interrupted=interrupted)
        tables = [dict(driver.store("t", partition).all()) for partition in range(2)]
        written = driver.output_topic("out", key=key, value=str).read_all()
        return Results(tables, [(record.key, record.value, record.timestamp) for record in written])


@pytest.mark.parametrize("caching", [True, False])
@pytest.mark.parametrize("windows", KINDS)
@given(history=BATCHES)
@settings(max_examples=25)
def test_updates(windows: Windows, caching: bool, history: list[Batch]) -> None:  # noqa: FBT001 - pytest's parameter
    got = results(windows, history, interrupted=True, final=False, caching=caching)
    expected = results(windows, history, interrupted=False, final=False, caching=caching)
    assert got.tables == expected.tables
    last = {key: (value, time) for key, value, time in got.outputs}
    assert last == {key: (value, time) for key, value, time in expected.outputs}


@pytest.mark.parametrize("windows", KINDS)
@given(history=BATCHES)
@settings(max_examples=40)
def test_emitted_on_close(windows: Windows, history: list[Batch]) -> None:
    got = results(windows, history, interrupted=True, final=True, caching=True)
    expected = results(windows, history, interrupted=False, final=True, caching=True)
    assert got.tables == expected.tables
    assert set(got.outputs) == set(expected.outputs)
    assert len(expected.outputs) == len(set(expected.outputs))
