"""Dedup: of the records with the same id within ten minutes, the first passes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from benchmarks.digest import Digest
from benchmarks.events import Event
from benchmarks.works.work import SummedWork

#: After so many records, the last of them comes a second time.
_COPY_EVERY: Final = 10


class Dedup(SummedWork):
    """By id, through a topic; one in eleven is a copy. A field of those that pass is summed up."""

    title = "dedup"
    grace_ms = 60_000

    def events(self, records: int) -> Iterator[Event]:
        """Return records with copies among them, which come right after what they are copies of."""
        for number, event in enumerate(super().events(records - records // (_COPY_EVERY + 1)), start=1):
            yield event
            if number % _COPY_EVERY == 0:
                yield event._replace(routed=None, copy=True)

    def amount(self, event: Event) -> int | None:
        """Return the number in field `bytes`; None of a copy."""
        return None if event.copy else event.amount

    def results(self, records: int, _digest: Digest) -> int:
        """Return how often the user's function is called: once a record."""
        return records
