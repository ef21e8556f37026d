"""Tables of sets: what can be done with a set, what is put, and what others see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import faust
import pytest

from pipeline import App, TopologyError
from pipeline.actors.set_table import SetTable, TableSet
from pipeline.agents.stream import AgentStream
from pipeline.errors import ProcessingError, UnhandledRecordError
from pipeline.testing.driver import TopologyTestDriver


def told(use: Callable[[Any], Any], **options: Any) -> tuple[dict[Any, Any], Any]:
    """Let an agent use a table that holds {1, 2} under a; return what is left, and what it was told."""
    app = App("sets")
    table = app.SetTable("t", **options)

    @app.agent("in", sink=["out"])
    async def agent(stream: AgentStream[Any]) -> Any:
        async for value in stream:
            if value == "begin":
                table["a"] = [1, 2]
            else:
                found = use(table)
                yield list(found) if isinstance(found, TableSet) else found

    with TopologyTestDriver(app) as driver:
        for value in ("begin", "use"):
            driver.input_topic("in").pipe("k", value, 0)
        (answer,) = driver.output_topic("out").read_values()
        driver.restart(crash=True)
        return dict(driver.store("t").all()), answer


def in_place(table: Any) -> None:
    table["a"] |= {3, 4}
    table["a"] &= {2, 3, 4}
    table["a"] -= {4}
    table["a"] ^= {3, 5}


@pytest.mark.parametrize(
    ("use", "left", "answer"),
    [
        (lambda t: t["a"].add(3), [1, 2, 3], None),
        (lambda t: t["a"].add(2), [1, 2], None),
        (lambda t: {2, 3} | t["a"], [1, 2], [1, 2, 3]),
        (lambda t: {2, 3} & t["a"], [1, 2], [2]),
        (lambda t: {2, 3} - t["a"], [1, 2], [3]),
        (lambda t: {2, 3} ^ t["a"], [1, 2], [1, 3]),
        (lambda t: t["a"].copy(), [1, 2], [1, 2]),
        (lambda t: t["a"].discard(2), [1], None),
        (lambda t: t["a"].discard(7), [1, 2], None),
        (lambda t: t["a"].remove(1), [2], None),
        (lambda t: t["a"].update([3, 4], (1, 5)), [1, 2, 3, 4, 5], None),
        (lambda t: t["a"].update(t["a"]), [1, 2], None),
        (lambda t: t["a"].difference_update([2], [7]), [1], None),
        (lambda t: t["a"].intersection_update([2, 7]), [2], None),
        (lambda t: t["a"].symmetric_difference_update([2, 7]), [1, 7], None),
        (lambda t: t["a"].pop(), [2], 1),
        (lambda t: t["a"].clear(), None, None),
        (lambda t: t.pop("a"), None, [1, 2]),
        (lambda t: t.pop("b", 7), [1, 2], 7),
        (lambda t: t.__delitem__("a"), None, None),
        (lambda t: t.__setitem__("a", {7, 8}), [7, 8], None),
        (lambda t: t.setdefault("a", [3]), [1, 2], [1, 2]),
        (lambda t: t.get("b"), [1, 2], None),
        (lambda t: t.get("a"), [1, 2], [1, 2]),
        (
            lambda t: [1 in t["a"], 7 in t["a"], "1" in t["a"], 1 in t["b"]],
            [1, 2],
            [True, False, False, False],
        ),
        (lambda t: ["a" in t, "b" in t, len(t), len(t["a"]), len(t["b"])], [1, 2], [True, False, 1, 2, 0]),
        (lambda t: t["a"], [1, 2], [1, 2]),
        (lambda t: [[key, list(values)] for key, values in t.items()], [1, 2], [["a", [1, 2]]]),
        (lambda t: [list(values) for values in t.values()], [1, 2], [[1, 2]]),
        (lambda t: t["a"] | [3], [1, 2], [1, 2, 3]),
        (lambda t: t["a"] & [2, 3], [1, 2], [2]),
        (lambda t: t["a"] - [2, 3], [1, 2], [1]),
        (lambda t: t["a"] ^ [2, 3], [1, 2], [1, 3]),
        (
            lambda t: [t["a"] == {1, 2}, t["a"] == {1}, t["a"] == 7, t["a"] != {1}],
            [1, 2],
            [True, False, False, True],
        ),
        (lambda t: [t["a"] <= {1, 2}, t["a"] < {1, 2}, t["a"] < {1, 2, 3}], [1, 2], [True, False, True]),
        (lambda t: [t["a"] >= {1, 2}, t["a"] > {1, 2}, t["a"] > {1}], [1, 2], [True, False, True]),
        (lambda t: [t["a"].isdisjoint({3}), t["a"].isdisjoint({1, 3})], [1, 2], [True, False]),
        (lambda t: repr(t["a"]), [1, 2], "{1, 2}"),
        (in_place, [2, 5], None),
    ],
)
def test_it_is_a_set(use: Callable[[Any], Any], left: list[int] | None, answer: Any) -> None:
    assert told(use) == ({} if left is None else {"a": left}, answer)


VALUES: list[Any] = ["text", "é", "", 1, -1, 1.5, True, False, None, [], [1, [2]], {}, {"a": [2], "b": 1}]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_of_any_json_type(value: Any) -> None:
    def use(table: Any) -> Any:
        table["k"].add(value)
        table["k"].update(VALUES)
        table["k"].add(value)
        return [value in table["k"], len(table["k"])]

    left, answer = told(use)
    assert answer == [True, len(VALUES)]
    assert sorted(map(repr, left["k"])) == sorted(map(repr, VALUES))


def test_the_order_in_which_values_were_added_is_not_kept() -> None:
    """So what is logged is the same on every worker."""
    orders = [told(lambda t: t["k"].update([3, 1]))[0]["k"], told(lambda t: t["k"].update([1, 3]))[0]["k"]]
    assert orders[0] == orders[1] == [1, 3]


def test_typed_values() -> None:
    left, _ = told(lambda t: t["k"].add((1, "x")), value_type=tuple[int, str] | int)
    assert left == {"a": [1, 2], "k": [(1, "x")]}


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (lambda t: t["a"].remove(7), "KeyError: 7"),
        (lambda t: t["b"].pop(), "KeyError: 'b'"),
        (lambda t: t["a"].add(object()), "TypeError: .*Encoding objects of type object"),
    ],
)
def test_what_cannot_be_done(use: Callable[[Any], Any], error: str) -> None:
    with pytest.raises((UnhandledRecordError, ProcessingError), match=error):
        told(use)


class Account(faust.Record):
    name: str


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda app: app.SetTable("t", value_type=Account), "'t' at .*msgspec reads"),
        (lambda app: app.SetTable("t").tumbling(10), "has no windows"),
        (lambda app: [app.SetTable("t"), app.Table("t")], "used twice"),
        (lambda app: app.SetTable("a/b"), "name"),
    ],
)
def test_what_is_refused(declare: Callable[[App], Any], message: str) -> None:
    with pytest.raises(TopologyError, match=message):
        declare(App("sets"))


def test_it_is_found_in_the_code_of_agents() -> None:
    app = App("sets")
    assert isinstance(app.SetTable("t"), SetTable)
    assert list(app.tables_declared) == ["t"]
