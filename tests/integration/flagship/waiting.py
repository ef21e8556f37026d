"""Waiting for a condition, with a deadline."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from pipeline.clock import SystemClock

_PAUSE_S: Final = 0.05


def wait_until(holds: Callable[[], object], what: str, *, deadline_s: float = 90.0) -> None:
    """Ask until it holds.

    Raises:
        AssertionError: it does not within `deadline_s`.
    """
    clock, waiting = SystemClock(), threading.Event()
    end_ms = clock.now_ms() + int(deadline_s * 1_000)
    while not holds():
        assert clock.now_ms() < end_ms, f"not within {deadline_s} s: {what}"
        waiting.wait(_PAUSE_S)
