"""Sources: which topics are read, from where on, as what, and at what time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypeAlias

from pipeline.errors import TopologyError
from pipeline.serde import Serde
from pipeline.timestamps import TimestampExtractor
from pipeline.topology.node import Node

#: Where reading begins without a committed offset: at the first record, after the last, nowhere (the
#: worker stops), or at the first record that is no older than a duration before now.
OffsetReset: TypeAlias = Literal["earliest", "latest", "none"] | timedelta


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Source(Node):
    """Records of one or several topics."""

    topics: tuple[str, ...]
    key: Serde[Any]
    value: Serde[Any]
    timestamp: TimestampExtractor | None = None
    offset_reset: OffsetReset = "earliest"
    restores_partitioning = True

    @property
    def details(self) -> tuple[str, ...]:
        """What it reads, and as what."""
        details = [f"topics: {', '.join(self.topics)}", f"{self.key.name} to {self.value.name}"]
        if self.offset_reset != "earliest":
            details.append(f"offset reset: {self.offset_reset}")
        return tuple(details)


def same_source(node: Source, others: Iterable[Source]) -> Source | None:
    """Return the one of `others` that reads what `node` reads, in the same way (rule a8.9).

    Raises:
        TopologyError: one of them reads one of its topics, and not in the same way.
    """
    same = None
    for other in others:
        shared = next((topic for topic in node.topics if topic in other.topics), None)
        if shared is None:
            continue
        if not _are_alike(node, other):
            raise TopologyError(
                f"{node} and {other} read topic {shared!r} in different ways: a topic can back one table, or "
                "streams with the same topics, serdes, timestamp extractor and offset reset"
            )
        same = other
    return same


def _are_alike(node: Source, other: Source) -> bool:
    return (
        type(node) is type(other) is Source
        and set(node.topics) == set(other.topics)
        and (node.key.name, node.value.name) == (other.key.name, other.value.name)
        and (node.timestamp, node.offset_reset) == (other.timestamp, other.offset_reset)
    )
