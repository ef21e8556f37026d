from __future__ import annotations

import pytest

from pipeline.observability.severity import SYSLOG, find_severity, severity_number


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("TRACE", 1),
        ("trace4", 4),
        ("DEBUG", 5),
        ("Info", 9),
        ("INFO2", 10),
        ("notice", 10),
        ("WARN ", 13),
        ("Warning", 13),
        ("err", 17),
        ("ERROR", 17),
        ("SEVERE", 17),
        ("crit", 18),
        ("alert", 19),
        ("FATAL", 21),
        ("emerg", 21),
        ("FATAL4", 24),
        ("V", 1),
        ("D", 5),
        ("I", 9),
        ("W", 13),
        ("E", 17),
        ("F", 21),
        ("purple", 0),
        ("", 0),
        ("9", 0),
    ],
)
def test_names(name: str, number: int) -> None:
    assert severity_number(name) == number


def test_syslog_codes_fall_from_emergency_to_debug() -> None:
    assert (
        tuple(
            severity_number(name)
            for name in ("emerg", "alert", "crit", "err", "warning", "notice", "informational", "debug")
        )
        == SYSLOG
    )


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("16:42:09.486 INFO  t.c.Travel2Controller#115 [query]", "INFO"),
        ("ERROR", "ERROR"),
        ("  warning: disk nearly full", "warning"),
        ("Warning: we failed", "Warning"),
        ("[error] mod_jk child", "error"),
        ("<Notice> x", "Notice"),
        ('ts=5 level=warn msg="x"', "warn"),
        ("severity='critical'", "critical"),
        ("[main] level=info [error]", "info"),
        ("x" * 150 + " ERROR", "ERROR"),
        ("x" * 160 + " ERROR", None),
        ("an error: yes", None),
        ("it failed with error code 5", None),
        ("fooERROR ERROR_CODE ERRORS", None),
        ("loaded CONFIG", None),
        ("", None),
    ],
)
def test_in_a_message(message: str, found: str | None) -> None:
    assert find_severity(message) == found
