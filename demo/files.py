"""Files of events as records: one line, one record, in the order of event time."""

from __future__ import annotations

import gzip
import heapq
import zlib
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Any, Final

import msgspec

from demo.sending import Outgoing
from demo.topics import RAW_LOGS, RAW_SPANS
from pipeline.observability.normalise import LOG_FIELDS
from pipeline.timestamps import TimestampParser

SUFFIXES: Final = (".ndjson", ".json", ".log", ".gz")
#: So many files are open at once.
MAX_FILES: Final = 256
#: The longest line, in bytes: what a producer takes as one record, with room for the envelope.
MAX_LINE: Final = 15 * 1024 * 1024

#: Names by which a record is known to be a span.
_SPAN_STARTS: Final = ("start_time_unix_nano", "startTimeUnixNano", "start_time", "startTime")
_TIMES: Final = (*_SPAN_STARTS, *LOG_FIELDS["time"])
_parse: Final = TimestampParser()


class InputError(Exception):
    """A file cannot be fed: the message says which and why."""


def find(path: Path) -> list[Path]:
    """Return the file, or those in the directory (and below it) whose names end as `SUFFIXES` say.

    Raises:
        InputError: there is none, or there are too many.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"{path} does not exist: give a file or a directory")
    found = sorted(each for each in path.rglob("*") if each.is_file() and each.name.endswith(SUFFIXES))
    if not found:
        raise InputError(f"{path} has no file that ends with {', '.join(SUFFIXES)}")
    if len(found) > MAX_FILES:
        raise InputError(f"{path} has {len(found)} files: at most {MAX_FILES} can be fed at once")
    return found


def records(files: list[Path]) -> Iterator[Outgoing]:
    """Yield the lines of all files, merged by event time.

    Each file is taken to be in order. A line without a time keeps its place behind the line before
    it. A file whose name contains `span` has spans; elsewhere, what has a start time is one. What is
    no JSON is sent as it is.

    Raises:
        InputError: a file cannot be read, or has a line that is too long.
    """
    streams = [_timed(path) for path in files]
    for _, record in heapq.merge(*streams, key=lambda timed: timed[0]):
        yield record


def _timed(path: Path) -> Iterator[tuple[int, Outgoing]]:
    """Yield each line of a file with its event time in ns, which never goes back."""
    spans = "span" in path.name.lower()
    latest = 0
    for line in _lines(path):
        event = _decode(line)
        time = _event_time(event)
        latest = latest if time is None else max(latest, time)
        is_span = spans or any(name in event for name in _SPAN_STARTS)
        yield latest, Outgoing(RAW_SPANS if is_span else RAW_LOGS, line)


def _lines(path: Path) -> Iterator[bytes]:
    """Yield the lines that are not empty, without their ends."""
    try:
        with _open(path) as file:
            number = 0
            while line := file.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    raise InputError(f"{path}, line {number}: longer than {MAX_LINE} bytes")
                if text := line.rstrip(b"\r\n"):
                    yield text
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def _open(path: Path) -> BufferedIOBase:
    return gzip.open(path) if path.name.endswith(".gz") else path.open("rb")


def _decode(line: bytes) -> dict[str, Any]:
    """Return a line's object; an empty one, if it is none."""
    try:
        event = msgspec.json.decode(line)
    except (ValueError, RecursionError):  # the pipeline finds out, and says so in a dead letter
        return {}
    return event if isinstance(event, dict) else {}


def _event_time(event: dict[str, Any]) -> int | None:
    for name in _TIMES:
        if name in event:
            return _parse(event[name])
    return None
