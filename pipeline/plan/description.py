"""A plan as text: sub-topologies with their sources, operators, stores and topics."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.plan.planner import Plan, SubTopology
from pipeline.topology import (
    Aggregate,
    Node,
    Sink,
    Source,
    StreamStreamJoin,
    StreamTableJoin,
    describe_function,
)


def describe(plan: Plan) -> str:
    """Return a plan as text, the same for the same topology."""
    lines = [f"Application: {plan.application_id}"]
    for sub in plan.subtopologies:
        lines += _subtopology(plan, sub)
    return "\n".join(lines) + "\n"


def _subtopology(plan: Plan, sub: SubTopology) -> Iterator[str]:
    yield f"Sub-topology {sub.id}: reads {', '.join(sub.topics)}"
    children: dict[Node, list[str]] = {node: [] for node in sub.nodes}
    for node in sub.nodes:
        for parent in node.parents:
            children[parent].append(node.name)
    for node in sub.nodes:
        arrow = f" -> {', '.join(children[node])}" if children[node] else ""
        yield f"  {_label(node)}{arrow}"
        for store in node.stores:
            retention = f", retention {store.retention_ms} ms" if store.retention_ms else ""
            yield (
                f"    store {store.name}: {store.kind}, {store.key.name} to {store.value.name}{retention}, "
                f"changelog {plan.changelog(store.name)}"
            )


def _label(node: Node) -> str:
    details = "; ".join(_details(node))
    return f"{type(node).__name__} {node.name}{f' ({details})' if details else ''}"


def _details(node: Node) -> Iterator[str]:
    match node:
        case Source():
            yield f"topics: {', '.join(node.topics)}"
            yield f"{node.key.name} to {node.value.name}"
        case Sink():
            topic = (
                node.topic if isinstance(node.topic, str) else f"chosen by {describe_function(node.topic)}"
            )
            yield f"topic: {topic}"
            if node.partitions is not None:
                yield f"{node.partitions} partitions"
        case StreamStreamJoin() | StreamTableJoin():
            yield "left" if node.left_outer else "inner"
            if isinstance(node, StreamStreamJoin):
                yield str(node.windows)
        case Aggregate() if node.windows is not None:
            yield str(node.windows)
