"""A Faust program in a real process: timers, tasks, services, commands and pages beside the engine."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline.testing.brokers import ApacheKafka, EmbeddedBroker
from tests.integration.faust_process import FaustProcess

PROGRAM = """
from pipeline import faust

app = faust.App("program", autodiscover=["shop.agents", "shop.views"],
    commit_interval=0.1, store="memory://", version=2)
ticks = app.topic("ticks", key_type=str, value_type=int, partitions=2)
counts = app.Table("counts", default=int, help="How often each was told.")
last = app.GlobalTable("last", default=int, help="What was told last, of every key.")
started = []

class Told(faust.Record):
    "What is told."
    key: str

@app.timer(interval=0.2)
async def tick():
    await ticks.send(key="timer", value=1)

@app.timer(interval=0.1, on_leader=True)
async def tick_as_leader():
    await ticks.send(key="leader", value=1)

@app.crontab("* * * * *", on_leader=True)
async def every_minute():
    pass

doorbell = app.channel()

@app.timer(0.2)
async def ring():
    await doorbell.send(key="doorbell", value=1)

@app.agent(doorbell, sink=[])
async def open_door(rings):
    async for key, value in rings.items():
        await ticks.send(key=key, value=value)

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
from topo import app, counts, last, ticks

@app.agent(ticks)
async def count(stream):
    "Count what is told."
    async for key, value in stream.items():
        counts[key] += value
        last[key] = value

@app.agent(app.topic("halves", value_type=int, partitions=1))
async def double(stream):
    async for value in stream:
        yield value * 2
"""

VIEWS = """
from faust import web
from shop.agents import double
from topo import app, counts, last, started, ticks

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

@app.page("/last/")
async def get_last(view, request):
    return view.json(dict(last.items()))

@app.page("/doubled/")
async def doubled(view, request):
    return view.json(await double.ask(int(request.query["value"])))

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
        for key, least in (("timer", 3), ("leader", 3), ("task", 10), ("doorbell", 2)):
            told = program.wait_for(f"/count/{key}/", partial(_counted, least))
            assert (told["key"], sorted(told["started"])) == (key, ["service", "task"])
        program.wait_for("/doubled/?value=21", lambda status, body: (status, body) == (200, 42))
        assert program.post("/told/?key=view&value=7") == (200, {"told": True})
        program.wait_for("/count/view/", lambda _, body: _count(body) == 7)
        for arguments, code, said in (
            (("send", "@count", "5", "-k", "cli", "--repeat", "2"), 0, "written to ticks: key='cli' value=5"),
            (("reset",), 1, "Error: another worker uses the data folder"),
        ):
            with FaustProcess(tmp_path, *arguments, broker=broker.address, topology=PROGRAM) as command:
                assert command.end() == code, command.output
                assert said in command.output
        program.wait_for("/count/cli/", lambda _, body: _count(body) == 10)
        everything = program.get("/shop/")[1]
        assert everything["task"] == 10
        expected = {"timer": 1, "leader": 1, "task": 10, "doorbell": 1, "view": 7, "cli": 5}
        program.wait_for("/last/", lambda _, body: body == expected)
        assert program.terminate() == 0, program.output
    assert "Traceback" not in program.output
    assert "Warning" not in program.output
    with FaustProcess(tmp_path, "reset", topology=PROGRAM) as command:
        assert command.end() == 0
        assert " stores removed" in command.output


def _counted(least: int, _status: int, body: Any) -> bool:
    return _count(body) >= least


def _count(body: Any) -> int:
    return int(body.get("count", 0)) if isinstance(body, dict) else 0


