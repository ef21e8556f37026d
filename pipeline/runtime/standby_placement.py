"""Who keeps copies of a task's stores: the members that get the task when its owner goes.

Brokers know partitions, not tasks. But every worker can see the same of its group (who is in it, who has
which partition), and what the range assignor does follows from that: it puts static members first, by their
instance ids, then the others, by the ids that the coordinator gave them, and cuts each topic's partitions
into ranges in that order (Kafka 4.3: `org.apache.kafka.coordinator.group.assignor.RangeAssignor`; the
classic one of clients likewise).

```
members  a  b  c     partitions  0 1 | 2 3 | 4 5
a goes      b  c                 0 1   2 | 3   4 5     0 and 1 go to b, and so does what was b's: 3 to c
```

So the heir of a task is no guess as long as nobody joins meanwhile. A member that joins comes to a place in
that order that nobody knows before, unless it is a static one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pipeline.runtime.group import Member


def keepers(members: Sequence[Member], topic: str, count: int, replicas: int) -> list[list[str]]:
    """Return, by partition of a topic, its owner and then up to `replicas` members to keep copies.

    The first is who gets the partition when its owner goes. Those after it are who gets it when another
    member goes, the most likely first: a range shifts, and with it partitions whose owners stay.

    Args:
        members: all of the group, in any order, subscribed to the same topics.
        topic: the topic.
        count: number of its partitions.
        replicas: how many copies there are to be, at most one a member.
    """
    order = [member.id for member in sorted(members, key=_place)]
    owned = ((part, member.id) for member in members for part in member.partitions)
    owners = {part.partition: owner for part, owner in owned if part.topic == topic}
    planned = range_owners(order, count)
    without = {gone: range_owners([each for each in order if each != gone], count) for gone in order}
    found = []
    for number in range(count):
        owner = owners.get(number, planned[number])
        others = Counter(after[number] for gone, after in without.items() if after and gone != owner)
        ranked = [*without[owner][number : number + 1], *(heir for heir, _ in others.most_common()), *order]
        heirs = [heir for heir in dict.fromkeys(ranked) if heir != owner]
        found.append([owner, *heirs[:replicas]])
    return found


def range_owners(order: Sequence[str], count: int) -> list[str]:
    """Return who the range assignor gives each of `count` partitions; nothing if there is nobody.

    >>> range_owners(["a", "b"], 5)
    ['a', 'a', 'a', 'b', 'b']
    """
    if not order:
        return []
    share, rest = divmod(count, len(order))
    return [member for place, member in enumerate(order) for _ in range(share + (place < rest))]


def _place(member: Member) -> tuple[bool, str]:
    return (False, member.instance) if member.instance else (True, member.id)
