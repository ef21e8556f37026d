"""The event loop of a worker's agents: where what they await happens.

It belongs to the engine's thread, and runs only when the engine lets it, between two batches of
records. Each actor has an asyncio task, its host, for two reasons: while the actor's code runs, the
host is the current task, as `asyncio.timeout` and others need; and what the actor awaits, the host
awaits in its place, then says that the actor can go on. The actor's code itself is run by nobody but
the engine (`agents.actor`).
"""

from __future__ import annotations

import asyncio
import logging
import selectors
from asyncio import events, tasks
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from functools import partial
from inspect import CORO_CREATED, getcoroutinestate, iscoroutine
from typing import Any, Final, TypeAlias, TypeVarTuple

from pipeline.clock import Clock

#: Called when what an actor awaited is there, or, with an error, when waiting ended with that.
Resume: TypeAlias = Callable[[BaseException | None], None]


_Arguments = TypeVarTuple("_Arguments")

#: A task that never rests must not keep the engine from its records: so many turns are enough.
_TURNS: Final = 20
#: How long agents that are about to end have for that when the worker stops: a second in all.
_FAREWELL_TURN_S: Final = 0.02
_FAREWELL_TURNS: Final = 50
#: How often what is left is cancelled: who catches that goes on.
_CANCELLATIONS: Final = 3
_log: Final = logging.getLogger(__name__)


class _PatientSelector(selectors.DefaultSelector):
    """A selector that waits a little where the loop, about to stop, would not wait at all."""

    patience_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found: list[tuple[selectors.SelectorKey, int]] = super().select(timeout or self.patience_s)
        return found


class _ClockedLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers go by the worker's clock."""

    def __init__(self, clock: Clock, selector: selectors.BaseSelector) -> None:
        self._clock = clock
        #: Whether the next turn has something to do.
        self.busy = False
        super().__init__(selector)

    def time(self) -> float:
        return self._clock.now_ms() / 1_000

    def call_soon(
        self,
        callback: Callable[[*_Arguments], object],
        *args: *_Arguments,
        context: Context | None = None,
    ) -> asyncio.Handle:
        self.busy = True
        return super().call_soon(callback, *args, context=context)


class AgentLoop:
    """Runs what agents await, a turn at a time, and resumes those that can go on.

    Args:
        clock: drives `asyncio.sleep` and timeouts.

    Attributes:
        running: a context that many records may share; without it, each actor's code enters it by itself.
    """

    def __init__(self, clock: Clock) -> None:
        self._selector = _PatientSelector()
        self._loop = _ClockedLoop(clock, self._selector)
        self.running: Final = _Running(self._loop)
        #: What to call at the end of a turn; returns whether an actor went on.
        self._arrived: deque[Callable[[], bool]] = deque()
        self._hosts: set[Host] = set()
        #: Of agents that are gone: what they do at their end.
        self._finishing: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> bool:
        """Whether an agent waits for anything."""
        return any(host.waits for host in self._hosts)

    def host(self, resume: Resume) -> Host:
        """Return a new host for one actor."""
        host = Host(self._loop, self.running, resume, self._arrived, self._hosts, self._finishing)
        self._hosts.add(host)
        return host

    def later(self, callback: Callable[[], bool]) -> None:
        """Call back at the end of a turn; the callback says whether it did anything."""
        self._arrived.append(callback)

    def run_once(self, patience_s: float = 0.0) -> int:
        """Run what is ready; return how many agents went on.

        Args:
            patience_s: how long to wait, in real time, for what is not ready.

        Raises:
            UnhandledRecordError: one failed, and the worker is to stop.
        """
        self._selector.patience_s = patience_s
        self._turn()
        self._selector.patience_s = 0.0
        resumed = 0
        while self._arrived:
            resumed += self._arrived.popleft()()
        return resumed

    def _turn(self) -> None:
        """Run the loop until nothing is ready, but not for ever."""
        # Another loop may be running in this thread: a test can be a coroutine.
        outer = events._get_running_loop()
        events._set_running_loop(None)
        try:
            for _ in range(_TURNS):
                self._loop.busy = False
                self._loop.stop()
                self._loop.run_forever()
                if not self._loop.busy:
                    break
        finally:
            events._set_running_loop(outer)

    def close(self) -> None:
        """Let agents end that are about to, and cancel what they have left behind."""
        for host in list(self._hosts):
            host.close()
        for _ in range(_FAREWELL_TURNS):
            # Who never rests is not waited for.
            self._selector.patience_s = 0.0 if self._loop.busy else _FAREWELL_TURN_S
            self._turn()
            if all(task.done() for task in self._finishing):
                break
        self._selector.patience_s = 0.0
        for _ in range(_CANCELLATIONS):
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            self._turn()
        for task in asyncio.all_tasks(self._loop):
            _log.warning("a task that an agent began will not end when it is cancelled: %s", task)
        self.kill()

    def kill(self) -> None:
        """Free what it has of the system; none of the agents' code runs any more."""
        for task in asyncio.all_tasks(self._loop):
            # It is meant to go without an end.
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            coroutine = task.get_coro()
            if iscoroutine(coroutine) and getcoroutinestate(coroutine) == CORO_CREATED:
                # It has not begun, and nothing of it runs now.
                coroutine.close()
        self._loop.close()


