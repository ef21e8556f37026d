"""Event times that no clock has shown, through every operator that does arithmetic with time.

A topic may hold any time; a record whose time is out of range is a dead letter, and one from the year 9999
is not: time passes eight thousand years at once, and comes back.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any, Final

from pipeline import (
    BufferConfig,
    EmitStrategy,
    Processor,
    PunctuationType,
    Record,
    hopping,
    session,
    sliding,
    tumbling,
    until_time_limit,
    until_window_closes,
)
from pipeline.dsl.builder import StreamsBuilder
from tests.poison.inputs import LAST_MS

SECOND: Final = timedelta(seconds=1)

#: Around what is taken, and far beyond it.
_EDGES: Final = (0, 1, 999, 1_000, LAST_MS, LAST_MS - 1, LAST_MS + 1, 2**53, 2**62, 2**63 - 1)


class Ticking(Processor[Any, Any, Any, Any]):
    """Punctuates each millisecond of stream time."""

    def init(self, context: Any) -> None:
        context.schedule(timedelta(milliseconds=1), PunctuationType.STREAM_TIME, lambda _time: None)

    def process(self, record: Record[Any, Any]) -> None:
        pass


def _stream(builder: StreamsBuilder, topic: str = "in") -> Any:
    return builder.stream(topic, key=str, value=str)


def _joined(_key: Any, left: Any, right: Any) -> str:
    return f"{left}{right}"


#: By name: what is declared over the topics `in` and `other`.
TIMED: Final[dict[str, Callable[[StreamsBuilder], object]]] = {
    "tumbling": lambda b: (
        _stream(b)
        .group_by_key()
        .windowed_by(tumbling(SECOND, grace=SECOND))
        .count(name="t")
        .to_stream()
        .to("out")
    ),
    "hopping, each window when it closes": lambda b: (
        _stream(b)
        .group_by_key()
        .windowed_by(hopping(10 * SECOND, advance=SECOND, grace=SECOND))
        .emit_strategy(EmitStrategy.ON_WINDOW_CLOSE)
        .count(name="t")
        .to_stream()
        .to("out")
    ),
    "sliding": lambda b: (
        _stream(b)
        .group_by_key()
        .windowed_by(sliding(SECOND, grace=SECOND))
        .count(name="t")
        .to_stream()
        .to("out")
    ),
    "session": lambda b: (
        _stream(b)
        .group_by_key()
        .windowed_by(session(SECOND, grace=SECOND))
        .count(name="t")
        .to_stream()
        .to("out")
    ),
    "session without an end": lambda b: (
        _stream(b)
        .group_by_key()
        .windowed_by(session(timedelta(days=4_000_000), grace=timedelta(days=4_000_000)))
        .count(name="t")
        .to_stream()
        .to("out")
    ),
    "suppress until windows close": lambda b: (
        _stream(b)
        .group_by_key()
        .windowed_by(tumbling(SECOND, grace=SECOND))
        .count(name="t")
        .suppress(until_window_closes(BufferConfig()), name="s")
        .to_stream()
        .to("out")
    ),
    "suppress until a time limit": lambda b: (
        _stream(b)
        .group_by_key()
        .count(name="t")
        .suppress(until_time_limit(SECOND, BufferConfig()), name="s")
        .to_stream()
        .to("out")
    ),
    "outer join of streams": lambda b: (
        _stream(b)
        .outer_join(_stream(b, "other"), _joined, within=SECOND, grace=SECOND, name="j")
        .to("out", value=str)
    ),
    "join with a table of many versions": lambda b: (
        _stream(b)
        .join(b.table("other", name="v", key=str, value=str, history=SECOND), _joined, grace=SECOND, name="j")
        .to("out", value=str)
    ),
    "punctuation each millisecond": lambda b: _stream(b).process(Ticking, name="ticking"),
}


def event_time(random: Random) -> int:
    """Return an event time, ms: often one near another."""
    at = random.choice([*_EDGES, random.randrange(LAST_MS), 2**63 - 1 - random.randrange(2**63)])
    return max(0, at + random.choice([0, 0, -1_000, -500]))
