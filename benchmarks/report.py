"""Medians as a Markdown table."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Final, NamedTuple

from benchmarks.measurement import Measurement

_HEADER: Final = (
    "work",
    "broker",
    "Headrace",
    "min-max",
    "hand-written",
    "min-max",
    "ratio",
    "floor",
    "us",
    "us by hand",
)
_KILO: Final = 1_000
_MEGA: Final = 1_000_000


class Result(NamedTuple):
    """All runs of one work on one broker.

    Attributes:
        work: what was done.
        broker: on which broker.
        floor: records a second that the engine must reach.
        engine: its runs.
        handwritten: runs of the loop written by hand.
    """

    work: str
    broker: str
    floor: int
    engine: Sequence[Measurement]
    handwritten: Sequence[Measurement]

    @property
    def rate(self) -> float:
        """The engine's median, in records a second."""
        return median(run.rate for run in self.engine)

    @property
    def ceiling(self) -> float:
        """The hand-written loop's median, in records a second."""
        return median(run.rate for run in self.handwritten)


def table(results: Sequence[Result]) -> str:
    """Return results as a Markdown table: thousands of records a second, processor time per record."""
    rows = [_HEADER, ("---",) * 2 + ("--:",) * (len(_HEADER) - 2), *map(_row, results)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(result: Result) -> tuple[str, ...]:
    reached = "reached" if result.rate >= result.floor else "MISSED"
    return (
        result.work,
        result.broker,
        f"{result.rate / _KILO:.0f}",
        _spread(result.engine),
        f"{result.ceiling / _KILO:.0f}",
        _spread(result.handwritten),
        f"{result.rate / result.ceiling:.2f}",
        f"{result.floor / _KILO:.0f} {reached}",
        f"{_microseconds(result.engine):.1f}",
        f"{_microseconds(result.handwritten):.1f}",
    )


def _spread(runs: Sequence[Measurement]) -> str:
    rates = [run.rate / _KILO for run in runs]
    return f"{min(rates):.0f}-{max(rates):.0f}"


def _microseconds(runs: Sequence[Measurement]) -> float:
    return median(run.cpu_seconds / run.records * _MEGA for run in runs)
