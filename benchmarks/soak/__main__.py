"""`python -m benchmarks.soak`: 1 TB a day for a while, with a sink that stalls; see the page it writes."""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.soak.broker import StallableKafka
from benchmarks.soak.feeder import VALUE_BYTES, Feeder
from benchmarks.soak.observer import Observer, Sample
from benchmarks.soak.report import Plan, Result, problems, report
from benchmarks.soak.topology import SINK, SOURCE, STORE, app
from demo.worker import WorkerProcess
from pipeline.clock import SystemClock
from pipeline.limits import memory_bounds
from pipeline.testing.process import free_port

_PARTITIONS: Final = 4
_MB: Final = 1_000_000
_TICK_S: Final = 0.05
_READY_ATTEMPTS: Final = 2_400
#: How long lag may take to go back to zero, in times of the feeding.
_PATIENCE: Final = 3
#: The broker's disk holds so much of each partition: more than a stall lets wait.
_KEPT: Final = {"retention.bytes": str(2 * 1024**3), "segment.bytes": str(64 * 1024**2)}
_BROKER: Final = {"log.retention.check.interval.ms": "30000"}


def main() -> None:
    """Run, print the page, write it to a file if told to; exit with 1 if something did not hold."""
    options = parse()
    plan = plan_of(options)
    result = soak(plan)
    page = report(plan, result)
    print(page)
    if options.output is not None:
        options.output.write_text(page, encoding="utf-8")
    if problems(plan, result):
        sys.exit(1)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options.

    Args:
        arguments: instead of those of the command line.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0, help="how long events are sent (15)")
    parser.add_argument("--rate", type=float, default=12.0, help="MB a second (12)")
    parser.add_argument("--stall", type=float, default=60.0, help="seconds of each of the two stalls (60)")
    parser.add_argument("--output", type=Path, help="write the page to this file, too")
    return parser.parse_args(arguments)


def plan_of(options: argparse.Namespace) -> Plan:
    """Return what is to be done: the stalls begin after a quarter, and after three fifths of the time."""
    seconds = round(options.minutes * 60)
    stall = min(options.stall, seconds / 6)
    begins = (seconds * 0.25, seconds * 0.6)
    stalls = tuple((begin, begin + stall) for begin in begins)
    return Plan(seconds, round(options.rate * _MB / VALUE_BYTES), stalls)


def soak(plan: Plan) -> Result:
    """Do it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-soak-")))
        broker = stack.enter_context(StallableKafka(_BROKER))
        _create_topics(broker.address)
        feeder, port = stack.enter_context(closing(Feeder(broker.address, SOURCE))), free_port()
        worker = WorkerProcess("benchmarks.soak.topology", broker.proxied, folder, port)
        stack.callback(worker.stop)
        observer = stack.enter_context(
            closing(Observer(broker.address, app.conf.id, SOURCE, _PARTITIONS, worker.pid, port))
        )
        worker.wait_ready(lambda: observer.problem() is None, _READY_ATTEMPTS)
        idle = observer.resident()
        samples = _run(plan, broker, feeder, observer, worker)
        bounds = memory_bounds(app.streams_config, app.client_settings)
        return Result(samples, idle, bounds, feeder.sent, observer.written(SINK), observer.counted(STORE))


def _run(
    plan: Plan, broker: StallableKafka, feeder: Feeder, observer: Observer, worker: WorkerProcess
) -> list[Sample]:
    """Feed, stall and release; then wait until everything is done, or for no longer than is decent."""
    clock, waiting = SystemClock(), threading.Event()
    started, stalled = clock.now_ms(), False
    samples: list[Sample] = []
    while not samples or samples[-1].second < _PATIENCE * plan.seconds:
        second = (clock.now_ms() - started) / 1_000
        feeder.send_up_to(round(min(second, plan.seconds) * plan.rate))
        if stalled != plan.is_stalled(second):
            stalled = not stalled
            (broker.stall if stalled else broker.release)()
        if not samples or second >= samples[-1].second + 1:
            if not worker.running:
                raise RuntimeError(f"the worker ended with {worker.exit_code}:\n{worker.log_tail()}")
            samples.append(observer.look(second, feeder.sent))
            _progress(samples[-1])
            if second > plan.seconds and samples[-1].done == feeder.sent:
                break
        waiting.wait(_TICK_S)
    feeder.flush()
    return samples


def _create_topics(address: str) -> None:
    admin = AdminClient({"bootstrap.servers": address, "log_level": 3})
    topics = [NewTopic(name, _PARTITIONS, 1, config=_KEPT) for name in (SOURCE, SINK)]
    for made in admin.create_topics(topics).values():
        made.result(timeout=60)


def _progress(sample: Sample) -> None:
    lag, resident = sample.sent - sample.done, sample.resident >> 20
    print(f"{sample.second:6.0f} s  lag {lag:9,}  {resident:5} MiB  {sample.problem or ''}", flush=True)


if __name__ == "__main__":
    main()
