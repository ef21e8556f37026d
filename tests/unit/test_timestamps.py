from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.record import Record
from pipeline.timestamps import (
    EventTime,
    Format,
    Policy,
    TimestampError,
    TimestampParser,
    format_rfc3339,
    parse_timestamp,
)

SYSLOG = "%b %d %H:%M:%S"
END_NS = 2**63


def ns(text: str) -> int:
    """Nanoseconds of a UTC time, by the standard library; up to microseconds."""
    delta = datetime.fromisoformat(text).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 10**9 + delta.microseconds * 1_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2023-01-29T08:42:09.487160534Z", 1674981729487160534),
        ("2023-01-29 08:42:09.487160534", 1674981729487160534),
        ("2023-01-29T08:42:09.4871605Z", 1674981729487160500),
        ("2023-01-29T08:42:09.48716053499Z", 1674981729487160534),
        ("2023-01-29T16:42:09.487160534+08:00", 1674981729487160534),
        ("2023-01-29T16:42:09.4871605+08", 1674981729487160500),
        ("2023-01-29T00:42:09.487160534-08:00", 1674981729487160534),
        ("2023-01-29T08:42:09Z", 1674981729 * 10**9),
        ("2023-01-29t08:42:09z", 1674981729 * 10**9),
        ("2023-01-29 08:42:09 +0000", 1674981729 * 10**9),
        ("2023-01-29 08:42:09 UTC", 1674981729 * 10**9),
        ("2023-01-29T08:42:09,978", 1674981729978000000),
        ("2023-01-29", ns("2023-01-29 00:00:00")),
        ("2023-01-29T08:42", ns("2023-01-29 08:42:00")),
        ("2016-12-31T23:59:60Z", ns("2017-01-01 00:00:00")),
        # not these
        ("2019-12-30 09:28.31", None),
        ("2023-02-29T00:00:00Z", None),
        ("2023-01-29T25:00:00Z", None),
        ("2023-01-29x08:42:09Z", None),
        ("20230129T084209Z", None),
        ("1969-12-31T23:59:59Z", None),
        ("2263-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("", None),
        ("yesterday", None),
        (1674981729, None),
        (None, None),
    ],
)
def test_rfc3339(value: Any, expected: int | None) -> None:
    assert parse_timestamp(value, ["rfc3339"]) == expected


@pytest.mark.parametrize(
    ("fmt", "value", "expected"),
    [
        ("epoch", 1674981729, 1674981729 * 10**9),
        ("epoch", 1674981729487, 1674981729487 * 10**6),
        ("epoch", 1674981729487160, 1674981729487160 * 10**3),
        ("epoch", 1674981729487160534, 1674981729487160534),
        ("epoch", "1674981729", 1674981729 * 10**9),
        ("epoch", "1674981729.487160534", 1674981729487160534),
        ("epoch", 1674981729.5, 1674981729_500000000),
        ("epoch", 1674981729.487161, 1674981729_487161000),
        ("epoch", 0, 0),
        ("epoch", True, None),
        ("epoch", -1, None),
        ("epoch", "-1", None),
        ("epoch", float("nan"), None),
        ("epoch", float("inf"), None),
        ("epoch", 1e300, None),
        ("epoch", 10**400, None),
        ("epoch", "9" * 5000, None),
        ("epoch", "1674981729 ", None),
        ("epoch", "١٦٧٤٩٨١٧٢٩", None),
        ("epoch", [1674981729], None),
        ("epoch_s", 5, 5 * 10**9),
        ("epoch_ms", 5, 5 * 10**6),
        ("epoch_us", 5, 5 * 10**3),
        ("epoch_ns", 5, 5),
        ("epoch_ms", 5.25, 5_250_000),
        ("epoch_ns", END_NS - 1, END_NS - 1),
        ("epoch_ns", END_NS, None),
    ],
)
def test_epoch(fmt: str, value: Any, expected: int | None) -> None:
    assert parse_timestamp(value, [fmt]) == expected


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (SYSLOG, "Jun 14 15:16:01", "2023-06-14 15:16:01"),
        (SYSLOG, "Jul  3 15:16:01", "2023-07-03 15:16:01"),
        ("[%a %b %d %H:%M:%S %Y]", "[Sun Dec 04 04:47:44 2005]", "2005-12-04 04:47:44"),
        ("%Y-%m-%d %H:%M:%S,%f", "2015-10-18 18:01:47,978", "2015-10-18 18:01:47.978"),
        ("%m-%d %H:%M:%S.%f", "10-17 16:13:38.811", "2023-10-17 16:13:38.811"),
        ("%y/%m/%d %H:%M:%S", "17/06/09 20:10:40", "2017-06-09 20:10:40"),
        ("%y%m%d %H%M%S", "081109 203615", "2008-11-09 20:36:15"),
        ("%y%m%d %H%M%S", "691109 203615", None),
        ("%Y-%m-%d-%H.%M.%S.%f", "2005-06-03-15.42.50.675872", "2005-06-03 15:42:50.675872"),
        ("%Y%m%d-%H:%M:%S:%L", "20171223-22:15:29:606", "2017-12-23 22:15:29.606"),
        ("%Y%m%d-%H:%M:%S:%L", "20171223-23:7:6:86", "2017-12-23 23:07:06.086"),
        ("%d/%b/%Y:%H:%M:%S %z", "10/Oct/2000:13:55:36 -0700", "2000-10-10 20:55:36"),
        ("%B %e, %Y %I:%M:%S %p", "October 10, 2000 12:55:36 am", "2000-10-10 00:55:36"),
        ("%B %e, %Y %I:%M:%S %p", "October 10, 2000 12:55:36 PM", "2000-10-10 12:55:36"),
        ("%A %d %B %Y %Z %H%%", "Tuesday 10 October 2000 GMT 7%", "2000-10-10 07:00:00"),
        ("%Y-%m-%d", "2023-02-29", None),
        ("%Y-%m-%d", "2023-02-29 12", None),
        (SYSLOG, "Foo 14 15:16:01", None),
    ],
)
def test_strptime(pattern: str, text: str, expected: str | None) -> None:
    near_ms = ns("2023-10-01 00:00:00") // 10**6
    assert parse_timestamp(text, [pattern], near_ms=near_ms) == (ns(expected) if expected else None)


