"""What a seed stands for: an application, a guarantee, and everything that goes wrong.

`python -m tests.simulation --first 4711 --seeds 1` runs one again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from pipeline.record import TopicPartition
from pipeline.runtime.memory import MemoryBroker
from pipeline.testing.simulation import Faults, Outcome, Simulation, SimulationError
from tests.simulation import catalogue, couriers, hours, register, shop

#: At-least-once first: it is the cheaper one.
GUARANTEES: Final = ("at_least_once", "exactly_once")
COMMIT_INTERVAL_MS: Final = {"at_least_once": 1_000, "exactly_once": 300}
#: Records of one run: enough that state matters, few enough that many runs can be made.
ORDERS: Final = 30
CHANGES: Final = 50
JOBS: Final = 30
VISITS: Final = 60
#: Different inputs of the application of time: what comes of each is computed once.
INPUTS: Final = 50

#: Two seeds of each in turn: one a guarantee.
_TURNS: Final = ("shop", "hours", "couriers", "catalogue", "shop", "hours", "couriers", "shop")

#: A run, and what returns what is not as it must be at its end.
Made: TypeAlias = tuple[Simulation, Callable[[Outcome], list[str]]]
#: From this seed on it is the application with a global table that agents write to.
REGISTER_SEEDS: Final = 1_000_000

#: Makes a run from a seed, a guarantee, and how often what goes wrong, if that is not to be drawn.
Make: TypeAlias = Callable[[int, str, Faults | None], Made]


def delivered(broker: MemoryBroker, application: str) -> None:
    """What is committed as read has been written: no offset runs ahead of its results."""
    committed = broker.committed(application)
    copied = {message.value for each in broker.partitions(shop.COPIES) for message in each.committed()}
    for number, orders in enumerate(broker.partitions(shop.ORDERS)):
        partition = TopicPartition(shop.ORDERS, number)
        end = committed[partition].offset if partition in committed else 0
        for message in orders.committed():
            if message.offset < end and message.value not in copied:
                raise AssertionError(f"{partition} offset {message.offset} is committed, and not copied")


def _settings(seed: int, guarantee: str, faults: Faults | None) -> dict[str, Any]:
    return {
        "faults": faults,
        "processing_guarantee": guarantee,
        "commit_interval_ms": COMMIT_INTERVAL_MS[guarantee],
        # Longer than a session: who was given up by the group may still have its transaction.
        "transaction_timeout_ms": 30_000,
        "cache_entries": 20,
        # Often, so that what is deleted too early is missed.
        "repartition_purge_interval_ms": 2_000,
        # Each application and guarantee with copies, and without.
        "standby_replicas": seed // (2 * len(_TURNS)) % 2,
    }


def _shop(seed: int, guarantee: str, faults: Faults | None) -> Made:
    case = shop.Shop(seed, ORDERS)
    simulation = Simulation(
        shop.TOPOLOGY, case.inputs(), seed=seed, invariants=[delivered], **_settings(seed, guarantee, faults)
    )
    if guarantee == "exactly_once":
        return simulation, case.differences
    return simulation, lambda outcome: case.lost(outcome) + case.misnumbered(outcome)


def _catalogue(seed: int, guarantee: str, faults: Faults | None) -> Made:
    case = catalogue.Catalogue(seed, CHANGES)
    partitions = {"items": 3, "suppliers": 2, "prices": 2, "sales": 3}
    simulation = Simulation(
        catalogue.TOPOLOGY,
        case.inputs(),
        seed=seed,
        partitions=partitions,
        **_settings(seed, guarantee, faults),
    )
    if guarantee == "exactly_once":
        return simulation, case.differences
    return simulation, lambda outcome: case.lost(outcome) + case.mispriced(outcome)


def _hours(seed: int, guarantee: str, faults: Faults | None) -> Made:
    case = hours.hours(seed % INPUTS)
    simulation = Simulation(
        hours.TOPOLOGY,
        hours.inputs(seed % INPUTS),
        seed=seed,
        workers=2,
        partitions=hours.PARTITIONS,
        **_settings(seed, guarantee, faults),
    )
    return simulation, case.differences if guarantee == "exactly_once" else case.wrong


def _couriers(seed: int, guarantee: str, faults: Faults | None) -> Made:
    case = couriers.Couriers(seed, JOBS)
    simulation = Simulation(
        couriers.TOPOLOGY,
        case.inputs(),
        seed=seed,
        topics=[couriers.PUT_ASIDE, couriers.CLOSED],
        invariants=[couriers.delivered],
        dead_letter=couriers.PUT_ASIDE,
        # Nobody waits in real time.
        agent_drain_ms=0,
        # With exactly-once all tasks wait for the slowest record, and much goes wrong meanwhile.
        max_rewinds=1_000,
        **_settings(seed, guarantee, faults),
    )
    return simulation, case.differences if guarantee == "exactly_once" else case.wrong


def _register(seed: int, guarantee: str, faults: Faults | None) -> Made:
    case = register.Register(seed, VISITS)
    simulation = Simulation(
        register.TOPOLOGY, case.inputs(), seed=seed, agent_drain_ms=0, **_settings(seed, guarantee, faults)
    )
    return simulation, case.differences if guarantee == "exactly_once" else case.lost


APPLICATIONS: Final[Mapping[str, Make]] = {
    "shop": _shop,
    "hours": _hours,
    "catalogue": _catalogue,
    "couriers": _couriers,
    "register": _register,
}


class Case(NamedTuple):
    """One run."""

    seed: int
    application: str
    guarantee: str
    faults: Faults | None = None

    def simulation(self) -> Simulation:
        """Return what is to be run."""
        return APPLICATIONS[self.application](self.seed, self.guarantee, self.faults)[0]

    def run(self) -> Counter[str]:
        """Run it; return how often what has happened.

        Raises:
            SimulationError: something is not as it must be; says how to run it again.
        """
        simulation, wrong = APPLICATIONS[self.application](self.seed, self.guarantee, self.faults)
        try:
            outcome = simulation.run()
        except SimulationError as error:
            raise self._failure(str(error)) from error
        if lines := wrong(outcome):
            raise self._failure(f"seed {self.seed}: {'; '.join(lines)}")
        return outcome.counts

    def _failure(self, what: str) -> SimulationError:
        return SimulationError(
            f"{self.application}, {self.guarantee}: {what}\n"
            f"run it again: python -m tests.simulation --first {self.seed} --seeds 1"
        )


def case(seed: int) -> Case:
    """Return what a seed stands for."""
    if seed >= REGISTER_SEEDS:
        return Case(seed, "register", GUARANTEES[seed % 2])
    return Case(seed, _TURNS[seed // 2 % len(_TURNS)], GUARANTEES[seed % 2])
