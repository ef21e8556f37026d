"""The mask of the route, by `re`, as all but Headrace apply it; `redaction` is the same by its `Redactor`."""

from __future__ import annotations

import re
from typing import Any, Final

from benchmarks.events import MASK
from benchmarks.log import Log

#: What is masked: the expression that each contender gives to what it masks with.
EMAIL: Final = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}"

_SUBSTITUTE = re.compile(EMAIL).sub


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
