"""How often the worker may go back to its last commit without getting past it.

A record that takes longer than the group or the transaction waits for this worker is never committed: the
partitions go elsewhere or the transaction is aborted, and whoever goes on meets the same record. Only so many
times: an error that names the record is better than a worker that is busy for ever.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.errors import StuckError
from pipeline.runtime.counters import Counters


class Rewinds:
    """Counts them.

    Args:
        limit: so many in a row, with records processed each time and nothing committed, are too many.
        counters: the worker's.
    """

    def __init__(self, limit: int, counters: Counters) -> None:
        self._limit, self._counters = limit, counters
        self._in_a_row = 0
        self._commits = self._processed = 0

    @property
    def got_past(self) -> bool:
        """Whether something was committed since the last one."""
        return self._in_a_row == 0 or self._counters["commits"] != self._commits

    def add(self, reason: object, pending: Sequence[str]) -> None:
        """Take note that what was in hand is lost.

        Args:
            reason: why, for the message.
            pending: where it begins again.

        Raises:
            StuckError: too often in a row.
        """
        commits, processed = self._counters["commits"], self._counters["records_processed"]
        if processed == self._processed:
            # Nothing was in hand.
            return
        self._in_a_row = 1 if commits != self._commits else self._in_a_row + 1
        self._commits, self._processed = commits, processed
        if self._in_a_row >= self._limit:
            where = ", ".join(pending) or "it"
            raise StuckError(
                f"the worker went back to its last commit {self._in_a_row} times in a row (max_rewinds) and "
                f"did not get past it; it begins again at {where}; the last time: {reason}. Find what takes "
                "so long there, raise transaction_timeout= (with exactly-once) or max.poll.interval.ms (in "
                "broker_settings=), or commit past it"
            )
