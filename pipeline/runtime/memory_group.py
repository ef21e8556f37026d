"""Consumer groups in memory, with the rules of KIP-848: partitions change hands one by one.

Or with those of a classic group with an eager assignor: when a member comes or goes, everybody gives
up all it has, and nobody gets anything before everybody has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pipeline.errors import BrokerError, BrokerUnreachableError, TaskMigratedError
from pipeline.record import TopicPartition
from pipeline.runtime.broker import Committed, Message, RebalanceListener, Records
from pipeline.runtime.group import Member
from pipeline.runtime.memory_log import MemoryPartition, MemoryTransaction

#: Finds a topic's partitions, or says that there is no such topic, or that nobody answers.
Lookup = Callable[[str], Sequence[MemoryPartition]]


class MemoryGroup:
    """Members, their targets by range assignment, and the group's committed offsets.

    Attributes:
        name: of the group.
        classic: whether partitions change hands all at once.
        committed: the group's offsets.
        pending: by partition, the transaction that is to commit an offset of it.
        generation: counts what changed the members.
    """

    def __init__(self, name: str, lookup: Lookup, *, classic: bool = False) -> None:
        self.name, self.classic = name, classic
        self.committed: dict[TopicPartition, Committed] = {}
        self.pending: dict[TopicPartition, MemoryTransaction] = {}
        self.generation = 0
        self._lookup = lookup
        self._members: list[MemoryConsumer] = []
        #: Targets, until a member comes or goes or a topic gets another number of partitions.
        self._targets: dict[MemoryConsumer, tuple[list[int], frozenset[TopicPartition]]] = {}

    def join(self, member: MemoryConsumer) -> None:
        """Add a member; everybody's targets change."""
        self._members.append(member)
        self._members.sort(key=lambda other: other.order)
        self._change()

    def remove(self, member: MemoryConsumer) -> None:
        """Remove a member, if it is one."""
        if member in self._members:
            self._members.remove(member)
            self._change()

    def shown(self) -> list[Member]:
        """Return the members as anybody may see them."""
        return [
            Member(member.member_id(), "", frozenset(member.owned), member.client_id)
            for member in self._members
        ]

    def has(self, member: MemoryConsumer) -> bool:
        """Whether the group counts this member as alive."""
        return member in self._members

    def expire(self, client_id: str) -> None:
        """Forget the members with this client id, as after their session timed out."""
        members = [member for member in self._members if member.client_id != client_id]
        if len(members) != len(self._members):
            self._members = members
            self._change()

    def _change(self) -> None:
        self._targets.clear()
        self.generation += 1

    @property
    def gathered(self) -> bool:
        """Whether every member has given up what it had before the last change."""
        return all(member.gave_up == self.generation for member in self._members)

    def target(self, member: MemoryConsumer) -> frozenset[TopicPartition]:
        """Return what a member is to own: per topic, the members share the range of partitions."""
        counts = [len(self._lookup(topic)) for topic in member.topics]
        known = self._targets.get(member)
        if known is None or known[0] != counts:
            shares = zip(member.topics, counts, strict=True)
            target = frozenset(part for topic, count in shares for part in self._share(member, topic, count))
            known = self._targets[member] = (counts, target)
        return known[1]

    def _share(self, member: MemoryConsumer, topic: str, count: int) -> list[TopicPartition]:
        sharing = [other for other in self._members if topic in other.topics]
        share, rest = divmod(count, len(sharing))
        rank = sharing.index(member)
        start = rank * share + min(rank, rest)
        return [TopicPartition(topic, number) for number in range(start, start + share + (rank < rest))]

    def free(self, partitions: frozenset[TopicPartition]) -> frozenset[TopicPartition]:
        """Return those that no member owns."""
        return partitions.difference(*(member.owned for member in self._members))


