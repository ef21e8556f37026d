"""Window arithmetic: pure, and in whole milliseconds.

Sources: `TimeWindows` and `JoinWindows` of Kafka Streams (KIP-633: grace is always explicit).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


def milliseconds(duration: timedelta, what: str) -> int:
    """Return a duration in whole milliseconds.

    Raises:
        ValueError: it is not a timedelta, or finer than a millisecond; `what` names it.
    """
    if not isinstance(duration, timedelta):
        raise ValueError(f"{what} must be a timedelta, not {duration!r}")  # noqa: TRY004 - one error type for a bad declaration
    whole, rest = divmod(duration, timedelta(milliseconds=1))
    if rest:
        raise ValueError(f"{what} is finer than a millisecond: {duration!r}")
    return whole


@dataclass(frozen=True, slots=True)
class TimeWindows:
    """Windows `[start, start + size)` aligned to the epoch, one after the other.

    ```
    time     0    5    10   15   20
    size 10  |----A----|----B----|      a record at 10 belongs to B
    ```

    A window takes records until the operator's stream time reaches `end + grace`.

    Attributes:
        size_ms: length of a window.
        grace_ms: how long after its end a window still takes late records.
    """

    size_ms: int
    grace_ms: int

    def __post_init__(self) -> None:
        if self.size_ms < 1:
            raise ValueError(f"window size must be positive, not {self.size_ms} ms")
        if self.grace_ms < 0:
            raise ValueError(f"grace must not be negative, not {self.grace_ms} ms")

    @property
    def retention_ms(self) -> int:
        """How long a window can still be asked for by a record that is not late."""
        return self.size_ms + self.grace_ms

    def starts(self, timestamp: int) -> tuple[int, ...]:
        """Return the starts of the windows that contain `timestamp`, ascending.

        >>> TimeWindows(size_ms=12, grace_ms=0).starts(21)
        (12,)
        """
        return (timestamp - timestamp % self.size_ms,)

    def __str__(self) -> str:
        return f"tumbling {self.size_ms} ms, grace {self.grace_ms} ms"


@dataclass(frozen=True, slots=True)
class JoinWindows:
    """Which pairs of a stream-stream join belong together.

    Left and right match when `left - before <= right <= left + after`, both ends included.

    ```
    right times that match a left record at 100, before 10, after 20:
                 90 ======== 100 ================ 120
    ```

    Attributes:
        before_ms: how far a right record may precede the left one; may be negative.
        after_ms: how far it may follow; may be negative.
        grace_ms: how long after the window late records are still joined.
    """

    before_ms: int
    after_ms: int
    grace_ms: int

    def __post_init__(self) -> None:
        if self.before_ms + self.after_ms < 0:
            raise ValueError(
                f"join window is empty: before {self.before_ms} ms plus after {self.after_ms} ms is negative"
            )
        if self.grace_ms < 0:
            raise ValueError(f"grace must not be negative, not {self.grace_ms} ms")

    @property
    def size_ms(self) -> int:
        """Width of the window."""
        return self.before_ms + self.after_ms

    @property
    def retention_ms(self) -> int:
        """How long a record can still be matched by one that is not late.

        Kafka Streams keeps `before + after + grace`. That is too short where all of the window lies
        on one side: a left record at 0 with before 0 and after 20 waits for right ones until stream
        time is 20, the last one included, and there it would be hidden.
        """
        return self.grace_ms + max(self.size_ms, self.before_ms + 1, self.after_ms + 1)

    def bounds(self, timestamp: int, *, of_left: bool) -> tuple[int, int]:
        """Return the first and last time at which the other side matches a record at `timestamp`."""
        if of_left:
            return timestamp - self.before_ms, timestamp + self.after_ms
        return timestamp - self.after_ms, timestamp + self.before_ms

    def wait_ms(self, *, of_left: bool) -> int:
        """Return how long a record waits for a partner: until stream time exceeds its time plus this.

        ```
        left at 100, after 20, grace 5        100 ================ 120 --grace-- 125 | alone at 126
        right at 100, before 10, grace 5      100 ====== 110 --grace-- 115 | alone at 116
        ```
        """
        return (self.after_ms if of_left else self.before_ms) + self.grace_ms

    def __str__(self) -> str:
        return f"before {self.before_ms} ms, after {self.after_ms} ms, grace {self.grace_ms} ms"


def tumbling(size: timedelta, *, grace: timedelta) -> TimeWindows:
    """Return windows of `size` that follow one another without gap or overlap.

    Args:
        size: length of each window.
        grace: how long after its end, in stream time, a window still takes late records.

    Raises:
        ValueError: size is not positive, or grace is negative.

    >>> tumbling(timedelta(minutes=1), grace=timedelta(seconds=30)).starts(90_000)
    (60000,)
    """
    return TimeWindows(milliseconds(size, "window size"), milliseconds(grace, "grace"))
