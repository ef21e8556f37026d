"""Random records for a topology: out of order, with ties, at the edges of windows, beyond their grace."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

from tests.oracle.cases import Input, Node, topics_of

_KEYS: Final = ("a", "a", "a", "b", "b", "c")
_LETTERS: Final = ("a", "a", "b", "c")
#: Fields of nodes, and of their windows, that are durations.
_DURATIONS: Final = (
    "size", "advance", "grace", "difference", "gap", "start",
    "before", "after", "limit", "history", "interval",
)  # fmt: skip


def inputs(random: Random, nodes: Sequence[Node], scale: int) -> list[Input]:
    """Return records for every topic that the nodes read."""
    topics = sorted({topic for node in nodes for topic in topics_of(node)})
    edges = _edges(nodes)
    count = random.randint(4, 14) + 4 * len(topics)
    late = random.choice([0.1, 0.3, 0.5])
    made: list[Input] = []
    now = random.choice([0, 0, 1, scale, 5 * scale])
    for number in range(count):
        if any(node.get("clock") == "wall" for node in nodes) and random.random() < 0.25:
            made.append([random.choice([1, scale, scale, 3 * scale])])
            continue
        time = _time(random, made, edges, scale, now, late)
        now = max(now, time)
        key = None if random.random() < 0.06 else random.choice(_KEYS)
        value = None if random.random() < 0.12 else f"{random.choice(_LETTERS)}{number}"
        made.append([random.choice(topics), key, value, time])
    return made


def _edges(nodes: Sequence[Node]) -> list[int]:
    """Return the durations by which one record is just inside or just outside of what another one began."""
    single = {0}
    for node in nodes:
        for fields in (node, node.get("windows", {})):
            single |= {abs(fields[name]) for name in _DURATIONS if isinstance(fields.get(name), int)}
    return sorted(single | {one + other for one in single for other in single})


def _time(
    random: Random, made: Sequence[Input], edges: Sequence[int], scale: int, now: int, late: float
) -> int:
    """Return a time: after the latest, earlier, the same, far ahead, or at an edge of another record's."""
    chance = random.random()
    times: list[int] = [record[3] for record in made if len(record) > 1]
    if times and chance < 0.35:
        edge = random.choice(edges) + random.choice([-1, 0, 0, 1])
        return max(0, random.choice(times) + random.choice([edge, edge, -edge]))
    if times and chance < 0.45:
        return random.choice(times)
    if chance < 0.45 + late / 2:
        return max(0, now - random.randint(0, 3 * scale))
    if chance > 0.96:
        return now + random.choice([10, 100]) * scale
    return now + random.randint(0, max(1, scale // 2))
