"""A table's page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from benchmarks.page import Page, spread
from benchmarks.picture import Bar, Group
from benchmarks.results import BY_HAND, KAFKA_STREAMS, OURS, Results, Row

_HEADER: Final = (
    "work",
    "contender",
    "k records/s",
    "min-max",
    "of Headrace",
    "of hand-written",
    "of Kafka Streams",
    "CPU us",
    "records",
)
_KILO: Final = 1_000
_SLOW_KILO: Final = 20


def page_of(results: Results, command: str) -> Page:
    """Return a table's page."""
    return Page(
        title=results.title,
        command=command,
        text=(
            "thousands of records a second on Apache Kafka, from the first record in hand to the last "
            f"result committed; medians of {results.runs} runs in turns, each in a process of its own, whose "
            "results were checked before its time counted. Ratios are of medians; Kafka Streams' is its best "
            "of one and two threads. CPU: microseconds of the contender's process per record, which is "
            "seconds per million."
        ),
        header=_HEADER,
        texts=2,
        rows=[cells for row in results.rows for cells in rows_of(row, results.titles)],
        groups=[_group(row, results.titles) for row in results.rows],
        notes=results.notes,
    )


def rows_of(row: Row, titles: dict[str, str]) -> Iterator[tuple[str, ...]]:
    """Return the lines of a work: one a contender."""
    for name, runs in row.runs.items():
        rates = [run.rate / _KILO for run in runs]
        yield (
            row.title,
            titles[name],
            _thousands(row.median(name) or 0.0),
            spread(rates, 0 if min(rates) >= _SLOW_KILO else 1),
            *(_ratio(row.ratio(name, other)) for other in (OURS, BY_HAND, KAFKA_STREAMS)),
            f"{row.median(name, 'cpu') or 0.0:.1f}",
            f"{runs[0].records:,}",
        )
    for name, reason in row.refusals.items():
        yield row.title, titles[name], reason, *[""] * (len(_HEADER) - 3)


def _group(row: Row, titles: dict[str, str]) -> Group:
    rates = {titles[name]: row.median(name) or 0.0 for name in row.runs}
    bars = [Bar(title, rate, _thousands(rate)) for title, rate in rates.items()]
    return Group(f"{row.title}, k records/s", bars)


def _thousands(rate: float) -> str:
    """Return thousands, with a decimal where it says something."""
    kilo = rate / _KILO
    return f"{kilo:.0f}" if kilo >= _SLOW_KILO else f"{kilo:.1f}"


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"
