"""A page of results: what was asked, on what, the table, the picture, how to run it again."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.machine import describe_machine, describe_versions
from benchmarks.picture import Group, picture


def page_options(measure: str, about: str | None, runs: int) -> ArgumentParser:
    """Return the options that each measure with a page has: `--runs`, and where the page goes.

    Args:
        measure: `latency` of `python -m benchmarks.latency`.
        about: what it does.
        runs: by default.
    """
    parser = ArgumentParser(prog=f"python -m benchmarks.{measure}", description=about)
    parser.add_argument("--runs", type=int, default=runs, help=f"runs of each ({runs})")
    parser.add_argument("--output", type=Path, help="write the page to this file, and its picture beside it")
    return parser


class Page(NamedTuple):
    """One measure's results.

    Attributes:
        title: heading, and title of the picture.
        command: what prints it.
        text: what is measured, and how.
        header: of the table's columns; the first ones are text, the others numbers.
        texts: how many are text.
        rows: the table.
        groups: the picture.
        notes: conditions beyond machine and versions, and what there is to say about the results.
    """

    title: str
    command: str
    text: str
    header: Sequence[str]
    texts: int
    rows: Sequence[Sequence[str]]
    groups: Sequence[Group]
    notes: Sequence[str] = ()

    def markdown(self, image: str) -> str:
        """Return the page; `image` is where the picture is."""
        facts = [f"machine: {describe_machine()}", f"versions: {describe_versions()}", *self.notes]
        listed = "".join(f"* {fact}\n" for fact in facts)
        rows = table(self.header, self.texts, self.rows)
        return (
            f"# {self.title}\n\n`{self.command}`: {self.text}\n\n![{self.title}]({image})\n\n{rows}\n{listed}"
        )

    def publish(self, output: Path | None) -> None:
        """Print it; write it to a file, and the picture beside it, if there is to be one."""
        image = "picture.svg" if output is None else output.with_suffix(".svg").name
        text = self.markdown(image)
        print(text)
        if output is not None:
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_text(text, encoding="utf-8")
            output.with_suffix(".svg").write_text(picture(self.title, self.groups), encoding="utf-8")


def table(header: Sequence[str], texts: int, rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns after the first `texts` are numbers."""
    ruler = [*("---",) * texts, *("--:",) * (len(header) - texts)]
    return "".join(f"| {' | '.join(row)} |\n" for row in (header, ruler, *rows))


def verdict(value: float, goal: float, *, at_most: bool = True) -> str:
    """Return whether a goal is met, for a table."""
    met = value <= goal if at_most else value >= goal
    return f"{'<=' if at_most else '>='} {goal:g} {'met' if met else 'MISSED'}"


def median_of(runs: Sequence[Any], field: str) -> float:
    """Return the median of a field of several runs."""
    return float(median(getattr(run, field) for run in runs))


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return least and greatest, for a table.

    >>> spread([2.0, 1.0])
    '1.00-2.00'
    """
    return f"{min(values):.{digits}f}-{max(values):.{digits}f}"
