"""A plan as text: sub-topologies with their sources, operators, stores and topics."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.plan.planner import Plan, SubTopology
from pipeline.topology import Node


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
        for parent in dict.fromkeys(node.parents):
            children[parent].append(node.name)
    for node in sub.nodes:
        arrow = f" -> {', '.join(children[node])}" if children[node] else ""
        yield f"  {_label(node)}{arrow}"
        for store in node.stores:
            kept = (f"changelog {plan.changelog(store.name)}",) if store.logged else ()
            yield f"    store {store.name}: {', '.join((*store.details, *kept))}"


def _label(node: Node) -> str:
    details = "; ".join(node.details)
    return f"{type(node).__name__} {node.name}{f' ({details})' if details else ''}"
