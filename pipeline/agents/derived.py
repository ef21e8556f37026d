"""What an agent makes of its stream: `stream.filter(predicate)`, `stream.echo(topic)`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from inspect import isawaitable
from typing import Any, TypeVar

from pipeline.agents.stream import NEXT, AgentStream, Event, Request

V = TypeVar("V")


class DerivedStream(AgentStream[V]):
    """An agent's stream, with something done to each event before the agent has it.

    Args:
        stream: the stream.
    """

    def __init__(self, stream: AgentStream[V]) -> None:
        super().__init__()
        self._stream = stream

    async def ask(self, request: Request) -> Event[Any] | None:
        """Ask for an event; None if none came in time."""
        raise NotImplementedError

    async def __anext__(self) -> Any:
        return (await self._taken()).value

    async def _taken(self) -> Event[Any]:
        event = await self.ask(NEXT)
        assert event is not None  # noqa: S101 - only who set a deadline is told of none
        return event

    async def items(self) -> AsyncIterator[tuple[Any, V]]:
        """Iterate over keys and values."""
        async for event in self.events():
            yield event.key, event.value

    async def events(self) -> AsyncIterator[Event[V]]:
        """Iterate over events."""
        while True:
            yield await self._taken()


class FilteredStream(DerivedStream[V]):
    """An agent's stream without the events for whose value `predicate(value)` does not hold.

    Args:
        stream: the stream.
        predicate: async or not.
    """

    def __init__(self, stream: AgentStream[V], predicate: Callable[[V], object]) -> None:
        super().__init__(stream)
        self._predicate = predicate

    async def ask(self, request: Request) -> Event[Any] | None:
        """Ask for an event that stays; those that do not are done."""
        while (event := await self._stream.ask(request)) is not None:
            kept = self._predicate(event.value)
            if await kept if isawaitable(kept) else kept:
                return event
            request = request if request.acknowledges else replace(request, drops=True)
        return None


class EchoedStream(DerivedStream[V]):
    """An agent's stream, each of whose events was sent elsewhere before the agent has it.

    Args:
        stream: the stream.
        channels: topics, agents or channels.
    """

    def __init__(self, stream: AgentStream[V], channels: tuple[Any, ...]) -> None:
        super().__init__(stream)
        self._channels = channels

    async def ask(self, request: Request) -> Event[Any] | None:
        """Ask for an event, and send it."""
        event = await self._stream.ask(request)
        if event is not None:
            for channel in self._channels:
                await event.send(channel)
        return event
