"""The worker: a state machine that polls, restores, processes, punctuates and commits.

`step()` does a bounded amount of work. Broker, clock and stores are passed in: there is no sleep,
no thread and no system clock in here, so the same worker runs on librdkafka, under the
`TopologyTestDriver`, and under simulations of crashes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, get_args

from pipeline.clock import Clock
from pipeline.config import StreamsConfig
from pipeline.errors import (
    BrokerUnreachableError,
    RewindError,
    TopicGoneError,
)
from pipeline.plan.planner import plan as make_plan
from pipeline.record import FIRST_TASK, TaskId
from pipeline.runtime.broker import Broker
from pipeline.runtime.chosen_topics import in_the_middle
from pipeline.runtime.connection import Connection, Connector, State
from pipeline.runtime.metrics.recorder import Recorder
from pipeline.runtime.metrics.snapshot import Snapshot, Snapshots, Sources
from pipeline.runtime.pattern_topics import PatternTopics
from pipeline.runtime.purge import Purge
from pipeline.runtime.queries import StoreRegistry
from pipeline.runtime.recovery import Passing, Recovery
from pipeline.runtime.restore_progress import Restoring
from pipeline.runtime.standby import StandbyStatus
from pipeline.state.provider import StoreProvider
from pipeline.topology import Topology

#: How long `step` waits in poll for records when there is nothing else to do.
IDLE_POLL_S = 0.02
#: Likewise, while agents wait for something else: they are looked after so often.
AGENT_POLL_S = 0.002
#: How often `close` tries the last commit once more; each waits up to `commit.FLUSH_S`.
_LAST_ATTEMPTS = 9


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """How a worker is doing, as of its last step.

    Attributes:
        state: what it is doing.
        address: the broker's address.
        problem: what keeps it from running, None if nothing does.
        tasks: number of tasks that it holds.
        metrics: counters since the start.
        restoring: how far stores are restored, None if none is being restored.
        standbys: what copies of other workers' stores are kept here, None if none are to be.
        leads: whether it has the application's first task, as one worker has at a time.
    """

    state: State
    address: str
    problem: str | None
    tasks: int
    metrics: Mapping[str, int]
    restoring: Restoring | None = None
    standbys: StandbyStatus | None = None
    leads: bool = False


class Worker:
    """Runs the tasks that the group's coordinator gives it.

    Args:
        topology: what to run.
        config: settings.
        broker: where records come from and go to.
        clock: wall-clock time.
        stores: opens state stores.
        client_id: what the broker shows this member as.

    Raises:
        TopologyError: the topology cannot run as declared.
    """

    def __init__(
        self,
        topology: Topology,
        config: StreamsConfig,
        broker: Broker,
        clock: Clock,
        stores: StoreProvider,
        client_id: str = "",
    ) -> None:
        self.plan = make_plan(topology)
        self._patterns = PatternTopics(topology, self.plan, config)
        specs = [spec for sub in self.plan.subtopologies for spec in sub.stores]
        self.registry = StoreRegistry([*specs, *(table.store for table in self.plan.global_tables)])
        self._config, self._broker, self._clock, self._stores = config, broker, clock, stores
        self._purge = Purge(self.plan.repartition_topics, config.repartition_purge_interval_ms)
        self._recorder = Recorder(config, clock)
        self._snapshots = Snapshots(self._recorder, clock)
        self._recovery = Recovery(config.max_rewinds, self._recorder.counters)
        name = client_id or config.application_id
        self._connector = Connector(
            self._patterns,
            config,
            broker,
            clock,
            stores,
            name,
            self.registry,
            self._recorder,
            self._purge,
            self._recovery.rewinds,
        )
        self._connection: Connection | None = None
        self._next_commit_ms = 0
        self._stopped = False
        #: Whether there is more to do than what is polled next.
        self._busy = False
        self._status = self._report()

    def stores(self) -> Mapping[TaskId, Mapping[str, Any]]:
        """Return the stores of the tasks that are running, by task and name; to look at between two steps."""
        return {} if self._connection is None else self._connection.tasks.stores()

    def copies(self) -> Mapping[TaskId, Mapping[str, Any]]:
        """Return the standby copies that are kept here, likewise."""
        standbys = None if self._connection is None else self._connection.standbys
        return {} if standbys is None else standbys.stores()

    def status(self) -> WorkerStatus:
        """Return how the worker is doing. May be called from any thread."""
        connection = self._connection
        # A step may take long: it waits for a broker that takes no more.
        stalled = None if connection is None else connection.producer.stalled
        return self._status if stalled is None else replace(self._status, problem=stalled)

    def measured(self) -> Snapshot:
        """Return what was measured lately. May be called from any thread."""
        return self._snapshots.latest

    def measure(self) -> Snapshot:
        """Return what is measured so far; `step` does it once a second."""
        connection = self._connection
        return self._snapshots.take(Sources() if connection is None else connection.tasks.sources())

    def step(self) -> int:
        """Do a bounded amount of work; return the number of records it moved, 0 if it was idle.

        Raises:
            StreamsError: it cannot go on: the topology does not fit the topics, a record failed
                and there is no dead-letter topic, the broker refused a write.
        """
        now = self._clock.now_ms()
        try:
            if self._connection is None:
                moved = self._connect(now) if self._recovery.due(now) else 0
            else:
                moved = self._advance(self._connection, now)
                connection = self._connection
                self._recovery.went_well(
                    member=connection is not None and connection.tasks.state != "rebalancing"
                )
        except get_args(Passing) as error:
            if isinstance(error, TopicGoneError) and not self._patterns.any:
                raise
            moved, self._busy = 0, False
            self._retry(error, now)
        self._status = self._report()
        if self._snapshots.is_due(now):
            self.measure()
        return moved

    def _retry(self, error: Passing, now_ms: int) -> None:
        """Say what is wrong; connected, the next step tries again, else one after a pause does.

        A damaged store is set aside when its task is opened again, which then restores it.
        """
        lasting = self._recovery.note(error, self.uncommitted(), now_ms)
        if self._connection is not None:
            self._connection.tasks.interrupt()
            if lasting or self._connection.tasks.broken:
                self._disconnect()
        if self._connection is None:
            self._recovery.postpone(error, now_ms)

    def _connect(self, now_ms: int) -> int:
        self._connection = self._connector.connect(now_ms)
        if self._connection.globals.loaded:
            self._connection.join()
        self._next_commit_ms = now_ms + self._config.commit_interval_ms
        return 1

    def _advance(self, connection: Connection, now_ms: int) -> int:
        """One turn: commit if due, follow global tables, poll, restore, process, punctuate, let time go on.

        The commit comes first: one that failed because the broker was away is made again before
        anything else is processed, so that nothing piles up meanwhile.
        """
        tasks = connection.tasks
        if self._patterns.have_changed(connection.admin, now_ms):
            # The next step joins the group again, for the topics that match now.
            tasks.commit(leaving=True)
            self._disconnect()
            return 1
        if now_ms >= self._next_commit_ms or tasks.is_full():
            # Owed until it succeeds: a cache that is full was flushed by the attempt that fails.
            self._next_commit_ms = now_ms
            if self._commit(connection):
                # From its end: however long commits take, most of the time is there to process.
                self._next_commit_ms = self._clock.now_ms() + self._config.commit_interval_ms
        self._purge.step(connection.admin, now_ms)
        if not connection.globals.loaded:
            moved = connection.globals.load()
            if connection.globals.loaded:
                connection.join()
            return moved
        agents = connection.environment
        timeout_s = 0.0 if self._busy else AGENT_POLL_S if agents.agents_wait else IDLE_POLL_S
        other = connection.globals.follow(0)
        with self._recorder.polling:
            polled = connection.consumer.poll(self._config.poll_records, timeout_s)
        count = tasks.dispatch(polled)
        self._recorder.polled.record(count)
        other += tasks.restore()
        processed = 0
        if not connection.globals.behind():
            idle = tasks.idle(now_ms)
            try:
                processed = tasks.process(now_ms)
                other += agents.run_agents() + tasks.punctuate(now_ms) + len(idle)
                for task in idle:
                    task.advance(now_ms)
            except BrokerUnreachableError as error:
                raise in_the_middle(error) from error
        other += connection.keep_house(now_ms)
        # What tasks have, if they process none of it, waits for something else.
        self._busy = other > 0 or (tasks.processing.has_more if processed else count > 0)
        return count + processed + other

    def _commit(self, connection: Connection) -> bool:
        """Begin a commit or go on with it, and return whether all was committed; stay a member if it fails.

        Records are taken on meanwhile and not processed: partitions are paused when they have enough, and
        the group hears that this member is alive.
        """
        try:
            return connection.tasks.advance_commit()
        except BrokerUnreachableError:
            connection.tasks.dispatch(connection.consumer.poll(self._config.poll_records, 0.0))
            raise

    def commit(self, *, leaving: bool = False) -> None:
        """Commit now, whether or not it is due.

        Args:
            leaving: whether this worker processes nothing after it.

        Raises:
            BrokerUnreachableError: not now; nothing is lost.
            TaskMigratedError: another worker owns the partitions by now.
        """
        if self._connection is not None:
            self._connection.tasks.commit(leaving=leaving)

    def _report(self) -> WorkerStatus:
        connection = self._connection
        state: State = "connecting" if connection is None else connection.state
        if self._stopped:
            state = "stopped"
        tasks = 0 if connection is None else len(connection.tasks)
        restoring = None if connection is None else connection.progress.status()
        standbys = None if connection is None or connection.standbys is None else connection.standbys.status()
        problem, counters = self._recovery.problem, self._recorder.counters.snapshot()
        leads = connection is not None and FIRST_TASK in connection.tasks.held()
        return WorkerStatus(state, self._broker.address, problem, tasks, counters, restoring, standbys, leads)

    def close(self) -> None:
        """Commit, leave the group at once, and close the stores.

        Raises:
            BrokerUnreachableError: the broker does not take the commit: what was in hand comes again.
        """
        try:
            for _ in range(_LAST_ATTEMPTS):
                if self.finish():
                    return
            self.commit(leaving=True)
        finally:
            self.abort()

    def finish(self) -> bool:
        """Try to commit for the last time; return False if the broker does not take it now: try again."""
        try:
            # Whoever has the partitions by now starts from the last commit.
            with suppress(RewindError):
                self.commit(leaving=True)
        except BrokerUnreachableError as error:
            self._recovery.problem = str(error)
            self._status = self._report()
            return False
        self._recovery.problem = None
        return True

    def hurry(self) -> None:
        """Have the turn end that is under way: the worker is to stop. From any thread."""
        if (connection := self._connection) is not None:
            connection.tasks.processing.stop()

    def uncommitted(self) -> Sequence[str]:
        """Return where it would begin again in each partition that it has read further. From any thread."""
        connection = self._connection
        return () if connection is None else connection.tasks.uncommitted()

    def abort(self) -> None:
        """Leave the group and close the stores without committing: what was in hand comes again."""
        try:
            self._disconnect()
        finally:
            self._stores.close()
            self._stopped = True
            self._status = self._report()

    def kill(self) -> None:
        """Be gone as if the process had been killed: nobody hears of it, and stores stay as they are."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.environment.kill()

    def _disconnect(self) -> None:
        self._purge.forget()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.opened.close()
