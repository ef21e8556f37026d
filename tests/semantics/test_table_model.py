"""Tables against models, over random input in random commits, with restarts, crashes and moves between.

What goes downstream, folded together, is the table that the inputs make, however many updates a commit
folds, whether they are told at once or at the commit, and whatever happens between.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import KTable, session, sliding, tumbling, until_window_closes
from pipeline.dsl.builder import StreamsBuilder
from pipeline.serde import STRING, SessionWindowedSerde, TimeWindowedSerde
from pipeline.testing.driver import OutputRecord, TopologyTestDriver
from tests.semantics.crashes import Bomb, pipe_batch
from tests.semantics.timed import Declare, joined, ms, take, topology


class Given(NamedTuple):
    """A record; what it is followed by is committed with it, if `committed` is None."""

    topic: str
    key: str
    value: str | None
    time: int
    committed: str | None


Rows: TypeAlias = dict[str, dict[str, tuple[str, int]]]
Table: TypeAlias = KTable[Any, Any]

JOINS: dict[str, Callable[..., Table]] = {
    "inner": KTable.join,
    "left": KTable.left_join,
    "outer": KTable.outer_join,
}

inputs = st.lists(
    st.builds(
        Given,
        st.sampled_from(["L", "R"]),
        st.sampled_from("abc"),
        st.none() | st.sampled_from(["x0", "x1", "y0", "y1", "z2"]),
        st.integers(0, 60),
        st.sampled_from([None, None, "commit", "restart", "crash", "move"]),
    ),
    max_size=40,
)


def run(
    declare: Declare, records: Iterable[Given], *, key: Any = str, bomb: Bomb | None = None
) -> list[OutputRecord]:
    """Return what comes out; crashes are between commits, unless there is a `bomb`."""
    bomb = bomb or Bomb()
    with TopologyTestDriver(topology(declare), poll_records=100) as driver:
        output, batch = driver.output_topic("out", key=key, value=str), []
        for record in records:
            batch.append(record[:4])
            if record.committed is not None:
                # It is set off once, by the record with its value.
                bomb_value = bomb.value
                pipe_batch(driver, batch, bomb)
                bomb.value = None if any(value == bomb_value for _, _, value, _ in batch) else bomb_value
                batch = []
                if record.committed != "commit":
                    take(driver, record.committed)
        pipe_batch(driver, batch, bomb)
        return output.read_all()


def table_of(records: Iterable[OutputRecord]) -> dict[Any, tuple[str, int]]:
    rows: dict[Any, tuple[str, int]] = {}
    for record in records:
        rows.pop(record.key, None)
        if record.value is not None:
            rows[record.key] = (record.value, record.timestamp)
    return rows


def last_rows(records: Iterable[Given]) -> Rows:
    """The last value of each key by topic, in the order of offsets."""
    rows: Rows = {"L": {}, "R": {}}
    for topic, key, value, time, _ in records:
        rows[topic].pop(key, None)
        if value is not None:
            rows[topic][key] = (value, time)
    return rows


def values(rows: dict[str, tuple[str, int]]) -> dict[str, str]:
    return {key: value for key, (value, _) in rows.items()}


def join_of(kind: str, rows: Rows) -> dict[str, tuple[str, int]]:
    """What joins: at the later time of both sides."""
    left, right = rows["L"], rows["R"]
    keys = {"inner": left.keys() & right.keys(), "left": left.keys(), "outer": left.keys() | right.keys()}[
        kind
    ]
    return {
        key: (
            joined(key, *(side[key][0] if key in side else None for side in (left, right))),
            max(side[key][1] for side in (left, right) if key in side),
        )
        for key in keys
    }


@settings(max_examples=60)
@given(
    records=inputs,
    kind=st.sampled_from(list(JOINS)),
    name=st.sampled_from([None, "own"]),
    caching=st.booleans(),
)
def test_a6_7_a_join_is_that_of_the_last_rows(
    records: list[Given], kind: str, name: str | None, *, caching: bool
) -> None:
    def declare(builder: StreamsBuilder) -> None:
        left, right = (builder.table(t, name=t.lower(), value=str, caching=caching) for t in "LR")
        JOINS[kind](left, right, joined, name=name, value=str).to_stream().to("out")

    found, model = table_of(run(declare, records)), join_of(kind, last_rows(records))
    # A deletion on one side gives its time to the row that is left of the other (a1.7).
    assert found == model if kind == "inner" else values(found) == values(model)


def counted(table: KTable[str, str]) -> KTable[str, str]:
    counts = table.group_by(lambda _, value: (value, "1"), name="by-value").count(name="n")
    return counts.map_values(lambda _, count: str(count), value=str)


@settings(max_examples=60)
@given(records=inputs, kind=st.sampled_from([None, *JOINS]), caching=st.booleans())
def test_a6_5_a_count_of_rows_is_that_of_the_rows_there_are(
    records: list[Given], kind: str | None, *, caching: bool
) -> None:
    """Of a filtered table, and of a join: each row that was added is subtracted once."""

    def declare(builder: StreamsBuilder) -> None:
        left, right = (builder.table(t, name=t.lower(), value=str, caching=caching) for t in "LR")
        if kind is None:
            counted(left.filter(lambda _, value: value[0] != "z")).to_stream().to("out")
        else:
            counted(JOINS[kind](left, right, joined, value=str)).to_stream().to("out")

    rows = last_rows(records)
    if kind is None:
        left = Counter(value for value, _ in rows["L"].values() if value[0] != "z")
    else:
        left = Counter(value for value, _ in join_of(kind, rows).values())
    counts = {key: int(value) for key, (value, _) in table_of(run(declare, records)).items()}
    assert {key: count for key, count in counts.items() if count} == left


class Shape(NamedTuple):
    """How one table gets to both sides of a join, by hand and in a topology."""

    rows: Callable[[Rows, str], dict[str, str]]
    table: Callable[[Table, Table, str], Table]


def _large(_key: str, value: str) -> bool:
    return value[1] != "0"


def _kept(rows: dict[str, tuple[str, int]]) -> dict[str, tuple[str, int]]:
    return {key: row for key, row in rows.items() if _large(key, row[0])}


def _join(kind: str, left: dict[str, tuple[str, int]], right: dict[str, tuple[str, int]]) -> dict[str, str]:
    return values(join_of(kind, {"L": left, "R": right}))


def _timed(rows: dict[str, str]) -> dict[str, tuple[str, int]]:
    return {key: (value, 0) for key, value in rows.items()}


SHAPES = {
    "a table with itself": Shape(
        lambda rows, kind: _join(kind, rows["L"], rows["L"]),
        lambda left, right, kind: JOINS[kind](left, left, joined, value=str),
    ),
    "a table with a view of it": Shape(
        lambda rows, kind: _join(kind, rows["L"], _kept(rows["L"])),
        lambda left, right, kind: JOINS[kind](left, left.filter(_large), joined, value=str),
    ),
    "a view and a stored one of a table": Shape(
        lambda rows, kind: _join(kind, _kept(rows["L"]), rows["L"]),
        lambda left, right, kind: JOINS[kind](
            left.filter(_large, name="f"), left.map_values(lambda _, value: value), joined, value=str
        ),
    ),
    "a view and one that tells at once": Shape(
        lambda rows, kind: _join(kind, _kept(rows["L"]), rows["L"]),
        lambda left, right, kind: JOINS[kind](
            left.filter(_large, name="f", caching=False), left, joined, value=str
        ),
    ),
    "a join with one of its tables": Shape(
        lambda rows, kind: _join(kind, _timed(_join(kind, rows["L"], rows["R"])), rows["R"]),
        lambda left, right, kind: JOINS[kind](
            JOINS[kind](left, right, joined, value=str), right, joined, value=str
        ),
    ),
    "a join with what is declared before it": Shape(
        lambda rows, kind: _join(kind, _kept(rows["L"]), _timed(_join(kind, rows["L"], rows["L"]))),
        lambda left, right, kind: JOINS[kind](
            left.filter(_large), JOINS[kind](left, left, joined, value=str), joined, value=str
        ),
    ),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@settings(max_examples=25)
@given(records=inputs, kind=st.sampled_from(list(JOINS)), caching=st.booleans())
def test_a6_7_a_table_on_both_sides_is_subtracted_as_it_was_added(
    shape: Shape, records: list[Given], kind: str, *, caching: bool
) -> None:
    def declare(builder: StreamsBuilder) -> None:
        left, right = (builder.table(t, name=t.lower(), value=str, caching=caching) for t in "LR")
        counted(shape.table(left, right, kind)).to_stream().to("out")

    counts = {key: int(value) for key, (value, _) in table_of(run(declare, records)).items()}
    there = Counter(shape.rows(last_rows(records), kind).values())
    assert {key: count for key, count in counts.items() if count} == there


@settings(max_examples=60)
@given(records=inputs, size=st.integers(1, 20), grace=st.integers(0, 20), caching=st.booleans())
def test_a3_1_final_results_are_those_of_the_closed_windows_each_once(
    records: list[Given], size: int, grace: int, *, caching: bool
) -> None:
    def declare(builder: StreamsBuilder) -> None:
        grouped = builder.stream("L", key=str, value=str).group_by_key()
        counts = grouped.windowed_by(tumbling(ms(size), grace=ms(grace))).count(name="n", caching=caching)
        final = counts.suppress(until_window_closes(), name="final").to_stream()
        final.map_values(lambda _, count: str(count), value=str).to("out")

    records = [record._replace(topic="L") for record in records]
    windows: dict[tuple[str, int], list[int]] = defaultdict(list)
    stream_time = -1
    for _, key, value, time, _ in records:
        if value is None:
            continue
        stream_time = max(stream_time, time)
        start = time - time % size
        if start + size + grace > stream_time:
            windows[key, start].append(time)
    closed = {
        window: (str(len(times)), max(times))
        for window, times in windows.items()
        if window[1] + size + grace <= stream_time
    }
    out = run(declare, records, key=TimeWindowedSerde(STRING, size))
    found = [((r.key.key, r.key.start), (r.value, r.timestamp)) for r in out]
    assert dict(found) == closed
    assert len(found) == len(closed)


@settings(max_examples=60)
@given(records=inputs, at=st.integers(0, 39), size=st.integers(1, 20), caching=st.booleans())
def test_a3_7_a_crash_amid_a_batch_repeats_final_results_and_changes_none(
    records: list[Given], at: int, size: int, *, caching: bool
) -> None:
    bomb, calm = Bomb(), Bomb()

    def declare(builder: StreamsBuilder, trap: Bomb) -> None:
        grouped = builder.stream("L", key=str, value=str).peek(trap).group_by_key()
        windows = grouped.windowed_by(tumbling(ms(size), grace=ms(5)))
        texts = windows.reduce(lambda one, new: one + new, name="n", caching=caching)
        texts.suppress(until_window_closes(), name="final").to_stream().to("out")

    numbered = [
        record._replace(topic="L", value=None if record.value is None else f"{number},")
        for number, record in enumerate(records)
    ]
    bomb.value = f"{at},"
    serde = TimeWindowedSerde(STRING, size)
    crashed = run(lambda builder: declare(builder, bomb), numbered, key=serde, bomb=bomb)
    whole = run(lambda builder: declare(builder, calm), numbered, key=serde)
    assert {(r.key, r.value, r.timestamp) for r in crashed} == {(r.key, r.value, r.timestamp) for r in whole}
    assert len({r.key for r in crashed}) == len(whole)


@pytest.mark.parametrize("kind", ["sliding", "session"])
@settings(max_examples=60)
@given(records=inputs, size=st.integers(1, 20), grace=st.integers(0, 20), caching=st.booleans())
def test_a3_8_final_results_are_final_at_inclusive_ends(
    kind: str, records: list[Given], size: int, grace: int, *, caching: bool
) -> None:
    """Each window goes on once, as the last update of it that goes on without suppress.

    A session that has gone on is a session of its own even if a late record makes a longer one of it.
    """
    windows: Any = {"sliding": sliding, "session": session}[kind](ms(size), grace=ms(grace))

    def declare(builder: StreamsBuilder, *, final: bool) -> None:
        grouped: Any = builder.stream("L", key=str, value=str).group_by_key()
        table = grouped.windowed_by(windows).count(name="n", caching=caching)
        if final:
            table = table.suppress(until_window_closes(), name="final")
        table.to_stream().map_values(lambda _, n: None if n is None else str(n), value=str).to("out")

    records = [record._replace(topic="L") for record in records]
    key = SessionWindowedSerde(STRING) if kind == "session" else TimeWindowedSerde(STRING, size)
    raw = table_of(run(lambda builder: declare(builder, final=False), records, key=key))
    out = run(lambda builder: declare(builder, final=True), records, key=key)
    found = {record.key: (record.value, record.timestamp) for record in out}
    times = [record.time for record in records if record.value is not None]
    closed_until = windows.closed_until(max(times, default=-1))
    assert {window: row for window, row in raw.items() if window.end <= closed_until}.items() <= found.items()
    assert kind == "session" or found.keys() <= raw.keys()
    assert not any(window in raw and window.end > closed_until for window in found)
    assert len(found) == len(out)
