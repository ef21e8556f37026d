"""What all tasks of a worker share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from pipeline.agents.loop import AgentLoop
from pipeline.clock import Clock
from pipeline.config import StreamsConfig
from pipeline.plan.planner import Plan
from pipeline.record import TopicPartition
from pipeline.runtime.cache_bound import Cache
from pipeline.runtime.dead_letter import DeadLetters
from pipeline.runtime.failures import Failures
from pipeline.runtime.global_writes import GlobalWrites
from pipeline.runtime.metrics.recorder import Recorder
from pipeline.runtime.partitioner import partition_for
from pipeline.runtime.producer import Producer, TransactionalProducer
from pipeline.runtime.purge import Purge
from pipeline.runtime.rewinds import Rewinds
from pipeline.state.rows import Log


class TaskEnvironment:
    """The plan, the settings, the clock, the producer, and where failures and counts go."""

    def __init__(
        self,
        plan: Plan,
        config: StreamsConfig,
        clock: Clock,
        producer: Producer,
        recorder: Recorder,
        partition_counts: Callable[[str], int],
        global_stores: Mapping[str, Any],
        purge: Purge,
        rewinds: Rewinds,
        transactions: TransactionalProducer | None = None,
    ) -> None:
        self.plan, self.config, self.clock = plan, config, clock
        self.producer, self.recorder, self.counters = producer, recorder, recorder.counters
        #: The producer's, counting.
        self.produce = recorder.traffic.metered(producer.produce, sizes=recorder.enabled)
        #: How often what was in hand may be lost.
        self.rewinds = rewinds
        #: The producer, if it is a transactional one: with exactly-once.
        self.transactions = transactions
        self.failures = Failures(config, DeadLetters(config, self.produce, recorder), recorder)
        self.partition_count = partition_counts
        #: Told what is committed, so that repartition topics do not keep it.
        self.purge = purge
        #: The stores of global tables, by name; and what agents write to them.
        self.global_stores = global_stores
        self.global_writes = GlobalWrites(plan.written_tables, global_stores, self)

    @property
    def caches(self) -> tuple[Cache, ...]:
        """The caches that belong to no task."""
        return (*self.global_stores.values(), self.global_writes)

    def log(self, changelog: TopicPartition, records: Log) -> None:
        """Produce a store's updates, given by key and value, to its changelog."""
        self.producer.log(*changelog, records)
        self.recorder.traffic.log(changelog.topic, records)

    @cached_property
    def agent_loop(self) -> AgentLoop:
        """Where agents await; made for the first that is there."""
        return AgentLoop(self.clock)

    def run_agents(self) -> int:
        """Let agents go on that waited for something which is here now; return how many did."""
        return self.agent_loop.run_once() if self.has_agents else 0

    @property
    def agents_wait(self) -> bool:
        """Whether an agent waits for anything but records."""
        return self.has_agents and self.agent_loop.waiting

    @property
    def has_agents(self) -> bool:
        """Whether a task of this worker has had an agent."""
        return "agent_loop" in self.__dict__

    def close(self) -> None:
        """End what agents have left behind."""
        if self.has_agents:
            self.agent_loop.close()

    def kill(self) -> None:
        """Let go of agents as if the process had been killed."""
        if self.has_agents:
            self.agent_loop.kill()

    def partition_for(self, topic: str, key: bytes) -> int:
        """Return the partition of `topic` that a record with this key goes to."""
        return partition_for(key, self.partition_count(topic))

    def check_topic(self, topic: str) -> None:
        """Raise UnknownTopicError unless the topic exists; it is asked for once."""
        self.partition_count(topic)
