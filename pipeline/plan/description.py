"""A plan as text: sub-topologies with their sources, operators, stores and topics."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator

from pipeline.plan.planner import Plan, SubTopology
from pipeline.topology import Node, describe_function


def describe(plan: Plan) -> str:
    """Return a plan as text, the same for the same topology."""
    lines = [f"Application: {plan.application_id}"]
    for sub in plan.subtopologies:
        lines += _subtopology(plan, sub)
    if plan.global_tables:
        lines.append("Global tables, read whole by every worker")
    for table in plan.global_tables:
        lines.append(f"  {_label(table)}")
        lines += (f"    store {store.name}: {', '.join(store.details)}" for store in table.stores)
    return "\n".join(lines) + "\n"


def details(node: Node) -> tuple[str, ...]:
    """Return what a plan says of a node beside its type and name: its own details, and the user's functions.

    A name such as `filter-3` says nothing; that of the function, unless it is a lambda, does.
    """
    said = list(node.details)
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        for function in value if isinstance(value, tuple) else (value,):
            if callable(function) and not _is_ours(function):
                name = describe_function(function).partition(" (")[0].rpartition(".")[2]
                if name.isidentifier() and not any(name in detail for detail in said):
                    said.append(name)
    return tuple(said)


def _is_ours(function: Callable[..., object]) -> bool:
    """Whether this library made a function, as for `count`."""
    module: str | None = getattr(inspect.unwrap(function), "__module__", None)
    return module is not None and module.startswith("pipeline.")


def _subtopology(plan: Plan, sub: SubTopology) -> Iterator[str]:
    yield f"Sub-topology {sub.id}: reads {', '.join(sub.reads)}"
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
    said = "; ".join(details(node))
    return f"{type(node).__name__} {node.name}{f' ({said})' if said else ''}"
