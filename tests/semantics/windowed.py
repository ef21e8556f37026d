"""Windowed aggregates that cases have in common."""

from __future__ import annotations

from typing import Any

from pipeline import EmitStrategy
from pipeline.dsl.builder import StreamsBuilder
from pipeline.windows import SessionWindows, Windows
from tests.semantics.timed import Declare


def append(windows: Windows, *, final: bool = False, **store: Any) -> Declare:
    """Values in the order they were added, after `0`; sessions merged as `left|right`; `!` makes null."""

    def add(_key: str, value: str, so_far: str) -> str | None:
        return None if value == "!" else f"{so_far}+{value}"

    def declare(builder: StreamsBuilder) -> None:
        grouped: Any = builder.stream("in", key=str, value=str).group_by_key()
        windowed = grouped.windowed_by(windows)
        if final:
            windowed = windowed.emit_strategy(EmitStrategy.ON_WINDOW_CLOSE)
        mergers = [lambda _key, left, right: f"{left}|{right}"] if isinstance(windows, SessionWindows) else []
        windowed.aggregate(lambda: "0", add, *mergers, name="t", value=str, **store).to_stream().to("out")

    return declare


def count(windows: Windows, **store: Any) -> Declare:
    """How many records."""

    def declare(builder: StreamsBuilder) -> None:
        grouped: Any = builder.stream("in", key=str, value=str).group_by_key()
        grouped.windowed_by(windows).count(name="t", **store).to_stream().to("out")

    return declare
