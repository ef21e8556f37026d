"""Session windows: they last as long as records keep coming."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, Protocol

from pipeline.declaration import declares
from pipeline.windows.duration import check_at_least, milliseconds


class Session(NamedTuple):
    """The window of a session: its first and its last record's time, both included, in ms."""

    start: int
    end: int


class Bounded(Protocol):
    """Whatever has the bounds of a session."""

    @property
    def start(self) -> int:
        """The first record's time in ms."""
        ...

    @property
    def end(self) -> int:
        """The last record's."""
        ...


@dataclass(frozen=True, slots=True)
class SessionWindows:
    """Windows `[first record, last record]` of records of which none is further from the next than `gap`.

    ```
    time     0    5    10   15   20     gap 5
    records  a  b         c   d         sessions [0,3] and [13,17]
    then             e                  e@8 is 5 from b and 5 from c: one session [0,17]
    ```

    A record that lies between two sessions makes them one: they are merged (rule a2.5). A session takes
    records while stream time is at most `end + gap + grace`.

    Attributes:
        gap_ms: the longest silence within a session.
        grace_ms: how much later than that records may come.
    """

    gap_ms: int
    grace_ms: int

    def __post_init__(self) -> None:
        check_at_least("session gap", self.gap_ms, 1)
        check_at_least("grace", self.grace_ms, 0)

    @property
    def retention_ms(self) -> int:
        """How long a session can still be joined by a record that is not late.

        ```
        gap 10, grace 5, stream time 100      closed until 84
        a@85 is not late                      joins what ended at 75 or after
        a@75 is accepted if it joins [85,85]  joins what ended at 65 or after
        ```

        What lies further back can only be reached through a session that is still open and began before
        `stream time - gap - grace`: there is no bound to how far. Such a record counts in the open session
        alone, unless a longer retention is asked for.
        """
        return 3 * self.gap_ms + self.grace_ms + 1

    @property
    def least_retention_ms(self) -> int:
        """The shortest retention that a user may ask for, which is Kafka Streams'."""
        return self.gap_ms + self.grace_ms

    def closed_until(self, stream_time: int) -> int:
        """Return until which end sessions are closed: those that end then or before change no more."""
        return stream_time - self.grace_ms - self.gap_ms - 1

    def near(self, timestamp: int) -> tuple[int, int]:
        """Return the earliest end and the latest start of sessions that a record joins, both included."""
        return timestamp - self.gap_ms, timestamp + self.gap_ms

    def merged(self, timestamp: int, sessions: Iterable[Bounded]) -> Session:
        """Return the session of a record and of all the sessions that it joins.

        >>> SessionWindows(gap_ms=5, grace_ms=0).merged(8, [Session(0, 3), Session(13, 17)])
        Session(start=0, end=17)
        """
        start = end = timestamp
        for session in sessions:
            if session.start < start:  # noqa: PLR1730 - calls of min and max for every record
                start = session.start
            if session.end > end:  # noqa: PLR1730
                end = session.end
        return Session(start, end)

    def __str__(self) -> str:
        return f"session gap {self.gap_ms} ms, grace {self.grace_ms} ms"


@declares
def session(gap: timedelta, *, grace: timedelta) -> SessionWindows:
    """Return windows that last as long as records of a key keep coming.

    Args:
        gap: the longest silence within a session: records exactly that far apart still belong together.
        grace: how much later than that, in stream time, records may come.

    Raises:
        TopologyError: gap is not positive, or grace is negative.
    """
    return SessionWindows(milliseconds(gap, "session gap"), milliseconds(grace, "grace"))
