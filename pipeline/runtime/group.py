"""A consumer group as its broker shows it to everybody."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.record import TopicPartition


class Member(NamedTuple):
    """A member of a consumer group.

    Attributes:
        id: what the group's coordinator calls it.
        instance: what a static member calls itself, across restarts; empty if it is none.
        partitions: what it owns.
        client: what it calls itself.
    """

    id: str
    instance: str
    partitions: frozenset[TopicPartition]
    client: str = ""
