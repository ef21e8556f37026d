"""Agents as objects of an application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, ClassVar, Protocol, TypeAlias

from pipeline.absent import Absent, instead
from pipeline.actors.agent_test import AgentTest
from pipeline.actors.asking import Asker, answer_of
from pipeline.actors.asking_many import Values, answers, in_order
from pipeline.actors.code import AnyTable, tables_of
from pipeline.actors.models import REVIVED, value_serde_of
from pipeline.actors.prologue import Ground, prologue_of
from pipeline.actors.table import Table
from pipeline.actors.topic import Topic, pairs_of
from pipeline.actors.window_table import WindowedTable, closing_of
from pipeline.agents.scope import in_agent
from pipeline.config import StreamsConfig
from pipeline.dsl.builder import StreamsBuilder
from pipeline.dsl.stream import KStream
from pipeline.errors import AskError, TopologyError
from pipeline.record import Headers
from pipeline.serde import Serde, for_topic
from pipeline.topology import Uses, declaration_site, describe_function


class Puttable(Protocol):
    """A channel."""

    async def put(self, value: Any) -> None:
        """Put a value in."""
        ...


#: Where what an agent yields goes: a topic, another agent, a channel, or a function of the value.
Sink: TypeAlias = "Topic | Agent | Puttable | str | Callable[[Any], Any]"


class AgentOwner(Protocol):
    """What an agent needs of its application."""

    @property
    def asker(self) -> Asker:
        """Asks agents, and hears their answers."""
        ...

    @property
    def streams_config(self) -> StreamsConfig:
        """The engine's settings."""
        ...

    @property
    def topics_declared(self) -> Mapping[str, Topic]:
        """The topics that can be written to."""
        ...

    def derived_topic(self, name: str, key: Serde[Any] | None, value: Serde[Any] | None) -> Topic:
        """Declare a topic by its name alone, for what a stream holds.

        Raises:
            TopologyError: nobody knows what it holds.
        """
        ...


