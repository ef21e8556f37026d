"""From nothing to answers: broker, topics, worker and traffic, until Ctrl-C."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from demo import files
from demo.feeder import Feeder
from demo.rejects import Rejects
from demo.sending import Outgoing
from demo.stop import Stop
from demo.topics import DEAD_LETTERS, PARTITIONS, prepare
from demo.traffic import DEFAULT_RATE, Traffic
from demo.views import ALWAYS, BEST, Example, Question, Views
from demo.worker import FLAGSHIP, WorkerProcess, worker_command
from pipeline.clock import SystemClock
from pipeline.errors import StreamsError
from pipeline.runtime.kafka import KafkaBroker
from pipeline.testing.brokers import EmbeddedBroker
from pipeline.testing.process import free_port

#: The broker keeps everything in memory, about 5 KB for each record and what becomes of it: so
#: sending ends after this many.
MAX_RECORDS: Final = 200_000

_EXAMPLES: Final = 3
_READY_MS: Final = 35_000
#: How long the best questions may be without an answer before others are shown instead.
_PATIENCE_MS: Final = 10_000
_ANSWERS_MS: Final = 15_000
#: How a worker ends when it is asked to; with a signal's number only before it has begun anything.
_ORDERLY: Final = (0, -signal.SIGTERM, -signal.SIGINT)
_PAUSE_S: Final = 0.1
_WATCH_S: Final = 1.0
_SHOWN_CHARACTERS: Final = 400


class DemoError(Exception):
    """The demonstration cannot go on: the message says why."""


class _StopRequestedError(Exception):
    """Ctrl-C came while something was waited for."""


@dataclass(frozen=True, slots=True)
class _Running:
    """What runs, and has to go on running while the demonstration waits."""

    worker: WorkerProcess
    feeder: Feeder
    stop: Stop
    clock: SystemClock

    def check(self) -> None:
        """Raise what went wrong in worker or feeder."""
        if not self.worker.running:
            # Ctrl-C at the very moment of its start ends the worker too.
            if self.stop.wait(_PAUSE_S):
                raise _StopRequestedError
            raise DemoError(
                f"the worker ended with exit code {self.worker.exit_code}. The end of its log:\n"
                f"{self.worker.log_tail()}"
            )
        self.feeder.finished()

    def wait(self, condition: Callable[[], bool], timeout_ms: int) -> bool:
        """Wait for a condition, at most so long, and return whether it came true."""
        deadline = self.clock.now_ms() + timeout_ms
        while not condition():
            self.check()
            if self.stop.wait(_PAUSE_S):
                raise _StopRequestedError
            if self.clock.now_ms() > deadline:
                return False
        return True


def run(stop: Stop, command_line: Sequence[str] | None = None) -> int:
    """Run the demonstration until `stop` is requested.

    Returns:
        The exit code: 0 after a stop, 1 after an error.
    """
    options = arguments().parse_args(command_line)
    try:
        worker = _play(options, stop)
    except (DemoError, files.InputError, StreamsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if worker is not None and worker.exit_code not in _ORDERLY:
        print(f"error: the worker did not stop in order: exit code {worker.exit_code}", file=sys.stderr)
        return 1
    say("Stopped.")
    return 0


def arguments() -> argparse.ArgumentParser:
    """Return the command's parser."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument(
        "--input",
        type=Path,
        metavar="PATH",
        help=f"feed a file, or a directory's files, instead of generated traffic: "
        f"{', '.join(files.SUFFIXES)}, one event a line; spans are in files with 'span' in their names, "
        "or have a start time",
    )
    parser.add_argument("--rate", type=float, default=DEFAULT_RATE, help="generated records a second")
    parser.add_argument("--records", type=int, default=MAX_RECORDS, help="stop sending after so many")
    parser.add_argument("--seed", type=int, default=1, help="of the generated traffic")
    parser.add_argument("--port", type=int, default=9092, help="of the broker, if it is free")
    parser.add_argument("--web-port", type=int, default=6066, help="of the HTTP views, if it is free")
    parser.add_argument(
        "--datadir", type=Path, metavar="PATH", help="for state and logs while it runs; removed at the end"
    )
    parser.add_argument("--topology", default=FLAGSHIP, metavar="MODULE", help=argparse.SUPPRESS)
    return parser


def say(text: str = "") -> None:
    """Print at once, even into a pipe."""
    print(text, flush=True)


