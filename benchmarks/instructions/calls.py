"""Python calls by record, of this library alone: the same on every machine, whatever else it does."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

import pipeline
from benchmarks.instructions.records import COUNTED, WARM, portions
from pipeline.dsl.builder import StreamsBuilder

_LIBRARY: Final = str(Path(pipeline.__file__).parent)
#: What stands in for the client and the broker.
_BROKER: Final = ("memory", "partitioner")


def calls(declare: Callable[[StreamsBuilder], None]) -> Counter[str]:
    """Return how often each function of the library is called, by name, while records are processed.

    Functions that Python makes of text (named tuples) count for the one that calls them; what the broker in
    memory calls is its own affair.
    """
    found: Counter[str] = Counter()

    def look(frame: FrameType, event: str, _argument: object) -> None:
        if event != "call":
            return
        called, caller = _place(frame), _place(frame.f_back)
        if called is not None and not (_is_broker(called) or _is_broker(caller)):
            found[f"{called.as_posix()}: {frame.f_code.co_name}"] += 1

    with portions(declare) as given:
        given.put(WARM)
        given.process()
        given.put(COUNTED)
        before = sys.getprofile()
        sys.setprofile(look)
        try:
            given.process()
        finally:
            sys.setprofile(before)
    return found


def _is_broker(place: Path | None) -> bool:
    return place is not None and place.name.startswith(_BROKER)


def _place(frame: FrameType | None) -> Path | None:
    """Return the module of the library that a frame is in, relative to the library; None: in none."""
    while frame is not None and frame.f_code.co_filename.startswith("<"):
        frame = frame.f_back
    if frame is None:
        return None
    path = Path(frame.f_code.co_filename)
    return path.relative_to(_LIBRARY) if path.is_relative_to(_LIBRARY) else None


def calls_by_record(declare: Callable[[StreamsBuilder], None]) -> float:
    """Return how many Python calls of the library a record takes."""
    return round(calls(declare).total() / COUNTED, 3)