class Agent(Absent):
    """A coroutine that takes the events of a topic, or of a stream. Made by `@app.agent`.

    Attributes:
        name: names it in errors, in `describe` and in `faust agents`.
        fun: the user's function.
        topic: what it is sent to; None if it reads a stream of the DSL.
        stream: what it yields, as a stream of the DSL.
    """

    INSTEAD: ClassVar[Mapping[str, str]] = instead(
        ask_nowait="await ask(), or send() where no answer is wanted",
        channel__channel_iterator__get_topic_names="ask for its topic: agent.topic",
        cancel="stop the worker; an agent lives as long as its task",
        clone__actor_from_stream__info="declare another agent: app.agent(...)(agent.fun)",
        actor_tracebacks__traceback="a worker that hangs at its end says where it is",
        on_partitions_assigned__on_partitions_revoked=(
            "an agent is started for each task, and begins anew with it; tables have on_recover"
        ),
        on_isolated_partitions_assigned__on_isolated_partitions_revoked=(
            "every partition has an instance of its own: that is always so"
        ),
        on_shared_partitions_assigned__on_shared_partitions_revoked="no instance is shared by partitions",
    )

    def __init__(
        self,
        owner: AgentOwner,
        function: Callable[[Any], Any],
        source: Topic | KStream[Any, Any],
        *,
        name: str,
        concurrency: int = 1,
        tables: Iterable[AnyTable] = (),
        value_type: Any = None,
        help: str = "",  # noqa: A002 - Faust's name for it
    ) -> None:
        self.site = declaration_site()
        self.name, self.fun, self.concurrency = name, function, concurrency
        self.help = help or (function.__doc__ or "").strip().partition("\n")[0]
        self.topic = source if isinstance(source, Topic) else None
        self.sinks: list[Any] = []
        self._owner, self._tables = owner, tuple(tables)
        self._yields = value_serde_of(value_type, REVIVED)
        self._answers = for_topic(self._yields, f"{name}-answer", is_key=False)
        self._prologue = prologue_of(function, name)
        taken = source.stream() if isinstance(source, Topic) else source
        self.stream = self.runs_on(taken, _Application(owner))

    def runs_on(self, taken: KStream[Any, Any], ground: Ground) -> KStream[Any, Any]:
        """Run the agent on a stream, and return what it yields; its topology does that, and its tests."""
        for step in self._prologue:
            taken = step.follow(taken, self.name, ground)
        return taken.agent(
            self.fun,
            name=self.name,
            concurrency=self.concurrency,
            value=self._yields,
            uses=self._uses,
            prologue=len(self._prologue),
            answers=self._encode_answer,
        )

    def declare_tables(self, builder: StreamsBuilder) -> None:
        """Declare the global tables that its code uses once more, for a test of it."""
        for table in tables_of(*self._tables, self.fun).values():
            if isinstance(table, Table) and table.is_global:
                builder.written_table(table.spec, 1)

    def test_context(self) -> AgentTest:
        """Return the agent alone, in memory, for a test: put events in, and see what it yields.

        Raises:
            TopologyError: it reads a stream; `TopologyTestDriver` runs its application.
        """
        return AgentTest(self, self._topic(), self._owner)

    def _encode_answer(self, value: Any) -> bytes | None:
        return None if value is None else self._answers.serialize(value)

    def _uses(self) -> Uses:
        tables = tables_of(*self._tables, self.fun).values()
        closings = tuple(filter(None, map(closing_of, tables)))
        owners = [table.table if isinstance(table, WindowedTable) else table for table in tables]
        own = [table for table in owners if not table.is_global]
        stores = (*(table.spec for table in own), *(closing.waiting for closing in closings))
        everywhere = tuple(table.name for table in owners if table.is_global)
        recovered = tuple((table.name, call) for table in owners for call in table.recover_callbacks)
        return Uses(stores, closings, recovered, everywhere)

    def add_sink(self, sink: Sink) -> None:
        """Send what it yields to a topic, an agent, a channel or a function, one after the other.

        Raises:
            TopologyError: nothing can be sent there.
        """
        self.sinks.append(sink)
        if isinstance(sink, str):
            self.stream.to(sink)
        elif callable(put := getattr(sink, "put", None)):
            self.stream.agent(_calling(put), name=f"{self.name}-sink-{len(self.sinks)}")
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
        headers: Headers | Mapping[str, bytes] | None = None,
    ) -> Awaitable[None]:
        """Write an event to the agent's topic; see `Topic.send`."""
        return self._topic().send(
            key=key, value=value, partition=partition, timestamp=timestamp, headers=headers
        )

    async def cast(
        self,
        value: Any = None,
        *,
        key: Any = None,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: Headers | Mapping[str, bytes] | None = None,
    ) -> None:
        """Write an event to the agent's topic, and expect no answer; see `Topic.send`."""
        await self.send(key=key, value=value, partition=partition, timestamp=timestamp, headers=headers)

    async def ask(
        self,
        value: Any = None,
        *,
        key: Any = None,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: Headers | Mapping[str, bytes] | None = None,
    ) -> Any:
        """Write an event to the agent's topic, and return what the agent yields for it first.

        From views, timers, tasks, and from the code of other agents, whose task alone waits. The question
        is written at once, and comes again if an agent that asks it does its event again. An agent that
        shares its task with whoever asks it cannot answer: that task waits.

        Args:
            value: the value.
            key: the key.
            partition: its partition; by the key unless told.
            timestamp: its time, in seconds since the epoch; now unless told.
            headers: its headers, beside those that make it a question.

        Raises:
            AskError: there was no answer in time (`ask_timeout`), or too many are waited for (`max_asks`);
                or an agent asks with exactly-once: the answer would come when its own transaction ends.
            TopologyError: the agent reads a stream.
        """
        topic = self._askable()

        def write(question: Headers) -> Awaitable[None]:
            return topic.post(
                key=key,
                value=value,
                partition=partition,
                timestamp=timestamp,
                headers=(*pairs_of(headers), *question),
            )

        return answer_of(await self._owner.asker.ask(self, write), self._yields.deserialize)

    def map(self, values: Values[Any], *, key: Any = None) -> AsyncIterator[Any]:
        """Ask for every value; iterate over the answers as they come.

        Args:
            values: the values; the iterable may be an asynchronous one.
            key: of all of them.
        """
        self._askable()
        return answers(lambda value: self.ask(value, key=key), values, self._owner.asker.limit)

    def kvmap(self, items: Values[tuple[Any, Any]]) -> AsyncIterator[Any]:
        """Ask for every pair of key and value; iterate over the answers as they come."""
        self._askable()
        return answers(lambda item: self.ask(item[1], key=item[0]), items, self._owner.asker.limit)

    async def join(self, values: Values[Any], *, key: Any = None) -> list[Any]:
        """Ask for every value; return the answers in the order of the values."""
        self._askable()
        return await in_order(lambda value: self.ask(value, key=key), values, self._owner.asker.limit)

    async def kvjoin(self, items: Values[tuple[Any, Any]]) -> list[Any]:
        """Ask for every pair of key and value; return the answers in the order of the pairs."""
        self._askable()
        return await in_order(lambda item: self.ask(item[1], key=item[0]), items, self._owner.asker.limit)

    def _askable(self) -> Topic:
        if in_agent() and self._owner.streams_config.exactly_once:
            raise AskError(
                f"{self} cannot be asked by an agent with exactly-once: the answer comes when the "
                "transaction is committed, and that waits for whoever asks. Yield to it (sink=[...]), or send"
            )
        return self._topic()

    def _topic(self) -> Topic:
        if self.topic is None:
            raise TopologyError(f"{self} reads a stream: nothing can be sent to it")
        return self.topic

    def __call__(self, stream: Any) -> Any:
        """Call the function itself, as a test may."""
        return self.fun(stream)

    def __str__(self) -> str:
        return f"agent {self.name} ({describe_function(self.fun)})"


class _Application:
    """Implements `Ground`."""

    def __init__(self, owner: AgentOwner) -> None:
        self._owner = owner

    def topic(self, name: str, key: Serde[Any] | None, value: Serde[Any] | None) -> Topic:
        known = self._owner.topics_declared.get(name)
        return self._owner.derived_topic(name, key, value) if known is None else known

    def read(self, topic: Topic) -> KStream[Any, Any]:
        return topic.stream()

    def others(self, streams: Iterable[KStream[Any, Any]]) -> list[KStream[Any, Any]]:
        return list(streams)


def _calling(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return an agent that calls a function, async or not, with every value."""

    async def sink(stream: Any) -> None:
        async for value in stream:
            called = function(value)
            if isinstance(called, Awaitable):
                await called

    sink.__wrapped__ = function  # type: ignore[attr-defined]  # errors name what the user wrote
    return sink
