"""What goes wrong and passes: how long a worker waits before it tries again, and when it gives up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from pipeline.errors import (
    BrokerUnreachableError,
    CorruptStoreError,
    InstanceIdTakenError,
    RewindError,
    TaskMigratedError,
    TopicGoneError,
)
from pipeline.runtime.counters import Counters
from pipeline.runtime.retries import Retries
from pipeline.runtime.rewinds import Rewinds

#: What can pass.
Passing: TypeAlias = (
    BrokerUnreachableError | InstanceIdTakenError | RewindError | TopicGoneError | CorruptStoreError
)

#: How long another member may have this worker's instance id: twice Kafka's default session timeout, for it
#: may be this worker as it was before it crashed.
_TAKEN_MS: Final = 90_000


class Recovery:
    """Keeps what is wrong, and when the next attempt to connect is due.

    Args:
        max_rewinds: how often in a row what was in hand may be lost.
        counters: the worker's.

    Attributes:
        problem: what is wrong now, None if nothing is.
        rewinds: counts how often what was in hand was lost.
    """

    def __init__(self, max_rewinds: int, counters: Counters) -> None:
        self.problem: str | None = None
        self.rewinds = Rewinds(max_rewinds, counters)
        self._retries = Retries()
        self._taken_since_ms: int | None = None

    def due(self, now_ms: int) -> bool:
        """Whether it is time to connect."""
        return self._retries.due(now_ms)

    def went_well(self, *, member: bool) -> None:
        """Forget the trouble that there was: a turn went well.

        Args:
            member: whether the group has assigned something, if only nothing: it may refuse a member later
                than it answers.
        """
        if member:
            # A worker that comes back takes partitions from others: while all of them are slow, they need
            # time for a commit before it does so again.
            self._retries.succeed(at_all=self.rewinds.got_past)
            self._taken_since_ms = None
        if self._taken_since_ms is None:
            self.problem = None

    def note(self, error: Passing, pending: Sequence[str], now_ms: int) -> bool:
        """Take note of an error, after which the next turn tries again.

        Args:
            error: what went wrong.
            pending: where the worker begins again if it goes back to its last commit.
            now_ms: wall-clock time.

        Returns:
            Whether new clients are needed: waiting with those there are mends nothing.

        Raises:
            StuckError: what was in hand was lost too often.
            InstanceIdTakenError: for too long.
        """
        if isinstance(error, TaskMigratedError):
            self.rewinds.add(error, pending)
        if isinstance(error, InstanceIdTakenError):
            self._taken_since_ms = now_ms if self._taken_since_ms is None else self._taken_since_ms
            if now_ms - self._taken_since_ms >= _TAKEN_MS:
                raise error
        self.problem = f"{error}; trying again"
        return self._retries.fail(now_ms) or not isinstance(error, BrokerUnreachableError)

    def postpone(self, error: Passing, now_ms: int) -> None:
        """Have the next attempt to connect wait, each time twice as long."""
        self.problem = f"{error}; trying again in {self._retries.pause(now_ms) / 1000:g} s"
