"""Which records are timed on their way through a task's operators, and what is learnt from them.

One of 256 on the average, at irregular distances, so that no rhythm of the input is met at the same beat
again and again. A timed record stands for all since the one before it: sums are estimates.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from pipeline.clock import Clock
from pipeline.config import MetricsLevel
from pipeline.record import Forward, Headers
from pipeline.runtime.metrics.task_metrics import NodeMetrics, TaskMetrics
from pipeline.runtime.metrics.timing import Measured
from pipeline.runtime.metrics.twins import Exchange
from pipeline.state.store import StateStore

#: By level: how many records there are to one that is timed; flushes of caches, likewise.
RECORDS: Final[Mapping[MetricsLevel, int]] = {"info": 256, "debug": 32}
FLUSHES: Final[Mapping[MetricsLevel, int]] = {"info": 16, "debug": 4}


class Pace:
    """How many go by until the next one is timed; the first one is.

    Args:
        mean: how many there are to one, on the average; None: none is timed.

    Attributes:
        left: how many still go by.
    """

    __slots__ = ("_drawn", "_mean", "_state", "left")

    def __init__(self, mean: int | None) -> None:
        self.left = sys.maxsize if mean is None else 0
        self._mean, self._drawn, self._state = mean or 1, 0, 1

    def take(self) -> int:
        """Begin anew, and return for how many the one that is timed now stands: itself included."""
        weight = self._drawn + 1
        # A linear congruential generator, as in C: whatever is drawn, a run can be repeated.
        self._state = (self._state * 1_103_515_245 + 12_345) & 0x7FFF_FFFF
        self._drawn = self.left = (self._state >> 16) % (2 * self._mean - 1)
        return weight


class Sampling:
    """Takes a task's records through its operators, some of them timed.

    Args:
        level: how many.
        clock: time.
        metrics: what the task counts.
    """

    def __init__(self, level: MetricsLevel, clock: Clock, metrics: TaskMetrics) -> None:
        self._records, self._flushes = Pace(RECORDS.get(level)), Pace(FLUSHES.get(level))
        self._now_ns, self._now_ms, self._metrics = clock.now_ns, clock.now_ms, metrics
        self._exchanges: list[Exchange] = []
        #: Of the record that is timed: for how many it stands, what operators after the one in hand took.
        self._weight = self._inner_ns = 0
        self._source: NodeMetrics | None = None

    def begin(self, exchanges: list[Exchange]) -> None:
        """Say what is exchanged while a record is timed."""
        self._exchanges = exchanges

    def run(self, take: Callable[[int], int], limit: int) -> int:
        """Process up to `limit` records, and return how many were.

        Args:
            take: processes up to so many records, and returns how many were.
            limit: how many.
        """
        count, pace = 0, self._records
        while count < limit:
            if pace.left:
                wanted = min(limit - count, pace.left)
                taken = take(wanted)
                pace.left -= taken
            else:
                wanted, taken = 1, self._timed(take)
            count += taken
            if taken < wanted:
                break
        return count

    def _timed(self, take: Callable[[int], int]) -> int:
        self._source, self._inner_ns, self._weight = None, 0, 1
        self._exchange()
        begun = self._now_ns()
        try:
            taken = take(1)
        finally:
            spent = self._now_ns() - begun
            self._restore()
        if taken:
            self._metrics.process_ns.record(spent)
            self._metrics.time_ns.record(spent * self._weight)
            if self._source is not None:
                self._source.passed(spent - self._inner_ns, self._weight)
        return taken

    @contextmanager
    def flushing(self, stores: Iterable[StateStore]) -> Iterator[None]:
        """Say that the caches of `stores` are flushed within: sometimes, what is forwarded is timed."""
        if self._flushes.left or not any(store.dirty for store in stores):
            self._flushes.left = max(0, self._flushes.left - 1)
            yield
            return
        self._weight = self._flushes.take()
        self._exchange()
        try:
            yield
        finally:
            self._restore()

    def _exchange(self) -> None:
        for holder, attribute, _, timed in self._exchanges:
            object.__setattr__(holder, attribute, timed)

    def _restore(self) -> None:
        for holder, attribute, plain, _ in self._exchanges:
            object.__setattr__(holder, attribute, plain)

    def entering(self, run: Forward, node: NodeMetrics, stream_time: Callable[[], int]) -> Forward:
        """Return what a source hands timed records to.

        Args:
            run: the timed twin of what follows.
            node: what the source counts.
            stream_time: how far the task's stream time has come, this record included.
        """

        def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            self._source, self._weight = node, self._records.take()
            self._metrics.lateness_ms.record(stream_time() - timestamp)
            node.latency_ms.record(self._now_ms() - timestamp)
            run(key, value, timestamp, headers)

        return process

    def timed(self, run: Forward, node: NodeMetrics, *, is_last: bool) -> Forward:
        """Return what calls an operator and takes note of how long it took, without those after it.

        Args:
            run: the operator's twin.
            node: what it counts.
            is_last: whether nothing follows, so that the record has come to its end here.
        """
        now_ns, now_ms = self._now_ns, self._now_ms

        def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            before, self._inner_ns = self._inner_ns, 0
            begun = now_ns()
            run(key, value, timestamp, headers)
            spent = now_ns() - begun
            node.passed(spent - self._inner_ns, self._weight)
            self._inner_ns = before + spent
            if is_last:
                node.latency_ms.record(now_ms() - timestamp)

        return process

    def looking_up(self, store: Any, get: Callable[..., Any], hits: Measured) -> Callable[..., Any]:
        """Return a store's `get_entry` that takes note of whether its cache knew the answer."""

        def looked_up(*place: Any) -> Any:
            before = store.reads
            found = get(*place)
            hits.record(int(store.reads == before))
            return found

        return looked_up
