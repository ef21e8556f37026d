"""Agents as objects of an application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias

from pipeline.actors.code import tables_of
from pipeline.actors.models import value_serde_of
from pipeline.actors.prologue import regroups_of
from pipeline.actors.table import Table
from pipeline.actors.topic import Topic
from pipeline.dsl.stream import KStream
from pipeline.errors import TopologyError
from pipeline.record import Headers
from pipeline.topology import StoreSpec, declaration_site, describe_function

#: Where what an agent yields goes: a topic, another agent, or a function of the value.
Sink: TypeAlias = "Topic | Agent | str | Callable[[Any], Any]"


class Agent:
    """A coroutine that takes the events of a topic, or of a stream. Made by `@app.agent`.

    Attributes:
        name: names it in errors, in `describe` and in `faust agents`.
        fun: the user's function.
        topic: what it is sent to; None if it reads a stream of the DSL.
        stream: what it yields, as a stream of the DSL.
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        source: Topic | KStream[Any, Any],
        *,
        name: str,
        concurrency: int = 1,
        tables: Iterable[Table[Any, Any]] = (),
        value_type: Any = None,
        help: str = "",  # noqa: A002 - Faust's name for it
    ) -> None:
        self.site = declaration_site()
        self.name, self.fun, self.concurrency = name, function, concurrency
        self.help = help or (function.__doc__ or "").strip().partition("\n")[0]
        self.topic = source if isinstance(source, Topic) else None
        self.sinks: list[Any] = []
        self._tables = tuple(tables)
        taken = source.stream() if isinstance(source, Topic) else source
        regroups = regroups_of(function, name)
        for each in regroups:
            taken = taken.select_key(_by_value(each.read), key=each.key).repartition(
                name=f"{name}-{each.name}"
            )
        self.stream: KStream[Any, Any] = taken.agent(
            function,
            name=name,
            concurrency=concurrency,
            value=value_serde_of(value_type),
            uses=self._stores,
            regroups=len(regroups),
        )

    def _stores(self) -> tuple[StoreSpec, ...]:
        tables = {table.name: table for table in (*self._tables, *tables_of(self.fun))}
        return tuple(table.spec for table in tables.values())

    def add_sink(self, sink: Sink) -> None:
        """Send what it yields to a topic, to another agent, or to a function, one after the other.

        Raises:
            TopologyError: nothing can be sent there.
        """
        self.sinks.append(sink)
        if isinstance(sink, str):
            self.stream.to(sink)
        elif isinstance(sink, Agent):
            self._send_to(sink.topic, sink)
        elif isinstance(sink, Topic):
            self._send_to(sink, sink)
        elif callable(sink):
            self.stream.agent(_calling(sink), name=f"{self.name}-sink-{len(self.sinks)}")
        else:
            raise TopologyError(
                f"agent {self.name!r} at {declaration_site()}: a sink is a topic, an agent or a function, "
                f"not {sink!r}"
            )

    def _send_to(self, topic: Topic | None, sink: object) -> None:
        if topic is None:
            raise TopologyError(
                f"agent {self.name!r} at {declaration_site()}: {sink} reads a stream, so nothing can be sent "
                "to it: give it a topic"
            )
        self.stream.to(topic.get_topic_name(), key=self.stream.key_serde, value=topic.value)

    def send(
        self,
        *,
        key: Any = None,
        value: Any = None,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: Headers | None = None,
    ) -> Awaitable[None]:
        """Write an event to the agent's topic; see `Topic.send`."""
        return self._topic().send(
            key=key, value=value, partition=partition, timestamp=timestamp, headers=headers
        )

    async def cast(self, value: Any = None, *, key: Any = None, partition: int | None = None) -> None:
        """Write an event to the agent's topic, and expect no answer."""
        await self._topic().send(key=key, value=value, partition=partition)

    def _topic(self) -> Topic:
        if self.topic is None:
            raise TopologyError(f"{self} reads a stream: nothing can be sent to it")
        return self.topic

    def __call__(self, stream: Any) -> Any:
        """Call the function itself, as a test may."""
        return self.fun(stream)

    def __str__(self) -> str:
        return f"agent {self.name} ({describe_function(self.fun)})"


def _by_value(read: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda _key, value: read(value)


def _calling(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return an agent that calls a function, async or not, with every value."""

    async def sink(stream: Any) -> None:
        async for value in stream:
            called = function(value)
            if isinstance(called, Awaitable):
                await called

    sink.__wrapped__ = function  # type: ignore[attr-defined]  # errors name what the user wrote
    return sink
