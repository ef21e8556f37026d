"""`python -m benchmarks`: measure, check, and print medians."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from benchmarks.machine import describe_machine, describe_settings, describe_versions
from benchmarks.measurement import Measurement, Side, Work
from benchmarks.report import Result, table
from benchmarks.works import WORKS, Place
from pipeline.clock import SystemClock
from pipeline.testing.brokers import ApacheKafka, EmbeddedBroker

_BROKERS: Final = {"embedded": EmbeddedBroker, "kafka": ApacheKafka}

#: Events begin this long ago: recent enough for every default retention.
_HISTORY_MS: Final = 2 * 3_600_000
_MINUTE_MS: Final = 60_000

#: The engine's turn comes first in one run, second in the next.
_SIDES: Final[tuple[Side, Side]] = ("headrace", "hand-written")


def main() -> None:
    """Measure what was asked for; print the report, and write it to a file if told to."""
    options = parse()
    brokers = list(_BROKERS) if options.broker == "both" else [options.broker]
    works: list[Work] = [options.only] if options.only else list(WORKS)
    head = _head(options.runs, options.records)
    print(head)
    results = []
    for work in works:
        for broker in brokers:
            results.append(_result(work, broker, options.runs, options.records))
            print(table(results[-1:]).splitlines()[-1], flush=True)
    report = f"{head}\n{table(results)}"
    print(f"\n{table(results)}", end="")
    if options.output is not None:
        options.output.write_text(report, encoding="utf-8")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options.

    Args:
        arguments: instead of those of the command line.

    Raises:
        SystemExit: they are wrong, or help was asked for; it has been printed.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--broker", choices=[*_BROKERS, "both"], default="both")
    parser.add_argument("--only", choices=list(WORKS), help="measure this work alone")
    parser.add_argument("--runs", type=_positive, default=3, help="runs of each side (3)")
    parser.add_argument(
        "--records",
        type=_positive,
        default=1_000_000,
        help="records of a run; twice as many are restored (1000000)",
    )
    parser.add_argument("--output", type=Path, help="write the report to this file, too")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number


def _head(runs: int, records: int) -> str:
    return (
        f"Thousands of records a second: medians of {runs} runs, each in a process of its own, taking turns; "
        f"{records} records (restored: {2 * records}), values of 190 bytes of JSON, 100,000 keys, 4 "
        "partitions. us: processor time of the process per record, its client's threads included.\n\n"
        f"- machine: {describe_machine()}\n"
        f"- versions: {describe_versions()}\n"
        f"- settings (defaults): {describe_settings()}\n"
    )


def _result(work: Work, broker: str, runs: int, records: int) -> Result:
    """Measure one work on a fresh broker."""
    launcher: AbstractContextManager[EmbeddedBroker | ApacheKafka] = _BROKERS[broker]()
    with launcher as server:
        start_ms = (SystemClock().now_ms() - _HISTORY_MS) // _MINUTE_MS * _MINUTE_MS
        runner = WORKS[work](Place(server.address, start_ms), records)
        _progress(f"{work} on {broker}: filling topics")
        runner.prepare()
        measured: dict[Side, list[Measurement]] = {side: [] for side in _SIDES}
        for number, side in _turns(runs):
            measurement = runner.run(side, number)
            measured[side].append(measurement)
            _progress(f"{work} on {broker}, run {number}, {side}: {measurement.rate:,.0f}/s")
    return Result(work, broker, runner.floor, measured["headrace"], measured["hand-written"])


def _turns(runs: int) -> Iterator[tuple[int, Side]]:
    for number in range(1, runs + 1):
        for side in _SIDES if number % 2 else reversed(_SIDES):
            yield number, side


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
