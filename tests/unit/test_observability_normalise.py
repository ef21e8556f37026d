from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError, StreamsError
from pipeline.observability.errors import InvalidEventError
from pipeline.observability.events import parse_event
from pipeline.observability.model import LogRecord, Span
from pipeline.observability.normalise import LOG_FIELDS, SPAN_FIELDS, normalise_log, normalise_span
from pipeline.timestamps import Format, Policy, TimestampParser

NEZHA = Path(__file__).parent.parent / "data" / "nezha"
OBSERVED_MS = 1_700_000_000_000
OBSERVED_NS = OBSERVED_MS * 10**6
TRACE, SPAN = "6f3cbf058c2765548a39ad724905d6a1", "576f9c38fc25e197"


def log(event: dict[str, Any]) -> LogRecord:
    return normalise_log(event, observed_ms=OBSERVED_MS)


def span(**changes: Any) -> Span:
    event = {"trace_id": TRACE, "span_id": SPAN, "name": "GET /", "start": 1, "end": 2} | changes
    return normalise_span({name: value for name, value in event.items() if value is not ...})


def test_a_log_with_fields_of_all_kinds() -> None:
    record = log(
        {
            "timestamp": "2023-01-29T08:42:09.487160534Z",
            "level": "WARN",
            "message": "seat taken",
            "service": "booking",
            "host": "web-1",
            "pod": "booking-5c66",
            "trace_id": TRACE.upper(),
            "span_id": SPAN,
            "user": {"id": 7, "tags": ["a", None]},
            "nothing": None,
            "id": "evt-1",
        }
    )
    assert record == LogRecord(
        time_unix_nano=1674981729487160534,
        observed_time_unix_nano=OBSERVED_NS,
        severity_number=13,
        severity_text="WARN",
        body="seat taken",
        attributes={"user": {"id": 7, "tags": ["a", None]}, "nothing": None},
        resource={"service.name": "booking", "host.name": "web-1", "k8s.pod.name": "booking-5c66"},
        trace_id=TRACE,
        span_id=SPAN,
        event_id="evt-1",
    )
    assert record.service == "booking"


@pytest.mark.parametrize("name", LOG_FIELDS["body"])
def test_names_of_the_body(name: str) -> None:
    assert log({name: "hello"}).body == "hello"


@pytest.mark.parametrize("name", LOG_FIELDS["time"])
def test_names_of_the_time(name: str) -> None:
    assert log({"msg": "", name: 1674981729487160534}).time_unix_nano == 1674981729487160534


@pytest.mark.parametrize("name", LOG_FIELDS["severity"])
def test_names_of_the_severity(name: str) -> None:
    assert log({"msg": "", name: "error"}).severity_number == 17


@pytest.mark.parametrize(
    "event",
    [
        {"trace": {"id": TRACE}, "span": {"id": SPAN}},
        {"trace.id": TRACE, "span.id": SPAN},
        {"traceId": TRACE, "spanId": SPAN},
        {"traceparent": f"00-{TRACE}-{SPAN}-01"},
        {"traceparent": f"cc-{TRACE}-{SPAN}-01-what-the-future-may-append"},
        {
            "trace_id": f"{TRACE[:8]}-{TRACE[8:12]}-{TRACE[12:16]}-{TRACE[16:20]}-{TRACE[20:]}",
            "span_id": SPAN,
        },
    ],
)
def test_trace_context(event: dict[str, Any]) -> None:
    record = log({"msg": "", **event})
    assert (record.trace_id, record.span_id, record.attributes) == (TRACE, SPAN, {})


@pytest.mark.parametrize(
    ("event", "trace_id", "attributes"),
    [
        ({"trace_id": "a39ad724905d6a1f"}, "0" * 16 + "a39ad724905d6a1f", {}),
        ({"trace_id": ""}, "", {}),
        ({"trace_id": "0" * 32}, "", {}),
        ({"trace_id": None}, "", {}),
        ({"trace_id": "request-5"}, "", {"trace_id": "request-5"}),
        ({"traceparent": f"ff-{TRACE}-{SPAN}-01"}, "", {"traceparent": f"ff-{TRACE}-{SPAN}-01"}),
        ({"traceparent": f"00-{'0' * 32}-{SPAN}-01"}, "", {"traceparent": f"00-{'0' * 32}-{SPAN}-01"}),
        ({"trace_id": TRACE, "traceparent": "x"}, TRACE, {"traceparent": "x"}),
    ],
)
def test_what_is_no_trace_context_stays_an_attribute(
    event: dict[str, Any], trace_id: str, attributes: dict[str, Any]
) -> None:
    record = log({"msg": "", **event})
    assert (record.trace_id, record.attributes) == (trace_id, attributes)


