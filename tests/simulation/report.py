"""What runs of many seeds met, as a page that a run goes on from."""

from __future__ import annotations

import gc
import logging
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from pipeline.testing.simulation import SimulationError
from tests.simulation.cases import case

_ROW: Final = re.compile(r"\| (?P<name>.+?) \| (?P<count>[\d,]+) \|")
_FAILURE: Final = re.compile(r"\* (?P<text>seed \d+.*)")

_HEAD: Final = """# Simulation: what was run, and what it met

`python -m tests.simulation --seeds {goal} --report {path}` writes this page, and goes on from it. Each
seed is one run of one of four applications (`tests/simulation`: shop, catalogue, hours, couriers) with two
or three workers, under one guarantee; everything that goes wrong is drawn from it. What must hold is in
`tests/simulation/cases.py` and `pipeline/testing/simulation/tables.py`.

Seeds {first:,} to {last:,}: **{failed}**.
"""


class Report(NamedTuple):
    """What has been run so far.

    Attributes:
        seeds: how many, from the first on.
        counts: runs by what was run, and how often what has happened.
        failures: of each that failed, what it says first.
    """

    seeds: int
    counts: Counter[str]
    failures: list[str]

    @classmethod
    def read(cls, path: Path) -> Report:
        """Read what was written; nothing, if there is none."""
        text = path.read_text() if path.exists() else ""
        counts = Counter({m["name"]: int(m["count"].replace(",", "")) for m in _ROW.finditer(text)})
        return cls(
            sum(n for name, n in counts.items() if name.startswith("runs of ")),
            counts,
            [m["text"] for m in _FAILURE.finditer(text)],
        )

    def plus(self, other: Report) -> Report:
        """Return this and what was run after it."""
        return Report(self.seeds + other.seeds, self.counts + other.counts, [*self.failures, *other.failures])

    def write(self, path: Path, first: int, goal: int) -> None:
        """Write it as a page, all at once."""
        runs = sorted(name for name in self.counts if name.startswith("runs of "))
        met = [name for name, _ in self.counts.most_common() if name not in runs and self.counts[name]]
        failed = f"{len(self.failures)} failed" if self.failures else "none failed"
        lines = [
            _HEAD.format(goal=goal, path=path, first=first, last=first + self.seeds - 1, failed=failed),
            *(f"* {failure}\n" for failure in self.failures),
            *_table("what was run", runs, self.counts),
            *_table("what happened in these runs", met, self.counts),
        ]
        draft = path.with_suffix(".tmp")
        draft.write_text("\n".join(lines))
        draft.replace(path)


def _table(title: str, names: Sequence[str], counts: Counter[str]) -> Iterator[str]:
    yield f"| {title} | times |\n| --- | ---: |"
    yield from (f"| {name} | {counts[name]:,} |" for name in names)
    yield ""


def run(seeds: Sequence[int]) -> Report:
    """Run seeds, one after the other."""
    counts: Counter[str] = Counter()
    failures = []
    for seed in seeds:
        chosen = case(seed)
        counts[f"runs of {chosen.application}, {chosen.guarantee}"] += 1
        try:
            counts.update(chosen.run())
        except SimulationError as error:
            sys.stderr.write(f"{error}\n")
            first = str(error).partition("\n")[0]
            failures.append(f"seed {chosen.seed}: {first[:300]}")
    gc.collect()
    return Report(len(seeds), counts, failures)


def prepare() -> None:
    """Make a process ready for many runs."""
    # What is dropped is dropped on purpose.
    logging.disable(logging.CRITICAL)
    # Runs leave cycles, but few of them: between two chunks is soon enough.
    gc.disable()
