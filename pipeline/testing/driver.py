"""`TopologyTestDriver`: any topology, without a broker, as the worker runs it.

The driver is a real worker on the in-memory broker with a clock that stands still: operators,
stores, tasks, commits and repartition topics are those of production. Every record piped in is
processed to the end, commits included, before the call returns; so caching shows only the last
update per record, as with Kafka Streams' driver. Unlike that one, topics have several partitions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from pipeline.clock import ManualClock
from pipeline.config import StreamsConfig
from pipeline.errors import SerdeError, StreamsError
from pipeline.plan.planner import plan
from pipeline.record import NO_HEADERS, Headers
from pipeline.runtime.broker import TopicSpec
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.memory_log import MemoryMessage
from pipeline.runtime.metrics.of_tasks import Sample
from pipeline.runtime.worker import Worker
from pipeline.serde import Serde, SerdeLike, for_topic, serde_for
from pipeline.state.provider import MemoryProvider, StoreProvider
from pipeline.topology import Topology
from pipeline.windows import milliseconds

#: A topology that does not come to rest within so many steps feeds itself.
_MAX_STEPS = 100_000
#: Two: the first idle step may be followed by a commit that forwards more.
_IDLE_STEPS = 2
#: Bytes of a value that an error shows.
_SHOWN = 100


class Declared(Protocol):
    """What has a topology and settings: an `App`."""

    @property
    def topology(self) -> Topology:
        """The topology declared so far."""
        ...

    @property
    def streams_config(self) -> StreamsConfig:
        """The settings it would run with."""
        ...


class OutputRecord(NamedTuple):
    """A record read from an output topic."""

    key: Any
    value: Any
    timestamp: int
    headers: Headers
    partition: int


class TopologyTestDriver:
    """Runs a topology in memory.

    Args:
        topology: a `Topology`, or an `App` that declared one.
        partitions: of every topic, or by topic; 1 for topics not mentioned.
        topics: more topics to create, such as those that a sink chooses for each record, or that match a
            pattern.
        clock_ms: wall-clock time at the start, ms since the epoch.
        stores: where state is kept; in memory unless told.
        settings: fields of `StreamsConfig`, such as `dead_letter`.

    Example:
        with TopologyTestDriver(app, partitions=2) as driver:
            words = driver.input_topic("words", key=str, value=str)
            words.pipe("k", "hello", timestamp=0)
            driver.output_topic("counts", key=str, value=int).read_all()
    """

    def __init__(
        self,
        topology: Topology | Declared,
        *,
        partitions: int | Mapping[str, int] = 1,
        topics: Iterable[str] = (),
        clock_ms: int = 0,
        stores: StoreProvider | None = None,
        **settings: Any,
    ) -> None:
        if isinstance(topology, Topology):
            self._topology, config = topology, StreamsConfig(topology.application_id, Path("unused"))
        else:
            self._topology, config = topology.topology, topology.streams_config
        self._partitions = partitions
        self.clock = ManualClock(clock_ms)
        self.broker = MemoryBroker(self.clock)
        self._stores = stores or MemoryProvider()
        # One record a step: what caches would fold between two commits is seen, each by itself.
        # What went through a repartition topic can be read there, however long the test is.
        own = {"poll_records": 1, "repartition_purge_interval_ms": None}
        self._config = dataclasses.replace(config, **{**own, **settings})
        planned = plan(self._topology)
        self._sources = frozenset(planned.external_sources)
        self._patterns = [
            node.pattern for sub in planned.subtopologies for node in sub.sources if node.pattern is not None
        ]
        self._create(
            planned.external_sources, planned.fixed_sinks, filter(None, (self._config.dead_letter,)), topics
        )
        self._worker = self._start()

    def _create(self, *names: Iterable[str]) -> None:
        topics = {topic for group in names for topic in group}
        self.broker.admin().create_topics(
            [TopicSpec(topic, self._count(topic), {}) for topic in sorted(topics)]
        )

    def _count(self, topic: str) -> int:
        return self._partitions if isinstance(self._partitions, int) else self._partitions.get(topic, 1)

    def _start(self) -> Worker:
        worker = Worker(self._topology, self._config, self.broker, self.clock, self._stores)
        with ExitStack() as started:
            started.callback(worker.abort)
            self._run(worker)
            started.pop_all()
        return worker

    def _run(self, worker: Worker) -> None:
        """Step until nothing moves any more and everything is committed."""
        idle = 0
        for _ in range(_MAX_STEPS):
            idle = 0 if worker.step() else idle + 1
            status = worker.status()
            if status.problem is not None:
                raise StreamsError(f"the in-memory broker failed: {status.problem}")
            if idle >= _IDLE_STEPS and status.state == "running":
                return
            worker.commit()
        raise StreamsError(f"the topology is not at rest after {_MAX_STEPS} steps: does it feed itself?")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self._worker.abort()

    def close(self) -> None:
        """Commit, and close the stores."""
        self._worker.close()

    def create_topic(self, topic: str, partitions: int | None = None) -> None:
        """Create a topic while the topology runs.

        A pattern that it matches takes it in once the wall clock has moved by `metadata_interval_ms`.

        Args:
            topic: its name.
            partitions: as many as the driver was made with, unless told.
        """
        self.broker.create_topic(topic, partitions or self._count(topic))

    def input_topic(self, topic: str, *, key: SerdeLike = str, value: SerdeLike = dict) -> TestInputTopic:
        """Return a topic to pipe records into.

        Args:
            topic: a topic that the topology reads.
            key: how keys are encoded.
            value: how values are encoded; `bytes` to pipe what cannot be decoded.

        Raises:
            KeyError: the topology does not read it.
        """
        if topic not in self._sources and not any(pattern.matches(topic) for pattern in self._patterns):
            reads = ", ".join((*sorted(self._sources), *(pattern.text for pattern in self._patterns)))
            raise KeyError(f"the topology does not read {topic!r}; it reads {reads}")
        key_serde = for_topic(serde_for(key), topic, is_key=True)
        return TestInputTopic(self, topic, key_serde, for_topic(serde_for(value), topic, is_key=False))

    def output_topic(self, topic: str, *, key: SerdeLike = str, value: SerdeLike = dict) -> TestOutputTopic:
        """Return a topic to read records from, internal topics included."""
        return TestOutputTopic(self.broker, topic, serde_for(key), serde_for(value))

    def store(self, name: str, partition: int = 0) -> Any:
        """Return a task's state store, for reading.

        Raises:
            KeyError: the topology has no store of this name with this partition.
        """
        registry = self._worker.registry
        if name not in registry.names():
            raise KeyError(f"no store {name!r}; there are: {', '.join(registry.names())}")
        for task, store in registry.open(name).items():
            if task.partition == partition:
                return store
        raise KeyError(f"store {name!r} has no partition {partition}")

    @property
    def metrics(self) -> Mapping[str, int]:
        """The worker's counters."""
        return self._worker.status().metrics

    @property
    def measured(self) -> Mapping[str, list[Sample]]:
        """What the worker has measured: samples by `group:name` in Kafka, of all that `/metrics` tells."""
        return self._worker.measure().samples

    def pipe(
        self, topic: str, key: bytes | None, value: bytes | None, timestamp: int, headers: Headers
    ) -> None:
        """Write one record as bytes, and process it to the end."""
        producer = self.broker.producer("driver")
        producer.produce(topic, value, key, -1, timestamp, headers)
        producer.flush(0)
        self._run(self._worker)

    def advance_wall_clock(self, by: timedelta) -> None:
        """Move the wall clock; punctuations that become due fire, each once."""
        self.clock.advance(milliseconds(by, "wall-clock advance"))
        self._run(self._worker)

    def restart(self, *, crash: bool = False, stores: StoreProvider | None = None) -> None:
        """Stop the worker and start another one on the same topics.

        Args:
            crash: don't commit first, as if the process had been killed.
            stores: where the new worker keeps state, as if on another machine; the same unless told.
        """
        if crash:
            self._worker.abort()
        else:
            self._worker.close()
        self._stores = stores or self._stores
        self._worker = self._start()


