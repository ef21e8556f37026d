"""`python -m benchmarks.start`: from the command to the first record of the result; see its page.

A whole process is started beside an event that waits in the source: with a group that has never been, and
again after it was stopped in order. Nothing that it needs is kept warm but the system's files.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.live.contenders import CONTENDERS, word_of
from benchmarks.live.feed import Feed, feed
from benchmarks.live.job import LiveJob
from benchmarks.live.reader import ResultReader
from benchmarks.page import Page, median_of, spread, verdict
from benchmarks.picture import Bar, Group
from benchmarks.topics import KEPT, create_topic
from benchmarks.turns import turns
from pipeline.testing.brokers import ApacheKafka

#: Seconds, of either start.
GOAL_S: Final = 1.5
_OURS: Final = "Headrace"
_PATIENCE_S: Final = 120.0


class Start(NamedTuple):
    """What one contender came to in one run, in seconds.

    Attributes:
        name: of the contender.
        first: from the command to its first result, in a new group.
        stop: from SIGTERM to its end.
        again: from the command to its first result, after that.
    """

    name: str
    first: float
    stop: float
    again: float


def main() -> None:
    """Measure, print the page, write it to a file if told to."""
    options = parse()
    found: list[Start] = []
    chosen = options.contender or list(CONTENDERS)
    with ApacheKafka() as server, tempfile.TemporaryDirectory(prefix="headrace-start-") as folder:
        for number, name in turns(chosen, options.runs):
            found.append(measure(name, number, server.address, Path(folder) / f"{word_of(name)}-{number}"))
            print(found[-1], file=sys.stderr, flush=True)
    page(found, options.runs).publish(options.output)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options.

    Args:
        arguments: instead of those of the command line.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--contender", choices=list(CONTENDERS), action="append", help="measure it alone")
    parser.add_argument("--runs", type=int, default=5, help="runs of each (5)")
    parser.add_argument("--output", type=Path, help="write the page to this file, and its picture beside it")
    return parser.parse_args(arguments)


def measure(name: str, number: int, address: str, folder: Path) -> Start:
    """Start, stop and start again."""
    word = f"{word_of(name)}-{number}"
    job = LiveJob(
        work="both",
        address=address,
        application_id=f"start-{word}",
        source=f"source-{word}",
        target=f"target-{word}",
    )
    for topic in (job.source, job.target):
        create_topic(address, topic, KEPT)
    with closing(ResultReader(address, job.target)) as reader:
        first, stop = _started(name, job, folder, reader)
        again, _ = _started(name, job, folder, reader)
    return Start(name, first, stop, again)


def _started(name: str, job: LiveJob, folder: Path, reader: ResultReader) -> tuple[float, float]:
    """Return how long the first result takes, and stopping."""
    fed = feed(Feed(address=job.address, topic=job.source, rate=0, events=1))
    begun = time.perf_counter()
    started = CONTENDERS[name](job, folder)
    try:
        arrivals = reader.read(fed.routed, _PATIENCE_S)
        fed.check(arrivals.digest, name)
    finally:
        stopping = time.perf_counter()
        started.process.stop()
    return arrivals.moments[0] - begun, time.perf_counter() - stopping


def page(found: Sequence[Start], runs: int) -> Page:
    """Return the page."""
    rows, first, again = [], [], []
    for name in dict.fromkeys(each.name for each in found):
        of_name = [each for each in found if each.name == name]
        start, restart = (median_of(of_name, field) for field in ("first", "again"))
        slower = max(start, restart)
        rows.append(
            (
                name,
                f"{start:.2f}",
                spread([each.first for each in of_name]),
                f"{restart:.2f}",
                spread([each.again for each in of_name]),
                f"{median_of(of_name, 'stop'):.2f}",
                verdict(slower, GOAL_S) if name == _OURS else "",
            )
        )
        first.append(Bar(name, start, f"{start:.2f}"))
        again.append(Bar(name, restart, f"{restart:.2f}"))
    return Page(
        title="Start to first record",
        command="python -m benchmarks.start",
        text=(
            "seconds from the command to the first record of the result at its reader, on Apache Kafka, an "
            f"event waiting in the source; medians of {runs} runs in turns. Started for the first time, in a "
            "group that has never been (internal topics are made), and again after a stop in order (SIGTERM)."
        ),
        header=("contender", "first start s", "min-max", "restart s", "min-max", "stop s", "goal for both"),
        texts=1,
        rows=rows,
        groups=(
            Group("first start, s", first, GOAL_S),
            Group("restart after a clean stop, s", again, GOAL_S),
        ),
        notes=(
            "work: route, and a one-minute count and sum with RocksDB and changelog; by hand the route alone",
        ),
    )


if __name__ == "__main__":
    main()
