"""What agents have taken up and not done with yet, by where it was read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from pipeline.record import TopicPartition


class InFlight:
    """Of one task: the records that are in hand beyond the one that is being processed.

    Attributes:
        blocked: who cannot take more records now; while there is one, the task takes up none.
        drainers: called when a commit waits for what is in flight.
        moved: whether any was done since the last commit.
    """

    def __init__(self) -> None:
        self.blocked: set[object] = set()
        self.drainers: list[Callable[[], None]] = []
        self.moved = False
        self._offsets: dict[TopicPartition, Counter[int]] = {}
        self._others = 0

    def __len__(self) -> int:
        return self._others + sum(offsets.total() for offsets in self._offsets.values())

    def settle(self, *, stateful: bool) -> bool:
        """Return whether the task can be committed now; if not, let it come to that.

        With state, or in a transaction, nothing may be in flight: what was done for the records after
        it would be committed, too. Else offsets are committed up to the first record in flight, if all
        that is in flight was read from topics, and so comes again.
        """
        if not self or (not stateful and not self._others):
            return True
        self.blocked.add(self)
        for drain in self.drainers:
            drain()
        return not self

    def committed(self) -> None:
        """Take note of a commit: the task may take up records again."""
        self.moved = False
        self.blocked.discard(self)

    def hold(self, in_hand: Any) -> None:
        """Take note that what is in hand is not done when it has been processed."""
        where = _position(in_hand)
        if where is None:
            self._others += 1
        else:
            partition, offset = where
            self._offsets.setdefault(partition, Counter())[offset] += 1

    def release(self, in_hand: Any) -> None:
        """Take note that it is done; it was held before."""
        self.moved = True
        where = _position(in_hand)
        if where is None:
            self._others -= 1
            return
        partition, offset = where
        offsets = self._offsets[partition]
        offsets[offset] -= 1
        if not offsets[offset]:
            del offsets[offset]
        if not offsets:
            del self._offsets[partition]

    def first(self, partition: TopicPartition) -> int | None:
        """Return the offset of the first record of `partition` that is not done; None if all are."""
        offsets = self._offsets.get(partition)
        return None if offsets is None else min(offsets)


def _position(in_hand: Any) -> tuple[TopicPartition, int] | None:
    """Return where it was read; None if it is no record of a topic but a table's update."""
    offset = getattr(in_hand, "offset", None)
    if offset is None:
        return None
    return TopicPartition(in_hand.topic, in_hand.partition), offset
