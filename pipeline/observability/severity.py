"""Severity: names in use, and their numbers in the OpenTelemetry log data model.

The numbers are those of the data model's appendix B (Syslog, WinEvtLog, Log4j, Zap,
java.util.logging, .NET): TRACE 1, DEBUG 5, INFO 9, WARN 13, ERROR 17, FATAL 21. 0 is unspecified.
"""

from __future__ import annotations

import re
from typing import Final

UNSPECIFIED: Final = 0
TRACE: Final = 1
DEBUG: Final = 5
INFO: Final = 9
WARN: Final = 13
ERROR: Final = 17
FATAL: Final = 21

HIGHEST: Final = 24  # FATAL4

_RANGES = {"TRACE": TRACE, "DEBUG": DEBUG, "INFO": INFO, "WARN": WARN, "ERROR": ERROR, "FATAL": FATAL}

#: Upper-case name to severity number.
NUMBERS: Final[dict[str, int]] = {
    # the data model's own short names: TRACE, TRACE2, ... FATAL4
    **_RANGES,
    **{f"{name}{step}": first + step - 1 for name, first in _RANGES.items() for step in (2, 3, 4)},
    # syslog (RFC 5424), its deprecated synonyms, Apache's and nginx's names
    "INFORMATIONAL": INFO,
    "NOTICE": INFO + 1,
    "WARNING": WARN,
    "ERR": ERROR,
    "CRIT": ERROR + 1,
    "CRITICAL": ERROR + 1,
    "ALERT": ERROR + 2,
    "EMERG": FATAL,
    "EMERGENCY": FATAL,
    # Windows event log, .NET
    "VERBOSE": DEBUG,
    "INFORMATION": INFO,
    # Zap
    "DPANIC": ERROR + 1,
    "PANIC": ERROR + 2,
    # java.util.logging
    "FINEST": TRACE,
    "FINER": DEBUG,
    "FINE": DEBUG + 1,
    "CONFIG": DEBUG + 2,
    "SEVERE": ERROR,
    # Blue Gene/L: above its SEVERE, below its FATAL
    "FAILURE": ERROR + 1,
    # one letter: Android's logcat (its verbose is below its debug), glog, klog
    "V": TRACE,
    "T": TRACE,
    "D": DEBUG,
    "I": INFO,
    "N": INFO + 1,
    "W": WARN,
    "E": ERROR,
    "C": ERROR + 1,
    "F": FATAL,
}

#: Severity codes 0 to 7 of syslog (RFC 5424, table 2).
SYSLOG: Final = (FATAL, ERROR + 2, ERROR + 1, ERROR, WARN, INFO + 1, INFO, DEBUG)

#: Numeric levels of bunyan and pino.
LEVELS: Final = {10: TRACE, 20: DEBUG, 30: INFO, 40: WARN, 50: ERROR, 60: FATAL}

#: What counts as a severity within a message: the names that hardly are words of it.
_IN_MESSAGES = frozenset(
    (
        "TRACE",
        "DEBUG",
        "INFO",
        "NOTICE",
        "WARN",
        "WARNING",
        "ERR",
        "ERROR",
        "CRIT",
        "CRITICAL",
        "ALERT",
        "EMERG",
        "FATAL",
        "SEVERE",
        "PANIC",
    )
)
_SEARCHED = 160  # characters of a message: severities stand in front
_FIRST_WORD = re.compile(r"\s*([A-Za-z]{3,8}):")
_CAPITALS = re.compile(r"[A-Z]{3,}")
_BRACKETED = re.compile(r"[\[<]([A-Za-z]{3,8})[\]>]")
_VALUE = re.compile(r"(?:level|severity|lvl)=[\"']?([A-Za-z]{3,8})\b")


def severity_number(name: str) -> int:
    """Return the number of a severity's name in any case, 0 where the name says nothing.

    >>> severity_number("warning"), severity_number("E"), severity_number("purple")
    (13, 17, 0)
    """
    return NUMBERS.get(name) or NUMBERS.get(name.strip().upper(), UNSPECIFIED)


def find_severity(message: str) -> str | None:
    """Find the name of a severity in the first 160 characters of a message.

    It counts as one, in this order, as the message's first word before a colon (`warning: ...`),
    in capitals (`16:42:09.486 WARN  Seat`), as a value (`level=warn`), or in brackets (`[warn]`).

    Returns:
        The name as it is written, None where there is none.
    """
    head = message[:_SEARCHED]
    first = _FIRST_WORD.match(head)
    if first and first[1].upper() in _IN_MESSAGES:
        return first[1]
    for found in _CAPITALS.finditer(head):
        if found[0] in _IN_MESSAGES and _stands_alone(head, *found.span()):
            return found[0]
    bracketed = _BRACKETED.findall(head) if "[" in head or "<" in head else []
    values = _VALUE.findall(head) if "l=" in head or "y=" in head else []
    return next((word for word in (*values, *bracketed) if word.upper() in _IN_MESSAGES), None)


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether a word isn't a part of a longer one, such as `fooERROR` or `ERROR_CODE`."""
    around = (text[max(start - 1, 0) : start], text[end : end + 1])
    return not any(each.isalnum() or each == "_" for each in around)
