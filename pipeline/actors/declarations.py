"""What an application declares as Faust does: topics, agents, tables."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from inspect import isfunction
from typing import Any, TypeAlias

from pipeline.actors.agent import Agent, Sink
from pipeline.actors.asking import Asker
from pipeline.actors.channel import MAXSIZE, Channel, ChannelAgent
from pipeline.actors.models import type_of
from pipeline.actors.outbox import Outbox
from pipeline.actors.set_table import SetTable
from pipeline.actors.table import Table
from pipeline.actors.topic import Topic, TopicOptions
from pipeline.actors.window_table import WindowedTable
from pipeline.config import StreamsConfig
from pipeline.dsl.builder import StreamsBuilder
from pipeline.dsl.stream import KStream
from pipeline.errors import OutsideAgentError, TopologyError
from pipeline.record import Headers
from pipeline.runtime.broker import Broker
from pipeline.runtime.queries import StoreRegistry
from pipeline.serde import Serde
from pipeline.topology import declaration_site

#: Of the topic of an agent that names none; Faust's default.
_PARTITIONS = 8

#: `Table` is a method below.
_DeclaredTable: TypeAlias = Table[Any, Any]


class Declarations:
    """`app.topic`, `app.agent`, `app.Table`: objects of the application's one topology."""

    _outbox: Outbox | None = None
    _asker: Asker | None = None
    #: What topics are declared with that do not say it themselves.
    _key_serializer: Any = None
    _value_serializer: Any = None
    _partitions = _PARTITIONS

    def declare_defaults(
        self, *, key_serializer: Any = None, value_serializer: Any = None, topic_partitions: int | None = None
    ) -> None:
        """Say what topics are declared with that do not say it themselves.

        Args:
            key_serializer: of keys without a type: `raw`, `text`, or `json`.
            value_serializer: of values without a type, likewise.
            topic_partitions: of the topics of agents that name none.

        Raises:
            TopologyError: there is no such serializer.
        """
        type_of(None, key_serializer), type_of(None, value_serializer)
        self._key_serializer, self._value_serializer = key_serializer, value_serializer
        if topic_partitions is not None:
            self._partitions = topic_partitions

    @property
    def builder(self) -> StreamsBuilder:
        """What was declared so far."""
        raise NotImplementedError

    def stream(self, topic: Any, *, key: Any, value: Any) -> KStream[Any, Any]:
        """Read topics as a stream."""
        return self.builder.stream(topic, key=key, value=value)

    def make_broker(self) -> Broker:
        """Return where records are read from and written to."""
        raise NotImplementedError

    @property
    def streams_config(self) -> StreamsConfig:
        """The engine's settings."""
        raise NotImplementedError

    @property
    def address(self) -> str:
        """Where this process can be reached over HTTP."""
        raise NotImplementedError

    @property
    def agents_declared(self) -> dict[str, Agent]:
        """The agents by name."""
        found: dict[str, Agent] = self.__dict__.setdefault("_agents_declared", {})
        return found

    @property
    def topics_declared(self) -> dict[str, Topic]:
        """The topics by name."""
        found: dict[str, Topic] = self.__dict__.setdefault("_topics_declared", {})
        return found

    @property
    def tables_declared(self) -> dict[str, Table[Any, Any]]:
        """The tables by name."""
        found: dict[str, Table[Any, Any]] = self.__dict__.setdefault("_tables_declared", {})
        return found

    def topic(
        self,
        *topics: str,
        pattern: str | re.Pattern[str] | None = None,
        key_type: Any = None,
        value_type: Any = None,
        key_serializer: Any = None,
        value_serializer: Any = None,
        partitions: int | None = None,
        retention: timedelta | float | None = None,
        compacting: bool | None = None,
        deleting: bool | None = None,
        replicas: int | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> Topic:
        """Declare a topic, or several of one shape.

        Args:
            topics: names.
            pattern: a regular expression of whole names, in place of names.
            key_type: of the keys; None: bytes.
            value_type: of the values (a `faust.Record`, a msgspec Struct, a dataclass, `str`, ...); None: any
                JSON.
            key_serializer: of keys without a type: `raw`, `text`, or `json`.
            value_serializer: of values without a type, likewise.
            partitions: if the topic does not exist, it is made with so many; None: it must exist.
            retention: how long records are kept, then.
            compacting: whether the last record of each key is kept, then.
            deleting: whether records are deleted by age, then.
            replicas: how many copies there are, then.
            config: further settings of the topic, then.

        Raises:
            TopologyError: a name or a type cannot be used.
        """
        if bool(topics) == (pattern is not None):
            raise TopologyError(f"topic at {declaration_site()} takes names, or pattern=")
        options = TopicOptions(partitions, retention, compacting, deleting, replicas, config)
        names = topics if pattern is None else re.compile(pattern)
        topic = Topic(
            self,
            names,
            key_type=type_of(key_type, key_serializer or self._key_serializer),
            value_type=type_of(value_type, value_serializer or self._value_serializer),
            options=options,
        )
        self.topics_declared.update(dict.fromkeys(topic.topics, topic))
        for declared in topic.declared():
            self.builder.declare_topic(declared)
        return topic

    def agent(
        self,
        channel: str | Topic | KStream[Any, Any] | Channel | None = None,
        *,
        name: str | None = None,
        concurrency: int = 1,
        sink: Iterable[Sink] = (),
        tables: Iterable[Table[Any, Any] | WindowedTable] = (),
        key_type: Any = None,
        value_type: Any = None,
        yields: Any = None,
        help: str = "",  # noqa: A002 - Faust's name for it
    ) -> Callable[[Callable[[Any], Any]], Agent]:
        """Declare a coroutine as an agent: a decorator.

        Args:
            channel: a topic, its name, a stream of the DSL, or a channel; None: a topic of its own, named
                `<application>-<name>`.
            name: the function's name unless told.
            concurrency: so many instances take events of different keys at once.
            sink: where what it yields goes: topics, agents, functions.
            tables: tables that its code uses and does not name; see `pipeline.actors.code`.
            key_type: of the keys, of a topic given by name, or of its own.
            value_type: of the values, likewise.
            yields: of the values that it yields, where the DSL or a sink given by name needs to know.
            help: what it is for; the first line of its docstring unless told.

        Raises:
            TopologyError: one of these cannot be used.
        """
        if isfunction(channel):
            raise TopologyError(
                f"agent at {declaration_site()}: write @app.agent(), or @app.agent(topic): it is to be called"
            )

        def declared(function: Callable[[Any], Any]) -> Agent:
            known_as = name or getattr(function, "__qualname__", repr(function)).rpartition("<locals>.")[2]
            if isinstance(channel, Channel):
                if tables:
                    raise TopologyError(
                        f"agent {known_as!r} at {declaration_site()}: an agent of a channel has no tables: "
                        "have it send to an agent of a topic"
                    )
                return self._beside(
                    ChannelAgent(function, channel, name=known_as, concurrency=concurrency, help=help), sink
                )
            agent = Agent(
                self,
                function,
                self._source(channel, known_as, key_type, value_type),
                name=known_as,
                concurrency=concurrency,
                tables=tables,
                value_type=yields,
                help=help,
            )
            for each in sink:
                agent.add_sink(each)
            self.agents_declared[known_as] = agent
            return agent

        return declared

    def _beside(self, agent: ChannelAgent, sinks: Iterable[Sink]) -> Agent:
        """Have an agent of a channel run beside the engine."""
        for each in sinks:
            agent.add_sink(self.topic(each) if isinstance(each, str) else each)
        self.agents_declared[agent.name] = agent
        self.background(agent.run)
        return agent

    def background(self, function: Callable[[], Awaitable[None]]) -> None:
        """Have a coroutine run beside the engine, once that runs."""
        raise NotImplementedError

    def channel(self, *, maxsize: int = MAXSIZE, key_type: Any = None, value_type: Any = None) -> Channel:
        """Make a channel: values from one part of the process to another, in memory; see `Channel`.

        Args:
            maxsize: so many events wait in it; whoever sends one more waits.
            key_type: Faust's; values stay as they are.
            value_type: likewise.

        Raises:
            TopologyError: `maxsize` is not positive.
        """
        del key_type, value_type
        return Channel(maxsize)

    #: Faust's older name for it.
    actor = agent

    def send(
        self,
        channel: str | Topic | Agent,
        key: Any = None,
        value: Any = None,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: Headers | Mapping[str, bytes] | None = None,
    ) -> Awaitable[None]:
        """Write an event to a topic, by its name, too, or to an agent's; see `Topic.send`."""
        to = self.topics_declared.get(channel) or self.topic(channel) if isinstance(channel, str) else channel
        return to.send(key=key, value=value, partition=partition, timestamp=timestamp, headers=headers)

    def _source(
        self, channel: str | Topic | KStream[Any, Any] | None, name: str, key_type: Any, value_type: Any
    ) -> Topic | KStream[Any, Any]:
        if channel is None:
            own = f"{self.builder.application_id}-{name}"
            return self.topic(own, key_type=key_type, value_type=value_type, partitions=self._partitions)
        if isinstance(channel, str):
            return self.topic(channel, key_type=key_type, value_type=value_type)
        if not isinstance(channel, Topic | KStream):
            raise TopologyError(
                f"agent {name!r} at {declaration_site()} takes a topic, its name or a stream, not {channel!r}"
            )
        if key_type is not None or value_type is not None:
            whose, given = (
                ("topic", "key_type=, value_type=")
                if isinstance(channel, Topic)
                else ("stream", "key=, value=")
            )
            raise TopologyError(
                f"agent {name!r} at {declaration_site()}: its {whose} says what its types are: give them to "
                f"app.{whose}(..., {given})"
            )
        return channel

    def Table(  # noqa: N802 - Faust's name for it
        self,
        name: str,
        *,
        default: Callable[[], Any] | None = None,
        key_type: Any = None,
        value_type: Any = None,
        on_recover: Callable[[], Any] | None = None,
        on_window_close: Callable[[Any, Any], Any] | None = None,
        help: str = "",  # noqa: A002 - Faust's name for it
    ) -> Table[Any, Any]:
        """Declare a table that agents read and write as a dictionary; see `pipeline.actors.table.Table`."""
        table: Table[Any, Any] = Table(
            self,
            name,
            default=default,
            key_type=key_type,
            value_type=value_type,
            on_recover=on_recover,
            on_window_close=on_window_close,
            help=help,
        )
        self._declare_table(table)
        return table

    def SetTable(  # noqa: N802 - Faust's name for it
        self,
        name: str,
        *,
        key_type: Any = None,
        value_type: Any = None,
        on_recover: Callable[[], Any] | None = None,
        help: str = "",  # noqa: A002 - Faust's name for it
    ) -> SetTable:
        """Declare a table whose values are sets: `table[key].add(value)`; see `SetTable`."""
        table = SetTable(
            self, name, key_type=key_type, value_type=value_type, on_recover=on_recover, help=help
        )
        self._declare_table(table)
        return table

    def derived_topic(self, name: str, key: Serde[Any] | None, value: Serde[Any] | None) -> Topic:
        """Declare a topic by its name alone, for what a stream holds; it is made unless it exists.

        Raises:
            TopologyError: nobody knows what it holds.
        """
        if key is None or value is None:
            raise TopologyError(
                f"topic {name!r} at {declaration_site()}: what the stream before it holds is not known: "
                "declare it, with app.topic(name, key_type=, value_type=)"
            )
        return self.topic(name, key_type=key, value_type=value, partitions=self._partitions)

    def _declare_table(self, table: _DeclaredTable) -> None:
        known = self.tables_declared.setdefault(table.name, table)
        if known is not table:
            raise TopologyError(
                f"table name {table.name!r} is used twice: at {known.site} and at {table.site}"
            )

    @property
    def store_registry(self) -> StoreRegistry:
        """The stores of this process's worker.

        Raises:
            OutsideAgentError: no worker runs in this process.
        """
        engine = self.__dict__.get("engine")
        if engine is None:
            raise OutsideAgentError("no worker runs in this process whose tables could be read")
        registry: StoreRegistry = engine.stores
        return registry

    @property
    def asker(self) -> Asker:
        """Asks agents, and hears their answers; made for the first question."""
        if self._asker is None:
            config = self.streams_config
            self._asker = Asker(
                self.make_broker(),
                config.application_id,
                self.address,
                config.max_asks,
                config.ask_timeout_ms / 1_000,
            )
        return self._asker

    def write(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        timestamp: int,
        headers: Headers,
    ) -> Awaitable[None]:
        """Write a record from outside of agents; done when it is acknowledged."""
        if self._outbox is None:
            self._outbox = Outbox(self.make_broker())
        return self._outbox.write(topic, value, key, partition, timestamp, headers)

    def close_clients(self) -> None:
        """Close what was written with outside of agents."""
        outbox, self._outbox = self._outbox, None
        asker, self._asker = self._asker, None
        if outbox is not None:
            outbox.close()
        if asker is not None:
            asker.close()
