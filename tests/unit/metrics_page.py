"""The page of metrics, `docs/metrics.md`: its tables are written from the catalogue.

make metrics
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

from pipeline.runtime.metrics.catalog import CATALOG, Metric

PAGE: Final = Path(__file__).parent.parent.parent / "docs" / "metrics.md"
_MARK: Final = "<!-- From the catalogue: `make metrics` writes what follows. -->\n"

_HEAD: Final = "| name | kind | labels | unit | what it says |\n| --- | --- | --- | --- | --- |\n"


def page(text: str) -> str:
    """Return the page with its tables written anew; what stands before the mark is kept."""
    head, mark, _ = text.partition(_MARK)
    assert mark, f"{PAGE} has lost its mark"
    return head + mark + "".join(_tables())


def _tables() -> Iterator[str]:
    metrics = [metric for metric in CATALOG.values() if not _is_rate(metric)]
    ordered = sorted(metrics, key=lambda metric: _order(metric.group))
    for group, members in groupby(ordered, key=lambda metric: metric.group):
        title = "Headrace's own" if group == "headrace" else f"Kafka's `{group}`"
        yield f"\n## {title}\n\n{_HEAD}"
        yield from map(_row, members)


def _order(group: str) -> int:
    groups = list(dict.fromkeys(metric.group for metric in CATALOG.values()))
    return len(groups) if group == "headrace" else groups.index(group)


def _is_rate(metric: Metric) -> bool:
    return metric.unit == "1/s"


def _row(metric: Metric) -> str:
    name = f"`{metric.prometheus}`"
    if metric.rate:
        name += f"<br>`{metric.as_rate.prometheus}`"
    kind = "counter, and its growth a second" if metric.rate else "counter" if metric.is_counter else "gauge"
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| {name} | {kind} | {labels} | {metric.unit} | {metric.text} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
