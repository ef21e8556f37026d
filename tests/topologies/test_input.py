"""What the flagship takes: open events, several ways to write a time; what it cannot take is put aside."""

from __future__ import annotations

import json
import string
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.record import Headers
from tests.topologies.flagship import DEAD_LETTERS, MINUTE, PARTITIONS, flagship, log, span

HEADERS: Final[Headers] = (("collector", b"7"), ("collector", None), ("binary", b"\xff"))
KEY: Final = b"\xff key"
AT: Final = MINUTE + 5_000

BAD_LOGS: Final[dict[str, bytes]] = {
    "not JSON": b"<134>1 2023-01-29",
    "cut off": b'{"message": "he',
    "empty": b"",
    "an array": b"[]",
    "a number": b"1",
    "null": b"null",
    "not UTF-8": b'{"message": "\xff"}',
    "too large": json.dumps(log(message="x" * 1024 * 1024)).encode(),
    "nested too deeply": b'{"message": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "no body": json.dumps(log(message=None)).encode(),
    "a time that is none": json.dumps(log(timestamp="noon")).encode(),
    "a time of the wrong type": json.dumps(log(timestamp=[MINUTE])).encode(),
    "a time before 1970": json.dumps(log(timestamp="1969-12-31T23:59:59Z")).encode(),
    "a service that is a list": json.dumps(log(service=["checkout"])).encode(),
    "a trace id that is a number": json.dumps(log(trace_id=7)).encode(),
    "a severity out of range": json.dumps(log(severity_number=25)).encode(),
    "attributes that are text": json.dumps(log(attributes="a=1")).encode(),
}
BAD_SPANS: Final[dict[str, bytes]] = {
    "not JSON": b"{",
    **{
        f"no {name}": json.dumps(span(**{name: None})).encode()
        for name in ("trace_id", "span_id", "name", "start_time_unix_nano", "end_time_unix_nano")
    },
    "a trace id of zeros": json.dumps(span(trace_id="0" * 32)).encode(),
    "a span id that is none": json.dumps(span(span_id="first")).encode(),
    "a start that is text": json.dumps(span(start_time_unix_nano="noon")).encode(),
    "an end before the start": json.dumps(span(end_time_unix_nano=MINUTE * 1_000_000 - 1)).encode(),
}
BAD: Final = [
    *(pytest.param("raw.logs", value, id=f"log: {name}") for name, value in BAD_LOGS.items()),
    *(pytest.param("raw.spans", value, id=f"span: {name}") for name, value in BAD_SPANS.items()),
]


@pytest.mark.parametrize(("topic", "value"), BAD)
def test_what_cannot_be_processed_is_put_aside_as_it_came(topic: str, value: bytes) -> None:
    with flagship() as run:
        run.log(log())
        run.driver.pipe(topic, KEY, value, AT, HEADERS)
        run.log(log())
        (letter,) = run.driver.broker.records(DEAD_LETTERS)
        (source,) = [each for each in run.driver.broker.records(topic) if each.key == KEY]
        assert (letter.key, letter.value, letter.timestamp) == (KEY, value, AT)
        headers = tuple(letter.headers)
        assert headers[: len(HEADERS)] == HEADERS
        why = {name.rpartition(".")[2]: (text or b"").decode() for name, text in headers[len(HEADERS) :]}
        assert (why["topic"], why["partition"], why["offset"]) == (
            topic,
            str(source.partition),
            str(source.offset),
        )
        assert "topologies/observability.py" in why["message"]
        assert why["exception"]
        assert run.driver.metrics["dead_letters"] == 1
        assert len(run.records("archive.logs")) == 2


@pytest.mark.parametrize(("topic", "why"), [("raw.logs", "no value"), ("raw.spans", "no field")])
def test_a_deletion_is_no_event(topic: str, why: str) -> None:
    with flagship() as run:
        run.driver.pipe(topic, KEY, None, AT, HEADERS)
        run.log(log())
        (letter,) = run.driver.broker.records(DEAD_LETTERS)
        assert (letter.key, letter.value) == (KEY, None)
        message = dict(letter.headers)["__streams.errors.message"] or b""
        assert why in message.decode()
        assert len(run.records("archive.logs")) == 1


def test_an_owner_without_a_key_is_put_aside() -> None:
    with flagship() as run:
        run.driver.pipe("service.owners", None, b'{"team":"core"}', AT, HEADERS)
        (letter,) = run.driver.broker.records(DEAD_LETTERS)
        assert (letter.key, letter.value) == (None, b'{"team":"core"}')
        assert all(not list(run.driver.store("service-owners", part).all()) for part in range(PARTITIONS))


@pytest.mark.parametrize(
    "time",
    [
        "2023-01-29T08:42:07Z",
        "2023-01-29T09:42:07.000+01:00",
        "2023-01-29 08:42:07,000",
        "29/Jan/2023:08:42:07 +0000",
        1_674_981_727,
        1_674_981_727_000,
        1_674_981_727_000_000_000,
        "1674981727",
        1_674_981_727.0,
    ],
)
def test_a_time_may_be_written_in_each_declared_format(time: object) -> None:
    with flagship() as run:
        run.log(log(timestamp=time))
        (record,) = run.records("archive.logs")
        assert record.timestamp == MINUTE + 7_000
        assert record.value["timeUnixNano"] == (MINUTE + 7_000) * 1_000_000


def test_a_log_without_a_time_has_that_of_its_record() -> None:
    with flagship() as run:
        run.log(log(timestamp=None))
        (record,) = run.records("archive.logs")
        assert record.timestamp == AT
        assert record.value["timeUnixNano"] == record.value["observedTimeUnixNano"] == AT * 1_000_000


# Open events: names that mean nothing here, and values of every kind; letters only, for digits
# and an at sign may be what is to be redacted.
_WORDS = st.text(string.ascii_letters + "äß中 ", max_size=8)
_SCALARS = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e6, 1e6) | _WORDS
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(_WORDS.map(lambda word: f"x_{word}"), _VALUES, max_size=6))
@settings(max_examples=40)
def test_fields_that_nobody_declared_survive(extra: dict[str, Any]) -> None:
    with flagship() as run:
        run.log(log() | extra)
        run.span(span() | extra)
        (archived,) = run.values("archive.logs")
        (indexed,) = run.values("splunk.logs")
        assert archived.get("attributes", {}).items() >= extra.items()
        assert indexed["event"]["attributes"].items() >= extra.items()


def test_a_wide_event_survives() -> None:
    extra = {f"field_{number}": {"value": number, "text": "x" * 50} for number in range(2_000)}
    with flagship() as run:
        run.log(log() | extra)
        (archived,) = run.values("archive.logs")
        assert {name: archived["attributes"][name] for name in extra} == extra
