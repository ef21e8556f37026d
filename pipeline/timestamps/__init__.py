"""Event times: which formats a source may use, and what happens when there is none.

Nothing here reads the clock. Where a format leaves the year out (syslog, Android), the year is
declared, or is the one that puts the event nearest to a time given by the caller.
"""

from pipeline.timestamps.event_time import EventTime, Policy, TimestampError
from pipeline.timestamps.extractors import (
    ByClock,
    TimestampExtractor,
    fail_on_invalid_timestamp,
    log_and_skip_on_invalid_timestamp,
    use_partition_time_on_invalid_timestamp,
    wallclock_timestamp,
)
from pipeline.timestamps.formats import DEFAULT_FORMATS, Format, TimestampParser, parse_timestamp
from pipeline.timestamps.instant import format_rfc3339

__all__ = [
    "DEFAULT_FORMATS",
    "ByClock",
    "EventTime",
    "Format",
    "Policy",
    "TimestampError",
    "TimestampExtractor",
    "TimestampParser",
    "fail_on_invalid_timestamp",
    "format_rfc3339",
    "log_and_skip_on_invalid_timestamp",
    "parse_timestamp",
    "use_partition_time_on_invalid_timestamp",
    "wallclock_timestamp",
]
