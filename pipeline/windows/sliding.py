"""Sliding windows: one for every set of records that lie within a difference of one another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from pipeline.declaration import declares
from pipeline.windows.duration import check_at_least, milliseconds


class Update(NamedTuple):
    """What a record does to one window.

    Attributes:
        start: the window's start.
        origin: start of the window whose aggregate, as it was before the record, this one goes on
            from: its own if it exists; None: the initializer's.
        adds: whether the record is added; if not, the aggregate is taken over as it is.
    """

    start: int
    origin: int | None
    adds: bool


@dataclass(frozen=True, slots=True)
class SlidingWindows:
    """Windows `[start, start + difference]`, both ends included, that follow the records (rule a2.4).

    Every record at `t` has a left window that ends at `t`, and a right one that starts at `t + 1` as soon
    as there is a record in it. So each set of records that lie within `difference` is one window's.

    ```
    time         0         10        20        30
    records                a    b              c        difference 10
    left of a    |---------a                            [0,10]   a
    left of b         |----a----b                       [5,15]   a b
    right of a              |---b-----|                 [11,21]  b
    left of c                        |---------c        [20,30]  c
    ```

    A record before `difference` would have a left window that starts before time 0: all of these share
    the window `[0, difference]`.

    A window takes records while stream time is at most `end + grace`.

    Attributes:
        difference_ms: the largest distance between two records of a window; may be 0.
        grace_ms: how long after its end a window still takes late records.
    """

    difference_ms: int
    grace_ms: int

    def __post_init__(self) -> None:
        check_at_least("time difference", self.difference_ms, 0)
        check_at_least("grace", self.grace_ms, 0)

    @property
    def size_ms(self) -> int:
        """From a window's start to its end."""
        return self.difference_ms

    @property
    def retention_ms(self) -> int:
        """How long a window can still be asked for by a record that is not late.

        A right window is open while its end is at least `stream time - grace`. Whether the record
        before it needs one is seen in that record's left window, which starts `2 * difference + 1`
        before that end, and must be visible: the rule is `start > stream time - retention`.
        """
        return 2 * self.difference_ms + self.grace_ms + 2

    @property
    def least_retention_ms(self) -> int:
        """The shortest retention that a user may ask for, which is Kafka Streams'."""
        return 2 * self.difference_ms + self.grace_ms

    def closed_until(self, stream_time: int) -> int:
        """Return until which end windows are closed: those that end then or before change no more."""
        return stream_time - self.grace_ms - 1

    def last_end(self, timestamp: int) -> int:
        """Return the end of the last window that can contain `timestamp`."""
        return timestamp + self.difference_ms

    def concerned(self, timestamp: int) -> tuple[int, int]:
        """Return between which starts the windows lie that a record must know of, both included."""
        return max(0, timestamp - 2 * self.difference_ms), timestamp + 1

    def updates(self, timestamp: int, windows: Iterable[tuple[int, int]]) -> Iterator[Update]:
        """Yield what a record does to its key's windows, closed ones included, in Kafka Streams' order.

        Args:
            timestamp: the record's time in ms.
            windows: start and time of the latest record of each window that is `concerned`, ascending.

        >>> [*SlidingWindows(10, 0).updates(15, [(0, 10)])]  # b in the picture
        [Update(start=11, origin=None, adds=True), Update(start=5, origin=0, adds=True)]
        """
        known = dict(windows)
        if timestamp < self.difference_ms:
            return self._updates_early(timestamp, known)
        return self._updates(timestamp, known)

    def _updates(self, timestamp: int, known: dict[int, int]) -> Iterator[Update]:
        left = timestamp - self.difference_ms
        around = [start for start in known if left <= start <= timestamp]
        before = max((start for start in known if start < left), default=None)
        for start in reversed(around):
            yield Update(start, start, adds=True)
        if known.get(left, -1) >= timestamp:
            # A record at this time has made all windows that this one needs.
            return
        previous = known.get(left if before is None else before)
        if previous is not None and left <= previous + 1 and previous + 1 not in known:
            yield Update(previous + 1, None, adds=True)
        if left not in known:
            follows = previous is not None and left <= previous
            yield Update(left, before if follows else None, adds=True)
        later = max((start for start in around if start > left), default=None)
        if timestamp + 1 not in known and later is not None and known[later] > timestamp:
            yield Update(timestamp + 1, later, adds=False)

    def _updates_early(self, timestamp: int, known: dict[int, int]) -> Iterator[Update]:
        around = [start for start in known if 0 < start <= timestamp]
        for start in around:
            yield Update(start, start, adds=True)
        later = around[-1] if around else 0
        if timestamp + 1 not in known and known.get(later, -1) > timestamp:
            yield Update(timestamp + 1, later, adds=False)
        previous = known.get(0, timestamp)
        if previous < timestamp and previous + 1 not in known:
            yield Update(previous + 1, None, adds=True)
        yield Update(0, 0 if 0 in known else None, adds=True)

    def __str__(self) -> str:
        return f"sliding {self.difference_ms} ms, grace {self.grace_ms} ms"


@declares
def sliding(difference: timedelta, *, grace: timedelta) -> SlidingWindows:
    """Return windows for every set of records that lie within `difference` of one another.

    Args:
        difference: the largest distance between two records of a window.
        grace: how long after its end, in stream time, a window still takes late records.

    Raises:
        TopologyError: one of them is negative.
    """
    return SlidingWindows(milliseconds(difference, "time difference"), milliseconds(grace, "grace"))
