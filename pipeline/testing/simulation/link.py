"""A worker's connection to the in-memory broker: requests get lost, answers do, records wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Final, TypeAlias, cast

from pipeline.errors import BrokerUnreachableError
from pipeline.record import Headers, TopicPartition
from pipeline.runtime.broker import (
    Admin,
    Committed,
    Consumer,
    Message,
    Producer,
    Reader,
    RebalanceListener,
    TransactionalProducer,
    Undelivered,
)
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.memory_producer import check_size
from pipeline.testing.simulation.faults import Faults

#: The arguments of `Producer.produce`.
_Produced: TypeAlias = tuple[str, bytes | None, bytes | None, int, int, Headers]


class Link:
    """Satisfies `pipeline.runtime.broker.Broker`, over a broker that all links share.

    Args:
        broker: the broker.
        random: draws what gets lost.
        faults: how often.

    Attributes:
        down: whether nothing gets through at all.
        faults: may be changed while it is used.
    """

    def __init__(self, broker: MemoryBroker, random: Random, faults: Faults) -> None:
        self.broker, self.random, self.faults = broker, random, faults
        self.down = False
        self._producers: list[LinkProducer] = []

    @property
    def address(self) -> str:
        """What messages call it."""
        return self.broker.address

    def consumer(self, group: str, client_id: str) -> Consumer:
        """Return a new group member."""
        return LinkConsumer(self, self.broker.consumer(group, client_id))

    def producer(self, client_id: str) -> Producer:
        """Return a new producer."""
        producer = LinkProducer(self, self.broker.producer(client_id))
        self._producers.append(producer)
        return producer

    def transactional_producer(
        self, client_id: str, transactional_id: str, timeout_ms: int
    ) -> TransactionalProducer:
        """Return a new transactional producer."""
        self.request("taking over a transactional id")
        inner = self.broker.transactional_producer(client_id, transactional_id, timeout_ms)
        producer = LinkTransactionalProducer(self, inner)
        self._producers.append(producer)
        return producer

    def admin(self) -> Admin:
        """Return a new admin client."""
        return cast("Admin", _Requests(self, self.broker.admin()))

    def reader(self) -> Reader:
        """Return a new reader."""
        return cast("Reader", _Requests(self, self.broker.reader()))

    def request(self, what: str) -> None:
        """Let a request through, or lose it."""
        if self.down or self.random.random() < self.faults.request_lost:
            raise BrokerUnreachableError(f"simulated: a request gets lost ({what})")

    def respond(self, what: str) -> None:
        """Let an answer through, or lose it: what was asked for is done."""
        if self.random.random() < self.faults.response_lost:
            raise BrokerUnreachableError(f"simulated: an answer gets lost ({what})")

    def background(self) -> None:
        """Let clients do what they do beside the worker: deliver some of their queues."""
        for producer in self._producers:
            if not self.down:
                producer.deliver(self.random.randrange(1 + len(producer.queue)))


class _Requests:
    """A client of which every call is one request, and one answer."""

    def __init__(self, link: Link, inner: Any) -> None:
        self._link, self._inner = link, inner

    def __getattr__(self, name: str) -> Any:
        call, link = getattr(self._inner, name), self._link
        if name in {"close", "add", "remove", "finished"}:
            return call

        def requested(*arguments: Any, **options: Any) -> Any:
            link.request(name)
            answer = call(*arguments, **options)
            if name == "create_topics":
                link.respond(name)
            return answer

        return requested


class LinkConsumer:
    """Satisfies `pipeline.runtime.broker.Consumer`."""

    def __init__(self, link: Link, inner: Any) -> None:
        self._link, self._inner = link, inner

    def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        """Join the group for these topics."""
        self._inner.subscribe(topics, listener)

    def poll(self, max_records: int, timeout_s: float) -> Sequence[Message]:
        """Return some of what there is; a fetch that got lost is made again."""
        self._link.request("poll")
        records: Sequence[Message] = self._inner.poll(self._link.random.randint(1, max_records), timeout_s)
        return records

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Committed]:
        """Return the group's committed offsets."""
        self._link.request("committed")
        committed: dict[TopicPartition, Committed] = self._inner.committed(partitions)
        return committed

    def commit(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        """Commit; if the answer gets lost, it is done all the same."""
        self._link.request("commit")
        self._inner.commit(offsets)
        self._link.respond("commit")

    def group_metadata(self) -> object:
        """Return what a transaction needs to know of this member."""
        metadata: object = self._inner.group_metadata()
        return metadata

    def end_offset(self, partition: TopicPartition) -> int | None:
        """Return the offset at which a fetch last found nothing more."""
        end: int | None = self._inner.end_offset(partition)
        return end

    def known_end(self, partition: TopicPartition) -> int | None:
        """Return where the partition ended when it was last fetched."""
        end: int | None = self._inner.known_end(partition)
        return end

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        """Stop fetching from these."""
        self._inner.pause(partitions)

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        """Fetch from these again."""
        self._inner.resume(partitions)

    def close(self) -> None:
        """Leave the group."""
        self._inner.close()


#: Half of what the queue holds: few, so that a simulation gets there.
_CROWD: Final = 30


class LinkProducer:
    """Satisfies `pipeline.runtime.broker.Producer`: records wait in a queue until they are delivered.

    Attributes:
        queue: what is not delivered yet, in the order it was produced.
    """

    def __init__(self, link: Link, inner: Any) -> None:
        self.queue: deque[_Produced] = deque()
        self._link, self._inner = link, inner

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        timestamp: int,
        headers: Headers,
    ) -> None:
        """Queue one record; it is delivered now, or later."""
        check_size(topic, key, value)
        self.queue.append((topic, value, key, partition, timestamp, headers))
        link = self._link
        if not link.down and link.random.random() >= link.faults.held_back:
            self.deliver(len(self.queue))

    def deliver(self, count: int) -> None:
        """Deliver the oldest records."""
        for _ in range(count):
            self._inner.produce(*self.queue.popleft())

    def flush(self, timeout_s: float) -> Sequence[Undelivered]:
        """Deliver everything; sometimes only a part of it in time."""
        link = self._link
        if self.queue:
            link.request("produce")
            if link.random.random() < link.faults.slow_flush:
                self.deliver(link.random.randrange(len(self.queue)))
                raise BrokerUnreachableError("simulated: records are not acknowledged in time")
        self.deliver(len(self.queue))
        refused: Sequence[Undelivered] = self._inner.flush(timeout_s)
        return refused

    @property
    def crowded(self) -> bool:
        """Whether more is queued than is good."""
        return len(self.queue) > _CROWD

    @property
    def stalled(self) -> None:
        """Nothing: its queue takes everything."""

    @property
    def queued(self) -> int:
        """Number of records that are not delivered yet."""
        return len(self.queue)

    def close(self) -> None:
        """Drop what is queued."""
        self.queue.clear()
        self._inner.close()


class LinkTransactionalProducer(LinkProducer):
    """Satisfies `pipeline.runtime.broker.TransactionalProducer`."""

    def __init__(self, link: Link, inner: Any) -> None:
        super().__init__(link, inner)
        self._committed = False

    def deliver(self, count: int) -> None:
        """Deliver the oldest records; who was fenced meanwhile learns it at the next flush."""
        if not self._inner.fenced:
            super().deliver(count)

    def flush(self, timeout_s: float) -> Sequence[Undelivered]:
        """Deliver everything; sometimes only a part of it in time."""
        self._inner.check_fenced()
        return super().flush(timeout_s)

    def commit(self, offsets: Mapping[TopicPartition, Committed], consumer: Consumer) -> None:
        """Commit; if the answer gets lost, it is done, and asking again says so."""
        if not self._committed:
            self._link.request("commit of a transaction")
            self._inner.commit(offsets, consumer)
            self._committed = True
            self._link.respond("commit of a transaction")
        self._committed = False
