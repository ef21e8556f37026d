"""Three workers on one application, killed at random while records keep coming."""

from __future__ import annotations

import json
import random
import shutil
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from demo.worker import WorkerProcess
from pipeline.clock import SystemClock
from pipeline.errors import BrokerUnreachableError
from pipeline.record import TopicPartition
from pipeline.runtime.broker import TopicSpec
from pipeline.testing.process import free_port
from tests.integration.crash.expected import Results
from tests.integration.crash.topology import (
    CLOSED,
    COPIES,
    DEAD,
    GUARANTEE_VARIABLE,
    HELD,
    NAMED,
    ORDERS,
    PAID,
    PAYMENTS,
    REGIONS,
    SEQUENCES,
    TOTALS,
    USERS,
)
from tests.integration.crash.traffic import Traffic
from tests.integration.flagship.topics import Topics
from tests.integration.flagship.waiting import wait_until

APPLICATION: Final = "crash"
TOPOLOGY: Final = "tests.integration.crash.topology"
WORKERS: Final = 3
#: Of what a machine does in seconds when it is idle.
_DEADLINE_S: Final = 600.0
#: How long the group's coordinator may be silent before it is looked for anew.
_COMMITTED_S: Final = 3.0
_HTTP_TIMEOUT_S: Final = 30.0
_PAGE: Final = 1_000
_TOPICS: Final = (ORDERS, PAYMENTS, COPIES, SEQUENCES, TOTALS, PAID, NAMED, CLOSED, HELD, DEAD)


