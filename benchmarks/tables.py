"""The tables: which works, with which values, and how many records."""

from __future__ import annotations

from typing import Final, NamedTuple

from benchmarks.works import WORKS
from benchmarks.works.work import Case


class Table(NamedTuple):
    """What is measured together and written on one page.

    Attributes:
        title: of the page.
        cases: its rows.
        share: its works take longer: one in so many of the records.
    """

    title: str
    cases: tuple[Case, ...]
    share: int = 1


TABLES: Final[dict[str, Table]] = {
    "read": Table(
        "Read, and read and decode",
        (
            Case("read"),
            Case("decode"),
            Case("decode", "typed"),
            Case("decode", "avro"),
            Case("decode", value_bytes=768),
            Case("decode", value_bytes=1_024),
        ),
    ),
    "route": Table(
        "Route: decode, filter, mask e-mail addresses, encode, write",
        (
            Case("route"),
            Case("route", "typed"),
            Case("route", "avro"),
            Case("route", value_bytes=768),
            Case("route", value_bytes=1_024),
        ),
    ),
    "keys": Table("By another key: repartition, dedup", (Case("repartition"), Case("dedup")), share=2),
    "count": Table(
        "One-minute count and sum over 100,000 keys, RocksDB and changelog",
        (Case("count"), Case("count", exactly_once=True)),
    ),
    "windows": Table("Hopping and session windows", (Case("hopping"), Case("session")), share=2),
    "joins": Table("Joins", (Case("stream-join"), Case("table-join")), share=2),
    "restore": Table("Restore: two windows of a minute for each user and minute", (Case("restore"),)),
    "flagship": Table("The flagship: logs and spans to all destinations", (Case("flagship"),), share=10),
}


def title_of(case: Case) -> str:
    """Return what a row is called."""
    formats = {"open": "JSON", "typed": "typed JSON", "avro": "Avro"}
    if case.work == "flagship":
        return WORKS[case.work].title
    parts = [WORKS[case.work].title]
    if case.work in {"decode", "route"}:
        parts.append(formats[case.format])
    parts.append(f"{case.value_bytes} B")
    if case.work == "count":
        parts.append("exactly-once" if case.exactly_once else "at-least-once")
    return ", ".join(parts)
