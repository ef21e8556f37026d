"""What the runs of a table came to: kept as JSON beside its page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from typing import Final, Literal

import msgspec

from benchmarks.measurement import Measurement

OURS: Final = "headrace"
BY_HAND: Final = "hand-written"
#: Kafka Streams at its best: with one thread or with two, whichever is faster.
KAFKA_STREAMS: Final = "kafka-streams"

Quantity = Literal["rate", "cpu"]


class Row(msgspec.Struct, frozen=True):
    """All runs of one work.

    Attributes:
        title: what was done.
        runs: by contender, in the order of the table.
        refusals: who cannot do it, and why.
    """

    title: str
    runs: dict[str, list[Measurement]]
    refusals: dict[str, str] = {}

    def median(self, contender: str, quantity: Quantity = "rate") -> float | None:
        """Return records a second, or microseconds of processor time a record; None: it was not measured."""
        if contender == KAFKA_STREAMS:
            return self._best(quantity)
        runs = self.runs.get(contender)
        return median(map(_QUANTITIES[quantity], runs)) if runs else None

    def _best(self, quantity: Quantity) -> float | None:
        with_threads = [name for name in self.runs if name.startswith(KAFKA_STREAMS)]
        if not with_threads:
            return None
        return self.median(max(with_threads, key=lambda name: self.median(name) or 0.0), quantity)

    def ratio(self, contender: str, other: str, quantity: Quantity = "rate") -> float | None:
        """Return how much of the other's a contender's median is; None: one of them was not measured."""
        mine, its = self.median(contender, quantity), self.median(other, quantity)
        return None if mine is None or its is None else mine / its


class Outcome(msgspec.Struct, frozen=True):
    """A goal, and what was measured.

    Attributes:
        work: at what.
        goal: what is to be reached.
        measured: what was.
        reached: whether that is enough.
    """

    work: str
    goal: str
    measured: str
    reached: bool


class Results(msgspec.Struct, frozen=True):
    """One table.

    Attributes:
        title: of its page.
        runs: of each contender.
        notes: who was measured, and how it was set.
        titles: of the contenders, by name.
        rows: the works.
        goals: those that this table decides.
    """

    title: str
    runs: int
    notes: list[str]
    titles: dict[str, str]
    rows: list[Row]
    goals: list[Outcome] = []


def _microseconds(run: Measurement) -> float:
    return run.cpu_seconds / run.records * 1_000_000


_QUANTITIES: Final[Mapping[Quantity, Callable[[Measurement], float]]] = {
    "rate": lambda run: run.rate,
    "cpu": _microseconds,
}
