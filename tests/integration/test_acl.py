"""Under exactly the rights that `faust acl` prints an application runs; without any one of them it stops."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec
import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not exported in its annotations
    AclBinding,
    AclOperation,
)

from demo.worker import WorkerProcess
from pipeline.clock import SystemClock
from pipeline.errors import BrokerRefusedError
from pipeline.runtime.broker import TopicSpec
from pipeline.runtime.kafka import KafkaBroker
from pipeline.runtime.worker import Worker
from pipeline.state.provider import MemoryProvider
from pipeline.testing.process import free_port
from tests.integration.flagship.topics import Outgoing, Topics
from tests.integration.flagship.waiting import wait_until
from tests.integration.secured.broker import (
    SECRET,
    TOPOLOGY,
    Secured,
    bindings,
    printed_commands,
    secured,
)
from tests.integration.secured.topology import LETTERS, SINKS, SOURCES, Guarantee, Order, declare, topic

pytestmark = pytest.mark.kafka

GUARANTEES: Final = ("at_least_once", "exactly_once")
PARTITIONS: Final = 2
#: All orders are of one minute: none is late, whichever partition is read first.
NOW: Final = 1_700_000_040_000
REGIONS: Final = ("north", "south", "west")
OPTIONAL: Final = (AclOperation.DELETE, AclOperation.DESCRIBE_CONFIGS)
_DEADLINE_S: Final = 300.0
_TURNS: Final = 20


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured(tmp_path_factory.mktemp("certificates")) as started:
        yield started


class Application:
    """Its topics, seen by an administrator, and what was written into them."""

    def __init__(self, broker: Secured, name: str, guarantee: Guarantee) -> None:
        self.name, self.guarantee = name, guarantee
        self.environment = broker.environment(name, guarantee)
        self.topics = Topics(broker.kafka.address, name)
        self.orders: list[Order] = []
        self.broken = 0
        self._admin = broker.admin
        broker.add_user(name)
        kept = {"cleanup.policy": "compact"}
        self.topics.create(
            [
                TopicSpec(topic(name, each), PARTITIONS, kept if each == "owners" else {})
                for each in (*SOURCES, *SINKS)
            ]
        )

    def write(self, count: int = 30) -> None:
        """Write orders, one of them broken, and one of each of the other records."""
        new = [Order(REGIONS[n % len(REGIONS)], n * 7 % 100) for n in range(count)]
        self.orders += new
        self.broken += 1
        self._put("orders", *(msgspec.json.encode(order) for order in new), b"broken")
        for source in SOURCES[1:]:
            self._put(source, b"something")

    def delete(self, name: str) -> None:
        """Delete a topic, if it is there."""
        for future in self._admin.delete_topics([name]).values():
            error = future.exception(_DEADLINE_S)
            if error is not None:
                assert isinstance(error, KafkaException)
                assert error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART
        wait_until(lambda: name not in self._admin.list_topics(timeout=60).topics, f"{name} is gone")

    def close(self) -> None:
        """Free the connections."""
        self.topics.__exit__(None, None, None)

    def _put(self, name: str, *values: bytes) -> None:
        self.topics.write(
            Outgoing(topic(self.name, name), b"%d" % number, value, NOW)
            for number, value in enumerate(values)
        )

    def read(self, name: str) -> list[tuple[str, bytes]]:
        """Return keys and values of a topic, empty if it is not there."""
        return [
            ((each.key or b"").decode(), each.value or b"")
            for each in self.topics.read(topic(self.name, name))
        ]

    def complete(self) -> bool:
        """Return whether every order is in every result, each once."""
        large = [order for order in self.orders if order.amount > 50]
        minute = NOW // 60_000 * 60_000
        counts = {key: int.from_bytes(value, "big") for key, value in self.read("per-minute")}
        found = (len(self.read("large")), len(self.read("small")), len(self.read(LETTERS)))
        return found == (len(large), len(self.orders) - len(large), self.broken) and counts == {
            f"{region}@{minute}": sum(order.region == region for order in self.orders) for region in REGIONS
        }


class Workers:
    """Processes, as a user starts them."""

    def __init__(self, application: Application, address: str, folder: Path) -> None:
        self._application, self._address, self._folder = application, address, folder
        self._running: dict[int, WorkerProcess] = {}

    def start(self, number: int) -> None:
        folder = self._folder / f"worker-{number}"
        folder.mkdir(exist_ok=True)
        self._running[number] = WorkerProcess(TOPOLOGY, self._address, folder, free_port())

    def stop(self, number: int) -> None:
        worker = self._running.pop(number)
        worker.stop()
        assert worker.exit_code == 0, worker.log_tail()

    def wait(self, holds: Callable[[], bool]) -> None:
        def reached() -> bool:
            for number, worker in self._running.items():
                assert worker.running, f"worker {number} ended:\n{worker.log_tail()}"
            return holds()

        wait_until(reached, "the results are there", deadline_s=_DEADLINE_S)

    def close(self) -> None:
        for worker in self._running.values():
            worker.stop()


def set_environment(monkeypatch: pytest.MonkeyPatch, application: Application) -> None:
    for name, value in application.environment.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_two_workers_and_a_restart_under_exactly_the_printed_rights(
    broker: Secured, guarantee: Guarantee, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"shop-{guarantee.replace('_', '-')}"
    with (
        closing(Application(broker, name, guarantee)) as application,
        closing(Workers(application, broker.address, tmp_path)) as workers,
    ):
        broker.grant(bindings(printed_commands(application.environment)))
        set_environment(monkeypatch, application)
        application.write()
        workers.start(0)
        workers.start(1)
        workers.wait(application.complete)
        workers.stop(0)
        application.write()
        workers.start(0)
        workers.wait(application.complete)
        assert len(application.read("all-logs")) == 2
    logs = [log.read_text(encoding="utf-8", errors="replace") for log in tmp_path.glob("*/worker.log")]
    assert len(logs) == 2
    assert not any(SECRET in log for log in logs)


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_without_any_one_of_the_printed_rights_it_stops_and_names_what_it_may_not(
    broker: Secured, guarantee: Guarantee, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"less-{guarantee.replace('_', '-')}"
    with closing(Application(broker, name, guarantee)) as application:
        set_environment(monkeypatch, application)
        rights = bindings(printed_commands(application.environment))
        # Without these a worker runs, as `acl` says.
        needed = [right for right in rights if right.operation not in OPTIONAL]
        broker.grant(needed)
        created = [right for right in needed if right.operation is AclOperation.CREATE]
        for right in created:
            application.delete(right.name)
            check_needed(broker, application, right)
        application.write()
        run(broker, application, application.complete)
        for right in needed:
            # A topic that is not shown matches no pattern: that is no error, and `acl` says so.
            if right not in created and right.name != topic(name, "logs."):
                application.write()
                check_needed(broker, application, right)


def check_needed(broker: Secured, application: Application, right: AclBinding) -> None:
    broker.revoke(right)
    with pytest.raises(BrokerRefusedError, match=re.escape(right.name)) as caught:
        run(broker, application, lambda: False)
    assert "AUTHORIZATION_FAILED" in str(caught.value)
    assert "faust -A <app> acl" in str(caught.value)
    broker.grant([right])


def run(broker: Secured, application: Application, done: Callable[[], bool]) -> None:
    """Run a worker that has nothing on its disk."""
    app = declare(application.name, application.guarantee)
    worker = Worker(
        app.topology,
        app.streams_config,
        KafkaBroker(broker.address, settings=app.client_settings),
        SystemClock(),
        MemoryProvider(),
    )
    turns = itertools.count()

    def reached() -> bool:
        for _ in range(_TURNS):
            worker.step()
        return next(turns) > 0 and done()

    try:
        wait_until(reached, f"a result, or a refusal; {worker.status()}", deadline_s=_DEADLINE_S)
        worker.commit(leaving=True)
    finally:
        worker.abort()