@pytest.mark.parametrize(
    ("event", "number", "text"),
    [
        ({"severity_number": 18}, 18, ""),
        ({"severity_number": "18", "severity_text": "bad"}, 18, "bad"),
        ({"level": 30}, 9, "30"),
        ({"level": 10}, 1, "10"),
        ({"severity": 10}, 10, "10"),
        ({"severity": "13"}, 13, "13"),
        ({"PRIORITY": "3"}, 17, ""),
        ({"log": {"level": "error", "logger": "x"}}, 17, "error"),
        ({"level": "purple"}, 0, "purple"),
        ({"msg": "WARN  seat taken"}, 13, "WARN"),
        ({"level": "info", "msg": "WARN  seat taken"}, 9, "info"),
        ({"msg": {"text": "WARN"}}, 0, ""),
        ({}, 0, ""),
    ],
)
def test_severity(event: dict[str, Any], number: int, text: str) -> None:
    record = log({"msg": "seat taken", **event})
    assert (record.severity_number, record.severity_text) == (number, text)


@pytest.mark.parametrize(
    ("event", "resource"),
    [
        ({"service": {"name": "a", "version": "2"}}, {"service.name": "a", "service.version": "2"}),
        ({"service.name": "a", "hostname": "h"}, {"service.name": "a", "host.name": "h"}),
        ({"k8s": {"pod": {"name": "p"}}}, {"k8s.pod.name": "p"}),
        ({"kubernetes": {"pod_name": "p", "host": "n"}}, {"k8s.pod.name": "p", "k8s.node.name": "n"}),
        ({"container": "c", "node": "n"}, {"k8s.container.name": "c", "k8s.node.name": "n"}),
        ({"resource": {"service.name": "a", "x": 1}}, {"service.name": "a", "x": 1}),
    ],
)
def test_resource(event: dict[str, Any], resource: dict[str, Any]) -> None:
    record = log({"msg": "", **event})
    assert (record.resource, record.attributes) == (resource, {})


@pytest.mark.parametrize(
    ("event", "attributes"),
    [
        ({"msg": "m", "message": "first"}, {"msg": "m"}),
        ({"message": "first", "msg": "m"}, {"msg": "m"}),
        ({"msg": "m", "attributes": {"a": 1}, "b": 2}, {"a": 1, "b": 2}),
        ({"msg": "m", "a": 2, "attributes": {"a": 1}}, {"a": 1, "event.a": 2}),
        ({"msg": "m", "node": 3, "host": ["h"]}, {"node": 3, "host": ["h"]}),
        ({"msg": "m", "service": "a", "service_name": "b"}, {"service_name": "b"}),
        ({"msg": "m", "log": {"level": "info", "file": {"line": 5}}}, {"log": {"file": {"line": 5}}}),
        ({"msg": "m", "id": ["no id"]}, {"id": ["no id"]}),
        ({"msg": "m", "": {"": ""}}, {"": {"": ""}}),
    ],
)
def test_everything_else_survives(event: dict[str, Any], attributes: dict[str, Any]) -> None:
    assert log(event).attributes == attributes


def test_a_wide_event_survives() -> None:
    wide = {f"column.{number}": number for number in range(2_000)}
    assert log({"msg": "", **wide}).attributes == wide


@pytest.mark.parametrize(
    ("text", "body", "attributes"),
    [
        ('{"log":"INFO hello\\n","stream":"stdout"}', "INFO hello", {"stream": "stdout"}),
        ('{"log":"{\\"level\\":\\"warn\\",\\"msg\\":\\"deep\\"}\\n"}', "deep", {}),
        ('{"level":"info","msg":"hello","user":7}', "hello", {"user": 7}),
        ('{"msg":"inner","user":7,"service":"inner"}', "inner", {"user": 7}),
        ('{"user":7}', '{"user":7}', {}),
        ("{not json", "{not json", {}),
        ("plain\r\n", "plain", {}),
        ('{"a":' * 2_000, '{"a":' * 2_000, {}),
    ],
)
def test_a_log_that_holds_json_is_unwrapped(text: str, body: str, attributes: dict[str, Any]) -> None:
    record = log({"log": text, "service": "outer"})
    assert (record.body, record.attributes, record.service) == (body, attributes, "outer")


