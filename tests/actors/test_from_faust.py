"""docs/from-faust.md lists every public name of Faust's objects, and says what is true of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.agents.agent import Agent as FaustAgent
from faust.app.base import App as FaustApp
from faust.channels import Channel as FaustChannel
from faust.events import Event as FaustEvent
from faust.streams import Stream as FaustStream
from faust.tables.table import Table as FaustTable
from faust.topics import Topic as FaustTopic
from mode import Service

from pipeline import App, TopologyError
from pipeline.agents.stream import AgentStream, Event

PAGE = Path(__file__).parent.parent.parent / "docs" / "from-faust.md"
THEIRS: dict[str, type] = {
    "App": FaustApp,
    "Stream": FaustStream,
    "Agent": FaustAgent,
    "Table": FaustTable,
    "Topic": FaustTopic,
    "Channel": FaustChannel,
    "Event": FaustEvent,
}
VERDICTS = {"same", "better", "refused", "inside"}
#: What `mode.Service` has, too, and Faust gives another meaning.
OF_THE_APP = {"task", "timer", "crontab", "service"}
#: There in another way: the text says which.
ANOTHER_MEANING = {("App", "stream"), ("Table", "on_window_close")}


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Yield object, name, verdict and text."""
    section = ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            section = line[3:]
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| `") and section in THEIRS:
            for name in re.findall(r"`(\w+)`", cells[0]):
                yield section, name, cells[1], cells[2].strip(" |") if len(cells) > 2 else ""


ROWS = list(rows())


def public(kind: type) -> set[str]:
    names = {name for name in dir(kind) if not name.startswith("_")} - set(dir(Service))
    return names | (OF_THE_APP & set(dir(kind)) if kind is FaustApp else set())


@pytest.mark.parametrize("section", THEIRS)
def test_every_public_name_is_listed_once(section: str) -> None:
    listed = [name for where, name, _, _ in ROWS if where == section]
    assert sorted(listed) == sorted(set(listed))
    assert public(THEIRS[section]) - set(listed) == set()
    assert set(listed) - public(THEIRS[section]) == set()


def objects() -> dict[str, Any]:
    app = App("listed")

    @app.agent("in")
    async def agent(stream: Any) -> None:
        async for _ in stream:
            pass

    event = Event("k", 1, 0, (), None)
    table = app.Table("t")
    return {
        "App": app,
        "Stream": AgentStream(),
        "Agent": agent,
        "Table": table,
        "Topic": agent.topic,
        "Event": event,
        "Channel": app.channel(),
    }


@pytest.mark.parametrize(("section", "name", "verdict", "text"), ROWS, ids=lambda each: each[:20])
def test_what_is_said_is_so(section: str, name: str, verdict: str, text: str) -> None:
    assert verdict in VERDICTS
    assert text or verdict not in {"better", "inside"}
    if (section, name) in ANOTHER_MEANING:
        return
    thing = objects()[section]
    if verdict != "refused":
        assert hasattr(type(thing), name) or name in vars(thing) or name == "message"
        return
    with pytest.raises(TopologyError, match="is not available"):
        use(getattr(thing, name))


def use(thing: Any) -> None:
    """Use what was refused only when it is used."""
    getattr(thing, "connect", thing)("x")


def test_a_name_that_faust_does_not_have_is_missing_as_ever() -> None:
    for section, thing in objects().items():
        with pytest.raises(AttributeError):
            thing.no_such_name  # noqa: B018 - reading it is the test
        assert not hasattr(thing, "no_such_name"), section


def test_the_names_are_those_of_the_version_that_is_installed() -> None:
    assert faust.__version__.startswith("0.15.")
