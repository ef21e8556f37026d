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

from benchmarks.live.contenders import CONTENDERS, Started, word_of
from benchmarks.live.feed import Feed, feed
from benchmarks.live.job import LiveJob
from benchmarks.live.proc import cpu_seconds
from benchmarks.live.reader import ResultReader
from benchmarks.page import Page, median_of, page_options, spread, verdict
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
        cpu: processor time that the process took for that.
    """

    name: str
    first: float
    stop: float
    again: float
    cpu: float


def main() -> None:
    """Measure, print the page, write it to a file if told to."""
    options = parse()
    found: list[Start] = []
    chosen = options.contender or list(CONTENDERS)
    with ApacheKafka() as server, tempfile.TemporaryDirectory(prefix="headrace-start-") as folder:
        for name in chosen:
            # The first start of all compiles modules.
            with closing(Trial(name, 0, server.address, Path(folder))) as trial:
                trial.start()
        for number, name in turns(chosen, options.runs):
            with closing(Trial(name, number, server.address, Path(folder))) as trial:
                (first, _), stop, (again, cpu) = trial.start(), trial.stop(), trial.start()
            found.append(Start(name, first, stop, again, cpu))
            print(found[-1], file=sys.stderr, flush=True)
    page(found, options.runs).publish(options.output)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options.

    Args:
        arguments: instead of those of the command line.
    """
    parser = page_options("start", __doc__, 5)
    parser.add_argument("--contender", choices=list(CONTENDERS), action="append", help="measure it alone")
    return parser.parse_args(arguments)


class Trial:
    """A contender, its topics and a reader of its results.

    Args:
        name: of the contender.
        number: of the run.
        address: bootstrap servers.
        folder: for its state and its log.
    """

    def __init__(self, name: str, number: int, address: str, folder: Path) -> None:
        word = f"{word_of(name)}-{number}"
        self._name, self._folder = name, folder / word
        self._job = LiveJob(
            work="both",
            address=address,
            application_id=f"start-{word}",
            source=f"source-{word}",
            target=f"target-{word}",
        )
        for topic in (self._job.source, self._job.target):
            create_topic(address, topic, KEPT)
        self._reader = ResultReader(address, self._job.target)
        self._started: Started | None = None

    def start(self) -> tuple[float, float]:
        """Return the seconds that the first result takes, and its processor time."""
        fed = feed(Feed(address=self._job.address, topic=self._job.source, rate=0, events=1))
        begun = time.perf_counter()
        self._started = CONTENDERS[self._name](self._job, self._folder)
        arrivals = self._reader.read(fed.routed, _PATIENCE_S)
        cpu = cpu_seconds(self._started.process.pid)
        fed.check(arrivals.digest, self._name)
        return arrivals.moments[0] - begun, cpu

    def stop(self) -> float:
        """Return the seconds that it takes to stop in order."""
        begun = time.perf_counter()
        if self._started is not None:
            self._started.process.stop()
            self._started = None
        return time.perf_counter() - begun

    def close(self) -> None:
        """Stop it if it runs, and free the connection."""
        self.stop()
        self._reader.close()


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
                f"{median_of(of_name, 'cpu'):.2f}",
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
            f"event waiting in the source; medians of {runs} runs in turns. Started for the first time, a "
            "new group (internal topics are made), and again after a stop in order (SIGTERM). "
            "Python's modules are compiled, as `pip install` does."
        ),
        header=(
            "contender",
            "first start s",
            "min-max",
            "restart s",
            "min-max",
            "its CPU s",
            "stop s",
            "goal for both",
        ),
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
