"""The door for users: the example of the documentation, and what a failing seed says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.testing.simulation import Input, Outcome, SimulationError, explore
from pipeline.testing.simulation.explore import SEED_VARIABLE

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
HERE = "tests/simulation/test_explore.py"


@pytest.fixture(name="example")
def _example() -> dict[str, Any]:
    """What the example of the documentation defines."""
    code, *_of_agents = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102 - our own page
    return names


def test_the_example_of_the_documentation_holds(example: dict[str, Any]) -> None:
    example["test_every_order_counts_once"]()


def test_what_happened_is_counted(example: dict[str, Any]) -> None:
    counts = explore(example["TOPOLOGY"], example["ORDERS"], example["check"], seeds=range(10))
    assert counts["commits"] > 10
    assert counts["crashes"] > 0


def fails_at(seeds: range) -> Callable[[dict[str, Any]], str]:
    """Return what runs the example with a check that fails in some run, and returns the message."""

    def run(example: dict[str, Any]) -> str:
        def check(outcome: Outcome) -> None:
            if outcome.crashes > 1:
                raise AssertionError(f"{outcome.crashes} crashes")

        with pytest.raises(SimulationError) as error:
            explore(example["TOPOLOGY"], example["ORDERS"], check, seeds=seeds)
        return str(error.value)

    return run


def test_a_failing_seed_is_run_again_by_what_its_message_says(
    example: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    message = fails_at(range(100))(example)
    found = re.search(
        rf"crashes.*\nseed (\d+); run it again: {SEED_VARIABLE}=(\d+) python -m pytest (.+)$", message
    )
    assert found is not None, message
    assert found[1] == found[2]
    name = "test_a_failing_seed_is_run_again_by_what_its_message_says"
    assert found[3] == f"{HERE}::{name}"
    monkeypatch.setenv(SEED_VARIABLE, found[2])
    assert fails_at(range(0))(example) == message


def test_the_trace_is_in_the_message_where_an_invariant_does_not_hold(example: dict[str, Any]) -> None:
    def never(_broker: object, _application: str) -> None:
        raise AssertionError("it never holds")

    with pytest.raises(SimulationError, match=r"(?s)seed 0: .*it never holds.*crash=.*last steps:.*worker"):
        explore(example["TOPOLOGY"], example["ORDERS"], print, seeds=[0], invariants=[never])


def test_inputs_may_be_those_of_a_seed(example: dict[str, Any]) -> None:
    seen = []

    def orders(seed: int) -> list[Input]:
        return [Input("orders", b"anna", b"tea", time) for time in range(1 + seed)]

    def check(outcome: Outcome) -> None:
        seen.append(outcome.last_values("totals"))

    explore(example["TOPOLOGY"], orders, check, seeds=range(3), processing_guarantee="exactly_once")
    assert seen == [{b"anna": b"1"}, {b"anna": b"2"}, {b"anna": b"3"}]
