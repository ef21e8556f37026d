"""`python -m benchmarks.memory`: resident memory while keys grow to millions; see its page.

A count by key, for ever, in RocksDB with a changelog. Every key comes once, and is counted when the group has
committed it; then random ones come again, so that what is stored is read. The most that the process ever had
counts, as the system tells it (VmHWM).
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.events import Event
from benchmarks.http.client import AnswerError, Client
from benchmarks.live.contenders import Contender, Started, headrace, kafka_streams, word_of
from benchmarks.live.group import Group
from benchmarks.live.job import LiveJob
from benchmarks.live.proc import peak_resident, resident
from benchmarks.page import Page, median_of, page_options, spread, verdict
from benchmarks.picture import Bar
from benchmarks.picture import Group as Bars
from benchmarks.topics import KEPT, PARTITIONS, create_topic, fill
from benchmarks.turns import turns
from benchmarks.works.work import ResultError
from pipeline.clock import SystemClock
from pipeline.testing.brokers import ApacheKafka

#: MiB with the most keys, and of Kafka Streams' memory.
GOAL_MIB: Final = 300
GOAL_OF_STREAMS: Final = 0.35
_OURS: Final = "Headrace"
_STREAMS: Final = "Kafka Streams"
_STORE: Final = "by-user"
_MIB: Final = 1024 * 1024
_PAUSE_S: Final = 0.2
_PATIENCE_S: Final = 900.0
#: So many keys come again at the end: one in ten.
_AGAIN: Final = 10
#: So many keys are asked for, where there is HTTP.
_ASKED: Final = 500


class Held(NamedTuple):
    """What one contender came to in one run, with so many keys.

    Attributes:
        name: of the contender.
        keys: that are stored.
        peak: the most memory so far, in MiB.
        now: memory with these keys, in MiB.
    """

    name: str
    keys: int
    peak: float
    now: float


def main() -> None:
    """Measure, print the page, write it to a file if told to."""
    options = parse()
    contenders: dict[str, Contender] = {_OURS: headrace}
    if not options.ours:
        contenders[_STREAMS] = partial(kafka_streams, jvm=(f"-Xmx{options.heap}", "-XX:+UseSerialGC"))
    found: list[Held] = []
    with tempfile.TemporaryDirectory(prefix="headrace-memory-") as folder:
        for number, name in turns(list(contenders), options.runs):
            # A broker of its own: millions of records are deleted with it.
            with ApacheKafka() as server:
                keys = sorted(options.keys or [1_000_000, 10_000_000])
                for held in measure(
                    name, contenders[name], server.address, Path(folder) / f"{word_of(name)}-{number}", keys
                ):
                    found.append(held)
                    print(held, file=sys.stderr, flush=True)
    page(found, options.runs, options.heap).publish(options.output)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options.

    Args:
        arguments: instead of those of the command line.
    """
    parser = page_options("memory", __doc__, 1)
    parser.add_argument("--keys", type=int, action="append", help="so many, once or more (1000000, 10000000)")
    parser.add_argument(
        "--heap", default="128m", help="-Xmx of Kafka Streams: the least it works with (128m)"
    )
    parser.add_argument("--ours", action="store_true", help="measure Headrace alone")
    return parser.parse_args(arguments)


