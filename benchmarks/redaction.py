"""The mask of the route, as a user of Headrace applies it: the same expression, given to a `Redactor`."""

from __future__ import annotations

from typing import Any

from benchmarks.events import MASK
from benchmarks.log import Log
from benchmarks.masking import EMAIL
from pipeline.observability.redact import Redactor, Rule

_redacted = Redactor((Rule.from_pattern("email", EMAIL),), MASK).text


def redacted_event(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event with every e-mail address in its message replaced."""
    return {**event, "message": _redacted(event["message"])}


def redacted_log(log: Log) -> Log:
    """Replace every e-mail address in a log's message; return the log."""
    log.message = _redacted(log.message)
    return log
