"""One measurement in a process of its own: `python -m benchmarks.measure JOB`, a JSON `Job`.

Prints a JSON `Measurement`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from benchmarks import engine
from benchmarks.handwritten.count import count
from benchmarks.handwritten.read import read
from benchmarks.handwritten.restore import restore
from benchmarks.handwritten.route import route
from benchmarks.measurement import Job, Measurement, WorkName
from benchmarks.program import answer, job_of_command_line
from pipeline.runtime import allocator, collector, switching

_BY_HAND: Final[dict[WorkName, Callable[[Job], Measurement]]] = {
    "read": read,
    "decode": read,
    "route": route,
    "count": count,
    "restore": restore,
}


def main() -> None:
    """Do the job that the command line carries."""
    job = job_of_command_line()
    # As the engine does before its thread starts.
    allocator.settle()
    collector.settle()
    switching.settle()
    answer(_run_of(job)(job))


def _run_of(job: Job) -> Callable[[Job], Measurement]:
    if job.contender == "hand-written":
        return _BY_HAND[job.work]
    if job.work == "flagship":
        from benchmarks.flagship import flagship  # noqa: PLC0415 - others need not load the application

        return flagship
    return engine.run


if __name__ == "__main__":
    main()
