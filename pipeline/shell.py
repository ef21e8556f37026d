"""Faust's worker, the process's root, which ends within a bound and says how it ended.

The first signal stops it in order. From then on, whatever hangs (a user's function, a broker that is
away, the event loop itself), a thread of its own ends the process at the bound; and a second signal is
left to the operating system, which ends the process at once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import Any, Final, NoReturn, Protocol, cast

import faust

from pipeline.engine import Engine
from pipeline.errors import StreamsError
from pipeline.exit_codes import FAILED, UNFINISHED

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Stoppable(Protocol):
    """What the shell needs of `pipeline.App`."""

    @property
    def engine(self) -> Engine:
        """The service that runs the topology."""
        ...

    @property
    def shutdown_timeout_s(self) -> float:
        """How long stopping may take, in seconds."""
        ...


class BoundedWorker(faust.Worker):
    """Runs the application until a signal or an error, and ends the process within `shutdown_timeout`.

    Its exit code is one of `pipeline.exit_codes`. An error of this library is one line on stderr,
    `Error: ...`; frames are logged of users' functions alone.
    """

    def __init__(self, app: Any, *services: Any, **options: Any) -> None:
        super().__init__(app, *services, **options)
        self._shell = cast("Stoppable", app)
        self._failure: StreamsError | None = None
        self._bound: threading.Timer | None = None

    def execute_from_commandline(self) -> NoReturn:
        """Run, and end the process.

        Raises:
            SystemExit: always.
        """
        try:
            super().execute_from_commandline()
        except SystemExit as end:
            if self._failure is None:
                raise
            self._say_error(str(self._failure))
            raise SystemExit(FAILED) from end

    async def stop(self) -> None:
        """Stop all services; from now on the time is bounded."""
        self._begin_to_end()
        await super().stop()

    def _schedule_shutdown(self, signal: signal.Signals) -> None:
        self._begin_to_end()
        self.carp(
            f"stopping: what is done is being committed, in {self._shell.shutdown_timeout_s:g} s at most; "
            "a second signal ends it at once"
        )
        super()._schedule_shutdown(signal)

    def _begin_to_end(self) -> None:
        """Bound the time from here to the end, whatever the end is."""
        if self._bound is not None:
            return
        # A thread, for the event loop may hang as well; a daemon, for it must not keep the process.
        self._bound = threading.Timer(self._shell.shutdown_timeout_s, self._end_unfinished)
        self._bound.daemon = True
        self._bound.start()
        _leave_signals_to_the_system(self.loop)
        self._shell.engine.halt()

    def _end_unfinished(self) -> None:
        failure = self._shell.engine.failure
        if isinstance(failure, StreamsError):
            self._say_error(str(failure))
        self._say_error(
            f"it did not end within {self._shell.shutdown_timeout_s:g} s (shutdown_timeout): "
            f"{self._shell.engine.unfinished()}"
        )
        os._exit(UNFINISHED if failure is None else FAILED)

    def _say_error(self, message: str) -> None:
        if self.logfile:
            self.log.critical("%s", message)
        print(f"Error: {message}", file=self.stderr, flush=True)

    def _shutdown_loop(self) -> None:
        # What is said of an error of ours is said once, at the end: not by Faust, with its frames.
        if isinstance(self.crash_reason, StreamsError):
            self._failure, self.crash_reason = self.crash_reason, None
        super()._shutdown_loop()

    async def _sentinel_task(self) -> None:
        # Faust rests a second here before it closes the loop, with everything stopped: a restart would wait.
        await asyncio.sleep(0)


def _leave_signals_to_the_system(loop: asyncio.AbstractEventLoop) -> None:
    """Have the next signal end the process without asking Python, which may be stuck in C."""
    if threading.current_thread() is not threading.main_thread():
        return
    for each in _SIGNALS:
        loop.remove_signal_handler(each)
        signal.signal(each, signal.SIG_DFL)
