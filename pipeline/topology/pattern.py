"""Topics chosen by their names: regular expressions, and wildcards as NATS has them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pipeline.errors import TopologyError

_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_WILDCARD: Final = "*"
_TAIL: Final = ">"
_ONE: Final = r"[^.]+"
_REST: Final = r"[^.]+(?:\.[^.]+)*"


@dataclass(frozen=True, slots=True)
class TopicPattern:
    """Which topics a source reads, whenever they come to be.

    ```
                logs   logs.web   logs.web.eu   metrics.web
    logs.*              x
    logs.>              x          x
    *.web               x                        x
    ```

    Attributes:
        text: as the user wrote it.
        regex: what a topic's whole name must match.
    """

    text: str
    regex: re.Pattern[str]

    def matches(self, topic: str) -> bool:
        """Whether a topic is read. Kafka's own topics, such as `__consumer_offsets`, never are."""
        return not topic.startswith("__") and self.regex.fullmatch(topic) is not None


def is_pattern(given: object) -> bool:
    """Whether what a user gave as a topic is a pattern: no topic's name can hold a wildcard."""
    return isinstance(given, re.Pattern) or (
        isinstance(given, str) and (_WILDCARD in given or _TAIL in given)
    )


def topic_pattern(given: str | re.Pattern[str], what: str) -> TopicPattern:
    """Return the pattern that a user wrote.

    Tokens are separated by dots. `*` stands for one token, `>`, as the last one, for one or more.

    Raises:
        TopologyError: it is no pattern; `what` says whose.
    """
    if isinstance(given, re.Pattern):
        if not isinstance(given.pattern, str):
            raise TopologyError(f"{what}: {given!r} is a pattern of bytes: give one of text")
        return TopicPattern(given.pattern, given)
    parts = given.split(".")
    tail = [_REST] if parts[-1] == _TAIL else []
    for part in parts[: len(parts) - len(tail)]:
        if part != _WILDCARD and not _NAME.fullmatch(part):
            raise TopologyError(
                f"{what}: {given!r} is no pattern: between dots stand names or *, at the end > may stand for "
                "all the rest; anything else is a regular expression: re.compile(...)"
            )
    names = [_ONE if part == _WILDCARD else re.escape(part) for part in parts[: len(parts) - len(tail)]]
    return TopicPattern(given, re.compile(r"\.".join(names + tail)))
