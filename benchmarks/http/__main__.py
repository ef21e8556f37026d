"""`python -m benchmarks.http`: how soon a worker answers while it works off a backlog; see its page."""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from benchmarks.events import USERS, Event, make_events, random_users, start_of_history
from benchmarks.http.client import AnswerError, Client, Question
from benchmarks.latency.report import percentile
from benchmarks.live.contenders import headrace
from benchmarks.live.group import Group
from benchmarks.live.job import LiveJob
from benchmarks.live.proc import cpu_seconds
from benchmarks.page import Page, page_options, spread, verdict
from benchmarks.picture import Bar
from benchmarks.picture import Group as Bars
from benchmarks.topics import KEPT, PARTITIONS, create_topic, fill
from pipeline.clock import SystemClock
from pipeline.testing.brokers import ApacheKafka
from pipeline.testing.process import ServerProcess

#: Milliseconds at the percentile 99, of every question.
GOAL_MS: Final = 40.0
_SOURCE: Final = "source"
_STORE: Final = "by-user"
#: It is asked while more than this share of each partition is done, so that those users have come; and
#: less than that of all records, so that some are left.
_WARM: Final = 0.2
_MOST: Final = 0.8
#: So many users' counts are checked.
_CHECKED: Final = 300
_ALL: Final = "all together"
_MS: Final = 1_000
_PAUSE_S: Final = 0.05
_PATIENCE_S: Final = 300.0
_IDLE_S: Final = 10.0
_INTERVAL_S: Final = 0.04
#: Asked for are users of this share of the records, the first ones.
_FIRST: Final = 0.02


class Answered(NamedTuple):
    """What a run came to.

    Attributes:
        busy: by kind of question: microseconds of each answer, while the engine had more to do than it could.
        idle: likewise, when it had nothing to do.
        busy_s: how long it was asked while busy.
        cpu_share: processor time of the worker in that time, of one core.
    """

    busy: dict[str, list[int]]
    idle: dict[str, list[int]]
    busy_s: float
    cpu_share: float


