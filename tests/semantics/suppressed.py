"""What tables of suppress' cases have in common."""

from __future__ import annotations

from typing import Any, TypeAlias

from pipeline import BufferConfig, KTable, until_time_limit, until_window_closes
from pipeline.dsl.builder import StreamsBuilder
from pipeline.suppression import Suppressed
from tests.semantics.timed import Declare, Step, ms

Table: TypeAlias = KTable[Any, Any]


def rows(builder: StreamsBuilder, topic: str = "R", **options: Any) -> Table:
    return builder.table(topic, name=topic.lower(), value=str, **options)


def windowed(windows: Any, until: Suppressed | None = None, *, caching: bool = True) -> Declare:
    """Counts of each key and window, once they are final."""

    def declare(builder: StreamsBuilder) -> None:
        grouped = builder.stream("L", key=str, value=str).group_by_key()
        counts = grouped.windowed_by(windows).count(name="counts", caching=caching)
        final = counts.suppress(until or until_window_closes(BufferConfig()), name="final")
        final.to_stream(lambda window, _: f"{window.key}[{window.start},{window.end})", key=str).map_values(
            lambda _, count: None if count is None else str(count), value=str
        ).to("out")

    return declare


def limited(until: Suppressed, **options: Any) -> Declare:
    def declare(builder: StreamsBuilder) -> None:
        rows(builder, **options).suppress(until, name="held").to_stream().to("out")

    return declare


def wait(milliseconds: int, **buffer: Any) -> Suppressed:
    return until_time_limit(ms(milliseconds), BufferConfig(**buffer))


def after(steps: list[str], *outputs: str) -> list[Step]:
    return list(zip(steps, outputs, strict=True))
