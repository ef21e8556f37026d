"""Ctrl-C and SIGTERM as something to wait for, instead of an exception anywhere."""

from __future__ import annotations

import os
import select
import signal
from types import FrameType, TracebackType
from typing import Final, Self

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """The request to stop; any thread may wait for it.

    Made of a pipe and not of a `threading.Event`: a signal handler that sets an event waits for
    ever if it interrupted the main thread while that held the event's lock.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        self._requested = False

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # From here on the process is about to end by itself.
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        os.close(self._reader)
        os.close(self._writer)

    def request(self) -> None:
        """Ask everybody to stop; asking again changes nothing."""
        if not self._requested:
            self._requested = True
            os.write(self._writer, b".")

    def requested(self) -> bool:
        """Whether somebody asked."""
        return self._requested

    def wait(self, timeout_s: float) -> bool:
        """Wait at most `timeout_s` for the request, and return whether it came."""
        readable, _, _ = select.select([self._reader], [], [], timeout_s)
        return bool(readable)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.request()
