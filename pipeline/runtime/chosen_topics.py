"""Topics that are chosen while a record is processed: asked for then, in the middle of its work."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.errors import BrokerUnreachableError, RewindError, UnknownTopicError
from pipeline.runtime.broker import Admin


def chosen_counts(admin: Admin, known: dict[str, int]) -> Callable[[str], int]:
    """Return what tells a topic's partition count; topics chosen while running are asked for once."""

    def count(topic: str) -> int:
        if topic not in known:
            try:
                known.update(admin.partition_counts([topic]))
            except BrokerUnreachableError as error:
                raise in_the_middle(error) from error
        if topic not in known:
            raise UnknownTopicError(f"topic {topic!r}, chosen for a record, does not exist: create it")
        return known[topic]

    return count


def in_the_middle(error: BrokerUnreachableError) -> RewindError:
    """Return the error of a record that was begun: it cannot be taken up again where it was."""
    return RewindError(f"{error}; going back to the last commit")
