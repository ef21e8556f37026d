"""A worker's connection to the in-memory broker: requests get lost, answers do, records wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, cast

from pipeline.errors import BrokerUnreachableError
from pipeline.record import TopicPartition
from pipeline.runtime.background import Background, Made, Running
from pipeline.runtime.broker import (
    Admin,
    Committed,
    Consumer,
    Reader,
    RebalanceListener,
    Records,
)
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.producer import Producer, TransactionalProducer
from pipeline.testing.simulation.faults import Faults
from pipeline.testing.simulation.leaders import Leaders
from pipeline.testing.simulation.link_producer import LinkProducer, LinkTransactionalProducer


class Link:
    """Satisfies `pipeline.runtime.broker.Broker`, over a broker that all links share.

    Args:
        broker: the broker.
        leaders: who leads what.
        random: draws what gets lost.
        faults: how often.
        counts: counts what happens, under the names of `Outcome.counts`.

    Attributes:
        down: whether nothing gets through at all.
        faults: may be changed while it is used.
    """

    def __init__(
        self, broker: MemoryBroker, leaders: Leaders, random: Random, faults: Faults, counts: Counter[str]
    ) -> None:
        self.broker, self.leaders, self.random, self.faults, self.counts = (
            broker,
            leaders,
            random,
            faults,
            counts,
        )
        self.down = False
        self._group = ""
        self._producers: list[LinkProducer] = []
        #: The last call that was begun beside the worker.
        self._running: Made | None = None

    @property
    def address(self) -> str:
        """What messages call it."""
        return self.broker.address

    def consumer(self, group: str, client_id: str) -> Consumer:
        """Return a new group member."""
        return LinkConsumer(self, self.broker.consumer(group, client_id), f"group {group}")

    def producer(self, client_id: str) -> Producer:
        """Return a new producer."""
        producer = LinkProducer(self, self.broker.producer(client_id))
        self._producers.append(producer)
        return producer

    def transactional_producer(
        self, client_id: str, transactional_id: str, timeout_ms: int
    ) -> TransactionalProducer:
        """Return a new transactional producer."""
        coordinator = f"transactions of {transactional_id}"
        self.request("taking over a transactional id", coordinator)
        inner = self.broker.transactional_producer(client_id, transactional_id, timeout_ms)
        producer = LinkTransactionalProducer(self, inner, coordinator)
        self._producers.append(producer)
        return producer

    def admin(self) -> Admin:
        """Return a new admin client."""
        return cast("Admin", _Requests(self, self.broker.admin()))

    def reader(self) -> Reader:
        """Return a new reader."""
        return cast("Reader", _Requests(self, self.broker.reader()))

    def request(self, what: str, coordinator: str | None = None) -> None:
        """Let a request through, or lose it."""
        if self.down:
            raise BrokerUnreachableError(f"simulated: nobody answers ({what})")
        if coordinator is not None and not self.leaders.coordinates(coordinator):
            raise BrokerUnreachableError(f"simulated: there is no coordinator ({what})")
        if self.random.random() < self.faults.request_lost:
            self.counts["requests lost"] += 1
            raise BrokerUnreachableError(f"simulated: a request gets lost ({what})")

    def respond(self, what: str) -> None:
        """Let an answer through, or lose it: what was asked for is done."""
        if self.random.random() < self.faults.response_lost:
            self.counts["answers lost"] += 1
            raise BrokerUnreachableError(f"simulated: an answer gets lost ({what})")

    def background(self, client_id: str) -> Background:  # noqa: ARG002 - nobody asks who
        """Return what makes calls now, or later, or when they are waited for."""
        return self

    def begin(self, call: Callable[[], object]) -> Running:
        """Begin a call beside the worker."""
        self.counts["calls beside a worker"] += 1
        self._running = Made(call, later=True)
        return self._running

    def close(self) -> None:
        """End: no call is under way."""
        self._running = None

    def carry_on(self) -> None:
        """Let clients do what they do beside the worker: deliver some of their queues, make a call."""
        if not self.down:
            for producer in self._producers:
                producer.deliver_some()
        if self._running is not None and not self._running.done and self.random.random() < 0.3:  # noqa: PLR2004 - or later
            self.counts["calls made beside a worker"] += 1
            self._running.make()

    def lose_leader(self, partitions: Sequence[TopicPartition]) -> None:
        """Let producers find out that these have no leader any more."""
        for producer in self._producers:
            producer.lose_leader(partitions)

    def abort_transaction(self) -> bool:
        """Let the broker abort what is open, as after its timeout; return whether anything was."""
        return sum(producer.abort_transaction() for producer in self._producers) > 0

    def remove(self, producer: LinkProducer) -> None:
        """Forget a producer that is closed."""
        self._producers.remove(producer)


class _Requests:
    """A client of which every call is one request, and one answer."""

    def __init__(self, link: Link, inner: Any) -> None:
        self._link, self._inner = link, inner

    def __getattr__(self, name: str) -> Any:
        call, link = getattr(self._inner, name), self._link
        if name in {"close", "add", "remove", "finished"}:
            self.__dict__[name] = call
            return call

        def requested(*arguments: Any, **options: Any) -> Any:
            link.request(name)
            answer = call(*arguments, **options)
            if name == "delete_records":
                link.counts["purges"] += 1
            if name != "poll":
                # What a fetch lost is fetched again, by the client itself.
                link.respond(name)
            return answer

        self.__dict__[name] = requested
        return requested


class _Counted:
    """A listener, and how often partitions came and went."""

    def __init__(self, listener: RebalanceListener, counts: Counter[str]) -> None:
        self._listener, self._counts = listener, counts
        self.on_offset_lost = listener.on_offset_lost

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Count, and pass it on."""
        self._counts["assignments"] += 1
        return self._listener.on_assigned(partitions)

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Count, and pass it on."""
        self._counts["revocations"] += 1
        self._listener.on_revoked(partitions)

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Count, and pass it on."""
        self._counts["partitions lost"] += 1
        self._listener.on_lost(partitions)


class LinkConsumer:
    """Satisfies `pipeline.runtime.broker.Consumer`."""

    def __init__(self, link: Link, inner: Any, coordinator: str) -> None:
        self._link, self._inner, self._coordinator = link, inner, coordinator
        self.member_id = inner.member_id
        self.group_metadata = inner.group_metadata
        self.end_offset = inner.end_offset
        self.known_end = inner.known_end
        self.pause = inner.pause
        self.resume = inner.resume
        self.close = inner.close

    def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        """Join the group for these topics."""
        self._inner.subscribe(topics, _Counted(listener, self._link.counts))

    def poll(self, max_records: int, timeout_s: float) -> Records:
        """Return some of what there is; a fetch that got lost is made again."""
        self._link.request("poll", self._coordinator)
        records: Records = self._inner.poll(self._link.random.randint(1, max_records), timeout_s)
        return records

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Committed]:
        """Return the group's committed offsets."""
        self._link.request("committed", self._coordinator)
        committed: dict[TopicPartition, Committed] = self._inner.committed(partitions)
        self._link.respond("committed")
        return committed

    def commit(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        """Commit; if the answer gets lost, it is done all the same."""
        self._link.request("commit", self._coordinator)
        self._inner.commit(offsets)
        self._link.counts["commits"] += 1
        self._link.respond("commit")
