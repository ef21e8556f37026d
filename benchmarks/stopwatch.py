"""Wall-clock and processor time of a stretch of work."""

from __future__ import annotations

import time

from benchmarks.measurement import Measurement


class Stopwatch:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self._wall = time.perf_counter()
        self._cpu = time.process_time()

    def stop(self, records: int) -> Measurement:
        """Return what it took since then."""
        seconds = time.perf_counter() - self._wall
        return Measurement(records=records, seconds=seconds, cpu_seconds=time.process_time() - self._cpu)
