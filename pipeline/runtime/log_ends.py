"""How far a changelog is to be read, to bring a store up to date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.record import TopicPartition
from pipeline.runtime.broker import Admin, Committed


def log_ends(
    admin: Admin, changelogs: Sequence[TopicPartition], positions: Mapping[TopicPartition, Committed]
) -> dict[TopicPartition, int]:
    """Return how far each changelog is to be read: all that is settled, and to what is committed.

    What is committed can lie behind the open transaction of a worker that is gone: then reading
    waits until the broker gives that up.
    """
    ends = admin.end_offsets(changelogs, stable=True)
    hidden = {each: positions[each].offset for each in changelogs if each in positions}
    hidden = {each: position for each, position in hidden.items() if position > ends[each]}
    if hidden:
        written = admin.end_offsets(sorted(hidden))
        ends |= {each: min(position, written[each]) for each, position in hidden.items()}
    return ends
