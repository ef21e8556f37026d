"""Three agents in Faust's words: run by Faust, or by Headrace, by whose names are imported.

`faust -A benchmarks.faust_programs.program worker`, with the environment that `Run` sets.
"""

from __future__ import annotations

import importlib
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.faust_programs.run import Run

run = Run.of_environment()
# Nothing of Headrace may be imported beside stock Faust: it puts its own commands into the program.
faust: Any = importlib.import_module({"faust": "faust", "headrace": "pipeline.faust"}[run.engine])

app = faust.App(run.name, broker=f"kafka://{run.address}", datadir=run.folder)
events = app.topic(run.topic, value_type=None)
counts: Any = app.Table("counts", default=int)
windows: Any = app.Table("windows", default=int)
windows = windows.tumbling(60, expires=3_600)

seen: Counter[str] = Counter()
begun: list[int] = []


def note() -> None:
    """Count an event; at the last one say how long all of them took."""
    if not begun:
        begun.append(time.perf_counter_ns())
    seen["events"] += 1
    if seen["events"] == run.events:
        took_s = (time.perf_counter_ns() - begun[0]) / 1e9
        Path(run.result).write_bytes(msgspec.json.encode(run.events / took_s))


async def nothing(stream: Any) -> None:
    """Take the events."""
    async for _event in stream:
        note()


async def counting(stream: Any) -> None:
    """Count them by user."""
    async for event in stream:
        counts[event["user"]] += 1
        note()


async def windowed(stream: Any) -> None:
    """Count them by user and minute."""
    async for event in stream:
        windows[event["user"]] += 1
        note()


app.agent(events)({"nothing": nothing, "counting": counting, "windowed": windowed}[run.work])
