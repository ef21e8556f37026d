"""Timestamp extractors: where a record's event time comes from (rule a1.1).

An extractor is called with the record, its key and value decoded, and with the largest event time seen
on its partition so far (-1 before the first). It returns the event time in ms. A negative one says that
the record has none: it is put aside in the dead-letter topic, or dropped and counted where there is none.
What an extractor raises is a decode error of that record.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pipeline.clock import Clock
from pipeline.record import Record
from pipeline.timestamps.event_time import TimestampError

#: `(record, partition_time_ms) -> event time in ms`; the record's timestamp is the broker's.
Extract: TypeAlias = Callable[[Record[Any, Any], int], int]


@dataclass(frozen=True, slots=True)
class ByClock:
    """A timestamp extractor that needs the wall clock.

    Attributes:
        make: returns the extractor, given the worker's clock.
    """

    make: Callable[[Clock], Extract]


#: What `timestamp=` of a source takes.
TimestampExtractor: TypeAlias = Extract | ByClock


def fail_on_invalid_timestamp(record: Record[Any, Any], _partition_time: int) -> int:
    """Return the record's timestamp; a negative one is an error. The default.

    Raises:
        TimestampError: it is negative, as of clients older than Kafka 0.10.
    """
    if record.timestamp < 0:
        raise TimestampError(
            f"event time {record.timestamp} ms: was the record written by a client older than Kafka 0.10? "
            "Give the source another timestamp="
        )
    return record.timestamp


def log_and_skip_on_invalid_timestamp(record: Record[Any, Any], _partition_time: int) -> int:
    """Return the record's timestamp; one with a negative timestamp is dropped, counted and logged."""
    return record.timestamp


def use_partition_time_on_invalid_timestamp(record: Record[Any, Any], partition_time: int) -> int:
    """Return the record's timestamp; if it is negative, the largest of its partition so far.

    Raises:
        TimestampError: there is none so far.
    """
    if record.timestamp >= 0:
        return record.timestamp
    if partition_time < 0:
        raise TimestampError(
            f"event time {record.timestamp} ms, and no record of its partition had one before"
        )
    return partition_time


def _by_wall_clock(clock: Clock) -> Extract:
    return lambda _record, _partition_time: clock.now_ms()


#: The time when the record is taken up for processing, by the worker's clock.
wallclock_timestamp: Final = ByClock(_by_wall_clock)
