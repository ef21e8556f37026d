"""One agent by itself, for a test: events go in, what it yields comes out; its tables are there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

from pipeline.actors.prologue import Ground
from pipeline.actors.topic import Topic, pairs_of
from pipeline.config import StreamsConfig
from pipeline.dsl.builder import StreamsBuilder
from pipeline.dsl.stream import KStream
from pipeline.record import Headers
from pipeline.serde import Serde
from pipeline.topology import Topology

if TYPE_CHECKING:
    from pipeline.testing.driver import TopologyTestDriver


class Runnable(Protocol):
    """An agent."""

    name: str

    def runs_on(self, taken: KStream[Any, Any], ground: Ground) -> KStream[Any, Any]:
        """Run it on a stream, and return what it yields."""
        ...

    def declare_tables(self, builder: StreamsBuilder) -> None:
        """Declare the global tables that its code uses."""
        ...


class TestOwner(Protocol):
    """What a test needs of the agent's application."""

    @property
    def streams_config(self) -> StreamsConfig:
        """The engine's settings."""
        ...

    @property
    def topics_declared(self) -> Mapping[str, Topic]:
        """The topics that the agent can write to."""
        ...


class Put(NamedTuple):
    """An event that was put in."""

    partition: int
    offset: int

    @property
    def message(self) -> Put:
        """The same; Faust's way to the offset."""
        return self


class _Declared(NamedTuple):
    topology: Topology
    streams_config: StreamsConfig


class _Alone:
    """Implements `Ground`: the agent's own topic, and no other stream that it takes beside it."""

    def __init__(self, builder: StreamsBuilder, owner: TestOwner) -> None:
        self._builder, self._owner = builder, owner

    def topic(self, name: str, _key: Serde[Any] | None, _value: Serde[Any] | None) -> Topic:
        return self._owner.topics_declared[name]

    def read(self, topic: Topic) -> KStream[Any, Any]:
        return self._builder.stream(topic.get_topic_name(), key=topic.key, value=topic.value)

    def others(self, _streams: Iterable[KStream[Any, Any]]) -> list[KStream[Any, Any]]:
        return []


class AgentTest:
    """Runs one agent on `TopologyTestDriver`; a context manager, with `async with` as with `with`.

    ```
    async with agent.test_context() as tested:
        event = await tested.put(Order("a", 3), key="a")
        assert tested.results[event.offset] == 3
    ```

    Its sinks are not written to. An agent that awaits is stepped while the test puts, and when the driver's
    clock is moved.

    Args:
        agent: the agent.
        topic: what it reads.
        owner: its application.

    Attributes:
        results: what it yielded last, by the offset of the event.
        yielded: all that it yielded, in order.
        driver: for its tables (`driver.store`), for what it sent (`driver.output_topic`), for the clock.
    """

    __test__ = False  # no class of tests, whatever its name

    def __init__(self, agent: Runnable, topic: Topic, owner: TestOwner) -> None:
        self._agent, self._topic, self._owner = agent, topic, owner
        self.results: dict[int, Any] = {}
        self.yielded: list[Any] = []
        self.driver: TopologyTestDriver
        self._put = 0

    def __enter__(self) -> Self:
        from pipeline.testing.driver import TopologyTestDriver  # noqa: PLC0415 - a test's, not a worker's

        config = self._owner.streams_config
        builder = StreamsBuilder(config.application_id)
        self._agent.declare_tables(builder)
        name = self._topic.get_topic_name()
        source = builder.stream(name, key=self._topic.key, value=self._topic.value)
        self._agent.runs_on(source, _Alone(builder, self._owner)).agent(
            self._collect, name=f"{self._agent.name}-results"
        )
        topics = [each for each in self._owner.topics_declared if each != name]
        declared = _Declared(builder.build(), config)
        self.driver = TopologyTestDriver(declared, topics=topics)
        return self

    async def _collect(self, stream: Any) -> None:
        async for event in stream.events():
            self.results[event.offset] = event.value
            self.yielded.append(event.value)

    async def put(
        self,
        value: Any = None,
        *,
        key: Any = None,
        timestamp: float | None = None,
        headers: Headers | Mapping[str, bytes] | None = None,
    ) -> Put:
        """Put an event in, and have it processed.

        Args:
            value: the value.
            key: the key.
            timestamp: its time, in seconds since the epoch; the driver's clock unless told.
            headers: its headers.

        Raises:
            UnhandledRecordError: the agent failed on it.
        """
        time_ms = self.driver.clock.now_ms() if timestamp is None else round(timestamp * 1_000)
        key_bytes, value_bytes = self._topic.encoded(key, value)
        self.driver.pipe(self._topic.get_topic_name(), key_bytes, value_bytes, time_ms, pairs_of(headers))
        self._put += 1
        return Put(0, self._put - 1)

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Iterate over what it yielded so far."""
        for value in list(self.yielded):
            yield value

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.driver.__exit__(kind, error, trace)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)
