"""Joins by a foreign key and global tables under crashes, lost answers and partitions that move.

With exactly-once, results are those of the tables as they are at last, and every sale is there once. With
at-least-once what a worker wrote late, after it was given up, may stand between the two sides of a
foreign-key join, as in any repartition topic; sales are not lost, and global tables are whole.

Seeds are chosen as in `test_simulation`.
"""

from __future__ import annotations

import pytest

from pipeline.testing.simulation import Faults, Simulation
from tests.simulation.catalogue import Catalogue, topology
from tests.simulation.test_simulation import COMMIT_INTERVAL_MS, FIRST_SEED, SEEDS

#: Of the seeds of the other application: a run takes longer here.
SHARE = 5
CHUNK = 20
CHANGES_PER_RUN = 60
TOPOLOGY = topology()


def wrong(seed: int, guarantee: str) -> list[str]:
    """Run a seed, and return what is not as it must be."""
    catalogue = Catalogue(seed, CHANGES_PER_RUN)
    outcome = Simulation(
        TOPOLOGY,
        catalogue.inputs(),
        seed=seed,
        partitions={"items": 3, "suppliers": 2, "prices": 2, "sales": 3},
        processing_guarantee=guarantee,
        commit_interval_ms=COMMIT_INTERVAL_MS[guarantee],
        transaction_timeout_ms=30_000,
        cache_entries=20,
    ).run()
    if guarantee == "exactly_once":
        return catalogue.differences(outcome)
    return catalogue.lost(outcome) + catalogue.mispriced(outcome)


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
@pytest.mark.parametrize("first", range(FIRST_SEED, FIRST_SEED + max(1, SEEDS // SHARE), CHUNK))
def test_the_results_are_those_of_the_tables_at_last(first: int, guarantee: str) -> None:
    for seed in range(first, min(first + CHUNK, FIRST_SEED + max(1, SEEDS // SHARE))):
        assert wrong(seed, guarantee) == [], f"seed {seed}, {guarantee}"


def test_without_faults_at_least_once_is_exact() -> None:
    catalogue = Catalogue(1, CHANGES_PER_RUN)
    outcome = Simulation(TOPOLOGY, catalogue.inputs(), seed=1, faults=Faults(), workers=1).run()
    assert (outcome.crashes, catalogue.differences(outcome)) == (0, [])
