"""Many seeds, and a report of what they met: `python -m tests.simulation --help`.

The report is also what a run goes on from: ended at any moment, the same command takes up after the
last hundred seeds that it tells of.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from pipeline.clock import SystemClock
from tests.simulation.report import Report, prepare, run

#: Seeds between two times that the report is written.
_CHUNK: Final = 100


def main(arguments: Sequence[str] | None = None) -> int:
    """Run seeds; return 1 if any failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first one")
    parser.add_argument("--processes", type=int, default=1, help="how many at a time")
    parser.add_argument("--report", type=Path, help="a page to write, and to go on from")
    given = parser.parse_args(arguments)
    report = Report(0, Counter(), []) if given.report is None else Report.read(given.report)
    clock, before = SystemClock(), report.seeds
    begun_ms = clock.now_ms()
    seeds = range(given.first + before, given.first + given.seeds)
    chunks = [seeds[start : start + _CHUNK] for start in range(0, len(seeds), _CHUNK)]
    with ProcessPoolExecutor(given.processes, get_context("spawn"), prepare) as pool:
        # In the order of the seeds, whichever process is first: the report has no holes.
        for done in pool.map(run, chunks):
            report = report.plus(done)
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
