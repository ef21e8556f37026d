"""Read, and read and decode: what every other work begins with."""

from __future__ import annotations

from benchmarks.events import Event
from benchmarks.works.work import SummedWork


class Read(SummedWork):
    """Read bytes; their lengths are summed up."""

    title = "read"

    def amount(self, event: Event) -> int:
        """Return the length of the value."""
        return len(event.value)


class Decode(SummedWork):
    """Read and decode; a field is summed up."""

    title = "read and decode"

    def amount(self, event: Event) -> int:
        """Return the number in field `bytes`."""
        return event.amount