class Run:
    """The workers, their input, and how long they took to recover.

    Args:
        topics: the broker.
        folder: for the workers' state and logs.
        seed: of every choice.
        partitions: of each topic but the global table's.
        exactly_once: the application's guarantee.
    """

    def __init__(
        self, topics: Topics, folder: Path, seed: int, partitions: int, *, exactly_once: bool
    ) -> None:
        self.topics = topics
        self.random = random.Random(seed)
        self.traffic = Traffic(topics, seed)
        self.results = Results(topics, self.traffic, exactly_once=exactly_once)
        self.kills = 0
        #: From each kill that was waited out until every partition had results again, ms.
        self.recoveries: list[int] = []
        self._folder, self._partitions = folder, partitions
        self._workers: dict[int, WorkerProcess] = {}
        self._ports: dict[int, int] = {}
        self._clock = SystemClock()
        self._committed: Mapping[TopicPartition, int] = {}

    def prepare(self) -> None:
        """Create the topics, and what is joined with orders."""
        specs = [TopicSpec(name, self._partitions, {}) for name in (*_TOPICS, USERS)]
        self.topics.create([*specs, TopicSpec(REGIONS, 1, {})])
        self.traffic.tables()

    def start(self, number: int) -> None:
        """Start a worker, with the state folder that it had."""
        folder = self._folder / f"worker-{number}"
        folder.mkdir(exist_ok=True)
        port = self._ports[number] = free_port()
        self._workers[number] = WorkerProcess(TOPOLOGY, self.topics.address, folder, port)

    def kill(self, *, forget: bool = False, down_s: float = 0.0) -> None:
        """Kill a random worker, and start it again.

        Args:
            forget: whether its state folder is lost, too.
            down_s: how long it stays away.
        """
        self.check()
        number = self.random.choice(sorted(self._workers))
        self._workers.pop(number).kill()
        self.kills += 1
        if forget:
            shutil.rmtree(self._folder / f"worker-{number}" / "state", ignore_errors=True)
        pause(down_s)
        self.start(number)

    def roll(self) -> None:
        """Stop and start each worker in turn, in order; the next when all is processed again."""
        self._wait(self._ready, "all workers are ready")
        for number in sorted(self._workers):
            self.check()
            worker = self._workers.pop(number)
            worker.stop()
            assert worker.exit_code == 0, worker.log_tail()
            self.start(number)
            self.wait_caught_up()

    def check(self) -> None:
        """Fail if a worker, or the traffic, ended by itself."""
        self.traffic.check()
        for number, worker in self._workers.items():
            assert worker.running, f"worker {number} ended with {worker.exit_code}:\n{worker.log_tail()}"

    def stop(self) -> None:
        """Stop the traffic and all workers."""
        self.traffic.end()
        for worker in self._workers.values():
            worker.stop()

    def wait_committed(self, more: int) -> None:
        """Wait until so many more orders are committed."""
        wanted = sum(self._refreshed().values()) + more
        self._wait(lambda: sum(self._refreshed().values()) >= wanted, f"{more} more orders are committed")

    def wait_caught_up(self) -> None:
        """Wait until everything that is written by now is committed."""
        ends = self.topics.ends([ORDERS])
        self._wait(lambda: self._reached(ends), "all that was written is committed")

    def time_recovery(self, kill: Callable[[], None]) -> None:
        """Kill, and measure how long it takes until of each partition something newer is committed."""
        newer = {partition: end + 1 for partition, end in self.topics.ends([ORDERS]).items()}
        started = self._clock.now_ms()
        kill()
        self._wait(lambda: self._reached(newer), "what was written after the kill is committed")
        self.recoveries.append(self._clock.now_ms() - started)

    def wait_replicated(self) -> None:
        """Wait until every partition has all its replicas: the next broker may go."""
        self._wait(self.topics.replicated, "all replicas are in sync")

    def finish(self) -> list[str]:
        """End the traffic, close all windows, wait for all results, and compare them and the tables."""
        self.traffic.end()
        self._wait_settled()
        self.traffic.close_windows()
        self._wait_settled()
        tables = [self._table("counts"), self._table("region-totals")]
        return [*self.results.differences(), *self.results.table_differences(*tables)]

    def _wait_settled(self) -> None:
        """Wait until all orders have come through the topics in between, too."""
        self.wait_caught_up()
        self._wait(self.results.complete, f"{len(self.traffic.orders)} orders are in all results")

    def _reached(self, ends: Mapping[TopicPartition, int]) -> bool:
        committed = self._refreshed()
        return all(committed.get(partition, 0) >= end for partition, end in ends.items())

    def _refreshed(self) -> Mapping[TopicPartition, int]:
        """Return what the group has committed of the orders, as far as a broker says so."""
        try:
            self._committed = self.topics.committed([ORDERS], _COMMITTED_S)
        except BrokerUnreachableError:
            # One was just killed: who answers in its place is being decided.
            self.check()
        return self._committed

    def _ready(self) -> bool:
        return all(_get(port, "/ready") is not None for port in self._ports.values())

    def _wait(self, holds: Callable[[], bool], what: str) -> None:
        def checked() -> bool:
            self.check()
            return holds()

        wait_until(checked, what, deadline_s=_DEADLINE_S)

    def _table(self, store: str) -> dict[str, Any]:
        """Return a table's rows, of which each worker has some."""
        rows: dict[str, Any] = {}

        def whole() -> bool:
            rows.clear()
            held: list[int] = []
            for port in self._ports.values():
                page = _get(port, f"/stores/{store}?limit={_PAGE}")
                if page is None:
                    return False
                held += page["partitions"]["here"]
                rows.update({row["key"]: row["value"] for row in page["rows"]})
            return sorted(held) == list(range(self._partitions))

        self._wait(whole, f"all of table {store} is open")
        return rows


def _get(port: int, path: str) -> Any:
    """Return what a worker answers, None if it does not."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=_HTTP_TIMEOUT_S) as response:
            return json.loads(response.read())
    except OSError:
        return None


def pause(seconds: float) -> None:
    """Let time pass: for something to happen at a random moment."""
    threading.Event().wait(seconds)


@contextmanager
def running(
    address: str, folder: Path, seed: int, guarantee: str = "exactly_once", partitions: int = 6
) -> Iterator[Run]:
    """Yield a run with its workers started and records coming; the seed is of every random choice."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv(GUARANTEE_VARIABLE, guarantee)
        topics = stack.enter_context(Topics(address, APPLICATION))
        run = Run(topics, folder, seed, partitions, exactly_once=guarantee == "exactly_once")
        run.prepare()
        stack.callback(run.stop)
        for number in range(WORKERS):
            run.start(number)
        run.traffic.begin()
        run.wait_committed(1)
        yield run