@pytest.mark.parametrize(
    ("event", "field", "reason"),
    [
        ({"level": "info"}, "body", "missing"),
        ({"msg": None}, "body", "missing"),
        ({"msg": "", "severity": ["info"]}, "severity", "got list"),
        ({"msg": "", "severity": True}, "severity", "got bool"),
        ({"msg": "", "severity": 9.5}, "severity", "got float"),
        ({"msg": "", "severity": 25}, "severity", "expected 0 to 24"),
        ({"msg": "", "severity_number": "nine"}, "severity_number", "got str"),
        ({"msg": "", "PRIORITY": 8}, "PRIORITY", "expected 0 to 7"),
        ({"msg": "", "timestamp": "soon"}, "timestamp", "no declared format"),
        ({"msg": "", "timestamp": [1]}, "timestamp", "no declared format"),
        ({"msg": "", "time_unix_nano": "2023-01-29T08:42:09Z"}, "time_unix_nano", "no declared format"),
        ({"msg": "", "observed_time_unix_nano": "x"}, "observed_time_unix_nano", "number of nanoseconds"),
        ({"msg": "", "trace_id": 5}, "trace_id", "got int"),
        ({"msg": "", "service": 5}, "service", "got int"),
        ({"msg": "", "resource": {"service.name": 5}}, "service.name", "got int"),
        ({"msg": "", "attributes": ["a"]}, "attributes", "got list"),
        ({"msg": "", "resource": "a"}, "resource", "got str"),
    ],
)
def test_an_invalid_log_names_its_field(event: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(InvalidEventError, match=reason) as caught:
        log(event)
    assert caught.value.field == field
    assert field in str(caught.value)


def test_a_missing_time_is_the_observed_one_or_an_error() -> None:
    assert log({"msg": ""}).time_unix_nano == OBSERVED_NS
    assert log({"msg": "", "timeUnixNano": 0}).time_unix_nano == OBSERVED_NS
    with pytest.raises(InvalidEventError, match="time: missing"):
        normalise_log({"msg": ""}, observed_ms=OBSERVED_MS, missing_time=Policy.REJECT)
    with pytest.raises(ConfigError, match="use RECORD_TIME"):
        normalise_log({"msg": ""}, observed_ms=OBSERVED_MS, missing_time=Policy.PARTITION_TIME)


def test_an_invalid_time_may_be_the_observed_one_and_stays_an_attribute() -> None:
    event = {"msg": "", "time": "2019-12-30 09:28.31"}
    record = normalise_log(event, observed_ms=OBSERVED_MS, invalid_time=Policy.RECORD_TIME)
    assert (record.time_unix_nano, record.attributes) == (OBSERVED_NS, {"time": "2019-12-30 09:28.31"})


def test_formats_of_the_time_are_declared() -> None:
    times = TimestampParser([Format("%Y-%m-%d %H:%M.%S")])
    record = normalise_log({"msg": "", "time": "2019-12-30 09:28.31"}, observed_ms=0, times=times)
    assert record.time_unix_nano == 1577698111 * 10**9


def test_copies_have_one_id_and_different_events_have_different_ones() -> None:
    assert (
        log({"msg": "a", "x": {"b": 1, "c": 2}}).event_id == log({"x": {"c": 2, "b": 1}, "msg": "a"}).event_id
    )
    events: list[dict[str, Any]] = [
        {"msg": "a"},
        {"msg": "b"},
        {"msg": "a", "x": 1},
        {"msg": "a", "x": "1"},
        {"msg": "a", "x": None},
        {"msg": "a", "x": 1.5},
        {"message": "a"},
    ]
    ids = [log(event).event_id for event in events]
    assert len(set(ids)) == len(events)
    assert all(len(each) == 32 for each in ids)


@pytest.mark.parametrize(
    "own",
    [
        "evt-1",
        "550e8400-e29b-41d4-a716-446655440aaa",
        7,
        "7f568112726213362c46dab1dccc4bf1",
        "1674981729487160534",
    ],
)
def test_an_event_keeps_its_own_plain_id(own: str | int) -> None:
    assert log({"msg": "", "id": own}).event_id == str(own)


@pytest.mark.parametrize(
    "own",
    ["bob@example.com", "4111111111111111", 4111111111111111, "4111-1111-1111-1111", "x" * 129, "a b", "é"],
)
def test_an_id_that_may_hold_a_secret_is_hashed(own: str | int) -> None:
    event_id = log({"msg": "", "id": own}).event_id
    assert str(own) not in event_id
    assert event_id == log({"msg": "another", "id": own}).event_id


def test_an_id_is_of_the_event_as_it_came() -> None:
    wrapped, plain = {"log": '{"log":"a"}'}, {"log": "a"}
    assert log(wrapped).event_id != log(plain).event_id


def test_what_json_cannot_express_is_invalid() -> None:
    assert log({"msg": "", "x": 2**64}).attributes == {"x": 2**64}
    with pytest.raises(InvalidEventError, match="TypeError"):
        log({"msg": "", "x": object()})


def test_a_span_with_fields_of_all_kinds() -> None:
    normal = span(
        parentSpanId="daf5635c2b4d7c56",
        kind="SPAN_KIND_SERVER",
        status={"code": "ERROR", "message": "boom"},
        service="booking",
        http={"status_code": 500},
        start=None,
        end=None,
        startTimeUnixNano="1674981729487160534",
        endTimeUnixNano=1674981729487165534,
    )
    assert normal == Span(
        trace_id=TRACE,
        span_id=SPAN,
        parent_span_id="daf5635c2b4d7c56",
        name="GET /",
        kind=2,
        start_time_unix_nano=1674981729487160534,
        end_time_unix_nano=1674981729487165534,
        status_code=2,
        status_message="boom",
        attributes={"http": {"status_code": 500}},
        resource={"service.name": "booking"},
    )
    assert (normal.duration_ns, normal.service, normal.event_id) == (5_000, "booking", f"{TRACE}-{SPAN}")


@pytest.mark.parametrize(
    ("changes", "start", "end"),
    [
        ({"start": "1970-01-01T00:00:01Z", "end": 2}, 10**9, 2 * 10**9),
        ({"end": ..., "duration_us": 5}, 10**9, 10**9 + 5_000),
        ({"end": ..., "duration_ms": 1.5}, 10**9, 10**9 + 1_500_000),
        ({"end": ..., "duration_ns": 7, "duration_us": 5}, 10**9, 10**9 + 7),
        ({"end": 1}, 10**9, 10**9),
    ],
)
def test_start_and_end(changes: dict[str, Any], start: int, end: int) -> None:
    normal = span(**changes)
    assert (normal.start_time_unix_nano, normal.end_time_unix_nano) == (start, end)


@pytest.mark.parametrize(
    ("changes", "kind", "status", "attributes"),
    [
        ({"kind": 3, "status_code": 1}, 3, 1, {}),
        ({"span.kind": "client", "status": "ok"}, 3, 1, {}),
        ({"kind": "STRANGE", "status_code": 404}, 0, 0, {"kind": "STRANGE", "status_code": 404}),
        ({"kind": -1, "status": [1]}, 0, 0, {"kind": -1, "status": [1]}),
        ({}, 0, 0, {}),
    ],
)
def test_kind_and_status(changes: dict[str, Any], kind: int, status: int, attributes: dict[str, Any]) -> None:
    normal = span(**changes)
    assert (normal.kind, normal.status_code, normal.attributes) == (kind, status, attributes)


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"trace_id": ...}, "trace_id", "missing"),
        ({"trace_id": "xyz"}, "trace_id", "not a hexadecimal id"),
        ({"trace_id": "0" * 32}, "trace_id", "not a hexadecimal id"),
        ({"span_id": None}, "span_id", "missing"),
        ({"span_id": 5}, "span_id", "got int"),
        ({"name": ...}, "name", "missing"),
        ({"name": ["GET"]}, "name", "got list"),
        ({"start": ...}, "start", "missing"),
        ({"start": "soon"}, "start", "not any of rfc3339, epoch"),
        ({"start": True}, "start", "got bool"),
        ({"start_time_unix_nano": "2023-01-29T08:42:09Z"}, "start_time_unix_nano", "number of nanoseconds"),
        ({"end": ...}, "end", "missing"),
        ({"end": ..., "duration_us": "5"}, "end", "missing"),
        ({"end": ..., "duration_us": -1}, "end", "ends before it starts"),
        ({"end": 0.5}, "end", "ends before it starts"),
        ({"status": {"message": 5}}, "status.message", "got int"),
    ],
)
def test_an_invalid_span_names_its_field(changes: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(InvalidEventError, match=reason) as caught:
        span(**changes)
    assert caught.value.field == field


# --- for all events --------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
NAMES = sorted({name for names in (*LOG_FIELDS.values(), *SPAN_FIELDS.values()) for name in names})
EVENTS = st.dictionaries(
    st.sampled_from([*NAMES, "service", "host", "trace", "span", "k8s", "duration_us"]) | st.text(max_size=6),
    JSON
    | st.sampled_from(["info", TRACE, SPAN, "2023-01-29T08:42:09Z", '{"msg": "x"}', 1674981729])
    | st.fixed_dictionaries({"id": JSON, "name": JSON}),
    max_size=8,
)


@given(EVENTS)
def test_any_event_is_a_log_or_invalid(event: dict[str, Any]) -> None:
    before = repr(event)
    try:
        record = log(event)
    except InvalidEventError:
        return
    finally:
        assert repr(event) == before
    assert msgspec.json.decode(msgspec.json.encode(record), type=LogRecord).event_id == record.event_id
    assert log(msgspec.to_builtins(record)) == record


@given(EVENTS)
def test_any_event_is_a_span_or_invalid(event: dict[str, Any]) -> None:
    try:
        normal = normalise_span(event)
    except InvalidEventError:
        return
    assert normalise_span(msgspec.to_builtins(normal)) == normal


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()), st.booleans())
def test_any_bytes_are_an_event_or_invalid(value: bytes, plain: bool) -> None:  # noqa: FBT001 # hypothesis fills it
    try:
        event = parse_event(value, plain=plain, observed_ms=OBSERVED_MS)
        log(event)
    except InvalidEventError as error:
        assert isinstance(error, StreamsError)  # noqa: PT017 # any other error fails the test


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"msg": "\xff"}', "not UTF-8"),
        (b"16:42:09 INFO hello", "not JSON"),
        (b'{"msg": "a"', "not JSON"),
        (b'{"msg": "a"} {"msg": "b"}', "not JSON"),
        (b'{"msg": "a", "x": NaN}', "not JSON"),
        (b"[1]", "list and not an object"),
        (b"null", "NoneType and not an object"),
        (b'"text"', "str and not an object"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_value_that_is_no_event(value: bytes, reason: str) -> None:
    with pytest.raises(InvalidEventError, match=reason):
        parse_event(value)


def test_plain_lines_are_opt_in() -> None:
    line = b"2015-10-18 18:01:47,978 INFO [main] o.a.MRAppMaster: Created"
    event = parse_event(line, plain=True, observed_ms=0)
    assert (event["body"], event["level"], event["time_unix_nano"]) == (
        "Created",
        "INFO",
        1445191307978000000,
    )
    assert parse_event(b'{"msg": "json"}', plain=True, observed_ms=0) == {"msg": "json"}
    assert parse_event(b"[1]", plain=True, observed_ms=0) == {"body": "[1]"}
    with pytest.raises(InvalidEventError, match="not UTF-8"):
        parse_event(b"\xff", plain=True, observed_ms=0)
    with pytest.raises(ConfigError, match="observed_ms"):
        parse_event(b"line", plain=True)


# --- real events -----------------------------------------------------------------------------


def nezha(name: str) -> list[dict[str, Any]]:
    with gzip.open(NEZHA / f"{name}.ndjson.gz") as lines:
        return [parse_event(line) for line in lines]


def test_nezha_logs() -> None:
    events = nezha("logs")
    records = [log(event) for event in events]
    assert Counter(record.severity_number for record in records) == {9: 1453, 13: 48, 17: 14}
    assert all(record.service and record.service.startswith("ts-") for record in records)
    assert all(record.resource.keys() >= {"k8s.pod.name", "k8s.node.name"} for record in records)
    for event, record in zip(events, records, strict=True):
        assert record.time_unix_nano == event["time_unix_nano"]
        assert record.body == json.loads(event["log"])["log"].rstrip("\n")
        assert f"TraceID: {record.trace_id} SpanID: {record.span_id}" in record.body


def test_nezha_spans_join_the_logs() -> None:
    events = nezha("spans")
    spans = [normalise_span(event) for event in events]
    # The collectors that recorded them delivered at least once: copies are identical.
    assert (len(spans), len({each.event_id for each in spans})) == (3008, 2888)
    assert len({msgspec.json.encode(each) for each in spans}) == 2888
    assert {log(event).trace_id for event in nezha("logs")} == {each.trace_id for each in spans}
    for event, each in zip(events, spans, strict=True):
        assert each.duration_ns // 1_000 == event["duration_us"]
        assert each.parent_span_id == (event["parent_span_id"] or "")
