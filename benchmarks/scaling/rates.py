"""The pace of a group, from what it commits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple


class Look(NamedTuple):
    """One look at a group.

    Attributes:
        second: since some moment.
        committed: records, by partition.
        cpu_seconds: processor time of all its processes.
    """

    second: float
    committed: list[int]
    cpu_seconds: float


class Pace(NamedTuple):
    """What a group came to while all its members worked.

    Attributes:
        rate: records a second.
        cpu_us: processor time of all processes, by record, in microseconds.
    """

    rate: float
    cpu_us: float


def pace(looks: Sequence[Look], ends: Sequence[int]) -> Pace:
    """Return the pace from the first look until the first partition was read to its end.

    A partition's records are divided by the time between two of its own commits: so it does not matter when
    within a commit's interval the looks begin and end.

    Args:
        looks: in the order of time, from when every member had its share.
        ends: records of each partition.

    Raises:
        ValueError: nobody committed twice meanwhile.
    """
    busy = [look for look in looks if all(c < end for c, end in zip(look.committed, ends, strict=True))]
    rate = sum(_rate([(look.second, look.committed[number]) for look in busy]) for number in range(len(ends)))
    # From one commit to another: before the first one, they may have waited for their partitions.
    commits = [now for before, now in pairwise(busy) if now.committed != before.committed]
    records = sum(commits[-1].committed) - sum(commits[0].committed)
    return Pace(rate, (commits[-1].cpu_seconds - commits[0].cpu_seconds) / records * 1e6)


def _rate(seen: Sequence[tuple[float, int]]) -> float:
    changes = [now for before, now in pairwise(seen) if now[1] != before[1]]
    if len(changes) < 2:  # noqa: PLR2004 - a stretch has two ends
        raise ValueError("a partition was committed less than twice while all worked: give more records")
    (first, begun), (last, done) = changes[0], changes[-1]
    return (done - begun) / (last - first)
