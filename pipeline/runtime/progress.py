"""What is written beside a committed offset, so that time agrees with it after a restart.

Kafka Streams keeps partition time there; here it is everything about time that a replay needs to
give the same results: how far event time has come for each operator, store and partition.

A broker keeps at most 4,096 bytes of it (`offset.metadata.max.bytes`), and some keep nothing: then
time starts anew, as it does in Kafka Streams for operators. State does not depend on it: the
changelog positions that belong to the source offsets are committed offsets themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from pipeline.errors import StateError
from pipeline.record import TopicPartition
from pipeline.runtime.broker import Committed


class Progress(msgspec.Struct, omit_defaults=True):
    """The times of a task at a commit.

    Attributes:
        times: by operator, its stream time in ms.
        stores: by store, the numbers it keeps (`StateStore.progress`).
        partition: the partition's own time in ms, -1 if unknown.
        task: the task's stream time in ms, -1 if unknown.
    """

    times: dict[str, int] = {}
    stores: dict[str, dict[str, int]] = {}
    partition: int = -1
    task: int = -1


#: `offset.metadata.max.bytes` by default.
MAX_BYTES = 4_096
_DECODE = msgspec.json.Decoder(Progress).decode


def encode_progress(progress: Progress) -> str:
    """Return the metadata string for the commit; nothing if a broker would not keep it."""
    metadata = msgspec.json.encode(progress)
    return metadata.decode() if len(metadata) <= MAX_BYTES else ""


def decode_progress(metadata: str) -> Progress:
    """Return what `encode_progress` wrote; nothing if the offset carries nothing.

    Raises:
        StateError: the metadata is neither empty nor ours.
    """
    if not metadata:
        return Progress()
    try:
        return _DECODE(metadata)
    except msgspec.MsgspecError as error:
        raise StateError(
            f"the committed offset carries metadata that is not this library's: {metadata[:80]!r} "
            f"({error}); was the group used by another application?"
        ) from error


def tell_stores(stores: Mapping[str, Any], committed: Iterable[Progress]) -> None:
    """Tell stores, before they are restored, how far time had come: what is later never counted.

    Args:
        stores: by name.
        committed: what was written beside the offsets of their task's partitions.
    """
    for progress in committed:
        for name in stores.keys() & progress.stores.keys():
            stores[name].resume(progress.stores[name])


def decode_each(
    committed: Mapping[TopicPartition, Committed], partitions: Iterable[TopicPartition]
) -> dict[TopicPartition, Progress]:
    """Return what is written beside the offsets of these partitions; those without one are left out."""
    return {each: decode_progress(committed[each].metadata) for each in partitions if each in committed}
