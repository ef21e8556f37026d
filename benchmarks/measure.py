"""One measurement in a process of its own: `python -m benchmarks.measure JOB`, a JSON `Job`.

Prints a JSON `Measurement`.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Final

import msgspec

from benchmarks import engine
from benchmarks.handwritten.count import count
from benchmarks.handwritten.restore import restore
from benchmarks.handwritten.route import route
from benchmarks.measurement import Job, Measurement, Side, Work

_RUNS: Final[dict[tuple[Side, Work], Callable[[Job], Measurement]]] = {
    ("headrace", "route"): engine.route,
    ("headrace", "count"): engine.count,
    ("headrace", "restore"): engine.restore,
    ("hand-written", "route"): route,
    ("hand-written", "count"): count,
    ("hand-written", "restore"): restore,
}


def main() -> None:
    """Do the job that the command line carries."""
    job = msgspec.json.decode(sys.argv[1], type=Job)
    # As the engine's thread does before it starts.
    gc.collect()
    gc.freeze()
    measured = _RUNS[job.side, job.work](job)
    print(msgspec.json.encode(measured).decode())


if __name__ == "__main__":
    main()
