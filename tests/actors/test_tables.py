"""Tables as dictionaries: what agents read and write, where they are found, and what others see."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import faust
import pytest

from pipeline import App, StreamsError, TopologyError
from pipeline.agents.stream import AgentStream
from pipeline.errors import OutsideAgentError, ProcessingError, UnhandledRecordError
from pipeline.testing.driver import TopologyTestDriver


@contextmanager
def run(app: App, *values: Any) -> Iterator[TopologyTestDriver]:
    """Pipe values under the key `k`."""
    with TopologyTestDriver(app) as driver:
        topic = driver.input_topic("in", key=str, value=dict)
        for number, value in enumerate(values):
            topic.pipe("k", value, number)
        yield driver


def rows(driver: TopologyTestDriver, name: str = "t", partition: int = 0) -> dict[Any, Any]:
    return dict(driver.store(name, partition).all())


Use = Callable[[Any, Any], Any]

#: What an agent does with a table that holds a=1 and b=2, and what it then has and was told.
USES: dict[str, tuple[Use, dict[str, int], Any]] = {
    "get item": (lambda t, _: t["a"], {"a": 1, "b": 2}, 1),
    "get what is not there": (lambda t, _: t["c"], {"a": 1, "b": 2}, 0),
    "get": (lambda t, _: t.get("c"), {"a": 1, "b": 2}, None),
    "get with a default": (lambda t, _: t.get("c", 7), {"a": 1, "b": 2}, 7),
    "in": (lambda t, _: ["a" in t, "c" in t], {"a": 1, "b": 2}, [True, False]),
    "set": (lambda t, v: t.__setitem__("c", v), {"a": 1, "b": 2, "c": 9}, None),
    "delete": (lambda t, _: t.__delitem__("a"), {"b": 2}, None),
    "pop": (lambda t, _: t.pop("a"), {"b": 2}, 1),
    "pop what is not there": (lambda t, _: t.pop("c", 5), {"a": 1, "b": 2}, 5),
    "popitem": (lambda t, _: list(t.popitem()), {"b": 2}, ["a", 1]),
    "update": (lambda t, _: t.update({"b": 3}, c=4), {"a": 1, "b": 3, "c": 4}, None),
    "setdefault": (lambda t, _: t.setdefault("c", 4), {"a": 1, "b": 2, "c": 4}, 4),
    "setdefault of what is there": (lambda t, _: t.setdefault("a", 4), {"a": 1, "b": 2}, 1),
    "setdefault by the table": (lambda t, _: t.setdefault("c"), {"a": 1, "b": 2, "c": 0}, 0),
    "keys": (lambda t, _: list(t), {"a": 1, "b": 2}, ["a", "b"]),
    "values": (lambda t, _: list(t.values()), {"a": 1, "b": 2}, [1, 2]),
    "items": (lambda t, _: dict(t.items()), {"a": 1, "b": 2}, {"a": 1, "b": 2}),
    "len of items": (lambda t, _: len(t.items()), {"a": 1, "b": 2}, 2),
    "len": (lambda t, _: len(t), {"a": 1, "b": 2}, 2),
    "clear": (lambda t, _: t.clear(), {}, None),
}


@pytest.mark.parametrize(("use", "left", "told"), USES.values(), ids=USES)
def test_it_is_a_dictionary(use: Use, left: dict[str, int], told: Any) -> None:
    app = App("tables")
    table = app.Table("t", default=int)

    @app.agent("in", sink=["out"])
    async def agent(stream: AgentStream[int]) -> Any:
        async for value in stream:
            if value == 0:
                table["a"], table["b"] = 1, 2
            else:
                yield use(table, value)

    driver = TopologyTestDriver(app)
    with driver:
        topic = driver.input_topic("in", key=str, value=dict)
        topic.pipe("k", 0, 0)
        topic.pipe("k", 9, 1)
        assert rows(driver) == left
        assert driver.output_topic("out").read_values() == [told]
        driver.restart(crash=True)
        assert rows(driver) == left


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (lambda t: t["c"], "KeyError: 'c'"),
        (lambda t: t.pop("c"), "KeyError: 'c'"),
        (lambda t: t.__delitem__("c"), "KeyError: 'c'"),
        (lambda t: t.__setitem__("c", None), "None is no value"),
    ],
)
def test_what_cannot_be_done(use: Callable[[Any], Any], error: str) -> None:
    app = App("tables")
    table = app.Table("t")

    @app.agent("in")
    async def agent(stream: AgentStream[int]) -> None:
        async for _value in stream:
            use(table)

    with pytest.raises(StreamsError, match=error), TopologyTestDriver(app) as driver:
        driver.input_topic("in", key=str, value=dict).pipe("k", 1, 0)


@pytest.mark.parametrize("key", ["a", "", "\x00", "é", 1, -7, 1.5, True, ("a", 1), b"\xff", b""], ids=repr)
def test_keys_of_any_type(key: Any) -> None:
    app = App("tables")
    table = app.Table("t", default=int)

    @app.agent("in")
    async def agent(stream: AgentStream[int]) -> None:
        async for value in stream:
            table[key] += value

    with run(app, 1, 2) as driver:
        ((found, value),) = driver.store("t").all()
        assert (found, type(found), value) == (key, type(key), 3)


class Account(faust.Record):
    owner: str
    balance: int = 0


def test_values_of_a_models_type() -> None:
    app = App("tables")
    table = app.Table("t", default=lambda: Account("nobody"), key_type=int, value_type=Account)

    @app.agent("in")
    async def agent(stream: AgentStream[int]) -> None:
        async for value in stream:
            account = table[7]
            table[7] = Account("me", account.balance + value)

    with run(app, 1, 2) as driver:
        assert rows(driver) == {7: Account("me", 3)}
        assert driver.output_topic("tables-t-changelog", key=bytes, value=bytes).read_all()[-1].key == b"7"


# Which tables an agent uses


def test_tables_are_found_in_what_the_code_names() -> None:
    app = App("tables")
    named, called, closed = (app.Table(name, default=int) for name in ("named", "called", "closed"))

    def helper() -> None:
        called["k"] += 1

    def outer() -> Callable[[], None]:
        def inner() -> None:
            closed["k"] += 1

        return inner

    inside = outer()

    @app.agent("in")
    async def agent(stream: AgentStream[int]) -> None:
        async for _value in stream:
            named["k"] += 1
            helper()
            inside()

    with run(app, 1) as driver:
        assert [rows(driver, name) for name in ("named", "called", "closed")] == 3 * [{"k": 1}]


@pytest.mark.parametrize("declared", [True, False])
def test_what_code_does_not_show_is_declared(declared: bool) -> None:  # noqa: FBT001 - both are meant
    app = App("tables")
    hidden = {"t": app.Table("t", default=int)}

    @app.agent("in", tables=hidden.values() if declared else ())
    async def agent(stream: AgentStream[int]) -> None:
        async for _value in stream:
            hidden["t"]["k"] += 1

    if declared:
        with run(app, 1) as driver:
            assert rows(driver) == {"k": 1}
        return
    with pytest.raises(TopologyError, match=r"agent .* uses table 't'.*tables=\["), run(app, 1):
        pass


def test_agents_that_share_a_table_run_in_one_task() -> None:
    app = App("tables")
    table = app.Table("t", default=int)

    @app.agent("in")
    async def one(stream: AgentStream[int]) -> None:
        async for key, value in stream.items():
            table[key.decode()] += value

    @app.agent("other")
    async def other(stream: AgentStream[int]) -> None:
        async for key, value in stream.items():
            table[key.decode()] -= value

    assert len(app.plan.subtopologies) == 1
    with TopologyTestDriver(app, partitions=3) as driver:
        for topic, key, value in (("in", "a", 5), ("other", "a", 2), ("in", "b", 1)):
            driver.input_topic(topic, key=str, value=dict).pipe(key, value, 0)
        found = {key: value for number in range(3) for key, value in rows(driver, partition=number).items()}
        assert found == {"a": 3, "b": 1}


def test_a_name_is_used_once() -> None:
    app = App("tables")
    app.Table("t")
    with pytest.raises(TopologyError, match="table name 't' is used twice"):
        app.Table("t")
    app.stream("in", key=str).group_by_key().count(name="u")
    table = app.Table("u", default=int)

    @app.agent("other")
    async def agent(stream: AgentStream[int]) -> None:
        async for _value in stream:
            table["k"] += 1

    with pytest.raises(TopologyError, match="store name 'u' is used twice"):
        _ = app.plan


# Outside of agents


def test_outside_of_agents_it_cannot_be_changed() -> None:
    app = App("tables")
    table = app.Table("t", default=int)
    with pytest.raises(OutsideAgentError, match="table 't' works in the code of an agent alone"):
        table["k"] = 1
    with pytest.raises(OutsideAgentError, match="no worker runs"):
        table["k"]


def test_nor_in_a_task_that_an_agent_starts() -> None:
    app = App("tables")
    table = app.Table("t", default=int)

    async def change() -> None:
        table["k"] = 1

    @app.agent("in")
    async def agent(stream: AgentStream[int]) -> None:
        async for _value in stream:
            await asyncio.create_task(change())

    with (
        pytest.raises(UnhandledRecordError, match="works in the code of an agent alone") as raised,
        run(app, 1),
    ):
        pass
    assert isinstance(raised.value.__cause__, ProcessingError)


def test_after_an_await_it_is_the_same_table() -> None:
    app = App("tables")
    table = app.Table("t", default=int)

    @app.agent("in", concurrency=2)
    async def agent(stream: AgentStream[int]) -> None:
        async for key, value in stream.items():
            before = table[key.decode()]
            await asyncio.sleep(0)
            table[key.decode()] = before + value

    with run(app, 1, 2, 3) as driver:
        assert rows(driver) == {"k": 6}
