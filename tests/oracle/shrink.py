"""Making a failing case small: fewer inputs, fewer operators, as long as it still fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from tests.oracle.cases import Case, Node
from tests.oracle.order import defined
from tests.oracle.shapes import shapes

T = TypeVar("T")


def shrunk(case: Case, fails: Callable[[Case], bool]) -> Case:
    """Return a smallest case that still fails, found by leaving things out one after the other."""
    while True:
        smaller = next((other for other in _smaller(case) if fails(other)), None)
        if smaller is None:
            return case
        case = smaller


def _smaller(case: Case) -> Iterator[Case]:
    for nodes in filter(defined, _fewer_nodes(case.nodes)):
        smaller = case.with_nodes(nodes)
        read = smaller.sources()
        yield smaller.with_inputs([one for one in case.inputs if len(one) == 1 or one[0] in read])
    for inputs in _without_parts(case.inputs):
        yield case.with_inputs(inputs)


def _without_parts(items: Sequence[T]) -> Iterator[list[T]]:
    """Iterate what is left without a half, a quarter, ... and at last without a single one."""
    size = len(items) // 2
    while size >= 1:
        for start in range(0, len(items), size):
            yield [*items[:start], *items[start + size :]]
        size //= 2


def _fewer_nodes(nodes: Sequence[Node]) -> Iterator[list[Node]]:
    """Iterate what is left without a node nobody takes from, or with a node taken out of a chain."""
    used = {parent.partition(".")[0] for node in nodes for parent in node.get("of", ())}
    for node in nodes:
        if node["id"] not in used:
            yield [other for other in nodes if other is not node]
    known = shapes(nodes)
    for node in nodes:
        above = node.get("of", ())
        if len(above) != 1 or node["id"] not in known or known[node["id"]].kind != known[above[0]].kind:
            continue
        yield [_instead(other, node["id"], above[0]) for other in nodes if other is not node]


def _instead(node: Node, gone: str, above: str) -> Node:
    if gone not in node.get("of", ()):
        return node
    return node | {"of": [above if parent == gone else parent for parent in node["of"]]}
