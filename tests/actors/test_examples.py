"""Faust's documented examples, with only the import changed: they run, with the right results."""

from __future__ import annotations

import asyncio
import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipeline.testing.driver import TopologyTestDriver

EXAMPLES = Path(__file__).parent / "examples"
OURS, THEIRS = "from pipeline import faust\n", "import faust\n"
T0 = 1_700_000_000_000


def example(name: str) -> ModuleType:
    """Import an example anew: an application runs once."""
    full = f"tests.actors.examples.{name}"
    sys.modules.pop(full, None)
    return importlib.import_module(full)


def pipe(driver: TopologyTestDriver, topic: str, *records: tuple[str | None, Any, int]) -> None:
    into = driver.input_topic(topic, key=str, value=bytes)
    for key, value, seconds in records:
        data = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        into.pipe(key, data, T0 + seconds * 1_000)


def rows(driver: TopologyTestDriver, store: str, partitions: int = 2) -> dict[Any, Any]:
    return {k: v for number in range(partitions) for k, v in driver.store(store, number).all()}


def hello_world(program: ModuleType, driver: TopologyTestDriver) -> None:
    pipe(driver, "greetings", (None, "hello", 0), (None, "again", 1))
    assert program.heard == ["hello", "again"]


def word_count(_program: ModuleType, driver: TopologyTestDriver) -> None:
    pipe(driver, "posts", ("1", "to be or", 0), ("2", "not to be", 1))
    assert rows(driver, "word_counts") == {"to": 2, "be": 2, "or": 1, "not": 1}
    driver.restart(crash=True)
    pipe(driver, "posts", ("1", "to be", 2))
    assert rows(driver, "word_counts") == {"to": 3, "be": 3, "or": 1, "not": 1}


def page_views(_program: ModuleType, driver: TopologyTestDriver) -> None:
    views = [(f"u{n}", {"id": f"page{n % 3}", "user": f"u{n}"}, n) for n in range(10)]
    pipe(driver, "page_views", *views)
    assert rows(driver, "page_views") == {"page0": 4, "page1": 3, "page2": 3}


def windowed_aggregation(program: ModuleType, driver: TopologyTestDriver) -> None:
    visits = [("x", {"country": "no", "date": "2023-11-14T22:13:20Z"}, at) for at in (0, 9, 10, 5, 20)]
    pipe(driver, "visits", *visits)
    # By the time of the record, also of one that is late: stock Faust has none of it after a recovery.
    assert program.seen == [("no", 1, 0), ("no", 2, 0), ("no", 1, 2), ("no", 3, 0), ("no", 1, 1)]
    driver.restart(crash=True)
    pipe(driver, "visits", ("x", {"country": "no", "date": "2023-11-14T22:13:20Z"}, 21))
    assert program.seen[-1] == ("no", 2, 1)


def withdrawals(_program: ModuleType, driver: TopologyTestDriver) -> None:
    for n in range(5):
        country = "NO" if n < 3 else "DE"
        value = {"user": f"u{n % 2}", "country": country, "amount": 50.0 * n}
        pipe(driver, "withdrawals", (f"u{n % 2}", value, n))
    assert rows(driver, "user_to_total") == {"u0": 300.0, "u1": 200.0}
    assert rows(driver, "country_to_total") == {"NO": 150.0, "DE": 350.0}
    alerts = driver.output_topic("alerts").read_all()
    assert [(record.key, record.value["amount"]) for record in alerts] == [("u0", 200.0)]


def sinks(program: ModuleType, driver: TopologyTestDriver) -> None:
    pipe(driver, "adding", ("k", {"a": 1, "b": 2}, 0), ("k", {"a": 10, "b": 20}, 1))
    assert driver.output_topic("results", value=bytes).read_values() == [b"3", b"30"]
    assert sorted(program.logged) == [-30, -3, 6, 60]


def batches(program: ModuleType, driver: TopologyTestDriver) -> None:
    orders = [("a", {"account_id": "a", "quantity": n}, n) for n in range(4)]
    pipe(driver, "orders", *orders)
    assert program.offsets == [(n, "a", n) for n in range(4)]
    assert program.batches == [[0, 1, 2]]


def channels_and_tasks(program: ModuleType, driver: TopologyTestDriver) -> None:
    program.app.make_broker = lambda: driver.broker

    async def scenario() -> None:
        listening = asyncio.create_task(program.listen.run())
        await program.ring_all()
        async with asyncio.timeout(120):
            while len(driver.broker.records("heard")) < 3:  # noqa: ASYNC110 - what is waited for is the subject
                await asyncio.sleep(0.001)
            asked = asyncio.create_task(program.ask_for(7))
            while not asked.done():
                driver.advance_wall_clock(timedelta(milliseconds=1))
                await asyncio.sleep(0.001)
        assert await asked == 70
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)

    asyncio.run(scenario())
    program.app.close_clients()
    assert rows(driver, "doors") == {0: 1, 1: 1, 2: 1, 7: 1}


RUNS: dict[str, tuple[int, Callable[[ModuleType, TopologyTestDriver], None], tuple[str, ...]]] = {
    "hello_world": (1, hello_world, ()),
    "word_count": (2, word_count, ()),
    "page_views": (2, page_views, ()),
    "windowed_aggregation": (1, windowed_aggregation, ()),
    "withdrawals": (2, withdrawals, ("alerts",)),
    "sinks": (1, sinks, ()),
    "batches": (1, batches, ()),
    "channels_and_tasks": (2, channels_and_tasks, ()),
}


@pytest.mark.parametrize("name", RUNS)
def test_an_example_runs_with_the_right_results(name: str) -> None:
    partitions, run, topics = RUNS[name]
    program = example(name)
    with TopologyTestDriver(program.app, partitions=partitions, topics=topics) as driver:
        run(program, driver)


def test_every_example_is_run() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} - {"__init__"} == set(RUNS)


def test_they_are_programs_of_stock_faust_but_for_one_line(tmp_path: Path) -> None:
    for name in RUNS:
        ours = (EXAMPLES / f"{name}.py").read_text()
        assert ours.count(OURS) == 1
        (tmp_path / f"stock_{name}.py").write_text(ours.replace(OURS, THEIRS))
    check = "; ".join(
        f"import stock_{name}; assert type(stock_{name}.app).__module__ == 'faust.app.base'" for name in RUNS
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", check],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
