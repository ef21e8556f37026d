"""What a bound is; and the bounds that a topology's operators were declared with, by their names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pipeline.plan.planner import Plan
from pipeline.topology import Aggregate, Node, StoreSpec, StreamStreamJoin, StreamTableJoin, Suppress
from pipeline.windows import FOREVER_MS, UnlimitedWindows


class Limit(NamedTuple):
    """One bound.

    Attributes:
        name: what is bounded.
        value: here; None: it is off.
        default: unless told otherwise; None: off.
        unit: of both.
        setting: what changes it.
        action: what happens at the bound; where it is off, what happens without.
    """

    name: str
    value: int | None
    default: int | None
    unit: str
    setting: str
    action: str


def operator_limits(plan: Plan) -> Iterator[Limit]:
    """Yield the bounds of each operator and of each of its stores, in the order of the plan."""
    seen: set[str] = set()
    for node in (*(node for sub in plan.subtopologies for node in sub.nodes), *plan.global_tables):
        yield from _of_operator(node)
        for store in node.stores:
            # Processors may share one.
            if store.name not in seen:
                seen.add(store.name)
                yield _of_store(node, store)


def _of_operator(node: Node) -> Iterator[Limit]:
    if isinstance(node, Suppress):
        yield from _of_suppress(node)
    elif isinstance(node, StreamStreamJoin):
        for side, waits in (("left", node.left_outer), ("right", node.right_outer)):
            if waits:
                wait_ms = node.windows.wait_ms(of_left=side == "left")
                name, action = f"{node.name}: {side} records wait", "the record comes out alone"
                yield Limit(name, wait_ms, None, "ms of stream time", "within=, grace=", action)
    elif isinstance(node, StreamTableJoin) and node.buffer_store is not None:
        name, action = f"{node.name}: records wait", "the record is joined"
        yield Limit(name, node.grace_ms, None, "ms of stream time", "grace=", action)
    elif isinstance(node, Aggregate) and not isinstance(node.windows, UnlimitedWindows | None):
        name, action = f"{node.name}: lateness", "later records are dropped and counted: records_dropped"
        yield Limit(name, node.windows.grace_ms, None, "ms of stream time", "grace=", action)


def _of_suppress(node: Suppress) -> Iterator[Limit]:
    buffer = node.until.buffer
    full = "the worker stops and says so" if buffer.when_full == "shut-down" else "what waits longest goes on"
    for unit, value in (("records", buffer.max_records), ("bytes", buffer.max_bytes)):
        action = "it grows as far as time lets it, on disk" if value is None else full
        setting = f"BufferConfig(max_{unit}=)"
        yield Limit(f"{node.name}: held back", value, None, f"{unit} a task", setting, action)


def _of_store(node: Node, store: StoreSpec) -> Limit:
    name = f"{node.name}: store {store.name}"
    setting = "history=" if store.kind == "versioned" else "retention="
    where = "in memory" if store.in_memory else "on disk"
    if 0 < store.retention_ms < FOREVER_MS:
        action = f"what is older is dropped; {where}"
        return Limit(name, store.retention_ms, None, "ms of stream time", setting, action)
    return Limit(name, None, None, "ms of stream time", setting, f"rows stay until they are deleted; {where}")