def _play(options: argparse.Namespace, stop: Stop) -> WorkerProcess | None:
    """Start everything, show it, wait for the stop, and take everything down in the opposite order."""
    clock = SystemClock()
    worker = None
    with ExitStack() as stack:
        try:
            records = _records(options, clock)
            folder = stack.enter_context(_data_directory(options.datadir))
            broker = stack.enter_context(EmbeddedBroker(options.port, folder / "broker"))
            _say_port("broker", options.port, broker.port)
            client = KafkaBroker(broker.address)
            topics, owners = prepare(client)
            say(f"topics    {topics} of {PARTITIONS} partitions; {owners} service owners loaded")
            if stop.requested():
                raise _StopRequestedError  # noqa: TRY301 (as everywhere else where the stop is noticed)
            web_port = free_port(options.web_port)
            worker = WorkerProcess(options.topology, broker.address, folder, web_port)
            stack.callback(worker.stop)
            command = " ".join(worker_command(options.topology))
            say(f"worker    {command}  (pid {worker.pid}, log {worker.log})")
            _say_port("views", options.web_port, web_port)
            feeder = stack.enter_context(Feeder(records, client, clock, stop))
            _show(_Running(worker, feeder, stop, clock), Views(web_port), Rejects(client))
        except _StopRequestedError:
            say("Stopping traffic, worker and broker.")
    return worker


def _records(options: argparse.Namespace, clock: SystemClock) -> Iterator[Outgoing]:
    """Return what is fed, and say what it is."""
    if options.input is not None:
        found = files.find(options.input)
        names = ", ".join(path.name for path in found[:4]) + (", ..." if len(found) > 4 else "")  # noqa: PLR2004 (a line's worth)
        say(f"input     {len(found)} files of {options.input}: {names}")
        return islice(files.records(found), options.records)
    if options.rate <= 0:
        raise DemoError(f"--rate is {options.rate:g}: give a number of records a second above 0")
    say(f"input     generated: {options.rate:g} logs and spans a second, at most {options.records:,}")
    return islice(Traffic(options.seed, clock.now_ms(), options.rate), options.records)


def _show(running: _Running, views: Views, rejects: Rejects) -> None:
    """Wait for answers, show them, and watch until the stop.

    Raises:
        DemoError: there are none in time, or the worker ends.
    """
    if not running.wait(views.ready, _READY_MS):
        answer = views.get("/ready")
        raise DemoError(
            f"the worker is not ready after {_READY_MS // 1_000} s: "
            f"{'no answer' if answer is None else answer.body}\n{running.worker.log_tail()}"
        )
    examples = _examples(running, views)
    _print_examples(views, examples)
    _watch(running, rejects)


def _examples(running: _Running, views: Views) -> list[Example]:
    """Wait until three questions have an answer, the best ones if they get one soon."""
    found: list[Example] = []
    for questions, timeout_ms in ((BEST, _PATIENCE_MS), (BEST + ALWAYS, _ANSWERS_MS)):

        def answered(questions: Sequence[Question] = questions) -> bool:
            found[:] = views.examples(questions, _EXAMPLES)
            return len(found) == _EXAMPLES

        if running.wait(answered, timeout_ms):
            return found
    raise DemoError(f"the tables have no answers, see the worker's log:\n{running.worker.log_tail()}")


def _print_examples(views: Views, examples: Sequence[Example]) -> None:
    say("\nThe views, as long as this runs:")
    for path in ("/stores", "/metrics", "/health", "/ready"):
        say(f"  {views.url}{path}")
    say("\nThree questions to try, with their answers of just now:")
    for example in examples:
        shown = example.answer
        if len(shown) > _SHOWN_CHARACTERS:
            shown = f"{shown[:_SHOWN_CHARACTERS]}..."
        say(f"\n  # {example.title}\n  curl -s '{views.url}{example.path}'\n  {shown}")
    say("\nCtrl-C stops everything.")


def _watch(running: _Running, rejects: Rejects) -> None:
    """Go on until the stop, and say what happens meanwhile."""
    told, counted = False, 0
    while not running.stop.wait(_WATCH_S):
        running.check()
        sent = running.feeder.finished()
        if sent is not None and not told:
            say(f"All {sent:,} records are sent; the views go on answering.")
            told = True
        counted = _say_rejects(rejects, counted)
    raise _StopRequestedError


def _say_rejects(rejects: Rejects, counted: int) -> int:
    """Say how many dead letters there are whenever there are twice as many; return what was said."""
    ends = rejects.ends()
    total = sum(ends.values())
    if total == 0 or total < 2 * counted:
        return counted
    example = rejects.latest(ends)
    instance = "" if example is None else f"; one of {example.topic}: {example.reason}\n  {example.value}"
    say(f"{total:,} dead letters in {DEAD_LETTERS}{instance}")
    return total


def _say_port(what: str, wanted: int, taken: int) -> None:
    moved = "" if wanted == taken else f"  (port {wanted} is taken by another process)"
    say(f"{what:<9} 127.0.0.1:{taken}{moved}")


@contextmanager
def _data_directory(wanted: Path | None) -> Iterator[Path]:
    """Return a new directory, which is removed at the end."""
    if wanted is None:
        with tempfile.TemporaryDirectory(prefix="headrace-demo-") as name:
            yield Path(name)
        return
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        occupied = any(wanted.iterdir())
    except OSError as error:
        raise DemoError(f"--datadir {wanted} cannot be used: {error}") from error
    if occupied:
        raise DemoError(f"--datadir {wanted} is not empty: it is removed at the end, so give a new one")
    try:
        yield wanted.absolute()
    finally:
        shutil.rmtree(wanted)
