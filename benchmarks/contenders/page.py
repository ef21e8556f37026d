"""docs/benchmarks/contenders.md: who is measured, with which settings and why."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.contenders.contender import Contender
from benchmarks.page import table

_HEAD = """# Who is measured, and how

Each at its best reasonable settings, in a process and an environment of its own; what is not listed is the
default. Commits are at least once, every second, unless a table says exactly-once: then every 100 ms. A slow
contender is given the first records of the topic that the others are given: its share is listed here,
the number in each table.

"""


def contenders_page(contenders: Iterable[Contender]) -> str:
    """Return the page."""
    return _HEAD + "\n".join(map(_section, contenders))


def _section(contender: Contender) -> str:
    settings = table(("setting", "value", "why"), 3, contender.settings)
    lines = [f"## {contender.title}", "", f"`{contender.name}`"]
    if contender.share > 1:
        lines[-1] += f": one of {contender.share} records"
    if contender.refusals:
        refused = "; ".join(f"{what}: {reason}" for what, reason in contender.refusals.items())
        lines += ["", f"Not at: {refused}."]
    return "\n".join([*lines, "", settings])
