"""Plain log lines to open events, by a declared list of line patterns.

The patterns cover the systems of the Loghub collection (https://github.com/logpai/loghub), syslog in
both RFCs, the web servers' formats, and lines that begin with an ISO 8601 time or with a severity.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, Final

from pipeline.errors import ConfigError
from pipeline.observability.model import LogRecord
from pipeline.observability.normalise import normalise_log
from pipeline.observability.severity import SYSLOG
from pipeline.timestamps import Format, TimestampParser

_LEVEL = r"(?P<level>[A-Za-z]{3,11})"
_SYSLOG_TAIL = r"(?:(?P<service>[^\s:\[]+)(?:\[(?P<pid>\d+)\])?: *)?(?P<message>.*)"


@dataclass(frozen=True, slots=True)
class LinePattern:
    """One shape of line.

    Attributes:
        name: of the pattern; the event says it in its attribute `log.format`.
        regex: matches the whole line. Its groups become the event's fields of the same names;
            `time` is parsed, `message` becomes the body; `fraction` counts as decimals of `time`,
            and `priority` is syslog's number of facility and severity.
        time: format of the group `time`.
    """

    name: str
    regex: str
    time: str = "rfc3339"


#: In the order in which they are tried.
LINE_PATTERNS: Final[tuple[LinePattern, ...]] = (
    LinePattern(  # Hadoop, log4j, logback
        "log4j",
        rf"(?P<time>\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d[,.]\d{{3}}) +{_LEVEL} +\[(?P<thread>[^\]]*)\] +"
        r"(?P<logger>\S+?)(?::| -)? +(?P<message>.*)",
    ),
    LinePattern(
        "windows-cbs",
        rf"(?P<time>\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d), +{_LEVEL} +(?P<component>\S+) +(?P<message>.*)",
    ),
    LinePattern(
        "spark",
        rf"(?P<time>\d\d/\d\d/\d\d \d\d:\d\d:\d\d) +{_LEVEL} +(?P<logger>[^\s:]+): +(?P<message>.*)",
        "%y/%m/%d %H:%M:%S",
    ),
    LinePattern(
        "hdfs",
        rf"(?P<time>\d{{6}} \d{{6}}) +(?P<pid>\d+) +{_LEVEL} +(?P<logger>[^\s:]+): +(?P<message>.*)",
        "%y%m%d %H%M%S",
    ),
    LinePattern(
        "android",
        r"(?P<time>\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) +(?P<pid>\d+) +(?P<tid>\d+) +(?P<level>[VDIWEFS]) +"
        r"(?P<logger>[^:]*): *(?P<message>.*)",
        "%m-%d %H:%M:%S.%f",
    ),
    LinePattern(
        "apache-error",
        r"\[(?P<time>[A-Z][a-z]{2} [A-Z][a-z]{2} +\d{1,2} \d\d:\d\d:\d\d(?:\.\d+)? \d{4})\] +"
        r"\[(?:\w+:)?(?P<level>[a-z]+)\] +(?:\[client (?P<client>[^\]]+)\] +)?(?P<message>.*)",
        "%a %b %d %H:%M:%S %Y",
    ),
    LinePattern(
        "access",  # common and combined log format
        r"(?P<client>\S+) \S+ (?P<user>\S+) \[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "
        r'(?P<message>"(?P<request>[^"]*)" (?P<status>\d{3}) (?P<bytes>\d+|-).*)',
        "%d/%b/%Y:%H:%M:%S %z",
    ),
    LinePattern(
        "bgl",  # the epoch is absolute, the local time has the microseconds
        r"(?P<label>\S+) (?P<time>\d{10}) \d{4}\.\d\d\.\d\d (?P<hostname>\S+) "
        r"\d{4}-\d\d-\d\d-\d\d\.\d\d\.\d\d\.(?P<fraction>\d{6}) (?P<location>\S+) (?P<type>\S+) "
        r"(?P<component>\S+) (?P<level>[A-Z]+) *(?P<message>.*)",
        "epoch_s",
    ),
    LinePattern(
        "thunderbird",
        rf"(?P<label>\S+) (?P<time>\d{{10}}) \d{{4}}\.\d\d\.\d\d (?P<hostname>\S+) "
        rf"[A-Z][a-z]{{2}} +\d{{1,2}} \d\d:\d\d:\d\d (?P<location>\S+) +{_SYSLOG_TAIL}",
        "epoch_s",
    ),
    LinePattern(
        "hpc",
        r"(?P<log_id>\d+) (?P<hostname>\S+) (?P<component>\S+) (?P<state>\S+) (?P<time>\d{9,10}) "
        r"(?P<flag>-?\d+) (?P<message>.*)",
        "epoch_s",
    ),
    LinePattern(
        "health-app",
        r"(?P<time>\d{8}-\d{1,2}:\d{1,2}:\d{1,2}:\d{1,3})\|(?P<component>[^|]*)\|(?P<pid>\d+)\|(?P<message>.*)",
        "%Y%m%d-%H:%M:%S:%L",
    ),
    LinePattern(
        "rfc5424",
        r"<(?P<priority>\d{1,3})>1 (?P<time>\S+) (?P<hostname>\S+) (?P<service>\S+) (?P<pid>\S+) "
        r"(?P<message_id>\S+) (?P<structured_data>-|(?:\[[^\]]*\])+) ?(?P<message>.*)",
    ),
    LinePattern(
        "rfc3164",
        r"(?:<(?P<priority>\d{1,3})>)?(?P<time>[A-Z][a-z]{2} +\d{1,2} \d\d:\d\d:\d\d) "
        rf"(?P<hostname>\S+) +{_SYSLOG_TAIL}",
        "%b %d %H:%M:%S",
    ),
    LinePattern(
        "iso8601",
        r"\[?(?P<time>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?)\]?[ ,:-]+"
        r"(?P<message>.*)",
    ),
)


class PlainText:
    """Parses lines by patterns. Compile it once.

    Args:
        patterns: tried in order.
        zone: the zone of times that don't give one.
        year: the year of times that don't give one; None: the nearest to the record's timestamp.

    Raises:
        ConfigError: a pattern can't be compiled, or lacks the group `time` or `message`.
    """

    __slots__ = ("_patterns",)

    def __init__(
        self,
        patterns: Sequence[LinePattern] = LINE_PATTERNS,
        *,
        zone: tzinfo = UTC,
        year: int | None = None,
    ) -> None:
        self._patterns = [
            (each.name, _compiled(each).fullmatch, TimestampParser([Format(each.time, zone, year)]))
            for each in patterns
        ]

    def event(self, line: str, *, observed_ms: int) -> dict[str, Any]:
        """Parse a line to an open event, for `normalise_log`.

        A line that no pattern fits, or whose time is none, is an event with nothing but a `body`.

        Args:
            line: without a line break at its end, or with one.
            observed_ms: milliseconds since the epoch, by which a missing year is chosen.
        """
        text = line.rstrip("\r\n")
        for name, match, times in self._patterns:
            found = match(text)
            if found is None:
                continue
            groups = {key: value for key, value in found.groupdict().items() if value is not None}
            fraction = groups.pop("fraction", None)
            written = groups.pop("time")
            ns = times(f"{written}.{fraction}" if fraction else written, observed_ms)
            if ns is not None:
                return {
                    "time_unix_nano": ns,
                    "log.format": name,
                    "body": groups.pop("message"),
                    **_fields(groups),
                }
        return {"body": text}


def _compiled(pattern: LinePattern) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern.regex, re.DOTALL | re.ASCII)
    except re.error as error:
        raise ConfigError(f"line pattern {pattern.name!r}: {error}") from error
    if not {"time", "message"} <= compiled.groupindex.keys():
        raise ConfigError(f"line pattern {pattern.name!r} needs groups named 'time' and 'message'")
    return compiled


def _fields(groups: dict[str, str]) -> dict[str, Any]:
    """Decode syslog's priority (RFC 5424, 6.2.1), and leave out what stands for nothing."""
    fields: dict[str, Any] = {name: value.strip() for name, value in groups.items() if value != "-"}
    priority = fields.pop("priority", None)
    if priority is not None:
        fields["syslog.facility.code"] = int(priority) // len(SYSLOG)
        fields["syslog_severity"] = int(priority) % len(SYSLOG)
    return fields


PLAIN_TEXT: Final = PlainText()


def parse_line(line: str, *, observed_ms: int, plain: PlainText = PLAIN_TEXT) -> LogRecord:
    """Parse a line to a log record; one without a time gets `observed_ms`."""
    return normalise_log(plain.event(line, observed_ms=observed_ms), observed_ms=observed_ms)
