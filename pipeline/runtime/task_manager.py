"""The tasks that this worker holds: opened and closed as the group's coordinator says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Literal

from pipeline.errors import BrokerUnreachableError, RewindError, StateError, TaskMigratedError
from pipeline.plan.planner import SubTopology
from pipeline.record import GLOBAL, TaskId, TopicPartition
from pipeline.runtime.backpressure import Backpressure
from pipeline.runtime.broker import Admin, Committed, Consumer, Records
from pipeline.runtime.cache_bound import Cache, CacheBound
from pipeline.runtime.commit import Committer
from pipeline.runtime.environment import TaskEnvironment
from pipeline.runtime.idle import IdleSources
from pipeline.runtime.log_ends import log_ends
from pipeline.runtime.metrics.snapshot import Sources
from pipeline.runtime.pending import pending
from pipeline.runtime.processing import Processing
from pipeline.runtime.progress import decode_each, tell_stores
from pipeline.runtime.queries import StoreRegistry
from pipeline.runtime.record_queue import RecordQueue
from pipeline.runtime.restore import Restoration
from pipeline.runtime.standby import Standbys
from pipeline.runtime.start_offsets import StartOffsets
from pipeline.runtime.stores import Engines
from pipeline.runtime.task import Task
from pipeline.runtime.topics import possible_tasks

#: How long a batch of changelog records is gathered: tasks that are whole already wait so long at most.
_GATHER_S = 0.01
#: How long a turn is in which agents finish before their task goes away.
_DRAIN_TURN_MS = 10
#: How often a commit is tried before partitions are given up; each waits up to `commit.FLUSH_S`.
_REVOCATION_ATTEMPTS = 30


class TaskManager:
    """Opens, restores, feeds, commits and closes tasks; the consumer's rebalance listener.

    Args:
        environment: what tasks share.
        consumer: this worker's membership of the group.
        admin: for offsets.
        engines: opens what state stores are on.
        restoration: brings stores up to date.
        registry: where restored stores are shown to queries.
        counts: partition counts by topic.
        committer: commits tasks.
        standbys: the copies that are kept here, for tasks to take over; None: none are.

    Attributes:
        topics: whose partitions tasks process: the consumer is to read these and no others.
    """

    def __init__(
        self,
        environment: TaskEnvironment,
        consumer: Consumer,
        admin: Admin,
        engines: Engines,
        restoration: Restoration,
        registry: StoreRegistry,
        counts: Mapping[str, int],
        committer: Committer,
        standbys: Standbys | None = None,
    ) -> None:
        self._environment, self._consumer, self._admin = environment, consumer, admin
        self._engines, self._restoration, self._registry = engines, restoration, registry
        self._counts, self._standbys = counts, standbys
        self._committer = committer
        sources = (topic for sub in environment.plan.subtopologies for topic in sub.topics)
        self.topics = sorted({topic for topic in sources if topic in counts})
        self._starts = StartOffsets(environment.plan, admin, environment.clock, environment.counters)
        self._idle_sources = IdleSources(admin, consumer.end_offset)
        self._tasks: dict[tuple[TopicPartition, ...], Task] = {}
        self._by_partition: dict[TopicPartition, Task] = {}
        self._offsets: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, Committed] = {}
        config = environment.config
        self._cache_bound = CacheBound(config.cache_bytes)
        self._backpressure = Backpressure(consumer, config.buffered_records, config.buffered_bytes)
        self._assigned = False
        #: The membership is of no use any more: the worker must leave the group and join it again.
        self.broken = False
        self.processing = Processing()

    def __len__(self) -> int:
        return len(self._tasks)

    def held(self) -> set[TaskId]:
        """Return the tasks that are here, running or not."""
        return {task.id for task in self._tasks.values()}

    def stores(self) -> dict[TaskId, Mapping[str, Any]]:
        """Return the stores of the tasks that are running, by task and name."""
        return {task.id: task.stores for task in self._tasks.values() if task.started}

    @property
    def state(self) -> Literal["rebalancing", "restoring", "running"]:
        """What the tasks are doing as a whole."""
        if not self._assigned:
            return "rebalancing"
        return "running" if all(task.started for task in self._tasks.values()) else "restoring"

    def sources(self) -> Sources:
        """Return what metrics tell of the client."""
        queues = (queue for task in self._tasks.values() for queue in task.queues.values())
        lags = {
            queue.partition: max(0, end - queue.next_offset)
            for queue in queues
            if queue.next_offset is not None
            and (end := self._consumer.known_end(queue.partition)) is not None
        }
        buffered: dict[TaskId, int] = {}
        for task in self._tasks.values():
            buffered[task.id] = buffered.get(task.id, 0) + sum(map(len, task.queues.values()))
        stores = {
            (task, name): store for task, stores in self.stores().items() for name, store in stores.items()
        }
        stores |= {(GLOBAL, name): store for name, store in self._environment.global_stores.items()}
        return Sources(lags, len(self._offsets), self._environment.producer.queued, buffered, stores)

    # Rebalance callbacks

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Open the tasks whose partitions are all here now; return where reading starts.

        Raises:
            NoOffsetError: a partition has no offset to begin at.
            BrokerUnreachableError: the offsets cannot be had; the membership is of no use any more.
            TaskMigratedError: likewise, because the group has gone on meanwhile.
        """
        try:
            return self._assign(partitions)
        except (BrokerUnreachableError, RewindError):
            self.broken = True
            raise

    def _assign(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        self._environment.recorder.rebalances += 1
        if self._standbys is not None:
            self._standbys.rebalanced()
        committed = self._consumer.committed(partitions)
        offsets = self._starts.of(partitions, committed)
        self._offsets |= offsets
        self._committed |= committed
        self._assigned = True
        for task_id, sub, needed in possible_tasks(self._environment.plan, self._counts):
            if needed not in self._tasks and all(partition in self._offsets for partition in needed):
                self._open(task_id, sub, needed)
        return offsets

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Commit and close the tasks of these partitions.

        Raises:
            TaskMigratedError: with exactly-once, and they could not be committed: the transaction is
                that of all tasks, so none of them can go on.
        """
        tasks = self._tasks_of(partitions)
        if not self._assigned:
            # Given up already: a commit would make visible what the tasks wrote, without their offsets.
            self._close(tasks, partitions)
            return
        transactional = self._environment.transactions is not None
        committed = self._commit_before_leaving(list(self._tasks.values()) if transactional else tasks)
        self._close(tasks, partitions)
        if not committed:
            # Whoever gets these partitions starts from the last commit.
            self._environment.counters["revocations_uncommitted"] += 1
            self._give_up_transaction(partitions)

    def _commit_before_leaving(self, tasks: Sequence[Task]) -> bool:
        for _ in range(_REVOCATION_ATTEMPTS):
            try:
                return self._commit_whole(tasks)
            except BrokerUnreachableError:
                continue
            except RewindError:
                return False
        return False

    def _commit_whole(self, tasks: Collection[Task]) -> bool:
        """Commit, agents being given time for what they have in flight; return whether all was committed."""
        for _ in range(self._environment.config.agent_drain_ms // _DRAIN_TURN_MS):
            if self._committer.commit(tasks, leaving=True):
                return True
            self._environment.agent_loop.run_once(patience_s=_DRAIN_TURN_MS / 1_000)
        return self._committer.commit(tasks, leaving=True)

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Close the tasks of these partitions without committing.

        Raises:
            TaskMigratedError: with exactly-once: the transaction holds what these tasks did.
            StuckError: this happens again and again, before anything was committed.
        """
        self._settle()
        tasks = self._tasks_of(partitions)
        begins = [text for task in tasks for text in pending(task)]
        self._close(tasks, partitions)
        self._give_up_transaction(partitions)
        if begins:
            self._environment.rewinds.add(
                "the group gave the partitions away, having waited too long", begins
            )

    def on_offset_lost(self, partition: TopicPartition, offset: int) -> int:
        """Say where to read on, retention having removed what comes next.

        Raises:
            NoOffsetError: the source says to stop.
            BrokerUnreachableError: nobody can say where.
        """
        found = self._offsets[partition] = self._starts.after_loss(partition, offset)
        task = self._by_partition.get(partition)
        if task is not None and task.started:
            task.skip_to(partition, found)
        return found

    def _settle(self) -> None:
        """Wait for a commit that is under way; what it did not commit is committed anew, or done again."""
        with suppress(BrokerUnreachableError, TaskMigratedError):
            self._committer.settle()

    def _give_up_transaction(self, partitions: Sequence[TopicPartition]) -> None:
        if self._environment.transactions is not None and self._assigned:
            self.broken = True
            names = ", ".join(map(str, partitions))
            raise TaskMigratedError(f"{names} went away with work that was not committed: it is done again")

    def _tasks_of(self, partitions: Sequence[TopicPartition]) -> list[Task]:
        tasks = {id(task): task for part in partitions if (task := self._by_partition.get(part))}
        return list(tasks.values())

    # Opening and closing

    def _open(self, task_id: TaskId, sub: SubTopology, partitions: tuple[TopicPartition, ...]) -> None:
        copies = {} if self._standbys is None else self._standbys.take(task_id)
        with self._engines.stores_of_task(task_id, sub.stores, copies) as stores:
            task = Task(task_id, sub, partitions, stores, self._environment)
        self._tasks[partitions] = task
        self._by_partition.update(dict.fromkeys(partitions, task))
        progress = decode_each(self._committed, partitions)
        tell_stores(stores, progress.values())
        task.begins = {each: self._committed.get(each, Committed(self._offsets[each])) for each in partitions}
        changelogs, sources = list(task.changelogs.values()), list(task.source_logs.values())
        if changelogs or sources:
            positions = self._consumer.committed(changelogs) if changelogs else {}
            positions |= {each: self._committed[each] for each in sources if each in self._committed}
            ends = log_ends(self._admin, [*changelogs, *sources], positions)
            self._restoration.add(task, positions, ends, known=bool(progress))

    def _close(self, tasks: Sequence[Task], partitions: Sequence[TopicPartition]) -> None:
        if self._standbys is not None:
            self._standbys.rebalanced()
        for task in tasks:
            self._registry.unregister(task.id)
            self._restoration.remove(task)
            for partition in task.partitions:
                del self._by_partition[partition]
            del self._tasks[task.partitions]
            task.close()
        for partition in partitions:
            self._offsets.pop(partition, None)
            self._committed.pop(partition, None)
        self._backpressure.forget(partitions)

    # Steps

    def restore(self) -> int:
        """Restore a bounded number of records; start the tasks that are whole."""
        restored = 0
        if self._restoration.active:
            with self._environment.recorder.restoring:
                restored = self._restoration.step(self._environment.config.restore_records, _GATHER_S)
        for task in self._tasks.values():
            if not task.started and self._restoration.is_restored(task):
                self._start(task)
        return restored

    def _start(self, task: Task) -> None:
        task.start(
            decode_each(self._committed, task.partitions),
            {partition: self._offsets[partition] for partition in task.partitions},
        )
        for partition in task.partitions:
            if partition not in self._committed and self._starts.moves(partition):
                task.skip_to(partition, self._offsets[partition])
        for name, store in task.stores.items():
            self._registry.register(task.id, name, store)
        self._consumer.resume(task.partitions)

    def dispatch(self, records: Records) -> int:
        """Put polled records on their tasks' queues; pause partitions that have enough. Return how many."""
        count = 0
        for partition, run in records.items():
            count += len(run)
            self._environment.recorder.polled_from(partition.topic, run)
            task = self._by_partition.get(partition)
            if task is None:
                # Its partition has just gone: its next owner reads it again.
                continue
            if not task.started:
                raise StateError(f"records of {partition} came before its task was restored")
            task.queues[partition].put(run)
        if records:
            self._backpressure.hold(self._queues().values())
        return count

    def _queues(self) -> dict[TopicPartition, RecordQueue]:
        """Return the queues of all tasks."""
        return {part: queue for task in self._tasks.values() for part, queue in task.queues.items()}

    def process(self, now_ms: int) -> int:
        """Process a bounded number of records of each task."""
        limit, recorder = self._environment.config.poll_records, self._environment.recorder
        with recorder.processing:
            count = self.processing.process(self._tasks.values(), limit, self._has_lag, now_ms)
        recorder.processed.record(count)
        self._backpressure.release(self._queues())
        return count

    def idle(self, now_ms: int) -> list[Task]:
        """Return the tasks whose time is to go on without records; see `IdleSources.find`."""
        if self._environment.config.source_idle_ms is None:
            return []
        idle = self._idle_sources.find((task for task in self._tasks.values() if task.started), now_ms)
        if idle:
            # They flush caches before time goes on.
            self._committer.settle()
        return idle

    def _has_lag(self, partition: TopicPartition, position: int) -> bool:
        """Whether the broker may have records of `partition` from `position` on that are not here yet."""
        end = self._consumer.end_offset(partition)
        return end is None or end < position

    def interrupt(self) -> None:
        """Take note that the broker did not answer; see `IdleSources.interrupt`."""
        self._idle_sources.interrupt()

    def punctuate(self, now_ms: int) -> int:
        """Fire wall-clock punctuations that are due, and return how many tasks had one."""
        recorder = self._environment.recorder
        with recorder.punctuating:
            fired = sum(task.punctuate(now_ms) for task in self._tasks.values() if task.started)
        recorder.punctuated += fired
        return fired

    def is_full(self) -> bool:
        """Return whether a commit is due: caches are full, or half of the producer's queue is."""
        environment = self._environment
        full = any(task.cache_full for task in self._tasks.values()) or environment.global_writes.full
        return full or self._cache_bound.passed_by(self._caches()) or environment.producer.crowded

    def _caches(self) -> list[Cache]:
        stores = [store for task in self._tasks.values() for store in (*task.stores.values(), *task.behind)]
        return [*stores, *self._environment.caches]

    def commit(self, *, leaving: bool) -> bool:
        """Commit all tasks, and return whether it was everything; see `Committer.commit`."""
        commit = self._commit_whole if leaving else self._committer.commit
        return self._trimmed(partial(commit, self._tasks.values()))

    def advance_commit(self) -> bool:
        """Begin to commit all tasks, or go on with that; see `Committer.advance`."""
        return self._trimmed(partial(self._committer.advance, self._tasks.values(), self.is_full))

    def _trimmed(self, commit: Callable[[], bool]) -> bool:
        """Commit, then have caches keep what they may; return whether all was committed."""
        try:
            whole = commit()
        except RewindError:
            self.broken = True
            raise
        if not self._committer.under_way:
            self._cache_bound.trim(self._caches())
        return whole

    def uncommitted(self) -> list[str]:
        """Return where each partition would begin again that was read further. From any thread."""
        return [text for task in list(self._tasks.values()) for text in pending(task)]

    def abandon(self) -> None:
        """Close all tasks without committing."""
        self._assigned = False
        self._committer.abandon()
        self._close(list(self._tasks.values()), list(self._offsets))
