"""The goals of the works that are measured here: ratios within one run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from benchmarks.results import BY_HAND, KAFKA_STREAMS, OURS, Outcome, Quantity, Row
from benchmarks.tables import title_of
from benchmarks.works.work import Case

_DECODE: Final = Case("decode")
_ROUTE: Final = Case("route")
_COUNT: Final = Case("count")
_EXACTLY_ONCE: Final = Case("count", exactly_once=True)

_NAMES: Final = {
    BY_HAND: "the hand-written loop",
    KAFKA_STREAMS: "Kafka Streams' best",
    OURS: "our at-least-once",
    "bytewax": "Bytewax",
    "quix": "Quix",
    "faust": "Faust",
}


class Goal(NamedTuple):
    """Ours compared with another's at the same work.

    Attributes:
        case: the work.
        other: with whom it is compared.
        limit: what the ratio must be at least; of processor time, at most.
        quantity: what is compared.
        other_case: the other's work, if it is another one.
    """

    case: Case
    other: str
    limit: float
    quantity: Quantity = "rate"
    other_case: Case | None = None

    def outcome(self, rows: Mapping[str, Row]) -> Outcome | None:
        """Return what was measured, by title of the work; None if it was not."""
        mine, its = rows.get(title_of(self.case)), rows.get(title_of(self.other_case or self.case))
        if mine is None or its is None:
            return None
        ours, theirs = mine.median(OURS, self.quantity), its.median(self.other, self.quantity)
        if ours is None or theirs is None:
            return None
        ratio = ours / theirs
        reached = ratio <= self.limit if self.quantity == "cpu" else ratio >= self.limit
        return Outcome(title_of(self.case), self._text(), f"{ratio:.2f}", reached)

    def _text(self) -> str:
        sign = "<=" if self.quantity == "cpu" else ">="
        what = "the processor time of " if self.quantity == "cpu" else ""
        return f"{sign} {self.limit:g} of {what}{_NAMES[self.other]}"


class RateGoal(NamedTuple):
    """So many records a second.

    Attributes:
        case: the work.
        limit: records a second.
    """

    case: Case
    limit: int

    def outcome(self, rows: Mapping[str, Row]) -> Outcome | None:
        """Return what was measured, by title of the work; None if it was not."""
        row = rows.get(title_of(self.case))
        rate = row.median(OURS) if row else None
        if rate is None:
            return None
        goal = f">= {self.limit:,} records/s"
        return Outcome(title_of(self.case), goal, f"{rate:,.0f}", rate >= self.limit)


GOALS: Final[tuple[Goal | RateGoal, ...]] = (
    Goal(_DECODE, BY_HAND, 0.6),
    Goal(_DECODE, KAFKA_STREAMS, 1.5),
    Goal(_ROUTE, BY_HAND, 0.85),
    Goal(_ROUTE, KAFKA_STREAMS, 1.2),
    Goal(_ROUTE, KAFKA_STREAMS, 0.5, "cpu"),
    Goal(_ROUTE, "bytewax", 2.5),
    Goal(_ROUTE, "quix", 5),
    Goal(_ROUTE, "faust", 40),
    Goal(_COUNT, BY_HAND, 0.75),
    Goal(_COUNT, KAFKA_STREAMS, 2),
    Goal(_COUNT, KAFKA_STREAMS, 0.35, "cpu"),
    Goal(_COUNT, "quix", 15),
    Goal(_COUNT, "faust", 40),
    Goal(_EXACTLY_ONCE, OURS, 0.8, other_case=_COUNT),
    Goal(_EXACTLY_ONCE, KAFKA_STREAMS, 2),
    Goal(Case("dedup"), KAFKA_STREAMS, 1.2),
    Goal(Case("table-join"), KAFKA_STREAMS, 1.2),
    Goal(Case("stream-join"), KAFKA_STREAMS, 1.2),
    Goal(Case("session"), KAFKA_STREAMS, 1.2),
    RateGoal(Case("restore"), 450_000),
    Goal(Case("restore"), KAFKA_STREAMS, 1.1),
)


def outcomes(rows: Mapping[str, Row]) -> list[Outcome]:
    """Return the goals that these rows decide."""
    return [outcome for goal in GOALS if (outcome := goal.outcome(rows)) is not None]
