"""A worker's producers: records wait in the client's queue until somebody who leads takes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pipeline.errors import BrokerUnreachableError, TaskMigratedError
from pipeline.record import NO_HEADERS, Headers, TopicPartition
from pipeline.runtime.broker import Committed
from pipeline.runtime.memory_producer import check_size, choose_partition
from pipeline.runtime.undelivered import Undelivered
from pipeline.state.rows import Log

if TYPE_CHECKING:
    from pipeline.testing.simulation.link import Link

#: Half of what the queue holds: few, so that a simulation gets there.
_CROWD: Final = 30
#: The arguments of `Producer.produce`.
_Produced: TypeAlias = tuple[str, bytes | None, bytes | None, int, int, Headers]


class LinkProducer:
    """Satisfies `pipeline.runtime.producer.Producer`.

    Attributes:
        queues: by partition, what is not delivered yet, in the order it was produced. Of different
            partitions, one may be delivered long before the other.
    """

    def __init__(self, link: Link, inner: Any) -> None:
        self.queues: dict[TopicPartition, deque[_Produced]] = {}
        self._link, self._inner = link, inner
        #: Delivered to a leader that died before it said so.
        self._unacknowledged: set[TopicPartition] = set()
        self._failed: list[Undelivered] = []
        self._until: Callable[[], None] | None = None

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
        if self._until is not None:
            self._link.counts["records held back by a commit"] += 1
            self._until()
        check_size(topic, key, value)
        link = self._link
        if partition < 0 and link.broker.exists(topic):
            partition = choose_partition(link.broker.topic(topic), key)
        target = TopicPartition(topic, partition)
        queue = self.queues.get(target)
        if queue is None:
            queue = self.queues[target] = deque()
        queue.append((topic, value, key, partition, timestamp, headers))
        random, faults = link.random.random, link.faults
        if faults.queue_full and random() < faults.queue_full:
            self._wait_for_room(target)
        elif not link.down and random() >= faults.held_back:
            self._deliver(target, len(queue))

    def log(self, topic: str, partition: int, records: Log) -> None:
        """Produce records, given by key and value, without headers, at the time of writing."""
        for key, value in records:
            self.produce(topic, value, key, partition, -1, NO_HEADERS)

    def hold(self, until: Callable[[], None]) -> None:
        """Queue nothing more before `until` has returned."""
        self._until = until

    def release(self) -> None:
        """Queue again what is produced."""
        self._until = None

    def _wait_for_room(self, target: TopicPartition) -> None:
        """Deliver some of what is queued; if nobody takes it, give it up, as after the delivery timeout."""
        self._link.counts["queues full"] += 1
        queue = self.queues[target]
        if self._is_led(target):
            self._deliver(target, self._link.random.randrange(1, 1 + len(queue)))
            return
        self._link.counts["records timed out"] += len(queue)
        reason = "simulated: not acknowledged in time"
        self._failed += [
            Undelivered(topic, partition, key, value, timestamp, tuple(headers), reason, timed_out=True)
            for topic, value, key, partition, timestamp, headers in queue
        ]
        queue.clear()

    def _is_led(self, target: TopicPartition) -> bool:
        broker = self._link.broker
        if self._link.down:
            return False
        if target.partition < 0 or not broker.exists(target.topic):
            # It will be refused.
            return True
        logs = broker.partitions(target.topic)
        return target.partition >= len(logs) or logs[target.partition].available

    def deliver_some(self) -> None:
        """Deliver some of what is queued, of each partition by itself."""
        for target, queue in self.queues.items():
            if queue:
                self._deliver(target, self._link.random.randrange(1 + len(queue)))

    def _deliver(self, target: TopicPartition, count: int) -> None:
        """Deliver the oldest records of a partition, if it has a leader."""
        if self._is_led(target):
            self._write(target, count)

    def _write(self, target: TopicPartition, count: int) -> None:
        queue = self.queues[target]
        for _ in range(count):
            self._inner.produce(*queue.popleft())

    def lose_leader(self, partitions: Sequence[TopicPartition]) -> None:
        """Leave some of what waits for these in the log of those who will lead: unacknowledged."""
        for target in partitions:
            if queue := self.queues.get(target):
                kept = self._link.random.randrange(1 + len(queue))
                self._link.counts["records kept unacknowledged"] += kept
                self._link.counts["records lost with a leader"] += len(queue) - kept
                self._write(target, kept)
                self._unacknowledged.add(target)

    def flush(self, timeout_s: float) -> Sequence[Undelivered]:
        """Deliver everything; sometimes only a part of it in time."""
        link = self._link
        waiting = [target for target, queue in self.queues.items() if queue]
        if waiting:
            link.request("produce")
            if link.faults.slow_flush and link.random.random() < link.faults.slow_flush:
                link.counts["flushes slow"] += 1
                self.deliver_some()
                raise BrokerUnreachableError("simulated: records are not acknowledged in time")
            for target in waiting:
                self._deliver(target, len(self.queues[target]))
        self._unacknowledged = {each for each in self._unacknowledged if not self._is_led(each)}
        if self._unacknowledged or any(self.queues[target] for target in waiting):
            raise BrokerUnreachableError("simulated: a partition has no leader that acknowledges records")
        failed, self._failed = self._failed, []
        refused: Sequence[Undelivered] = self._inner.flush(timeout_s)
        return [*failed, *refused]

    @property
    def crowded(self) -> bool:
        """Whether more is queued than is good."""
        return self.queued > _CROWD

    @property
    def queued(self) -> int:
        """Number of records that are not acknowledged yet."""
        return sum(map(len, self.queues.values()))

    @property
    def stalled(self) -> None:
        """Nothing: its queue takes everything, or gives up what waits."""

    def abort_transaction(self) -> bool:
        """Do nothing: it has no transactions."""
        return False

    def close(self) -> None:
        """Drop what is queued."""
        self.queues.clear()
        self._link.remove(self)
        self._inner.close()


class LinkTransactionalProducer(LinkProducer):
    """Satisfies `pipeline.runtime.producer.TransactionalProducer`."""

    def __init__(self, link: Link, inner: Any, coordinator: str) -> None:
        super().__init__(link, inner)
        self._coordinator = coordinator
        self._sent = self._committed = False

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        timestamp: int,
        headers: Headers,
    ) -> None:
        """Queue one record; who was fenced meanwhile learns it now, or at the next flush."""
        if self._inner.fenced and self._link.random.random() < 0.5:  # noqa: PLR2004 - or later
            raise TaskMigratedError("simulated: the transaction was aborted")
        super().produce(topic, value, key, partition, timestamp, headers)

    def _write(self, target: TopicPartition, count: int) -> None:
        if not self._inner.fenced:
            super()._write(target, count)

    def flush(self, timeout_s: float) -> Sequence[Undelivered]:
        """Deliver everything; sometimes only a part of it in time."""
        self._inner.check_fenced()
        return super().flush(timeout_s)

    def commit(self, offsets: Mapping[TopicPartition, Committed], member: object) -> None:
        """Send offsets, then commit; each may be done although the answer gets lost."""
        link, what = self._link, "commit of a transaction"
        if not self._committed:
            if not self._sent:
                link.request("offsets of a transaction", self._coordinator)
                self._inner.send_offsets(offsets, member)
                link.respond("offsets of a transaction")
                self._sent = True
            link.request(what, self._coordinator)
            self._inner.end()
            self._committed = True
            link.counts["commits"] += 1
            link.respond(what)
        self._sent = self._committed = False

    def abort_transaction(self) -> bool:
        """Let the broker abort what is open, if anything is; the client learns it later."""
        aborted: bool = self._inner.busy and not self._inner.fenced
        if aborted:
            self._inner.fence()
        return aborted
