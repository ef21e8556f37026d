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
from pipeline.topology.pattern import TopicPattern

#: Where reading begins without a committed offset: at the first record, after the last, nowhere (the
#: worker stops), or at the first record that is no older than a duration before now.
OffsetReset: TypeAlias = Literal["earliest", "latest", "none"] | timedelta


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Source(Node):
    """Records of one or several topics.

    `pattern`: the topics are those that match it; none are known before the worker sees the broker.
    """

    topics: tuple[str, ...]
    key: Serde[Any]
    value: Serde[Any]
    timestamp: TimestampExtractor | None = None
    offset_reset: OffsetReset = "earliest"
    pattern: TopicPattern | None = None
    restores_partitioning = True

    @property
    def details(self) -> tuple[str, ...]:
        """What it reads, and as what."""
        details = [f"topics: {', '.join(self.reads)}", f"{self.key.name} to {self.value.name}"]
        if self.offset_reset != "earliest":
            details.append(f"offset reset: {self.offset_reset}")
        return tuple(details)

    @property
    def reads(self) -> tuple[str, ...]:
        """What it reads, for people: its topics, or its pattern."""
        return self.topics if self.pattern is None else (self.pattern.text,)


def same_source(node: Source, others: Iterable[Source]) -> Source | None:
    """Return the one of `others` that reads what `node` reads, in the same way (rule a8.9).

    Raises:
        TopologyError: one of them reads one of its topics, and not in the same way.
    """
    same = None
    for other in others:
        shared = _shared(node, other)
        if shared is None:
            continue
        if not _are_alike(node, other):
            raise TopologyError(
                f"{node}{_by(node)} and {other}{_by(other)} read topic {shared!r} in different ways: a topic "
                "can back one table, or streams of the same topics with the same serdes, timestamp extractor "
                "and offset reset"
            )
        same = other
    return same


def _are_alike(node: Source, other: Source) -> bool:
    return (
        type(node) is type(other) is Source
        and node.pattern == other.pattern
        and set(node.topics) == set(other.topics)
        and (node.key.name, node.value.name) == (other.key.name, other.value.name)
        and (node.timestamp, node.offset_reset) == (other.timestamp, other.offset_reset)
    )


def _shared(node: Source, other: Source) -> str | None:
    """Return a topic that both read, as far as topics are known."""
    if node.pattern is not None and node.pattern == other.pattern:
        return node.pattern.text
    for one, another in ((node, other), (other, node)):
        for topic in one.topics:
            matched = one.pattern is None and another.pattern is not None and another.pattern.matches(topic)
            if topic in another.topics or matched:
                return topic
    return None


def _by(source: Source) -> str:
    return "" if source.pattern is None else f", by pattern {source.pattern.text!r},"
