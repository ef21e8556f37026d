"""Deleting what was read from repartition topics: they are queues, and nobody reads a record twice.

A repartition topic has no retention, so that no record is deleted before it is processed, however old
its timestamp. What is committed is never asked for again: whichever worker committed it asks the broker to
delete it, every so often, without waiting for the answer (Kafka Streams: `repartition.purge.interval.ms`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Final

from pipeline.errors import BrokerError, UnsupportedRequestError
from pipeline.record import TopicPartition
from pipeline.runtime.broker import Admin, Committed
from pipeline.runtime.deletion import Deletion

_log: Final = logging.getLogger(__name__)


class Purge:
    """Remembers how far repartition topics are committed, and has the broker delete what lies before.

    One partition that cannot be purged, now or ever, is no reason to stop: its records only stay.

    Args:
        topics: the repartition topics.
        interval_ms: how often; None: never.
    """

    def __init__(self, topics: Iterable[str], interval_ms: int | None) -> None:
        self._topics = frozenset(topics if interval_ms is not None else ())
        self._interval_ms = interval_ms or 0
        self._next_ms: int | None = None
        #: By partition, where what is to be deleted ends: at most one entry a partition.
        self._before: dict[TopicPartition, int] = {}
        self._asked: dict[TopicPartition, int] = {}
        self._underway: Deletion | None = None
        self._told = False

    def committed(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        """Take note of offsets that the broker has committed."""
        if self._topics:
            self._before.update(
                (partition, committed.offset)
                for partition, committed in offsets.items()
                if partition.topic in self._topics
            )

    def step(self, admin: Admin, now_ms: int) -> None:
        """Look at the answer to what was asked last; ask for more if it is time to. Never waits."""
        if self._next_ms is None:
            self._next_ms = now_ms + self._interval_ms
        if self._underway is not None:
            self._look(self._underway)
        elif self._before and now_ms >= self._next_ms:
            self._next_ms = now_ms + self._interval_ms
            self._ask(admin)

    def forget(self) -> None:
        """Expect no answer any more: the connection is closed."""
        self._underway = None

    def _ask(self, admin: Admin) -> None:
        self._asked, self._before = self._before, {}
        try:
            self._underway = admin.delete_records(self._asked)
        except UnsupportedRequestError as error:
            self._topics = frozenset()
            _log.warning("repartition topics keep what was read from them: %s", error)
        except BrokerError as error:
            self._failed(dict.fromkeys(self._asked, error))

    def _look(self, underway: Deletion) -> None:
        failures = underway.failures()
        if failures is None:
            return
        self._underway = None
        if failures:
            self._failed(failures)
        else:
            self._told = False

    def _failed(self, failures: Mapping[TopicPartition, BrokerError]) -> None:
        """Ask again next time; say so the first time in a row."""
        for partition in failures:
            self._before.setdefault(partition, self._asked[partition])
        if not self._told:
            self._told = True
            partition, error = next(iter(failures.items()))
            _log.warning(
                "%d partitions of repartition topics keep what was read from them, and are asked for again "
                "every %g s; %s: %s",
                len(failures),
                self._interval_ms / 1_000,
                partition,
                error,
            )