class TestInputTopic:
    """Where a test writes typed records."""

    __test__ = False  # not a test class, whatever its name

    def __init__(self, driver: TopologyTestDriver, topic: str, key: Serde[Any], value: Serde[Any]) -> None:
        self._driver, self._topic, self._key, self._value = driver, topic, key, value

    def pipe(self, key: Any, value: Any, timestamp: int, headers: Headers = NO_HEADERS) -> None:
        """Write one record at `timestamp` (ms), and process it to the end.

        Raises:
            SerdeError: key or value is not of the type that this topic was declared with.
        """
        key_bytes = None if key is None else self._encoded("key", self._key, key)
        value_bytes = None if value is None else self._encoded("value", self._value, value)
        self._driver.pipe(self._topic, key_bytes, value_bytes, timestamp, headers)

    def _encoded(self, part: str, serde: Serde[Any], data: Any) -> bytes:
        try:
            return serde.serialize(data)
        except Exception as error:
            raise SerdeError(
                f"input topic {self._topic}: cannot encode the {part}, of type {type(data).__name__}, as "
                f"{serde.name}: {error}; give input_topic() another {part}="
            ) from error


class TestOutputTopic:
    """Where a test reads typed records from, each once, partition by partition."""

    __test__ = False  # not a test class, whatever its name

    def __init__(self, broker: MemoryBroker, topic: str, key: Serde[Any], value: Serde[Any]) -> None:
        self._broker, self._topic, self._key, self._value = broker, topic, key, value
        self._read: dict[int, int] = {}

    def read_all(self) -> list[OutputRecord]:
        """Return the records written since the last call.

        Raises:
            SerdeError: one holds something else than this topic was declared with.
        """
        records = []
        for message in self._broker.records(self._topic):
            if message.offset < self._read.get(message.partition, 0):
                continue
            self._read[message.partition] = message.offset + 1
            key, value = message.key, message.value
            records.append(
                OutputRecord(
                    None if key is None else self._decoded("key", self._key, key, message),
                    None if value is None else self._decoded("value", self._value, value, message),
                    message.timestamp,
                    tuple(message.headers),
                    message.partition,
                )
            )
        return records

    def _decoded(self, part: str, serde: Serde[Any], data: bytes, message: MemoryMessage) -> Any:
        try:
            return serde.deserialize(data)
        except Exception as error:
            raise SerdeError(
                f"output topic {self._topic}-{message.partition} offset {message.offset}: cannot decode "
                f"the {part}, {data[:_SHOWN]!r}, as {serde.name}: {type(error).__name__}: {error}; give "
                f"output_topic() another {part}="
            ) from error

    def read_values(self) -> list[Any]:
        """Return the values of the records written since the last call."""
        return [record.value for record in self.read_all()]
