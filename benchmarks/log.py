"""A log event, typed."""

from __future__ import annotations

import msgspec


class Log(msgspec.Struct):
    """What the fields of an event of 190 bytes are."""

    id: str
    host: str
    service: str
    severity: str
    user: str
    bytes: int
    message: str
