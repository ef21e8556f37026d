"""The door for users: many seeds of their own topology, and how to run one again."""

from __future__ import annotations

import os
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from pipeline.testing.simulation.simulation import Input, Outcome, Simulation, SimulationError
from pipeline.topology import Topology

#: Set to a number, only that seed is run.
SEED_VARIABLE: Final = "HEADRACE_SEED"


def explore(
    topology: Topology,
    inputs: Iterable[Input] | Callable[[int], Iterable[Input]],
    check: Callable[[Outcome], None],
    *,
    seeds: Iterable[int] = range(100),
    **options: Any,
) -> Counter[str]:
    """Run a topology under everything that goes wrong, once for each seed, and check what comes of it.

    ```python
    def test_orders_are_counted_once_each() -> None:
        def check(outcome: Outcome) -> None:
            assert outcome.last_values("totals") == {b"anna": b"2", b"ben": b"1"}

        explore(topology, orders, check, processing_guarantee="exactly_once")
    ```

    What holds for any topology is checked without being asked for, between steps and at the end: all
    input is processed and committed, committed offsets never go back, a table is the fold of its
    changelog and never ahead of what is committed, a global table is that of its topic.

    Args:
        topology: what the workers run.
        inputs: records to write; or a function that returns those of a seed.
        check: is given what is there at the end; raises AssertionError if it is not right.
        seeds: what to run. If the environment has a `HEADRACE_SEED`, that one alone.
        options: of `Simulation`: `workers`, `partitions`, `faults`, `invariants`, and settings of
            `StreamsConfig`.

    Returns:
        How often what has happened, in all runs together: a test that nothing happened in shows nothing.

    Raises:
        SimulationError: for the first seed that fails; says with which command it runs again.
    """
    counts: Counter[str] = Counter()
    chosen = os.environ.get(SEED_VARIABLE)
    for seed in seeds if chosen is None else (int(chosen),):
        given = inputs(seed) if callable(inputs) else inputs
        try:
            outcome = Simulation(topology, given, seed=seed, **options).run()
            check(outcome)
        except AssertionError as error:
            raise SimulationError(f"{error}\nseed {seed}; run it again: {_command(seed)}") from error
        counts += outcome.counts
    return counts


def _command(seed: int) -> str:
    """Return the command that runs this seed alone: of the test that is running, or of the program."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]
    command = ["-m", "pytest", test] if test else sys.argv
    return f"{SEED_VARIABLE}={seed} python {shlex.join(command)}"
