"""What a producer could not deliver."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.record import Headers


class Undelivered(NamedTuple):
    """A record that the broker refused."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: Headers
    reason: str
    #: Not refused: nobody acknowledged it in time.
    timed_out: bool = False
