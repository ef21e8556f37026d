"""How far restoring has come: for the log, for HTTP, for a bar on a terminal."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from pipeline.clock import Clock

_log: Final = logging.getLogger(__name__)
#: How often the log says how far it is.
_SAY_MS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Restoring:
    """How far a worker's stores are restored.

    Attributes:
        stores: number of stores that are not whole yet.
        restored: changelog records read since it began, those that compaction removed included.
        total: likewise, how many there are to read.
        rate: records a second.
        left_s: seconds left at this rate; None if nothing was read yet.
    """

    stores: int
    restored: int
    total: int
    rate: float
    left_s: float | None

    def __str__(self) -> str:
        share = 100 * self.restored // self.total if self.total else 100
        text = f"{share} %: {self.restored:,} of {self.total:,} records, {self.rate:,.0f} a second"
        return text if self.left_s is None else f"{text}, {format_seconds(self.left_s)} left"


class RestoreProgress:
    """Counts what is to be restored and what is; tells the log at the start, now and then, and at the end.

    Args:
        clock: rates are by this clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._restored = self._total = self._stores = 0
        self._began_ms = self._next_ms = 0
        self._told = False

    def begin(self, records: int) -> None:
        """Take note of a store, and of how many records are to be read for it."""
        if self._stores == 0 and not self._told:
            self._restored = self._total = 0
            self._began_ms = self._clock.now_ms()
        self._stores += 1
        self._total += records

    def read(self, records: int) -> None:
        """Take note that so many were read, or found to be missing."""
        self._restored += records

    def finish(self, unread: int = 0) -> None:
        """Take note that a store is whole, or was taken away with so many records still to be read."""
        self._stores -= 1
        self._total -= unread

    def report(self) -> None:
        """Tell the log if it is time; called as often as anything is read."""
        now = self._clock.now_ms()
        if self._stores == 0:
            if self._told:
                self._told = False
                seconds = (now - self._began_ms) / 1_000
                _log.info("restored %s records in %s", f"{self._restored:,}", format_seconds(seconds))
        elif not self._told and self._total:
            self._told, self._next_ms = True, now + _SAY_MS
            _log.info("restoring %s: %s records", _stores(self._stores), f"{self._total:,}")
        elif self._told and now >= self._next_ms:
            self._next_ms = now + _SAY_MS
            _log.info("restoring %s: %s", _stores(self._stores), self.status())

    def status(self) -> Restoring | None:
        """Return how far it is, None if nothing is being restored."""
        if self._stores == 0:
            return None
        seconds = max(1, self._clock.now_ms() - self._began_ms) / 1_000
        rate = self._restored / seconds
        left_s = (self._total - self._restored) / rate if rate else None
        return Restoring(self._stores, self._restored, self._total, rate, left_s)


def format_seconds(seconds: float) -> str:
    """Return a duration for people.

    >>> format_seconds(4.31), format_seconds(75), format_seconds(7_500)
    ('4.3 s', '1 min 15 s', '2 h 5 min')
    """
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _stores(number: int) -> str:
    return "1 store" if number == 1 else f"{number} stores"
