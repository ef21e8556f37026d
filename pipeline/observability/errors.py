"""What can be wrong with an event."""

from __future__ import annotations

from pipeline.errors import StreamsError


class InvalidEventError(StreamsError):
    """An event lacks a required field, has one of the wrong type, or is no event at all.

    Attributes:
        field: the field at fault; None where it is the event as a whole.
        reason: what is wrong with it. Values are not quoted: they may hold what must not leak
            into a dead letter's headers.
    """

    def __init__(self, reason: str, *, field: str | None = None) -> None:
        super().__init__(f"invalid event: {reason}" if field is None else f"invalid event: {field}: {reason}")
        self.field = field
        self.reason = reason