@pytest.mark.parametrize(
    ("arguments", "code", "printed"),
    [
        (("greet",), 0, ("hello from a command",)),
        (("agents",), 0, ("@count", "ticks", "Count what is told.")),
        (("tables",), 0, ("counts", "How often each was told.", "last", "What was told last, of every key.")),
        (("describe",), 0, ("program-v2-last-changelog", "written by agents", "global table last")),
        (("models",), 0, ("Told", "What is told.")),
        (("clean-versions",), 0, ("Removing old version directory program-data/v1",)),
        (("reset",), 0, ("0 stores removed",)),
        (
            ("reset", "--topics"),
            0,
            ("kafka-consumer-groups.sh", "--topic program-v2-counts-changelog", "localhost:9092"),
        ),
        (
            ("send", "@nobody", "1"),
            1,
            ("Error: no agent @nobody that can be sent to; there are: @count, @double",),
        ),
        (("send", "@count", "one"), 1, ("Error: 'one' is no",)),
        (("completion",), 0, ("_FAUST_COMPLETE",)),
        (("livecheck",), 2, ("is not associated with LiveCheck",)),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_commands_print(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    printed: tuple[str, ...],
) -> None:
    (tmp_path / "program-data" / "v1").mkdir(parents=True)
    monkeypatch.setenv("SHELL", "/bin/bash")
    with FaustProcess(folder(tmp_path), *arguments, topology=PROGRAM) as command:
        assert command.end() == code, command.output
    for text in printed:
        assert text in command.output


@pytest.mark.kafka
def test_two_workers_answer_alike_for_every_key(tmp_path: Path, apache_kafka: ApacheKafka) -> None:
    """Stock Faust asks the wrong worker for about half of the keys, and that answers 0."""
    keys = [f"key-{number}" for number in range(12)]
    with ExitStack() as opened:
        workers = [
            opened.enter_context(
                FaustProcess(
                    folder(tmp_path / name),
                    "worker",
                    "-l",
                    "info",
                    broker=apache_kafka.address,
                    topology=PROGRAM,
                )
            )
            for name in ("one", "two")
        ]
        for worker in workers:
            worker.wait_for("/ready", lambda status, body: status == 200 and body["tasks"] in {1, 2})
        for number, key in enumerate(keys):
            assert workers[number % 2].post(f"/told/?key={key}&value={number + 1}") == (200, {"told": True})
        for number, key in enumerate(keys):
            for worker in workers:
                worker.wait_for(f"/count/{key}/", partial(_counted, number + 1))
        held = [set(worker.get("/shop/")[1]) & set(keys) for worker in workers]
        assert all(held), held
        assert held[0] | held[1] == set(keys)
        assert not held[0] & held[1]
        # A global table is whole on both.
        for worker in workers:
            worker.wait_for("/last/", lambda _, body: set(keys) <= set(body))
            found = worker.get("/last/")[1]
            assert {key: found[key] for key in keys} == {key: number + 1 for number, key in enumerate(keys)}
        for worker in workers:
            worker.wait_for("/doubled/?value=21", lambda status, body: (status, body) == (200, 42))
        assert [worker.terminate() for worker in workers] == [0, 0]


MODULES = {
    "found/__init__.py": "",
    "found/app.py": "from pipeline import faust\napp = faust.App('found'{})",
    "found/agents.py": "from found.app import app\n@app.agent('in')\nasync def take(stream):\n"
    "    async for _ in stream: pass",
    "found/deep/__init__.py": "",
    "found/deep/streams.py": "from found.app import app\napp.stream('raw').to('out')",
}


@pytest.mark.parametrize(
    ("options", "topo"),
    [
        (", autodiscover=True, origin='found'", "from found.app import app"),
        (", autodiscover=['found.agents', 'found.deep.streams']", "from found.app import app"),
        ("", "from found.app import app\napp.discover('found')"),
        ("", "from found.app import app\napp.discover('found.agents', 'found.deep.streams')"),
    ],
)
def test_the_modules_of_a_package_are_found(tmp_path: Path, options: str, topo: str) -> None:
    for name, text in MODULES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text.format(options) if name == "found/app.py" else text)
    with FaustProcess(tmp_path, "describe", topology=topo) as command:
        assert command.end() == 0, command.output
    for text in ("Application: found", "reads in", "reads raw", "Agent take", "topic: out"):
        assert text in command.output
