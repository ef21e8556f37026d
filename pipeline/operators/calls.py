"""Users' functions that are called for a table, not for a record: one after the other, async or not.

```
windows that close   w1 w2           w3
calls                w1 -await-> w2  w3      while one awaits, the task takes up no record
```

What waits meanwhile is in memory: as many windows as one record can close, and no more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any

from pipeline.agents.actor import Actor
from pipeline.agents.scope import Scope, in_agent
from pipeline.agents.stream import AgentStream, Event
from pipeline.operators.context import OperatorContext, failed, is_fatal
from pipeline.record import NO_HEADERS
from pipeline.topology import Agent


class Calls:
    """Calls functions in an agent's scope; each is in flight until it returns: no commit lies between.

    Args:
        node: the agent.
        context: its task.
        scope: what the functions' tables and topics see.
    """

    def __init__(self, node: Agent, context: OperatorContext, scope: Scope) -> None:
        self._node, self._context, self._flight = node, context, context.in_flight
        self._loop = context.agent_loop
        self._actor = Actor(lambda: _call_each(AgentStream()), self._loop, self, scope)
        self._waiting: deque[Event[Any]] = deque()
        self._busy = False
        context.on_close(self._actor.close)

    def call(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        key: Any,
        timestamp: int,
        at_once: bool = True,
    ) -> None:
        """Call a function as soon as no code of an agent runs; it is done for what is in hand now.

        Args:
            function: the user's.
            arguments: what it is given.
            key: of the event that it has in hand.
            timestamp: of that event, in ms: of what it puts and sends.
            at_once: whether the task is ready for that; else it is called at the end of the turn.
        """
        event: Event[Any] = Event(
            key, (function, arguments), timestamp, NO_HEADERS, self._context.hand.in_hand
        )
        self._flight.hold(event.in_hand)
        self._waiting.append(event)
        if in_agent() or not at_once:
            self._flight.blocked.add(self)
            self._loop.later(self._go_on)
        else:
            self._go_on()

    def _go_on(self) -> bool:
        if self._busy:
            return False
        self._busy = True
        moved = False
        try:
            while self._waiting and self._actor.takes:
                event = self._waiting.popleft()
                with self._context.taking_up(event.in_hand):
                    if self._actor.give(event):
                        self._flight.release(event.in_hand)
                moved = True
        finally:
            self._busy = False
        if self._waiting or not self._actor.takes:
            self._flight.blocked.add(self)
        else:
            self._flight.blocked.discard(self)
        return moved

    # What the actor tells

    def taking_up(self, event: Event[Any]) -> AbstractContextManager[None]:
        """Have in hand again what the call is for."""
        return self._context.taking_up(event.in_hand)

    def emit(self, event: Event[Any], value: Any) -> None:
        """Calls yield nothing."""
        raise NotImplementedError

    def done(self, events: list[Event[Any]]) -> None:
        """Let go of a call."""
        for event in events:
            self._flight.release(event.in_hand)
        self._go_on()

    def failed(self, events: list[Event[Any]], error: BaseException) -> None:
        """Handle an error as that of what the call is for."""
        if is_fatal(error):
            raise error
        for event in events:
            with self._context.taking_up(event.in_hand):
                self._context.fail(failed(self._node, event.value[0], error))
        self.done(events)


async def _call_each(stream: AgentStream[Any]) -> None:
    async for function, arguments in stream:
        called = function(*arguments)
        if isinstance(called, Awaitable):
            await called
