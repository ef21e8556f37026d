"""The client's log lines, each once: while a broker is away, it says so twenty times a second."""

from __future__ import annotations

import logging
import re
from typing import Final

#: What differs between lines that say the same: which client says it, and how long it waited.
_VARYING: Final = re.compile(r"\[[^\]]*#(?:producer|consumer)-\d+\] |\(after [^)]*\)|\d+ ?ms")
#: How long a line is not said again.
_QUIET_S: Final = 30.0
#: Lines remembered: they name brokers and topics, so there are few.
_REMEMBERED: Final = 1_000


class Repeats(logging.Filter):
    """Lets a line through, and those that say the same only after half a minute, with how many there were."""

    def __init__(self) -> None:
        super().__init__()
        #: By what it says: when that was last let through, and how often it came since.
        self._said: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a line is logged."""
        text = record.getMessage()
        what = _VARYING.sub("", text)
        said_at, more = self._said.pop(what, (record.created - _QUIET_S, 0))
        if record.created - said_at < _QUIET_S:
            self._said[what] = (said_at, more + 1)
            return False
        if more:
            record.msg, record.args = "%s (%d more like it since)", (text, more)
        while len(self._said) >= _REMEMBERED:
            del self._said[next(iter(self._said))]
        self._said[what] = (record.created, 0)
        return True
