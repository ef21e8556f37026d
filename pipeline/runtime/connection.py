"""What a worker has once it has found its broker and its topics, and how it comes by it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Literal, NamedTuple, TypeAlias

from pipeline.clock import Clock
from pipeline.config import StreamsConfig
from pipeline.plan.planner import Plan
from pipeline.plan.serdes import prepare_serdes
from pipeline.record import TaskId
from pipeline.runtime.broker import Admin, Broker, Consumer
from pipeline.runtime.chosen_topics import chosen_counts
from pipeline.runtime.commit import Committer
from pipeline.runtime.environment import TaskEnvironment
from pipeline.runtime.global_state import GlobalState, open_global_stores
from pipeline.runtime.metrics.recorder import Recorder
from pipeline.runtime.pattern_topics import PatternTopics
from pipeline.runtime.producer import Producer, TransactionalProducer
from pipeline.runtime.purge import Purge
from pipeline.runtime.queries import StoreRegistry
from pipeline.runtime.restore import Restoration
from pipeline.runtime.restore_progress import RestoreProgress
from pipeline.runtime.rewinds import Rewinds
from pipeline.runtime.stale_stores import StaleStores
from pipeline.runtime.standby import Standbys
from pipeline.runtime.stores import Engines
from pipeline.runtime.task_manager import TaskManager
from pipeline.runtime.topic_check import TopicCheck
from pipeline.runtime.topics import prepare_topics, task_count
from pipeline.state.provider import StoreProvider

State: TypeAlias = Literal["connecting", "rebalancing", "restoring", "running", "stopped"]


class Connection(NamedTuple):
    """What a worker has that has found its broker and its topics; closed in the opposite order.

    It joins the group when global tables are loaded: until then, whoever has the partitions keeps them.
    """

    topics: tuple[str, ...]
    admin: Admin
    globals: GlobalState
    consumer: Consumer
    producer: Producer
    environment: TaskEnvironment
    tasks: TaskManager
    standbys: Standbys | None
    progress: RestoreProgress
    stale: StaleStores
    opened: ExitStack

    @property
    def state(self) -> State:
        """What it is doing as a whole."""
        if not self.globals.loaded:
            return "restoring"
        return self.tasks.state

    def join(self) -> None:
        """Become a member of the group, unless there is nothing to share."""
        self.consumer.subscribe(self.topics, self.tasks)

    def held(self) -> set[TaskId]:
        """Return the tasks that are run here, or of which copies are kept here."""
        return self.tasks.held().union(() if self.standbys is None else self.standbys.tasks)

    def keep_house(self, now_ms: int) -> int:
        """Follow other workers' stores, and remove stale ones; return how much there was to do."""
        if self.tasks.state == "rebalancing":
            return 0
        followed = 0 if self.standbys is None else self.standbys.step(self.tasks.held, now_ms)
        return followed + self.stale.step(self.held, now_ms)


class Connector:
    """Connects a worker: finds the broker, prepares topics, opens what it works with.

    Args:
        patterns: the plan for the topics that match now.
        config: settings.
        broker: where records come from and go to.
        clock: wall-clock time.
        stores: opens state stores.
        client_id: what the broker shows this member as.
        registry: where stores are shown to queries.
        recorder: counts and measures.
        purge: deletes what was consumed of repartition topics.
        rewinds: how often records were done again.
    """

    def __init__(
        self,
        patterns: PatternTopics,
        config: StreamsConfig,
        broker: Broker,
        clock: Clock,
        stores: StoreProvider,
        client_id: str,
        registry: StoreRegistry,
        recorder: Recorder,
        purge: Purge,
        rewinds: Rewinds,
    ) -> None:
        self._patterns, self._config, self._broker, self._clock = patterns, config, broker, clock
        self._stores, self._client_id, self._registry, self._recorder = stores, client_id, registry, recorder
        self._purge, self._rewinds = purge, rewinds
        self._topic_check = TopicCheck(broker.address, config)

    def connect(self, now_ms: int) -> Connection:
        """Return what the worker works with; it has not joined the group.

        Raises:
            BrokerUnreachableError: no broker answers, or no schema registry.
            StreamsError: the topology does not fit the topics, or a store cannot be opened.
        """
        config, broker, registry = self._config, self._broker, self._registry
        with ExitStack() as opened:
            admin = broker.admin()
            opened.callback(admin.close)
            plan = self._patterns.plan(admin, now_ms)
            prepare_serdes(plan.nodes)
            counts = prepare_topics(plan, config, admin, self._topic_check)
            self._tell_partitions(plan, counts)
            transactions = self._transactions()
            producer = transactions or broker.producer(self._client_id)
            opened.callback(producer.close)
            consumer = broker.consumer(config.application_id, self._client_id)
            opened.callback(consumer.close)
            progress = RestoreProgress(self._clock)
            restoration = Restoration(
                broker.reader(), registry, self._recorder.counters, progress, config.restore_records
            )
            opened.callback(restoration.close)
            engines = Engines(self._stores, config, self._clock)
            global_stores = open_global_stores(plan, engines, config, opened)
            environment = TaskEnvironment(
                plan,
                config,
                self._clock,
                producer,
                self._recorder,
                chosen_counts(admin, counts),
                {name: store.rows for name, store in global_stores.items()},
                self._purge,
                self._rewinds,
                transactions,
            )
            followed = broker.reader()
            opened.callback(followed.close)
            global_state = GlobalState(
                global_stores.values(), environment, admin, followed, registry, counts, progress
            )
            opened.callback(global_state.close)
            standbys = self._standbys(environment, consumer, admin, engines, counts, opened)
            committer = self._committer(environment, consumer, admin, opened)
            tasks = TaskManager(
                environment, consumer, admin, engines, restoration, registry, counts, committer, standbys
            )
            opened.callback(environment.close)
            opened.callback(tasks.abandon)
            clients = (tuple(tasks.topics), admin, global_state, consumer, producer, environment)
            stale = StaleStores(self._stores, config)
            return Connection(*clients, tasks, standbys, progress, stale, opened.pop_all())

    def _committer(
        self, environment: TaskEnvironment, consumer: Consumer, admin: Admin, opened: ExitStack
    ) -> Committer:
        background = self._broker.background(self._client_id)
        opened.callback(background.close)
        return Committer(environment, consumer, admin, background)

    def _standbys(
        self,
        environment: TaskEnvironment,
        consumer: Consumer,
        admin: Admin,
        engines: Engines,
        counts: dict[str, int],
        opened: ExitStack,
    ) -> Standbys | None:
        if not self._config.standby_replicas:
            return None
        reader = self._broker.reader()
        opened.callback(reader.close)
        standbys = Standbys(environment, consumer, admin, reader, engines, counts)
        opened.callback(standbys.close)
        return standbys

    def _tell_partitions(self, plan: Plan, counts: dict[str, int]) -> None:
        for sub in plan.subtopologies:
            for store in sub.stores:
                if tasks_of_all := task_count(sub, counts):
                    self._registry.partitioned(store.name, tasks_of_all)
        for table in plan.global_tables:
            self._registry.partitioned(table.store.name, 1)

    def _transactions(self) -> TransactionalProducer | None:
        if not self._config.exactly_once:
            return None
        # The same after a restart: what this worker left open when it crashed is aborted at once.
        identity = f"{self._config.application_id}-{self._stores.identity}"
        timeout_ms = self._config.transaction_timeout_ms
        return self._broker.transactional_producer(self._client_id, identity, timeout_ms)
