"""The long form of `test_crash`: `python -m tests.integration.crash --help`."""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from pipeline.clock import SystemClock
from pipeline.testing.brokers import ApacheKafka
from tests.integration.crash.kills import BROKERS, CLUSTER, ONE_NODE, kill_brokers, kill_workers
from tests.integration.crash.run import Run, running


def main() -> int:
    """Run the parts, print and report what came of them; 1 if anything was lost or repeated."""
    parser = argparse.ArgumentParser(prog="python -m tests.integration.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="kill -9 of random workers out of three")
    parser.add_argument("--broker-kills", type=int, default=20, help="kill -9 of random brokers out of three")
    parser.add_argument("--guarantee", default="exactly_once", help="or at_least_once")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--report", type=Path, help="Markdown file whose table gets a line for each part")
    arguments = parser.parse_args()
    lines = []
    for what, kills in (("workers", arguments.kills), ("brokers", arguments.broker_kills)):
        if kills:
            lines.append(_part(what, kills, arguments.seed, arguments.guarantee))
            if arguments.report is not None:
                with arguments.report.open("a", encoding="utf-8") as report:
                    report.write(f"{lines[-1]}\n")
    return int(not all(line.endswith("| none |") for line in lines))


def _part(what: str, kills: int, seed: int, guarantee: str) -> str:
    clock = SystemClock()
    started = clock.now_ms()
    with ExitStack() as stack:
        several = what == "brokers"
        kafka = stack.enter_context(
            ApacheKafka(BROKERS, settings=CLUSTER, controller=True)
            if several
            else ApacheKafka(settings=ONE_NODE)
        )
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-crash-"))
        run = stack.enter_context(
            running(kafka.address, Path(folder), seed, guarantee, partitions=3 if several else 6)
        )
        if several:
            kill_brokers(run, kafka, kills)
        else:
            kill_workers(run, kills)
            run.roll()
        found = run.finish()
        for difference in found:
            sys.stderr.write(f"{difference}\n")
        line = _line(run, what, f"{seed}", guarantee, clock.now_ms() - started, len(found))
    sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"compared: {run.results.compared}\n")
    return line


def _line(run: Run, what: str, seed: str, guarantee: str, took_ms: int, differences: int) -> str:
    day = datetime.fromtimestamp(SystemClock().now_ms() / 1_000, UTC).date().isoformat()
    recoveries = [recovery / 1_000 for recovery in run.recoveries]
    numbers = f"{statistics.median(recoveries):.1f} | {max(recoveries):.1f}"
    compared = sum(run.results.compared.values())
    return (
        f"| {day} | {what} | {guarantee} | {run.kills} | {seed} | {took_ms // 1_000:,} | "
        f"{len(run.traffic.orders):,} | {compared:,} | {numbers} | {differences or 'none'} |"
    )


if __name__ == "__main__":
    sys.exit(main())
