"""Channels: values from one part of a process to another, in memory, in order, bounded.

Nothing of them is kept: what is in a channel when the process ends, however it ends, is lost. What must not
be lost goes through a topic.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, ClassVar, Final, NoReturn, TypeAlias

from pipeline.absent import Absent, instead
from pipeline.actors.agent import Agent
from pipeline.actors.topic import Topic, pairs_of
from pipeline.agents.stream import AgentStream, Event, Request
from pipeline.clock import SystemClock
from pipeline.declaration import declaration_site
from pipeline.errors import TopologyError
from pipeline.record import Headers

#: So many values wait in a channel, unless told otherwise; whoever sends one more waits.
MAXSIZE: Final = 4_096
_Waiters: TypeAlias = "list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]]"


class Channel(Absent):
    """A queue of events that any event loop of the process may write and read. Made by `app.channel`.

    Args:
        maxsize: so many events wait in it; whoever sends one more waits until one is taken.

    Raises:
        TopologyError: `maxsize` is not positive.
    """

    INSTEAD: ClassVar[Mapping[str, str]] = instead(
        queue__clone_using_queue__deliver__on_stop_iteration="iterate over it, or get()",
        decode__on_decode_error__on_key_decode_error__on_value_decode_error="it holds values, not bytes",
        prepare_key__prepare_value__prepare_headers__as_future_message__publish_message="call send(...)",
        clone__derive__declare__maybe_declare__get_topic_name="it is no topic: app.channel() makes another",
        subscriber_count__throw="raise in the agent that reads it",
        send_soon="await send(): it waits while the channel is full",
    )

    def __init__(self, maxsize: int = MAXSIZE) -> None:
        if maxsize < 1:
            raise TopologyError(f"channel at {declaration_site()}: maxsize is {maxsize}: at least 1")
        self.site, self.maxsize = declaration_site(), maxsize
        self._events: deque[Event[Any]] = deque()
        self._lock = threading.Lock()
        self._readers: _Waiters = []
        self._writers: _Waiters = []

    def empty(self) -> bool:
        """Whether nothing is in it."""
        return not self._events

    async def send(
        self, *, key: Any = None, value: Any = None, headers: Headers | Mapping[str, bytes] | None = None
    ) -> None:
        """Put an event in; waits while the channel is full."""
        event = Event(key, value, SystemClock().now_ms(), pairs_of(headers), None)
        while not self._added(event):
            await self._turn(self._writers, self._full)

    async def put(self, value: Any) -> None:
        """Put a value in; waits while the channel is full."""
        await self.send(value=value)

    async def get(self, *, timeout: float | None = None) -> Event[Any]:  # noqa: ASYNC109 - Faust's
        """Take the event that has been in it for longest; waits while there is none.

        Args:
            timeout: no longer than so many seconds; None: for ever.

        Raises:
            TimeoutError: none came in time.
        """
        async with asyncio.timeout(timeout):
            while True:
                await self.ready()
                with self._lock:
                    if self._events:
                        event = self._events.popleft()
                        self._wake(self._writers)
                        return event

    async def ready(self) -> None:
        """Wait until something is in it."""
        while self.empty():
            await self._turn(self._readers, self.empty)

    def stream(self) -> ChannelStream:
        """Return what iterates over its values; whoever takes one has it alone."""
        return ChannelStream(self)

    def __aiter__(self) -> ChannelStream:
        return self.stream()

    def _full(self) -> bool:
        return len(self._events) >= self.maxsize

    def _added(self, event: Event[Any]) -> bool:
        with self._lock:
            if self._full():
                return False
            self._events.append(event)
            self._wake(self._readers)
            return True

    async def _turn(self, waiters: _Waiters, still: Callable[[], bool]) -> None:
        """Wait for a change, unless it has happened already."""
        loop = asyncio.get_running_loop()
        waiter = (loop, loop.create_future())
        with self._lock:
            if not still():
                return
            waiters.append(waiter)
        try:
            await waiter[1]
        finally:
            with self._lock:
                if waiter in waiters:
                    waiters.remove(waiter)

    @staticmethod
    def _wake(waiters: _Waiters) -> None:
        """Let all go on and look: a loop that is closed has nobody who waits."""
        for loop, future in waiters:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_done, future)
        waiters.clear()

    def __str__(self) -> str:
        return f"channel ({self.site})"


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class ChannelStream(AgentStream[Any]):
    """The values of a channel, as an agent takes them.

    Args:
        channel: the channel.

    Attributes:
        last: the event that was taken last.
    """

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel
        self.last: Event[Any] | None = None
        #: When the batch that is being filled ends, by the event loop's clock.
        self._until: float | None = None

    async def __anext__(self) -> Any:
        return (await self._take()).value

    async def _take(self) -> Event[Any]:
        self.last = await self._channel.get()
        return self.last

    def group_by(
        self, key: Any, *, name: str | None = None, topic: object = None, partitions: int | None = None
    ) -> NoReturn:
        """Refuse: a channel is in one place."""
        del key, name, topic, partitions
        raise TopologyError(f"{self._channel} has no partitions to group by: send its values to a topic")

    async def items(self) -> AsyncIterator[tuple[Any, Any]]:
        """Iterate over keys and values."""
        async for event in self.events():
            yield event.key, event.value

    async def events(self) -> AsyncIterator[Event[Any]]:
        """Iterate over events."""
        while True:
            yield await self._take()

    async def ask(self, request: Request) -> Event[Any] | None:
        """Take an event; those of a batch, `within_s` of the first one."""
        if request.acknowledges:
            self._until = None
        elif self._until is None and request.within_s is not None:
            self._until = asyncio.get_running_loop().time() + request.within_s
        # In time or not: a batch is as full as it gets.
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._until):
                return await self._take()
        return None


class ChannelAgent(Agent):
    """An agent that reads a channel: it runs in the process's event loop, beside the engine.

    It has no task, so no table, and nothing is done again: if it raises, the worker stops.

    Args:
        function: the user's function.
        channel: what it reads.
        name: its name.
        concurrency: so many instances take values.
        help: what it is for.

    Raises:
        TopologyError: `concurrency` is not positive.
    """

    INSTEAD: ClassVar[Mapping[str, str]] = {
        **Agent.INSTEAD,
        "stream": "what an agent of a channel yields goes to its sinks",
    }

    def __init__(
        self,
        function: Callable[[Any], Any],
        channel: Channel,
        *,
        name: str,
        concurrency: int = 1,
        help: str = "",  # noqa: A002 - Faust's name for it
    ) -> None:
        self.site = declaration_site()
        if concurrency < 1:
            raise TopologyError(f"agent {name!r} at {self.site}: concurrency is {concurrency}: at least 1")
        self.name, self.fun, self.channel, self.concurrency = name, function, channel, concurrency
        self.help = help or (function.__doc__ or "").strip().partition("\n")[0]
        self.topic: Topic | None = None
        self.sinks: list[Any] = []

    def add_sink(self, sink: Any) -> None:
        """Send what it yields to a topic, an agent, a channel or a function.

        Raises:
            TopologyError: nothing can be sent there.
        """
        if not callable(getattr(sink, "send", None)) and not callable(sink):
            raise TopologyError(f"agent {self.name!r} at {declaration_site()}: {sink!r} cannot be a sink")
        self.sinks.append(sink)

    def send(
        self,
        *,
        key: Any = None,
        value: Any = None,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: Headers | Mapping[str, bytes] | None = None,
    ) -> Awaitable[None]:
        """Put an event in its channel, which has one partition, and the time of now."""
        del partition, timestamp
        return self.channel.send(key=key, value=value, headers=headers)

    async def put(self, value: Any) -> None:
        """Put a value in its channel."""
        await self.channel.put(value)

    def test_context(self) -> NoReturn:
        """Refuse: it runs beside the engine.

        Raises:
            TopologyError: always.
        """
        raise TopologyError(
            f"{self} has no test_context(): put values in its channel, and await its function on "
            "channel.stream()"
        )

    def _topic(self) -> Topic:
        raise TopologyError(f"{self} cannot be asked: answers come from agents of topics")

    async def run(self) -> None:
        """Run it until it is cancelled; if its function returns, it is called again for the next value."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self.concurrency):
                group.create_task(self._run())

    async def _run(self) -> None:
        while True:
            await self.channel.ready()
            stream = self.channel.stream()
            running = self.fun(stream)
            if hasattr(running, "__aiter__"):
                async for value in running:
                    await self._emit(stream, value)
            else:
                await running

    async def _emit(self, stream: ChannelStream, value: Any) -> None:
        key = None if stream.last is None else stream.last.key
        for sink in self.sinks:
            if isinstance(sink, Topic | Agent | Channel):
                await sink.send(key=key, value=value)
            else:
                called = sink(value)
                if hasattr(called, "__await__"):
                    await called

    def __str__(self) -> str:
        return f"agent {self.name} of {self.channel}"
