"""What an agent iterates over, and what it asks the engine for.

The engine sends events into the coroutine; the coroutine answers with a request for the next. No
event-loop turn, task or queue lies between them. Whatever else the coroutine awaits reaches
`agents.loop`.
"""

from __future__ import annotations

import types
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Final, Generic, NamedTuple, NoReturn, TypeVar

import msgspec

from pipeline.absent import Absent, instead, refuse
from pipeline.errors import TopologyError
from pipeline.record import Headers

V = TypeVar("V")
W = TypeVar("W")


@dataclass(frozen=True, slots=True)
class Request:
    """What an agent asks for: the next event.

    Attributes:
        acknowledges: whether it has done with the events it was given before.
        within_s: after so long without an event it wants to hear that there is none (None); None: it waits.
        drops: whether it has done with the last one of those that it has in hand.
    """

    acknowledges: bool
    within_s: float | None = None
    drops: bool = False


#: The usual request: done with the last event, give me the next.
NEXT: Final = Request(acknowledges=True)


class EventMessage(NamedTuple):
    """A record as Faust's `event.message` has it.

    Attributes:
        topic: the topic that the record in hand was read from.
        partition: its partition.
        offset: its offset.
        timestamp: event time, in seconds since the epoch.
        headers: Kafka's record headers.
        key: the key, as the agent sees it.
        value: the value, likewise.
    """

    topic: str
    partition: int
    offset: int
    timestamp: float
    headers: Headers
    key: Any
    value: Any


#: Stands for an event's own key, or value: None is one, too.
_ITS_OWN: Final[Any] = object()
#: Of Faust's events: what to use instead.
_EVENT: Final = instead(
    ack__acked="it is done when the agent asks for the next event, and no sooner",
    app="the application is a name of your module",
)


class Event(msgspec.Struct, Generic[V], frozen=True, eq=False):
    """A record as an agent sees it.

    Attributes:
        key: its key, None if it has none.
        value: its value.
        timestamp: event time, ms since the epoch.
        pairs: Kafka's record headers, in order.
        in_hand: where it comes from; the engine's.
    """

    key: Any
    value: V
    timestamp: int
    pairs: Headers
    in_hand: Any

    @property
    def headers(self) -> dict[str, bytes | None]:
        """Its headers by name, as Faust has them: of several of one name, the last."""
        return dict(self.pairs)

    @property
    def topic(self) -> str:
        """The topic that the record in hand was read from, which may lie before a repartition."""
        topic: str = self.in_hand.topic
        return topic

    @property
    def partition(self) -> int:
        """Likewise, its partition."""
        partition: int = self.in_hand.partition
        return partition

    @property
    def offset(self) -> int:
        """Likewise, its offset."""
        offset: int = self.in_hand.offset
        return offset

    @property
    def message(self) -> EventMessage:
        """The same as Faust has it."""
        return EventMessage(
            self.topic,
            self.partition,
            self.offset,
            self.timestamp / 1_000,
            self.pairs,
            self.key,
            self.value,
        )

    async def send(
        self, channel: Any, key: Any = _ITS_OWN, value: Any = _ITS_OWN, *, headers: Headers | None = None
    ) -> None:
        """Write an event to a topic, an agent's or a channel, with this one's key and value unless told.

        Raises:
            TopologyError: nothing can be sent there.
        """
        send = _send_of(channel)
        await send(
            key=self.key if key is _ITS_OWN else key,
            value=self.value if value is _ITS_OWN else value,
            headers=self.pairs if headers is None else headers,
        )

    async def forward(
        self, channel: Any, key: Any = _ITS_OWN, value: Any = _ITS_OWN, *, headers: Headers | None = None
    ) -> None:
        """Write the event to a topic, an agent's or a channel; see `send`."""
        await self.send(channel, key, value, headers=headers)

    def __getattr__(self, name: str) -> NoReturn:
        refuse("Event", name, _EVENT)