class MemoryConsumer:
    """Satisfies `pipeline.runtime.broker.Consumer`. Never waits: a timeout is ignored."""

    def __init__(self, group: MemoryGroup, client_id: str, number: int, lookup: Lookup) -> None:
        self.client_id = client_id
        self.order = (client_id, number)
        self.topics: tuple[str, ...] = ()
        self.owned: set[TopicPartition] = set()
        self._group = group
        self._lookup = lookup
        self._listener: RebalanceListener | None = None
        self._joined = False
        self._assigned = False
        self._positions: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._known_ends: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._turn = 0
        #: Of a classic group: the generation for which it gave up all it had, and that of what it has.
        self.gave_up = self._generation = -1

    def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        """Join the group for these topics. Returns at once; assignment happens in `poll`."""
        self.topics = tuple(topics)
        self._listener = listener

    def poll(self, max_records: int, timeout_s: float) -> Records:  # noqa: ARG002 (never waits)
        """Return up to `max_records` records. Rebalance callbacks run in here.

        Raises:
            BrokerUnreachableError: the broker was told not to answer.
            BrokerError: a subscribed topic does not exist.
        """
        for topic in self.topics:
            self._lookup(topic)
        if self._listener is None:
            raise BrokerError(f"{self.client_id} of group {self._group.name} polls before it subscribes")
        self._rebalance(self._listener)
        return self._fetch(max_records, self._listener)

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Committed]:
        """Return the group's committed offsets; partitions without one are left out."""
        for partition in partitions:
            self._lookup(partition.topic)
        stored, pending = self._group.committed, self._group.pending
        for partition in partitions:
            if partition in pending and pending[partition].state == "open":
                raise BrokerUnreachableError(
                    f"the offset of {partition} in group {self._group.name} is part of a transaction that is "
                    "not over: asking later is right"
                )
        return {partition: stored[partition] for partition in partitions if partition in stored}

    def commit(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        """Commit.

        Raises:
            TaskMigratedError: this member no longer owns them.
        """
        self.check_owned(offsets)
        self._group.committed.update(offsets)

    def member_id(self) -> str:
        """Return a name that sorts as the group sorts its members."""
        client_id, number = self.order
        return f"{client_id}-{number:06}" if self._joined else ""

    def group_metadata(self) -> MemoryConsumer:
        """Return this member: it is what a transaction needs to know of it."""
        return self

    def send_to_transaction(
        self, offsets: Mapping[TopicPartition, Committed], transaction: MemoryTransaction
    ) -> None:
        """Make these part of a transaction: nobody is told what is committed until it is over.

        Raises:
            TaskMigratedError: this member no longer owns them.
        """
        self.check_owned(offsets)
        self._group.pending.update(dict.fromkeys(offsets, transaction))

    def commit_in_transaction(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        """Keep offsets whose transaction is being committed: they were checked when it was sent them."""
        self._group.committed.update(offsets)

    def check_owned(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        """Raise TaskMigratedError unless this member may commit these; nobody asks who commits nothing."""
        if not offsets:
            return
        for partition in offsets:
            self._lookup(partition.topic)
        # A group keeps offsets of any topic for its members: those of changelogs, too.
        foreign = {partition for partition in offsets if partition.topic in self.topics} - self.owned
        if foreign or not self._group.has(self):
            names = ", ".join(sorted(map(str, foreign or offsets)))
            raise TaskMigratedError(
                f"committing {names} in group {self._group.name}: not assigned to {self.client_id}"
            )

    def end_offset(self, partition: TopicPartition) -> int | None:
        """Return the offset at which a fetch last found nothing more; None if none has yet."""
        return self._ends.get(partition)

    def known_end(self, partition: TopicPartition) -> int | None:
        """Return where the partition ended when it was last fetched; None if it has not been."""
        return self._known_ends.get(partition)

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        """Stop fetching from these until resumed."""
        self._paused.update(partitions)

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        """Fetch from these again."""
        self._paused.difference_update(partitions)

    def close(self) -> None:
        """Leave the group at once."""
        listener, owned = self._listener, sorted(self.owned)
        try:
            if owned and listener is not None:
                if self._group.has(self):
                    listener.on_revoked(owned)
                else:
                    listener.on_lost(owned)
        finally:
            self._forget(owned)
            self._group.remove(self)
            self._listener = None

    def _rebalance(self, listener: RebalanceListener) -> None:
        """Take one step towards the group's target: give up first, then take what is free."""
        if not self._group.has(self):
            if self._joined and self.owned:
                lost = sorted(self.owned)
                self._forget(lost)
                listener.on_lost(lost)
            self._group.join(self)
            self._joined = True
        if self._group.classic:
            self._rejoin(listener)
            return
        target = self._group.target(self)
        if target == self.owned and self._assigned:
            return
        revoked = sorted(self.owned - target)
        if revoked:
            try:
                listener.on_revoked(revoked)
            finally:
                self._forget(revoked)
        added = sorted(self._group.free(target - self.owned))
        if added or not self._assigned:
            self._assigned = True
            self.owned.update(added)
            self._paused.update(added)
            self._positions.update(listener.on_assigned(added))

    def _rejoin(self, listener: RebalanceListener) -> None:
        """Give up everything when the members have changed; take a share when everybody has."""
        group = self._group
        if self.gave_up != group.generation:
            revoked = sorted(self.owned)
            try:
                if revoked:
                    listener.on_revoked(revoked)
            finally:
                self._forget(revoked)
            self.gave_up = group.generation
        if self._generation != group.generation and group.gathered:
            self._generation = group.generation
            self.owned.update(group.target(self))
            self._paused.update(self.owned)
            self._positions.update(listener.on_assigned(sorted(self.owned)))

    def _forget(self, partitions: Sequence[TopicPartition]) -> None:
        for partition in partitions:
            self.owned.discard(partition)
            self._paused.discard(partition)
            self._positions.pop(partition, None)
            self._ends.pop(partition, None)
            self._known_ends.pop(partition, None)

    def _fetch(self, max_records: int, listener: RebalanceListener) -> Records:
        """Read the partitions in turn, another one first each time, so that none starves."""
        active = sorted(self.owned - self._paused)
        if not active:
            return {}
        self._turn = (self._turn + 1) % len(active)
        found, room = dict[TopicPartition, Sequence[Message]](), max_records
        for partition in active[self._turn :] + active[: self._turn]:
            log = self._lookup(partition.topic)[partition.partition]
            start = self._positions[partition]
            if not log.available or start == log.stable_end == self._ends.get(partition):
                continue
            if not log.begin <= start <= log.end:
                start = self._positions[partition] = listener.on_offset_lost(partition, start)
            self._known_ends[partition] = log.end
            records = log.read(start, log.end, room)
            if records:
                found[partition] = records
                room -= len(records)
            # Markers and aborted records take offsets, too: nothing found means that nothing is there.
            full = room == 0
            position = records[-1].offset + 1 if full and records else log.stable_end
            self._positions[partition] = start if full and not records else max(start, position)
            if self._positions[partition] < log.stable_end:
                self._ends.pop(partition, None)
            else:
                self._ends[partition] = log.stable_end
        return found
