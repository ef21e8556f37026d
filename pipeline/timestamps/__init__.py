"""Event times: which formats a source may use, and what happens when there is none.

Nothing here reads the clock. Where a format leaves the year out (syslog, Android), the year is
declared, or is the one that puts the event nearest to a time given by the caller.
"""

from pipeline.timestamps.event_time import EventTime, Policy, TimestampError
from pipeline.timestamps.formats import DEFAULT_FORMATS, Format, TimestampParser, parse_timestamp
from pipeline.timestamps.instant import format_rfc3339

__all__ = [
    "DEFAULT_FORMATS",
    "EventTime",
    "Format",
    "Policy",
    "TimestampError",
    "TimestampParser",
    "format_rfc3339",
    "parse_timestamp",
]