class _Running:
    """While it lasts, the loop is the running one of this thread, and whoever runs has its current task.

    It is entered for as many records as there are at once: to say all that for each of them costs
    more than most of what agents do with one.

    Attributes:
        entered: whether it lasts.
        task: the current task, of an actor's host; None: no actor's code has run yet.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.entered = False
        self._loop = loop
        self.task: asyncio.Task[None] | None = None
        # Another loop may be running in this thread: a test can be a coroutine.
        self._outer: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> None:
        self._outer = events._get_running_loop()
        events._set_running_loop(self._loop)
        self.entered = True

    def __exit__(self, *_error: object) -> None:
        if self.task is not None:
            tasks._leave_task(self._loop, self.task)
            self.task = None
        self.entered = False
        events._set_running_loop(self._outer)

    def change_to(self, task: asyncio.Task[None]) -> None:
        """Make another one the current task."""
        if self.task is not None:
            tasks._leave_task(self._loop, self.task)
        tasks._enter_task(self._loop, task)
        self.task = task


class Host:
    """Awaits in an actor's place; the current task while the actor's code runs.

    Attributes:
        waits: whether the actor waits for something.
        task: the asyncio task.
        current: whose `task` is this one while the actor's code can be run without `run`.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        running: _Running,
        resume: Resume,
        arrived: deque[Callable[[], bool]],
        hosts: set[Host],
        finishing: set[asyncio.Task[None]],
    ) -> None:
        self.waits = False
        self._loop, self.current = loop, running
        self._resume, self._arrived, self._hosts = resume, arrived, hosts
        self._request: Any = None
        self._finishing = finishing
        #: Of what is awaited: what arrives for an earlier one is out of date.
        self._number = 0
        self._called = loop.create_future()
        self.task = loop.create_task(self._run())

    def run(self, step: Any, sent: Any, error: BaseException | None) -> Any:
        """Run an actor's code, this being the current task of the running loop; return what it yields."""
        running = self.current
        if not running.entered:
            with running:
                return self.run(step, sent, error)
        if running.task is not self.task:
            running.change_to(self.task)
        return step.send(sent) if error is None else step.throw(error)

    def wait_for(self, request: Any) -> None:
        """Await what the actor awaits: a future that its coroutine yielded, or None (one turn)."""
        self.waits, self._request = True, request
        self._number += 1
        if not self._called.done():
            self._called.set_result(None)

    def call_later(self, delay_s: float, callback: Callable[[], bool]) -> asyncio.TimerHandle:
        """Call back at the end of a turn, after a delay by the worker's clock."""
        return self._loop.call_later(delay_s, self._arrived.append, callback)

    def finish(self, rest: Coroutine[Any, Any, None], name: str) -> None:
        """Run what the actor does at its end: it is gone for the engine."""
        task = self._loop.create_task(rest, name=name)
        self._finishing.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._finishing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("%s raised at its end: %s: %s", task.get_name(), type(error).__name__, error)

    def close(self) -> None:
        """Stop awaiting: the actor is gone."""
        self.waits = False
        self._hosts.discard(self)
        self.task.cancel()

    async def _run(self) -> None:
        while self in self._hosts:
            error: BaseException | None = None
            try:
                await self._called
                await _Again(self._request)
            except (Exception, asyncio.CancelledError) as raised:  # noqa: BLE001 - what was awaited raised it
                error = raised
            self._called = self._loop.create_future()
            self._arrived.append(partial(self._go_on, self._number, error))

    def _go_on(self, number: int, error: BaseException | None) -> bool:
        if not self.waits or number != self._number:
            return False
        self.waits = False
        self._resume(error)
        return True


class _Again:
    """Yields once more what an actor's coroutine yielded."""

    def __init__(self, request: Any) -> None:
        self._request = request

    def __await__(self) -> Generator[Any, Any, Any]:
        return (yield self._request)
