"""`python -m benchmarks.faust_programs`: the same agents on stock Faust and on Headrace, in turns."""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.events import make_events, random_users, start_of_history
from benchmarks.faust_programs.run import ENGINES, WORKS, Result, Run
from benchmarks.machine import describe_machine, describe_versions
from benchmarks.topics import PARTITIONS, create_topic, fill
from pipeline.clock import SystemClock
from pipeline.testing.brokers import ApacheKafka, EmbeddedBroker
from pipeline.testing.process import free_port

_BROKERS: Final = {"embedded": EmbeddedBroker, "kafka": ApacheKafka}
_TIMEOUT_S: Final = 600.0


def main() -> None:
    """Measure, and print medians and ratios."""
    options = _parse()
    # Who stops it early wants no worker to be left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    events = {"headrace": options.events, "faust": options.faust_events}
    print(
        f"Events a second of one worker: medians of {options.runs} runs in turns, 190 bytes of JSON, "
        f"{PARTITIONS} partitions, {events['headrace']:,} events (Faust: {events['faust']:,}), from the "
        "first to the last; tables in RocksDB (Faust: in memory, the fastest that it has). CPU: of the "
        "thread that the agent runs in, for one event.\n\n"
        f"- machine: {describe_machine()}\n- versions: {describe_versions()}, {options.broker} broker\n\n"
        "| agent | Headrace | Faust | ratio | CPU us | CPU us, Faust | ratio |\n"
        "| --- | --: | --: | --: | --: | --: | --: |"
    )
    with _BROKERS[options.broker]() as server, tempfile.TemporaryDirectory() as folder:
        for engine, count in events.items():
            create_topic(server.address, engine, {"retention.ms": "-1"})
            start_ms = start_of_history(SystemClock().now_ms())
            fill(server.address, {"source": engine}, make_events(count, start_ms, 200_000, random_users()))
        for work in options.only or WORKS:
            results: dict[str, list[Result]] = {engine: [] for engine in ENGINES}
            for number, engine in _turns(options.runs):
                name = f"{engine}-{work}-{number}"
                run = Run(
                    engine,
                    work,
                    name,
                    server.address,
                    engine,
                    PARTITIONS,
                    events[engine],
                    str(Path(folder) / name),
                    str(Path(folder) / f"{name}.rate"),
                )
                results[engine].append(_measure(run))
            ours, theirs = (statistics.median(each.rate for each in results[engine]) for engine in ENGINES)
            cpu, their_cpu = (
                statistics.median(each.cpu_us for each in results[engine]) for engine in ENGINES
            )
            print(
                f"| {work} | {ours:,.0f} | {theirs:,.0f} | {ours / theirs:.0f} "
                f"| {cpu:.2f} | {their_cpu:.0f} | {their_cpu / cpu:.0f} |",
                flush=True,
            )


def _turns(runs: int) -> Iterator[tuple[int, str]]:
    for number in range(runs):
        for engine in ENGINES if number % 2 else reversed(ENGINES):
            yield number, engine


def _measure(run: Run) -> Result:
    """Run the program until it has said its result, and end it.

    Raises:
        RuntimeError: it ended by itself, or took too long.
    """
    log, clock, result = Path(f"{run.result}.log"), SystemClock(), Path(run.result)
    command = [
        sys.executable,
        "-m",
        "faust",
        "-A",
        "benchmarks.faust_programs.program",
        "worker",
        "--web-port",
        str(free_port()),
        "-l",
        "warn",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=os.environ | run.environment(), stdout=output, stderr=subprocess.STDOUT
        )
        deadline_ms = clock.now_ms() + _TIMEOUT_S * 1_000
        try:
            while not result.exists() or not result.stat().st_size:
                if process.poll() is not None or clock.now_ms() > deadline_ms:
                    raise RuntimeError(f"{run.name} did not finish:\n{log.read_text()[-2_000:]}")
                try:
                    process.wait(0.1)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            process.kill()
            process.wait()
    return msgspec.json.decode(result.read_bytes(), type=Result)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faust_programs", description=__doc__)
    parser.add_argument("--broker", choices=list(_BROKERS), default="embedded")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--events", type=int, default=1_000_000, help="for Headrace (1000000)")
    parser.add_argument("--faust-events", type=int, default=30_000, help="for Faust (30000)")
    parser.add_argument("--only", choices=WORKS, action="append", help="measure this agent alone")
    return parser.parse_args()


if __name__ == "__main__":
    main()
