"""Window arithmetic: pure, and in whole milliseconds.

Every decision about windows is made here, with time as an argument: which windows a record belongs
to, which of them it updates, which sessions it joins, and when a window can change no more. Grace is
always explicit (KIP-633).
"""

from __future__ import annotations

from typing import TypeAlias

from pipeline.windows.duration import FOREVER_MS, Duration, as_timedelta, milliseconds
from pipeline.windows.emit import EmitStrategy
from pipeline.windows.join import JoinWindows
from pipeline.windows.session import Session, SessionWindows, session
from pipeline.windows.sliding import SlidingWindows, Update, sliding
from pipeline.windows.time import TimeWindows, UnlimitedWindows, hopping, tumbling, unlimited

__all__ = [
    "FOREVER_MS",
    "Duration",
    "EmitStrategy",
    "JoinWindows",
    "Session",
    "SessionWindows",
    "SlidingWindows",
    "TimeWindows",
    "UnlimitedWindows",
    "Update",
    "Windows",
    "as_timedelta",
    "hopping",
    "milliseconds",
    "session",
    "sliding",
    "tumbling",
    "unlimited",
]

#: What a grouped stream can be windowed by.
Windows: TypeAlias = TimeWindows | SlidingWindows | SessionWindows | UnlimitedWindows
