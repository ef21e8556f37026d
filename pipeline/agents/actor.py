"""One running instance of an agent: a coroutine, or an asynchronous generator, that takes events."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from inspect import iscoroutine
from typing import Any, Protocol

from pipeline.agents.loop import AgentLoop
from pipeline.agents.scope import Scope, running_here
from pipeline.agents.stream import NEXT, Event, Request

#: How often a function that is to end may ask for another event.
_FAREWELLS = 3


class Listener(Protocol):
    """Whoever has an actor."""

    def taking_up(self, event: Event[Any]) -> AbstractContextManager[None]:
        """Return a context in which an event's record is in hand again."""
        ...

    def emit(self, event: Event[Any], value: Any) -> None:
        """Take a value that the actor yielded for an event."""
        ...

    def done(self, events: list[Event[Any]]) -> None:
        """Take note that the actor has done with these events."""
        ...

    def failed(self, events: list[Event[Any]], error: BaseException) -> None:
        """Take note that it raised with these events in hand; it begins anew with the next."""
        ...


class Actor:
    """Drives a user's function: sends it events, emits what it yields.

    Args:
        function: makes the coroutine, or the asynchronous generator.
        loop: where it awaits.
        listener: who is told.
        scope: what its tables and topics see.

    Attributes:
        events: what it has in hand.
        takes: whether it waits for an event, and for nothing else.
    """

    def __init__(
        self, function: Callable[[], Any], loop: AgentLoop, listener: Listener, scope: Scope
    ) -> None:
        self.scope = scope
        self.events: list[Event[Any]] = []
        self.takes = True
        self._function, self._listener = function, listener
        self._host = loop.host(self._resume)
        #: What the function returned; None: it is to be called for the next event.
        self._running: Any = None
        #: What is sent to: the coroutine, or the generator's current step; and what sends to it.
        self._step: Any = None
        self._send: Any = None
        #: An event that was given before the function asked for its first one.
        self._early: Event[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._thread = running_here()

    def give(self, event: Event[Any]) -> bool:
        """Hand over an event; `takes` must hold.

        Returns:
            Whether it has done with this one, and has no other in hand: of that the listener is not told.
        """
        self.events.append(event)
        if self._running is None:
            self._early = event
            self._begin()
            return self._advance(None, None)
        host, thread = self._host, self._thread
        if host.current.task is not host.task:
            return self._advance(event, None)
        # What nearly every record comes to: `_advance`, without a Python call of ours before the function's.
        self.takes, thread.runner = False, self
        try:
            request = self._send(event)
        except BaseException as raised:  # noqa: BLE001 - `_follow` sees to it, or raises it
            thread.runner = None
            return self._follow(None, raised)
        thread.runner = None
        if request is NEXT and self._timer is None and len(self.events) == 1:
            self.events.clear()
            self.takes = True
            return True
        return self._follow(request, None)

    def hurry(self) -> None:
        """End a batch that waits for more: who commits wants to know what is done."""
        if self.takes and self.events:
            self._forget_timer()
            self._resume(None)

    def close(self) -> None:
        """End the function, wherever it is; what it awaits at its end, the loop sees to.

        Raises:
            Exception: what it raises on the way out.
        """
        self._forget_timer()
        running, self._running = self._running, None
        self.events.clear()
        try:
            if running is not None:
                self._end(running)
        finally:
            self._host.close()

    def _end(self, running: Any) -> None:
        try:
            request = self._run(None, asyncio.CancelledError())
        except (StopIteration, StopAsyncIteration, asyncio.CancelledError):
            return
        self._host.finish(_rest(self._step, request), running.__qualname__)

    def _begin(self) -> None:
        self._running = self._function()
        self._take_step(self._running if iscoroutine(self._running) else self._running.__anext__())
        self._thread = running_here()

    def _take_step(self, step: Any) -> None:
        self._step, self._send = step, step.send

    def _resume(self, error: BaseException | None) -> None:
        event = self.events[-1]
        with self._listener.taking_up(event):
            if self._advance(None, error):
                self._listener.done([event])

    def _expire(self) -> bool:
        if self._timer is None or not self.takes:
            return False
        self.hurry()
        return True

    def _run(self, sent: Any, error: BaseException | None) -> Any:
        """Run the function's code until it yields a request or a future: return that."""
        self._thread.runner = self
        try:
            return self._host.run(self._step, sent, error)
        finally:
            self._thread.runner = None

    def _advance(self, sent: Any, error: BaseException | None) -> bool:
        """Run the function's code until it asks for an event, awaits something else, or ends; see `give`."""
        self.takes = False
        return self._follow(*self._outcome(sent, error))

    def _outcome(self, sent: Any, error: BaseException | None) -> tuple[Any, BaseException | None]:
        try:
            return self._run(sent, error), None
        except BaseException as raised:  # noqa: BLE001 - `_follow` sees to it, or raises it
            return None, raised

    def _follow(self, request: Any, raised: BaseException | None) -> bool:
        """Do what the code asks for, or what its end means, and run it on if it can; see `give`."""
        while True:
            sent = None
            if isinstance(raised, StopIteration) and not iscoroutine(self._running):
                self._take_step(self._running.__anext__())
                self._listener.emit(self.events[-1], raised.value)
            elif raised is not None:
                self._ended(raised)
                return False
            elif request is not NEXT and not isinstance(request, Request):
                self._host.wait_for(request)
                return False
            elif self._early is not None:
                sent, self._early = self._early, None
            else:
                return self._wait_for_event(request)
            request, raised = self._outcome(sent, None)

    def _wait_for_event(self, request: Request) -> bool:
        if request is NEXT and self._timer is None and len(self.events) == 1:
            self.events.clear()
            self.takes = True
            return True
        if request.acknowledges:
            if self._timer is not None:
                self._forget_timer()
            events, self.events = self.events, []
            self.takes = True
            if events:
                self._listener.done(events)
        else:
            if request.within_s is not None and self._timer is None:
                self._timer = self._host.call_later(request.within_s, self._expire)
            self.takes = True
            if request.drops:
                self._listener.done([self.events.pop()])
        return False

    def _ended(self, raised: BaseException) -> None:
        """It returned, and what it had in hand is done; or it failed. The next event has it called again.

        Raises:
            BaseException: it is no failure of the function, but somebody wants the program to end.
        """
        if isinstance(raised, StopIteration | StopAsyncIteration):
            events = self._forget()
            if events:
                self._listener.done(events)
        elif isinstance(raised, Exception | asyncio.CancelledError):
            self._listener.failed(self._forget(), raised)
        else:
            raise raised

    def _forget(self) -> list[Event[Any]]:
        self._forget_timer()
        events, self.events = self.events, []
        self._running = self._step = self._send = self._early = None
        self.takes = True
        return events

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


@types.coroutine
def _rest(step: Any, request: Any) -> Generator[Any, Any, None]:
    """Go on with what a function does at its end: it may await, but there are no more events."""
    asked = 0
    while True:
        sent: Any = None
        error: BaseException | None = None
        if isinstance(request, Request):
            asked += 1
            if asked == _FAREWELLS:
                step.close()
                return
            error = asyncio.CancelledError()
        else:
            try:
                sent = yield request
            except (Exception, asyncio.CancelledError) as raised:  # noqa: BLE001 - the function's own affair
                error = raised
        try:
            request = step.send(sent) if error is None else step.throw(error)
        except (StopIteration, StopAsyncIteration, asyncio.CancelledError):
            return
