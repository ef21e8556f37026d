"""Real lines of twelve systems (Loghub): how many give a time, and how many a severity.

The samples in tests/data are every eightieth line. Where the whole files lie beside the
repository, they are counted too: `pytest -s` shows the table.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import NamedTuple

import pytest

from pipeline.observability.model import LogRecord
from pipeline.observability.normalise import normalise_log
from pipeline.observability.plaintext import PlainText, parse_line
from pipeline.timestamps import format_rfc3339

SAMPLES = Path(__file__).parent.parent / "data" / "loghub"
WHOLE = Path(__file__).parent.parent.parent.parent / "shared" / "data" / "loghub"
OBSERVED_MS = 1_700_000_000_000


class System(NamedTuple):
    """What is known of a system's lines.

    Attributes:
        name: of the file.
        year: of lines that don't give one.
        severities: how many of the 25 sample lines and of the 2,000 have one. Syslog, HPC and
            HealthApp write none: there it can only be a word of the message.
        first: time of the first line.
    """

    name: str
    year: int | None
    severities: tuple[int, int]
    first: str


SYSTEMS = [
    System("Android", 2017, (25, 2000), "2017-03-17T16:13:38.811000000Z"),
    System("Apache", None, (25, 2000), "2005-12-04T04:47:44.000000000Z"),
    System("BGL", None, (25, 2000), "2005-06-03T22:42:50.675872000Z"),
    System("HDFS", None, (25, 2000), "2008-11-09T20:36:15.000000000Z"),
    System("HPC", None, (0, 0), "2004-02-26T14:12:22.000000000Z"),
    System("Hadoop", None, (25, 2000), "2015-10-18T18:01:47.978000000Z"),
    System("HealthApp", None, (0, 0), "2017-12-23T22:15:29.606000000Z"),
    System("Linux", 2005, (1, 45), "2005-06-14T15:16:01.000000000Z"),
    System("OpenSSH", 2017, (0, 48), "2017-12-10T06:55:46.000000000Z"),
    System("Spark", None, (25, 2000), "2017-06-09T20:10:40.000000000Z"),
    System("Thunderbird", None, (1, 36), "2005-11-09T20:01:01.000000000Z"),
    System("Windows", None, (25, 2000), "2016-09-28T04:30:30.000000000Z"),
]


def sample_lines(system: System) -> list[str]:
    return (SAMPLES / f"{system.name}.log").read_text("utf-8").splitlines()


def whole_lines(system: System) -> list[str]:
    with gzip.open(WHOLE / f"{system.name}_2k.log.gz", "rt", encoding="utf-8", newline="\n") as lines:
        return [line for line in lines if line.strip()]


def parsed(system: System, lines: list[str]) -> list[LogRecord]:
    plain = PlainText(year=system.year)
    return [parse_line(line, observed_ms=OBSERVED_MS, plain=plain) for line in lines]


def with_time(records: list[LogRecord]) -> int:
    return sum(record.time_unix_nano != record.observed_time_unix_nano for record in records)


def with_severity(records: list[LogRecord]) -> int:
    return sum(record.severity_number > 0 for record in records)


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_samples(system: System) -> None:
    records = parsed(system, sample_lines(system))
    assert (with_time(records), with_severity(records)) == (25, system.severities[0])
    assert format_rfc3339(records[0].time_unix_nano) == system.first
    assert len({record.attributes["log.format"] for record in records}) == 1


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_a_line_keeps_its_words(system: System) -> None:
    for line, record in zip(sample_lines(system), parsed(system, sample_lines(system)), strict=True):
        assert line.endswith(record.body)
        for value in (*record.attributes.values(), *record.resource.values()):
            assert value in line or value == record.attributes["log.format"]


@pytest.mark.skipif(not WHOLE.exists(), reason=f"the whole Loghub files are not at {WHOLE}")
def test_whole_files() -> None:
    print("\nsystem        lines   time  severity")  # noqa: T201 # the table is what this test reports
    for system in SYSTEMS:
        records = parsed(system, whole_lines(system))
        counts = (len(records), with_time(records), with_severity(records))
        print(f"{system.name:12}{counts[0]:7}{counts[1]:7}{counts[2]:10}")  # noqa: T201 # same
        assert counts == (2000, 2000, system.severities[1])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "<34>1 2003-10-11T22:14:15.003Z web-1 su 77 ID47 [x@1 a=\"b\"] 'su root' failed",
            {
                "time_unix_nano": 1065910455003000000,
                "log.format": "rfc5424",
                "body": "'su root' failed",
                "syslog.facility.code": 4,
                "syslog_severity": 2,
                "hostname": "web-1",
                "service": "su",
                "pid": "77",
                "message_id": "ID47",
                "structured_data": '[x@1 a="b"]',
            },
        ),
        (
            "<13>Oct 11 22:14:15 web-1 su: 'su root' failed",
            {
                "time_unix_nano": 1697062455000000000,
                "log.format": "rfc3164",
                "body": "'su root' failed",
                "syslog.facility.code": 1,
                "syslog_severity": 5,
                "hostname": "web-1",
                "service": "su",
            },
        ),
        (
            '127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 200 2326 "-" "curl"',
            {
                "time_unix_nano": 971211336000000000,
                "log.format": "access",
                "body": '"GET /a HTTP/1.0" 200 2326 "-" "curl"',
                "client": "127.0.0.1",
                "user": "frank",
                "request": "GET /a HTTP/1.0",
                "status": "200",
                "bytes": "2326",
            },
        ),
        (
            "[2023-01-29 08:42:09,487] INFO hello\n",
            {"time_unix_nano": 1674981729487000000, "log.format": "iso8601", "body": "INFO hello"},
        ),
        (
            "\tat java.lang.Thread.run(Thread.java:748)",
            {"body": "\tat java.lang.Thread.run(Thread.java:748)"},
        ),
        (
            "2023-13-29 08:42:09,487 INFO [main] a.B: c",
            {"body": "2023-13-29 08:42:09,487 INFO [main] a.B: c"},
        ),
        ("", {"body": ""}),
    ],
)
def test_other_lines(line: str, expected: dict[str, object]) -> None:
    assert PlainText().event(line, observed_ms=OBSERVED_MS) == expected
    normalise_log(expected, observed_ms=OBSERVED_MS)
