"""Three workers on one application, killed at random while records keep coming; what they made of it."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from demo.worker import WorkerProcess
from pipeline.clock import SystemClock
from pipeline.errors import BrokerUnreachableError
from pipeline.runtime.broker import TopicSpec
from pipeline.testing.brokers import ApacheKafka
from pipeline.testing.process import free_port
from tests.integration.crash.topology import (
    COPIES,
    ORDERS,
    PAID,
    PAYMENTS,
    SEQUENCES,
    TOTALS,
    Numbered,
    Order,
    Payment,
    Total,
)
from tests.integration.flagship.topics import Outgoing, Topics
from tests.integration.flagship.waiting import wait_until

APPLICATION: Final = "crash"
TOPOLOGY: Final = "tests.integration.crash.topology"
WORKERS: Final = 3
BROKERS: Final = 3
#: With replication to three and two that must have a record before it counts.
CLUSTER: Final = {
    "min.insync.replicas": "2",
    # Until a broker is known to be gone, everything that it led stands still; but one that is slow, on a
    # busy machine, is not to be taken for one that is gone.
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "500",
    "group.consumer.min.session.timeout.ms": "6000",
    "group.consumer.session.timeout.ms": "6000",
}
PARTITIONS: Final = 6
USERS: Final = 40
REGIONS: Final = 7
#: Orders written between two kills.
BATCH: Final = 400
_DEADLINE_S: Final = 300.0

T = TypeVar("T")


class Run:
    """The workers, the input so far, and the random choices.

    Args:
        topics: the broker.
        folder: for the workers' state and logs.
        seed: of every choice.
    """

    def __init__(self, topics: Topics, folder: Path, seed: int) -> None:
        self.topics = topics
        self.random = random.Random(seed)
        self.orders: list[Order] = []
        self.kills = 0
        self._committed = 0
        self._folder = folder
        self._workers: dict[int, WorkerProcess] = {}
        self._clock = SystemClock()

    def prepare(self) -> None:
        """Create the topics."""
        names = (ORDERS, PAYMENTS, COPIES, SEQUENCES, TOTALS, PAID)
        self.topics.create([TopicSpec(name, PARTITIONS, {}) for name in names])

    def start(self, number: int) -> None:
        """Start a worker, with the state folder it had."""
        folder = self._folder / f"worker-{number}"
        folder.mkdir(exist_ok=True)
        self._workers[number] = WorkerProcess(TOPOLOGY, self.topics.address, folder, free_port())

    def kill(self) -> None:
        """Kill a random worker, and start it again."""
        self.check()
        number = self.random.choice(sorted(self._workers))
        self._workers.pop(number).kill()
        self.kills += 1
        self.start(number)

    def roll(self) -> None:
        """Stop and start each worker in turn, in order."""
        for number in sorted(self._workers):
            self.check()
            worker = self._workers.pop(number)
            worker.stop()
            assert worker.exit_code == 0, worker.log_tail()
            self.start(number)
            self.write(BATCH)
            self.wait_committed(BATCH // 2)

    def check(self) -> None:
        """Fail if a worker ended by itself."""
        for number, worker in self._workers.items():
            assert worker.running, f"worker {number} ended with {worker.exit_code}:\n{worker.log_tail()}"

    def stop(self) -> None:
        """Stop all workers."""
        for worker in self._workers.values():
            worker.stop()

    def write(self, count: int) -> None:
        """Write orders and their payments, now."""
        now = self._clock.now_ms()
        new = [self._order(len(self.orders) + number) for number in range(count)]
        self.orders += new
        self.topics.write(
            Outgoing(ORDERS, order.user.encode(), msgspec.json.encode(order), now) for order in new
        )
        self.topics.write(
            Outgoing(PAYMENTS, order.id.to_bytes(8, "big"), _payment(order), now) for order in new
        )

    def _order(self, number: int) -> Order:
        choose = self.random.randrange
        return Order(number, f"user-{choose(USERS)}", f"region-{choose(REGIONS)}", choose(1, 100))

    def committed(self) -> int:
        """Return how many orders the group has committed, as far as a broker says so."""
        try:
            self._committed = sum(self.topics.committed([ORDERS]).values())
        except BrokerUnreachableError:
            # One was just killed: who answers in its place is being decided.
            self.check()
        return self._committed

    def wait_committed(self, more: int) -> None:
        """Wait until so many more orders are committed, or all there are."""
        wanted = min(self._committed + more, len(self.orders))

        def reached() -> bool:
            self.check()
            return self.committed() >= wanted

        wait_until(reached, f"{wanted} orders are committed", deadline_s=_DEADLINE_S)

    def wait_processed(self) -> None:
        """Wait until every order is in every result."""
        self.wait_committed(len(self.orders))
        wanted = len(self.orders)

        def complete() -> bool:
            self.check()
            done = sum(total.orders for total in self.totals().values())
            return done >= wanted and len(self.topics.read(PAID)) >= wanted

        wait_until(complete, f"{wanted} orders are in all results", deadline_s=_DEADLINE_S)

    def wait_replicated(self) -> None:
        """Wait until every partition has all its replicas: the next broker may go."""
        wait_until(self.topics.replicated, "all replicas are in sync", deadline_s=_DEADLINE_S)

    def totals(self) -> dict[str, Total]:
        """Return the last total of each region."""
        return {
            (message.key() or b"").decode(): msgspec.json.decode(message.value() or b"", type=Total)
            for message in self.topics.read(TOTALS)
        }

    def differences(self) -> list[str]:
        """Return everything in the results that the input does not say, or says and they do not."""
        return [*self._copies(), *self._paid(), *self._sequences(), *self._totals()]

    def _copies(self) -> Iterator[str]:
        got = Counter(order.id for order in self._read(COPIES, Order))
        yield from _compare("copy of order", got, Counter(order.id for order in self.orders))

    def _paid(self) -> Iterator[str]:
        got = Counter(payment.order for payment in self._read(PAID, Payment))
        yield from _compare("payment of order", got, Counter(order.id for order in self.orders))

    def _sequences(self) -> Iterator[str]:
        """The orders of a user are numbered in the order they were written, each once."""
        expected: defaultdict[str, list[int]] = defaultdict(list)
        for order in self.orders:
            expected[order.user].append(order.id)
        got: defaultdict[str, list[Numbered]] = defaultdict(list)
        for message in self.topics.read(SEQUENCES):
            numbered = msgspec.json.decode(message.value() or b"", type=Numbered)
            got[(message.key() or b"").decode()].append(numbered)
        for user, ids in expected.items():
            wanted = [Numbered(number, order) for number, order in enumerate(ids, 1)]
            if got[user] != wanted:
                yield f"sequence of {user}: {got[user]} instead of {wanted}"

    def _totals(self) -> Iterator[str]:
        expected: defaultdict[str, Total] = defaultdict(lambda: Total(0, 0))
        for order in self.orders:
            total = expected[order.region]
            expected[order.region] = Total(total.orders + 1, total.amount + order.amount)
        got = self.totals()
        for region, total in expected.items():
            if got.get(region) != total:
                yield f"total of {region}: {got.get(region)} instead of {total}"
        last: dict[bytes, int] = {}
        for message in self.topics.read(TOTALS):
            key, total = message.key() or b"", msgspec.json.decode(message.value() or b"", type=Total)
            if total.orders <= last.get(key, 0):
                yield f"total of {key.decode()} goes from {last[key]} orders to {total.orders}"
            last[key] = total.orders

    def _read(self, topic: str, type_: type[T]) -> Iterator[T]:
        for message in self.topics.read(topic):
            yield msgspec.json.decode(message.value() or b"", type=type_)


@contextmanager
def running(address: str, folder: Path, seed: int) -> Iterator[Run]:
    """Yield a run with its workers started; the seed is of every random choice."""
    with ExitStack() as stack:
        topics = stack.enter_context(Topics(address, APPLICATION))
        run = Run(topics, folder, seed)
        run.prepare()
        stack.callback(run.stop)
        for number in range(WORKERS):
            run.start(number)
        yield run


def kill_workers(run: Run, kills: int) -> None:
    """Kill random workers while records keep coming, then wait until all is processed."""
    for _ in range(kills):
        run.write(BATCH)
        run.wait_committed(run.random.randrange(1, BATCH))
        run.kill()
    run.write(BATCH)
    run.wait_processed()


def kill_brokers(run: Run, kafka: ApacheKafka, kills: int) -> None:
    """Kill random brokers of three, one at a time, while records keep coming, then wait."""
    for _ in range(kills):
        run.write(BATCH)
        run.wait_committed(run.random.randrange(1, BATCH))
        node = run.random.randrange(BROKERS)
        kafka.kill(node)
        run.kills += 1
        run.write(BATCH)
        run.wait_committed(BATCH)
        kafka.restart(node)
        run.wait_replicated()
    run.wait_processed()


def _payment(order: Order) -> bytes:
    return msgspec.json.encode(Payment(order.id, order.amount))


def _compare(what: str, got: Counter[int], expected: Counter[int]) -> Iterator[str]:
    if lost := expected - got:
        yield f"{sum(lost.values())} times no {what}, such as {min(lost)}"
    if repeated := got - expected:
        yield f"{sum(repeated.values())} times one {what} too many, such as {min(repeated)}"
