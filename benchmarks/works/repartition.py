"""Keyed repartition: a new key, and through a topic to where it belongs."""

from __future__ import annotations

from benchmarks.events import Event
from benchmarks.works.work import SummedWork


class Repartition(SummedWork):
    """From user to host; behind the topic, a field is summed up."""

    title = "keyed repartition"

    def amount(self, event: Event) -> int:
        """Return the number in field `bytes`."""
        return event.amount