def measure(
    name: str, contender: Contender, address: str, folder: Path, keys: Sequence[int]
) -> Iterator[Held]:
    """Yield what it came to with each number of keys, in ascending order."""
    job = LiveJob(work="keys", address=address, application_id=folder.name, source="source", target="")
    create_topic(address, job.source, KEPT)
    started = contender(job, folder)
    try:
        with closing(Group(address, job.application_id, job.source, PARTITIONS)) as group:
            before = 0
            for number in keys:
                fill(address, {"source": job.source}, _events(range(before, number)))
                before = number
                _wait(started, group, number)
                if number == keys[-1]:
                    logged = group.written(f"{job.application_id}-{_STORE}-changelog")
                    if logged != number:
                        raise ResultError(f"{name} has logged {logged} updates of {number} keys")
                    draw = random.Random(number)
                    again = [draw.randrange(number) for _ in range(number // _AGAIN)]
                    fill(address, {"source": job.source}, _events(again))
                    _wait(started, group, number + len(again))
                    _check(started, again)
                pid = started.process.pid
                yield Held(name, number, peak_resident(pid) / _MIB, resident(pid) / _MIB)
    finally:
        started.process.stop()


def _events(numbers: Sequence[int]) -> Iterator[Event]:
    now_ms = SystemClock().now_ms()
    for number in numbers:
        yield Event(b"user-%08d" % number, b'{"bytes":%d}' % number, now_ms, None, 0)


def _wait(started: Started, group: Group, records: int) -> None:
    """Wait until so many records are committed."""
    waiting, begun = threading.Event(), time.perf_counter()
    while sum(group.committed()) < records:
        if not started.process.running or time.perf_counter() - begun > _PATIENCE_S:
            raise RuntimeError(f"it does not get on: {started.process.log.read_text()[-2_000:]}")
        waiting.wait(_PAUSE_S)


def _check(started: Started, again: Sequence[int]) -> None:
    """Ask for some of the keys that came again.

    Raises:
        AnswerError: a count is wrong.
    """
    if not started.web_port:
        return
    times = dict.fromkeys(again[:_ASKED], 1)
    for number in again:
        if number in times:
            times[number] += 1
    with closing(Client(started.web_port)) as client:
        for number, count in times.items():
            path = f"/stores/{_STORE}/keys/user-{number:08}"
            if (found := client.body(path)["value"]) != count:
                raise AnswerError(f"{path}: {found}, not {count}")


def page(found: Sequence[Held], runs: int, heap: str) -> Page:
    """Return the page."""
    rows, groups = [], []
    for keys in dict.fromkeys(sorted(each.keys for each in found)):
        peaks, bars = {}, []
        of_keys = [each for each in found if each.keys == keys]
        for name in dict.fromkeys(each.name for each in of_keys):
            of_name = [each for each in of_keys if each.name == name]
            peaks[name] = median_of(of_name, "peak")
            bars.append(Bar(name, peaks[name], f"{peaks[name]:.0f}"))
            rows.append(
                [
                    f"{keys:,}",
                    name,
                    f"{peaks[name]:.0f}",
                    spread([each.peak for each in of_name], 0),
                    f"{median_of(of_name, 'now'):.0f}",
                    "",
                ]
            )
        last = keys == max(each.keys for each in found)
        if last and _OURS in peaks:
            (ours,) = (row for row in rows if row[:2] == [f"{keys:,}", _OURS])
            ours[-1] = _goals(peaks)
        groups.append(Bars(f"{keys:,} keys, MiB at most", bars, GOAL_MIB if last else None))
    return Page(
        title="Resident memory",
        command="python -m benchmarks.memory",
        text=(
            "a process that counts by key for ever, RocksDB and changelog, defaults; every key comes once, "
            f"then one in {_AGAIN} again. The most that the process had by then (VmHWM) counts; {runs} runs. "
            f"Kafka Streams has the smallest heap that it works with, -Xmx{heap}, and the serial collector."
        ),
        header=("keys", "contender", "MiB at most", "min-max", "MiB then", "goals"),
        texts=2,
        rows=rows,
        groups=groups,
        notes=("that every key is counted once is checked by the changelog, and by HTTP for some of them",),
    )


def _goals(peaks: dict[str, float]) -> str:
    texts = [verdict(peaks[_OURS], GOAL_MIB)]
    if _STREAMS in peaks:
        ratio = peaks[_OURS] / peaks[_STREAMS]
        texts.append(f"{ratio:.2f} of {_STREAMS}: {verdict(ratio, GOAL_OF_STREAMS)}")
    return "; ".join(texts)


if __name__ == "__main__":
    main()
