"""A table whose changes are held back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.serde import Serde
from pipeline.suppression import Suppressed
from pipeline.topology.aggregates import Aggregate
from pipeline.topology.node import Node, StoreSpec, TableNode
from pipeline.windows import Windows


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Suppress(TableNode):
    """Hold changes back, so that fewer go on: of a window the last, or of a key one in a while.

    Attributes:
        until: when they go on, and how much is held back.
        key: serde of the keys.
        value: serde of the values.
        buffer: what is held back.
    """

    until: Suppressed
    key: Serde[Any]
    value: Serde[Any]
    buffer: StoreSpec

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """What is held back."""
        return (self.buffer,)

    @property
    def wants_old_values(self) -> tuple[bool, ...]:
        """Who asks for a row that is held back is told what it was before."""
        return (True,)

    @property
    def details(self) -> tuple[str, ...]:
        """When changes go on, and how much is held back."""
        return (str(self.until), f"holds {self.until.buffer}")


def windows_above(node: Node) -> tuple[Windows, ...] | Node:
    """Return the windows of the aggregates that a table comes from.

    Returns:
        Every way up must lead to an aggregate with windows: else the node where one ends without.
    """
    found: dict[Windows, None] = {}
    seen: set[Node] = set()
    open_nodes = [node]
    while open_nodes:
        upstream = open_nodes.pop()
        if isinstance(upstream, Aggregate) and upstream.windows is not None:
            found[upstream.windows] = None
        elif not upstream.parents:
            return upstream
        elif upstream not in seen:
            seen.add(upstream)
            open_nodes += upstream.parents
    return tuple(found)
