"""The long form of `test_crash`, brokers included: `python -m tests.integration.crash --help`."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from pipeline.clock import SystemClock
from pipeline.testing.brokers import ApacheKafka
from tests.integration.crash.run import BROKERS, CLUSTER, Run, kill_brokers, kill_workers, running


def main() -> int:
    """Run both parts, print and report what came of them; 1 if anything was lost or repeated."""
    parser = argparse.ArgumentParser(prog="python -m tests.integration.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="kill -9 of random workers out of three")
    parser.add_argument("--broker-kills", type=int, default=20, help="kill -9 of random brokers out of three")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--report", type=Path, help="Markdown file that gets a line for each part")
    arguments = parser.parse_args()
    lines = []
    if arguments.kills:
        lines.append(_part("workers", arguments.kills, arguments.seed))
    if arguments.broker_kills:
        lines.append(_part("brokers", arguments.broker_kills, arguments.seed))
    if arguments.report is not None:
        text = arguments.report.read_text(encoding="utf-8") if arguments.report.exists() else _HEAD
        arguments.report.write_text(text + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return int(not all(line.endswith("| none |") for line in lines))


_HEAD = """# Killed at random, under exactly-once

`python -m tests.integration.crash --report docs/crash.md` adds a line a part: three workers on Apache
Kafka 4.3 (six partitions; workers killed on one node, brokers on three with replication 3 and
`min.insync.replicas=2`), records coming all the while; then every copy, pair, sequence number and total
is compared with the input.

| day | killed | kills | seed | orders | seconds | lost or repeated |
| --- | --- | --: | --: | --: | --: | --- |
"""


def _part(what: str, kills: int, seed: int) -> str:
    clock = SystemClock()
    started = clock.now_ms()
    with ExitStack() as stack:
        nodes = BROKERS if what == "brokers" else 1
        settings = CLUSTER if nodes > 1 else _ONE
        kafka = stack.enter_context(ApacheKafka(nodes, settings=settings, controller=nodes > 1))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-crash-"))
        run: Run = stack.enter_context(running(kafka.address, Path(folder), seed))
        if nodes > 1:
            kill_brokers(run, kafka, kills)
        else:
            kill_workers(run, kills)
        found = run.differences()
        for difference in found:
            sys.stderr.write(f"{difference}\n")
        seconds = (clock.now_ms() - started) // 1_000
        day = _day(clock.now_ms())
        line = (
            f"| {day} | {what} | {run.kills} | {seed} | {len(run.orders):,} | {seconds:,} | "
            f"{len(found) or 'none'} |"
        )
    sys.stdout.write(f"{line}\n")
    return line


#: A killed worker's partitions wait for the end of its session.
_ONE = {key: value for key, value in CLUSTER.items() if key.startswith("group.")}


def _day(now_ms: int) -> str:
    return datetime.fromtimestamp(now_ms / 1_000, UTC).date().isoformat()


if __name__ == "__main__":
    sys.exit(main())
