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
#: What stands for something else in a regular expression; and what says how often the last thing comes.
_SPECIAL: Final = frozenset(".^$[]()|")
_REPEATS: Final = frozenset("*+?{")


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

    @property
    def literal_prefix(self) -> str:
        r"""How every topic that matches begins, as far as that is easily seen; empty where it is not.

        >>> topic_pattern(re.compile(r"logs\.(eu|us)"), "a source").literal_prefix
        'logs.'
        """
        text: str = self.regex.pattern
        if self.regex.flags & (re.IGNORECASE | re.VERBOSE) or _has_alternatives(text):
            return ""
        text, prefix = text.removeprefix("^"), ""
        while text:
            literal, escaped = (text[1:2], True) if text[0] == "\\" else (text[0], False)
            rest = text[2 if escaped else 1 :]
            if (literal.isalnum() if escaped else literal in _SPECIAL) or rest[:1] in _REPEATS:
                break
            prefix, text = prefix + literal, rest
        return prefix


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


def _has_alternatives(regex: str) -> bool:
    """Whether a regular expression is several ones, apart from those within its groups."""
    bare = re.sub(r"\[\^?\]?[^\]]*\]", "", re.sub(r"\\.", "", regex, flags=re.DOTALL))
    while (outer := re.sub(r"\([^()]*\)", "", bare)) != bare:
        bare = outer
    return "|" in bare
