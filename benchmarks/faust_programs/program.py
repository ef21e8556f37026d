"""Three agents in Faust's words: run by Faust, or by Headrace, by whose names are imported.

`faust -A benchmarks.faust_programs.program worker`, with the environment that `Run` sets.
"""

from __future__ import annotations

import importlib
import itertools
import time
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.faust_programs.run import Result, Run

run = Run.of_environment()
# Nothing of Headrace may be imported beside stock Faust: it puts its own commands into the program.
faust: Any = importlib.import_module({"faust": "faust", "headrace": "pipeline.faust"}[run.engine])

app = faust.App(run.name, broker=f"kafka://{run.address}", datadir=run.folder, **run.settings())
events = app.topic(run.topic, value_type=None)

number = itertools.count(1)
marks = {1, run.events}
clocks: list[tuple[int, int]] = []


def note() -> None:
    """At the first event look at the clocks; at the last one say how long all of them took."""
    clocks.append((time.perf_counter_ns(), time.thread_time_ns()))
    if len(clocks) == len(marks):
        took_ns, cpu_ns = (end - start for start, end in zip(*clocks, strict=True))
        result = Result(run.events / took_ns * 1e9, cpu_ns / run.events / 1e3)
        Path(run.result).write_bytes(msgspec.json.encode(result))


def nothing() -> Any:
    """Take the events."""

    async def agent(stream: Any) -> None:
        async for _event in stream:
            if next(number) in marks:
                note()

    return agent


def counting() -> Any:
    """Count them by user."""
    counts = app.Table("counts", default=int)

    async def agent(stream: Any) -> None:
        async for event in stream:
            counts[event["user"]] += 1
            if next(number) in marks:
                note()

    return agent


def windowed() -> Any:
    """Count them by user and minute."""
    windows = app.Table("windows", default=int).tumbling(60, expires=3_600)

    async def agent(stream: Any) -> None:
        async for event in stream:
            windows[event["user"]] += 1
            if next(number) in marks:
                note()

    return agent


app.agent(events, name=run.work)({"nothing": nothing, "counting": counting, "windowed": windowed}[run.work]())
