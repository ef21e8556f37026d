"""`on_window_close`: once for each window and key, whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest

from pipeline import App, TopologyError
from pipeline.actors.window_table import WindowedTable
from pipeline.agents.stream import AgentStream
from pipeline.errors import UnhandledRecordError
from pipeline.record import WindowRange
from pipeline.testing.driver import TopologyTestDriver
from tests.operators.cluster import Cluster

#: Key, window, value.
Closed = tuple[str, tuple[float, float], Any]


class Windows:
    """An application that counts keys in windows, and writes to `closed` when one closes.

    Args:
        make: gives the table its windows.
        delay_s: how long the function awaits; None: it is not async.
    """

    def __init__(
        self,
        make: Callable[[Any], WindowedTable] = lambda table: table.tumbling(10, expires=5),
        delay_s: float | None = None,
        view: Callable[[WindowedTable], WindowedTable] = lambda table: table,
    ) -> None:
        self.app = App("app")
        closed_topic, failing = self.app.topic("closed", partitions=1), self.app.Table("seen", default=int)

        def written(key: Any, value: Any) -> None:
            failing[key[0]] += 1
            if key[0] == "bad":
                raise ValueError("bad window")
            closed_topic.send_soon(key=key[0], value=[key[0], key[1].start, key[1].end, value])

        async def awaited(key: Any, value: Any) -> None:
            await asyncio.sleep(delay_s or 0)
            written(key, value)

        table = self.app.Table("t", default=int, on_window_close=written if delay_s is None else awaited)
        counts = view(make(table))

        @self.app.agent("in")
        async def agent(stream: AgentStream[Any]) -> None:
            async for key, value in stream.items():
                if value != "look":
                    counts[key.decode()] += 1


def pipe(driver: TopologyTestDriver, records: str) -> None:
    """Pipe records such as `a@3`: a key, and its time in s."""
    topic = driver.input_topic("in", key=bytes)
    for each in records.split():
        key, time = each.split("@")
        look = key.endswith("?")
        topic.pipe(key.rstrip("?").encode(), "look" if look else {}, round(float(time) * 1_000))


def closed(driver: TopologyTestDriver) -> list[Closed]:
    """Return all that was closed so far."""
    return [
        (key, (start, end), value) for key, start, end, value in driver.output_topic("closed").read_values()
    ]


def hopping(table: Any) -> WindowedTable:
    windows: WindowedTable = table.hopping(10, 5, expires=timedelta(seconds=5))
    return windows


FIRST, SECOND, THIRD = (0.0, 10.0), (10.0, 20.0), (20.0, 30.0)


@pytest.mark.parametrize("delay_s", [None, 0, 3])
@pytest.mark.parametrize(
    ("make", "records", "expected"),
    [
        pytest.param(None, "a@3 a@14.999", [], id="open until it has expired"),
        pytest.param(None, "a@3 a@15", [("a", FIRST, 1)], id="by its own key"),
        pytest.param(None, "a@3 b@15", [("a", FIRST, 1)], id="by another key"),
        pytest.param(None, "a@3 b?@15", [("a", FIRST, 1)], id="by a record that changes nothing"),
        pytest.param(None, "a@3 a@12 a@4 b@15", [("a", FIRST, 2)], id="with what came late"),
        pytest.param(
            None, "a@3 b@15 a@4 b@16 b@99", [("a", FIRST, 1), ("b", SECOND, 2)], id="not with what came later"
        ),
        pytest.param(None, "b@1 a@2 c@15", [("a", FIRST, 1), ("b", FIRST, 1)], id="every key"),
        pytest.param(None, "a@3 a@13 a@500", [("a", FIRST, 1), ("a", SECOND, 1)], id="a jump forgets none"),
        pytest.param(
            hopping,
            "a@7 b@30",
            [("a", (0.0, 10.0), 1), ("a", (5.0, 15.0), 1)],
            id="hopping",
        ),
    ],
)
def test_when_a_window_closes(make: Any, records: str, expected: list[Closed], delay_s: float | None) -> None:
    windows = Windows(delay_s=delay_s) if make is None else Windows(make, delay_s)
    with TopologyTestDriver(windows.app) as driver:
        for record in records.split():
            pipe(driver, record)
            for _ in range(4):
                driver.advance_wall_clock(timedelta(seconds=5))
        assert closed(driver) == expected


def test_what_it_is_given() -> None:
    given = []
    app = App("app")
    table = app.Table("t", default=int, on_window_close=lambda *both: given.append(both)).tumbling(
        10, expires=1
    )

    @app.agent("in")
    async def agent(stream: AgentStream[Any]) -> None:
        async for _value in stream:
            table["k"] += 1

    with TopologyTestDriver(app) as driver:
        pipe(driver, "a@12 a@30")
    assert given == [(("k", (10.0, 20.0)), 1)]
    assert isinstance(given[0][0][1], WindowRange)


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("delay_s", [None, 3])
def test_once_across_restarts(crash: bool, delay_s: float | None) -> None:  # noqa: FBT001 - a case
    with TopologyTestDriver(Windows(delay_s=delay_s).app) as driver:
        pipe(driver, "a@3 b@4")
        driver.restart(crash=crash)
        pipe(driver, "c@15")
        driver.advance_wall_clock(timedelta(seconds=3))
        driver.advance_wall_clock(timedelta(seconds=3))
        assert closed(driver) == [("a", FIRST, 1), ("b", FIRST, 1)]
        driver.restart(crash=crash)
        # What is late stays late.
        pipe(driver, "a@5 c@16 c@40")
        driver.advance_wall_clock(timedelta(seconds=3))
        assert closed(driver) == [("a", FIRST, 1), ("b", FIRST, 1), ("c", SECOND, 2)]
        driver.restart(crash=crash)
        assert dict(driver.store("seen").all()) == {"a": 1, "b": 1, "c": 1}


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
def test_one_that_a_crash_interrupts_is_closed_again(guarantee: str) -> None:
    """Its state says once; what it sent comes twice only where results may."""
    cluster = Cluster(
        Windows(delay_s=60).app.topology,
        {"in": 1, "closed": 1},
        processing_guarantee=guarantee,
        agent_drain_ms=0,
    )

    def send(key: str, time_ms: int) -> None:
        producer = cluster.broker.producer("test")
        producer.produce("in", b"{}", key.encode(), 0, time_ms, ())
        producer.flush(0)

    worker = cluster.worker("a")
    send("a", 3_000)
    cluster.run(worker, turns=10)
    send("b", 15_000)
    # While it awaits, it is in flight: nothing is committed, nothing else is taken up.
    cluster.run(worker, turns=5)
    assert cluster.read("closed") == []
    worker.abort()
    heir = cluster.worker("b")
    cluster.run(heir, turns=100, advance_ms=2_000)
    assert cluster.read("closed") == [b"a"]
    (store,) = heir.registry.open("seen").values()
    assert dict(store.all()) == {"a": 1}
    heir.abort()


def test_without_records_where_time_goes_on() -> None:
    with TopologyTestDriver(Windows().app, source_idle_ms=2_000) as driver:
        pipe(driver, "a@3")
        driver.advance_wall_clock(timedelta(seconds=11))
        assert closed(driver) == []
        driver.advance_wall_clock(timedelta(seconds=2))
        assert closed(driver) == [("a", FIRST, 1)]


@pytest.mark.parametrize(
    ("view", "records", "expected"),
    [
        pytest.param(lambda t: t.relative_to_now(), "a@1 b?@999", [], id="now: not by events"),
        pytest.param(
            lambda t: t.relative_to_field(lambda _value: 3.0), "a@1 b?@999", [], id="a field: not by events"
        ),
    ],
)
def test_times_that_are_not_the_events(view: Any, records: str, expected: list[Closed]) -> None:
    with TopologyTestDriver(Windows(view=view).app, clock_ms=0) as driver:
        pipe(driver, records)
        assert closed(driver) == expected


def test_by_the_clock_and_by_a_field() -> None:
    with TopologyTestDriver(Windows(view=lambda t: t.relative_to_now()).app, clock_ms=3_000) as driver:
        pipe(driver, "a@1")
        driver.advance_wall_clock(timedelta(seconds=12))
        pipe(driver, "b?@2")
        assert closed(driver) == [("a", FIRST, 1)]
    fields: Iterable[float] = iter([3.0, 4.0, 15.0])
    with TopologyTestDriver(
        Windows(view=lambda t: t.relative_to_field(lambda _: next(iter(fields)))).app
    ) as driver:
        # A change in the middle of the agent's code closes windows, too.
        pipe(driver, "a@1 a@1 b@1")
        assert closed(driver) == [("a", FIRST, 2)]


def test_what_it_raises_is_a_processing_error() -> None:
    with TopologyTestDriver(Windows().app, dead_letter="dead") as driver:
        pipe(driver, "bad@1 good@2 a@15")
        assert closed(driver) == [("good", FIRST, 1)]
        (letter,) = driver.output_topic("dead").read_all()
        headers = {name: (value or b"").decode() for name, value in letter.headers}
        assert "written" in headers["__streams.errors.message"]
        assert "ValueError: bad window" in headers["__streams.errors.message"]
    with pytest.raises(UnhandledRecordError, match="bad window"), TopologyTestDriver(Windows().app) as driver:
        pipe(driver, "bad@1 a@15")


def test_two_agents_share_the_time_and_the_windows() -> None:
    app, given = App("app"), []

    def note(key: Any, value: Any) -> None:
        given.append((key, value))

    table = app.Table("t", default=int, on_window_close=note).tumbling(10, expires=5)

    @app.agent("in")
    async def first(stream: AgentStream[Any]) -> None:
        async for key in stream.items():
            table[key[0].decode()] += 1

    @app.agent("other")
    async def second(stream: AgentStream[Any]) -> None:
        async for key in stream.items():
            table[key[0].decode()] += 10

    with TopologyTestDriver(app) as driver:
        pipe(driver, "a@3")
        other = driver.input_topic("other", key=bytes)
        other.pipe(b"a", {}, 4_000)
        other.pipe(b"b", {}, 15_000)
        assert given == [(("a", FIRST), 11)]
        pipe(driver, "b@30 a@5")
        assert given[1:] == [(("b", SECOND), 10)]


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda app: app.Table("t", on_window_close=print), "'t' at .* has no windows"),
        (lambda app: app.Table("t", on_window_close=3), "on_window_close= is called: 3 cannot"),
        (lambda app: app.Table("t", on_recover=3), "on_recover= is called: 3 cannot"),
    ],
)
def test_what_is_refused(declare: Callable[[App], Any], message: str) -> None:
    app = App("app")

    def planned() -> None:
        table = declare(app)

        @app.agent("in")
        async def agent(stream: AgentStream[Any]) -> None:
            async for _value in stream:
                table["k"] = 1

        TopologyTestDriver(app).close()

    with pytest.raises(TopologyError, match=message):
        planned()
