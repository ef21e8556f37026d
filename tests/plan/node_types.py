"""Every type of node that there is."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.topology import Node


def node_types(kind: type[Node] = Node) -> Iterator[type[Node]]:
    """Return the types below `kind`."""
    # Dataclasses with slots are made twice: the first, without, is a subclass that nobody uses.
    for child in kind.__subclasses__():
        if "__slots__" in vars(child):
            yield child
        yield from node_types(child)
