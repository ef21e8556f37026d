"""The engine: a worker in a thread of its own, supervised by Faust.

Faust's event loop stays free for HTTP. An error of the worker takes the whole process down: what
runs on is either whole or gone.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from mode import Service
from mode.utils.logging import get_logger

from pipeline.declaration import describe_frame
from pipeline.errors import StreamsError
from pipeline.plan.planner import Plan
from pipeline.restore_bar import RestoreBar
from pipeline.runtime import allocator, collector, switching
from pipeline.runtime.metrics.snapshot import Snapshot
from pipeline.runtime.queries import StoreRegistry
from pipeline.runtime.worker import Worker, WorkerStatus

logger = get_logger(__name__)

#: How often a change of the worker's state is looked for, to log it.
_REPORT_INTERVAL_S = 0.5
#: How long the thread rests while the broker is away, before the next turn: at first, and at most.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.5


class Engine(Service):
    """Runs a worker in a thread until the application stops.

    Args:
        worker: the worker to run. From `start` on it belongs to the engine's thread, except for
            what is thread-safe: `status`, `measured` and `registry`.
        service: arguments of `mode.Service`.
    """

    logger = logger

    def __init__(self, worker: Worker, **service: Any) -> None:
        super().__init__(**service)
        self._worker = worker
        self._halt = threading.Event()
        self._thread: threading.Thread | None = None
        self._ident = 0
        self._ended = asyncio.Event()
        #: Set when it failed, which is before it ended; or when it ended.
        self._over = asyncio.Event()
        self._failure: BaseException | None = None

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread is not None and not self._ended.is_set()

    @property
    def failure(self) -> BaseException | None:
        """The error that ended it, None if there was none so far."""
        return self._failure

    @property
    def stores(self) -> StoreRegistry:
        """The stores of this worker's tasks."""
        return self._worker.registry

    @property
    def plan(self) -> Plan:
        """What the worker runs."""
        return self._worker.plan

    def status(self) -> WorkerStatus:
        """Return how the worker is doing."""
        return self._worker.status()

    def measured(self) -> Snapshot:
        """Return what the worker measured lately."""
        return self._worker.measured()

    async def on_start(self) -> None:
        """Start the thread."""
        allocator.settle()
        collector.settle()
        switching.settle()
        # A daemon: an event loop that died must not leave a process that nothing can end.
        tell = asyncio.get_running_loop().call_soon_threadsafe
        self._thread = threading.Thread(target=self._run, args=(tell,), name="engine", daemon=True)
        self._thread.start()
        self._ident = self._thread.ident or 0

    def halt(self) -> None:
        """Have the worker closed by its own thread, as soon as it has done what it is at. From any thread."""
        self._halt.set()
        self._worker.hurry()

    def unfinished(self) -> str:
        """Say why it has not ended, and what is not committed. From any thread, whatever hangs."""
        pending = self._worker.uncommitted()
        text = f"not committed, so it comes again: {', '.join(pending)}" if pending else "all is committed"
        problem = self.status().problem
        if problem is not None:
            return f"{text}; {problem}"
        frame = sys._current_frames().get(self._ident if self.alive else 0)  # noqa: SLF001 - the documented way to another thread's frame
        return text if frame is None else f"{text}; the engine is in {describe_frame(frame)}"

    async def on_stop(self) -> None:
        """Have the worker closed by its own thread, and wait until that is done."""
        self.halt()
        if self._thread is not None:
            await self._ended.wait()
            await self._crash_if_failed()

    @Service.task
    async def _watch(self) -> None:
        await self._over.wait()
        await self._crash_if_failed()

    @Service.task
    async def _report(self) -> None:
        """Log changes of state and problems, each once; on a terminal, draw how far restoring is."""
        told: tuple[str, bool] | None = None
        # Not `sys.stderr`: Faust makes log lines of what is written there.
        bar = RestoreBar(sys.__stderr__)
        while not self.should_stop:
            status = self.status()
            now = (status.state, status.problem is not None)
            if now != told:
                told = now
                level = logging.INFO if status.problem is None else logging.WARNING
                self.log.log(level, "%s", summary(status))
            bar.show(status.restoring)
            await self.sleep(_REPORT_INTERVAL_S)

    async def crash(self, reason: BaseException) -> None:
        """End the process with an error.

        Of this library's own errors the message says it all, and it is the last line of the process:
        they are logged where a user's function raised, for its frames.
        """
        if not isinstance(reason, StreamsError):
            await super().crash(reason)
            return
        if reason.__cause__ is not None:
            self.log.error("%s", reason, exc_info=reason.__cause__)
        for node in self.beacon.walk():
            for service in (node.data, *node.children):
                if isinstance(service, Service):
                    service._crash(reason)  # noqa: SLF001 - what `crash` does, apart from logging
        self._crash(reason)

    async def _crash_if_failed(self) -> None:
        if self._failure is None or self.crashed:
            return
        try:
            _throw(readable(self._failure))
        except BaseException as error:  # noqa: BLE001 - crash() logs the error that is being handled
            await self.crash(error)

    def _end(self) -> None:
        self._ended.set()
        self._over.set()

    def _run(self, tell: Callable[[Callable[[], None]], object]) -> None:
        def failed(error: BaseException) -> None:
            self._failure = error
            tell(self._over.set)

        try:
            run_worker(self._worker, self._halt, failed)
        except BaseException as error:  # noqa: BLE001 - handed to the event loop, which ends the process with it
            failed(error)
        tell(self._end)


def run_worker(worker: Worker, halt: threading.Event, failed: Callable[[BaseException], None]) -> None:
    """Step `worker` until it is halted or fails, then close it.

    Halted, it commits, however long the broker is away: the process has a bound. After an error nothing
    is committed: what was in hand comes again.

    Args:
        worker: the worker.
        halt: set by another thread.
        failed: told what ended the worker, before it is closed.

    Raises:
        Exception: it could not be closed.
    """
    pause_s, waiting = _FIRST_PAUSE_S, threading.Event()
    try:
        while not halt.is_set():
            worker.step()
            if worker.status().problem is None:
                pause_s = _FIRST_PAUSE_S
            else:
                halt.wait(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        while not worker.finish():
            waiting.wait(_LONGEST_PAUSE_S)
    except BaseException as error:  # noqa: BLE001 - handed on
        failed(error)
    worker.abort()


def readable(error: BaseException) -> BaseException:
    """Return an error as it is to be logged.

    The message of a StreamsError says what happened and where: frames of this library would bury
    it. What a user's function raised is its cause, and keeps its frames.
    """
    if not isinstance(error, StreamsError):
        return error
    cause = error.__cause__
    while isinstance(cause, StreamsError):
        cause = cause.__cause__
    error.__cause__ = cause
    return error.with_traceback(None)


def summary(status: WorkerStatus) -> str:
    """Return one line for the log, such as `running at localhost:9092, 4 tasks`."""
    text = f"{status.state} at {status.address}, {status.tasks} tasks"
    return text if status.problem is None else f"{text}: {status.problem}"


def _throw(error: BaseException) -> NoReturn:
    raise error
