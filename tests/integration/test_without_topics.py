"""Applications that read no topic: timers, tasks, channels, services, pages and commands alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.testing.brokers import EmbeddedBroker
from tests.integration.faust_process import FaustProcess

PROGRAM = """
from pipeline import faust

app = faust.App("beside", commit_interval=0.1)
said = app.topic("said", key_type=str, value_type=int, partitions=1)
heard = {}
bell = app.channel()

@app.timer(0.1)
async def ring():
    await bell.send(key="rung", value=1)

@app.agent(bell)
async def hear(rings):
    async for key, value in rings.items():
        heard[key] = heard.get(key, 0) + value
        await said.send(key=key, value=value)

@app.task
async def begin():
    heard["begun"] = 1

@app.page("/heard/")
async def show(view, request):
    return view.json(heard)
"""

LED = """
@app.timer(0.1, on_leader=True)
async def lead():
    heard["led"] = 1
"""


@pytest.mark.embedded
@pytest.mark.parametrize(("led", "tasks"), [("", 0), (LED, 1)], ids=["", "one leads"])
def test_it_runs(tmp_path: Path, led: str, tasks: int) -> None:
    expected = {"rung", "begun"} | ({"led"} if led else set())
    with (
        EmbeddedBroker() as broker,
        FaustProcess(tmp_path, "worker", broker=broker.address, topology=PROGRAM + led) as program,
    ):
        program.wait_ready()
        assert program.get("/ready")[1]["tasks"] == tasks
        program.wait_for("/heard/", lambda status, body: status == 200 and set(body) == expected)
        assert program.terminate() == 0, program.output
    assert "Traceback" not in program.output


@pytest.mark.parametrize(
    ("declared", "printed"),
    [
        ("@app.timer(1)\nasync def tick(): pass", "Application: beside"),
        ("@app.crontab('* * * * *', on_leader=True)\nasync def tick(): pass", "beside-leader"),
        ("@app.task\nasync def begin(): pass", "Application: beside"),
        ("@app.task(on_leader=True)\nasync def begin(): pass", "beside-leader"),
        ("@app.service\nclass Service(faust.Service): pass", "Application: beside"),
        ("@app.page('/x/')\nasync def show(view, request): pass", "Application: beside"),
        ("app.web.blueprints.add('/x', 'faust.web.apps.stats:blueprint')", "Application: beside"),
        ("@app.command()\nasync def greet(): pass", "Application: beside"),
        ("@app.agent(app.channel())\nasync def hear(stream): pass", "Application: beside"),
        ("@app.timer(1, on_leader=True)\nasync def t(): pass\napp.stream('in')", "reads in\n"),
    ],
)
def test_what_is_enough_to_run(tmp_path: Path, declared: str, printed: str) -> None:
    topology = f"from pipeline import faust\napp = faust.App('beside')\n{declared}\n"
    with FaustProcess(tmp_path, "describe", topology=topology) as process:
        assert process.end() == 0, process.output
    assert printed in process.output
