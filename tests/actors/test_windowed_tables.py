"""Tables with windows: which windows a change and a look at them mean."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import faust
import pytest

from pipeline import App, TopologyError
from pipeline.actors.window_table import WindowedTable
from pipeline.agents.stream import AgentStream
from pipeline.errors import OutsideAgentError
from pipeline.testing.driver import TopologyTestDriver

START = 1_000_000


class Visit(faust.Record):
    at: float


def looked(
    make: Callable[[Any], WindowedTable], look: Callable[[WindowedTable, Any], Any], *times: int
) -> list[Any]:
    """Add one at each time (s after START), look after each, and return what was seen."""
    app, seen = App("app"), []
    table = make(app.Table("t", default=int))

    @app.agent("in")
    async def agent(stream: AgentStream[Any]) -> None:
        async for event in stream.events():
            table["k"] += 1
            seen.append(look(table, event))

    with TopologyTestDriver(app, clock_ms=(START + 100) * 1_000) as driver:
        topic = driver.input_topic("in")
        for time in times:
            topic.pipe("x", {"at": START + time}, (START + time) * 1_000)
    return seen


def tumbling(table: Any) -> WindowedTable:
    windows: WindowedTable = table.tumbling(10)
    return windows


def hopping(table: Any) -> WindowedTable:
    windows: WindowedTable = table.hopping(timedelta(seconds=10), 5)
    return windows


@pytest.mark.parametrize(
    ("make", "look", "times", "seen"),
    [
        pytest.param(tumbling, lambda t, _: t["k"].current(), (0, 9, 10, 3), [1, 2, 1, 3], id="current"),
        pytest.param(tumbling, lambda t, _: t["k"].value(), (0, 9, 10, 3), [1, 2, 1, 3], id="value"),
        pytest.param(tumbling, lambda t, _: t["k"].delta(10), (0, 9, 10, 21), [0, 0, 2, 1], id="delta"),
        pytest.param(
            tumbling, lambda t, _: t["k"].delta(timedelta(seconds=10)), (0, 10), [0, 1], id="delta, timedelta"
        ),
        pytest.param(tumbling, lambda t, _: t["k"].now(), (0, 100, 105), [0, 1, 2], id="now"),
        pytest.param(tumbling, lambda t, _: "k" in t, (0,), [True], id="in"),
        pytest.param(tumbling, lambda t, _: "x" in t, (0,), [False], id="not in"),
        pytest.param(tumbling, lambda t, _: list(t), (0, 10), [["k"], ["k"]], id="keys"),
        pytest.param(
            tumbling, lambda t, _: dict(t.items()), (0, 9, 10), [{"k": 1}, {"k": 2}, {"k": 1}], id="items"
        ),
        pytest.param(
            hopping, lambda t, _: t["k"].current(), (0, 4, 5, 9, 10), [1, 2, 1, 2, 1], id="the last one"
        ),
        pytest.param(hopping, lambda t, _: t["k"].delta(5), (0, 4, 5), [1, 2, 3], id="the one before"),
    ],
)
def test_what_is_seen(make: Any, look: Any, times: tuple[int, ...], seen: list[Any]) -> None:
    assert looked(make, look, *times) == seen


def stored(use: Callable[[WindowedTable], None], *times: int, relative: str = "stream") -> dict[Any, Any]:
    """What `use` leaves in the store, by start (s after START)."""
    app = App("app")
    table = app.Table("t", default=int).tumbling(10, expires=20)
    relatives: dict[str, Callable[[], WindowedTable]] = {
        "stream": table.relative_to_stream,
        "now": table.relative_to_now,
        "field": lambda: table.relative_to_field(Visit.at),
        "function": lambda: table.relative_to_field(lambda visit: datetime.fromtimestamp(visit.at, UTC)),
        "text": lambda: table.relative_to_field(
            lambda visit: datetime.fromtimestamp(visit.at, UTC).isoformat()
        ),
    }
    table = relatives[relative]()

    @app.agent(app.topic("in", value_type=Visit))
    async def agent(stream: AgentStream[Any]) -> None:
        async for _value in stream:
            use(table)

    with TopologyTestDriver(app, clock_ms=(START + 100) * 1_000) as driver:
        topic = driver.input_topic("in")
        for time in times:
            topic.pipe("x", {"at": START + time + 50}, (START + time) * 1_000)
        return {window.start // 1_000 - START: value for window, value in driver.store("t").all()}


def add(table: WindowedTable) -> None:
    table["k"] += 1


def assign(table: WindowedTable) -> None:
    table["k"] = 7


def delete(table: WindowedTable) -> None:
    table["k"] = 7
    del table["k"]


def arithmetic(table: WindowedTable) -> None:
    windows = table["k"]
    windows += 7
    windows *= 4
    windows -= 1
    windows //= 2
    windows %= 8
    windows **= 2
    windows |= 3
    windows &= 6
    windows ^= 1


@pytest.mark.parametrize(
    ("use", "relative", "left"),
    [
        (add, "stream", {0: 2, 10: 1}),
        (assign, "stream", {0: 7, 10: 7}),
        (delete, "stream", {}),
        (add, "now", {100: 3}),
        (add, "field", {50: 2, 60: 1}),
        (add, "function", {50: 2, 60: 1}),
        (add, "text", {50: 2, 60: 1}),
    ],
)
def test_what_is_changed(use: Any, relative: str, left: dict[int, int]) -> None:
    assert stored(use, 0, 5, 12, relative=relative) == left


def test_every_operation_in_place() -> None:
    windows = ((7 * 4 - 1) // 2 % 8) ** 2
    assert stored(arithmetic, 0) == {0: ((windows | 3) & 6) ^ 1}


def test_what_has_expired_is_not_changed() -> None:
    """Size 10, and 20 more: a window that began 30 before stream time is closed."""
    assert stored(add, 0, 29, 5, 30, 5) == {20: 1, 30: 1}
    assert stored(add, 0, 29, 5) == {0: 2, 20: 1}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda table: table.tumbling(0), "size"),
        (lambda table: table.hopping(10, 20), "advance|step"),
        (lambda table: table.tumbling("10"), "size"),
        (lambda table: (table.tumbling(10), table.tumbling(20)), "has other windows already"),
    ],
)
def test_windows_that_cannot_be(make: Any, message: str) -> None:
    with pytest.raises(TopologyError, match=rf"table 't' at .*{message}"):
        make(App("app").Table("t"))


def test_outside_of_agents_there_is_no_event() -> None:
    table = App("app").Table("t").tumbling(10)
    with pytest.raises(OutsideAgentError, match="no event in hand"):
        table["k"].current()
    with pytest.raises(OutsideAgentError, match="works in the code of an agent alone"):
        table.relative_to_now()["k"] = 1


def test_names_of_fausts_say_what_to_use() -> None:
    table = App("app").Table("t").tumbling(10)
    assert table.on_recover(print) is print
    assert table.table.recover_callbacks == [print]
    with pytest.raises(
        TopologyError, match=r"WindowedTable\.relative_to is not available: call relative_to_now"
    ):
        table.relative_to  # noqa: B018 - reading it is the test


def test_the_table_itself_is_refused_where_it_has_windows() -> None:
    """Before anything runs, not at the first event."""
    app = App("app")
    table = app.Table("t", default=int)

    @app.agent("in")
    async def agent(stream: AgentStream[Any]) -> None:
        async for value in stream:
            table[value] += 1

    table.tumbling(10)
    with pytest.raises(TopologyError, match=r"agent \(tests.*<Table: t .*use what that returned"):
        TopologyTestDriver(app)


def test_an_agent_may_ask_the_table_for_its_windows() -> None:
    app, seen = App("app"), []
    table = app.Table("t", default=int)
    table.tumbling(10)

    @app.agent("in")
    async def agent(stream: AgentStream[Any]) -> None:
        async for value in stream:
            windows = table.tumbling(10)
            windows[value] += 1
            seen.append(windows[value].current())

    with TopologyTestDriver(app) as driver:
        for time in (0, 1):
            driver.input_topic("in").pipe("x", "k", time)
    assert seen == [1, 2]