@pytest.mark.parametrize(
    ("near", "text", "expected"),
    [
        ("2024-01-01 00:00:05", "Dec 31 23:59:59", "2023-12-31 23:59:59"),
        ("2023-12-31 23:59:59", "Jan  1 00:00:01", "2024-01-01 00:00:01"),
        ("2023-06-30 00:00:00", "Dec 29 00:00:00", "2023-12-29 00:00:00"),
        ("2023-03-01 00:00:00", "Feb 29 00:00:00", "2024-02-29 00:00:00"),
        ("2021-03-01 00:00:00", "Feb 29 00:00:00", "2020-02-29 00:00:00"),
        ("2022-03-01 00:00:00", "Feb 29 00:00:00", None),
    ],
)
def test_a_missing_year_is_the_nearest(near: str, text: str, expected: str | None) -> None:
    assert parse_timestamp(text, [SYSLOG], near_ms=ns(near) // 10**6) == (ns(expected) if expected else None)


def test_a_declared_year_wins_over_the_nearest() -> None:
    assert parse_timestamp("Jun 14 15:16:01", [Format(SYSLOG, year=2005)], near_ms=0) == ns(
        "2005-06-14 15:16:01"
    )


def test_without_any_year_the_caller_is_told() -> None:
    with pytest.raises(ConfigError, match="has no year"):
        parse_timestamp("Jun 14 15:16:01", [SYSLOG])


@pytest.mark.parametrize("pattern", ["rfc3339", "%Y-%m-%d %H:%M:%S"])
def test_a_declared_zone_is_for_text_without_one(pattern: str) -> None:
    summer, winter = "2023-07-29 10:00:00", "2023-01-29 09:00:00"
    berlin = TimestampParser([Format(pattern, zone=ZoneInfo("Europe/Berlin"))])
    assert berlin(summer) == ns("2023-07-29 08:00:00")
    assert berlin(winter) == ns("2023-01-29 08:00:00")


def test_formats_are_tried_in_order() -> None:
    parse = TimestampParser(["epoch_ms", "rfc3339", SYSLOG])
    assert parse(1_000) == 10**9
    assert parse("1970-01-01T00:00:01Z") == 10**9
    assert parse("Jan  1 00:00:01", 0) == 10**9
    assert parse("nothing of the kind", 0) is None


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("iso", "no name of a format"),
        ("%Y %H", "no month and day"),
        ("%Y-%m-%d %Q", "unknown %Q"),
        ("%Y-%m-%d %", "unknown %"),
        ("%d %m %d", "redefinition"),
        ("", "no name of a format"),
    ],
)
def test_a_bad_format_is_refused_where_it_is_declared(pattern: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        Format(pattern)


def test_no_format_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one format"):
        TimestampParser([])


@given(
    st.integers(0, END_NS - 1),
    st.integers(-23 * 60, 23 * 60),
    st.sampled_from("T "),
)
def test_what_is_written_is_read_back(instant: int, offset_minutes: int, separator: str) -> None:
    assert parse_timestamp(format_rfc3339(instant)) == instant
    local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=instant // 10**9)
    local = local.astimezone(timezone(timedelta(minutes=offset_minutes)))
    head, tail = local.isoformat(separator)[:19], local.isoformat()[19:]
    assert parse_timestamp(f"{head}.{instant % 10**9:09d}{tail}", ["rfc3339"]) == instant


@given(st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.booleans(), st.lists(st.integers())))
def test_any_value_is_a_time_or_none(value: Any) -> None:
    formats = ["rfc3339", "epoch", SYSLOG, "%Y%m%d-%H:%M:%S:%L", "%d/%b/%Y:%H:%M:%S %z"]
    parsed = parse_timestamp(value, formats, near_ms=1_700_000_000_000)
    assert parsed is None or 0 <= parsed < END_NS


