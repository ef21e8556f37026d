"""Which events are questions, by their headers."""

from __future__ import annotations

from typing import Final

from pipeline.record import Headers

#: The topic that the answer goes to.
REPLY_TO: Final = "__headrace.reply-to"
#: Which question it answers.
CORRELATION_ID: Final = "__headrace.correlation-id"
#: In the name of every topic of answers: a header cannot name another one.
REPLIES: Final = "-replies-"


def asked_by(headers: Headers) -> tuple[str, bytes] | None:
    """Return where the answer to an event goes, and which question it answers; None if it is none."""
    found = {name: value for name, value in headers if name in {REPLY_TO, CORRELATION_ID}}
    if len(found) != 2:  # noqa: PLR2004 - both of them
        return None
    topic, correlation = (found[REPLY_TO] or b"").decode(errors="replace"), found[CORRELATION_ID] or b""
    return (topic, correlation) if REPLIES in topic else None


def without_question(headers: Headers) -> Headers:
    """Return an event's own headers: what follows from it is no question."""
    return tuple(each for each in headers if each[0] not in {REPLY_TO, CORRELATION_ID})
