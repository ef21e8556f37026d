"""Workers, crashes, lost answers and partitions that move, from seeds: what must hold, holds.

`HEADRACE_SEEDS=10000 HEADRACE_FIRST_SEED=0 pytest tests/simulation` runs more of them; a seed that
fails is in the message, and runs again with `HEADRACE_FIRST_SEED=<seed> HEADRACE_SEEDS=1`.
"""

from __future__ import annotations

import os

import pytest

from pipeline.record import TopicPartition
from pipeline.runtime.memory import MemoryBroker
from pipeline.testing.simulation import Faults, Simulation, SimulationError
from tests.simulation.bugs import BUGS, Bug
from tests.simulation.shop import COPIES, ORDERS, Shop, topology

#: Of each guarantee.
SEEDS = int(os.environ.get("HEADRACE_SEEDS", "500"))
FIRST_SEED = int(os.environ.get("HEADRACE_FIRST_SEED", "0"))
#: In so many runs a bug has to show.
SEEDS_PER_BUG = 300
#: Runs in one test: enough that starting a test costs nothing.
CHUNK = 50
ORDERS_PER_RUN = 40
COMMIT_INTERVAL_MS = {"at_least_once": 1_000, "exactly_once": 300}
TOPOLOGY = topology()


def delivered(broker: MemoryBroker, application: str) -> None:
    """What is committed as read has been written: no offset runs ahead of its results."""
    committed = broker.committed(application)
    copied = {message.value() for partition in broker.partitions(COPIES) for message in partition.committed()}
    for message in broker.records(ORDERS):
        partition = TopicPartition(message.topic(), message.partition())
        if partition in committed and message.offset() < committed[partition].offset:
            assert message.value() in copied, (
                f"{partition} offset {message.offset()} is committed, and not copied"
            )


def wrong(seed: int, guarantee: str) -> list[str]:
    """Run a seed, and return what is not as it must be."""
    shop = Shop(seed, ORDERS_PER_RUN)
    simulation = Simulation(
        TOPOLOGY,
        shop.inputs(),
        seed=seed,
        invariants=[delivered],
        processing_guarantee=guarantee,
        commit_interval_ms=COMMIT_INTERVAL_MS[guarantee],
        # Longer than a session: who was given up by the group may still have its transaction.
        transaction_timeout_ms=30_000,
        cache_entries=20,
    )
    outcome = simulation.run()
    if guarantee == "exactly_once":
        return shop.differences(outcome)
    return shop.lost(outcome) + shop.misnumbered(outcome)


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
@pytest.mark.parametrize("first", range(FIRST_SEED, FIRST_SEED + SEEDS, CHUNK))
def test_nothing_is_lost_and_with_exactly_once_nothing_is_there_twice(first: int, guarantee: str) -> None:
    for seed in range(first, min(first + CHUNK, FIRST_SEED + SEEDS)):
        assert wrong(seed, guarantee) == [], f"seed {seed}, {guarantee}"


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS)
def test_a_deliberate_bug_is_caught(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    bug.plant(monkeypatch)
    for seed in range(SEEDS_PER_BUG):
        try:
            if wrong(seed, bug.guarantee):
                return
        except SimulationError:
            return
    pytest.fail(f"not caught in {SEEDS_PER_BUG} runs")


def test_the_same_seed_is_the_same_run() -> None:
    traces, topics = [], []
    for _ in range(2):
        simulation = Simulation(
            TOPOLOGY, Shop(7, ORDERS_PER_RUN).inputs(), seed=7, processing_guarantee="exactly_once"
        )
        outcome = simulation.run()
        traces.append(simulation.trace)
        topics.append([(m.key(), m.value(), m.offset()) for m in outcome.records(COPIES)])
    assert traces[0] == traces[1]
    assert topics[0] == topics[1]


def test_without_faults_at_least_once_is_exact() -> None:
    shop = Shop(1, ORDERS_PER_RUN)
    outcome = Simulation(TOPOLOGY, shop.inputs(), seed=1, faults=Faults(), workers=1).run()
    assert (outcome.crashes, shop.differences(outcome)) == (0, [])


def test_a_failing_run_says_how_to_run_it_again() -> None:
    def never(_broker: MemoryBroker, _application: str) -> None:
        raise AssertionError("it never holds")

    shop = Shop(1, ORDERS_PER_RUN)
    with pytest.raises(SimulationError, match=r"(?s)seed 41: .*it never holds.*crash=.*last steps:.*worker"):
        Simulation(TOPOLOGY, shop.inputs(), seed=41, invariants=[never]).run()
