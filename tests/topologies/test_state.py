"""The flagship's tables, and its dedup."""

from __future__ import annotations

from typing import Any, Final

import pytest

from schemas.observability import RequestStats
from tests.topologies.flagship import MINUTE, ONE_MINUTE, flagship, log, span

TEN_MINUTES: Final = 600_000


@pytest.mark.parametrize(
    ("apart_ms", "passed"),
    [(0, 1), (1, 1), (TEN_MINUTES, 1), (TEN_MINUTES + 1, 2), (-TEN_MINUTES, 1), (-TEN_MINUTES - 1, 2)],
)
def test_a_copy_within_ten_minutes_of_event_time_is_dropped(apart_ms: int, passed: int) -> None:
    with flagship() as run:
        run.log(log(event_id="same"), key=b"one")
        run.log(log(apart_ms, event_id="same"), key=b"another partition, perhaps")
        assert len(run.records("archive.logs")) == passed


@pytest.mark.parametrize("crash", [False, True])
def test_a_restart_forgets_no_event(*, crash: bool) -> None:
    event, request = log(), span()
    with flagship() as run:
        run.log(event)
        run.span(request)
        run.driver.restart(crash=crash)
        run.log(event)
        run.span(request)
        run.log(log())
        assert len(run.records("archive.logs")) == 2
        assert len(run.records("stackdriver.traces")) == 1


def test_copies_without_an_id_are_those_that_say_the_same() -> None:
    with flagship() as run:
        for message in ("a", "a", "b"):
            run.log(log(event_id=None, message=message))
        assert sorted(value["body"] for value in run.values("archive.logs")) == ["a", "b"]


def test_copies_of_a_span_are_those_of_its_ids() -> None:
    with flagship() as run:
        run.span(span(span_id="00000000000000aa", name="first"))
        run.span(span(span_id="00000000000000aa", name="again"))
        run.span(span(span_id="00000000000000ab", name="another"))
        names = {value["displayName"]["value"] for value in run.values("stackdriver.traces")}
        assert names == {"first", "another"}


@pytest.mark.parametrize(
    ("event", "counted"),
    [
        ({"level": "error"}, 1),
        ({"level": "FATAL"}, 1),
        ({"level": 50}, 1),
        ({"severity_number": 17}, 1),
        ({"level": None, "message": "16:42:15.443 ERROR  order failed"}, 1),
        ({"level": "warn"}, 0),
        ({"severity_number": 16}, 0),
        ({"level": None}, 0),
    ],
)
def test_errors_are_logs_from_severity_error_on(event: dict[str, Any], counted: int) -> None:
    with flagship() as run:
        run.log(log(**event))
        assert sum(run.table("errors-per-minute").values()) == counted


def test_errors_are_counted_by_service_and_minute_of_event_time() -> None:
    with flagship() as run:
        for at, service in [(0, "a"), (59_999, "a"), (60_000, "a"), (30_000, "b"), (30_001, None)]:
            run.log(log(at, level="error", service=service))
        assert run.table("errors-per-minute") == {
            ("a", MINUTE): 2,
            ("a", MINUTE + ONE_MINUTE): 1,
            ("b", MINUTE): 1,
            ("unknown", MINUTE): 1,
        }


def test_requests_are_summed_by_service_operation_and_minute() -> None:
    ms = 1_000_000
    start = MINUTE * ms
    with flagship() as run:
        for took, fields in [
            (250, {}),
            (100, {"status": "ERROR"}),
            (900, {"status": "OK"}),
            (7, {"name": "GET /cart"}),
            (3, {"service": "cart"}),
        ]:
            run.span(span(end_time_unix_nano=start + took * ms, **fields))
        assert run.table("requests-per-minute") == {
            (("checkout", "POST /orders"), MINUTE): RequestStats(3, 1, 1_250 * ms, 900 * ms),
            (("checkout", "GET /cart"), MINUTE): RequestStats(1, 0, 7 * ms, 7 * ms),
            (("cart", "POST /orders"), MINUTE): RequestStats(1, 0, 3 * ms, 3 * ms),
        }


def test_events_are_counted_by_user_and_minute() -> None:
    with flagship() as run:
        for at, user in [(0, "ann"), (1, "ann"), (60_000, "ann"), (2, "bob"), (3, 17), (4, None)]:
            run.log(log(at, user_id=user))
        assert run.table("events-per-user") == {
            ("ann", MINUTE): 2,
            ("ann", MINUTE + ONE_MINUTE): 1,
            ("bob", MINUTE): 1,
            ("17", MINUTE): 1,
        }


@pytest.mark.parametrize(("after_ms", "counted"), [(61 * ONE_MINUTE - 1, 2), (61 * ONE_MINUTE, 1)])
def test_a_minute_takes_late_events_for_an_hour(after_ms: int, counted: int) -> None:
    """From the minute's end on, by the time of the events. What is later is counted no more."""
    with flagship() as run:
        run.log(log(0, level="error"))
        run.log(log(after_ms, level="error"))
        run.log(log(1, level="error"))
        points = [value["points"][0] for value in run.values("datadog.metrics")]
        assert [each["value"] for each in points if each["timestamp"] * 1_000 == MINUTE][-1] == counted
        assert len(run.records("archive.logs")) == 3


def test_tables_survive_a_crash() -> None:
    with flagship() as run:
        run.log(log(level="error", user_id="ann"))
        run.span(span())
        before = {name: run.table(name) for name in ("errors-per-minute", "events-per-user")}
        run.driver.restart(crash=True)
        assert {name: run.table(name) for name in before} == before
        run.log(log(level="error", user_id="ann"))
        assert run.table("errors-per-minute") == {("checkout", MINUTE): 2}
        assert run.table("events-per-user") == {("ann", MINUTE): 2}