def main() -> None:
    """Measure, print the page, write it to a file if told to."""
    options = parse()
    found = []
    with ApacheKafka() as server, tempfile.TemporaryDirectory(prefix="headrace-http-") as folder:
        create_topic(server.address, _SOURCE, KEPT)
        # Users stand in it in the order in which they come.
        counts: Counter[str] = Counter()
        fill(server.address, {"source": _SOURCE}, _events(options.records, counts))
        for number in range(1, options.runs + 1):
            found.append(measure(server.address, f"http-{number}", Path(folder), options.records, counts))
            print(lines(found[-1]), file=sys.stderr, flush=True)
    page(found, options.records).publish(options.output)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options.

    Args:
        arguments: instead of those of the command line.
    """
    parser = page_options("http", __doc__, 3)
    parser.add_argument("--records", type=int, default=3_000_000, help="that wait in the source (3000000)")
    return parser.parse_args(arguments)


def _events(records: int, counts: Counter[str]) -> Iterator[Event]:
    start_ms = start_of_history(SystemClock().now_ms())
    for event in make_events(records, start_ms, 2 * USERS, random_users()):
        counts[event.key.decode()] += 1
        yield event


def questions(users: Sequence[str]) -> list[Question]:
    """Return what is asked, of a store and of the worker."""
    return [
        Question("a key's windows", lambda number: f"/stores/{_STORE}/keys/{users[number % len(users)]}"),
        Question("a page of 100 windows", lambda _number: f"/stores/{_STORE}?limit=100"),
        Question("/metrics", lambda _number: "/metrics"),
        Question("/ready", lambda _number: "/ready"),
    ]


def measure(address: str, name: str, folder: Path, records: int, counts: Counter[str]) -> Answered:
    """Ask a worker while it counts the records, and when it has counted them."""
    job = LiveJob(work="count", address=address, application_id=name, source=_SOURCE, target="")
    asked = questions(list(counts)[: int(_FIRST * records)])
    started = headrace(job, folder / name)
    pid = started.process.pid
    try:
        with (
            closing(Group(address, name, _SOURCE, PARTITIONS)) as group,
            closing(Client(started.web_port)) as client,
        ):
            _wait(started.process, lambda: min(group.committed()) > _WARM * records / PARTITIONS)
            begun, cpu = time.perf_counter(), cpu_seconds(pid)
            busy = _ask_until(client, asked, lambda: sum(group.committed()) > _MOST * records)
            busy_s = time.perf_counter() - begun
            share = (cpu_seconds(pid) - cpu) / busy_s
            if (done := sum(group.committed())) >= records:
                raise AnswerError(f"all {done} records were done while it was asked: give it more")
            _wait(started.process, lambda: sum(group.committed()) >= records)
            end = time.perf_counter() + _IDLE_S
            idle = _ask_until(client, asked, lambda: time.perf_counter() > end)
            _check(client, counts)
    finally:
        started.process.stop()
    return Answered(busy, idle, busy_s, share)


def _ask_until(client: Client, asked: list[Question], holds: Callable[[], bool]) -> dict[str, list[int]]:
    """Ask until something holds, which is looked at in a thread of its own: asking does not wait for it."""
    held, stopped = threading.Event(), threading.Event()

    def watch() -> None:
        while not stopped.wait(_PAUSE_S):
            if holds():
                held.set()
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        return client.ask(asked, _INTERVAL_S, held.is_set)
    finally:
        stopped.set()
        watcher.join()


def _wait(process: ServerProcess, holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    waiting, begun = threading.Event(), time.perf_counter()
    while not holds():
        if not process.running or time.perf_counter() - begun > _PATIENCE_S:
            raise RuntimeError(f"it does not get on: {process.log.read_text()[-2_000:]}")
        waiting.wait(_PAUSE_S)


def _check(client: Client, counts: Counter[str]) -> None:
    """Compare the counts of some users with what they must be.

    Raises:
        AnswerError: one is wrong.
    """
    for user in list(counts)[:: max(1, len(counts) // _CHECKED)]:
        windows = client.body(f"/stores/{_STORE}/keys/{user}")["windows"]
        found = sum(window["value"][0] for window in windows)
        if found != counts[user]:
            raise AnswerError(f"{user} was counted {found} times, and came {counts[user]} times")


def page(found: Sequence[Answered], records: int) -> Page:
    """Return the page; percentiles are those of all runs together."""
    rows, bars = [], []
    for kind in (*found[0].busy, _ALL):
        busy, idle = (_together(runs, kind) for runs in ([e.busy for e in found], [e.idle for e in found]))
        p50, p99, most = (percentile(busy, share) / _MS for share in (0.5, 0.99, 1.0))
        rows.append(
            (
                kind,
                f"{len(busy)}",
                f"{p50:.1f}",
                f"{p99:.1f}",
                spread([percentile(_together([each.busy], kind), 0.99) / _MS for each in found], 1),
                f"{most:.1f}",
                f"{percentile(idle, 0.5) / _MS:.1f}",
                f"{percentile(idle, 0.99) / _MS:.1f}",
                verdict(p99, GOAL_MS) if kind == _ALL else "",
            )
        )
        bars.append(Bar(kind, p99, f"{p99:.1f}"))
    share, busy_s = (median(getattr(each, field) for each in found) for field in ("cpu_share", "busy_s"))
    return Page(
        title="HTTP while the engine is busy",
        command="python -m benchmarks.http",
        text=(
            f"a worker counts {records:,} records that wait, as fast as it can, and is asked meanwhile: "
            f"{1 / _INTERVAL_S:.0f} questions a second in turns, over one connection. Times are from when a "
            f"question was due to its answer; {len(found)} runs. Idle: the same worker when all is counted. "
            "The counts are checked."
        ),
        header=(
            "question",
            "asked",
            "p50 ms",
            "p99 ms",
            "p99 of runs",
            "max ms",
            "idle p50",
            "idle p99",
            "goal for p99",
        ),
        texts=1,
        rows=rows,
        groups=[Bars("p99 while busy, ms", bars, GOAL_MS)],
        notes=(
            "work: a one-minute count and sum over 100,000 users, RocksDB, changelog; 190 bytes of JSON",
            f"busy: {busy_s:.0f} s of each run, {share:.2f} of a core, more records waiting all the time",
        ),
    )


def lines(run: Answered) -> str:
    """Return what a run came to, for the eye."""
    busy, idle = _together([run.busy], _ALL), _together([run.idle], _ALL)
    texts = [
        f"{what}: p50 {percentile(ages, 0.5) / _MS:.1f}, p99 {percentile(ages, 0.99) / _MS:.1f} ms"
        for what, ages in (("busy", busy), ("idle", idle))
    ]
    return f"{'; '.join(texts)}; {run.cpu_share:.2f} of a core"


def _together(runs: Sequence[dict[str, list[int]]], kind: str) -> list[int]:
    """Return the times of a kind of question, or of all, in ascending order."""
    return sorted(age for run in runs for asked, ages in run.items() if kind in {asked, _ALL} for age in ages)


if __name__ == "__main__":
    main()
