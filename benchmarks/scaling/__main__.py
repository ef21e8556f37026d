"""`python -m benchmarks.scaling`: one worker and several on the same records; see its page."""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.digest import Digest
from benchmarks.events import start_of_history
from benchmarks.live.contenders import headrace
from benchmarks.live.group import Group
from benchmarks.live.job import LiveJob, LiveWork
from benchmarks.live.proc import cpu_seconds
from benchmarks.page import Page, median_of, page_options, spread, verdict
from benchmarks.picture import Bar
from benchmarks.picture import Group as Bars
from benchmarks.scaling.rates import Look, Pace, pace
from benchmarks.topics import KEPT, create_topic, fill, read_all
from benchmarks.turns import turns
from benchmarks.windows import windows_digest
from benchmarks.works.count import Count
from benchmarks.works.route import Route
from benchmarks.works.work import Case, Expected, Place, check
from pipeline.clock import SystemClock
from pipeline.testing.brokers import ApacheKafka

#: Two workers on two cores, compared with one.
GOAL: Final = 1.4
_WORKERS: Final = (1, 2, 4, 8)
_PARTITIONS: Final = 8
_SOURCE: Final = "source"
_LOOK_S: Final = 0.05
_PATIENCE_S: Final = 300.0


class Scaled(NamedTuple):
    """What a number of workers came to in one run.

    Attributes:
        work: what they did.
        workers: how many.
        rate: records a second.
        cpu_us: processor time by record, in microseconds.
    """

    work: LiveWork
    workers: int
    rate: float
    cpu_us: float


