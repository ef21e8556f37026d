"""Where a partition is read from: its committed offset, or what its source says.

A source's `offset_reset` counts where the group has committed nothing yet, and where the broker does not
hold any more what was committed: retention has removed it, or the topic was made anew.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from pipeline.clock import Clock
from pipeline.errors import NoOffsetError
from pipeline.plan.planner import Plan
from pipeline.record import TopicPartition
from pipeline.runtime.broker import Admin, Committed
from pipeline.runtime.counters import Counters
from pipeline.topology import OffsetReset, Source

_log: Final = logging.getLogger(__name__)


class StartOffsets:
    """Asks the broker for what the sources' policies come to."""

    def __init__(self, plan: Plan, admin: Admin, clock: Clock, counters: Counters) -> None:
        self._admin, self._clock, self._counters = admin, clock, counters
        self._sources = {
            topic: node for sub in plan.subtopologies for node in sub.sources for topic in node.topics
        }

    def of(
        self, partitions: Sequence[TopicPartition], committed: Mapping[TopicPartition, Committed]
    ) -> dict[TopicPartition, int]:
        """Return where each partition is read from.

        Raises:
            NoOffsetError: nothing is committed, and the source says that something must be.
            BrokerUnreachableError: no broker answers.
        """
        offsets = {
            partition: committed[partition].offset for partition in partitions if partition in committed
        }
        fresh: dict[OffsetReset, list[TopicPartition]] = {}
        for partition in partitions:
            if partition not in offsets:
                fresh.setdefault(self._source(partition).offset_reset, []).append(partition)
        for reset, those in fresh.items():
            if reset == "none":
                raise NoOffsetError(self._refusal(those[0], "the group has committed no offset"))
            offsets |= self._reset(reset, those)
        return offsets

    def moves(self, partition: TopicPartition) -> bool:
        """Whether another start would be found later on, so that the first one must be committed soon."""
        return self._source(partition).offset_reset != "earliest"

    def after_loss(self, partition: TopicPartition, lost: int) -> int:
        """Return where reading goes on, the broker having no offset `lost`, which comes next.

        Raises:
            NoOffsetError: the source says that no record may be missed.
            BrokerUnreachableError: no broker answers.
        """
        source = self._source(partition)
        if source.offset_reset == "none":
            raise NoOffsetError(self._refusal(partition, f"the broker does not hold offset {lost} any more"))
        offset = self._reset(source.offset_reset, [partition])[partition]
        self._counters["offsets_reset"] += 1
        _log.warning(
            "%s: the broker does not hold offset %d of %s any more; reading goes on at %d (offset_reset=%r)",
            *(source, lost, partition, offset, source.offset_reset),
        )
        return offset

    def _reset(self, reset: OffsetReset, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        if isinstance(reset, timedelta):
            since = self._clock.now_ms() - reset // timedelta(milliseconds=1)
            # Negative ones have other meanings in the protocol.
            return self._admin.offsets_at(partitions, max(0, since))
        return (
            self._admin.end_offsets(partitions)
            if reset == "latest"
            else self._admin.beginning_offsets(partitions)
        )

    def _source(self, partition: TopicPartition) -> Source:
        return self._sources[partition.topic]

    def _refusal(self, partition: TopicPartition, why: str) -> str:
        return (
            f"{self._source(partition)} cannot begin to read {partition}: {why}, and offset_reset is 'none'; "
            "commit an offset for the group (kafka-consumer-groups.sh --reset-offsets), or choose earliest, "
            "latest or a timedelta"
        )
