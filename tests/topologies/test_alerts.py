"""The flagship's alerts: one for each minute in which a service has too many errors."""

from __future__ import annotations

from typing import Any

import pytest

from tests.topologies.flagship import MINUTE, ONE_MINUTE, Flagship, flagship, log
from topologies.observability import TOO_MANY_ERRORS


def errors(run: Flagship, count: int, after_ms: int = 0, **fields: Any) -> None:
    for _ in range(count):
        run.log(log(after_ms, **{"level": "error", **fields}))


def alerts(run: Flagship) -> list[tuple[str, int, int]]:
    """Return service, minute (from the first one) and errors of each alert."""
    return sorted(
        (alert["service"], (alert["minute_ms"] - MINUTE) // ONE_MINUTE, alert["errors"])
        for alert in run.values("alerts")
    )


@pytest.mark.parametrize("few", [0, 1])
def test_from_so_many_errors_on(few: int) -> None:
    with flagship() as run:
        errors(run, TOO_MANY_ERRORS - few)
        errors(run, 1, level="warn")
        assert alerts(run) == ([] if few else [("checkout", 0, TOO_MANY_ERRORS)])


def test_it_has_the_services_key() -> None:
    with flagship() as run:
        errors(run, TOO_MANY_ERRORS)
        assert [record.key for record in run.records("alerts")] == ["checkout"]


def test_once_a_minute_and_service_however_many_more_come() -> None:
    with flagship() as run:
        errors(run, 2 * TOO_MANY_ERRORS)
        errors(run, 2 * TOO_MANY_ERRORS, ONE_MINUTE)
        errors(run, 2 * TOO_MANY_ERRORS, service="cart")
        assert alerts(run) == [
            ("cart", 0, TOO_MANY_ERRORS),
            ("checkout", 0, TOO_MANY_ERRORS),
            ("checkout", 1, TOO_MANY_ERRORS),
        ]


def test_errors_that_come_late_count_in_their_minute() -> None:
    with flagship() as run:
        errors(run, TOO_MANY_ERRORS - 1)
        errors(run, TOO_MANY_ERRORS, 5 * ONE_MINUTE)
        errors(run, 1, 59_999)
        errors(run, TOO_MANY_ERRORS)
        assert alerts(run) == [("checkout", 0, TOO_MANY_ERRORS), ("checkout", 5, TOO_MANY_ERRORS)]


@pytest.mark.parametrize("crash", [False, True])
def test_a_restart_does_not_tell_again(*, crash: bool) -> None:
    with flagship() as run:
        errors(run, TOO_MANY_ERRORS + 1)
        run.driver.restart(crash=crash)
        errors(run, TOO_MANY_ERRORS + 1)
        assert alerts(run) == [("checkout", 0, TOO_MANY_ERRORS)]
