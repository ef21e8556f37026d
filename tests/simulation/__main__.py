"""Many seeds, one after the other, and a report of what they met: `python -m tests.simulation --help`.

The report is also what a run goes on from: ended at any moment, the same command takes up after the
last hundred seeds that it tells of.
"""

from __future__ import annotations

import argparse
import gc
import logging
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from pipeline.clock import SystemClock
from pipeline.testing.simulation import SimulationError
from tests.simulation.cases import Case, case

#: Seeds between two times that the report is written.
_CHUNK: Final = 100
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

    def write(self, path: Path, first: int, goal: int) -> None:
        """Write it as a page, all at once."""
        runs = sorted(name for name in self.counts if name.startswith("runs of "))
        met = [name for name, _ in self.counts.most_common() if name not in runs and self.counts[name]]
        failed = f"{len(self.failures)} failed" if self.failures else "none failed"
        lines = [
            _HEAD.format(goal=goal, path=path, first=first, last=first + self.seeds - 1, failed=failed),
            *(f"* {failure}" for failure in self.failures),
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


def _run(chosen: Case, report: Report) -> Report:
    report.counts[f"runs of {chosen.application}, {chosen.guarantee}"] += 1
    try:
        report.counts.update(chosen.run())
    except SimulationError as error:
        print(error, file=sys.stderr, flush=True)
        first = str(error).partition("\n")[0]
        report.failures.append(f"seed {chosen.seed}: {first[:300]}")
    return report._replace(seeds=report.seeds + 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run seeds; return 1 if any failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first one")
    parser.add_argument("--report", type=Path, help="a page to write, and to go on from")
    given = parser.parse_args(arguments)
    # What is dropped is dropped on purpose.
    logging.disable(logging.CRITICAL)
    # Runs leave cycles, but few of them: between two chunks is soon enough.
    gc.disable()
    report = Report(0, Counter(), []) if given.report is None else Report.read(given.report)
    clock, before = SystemClock(), report.seeds
    begun_ms = clock.now_ms()
    seeds = iter(range(given.first + before, given.first + given.seeds))
    while chunk := list(islice(seeds, _CHUNK)):
        for seed in chunk:
            report = _run(case(seed), report)
        gc.collect()
        if given.report is not None:
            report.write(given.report, given.first, given.seeds)
        seconds = max(1, clock.now_ms() - begun_ms) / 1_000
        print(
            f"{report.seeds:,} of {given.seeds:,} seeds, {len(report.failures)} failed, "
            f"{(report.seeds - before) / seconds:.1f} a second",
            flush=True,
        )
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
