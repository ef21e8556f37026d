"""Which worker has a partition of a store: every member of the group says in its client id where it is.

The broker shows who is in the group, with client ids and partitions; a task is where the partitions are
that it reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipeline.clock import Clock
from pipeline.plan.planner import Plan
from pipeline.runtime.broker import Admin
from pipeline.runtime.group import Member

#: How long an answer of the broker is used: a rebalance takes longer.
_FRESH_MS: Final = 1_000


def client_id(application: str, url: str) -> str:
    """Return what a worker calls itself that can be reached at `url`."""
    return f"{application}@{url}"


class Owners:
    """Looks up where a store's partition is. May wait for the broker: not for an event loop's thread.

    Args:
        group: the consumer group.
        plan: which topics the task of a store reads.
        admin: asks who is in the group.
        clock: how old an answer is.
    """

    def __init__(self, group: str, plan: Plan, admin: Admin, clock: Clock) -> None:
        self._group, self._admin, self._clock = group, admin, clock
        self._topics = {store.name: sub.topics for sub in plan.subtopologies for store in sub.stores}
        self._members: Sequence[Member] = ()
        self._asked_ms = -_FRESH_MS

    def url(self, store: str, partition: int) -> str | None:
        """Return where the worker is that has a partition of a store; None if nobody is known to.

        Raises:
            BrokerUnreachableError: no broker answers.
        """
        now_ms = self._clock.now_ms()
        if now_ms - self._asked_ms >= _FRESH_MS:
            self._members, self._asked_ms = self._admin.group_members(self._group), now_ms
        topics = self._topics[store]
        for member in self._members:
            if any(part.partition == partition and part.topic in topics for part in member.partitions):
                return member.client.partition("@")[2] or None
        return None

    def close(self) -> None:
        """Free the connection."""
        self._admin.close()
