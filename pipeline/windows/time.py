"""Windows of a fixed place in time: tumbling, hopping, unlimited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipeline.declaration import declares
from pipeline.windows.duration import FOREVER_MS, check_at_least, milliseconds

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TimeWindows:
    """Windows `[start, start + size)` that start at every multiple of `advance` (rule a2.1).

    ```
    time                    0    5    10   15   20   25
    size 10, advance 10     |----A----|----B----|             a record at 10 belongs to B
    size 10, advance 5      |----C----|
                                 |----D----|
                                      |----E----|             a record at 10 belongs to D and E
    ```

    A window takes records until the operator's stream time reaches `end + grace` (rule a2.2).

    ```
    grace 3                           |--|                    A closes when stream time is 13
    ```

    Attributes:
        size_ms: length of a window.
        grace_ms: how long after its end a window still takes late records.
        advance_ms: from one start to the next; the size, unless told: windows do not overlap.
    """

    size_ms: int
    grace_ms: int
    advance_ms: int = None  # type: ignore[assignment] # never seen: the size takes its place

    def __post_init__(self) -> None:
        if self.advance_ms is None:
            object.__setattr__(self, "advance_ms", self.size_ms)
        check_at_least("window size", self.size_ms, 1)
        check_at_least("grace", self.grace_ms, 0)
        check_at_least("advance", self.advance_ms, 1)
        if self.advance_ms > self.size_ms:
            raise ValueError(
                f"advance of {self.advance_ms} ms is longer than the window of {self.size_ms} ms: records "
                "between two windows would belong to none"
            )

    @property
    def retention_ms(self) -> int:
        """How long a window can still be asked for by a record that is not late."""
        return self.size_ms + self.grace_ms

    @property
    def least_retention_ms(self) -> int:
        """The shortest retention that a user may ask for."""
        return self.retention_ms

    def starts(self, timestamp: int) -> Sequence[int]:
        """Return the starts of the windows that contain `timestamp`, ascending.

        >>> TimeWindows(size_ms=12, grace_ms=0).starts(21)
        (12,)
        >>> list(TimeWindows(size_ms=12, grace_ms=0, advance_ms=5).starts(21))
        [10, 15, 20]
        """
        advance = self.advance_ms
        last = timestamp - timestamp % advance
        if advance == self.size_ms:
            return (last,)
        first = max(0, timestamp - self.size_ms + advance)
        return range(first - first % advance, last + 1, advance)

    def closed_until(self, stream_time: int) -> int:
        """Return until which end windows are closed: those that end then or before change no more."""
        return stream_time - self.grace_ms

    def __str__(self) -> str:
        if self.advance_ms == self.size_ms:
            return f"tumbling {self.size_ms} ms, grace {self.grace_ms} ms"
        return f"hopping {self.size_ms} ms, advance {self.advance_ms} ms, grace {self.grace_ms} ms"


@dataclass(frozen=True, slots=True)
class UnlimitedWindows:
    """One window `[start, for ever)` (Kafka Streams: `UnlimitedWindows`).

    ```
    time        0    5    10   15   20
    start 5          |-------------------->     a record at 4 belongs to no window
    ```

    It never closes: no record is late, and nothing is ever forgotten.

    Attributes:
        start_ms: the first time that is in the window.
    """

    start_ms: int = 0

    def __post_init__(self) -> None:
        check_at_least("start", self.start_ms, 0)

    @property
    def size_ms(self) -> int:
        """From the start to the end of time."""
        return FOREVER_MS - self.start_ms

    @property
    def grace_ms(self) -> int:
        """Nothing comes after the end."""
        return 0

    @property
    def retention_ms(self) -> int:
        """The window stays."""
        return FOREVER_MS

    @property
    def least_retention_ms(self) -> int:
        """The window stays."""
        return FOREVER_MS

    def starts(self, timestamp: int) -> Sequence[int]:
        """Return the window's start if it contains `timestamp`.

        >>> UnlimitedWindows(5).starts(5), UnlimitedWindows(5).starts(4)
        ((5,), ())
        """
        return (self.start_ms,) if timestamp >= self.start_ms else ()

    def closed_until(self, stream_time: int) -> int:  # noqa: ARG002 - other windows need it
        """Return a time before every end: the window never closes."""
        return -1

    def __str__(self) -> str:
        return f"unlimited from {self.start_ms} ms"


@declares
def tumbling(size: timedelta, *, grace: timedelta) -> TimeWindows:
    """Return windows of `size` that follow one another without gap or overlap.

    Args:
        size: length of each window.
        grace: how long after its end, in stream time, a window still takes late records.

    Raises:
        TopologyError: size is not positive, or grace is negative.

    >>> tumbling(timedelta(minutes=1), grace=timedelta(seconds=30)).starts(90_000)
    (60000,)
    """
    return TimeWindows(milliseconds(size, "window size"), milliseconds(grace, "grace"))


@declares
def hopping(size: timedelta, *, advance: timedelta, grace: timedelta) -> TimeWindows:
    """Return windows of `size` that start every `advance`, and overlap.

    Args:
        size: length of each window.
        advance: from one start to the next; at most the size.
        grace: how long after its end, in stream time, a window still takes late records.

    Raises:
        TopologyError: size or advance is not positive, advance is longer than size, or grace is negative.

    >>> minute, half = timedelta(minutes=1), timedelta(seconds=30)
    >>> list(hopping(minute, advance=half, grace=half).starts(90_000))
    [60000, 90000]
    """
    return TimeWindows(
        milliseconds(size, "window size"), milliseconds(grace, "grace"), milliseconds(advance, "advance")
    )


@declares
def unlimited(*, start: datetime | None = None) -> UnlimitedWindows:
    """Return one window that never ends.

    Args:
        start: the first time in it, with a time zone; the epoch unless told.

    Raises:
        TopologyError: start is no datetime with a time zone, or lies before the epoch.

    >>> unlimited(start=datetime(1970, 1, 2, tzinfo=UTC)).start_ms
    86400000
    """
    if start is None:
        return UnlimitedWindows()
    if not isinstance(start, datetime) or start.tzinfo is None:
        raise ValueError(f"start must be a datetime with a time zone, not {start!r}")
    return UnlimitedWindows(milliseconds(start - _EPOCH, "start"))
