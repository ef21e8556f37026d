"""The flagship at work: until each event is where it belongs, and all is committed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.engine import commit, worker_of
from benchmarks.measurement import Job, Measurement
from benchmarks.stopwatch import Stopwatch
from benchmarks.topics import ends
from benchmarks.works.flagship import ARRIVALS
from demo.topics import DEAD_LETTERS
from pipeline.config import StreamsConfig
from topologies.observability import app

#: After so many records without looking, it looks whether all have arrived.
_LOOK_EVERY: Final = 20_000


def flagship(job: Job) -> Measurement:
    """Run until everything has arrived."""
    config = StreamsConfig("observability", Path(job.state_dir), dead_letter=DEAD_LETTERS)
    worker = worker_of(job, app.topology, config)
    try:
        watch, looked = None, 0
        while True:
            started = Stopwatch()
            moved = worker.step()
            done = worker.status().metrics.get("records_processed", 0)
            if watch is None and done:
                watch = started
            # What waits in the producer is not there yet: a commit sends it.
            if watch is not None and (not moved or done >= looked + _LOOK_EVERY):
                looked = done
                if sum(sum(ends(job.address, topic)) for topic in ARRIVALS) >= job.results:
                    break
        commit(worker)
        return watch.stop(job.records)
    finally:
        worker.close()