@given(
    st.from_regex(
        r"[0-9]{4}-[01][0-9]-[0-3][0-9][T t][0-2][0-9]:[0-6][0-9]"
        r".?[0-6]?[0-9]?[.,]?[0-9]{0,10}[Z+-]?[0-9:]{0,6}",
        fullmatch=True,
    )
)
def test_nearly_rfc3339_is_a_time_or_none(text: str) -> None:
    parsed = parse_timestamp(text, ["rfc3339"])
    assert parsed is None or 0 <= parsed < END_NS


class Event(msgspec.Struct):
    timestamp: str


RECORD_TIME, PARTITION_TIME = 7_000, 9_000


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("timestamp", {"timestamp": "1970-01-01T00:00:05.999999Z"}, 5_999),
        ("timestamp", Event("1970-01-01T00:00:05Z"), 5_000),
        ("event.time", {"event": {"time": 5}}, 5_000),
        ("event.time", {"event.time": 5, "event": {"time": 6}}, 5_000),
        (["ts", "timestamp"], {"timestamp": 5, "ts": 6}, 6_000),
        (["ts", "timestamp"], {"timestamp": 5, "ts": None}, 5_000),
        ("timestamp", {}, RECORD_TIME),
        ("timestamp", None, RECORD_TIME),
        ("timestamp", [5], RECORD_TIME),
        ("event.time", {"event": 5}, RECORD_TIME),
        ("timestamp", {"timestamp": "2019-12-30 09:28.31"}, PARTITION_TIME),
        ("timestamp", {"timestamp": ["5"]}, PARTITION_TIME),
        ("timestamp", {"timestamp": ""}, PARTITION_TIME),
    ],
)
def test_event_time(field: str | list[str], value: Any, expected: int) -> None:
    extract = EventTime(field, missing=Policy.RECORD_TIME, invalid=Policy.PARTITION_TIME)
    assert extract(Record(b"k", value, RECORD_TIME), PARTITION_TIME) == expected


def test_a_year_is_chosen_near_the_record_time() -> None:
    extract = EventTime("time", [SYSLOG])
    record_time = ns("2024-01-01 00:00:05") // 10**6
    assert extract(Record(None, {"time": "Dec 31 23:59:59"}, record_time), -1) == record_time - 6_000


def test_rejecting_is_the_default_and_names_field_and_formats() -> None:
    extract = EventTime("time", ["rfc3339", "epoch_ms"])
    with pytest.raises(TimestampError, match="no field 'time' in the value"):
        extract(Record(None, {}, RECORD_TIME), PARTITION_TIME)
    with pytest.raises(TimestampError, match=r"field 'time': 'x{39}\.\.\. is none of rfc3339, epoch_ms"):
        extract(Record(None, {"time": "x" * 100}, RECORD_TIME), PARTITION_TIME)


@pytest.mark.parametrize(
    ("policy", "record_time"), [(Policy.RECORD_TIME, -1), (Policy.PARTITION_TIME, RECORD_TIME)]
)
def test_an_unknown_fallback_is_an_error(policy: Policy, record_time: int) -> None:
    with pytest.raises(TimestampError, match=f"the {policy.value} is not known either"):
        EventTime("time", missing=policy)(Record(None, {}, record_time), -1)


def test_an_event_time_needs_a_field() -> None:
    with pytest.raises(ConfigError, match="name of the field"):
        EventTime([])
