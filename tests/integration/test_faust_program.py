"""A Faust program in a real process: timers, tasks, services, commands and pages beside the engine."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline.testing.brokers import EmbeddedBroker
from tests.integration.faust_process import FaustProcess

PROGRAM = """
from pipeline import faust

app = faust.App("program", autodiscover=["shop.agents", "shop.views"], commit_interval=0.1, store="memory://")
ticks = app.topic("ticks", key_type=str, value_type=int, partitions=2)
counts = app.Table("counts", default=int, help="How often each was told.")
started = []

@app.timer(interval=0.2)
async def tick():
    await ticks.send(key="timer", value=1)

@app.timer(interval=0.1, on_leader=True)
async def tick_as_leader():
    await ticks.send(key="leader", value=1)

@app.crontab("* * * * *", on_leader=True)
async def every_minute():
    pass

@app.task
async def at_start(app):
    started.append("task")
    await ticks.send(key="task", value=10)

@app.service
class Companion(faust.Service):
    async def on_start(self):
        started.append("service")

@app.command()
async def greet():
    "Greet whoever runs it."
    print("hello from a command")
"""

AGENTS = """
from topo import app, counts, ticks

@app.agent(ticks)
async def count(stream):
    "Count what is told."
    async for key, value in stream.items():
        counts[key] += value
"""

VIEWS = """
from faust import web
from topo import app, counts, started, ticks

blueprint = web.Blueprint("shop")

@app.page("/count/{key}/")
@app.table_route(counts, match_info="key")
async def get_count(view, request, key):
    return view.json({"key": key, "count": counts[key], "started": started})

@app.page("/told/")
class Told(web.View):
    async def post(self, request):
        await ticks.send(key=request.query["key"], value=int(request.query["value"]))
        return self.json({"told": True})

@blueprint.route("/", name="all")
class All(web.View):
    async def get(self, request):
        return self.json(dict(counts.items()))

app.web.blueprints.add("/shop", blueprint)
"""


def folder(path: Path) -> Path:
    (path / "shop").mkdir(parents=True)
    (path / "shop" / "__init__.py").write_text("")
    (path / "shop" / "agents.py").write_text(AGENTS)
    (path / "shop" / "views.py").write_text(VIEWS)
    return path


@pytest.mark.embedded
def test_everything_runs_beside_the_engine(tmp_path: Path) -> None:
    with (
        EmbeddedBroker() as broker,
        FaustProcess(
            folder(tmp_path), "worker", "-l", "info", broker=broker.address, topology=PROGRAM
        ) as program,
    ):
        for key, least in (("timer", 3), ("leader", 3), ("task", 10)):
            told = program.wait_for(f"/count/{key}/", partial(_counted, least))
            assert (told["key"], sorted(told["started"])) == (key, ["service", "task"])
        assert program.post("/told/?key=view&value=7") == (200, {"told": True})
        program.wait_for("/count/view/", lambda _, body: _count(body) == 7)
        everything = program.get("/shop/")[1]
        assert everything["task"] == 10
        assert program.terminate() == 0, program.output
    assert "Traceback" not in program.output


def _counted(least: int, _status: int, body: Any) -> bool:
    return _count(body) >= least


def _count(body: Any) -> int:
    return int(body.get("count", 0)) if isinstance(body, dict) else 0


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (("greet",), ("hello from a command",)),
        (("models",), ("name",)),
    ],
)
def test_commands_print(tmp_path: Path, arguments: tuple[str, ...], printed: tuple[str, ...]) -> None:
    with FaustProcess(folder(tmp_path), *arguments, topology=PROGRAM) as command:
        assert command.end() == 0, command.output
    for text in printed:
        assert text in command.output
