"""A foreign-key join as it runs: two tasks that write to each other.

```
left table ---- subscribe ---> [registration] ---> answer <---- right table
   |                            by foreign key       |
   '---------- result <------- [response] <----------'
                                to the left row's partition
```

Neither table need be partitioned as the other one. (Kafka Streams: `KTableImpl.doJoinOnForeignKey`.)
"""

from __future__ import annotations

from typing import Any

from pipeline.plan.nodes import Nodes, with_parents
from pipeline.serde import BYTES, Serde
from pipeline.serde.foreign_key import Response, ResponseSerde, Subscription, SubscriptionSerde
from pipeline.topology import (
    AnswerSubscriptions,
    ForeignKeyJoin,
    ForeignKeyResult,
    Node,
    Partitioner,
    Sink,
    Source,
    Subscribe,
    Topology,
)


def expand_foreign_key_joins(topology: Topology, nodes: Nodes) -> Nodes:
    """Put both sides, and the topics between them, in the place of each foreign-key join."""
    replaced: dict[Node, Node] = {}
    kept: list[Node] = []
    for declared in nodes:
        node = with_parents(declared, replaced)
        if isinstance(node, ForeignKeyJoin):
            kept += _expand(f"{topology.application_id}-{node.name}-subscription", node)
        else:
            kept.append(node)
        replaced[declared] = kept[-1]
    return tuple(kept)


def _expand(topics: str, node: ForeignKeyJoin) -> tuple[Node, ...]:
    """Return the nodes that do what `node` says, parents before children; the last one makes its table."""
    left, right = node.parents
    subscribe = Subscribe(
        name=f"{node.name}-subscribe",
        parents=(left,),
        site=node.site,
        result=node.store,
        foreign_key=node.foreign_key,
        left_outer=node.left_outer,
        left_key=node.left_key,
        left_value=node.left_value,
        right_key=node.right_key,
    )
    keys, subscriptions = node.right_key, SubscriptionSerde()
    to_right = _to(subscribe, f"{topics}-registration", keys, subscriptions, registration_partition)
    from_left = _from(node, f"{topics}-registration", keys, subscriptions)
    answer = AnswerSubscriptions(
        name=f"{node.name}-answer",
        parents=(from_left, right),
        site=node.site,
        subscriptions=node.subscriptions,
        right_key=node.right_key,
        right_value=node.right_value,
    )
    # Primary keys come as bytes, and go as bytes.
    to_left = _to(answer, f"{topics}-response", BYTES, ResponseSerde(), response_partition)
    from_right = _from(node, f"{topics}-response", node.left_key, ResponseSerde())
    result = ForeignKeyResult(
        name=node.name,
        parents=(from_right, left),
        site=node.site,
        store=node.store,
        joiner=node.joiner,
        left_outer=node.left_outer,
        left_value=node.left_value,
        right_value=node.right_value,
    )
    return (subscribe, to_right, from_left, answer, to_left, from_right, result)


def _to(parent: Node, topic: str, key: Serde[Any], value: Serde[Any], partitioner: Partitioner) -> Sink:
    return Sink(
        name=f"{parent.name}-sink",
        parents=(parent,),
        site=parent.site,
        topic=topic,
        key=key,
        value=value,
        internal=True,
        follows=True,
        partitioner=partitioner,
    )


def _from(node: ForeignKeyJoin, topic: str, key: Serde[Any], value: Serde[Any]) -> Source:
    return Source(name=f"{node.name}-{value.name}s", site=node.site, topics=(topic,), key=key, value=value)


def registration_partition(
    _topic: str, foreign_key: Any, subscription: Subscription, partitions: int
) -> int | None:
    """Send a subscription to where its right row is; without a foreign key, all of a partition to one."""
    return subscription.partition % partitions if foreign_key is None else None


def response_partition(_topic: str, _key: bytes, response: Response, _partitions: int) -> int:
    """Send a response to where the left row is: nobody need know how the left table is partitioned."""
    return response.partition
