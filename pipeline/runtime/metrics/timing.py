"""Durations and sizes: how many, how much in all, and average and maximum of the last half minute or so."""

from __future__ import annotations

import math
from types import TracebackType
from typing import NamedTuple, Self

from pipeline.clock import Clock

#: Averages, maxima, rates and ratios are of the last one to two of these (Kafka: two samples of 30 s).
WINDOW_MS = 30_000
NS_PER_MS = 1_000_000


class _Mark(NamedTuple):
    """Where a window began."""

    number: int = 0
    total: int = 0


class Measured:
    """Numbers of one kind, such as durations in ns or records at once.

    Attributes:
        count: how many there were.
        total: their sum.
    """

    __slots__ = (
        "_before",
        "_highest",
        "_highest_before",
        "_lowest",
        "_lowest_before",
        "_since",
        "count",
        "total",
    )

    def __init__(self) -> None:
        self.count = self.total = 0
        self._before = self._since = _Mark()
        self._highest = self._highest_before = -math.inf
        self._lowest = self._lowest_before = math.inf

    def record(self, number: int) -> None:
        """Take a number."""
        self.count += 1
        self.total += number
        self._highest = max(self._highest, number)
        self._lowest = min(self._lowest, number)

    def turn(self) -> None:
        """Begin a new window; the one before still counts, what was before that is forgotten."""
        self._before, self._since = self._since, _Mark(self.count, self.total)
        self._highest_before, self._highest = self._highest, -math.inf
        self._lowest_before, self._lowest = self._lowest, math.inf

    @property
    def average(self) -> float:
        """Average of the last windows; not a number if there was nothing."""
        count = self.count - self._before.number
        return (self.total - self._before.total) / count if count else math.nan

    @property
    def highest(self) -> float:
        """Maximum of the last windows; not a number if there was nothing."""
        highest = max(self._highest, self._highest_before)
        return highest if math.isfinite(highest) else math.nan

    @property
    def lowest(self) -> float:
        """Minimum of the last windows; not a number if there was nothing."""
        lowest = min(self._lowest, self._lowest_before)
        return lowest if math.isfinite(lowest) else math.nan

    @property
    def recent(self) -> int:
        """Sum of the last windows."""
        return self.total - self._before.total


class Timing(Measured):
    """Durations in ns of what is done within `with timing:`."""

    __slots__ = ("_before_ns", "_begun", "_now_ns")

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._now_ns = clock.now_ns
        self._begun = self._before_ns = 0

    def resumed(self, before_ns: int) -> Self:
        """Return what times the rest of something of which `before_ns` was done before."""
        self._before_ns = before_ns
        return self

    def __enter__(self) -> Self:
        self._begun = self._now_ns() - self._before_ns
        self._before_ns = 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.record(self._now_ns() - self._begun)
