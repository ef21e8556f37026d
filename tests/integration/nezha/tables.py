"""Oracle: the tables, folded from what their repartition topics hold, and the points made of them.

Within a sub-topology state is exact, whatever crashed: so a table is the fold of its own topic, also
where a crash made records come twice into it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from tests.integration.nezha.rows import Row, canonical, decoded
from tests.integration.nezha.shapes import datadog

#: (key as JSON, start of the window or None) to (value, event time in ms).
Table: TypeAlias = "dict[tuple[str, int | None], tuple[Any, int]]"
#: What identifies a point of a series to the point's whole shape.
Points: TypeAlias = "dict[bytes, dict[str, Any]]"

_MINUTE_MS: Final = 60_000
_COPIES_MS: Final = 600_000


def seen(rows: Iterable[Row]) -> Table:
    """The time at which each event id went through, in the span of ten minutes (and 1 ms) that it lies in."""
    times: dict[str, list[int]] = {}
    for row in rows:
        before = times.setdefault((row.key or b"").decode(), [])
        if all(abs(row.timestamp - other) > _COPIES_MS for other in before):
            before.append(row.timestamp)
    return {
        (json.dumps(key), at - at % (_COPIES_MS + 1)): (at, at)
        for key, found in times.items()
        for at in found
    }


def counts(rows: Iterable[Row]) -> Table:
    """Rows a minute by key, which is text."""
    table: Table = {}
    for row in rows:
        place = json.dumps((row.key or b"").decode()), _minute(row)
        count, latest = table.get(place, (0, 0))
        table[place] = count + 1, max(latest, row.timestamp)
    return table


def requests(rows: Iterable[Row]) -> Table:
    """Number, errors, total and longest duration of spans a minute by key, which is JSON."""
    table: Table = {}
    for row in rows:
        place = json.dumps(json.loads(row.key or b"")), _minute(row)
        stats, latest = table.get(place, ({}, 0))
        span = decoded(row)
        duration = span["endTimeUnixNano"] - span["startTimeUnixNano"]
        folded = {
            "requests": stats.get("requests", 0) + 1,
            "errors": stats.get("errors", 0) + (span.get("statusCode") == 2),
            "total_duration_ns": stats.get("total_duration_ns", 0) + duration,
            "max_duration_ns": max(stats.get("max_duration_ns", 0), duration),
        }
        table[place] = folded, max(latest, row.timestamp)
    return table


def points(errors: Table, per_operation: Table) -> Points:
    """The last value of every point that the two tables make."""
    series = []
    for (key, start), (count, _) in errors.items():
        series.append(datadog("errors", "count", start or 0, {"service": json.loads(key)}, count))
    for (key, start), (stats, _) in per_operation.items():
        service, operation = json.loads(key)
        tags = {"service": service, "operation": operation}
        values = (
            ("requests", "count", stats["requests"]),
            ("requests.errors", "count", stats["errors"]),
            ("requests.duration.total", "count", stats["total_duration_ns"] / 1e6),
            ("requests.duration.max", "gauge", stats["max_duration_ns"] / 1e6),
        )
        series += [datadog(name, kind, start or 0, tags, value) for name, kind, value in values]
    return last_points(series)


def last_points(series: Iterable[dict[str, Any]]) -> Points:
    """Keep the last of each point; Datadog does the same with what it is sent again."""
    return {
        canonical([each["metric"], each["tags"], each["points"][0]["timestamp"]]): each for each in series
    }


def _minute(row: Row) -> int:
    return row.timestamp - row.timestamp % _MINUTE_MS
