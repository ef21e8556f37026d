"""What our DSL does not have yet: cases with it are not made. Empty when everything has landed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from tests.oracle.cases import Node
from tests.oracle.shapes import Shape, shapes

#: Of a node and the shapes of its inputs.
Test: TypeAlias = Callable[[Node, Sequence[Shape]], bool]


def _op(*ops: str) -> Test:
    return lambda node, above: node["op"] in ops


MISSING: Final[Mapping[str, Test]] = {}


def supported(nodes: Sequence[Node]) -> bool:
    """Return whether our DSL can declare the nodes."""
    known = shapes(nodes)
    return not any(
        missing(node, [known[parent] for parent in node.get("of", ())])
        for node in nodes
        for missing in MISSING.values()
    )