def main() -> None:
    """Measure, print the page, write it to a file if told to."""
    options = parse()
    works: list[LiveWork] = options.work or ["count", "route"]
    found: list[Scaled] = []
    with ApacheKafka() as server, tempfile.TemporaryDirectory(prefix="headrace-scaling-") as folder:
        source = Source(server.address, options.records)
        for number, (work, workers) in turns(
            [(work, workers) for work in works for workers in options.workers or _WORKERS], options.runs
        ):
            measured = measure(source, work, workers, Path(folder) / f"{work}-{workers}-{number}")
            found.append(Scaled(work, workers, measured.rate, measured.cpu_us))
            print(found[-1], file=sys.stderr, flush=True)
    page(found, options.runs, options.records).publish(options.output)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options.

    Args:
        arguments: instead of those of the command line.
    """
    parser = page_options("scaling", __doc__, 3)
    parser.add_argument("--workers", type=int, action="append", help="so many, once or more (1, 2, 4, 8)")
    parser.add_argument("--work", choices=["count", "route"], action="append", help="this one alone")
    parser.add_argument("--records", type=int, default=3_000_000, help="of a run (3000000)")
    return parser.parse_args(arguments)


class Source:
    """A topic with records, and what must come of them.

    Args:
        address: bootstrap servers.
        records: how many.
    """

    def __init__(self, address: str, records: int) -> None:
        self.address, self.records = address, records
        start_ms = start_of_history(SystemClock().now_ms())
        place, routed, counted = Place(address, start_ms), list[Expected](), list[Expected]()
        route, count = Route(place, Case("route")), Count(place, Case("count"))
        events = route.expect(count.expect(count.events(records), counted), routed)
        create_topic(address, _SOURCE, KEPT, _PARTITIONS)
        fill(address, {"source": _SOURCE}, events)
        self.expected: dict[LiveWork, Digest] = {"route": routed[0].digest, "count": counted[0].digest}

    def check(self, job: LiveJob) -> None:
        """Compare what a group has written with what it must.

        Raises:
            ResultError: it is wrong.
        """
        found = Digest()
        if job.work == "route":
            for key, value in read_all(self.address, job.target, _PARTITIONS):
                found.add(key, value or b"")
        else:
            changelog = read_all(self.address, f"{job.application_id}-by-user-changelog", _PARTITIONS)
            found = windows_digest({key: value for key, value in changelog if value is not None}.items())
        check(job.application_id, found, self.expected[job.work])


def measure(source: Source, work: LiveWork, workers: int, folder: Path) -> Pace:
    """Start workers, and look at them until everything is committed."""
    job = LiveJob(
        work=work,
        address=source.address,
        application_id=folder.name,
        source=_SOURCE,
        target=f"target-{folder.name}",
    )
    create_topic(source.address, job.target, KEPT, _PARTITIONS)
    with ExitStack() as stack:
        processes = []
        for number in range(workers):
            started = headrace(job, folder / str(number))
            stack.callback(started.process.stop)
            processes.append(started.process)
        group = stack.enter_context(closing(Group(source.address, job.application_id, _SOURCE, _PARTITIONS)))
        looks, waiting, begun, whole = list[Look](), threading.Event(), time.perf_counter(), False
        while not looks or sum(looks[-1].committed) < source.records:
            now = time.perf_counter() - begun
            if now > _PATIENCE_S or not all(process.running for process in processes):
                raise RuntimeError(f"{job.application_id}: {processes[0].log.read_text()[-2_000:]}")
            whole = whole or group.shares() == _even(workers)
            look = Look(now, group.committed(), sum(cpu_seconds(process.pid) for process in processes))
            if whole or sum(look.committed) >= source.records:
                looks.append(look)
            waiting.wait(_LOOK_S)
    source.check(job)
    ends = looks[-1].committed
    return pace(looks, ends)


def _even(workers: int) -> list[int]:
    return sorted(len(range(number, _PARTITIONS, workers)) for number in range(workers))


def simulated(rate_of_one: float | None, cpu_of_one: float | None, workers: int, cpu: float) -> str:
    """Return the pace of workers with a core each, in thousands of records a second; nothing without one's.

    Each goes on as one does, but for what a record costs more when there are so many.
    """
    if rate_of_one is None or cpu_of_one is None:
        return ""
    return f"{workers * rate_of_one * cpu_of_one / cpu / 1_000:.0f}"


def page(found: Sequence[Scaled], runs: int, records: int) -> Page:
    """Return the page."""
    rows, groups = [], []
    for work in dict.fromkeys(each.work for each in found):
        by_workers = {
            workers: [each for each in found if (each.work, each.workers) == (work, workers)]
            for workers in dict.fromkeys(sorted(each.workers for each in found if each.work == work))
        }
        one = median_of(by_workers[1], "rate") if 1 in by_workers else None
        cpu_of_one = median_of(by_workers[1], "cpu_us") if 1 in by_workers else None
        rate_bars = []
        for workers, of_them in by_workers.items():
            rate, cpu = median_of(of_them, "rate"), median_of(of_them, "cpu_us")
            ratio = None if one is None else rate / one
            rows.append(
                (
                    work,
                    str(workers),
                    f"{rate / 1_000:.0f}",
                    spread([each.rate / 1_000 for each in of_them], 0),
                    "" if ratio is None else f"{ratio:.2f}",
                    f"{cpu:.2f}",
                    simulated(one, cpu_of_one, workers, cpu),
                    verdict(ratio, GOAL, at_most=False) if ratio is not None and workers == 2 else "",  # noqa: PLR2004
                )
            )
            rate_bars.append(Bar(f"{workers} worker{'s' if workers > 1 else ''}", rate, rows[-1][2]))
        groups.append(Bars(f"{work}, thousands of records a second", rate_bars))
    return Page(
        title="Scaling",
        command="python -m benchmarks.scaling",
        text=(
            f"{records:,} records in {_PARTITIONS} partitions, Apache Kafka on the same machine; "
            f"medians of {runs} runs in turns, results checked. The pace is that while every worker has its "
            "share and none is done; CPU s/M is processor time of all workers together, in seconds for a "
            "million records: where there are fewer cores than workers, it shows what a record costs then. "
            "*Simulated*, not measured: the pace of so many workers with a core each and a broker that keeps "
            "up, if a record takes the processor time that was measured with so many."
        ),
        header=("work", "workers", "k records/s", "min-max", "to one", "CPU s/M", "simulated k/s", "goal"),
        texts=1,
        rows=rows,
        groups=groups,
        notes=(
            "work: route; a one-minute count and sum over 100,000 users, RocksDB, changelog; 190 B of JSON",
        ),
    )


if __name__ == "__main__":
    main()
