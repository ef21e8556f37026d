"""Which tables tell the old value with each change: those whose children ask for it.

It costs a read a change, so nobody is told who does not ask (Kafka Streams:
`KTableImpl.enableSendingOldValues`).
"""

from __future__ import annotations

from pipeline.plan.nodes import Nodes
from pipeline.topology import Node


def sending_old_values(nodes: Nodes) -> frozenset[Node]:
    """Return the nodes whose changes carry the old value.

    Who keeps its rows in a store knows what it sent last. Who does not, computes it from its
    parents' old values, so they are asked in turn.
    """
    asked: set[Node] = set()
    for node in reversed(nodes):
        wanted = node.wants_old_values
        if node in asked and node.table is None:
            wanted = (True,) * len(node.parents)
        asked.update(parent for parent, wants in zip(node.parents, wanted, strict=True) if wants)
    return frozenset(asked)
