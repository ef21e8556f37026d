"""Parameters of Faust's declarations: taken, so anyway, or refused with what to use instead."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faust.agents.agent import Agent as FaustAgent
from faust.app.base import App as FaustApp
from faust.tables.base import Collection

import pipeline
from pipeline import TopologyError, faust
from pipeline.actors.parameters import ANYWAY, INSTEAD
from pipeline.actors.window_table import WindowedTable
from pipeline.testing.driver import TopologyTestDriver

PAGE = Path(__file__).parent.parent.parent / "docs" / "from-faust.md"
#: What takes the parameters that a declaration hands on.
BEHIND: dict[str, Any] = {"agent": FaustAgent.__init__} | dict.fromkeys(
    ("Table", "SetTable", "GlobalTable", "SetGlobalTable"), Collection.__init__
)
#: Names of arguments that are no parameters of their own.
NONE = {"self", "kwargs", "app", "fun"}
#: Taken by `pipeline.faust.App` beside those of `pipeline.App`.
TAKEN = {name: {"window", "key_serializer", "value_serializer"} for name in BEHIND if name != "agent"}


def theirs(declaration: str) -> set[str]:
    found = set(inspect.signature(getattr(FaustApp, declaration)).parameters)
    if declaration in BEHIND:
        found |= set(inspect.signature(BEHIND[declaration]).parameters)
    return found - NONE


def ours(declaration: str) -> set[str]:
    taken = set(inspect.signature(getattr(pipeline.App, declaration)).parameters)
    return taken | TAKEN.get(declaration, set())


@pytest.mark.parametrize("declaration", ANYWAY)
def test_every_parameter_of_faust_is_known(declaration: str) -> None:
    anyway, instead = set(ANYWAY[declaration]), set(INSTEAD[declaration])
    # A table of sets has no default and no windows that close.
    unknown = theirs(declaration) - ours(declaration) - anyway - instead
    assert unknown - {"default", "on_window_close", "topics"} == set()
    assert (anyway | instead) - theirs(declaration) == set()
    assert (anyway | instead) & ours(declaration) == set()


def rows() -> Iterator[tuple[str, str, str]]:
    section = PAGE.read_text().partition("## Parameters")[2].partition("\n## ")[0]
    for line in section.splitlines():
        if line.startswith("| `"):
            declarations, names, verdict = (cell.strip() for cell in line.strip("|").split(" | ")[:3])
            for declaration in re.findall(r"`(\w+)`", declarations):
                for name in re.findall(r"`(\w+)`", names):
                    yield declaration, name, verdict


def test_the_page_lists_them() -> None:
    known = {(where, name, "so anyway") for where, names in ANYWAY.items() for name in names}
    known |= {(where, name, "refused") for where, names in INSTEAD.items() for name in names}
    assert set(rows()) == known


@pytest.mark.parametrize(
    ("declaration", "name"), [(where, name) for where, names in INSTEAD.items() for name in names]
)
def test_what_is_refused_says_what_to_use(declaration: str, name: str) -> None:
    app = faust.App("parameters")
    arguments = ("t",) if declaration != "channel" else ()
    with pytest.raises(
        TopologyError, match=rf"app\.{declaration} at .*test_parameters.*{name}= is not available"
    ):
        getattr(app, declaration)(*arguments, **{name: lambda: None})


@pytest.mark.parametrize(
    ("declaration", "name"), [(where, name) for where, names in ANYWAY.items() for name in names]
)
def test_what_is_so_anyway_is_taken(declaration: str, name: str) -> None:
    app = faust.App("parameters")
    arguments = ("t",) if declaration != "channel" else ()
    assert getattr(app, declaration)(*arguments, **{name: 1}) is not None


def test_a_parameter_that_is_not_wished_for_is_none() -> None:
    assert not faust.App("parameters").Table("t", is_global=False, options=None).is_global


@pytest.mark.parametrize(
    "declaration", ["topic", "agent", "Table", "SetTable", "GlobalTable", "SetGlobalTable"]
)
def test_a_parameter_of_neither_is_an_error(declaration: str) -> None:
    with pytest.raises(TypeError, match="defualt"):
        getattr(faust.App("parameters"), declaration)("t", defualt=int)


WINDOWS = {
    "tumbling": lambda app: app.Table("t", default=int, window=faust.TumblingWindow(10, expires=5)),
    "hopping": lambda app: app.Table("t", default=int, window=faust.HoppingWindow(10, 5, expires=5)),
    "using tumbling": lambda app: app.Table("t", default=int).using_window(faust.TumblingWindow(10)),
    "using hopping": lambda app: app.Table("t", default=int).using_window(
        faust.HoppingWindow(10, 5), key_index=True
    ),
    "in a row": lambda app: app.Table("t", default=int).tumbling(10, 5, key_index=True),
}


@pytest.mark.parametrize("declare", WINDOWS.values(), ids=WINDOWS)
def test_windows_as_objects(declare: Any) -> None:
    app = faust.App("parameters")
    table = declare(app)
    assert isinstance(table, WindowedTable)

    @app.agent("in")
    async def count(stream: Any) -> None:
        async for _ in stream:
            table["k"] += 1

    with TopologyTestDriver(app) as driver:
        for time in (1_000, 7_000, 11_000):
            driver.input_topic("in").pipe("k", 1, time)
        found = {window.start: value for window, value in driver.store("t").all()}
    hopping = {0: 2, 5_000: 2, 10_000: 1}
    assert found == ({0: 2, 10_000: 1} if table.windows.advance_ms == 10_000 else hopping)


@pytest.mark.parametrize("declare", ["Table", "GlobalTable", "SetTable", "SetGlobalTable"])
def test_windows_that_there_are_not(declare: str) -> None:
    app = faust.App("parameters")
    with pytest.raises(TopologyError, match=r"tumbling and hopping windows, not .*Sliding"):
        getattr(app, declare)("t", window=faust.SlidingWindow(1, 1, 1))


def test_serializers_of_tables() -> None:
    app = faust.App("parameters")
    table = app.Table("t", key_serializer="text", value_serializer="raw")
    assert (table.spec.key.name, table.spec.value.name) == ("string", "bytes")
    typed = app.Table("u", key_type=int, key_serializer="json")
    assert typed.spec.key.name == "json:int"


async def _send(_: Any) -> None:
    """Stand for a view."""


def test_the_old_name_of_a_routes_parameter() -> None:
    app = faust.App("parameters")
    table = app.Table("t")
    assert app.table_route(table, "key")(_send) is not None
    assert app.table_route(table, shard_param="key")(_send) is not None
