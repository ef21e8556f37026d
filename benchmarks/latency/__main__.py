"""`python -m benchmarks.latency`: how late routed records come out with the defaults; see its page."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.latency.report import Latency, latency_of, page
from benchmarks.live.contenders import CONTENDERS, word_of
from benchmarks.live.feed import Fed, Feed, feed
from benchmarks.live.job import LiveJob
from benchmarks.live.reader import ResultReader
from benchmarks.page import page_options
from benchmarks.results import BY_HAND
from benchmarks.topics import KEPT, create_topic
from benchmarks.turns import turns
from pipeline.testing.brokers import ApacheKafka
from pipeline.testing.process import ServerProcess

#: How long the next result may take.
_PATIENCE_S: Final = 60.0
_PROBE_S: Final = 0.5
_PROBES: Final = 240


def main() -> None:
    """Measure, print the page, write it to a file if told to."""
    options = parse()
    chosen = options.contender or list(CONTENDERS)
    found: list[Latency] = []
    gc.freeze()
    with ApacheKafka() as server, tempfile.TemporaryDirectory(prefix="headrace-latency-") as folder:
        # A broker that was just started keeps whoever comes first waiting for seconds: Java compiles it.
        for latency in Run(BY_HAND, 0, server.address, Path(folder) / "0").measure(
            options.rate, options.warmup, options.seconds, 0
        ):
            print(f"not counted: {latency.line()}", file=sys.stderr, flush=True)
        for number, name in turns(chosen, options.runs):
            run = Run(name, number, server.address, Path(folder) / f"{number}-{len(found)}")
            for latency in run.measure(options.rate, options.warmup, options.seconds, options.backlog):
                found.append(latency)
                print(latency.line(), file=sys.stderr, flush=True)
    page(found, options.rate, options.runs, options.seconds).publish(options.output)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options.

    Args:
        arguments: instead of those of the command line.
    """
    parser = page_options("latency", __doc__, 3)
    parser.add_argument("--contender", choices=list(CONTENDERS), action="append", help="measure it alone")
    parser.add_argument("--rate", type=float, default=5_000.0, help="events a second (5000)")
    parser.add_argument("--seconds", type=float, default=20.0, help="that count, of each pace (20)")
    parser.add_argument(
        "--warmup", type=float, default=15.0, help="before these: Java compiles what it has run often (15)"
    )
    parser.add_argument(
        "--backlog",
        type=int,
        default=300_000,
        help="events that capacity is measured with; 0: measure at --rate alone (300000)",
    )
    return parser.parse_args(arguments)


class Run:
    """One contender, from its start to its end.

    Args:
        name: of the contender.
        number: of the run.
        address: bootstrap servers.
        folder: for its state and its log.
    """

    def __init__(self, name: str, number: int, address: str, folder: Path) -> None:
        self._name, self._number, self._address, self._folder = name, number, address, folder
        word = word_of(name)
        self._source, self._target = f"source-{word}-{number}", f"target-{word}-{number}"
        self._job = LiveJob(
            work="route",
            address=address,
            application_id=f"latency-{word}-{number}",
            source=self._source,
            target=self._target,
        )

    def measure(self, rate: float, warmup_s: float, seconds: float, backlog: int) -> Iterator[Latency]:
        """Yield what it came to at the rate, and at half of its capacity if there is a backlog."""
        for topic in (self._source, self._target):
            create_topic(self._address, topic, KEPT)
        started = CONTENDERS[self._name](self._job, self._folder)
        try:
            with closing(ResultReader(self._address, self._target)) as reader:
                self._wait(reader, started.process)
                yield self._at(rate, 0.0, warmup_s, seconds, reader)
                if backlog:
                    capacity = self._capacity(reader, started.process, backlog)
                    yield self._at(capacity / 2, capacity, warmup_s, seconds, reader)
        finally:
            started.process.stop()

    def _wait(self, reader: ResultReader, process: ServerProcess) -> None:
        """Send an event now and then, until one comes out; and wait for those on the way."""
        for sent in range(1, _PROBES + 1):
            fed = self._feed_now(1)
            if not process.running:
                raise RuntimeError(f"{self._name} ended: {process.log.read_text()[-2_000:]}")
            try:
                came = reader.read(fed.routed, _PROBE_S).digest.records
            except TimeoutError:
                continue
            reader.read(sent * fed.routed - came, _PATIENCE_S)
            return
        raise RuntimeError(f"{self._name} does not route: {process.log.read_text()[-2_000:]}")

    def _feed_now(self, events: int) -> Fed:
        return feed(Feed(address=self._address, topic=self._source, rate=0, events=events))

    def _capacity(self, reader: ResultReader, process: ServerProcess, backlog: int) -> float:
        """Return how many events a second it takes when more wait: they are produced while it is held."""
        os.kill(process.pid, signal.SIGSTOP)
        try:
            fed = self._feed_now(backlog)
        finally:
            os.kill(process.pid, signal.SIGCONT)
        arrivals = reader.read(fed.routed, _PATIENCE_S)
        fed.check(arrivals.digest, self._name)
        return backlog / (arrivals.moments[-1] - arrivals.moments[0])

    def _at(
        self, rate: float, capacity: float, warmup_s: float, seconds: float, reader: ResultReader
    ) -> Latency:
        """Measure at a pace."""
        events = int(rate * (warmup_s + seconds))
        order = Feed(address=self._address, topic=self._source, rate=rate, events=events)
        command = [sys.executable, "-m", "benchmarks.live.feed", msgspec.json.encode(order).decode()]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as feeder:
            # What is filtered out follows from the events alone.
            arrivals = reader.read(routed_of(events), _PATIENCE_S)
            output, _ = feeder.communicate()
        if feeder.returncode:
            raise RuntimeError(f"the feeder ended with {feeder.returncode}")
        fed = msgspec.json.decode(output, type=Fed)
        fed.check(arrivals.digest, self._name)
        return latency_of(self._name, self._number, rate, capacity, fed, arrivals, seconds)


def routed_of(events: int) -> int:
    """Return how many of the first events the route writes: all but one in ten."""
    return events - (events + 3) // 10


if __name__ == "__main__":
    main()