def _send_of(channel: Any) -> Any:
    send = getattr(channel, "send", None)
    if isinstance(channel, str) or not callable(send):
        raise TopologyError(
            f"events are sent to topics, agents and channels, not to {channel!r}: declare it, app.topic(...)"
        )
    return send


@types.coroutine
def _next_value() -> Generator[Request, Event[Any], Any]:
    return (yield NEXT).value


@types.coroutine
def _next_item() -> Generator[Request, Event[Any], tuple[Any, Any]]:
    event = yield NEXT
    return event.key, event.value


@types.coroutine
def _next_event() -> Generator[Request, Event[Any], Event[Any]]:
    return (yield NEXT)


@types.coroutine
def _ask(request: Request) -> Generator[Request, Event[Any] | None, Event[Any] | None]:
    return (yield request)


class _Items:
    """`stream.items()`."""

    def __aiter__(self) -> _Items:
        return self

    __anext__ = staticmethod(_next_item)


class _Events:
    """`stream.events()`."""

    def __aiter__(self) -> _Events:
        return self

    __anext__ = staticmethod(_next_event)


class AgentStream(Absent, Generic[V]):
    """The records of one partition, as an agent takes them: `async for value in stream`.

    An event is done when the agent asks for the next one; an offset is committed only past events
    that are done. If the agent raises, the record that it had in hand goes where
    `on_processing_error` says, and the agent begins anew with the record after it.

    Args:
        prologue: how many things its agent was seen to ask for before its first event (`group_by`, `through`,
            `combine`); they lie before it.
    """

    INSTEAD: ClassVar[Mapping[str, str]] = instead(
        ack__noack__noack_take__enable_acks=(
            "an event is done when the agent asks for the next one, and no sooner"
        ),
        join__inner_join__left_join__outer_join__join_strategy__on_merge=(
            "join streams of the DSL: app.stream(...).join(...), and give the result to the agent"
        ),
        add_processor="do it in the agent's loop, or on a stream of the DSL: app.stream(...).map_values(...)",
        current_event__get_active_stream__get_root_stream="ask current_event(), or iterate over events()",
        derive_topic="declare a topic: app.topic(...)",
        throw="raise in the agent's loop: the record in hand goes where on_processing_error says",
        clone__contribute_to_stream__remove_from_stream__outbox__prefix__info__task_owner=(
            "a stream belongs to one agent, and the engine drives it"
        ),
        active_partitions__concurrency_index__events_total=(
            "ask GET /metrics; an agent's stream is of one partition"
        ),
    )

    def __init__(self, prologue: int = 0) -> None:
        self._prologue = prologue

    def __aiter__(self) -> AgentStream[V]:
        return self

    #: The function itself: no frame of ours between `async for` and the engine.
    __anext__: Any = staticmethod(_next_value)
    #: Asks for an event; None if none came in time.
    ask: Callable[[Request], Awaitable[Event[Any] | None]] = staticmethod(_ask)

    def __and__(self, other: object) -> AgentStream[V]:
        """Take the events of another stream, too; see `combine`."""
        return self.combine(other)

    __rand__ = __and__

    def combine(self, *nodes: object) -> AgentStream[V]:
        """Take the events of other streams, too, as they come: before the first one.

        The topics that are taken together form one task if the agent has tables, and need equal partition
        counts then.

        Args:
            nodes: topics, or streams of the DSL.

        Raises:
            TopologyError: it is called where nobody could foresee it.
        """
        del nodes
        return self._foreseen("combine (stream & other)")

    def through(self, channel: object) -> AgentStream[V]:
        """Have the events written to a topic, and take those that are read from there: before the first one.

        Args:
            channel: the topic; or its name: it holds what this stream holds, and is made unless it exists.

        Raises:
            TopologyError: it is called where nobody could foresee it.
        """
        del channel
        return self._foreseen("through")

    def _foreseen(self, what: str) -> AgentStream[V]:
        if not self._prologue:
            raise TopologyError(
                f"{what} is called by name in the agent's own function, before its first event: the "
                "topology is fixed before anything runs"
            )
        self._prologue -= 1
        return self

    def group_by(
        self, key: Any, *, name: str | None = None, topic: object = None, partitions: int | None = None
    ) -> AgentStream[V]:
        """Take the events by another key, through a repartition topic: before the first one.

        Args:
            key: a model's field, or a function of the value.
            name: names the topic, with the agent's name; needed with a function.
            topic: Faust's; the name is what counts.
            partitions: of the topic; as many as the topics have that are read before it unless told.

        Raises:
            TopologyError: it is called where nobody could foresee it.
        """
        del key, name, topic, partitions
        return self._foreseen("group_by")

    def items(self) -> AsyncIterator[tuple[Any, V]]:
        """Iterate over keys and values."""
        return _Items()

    def events(self) -> AsyncIterator[Event[V]]:
        """Iterate over events: key, value, timestamp, headers, and where they come from."""
        return _Events()

    async def enumerate(self, start: int = 0) -> AsyncIterator[tuple[int, V]]:
        """Iterate over values with their number, counted from when this agent began."""
        number = start
        async for value in self:
            yield number, value
            number += 1

    def filter(self, predicate: Callable[[V], object]) -> AgentStream[V]:
        """Take the events for whose value `predicate(value)` holds; the others are done at once.

        Args:
            predicate: async or not; before `group_by`, `through` and `combine` it is not async.
        """
        if self._prologue:
            return self._foreseen("filter")
        from pipeline.agents.derived import FilteredStream  # noqa: PLC0415 - made of one another

        return FilteredStream(self, predicate)

    def echo(self, *channels: Any) -> AgentStream[V]:
        """Take the events, each of which is sent to topics, agents or channels before; Faust's.

        It is called after `group_by`, `through` and `combine`: those are part of the topology, this is not.

        Raises:
            TopologyError: nothing can be sent to one of them, or one of the three comes after it.
        """
        for channel in channels:
            _send_of(channel)
        from pipeline.agents.derived import EchoedStream  # noqa: PLC0415 - made of one another

        return EchoedStream(self, channels)

    async def take(self, n: int, within: timedelta | float | None = None) -> AsyncIterator[list[V]]:
        """Iterate over batches of up to `n` values.

        The events of a batch are done when the agent asks for the next batch.

        Args:
            n: a batch has no more values.
            within: a batch that is not full is handed over so long after its first event (a timedelta,
                or seconds; by the worker's clock); None: it waits until it is full. A commit in a task with
                stores, or with exactly-once, ends a batch early.

        Raises:
            ValueError: `n` is not positive.
        """
        async for events in self.take_events(n, within):
            yield [event.value for event in events]

    async def take_with_timestamp(
        self, n: int, within: timedelta | float | None = None, timestamp_field_name: str = "timestamp"
    ) -> AsyncIterator[list[Any]]:
        """Iterate over batches of values that are mappings, each with its time in seconds; see `take`."""
        async for events in self.take_events(n, within):
            yield [{**event.value, timestamp_field_name: event.timestamp / 1_000} for event in events]  # type: ignore[dict-item]

    async def take_events(
        self, n: int, within: timedelta | float | None = None
    ) -> AsyncIterator[list[Event[V]]]:
        """Iterate over batches of events; see `take`."""
        if n < 1:
            raise ValueError(f"take({n}): a batch has at least one value")
        within_s = within.total_seconds() if isinstance(within, timedelta) else within
        begin, more = NEXT, Request(acknowledges=False, within_s=within_s)
        while True:
            first = await self.ask(begin)
            assert first is not None  # noqa: S101 - only who set a deadline is told of one
            batch = [first]
            while len(batch) < n and (event := await self.ask(more)) is not None:
                batch.append(event)
            yield batch
