"""Where Headrace does better than Kafka Streams, on purpose, and how a case shows it.

Each improvement is a change of what Kafka Streams is asked to do (`java/`), never of what it answers: the
answer of the corrected Kafka Streams is what Headrace must give. So a difference is allowed only in the
cases that an improvement concerns, and only as the improvement demands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from tests.oracle.cases import Case, Node


class Improvement(NamedTuple):
    """How one documented difference (`tests/semantics/improvements.py`, by its number) is recognised.

    Attributes:
        correction: how Kafka Streams is made to do what Headrace does.
        concerns: whether a node, among all of the case, may show it.
    """

    correction: str
    concerns: Callable[[Node, Sequence[Node]], bool]


def relevant(case: Case) -> list[int]:
    """Return the numbers of the improvements that concern a case."""
    return [
        number
        for number, improvement in IMPROVEMENTS.items()
        if any(improvement.concerns(node, case.nodes) for node in case.nodes)
    ]


def _windows(node: Node) -> str:
    kind: str = node.get("windows", {}).get("kind", "none")
    return kind


def _hides(node: Node, _nodes: Sequence[Node]) -> bool:
    return _windows(node) not in {"none", "unlimited"} or node["op"] == "stream_join"


def _takes_nulls(node: Node, _nodes: Sequence[Node]) -> bool:
    return _windows(node) not in {"none", "sliding"} or _has_no_width(node)


def _emits_unmatched(node: Node, _nodes: Sequence[Node]) -> bool:
    return bool(node["op"] == "stream_join" and node["kind"] != "inner")


def _inclusive_end(node: Node, nodes: Sequence[Node]) -> bool:
    finals = [other for other in nodes if other["op"] == "suppress" and other["until"] == "close"]
    return bool(finals) and _windows(node) in {"sliding", "session"}


def _sends_initial(node: Node, nodes: Sequence[Node]) -> bool:
    cached = node.get("caching", True) and "history" not in node
    if cached or node["op"] not in {"aggregate", "cogroup"}:
        return False
    return any(node["id"] in other.get("of", ()) and other["op"] != "to_stream" for other in nodes)


def _follows_suppress(node: Node, nodes: Sequence[Node]) -> bool:
    if node["op"] != "suppress":
        return False
    readers = [other for other in nodes if node["id"] in other.get("of", ())]
    return any(not _needs_no_old_values(reader) for reader in readers)


def _needs_no_old_values(node: Node) -> bool:
    inner = node["op"] == "table_join" and node["kind"] == "inner"
    return inner or node["op"] in {"to_stream", "stream_table_join"}


def _bounds(node: Node, _nodes: Sequence[Node]) -> bool:
    if node["op"] == "stream_join":
        return bool(node["before"] < 0 or node["after"] < 0)
    if node["op"] == "stream_table_join":
        return node["kind"] == "left" and "grace" in node
    return _has_no_width(node)


def _versioned(node: Node, _nodes: Sequence[Node]) -> bool:
    return "history" in node


def _has_no_width(node: Node) -> bool:
    return _windows(node) == "sliding" and node["windows"]["difference"] == 0


IMPROVEMENTS: Final[Mapping[int, Improvement]] = {
    1: Improvement(
        "window stores with a retention that hides nothing; session stores that keep a session as long as "
        "ours, 3 * gap + grace + 1, unless the case says longer; join stores that keep a record while one "
        "that is not late can match it",
        _hides,
    ),
    2: Improvement("null values are filtered out before the grouping", _takes_nulls),
    3: Improvement(
        "the pairs are Kafka Streams'; the rows come from the rule, in java/Unmatched.java", _emits_unmatched
    ),
    4: Improvement("it waits a millisecond longer for sliding and session windows", _inclusive_end),
    5: Improvement(
        "an aggregate's updates are made a table, which knows what was there before; a versioned aggregate "
        "begins with null, which its aggregator takes for the initial value",
        _sends_initial,
    ),
    6: Improvement(
        "pairs out of bounds are filtered out; null keys go around the join; tumbling windows of 1 ms",
        _bounds,
    ),
    # 7, 8, 11 and 12 show only where there are restarts, a wall clock, answers that take their time, and
    # commits of several changes.
    9: Improvement(
        "a store to which deletions are put twice, the second time when there is nothing any more",
        _versioned,
    ),
    10: Improvement("a table of what suppress lets go: it knows what that was", _follows_suppress),
}
