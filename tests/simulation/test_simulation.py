"""Workers, crashes, lost answers and partitions that move, from seeds: what must hold, holds.

`HEADRACE_SEEDS=10000 HEADRACE_FIRST_SEED=0 pytest tests/simulation` runs more of them, and so does
`python -m tests.simulation`; what fails says how it is run again.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable

import pytest

from pipeline.testing.simulation import Faults, Simulation, SimulationError
from tests.simulation import catalogue, hours, shop
from tests.simulation.bugs import BUGS, Bug
from tests.simulation.cases import APPLICATIONS, CHANGES, GUARANTEES, ORDERS, REGISTER_SEEDS, Case, case
from tests.simulation.register_bugs import REGISTER_BUGS

#: Of all applications and both guarantees together.
SEEDS = int(os.environ.get("HEADRACE_SEEDS", "1000"))
FIRST_SEED = int(os.environ.get("HEADRACE_FIRST_SEED", "0"))
#: In so many runs a bug has to show.
SEEDS_PER_BUG = 300
#: Runs in one test: enough that starting a test costs nothing.
CHUNK = 50
#: What has to come up in so many seeds: who never meets a fault is not tested by it.
FAULTS = (
    "answers lost",
    "assignments",
    "crashes",
    "disks lost",
    "expulsions",
    "flushes slow",
    "leaders lost",
    "leaves",
    "outages",
    "partitions lost",
    "pauses",
    "purges",
    "queues full",
    "records copied by standbys",
    "records kept unacknowledged",
    "records lost with a leader",
    "records restored",
    "records timed out",
    "requests lost",
    "revocations",
    "sessions expired",
    "transactions aborted",
    "transactions timed out",
)


@pytest.mark.parametrize("first", range(FIRST_SEED, FIRST_SEED + SEEDS, CHUNK))
def test_nothing_is_lost_and_with_exactly_once_nothing_is_there_twice(first: int) -> None:
    for seed in range(first, min(first + CHUNK, FIRST_SEED + SEEDS)):
        case(seed).run()


@pytest.mark.parametrize("first", range(REGISTER_SEEDS, REGISTER_SEEDS + SEEDS // 5, CHUNK))
def test_global_tables_of_agents_are_right(first: int) -> None:
    for seed in range(first, first + CHUNK):
        case(seed).run()


def test_every_fault_comes_up() -> None:
    counts: Counter[str] = Counter()
    for seed in range(100):
        counts += case(seed).run()
    assert [fault for fault in FAULTS if not counts[fault]] == []


def run_all(runs: Iterable[Case]) -> None:
    for each in runs:
        each.run()


@pytest.mark.parametrize("bug", [*BUGS.values(), *REGISTER_BUGS.values()], ids=[*BUGS, *REGISTER_BUGS])
def test_a_deliberate_bug_is_caught(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    if bug.application == "hours":
        # What is right is computed without the bug.
        for seed in range(50):
            hours.hours(seed)
    bug.plant(monkeypatch)
    runs = (Case(seed, bug.application, bug.guarantee, bug.faults) for seed in range(SEEDS_PER_BUG))
    with pytest.raises(SimulationError):
        run_all(runs)


@pytest.mark.parametrize("application", APPLICATIONS)
@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_the_same_seed_is_the_same_run(application: str, guarantee: str) -> None:
    runs = []
    for _ in range(2):
        simulation = Case(7, application, guarantee).simulation()
        outcome = simulation.run()
        topics = {
            topic: [(m.key, m.value, m.offset, m.timestamp) for m in outcome.records(topic)]
            for topic in outcome.broker.topics()
        }
        runs.append((simulation.trace, simulation.counts, topics))
    assert runs[0] == runs[1]


def test_without_faults_at_least_once_is_exact() -> None:
    orders = shop.Shop(1, ORDERS)
    outcome = Simulation(shop.TOPOLOGY, orders.inputs(), seed=1, faults=Faults(), workers=1).run()
    assert (outcome.crashes, orders.differences(outcome)) == (0, [])
    changes = catalogue.Catalogue(1, CHANGES)
    outcome = Simulation(catalogue.TOPOLOGY, changes.inputs(), seed=1, faults=Faults(), workers=1).run()
    assert (outcome.crashes, changes.differences(outcome)) == (0, [])
