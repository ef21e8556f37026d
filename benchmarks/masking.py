"""The mask that both sides of the route apply."""

from __future__ import annotations

import re
from typing import Any

from benchmarks.events import MASK
from benchmarks.log import Log

_SUBSTITUTE = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}").sub


def masked(text: str) -> str:
    """Replace every e-mail address.

    >>> masked("GET /cart for a.b+c@mail.example.org in 12 ms")
    'GET /cart for [email] in 12 ms'
    """
    return _SUBSTITUTE(MASK, text)


def masked_event(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event with every e-mail address in its message replaced."""
    return {**event, "message": masked(event["message"])}


def masked_log(log: Log) -> Log:
    """Replace every e-mail address in a log's message; return the log."""
    log.message = masked(log.message)
    return log
