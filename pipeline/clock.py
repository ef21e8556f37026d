"""The only module that reads the system's time.

Everything else takes time as an argument, or a `Clock`: so the worker runs in tests and in
simulations at whatever time they say.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Wall-clock time for everything that needs it."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
        ...

    def now_ns(self) -> int:
        """Nanoseconds since some moment: for durations. It never goes back."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
        return time.time_ns() // 1_000_000

    def now_ns(self) -> int:
        """Nanoseconds since some moment."""
        return time.perf_counter_ns()


class ManualClock:
    """A clock that moves only when it is told to.

    >>> clock = ManualClock(1_000)
    >>> clock.advance(500)
    >>> clock.now_ms()
    1500
    """

    def __init__(self, now_ms: int = 0) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Milliseconds since the epoch, as last set."""
        return self._now_ms

    def now_ns(self) -> int:
        """Nanoseconds since the epoch, as last set."""
        return self._now_ms * 1_000_000

    def advance(self, ms: int) -> None:
        """Move forward by `ms` milliseconds."""
        if ms < 0:
            raise ValueError(f"a clock does not run backwards: {ms} ms")
        self._now_ms += ms
