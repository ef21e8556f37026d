"""Joins: a stream with another stream, within a minute, and with a table."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.events import USERS, Event, make_events, users_in_turn
from benchmarks.works.work import PER_MINUTE, SummedWork


class StreamJoin(SummedWork):
    """Half of the records on either side, by user; each meets the one next to it, within a minute."""

    title = "stream-stream join"
    has_other = True

    def events(self, records: int) -> Iterator[Event]:
        """Return records of users in turn, each on the one side and then on the other."""
        pairs = make_events(
            records // 2, self.place.start_ms, USERS // 2, users_in_turn, self.case.value_bytes
        )
        for event in pairs:
            yield event
            yield event._replace(topic="other")

    def amount(self, event: Event) -> int | None:
        """Return the sum of field `bytes` of both, which is the same in both."""
        return None if event.topic == "source" else 2 * event.amount


class TableJoin(SummedWork):
    """A stream with a table of 100,000 users, in RocksDB, which is read first."""

    title = "stream-table join"
    has_other = True

    def events(self, records: int) -> Iterator[Event]:
        """Return a row of each user, all of them a minute before the first record, and the records."""
        rows = min(USERS, max(1, records // 10))
        self._amounts: dict[bytes, int] = {}
        for event in make_events(
            rows, self.place.start_ms - 2 * 60_000, rows, users_in_turn, self.case.value_bytes
        ):
            self._amounts[event.key] = event.amount
            yield event._replace(topic="other")
        yield from make_events(
            records - rows,
            self.place.start_ms,
            PER_MINUTE,
            lambda number: number * 7_919 % rows,
            self.case.value_bytes,
        )

    def amount(self, event: Event) -> int | None:
        """Return the sum of field `bytes` of the record and of its user's row."""
        return None if event.topic == "other" else event.amount + self._amounts[event.key]
