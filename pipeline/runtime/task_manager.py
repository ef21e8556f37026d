"""The tasks that this worker holds: opened and closed as the group's coordinator says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from pipeline.errors import BrokerUnreachableError, TaskMigratedError
from pipeline.plan.planner import SubTopology
from pipeline.record import TaskId, TopicPartition
from pipeline.runtime.broker import Admin, Committed, Consumer, Message
from pipeline.runtime.commit import Committer
from pipeline.runtime.progress import Progress, decode_progress
from pipeline.runtime.queries import StoreRegistry
from pipeline.runtime.restore import Restoration
from pipeline.runtime.stores import open_store
from pipeline.runtime.task import Task, TaskEnvironment
from pipeline.runtime.topics import task_count
from pipeline.state.provider import StoreProvider


class TaskManager:
    """Opens, restores, feeds, commits and closes tasks; the consumer's rebalance listener.

    Args:
        environment: what tasks share.
        consumer: this worker's membership of the group.
        admin: for offsets.
        stores: opens state stores.
        restoration: brings stores up to date.
        registry: where restored stores are shown to queries.
        counts: partition counts by topic.
    """

    def __init__(
        self,
        environment: TaskEnvironment,
        consumer: Consumer,
        admin: Admin,
        stores: StoreProvider,
        restoration: Restoration,
        registry: StoreRegistry,
        counts: Mapping[str, int],
    ) -> None:
        self._environment, self._consumer, self._admin = environment, consumer, admin
        self._stores, self._restoration, self._registry = stores, restoration, registry
        self._counts = counts
        self._committer = Committer(environment, consumer, admin)
        self._tasks: dict[TaskId, Task] = {}
        self._by_partition: dict[tuple[str, int], Task] = {}
        self._offsets: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, Committed] = {}
        self._paused: set[TopicPartition] = set()
        self._assigned = False
        #: The membership is of no use any more: the worker must leave the group and join it again.
        self.broken = False

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def state(self) -> Literal["rebalancing", "restoring", "running"]:
        """What the tasks are doing as a whole."""
        if not self._assigned:
            return "rebalancing"
        return "running" if all(task.started for task in self._tasks.values()) else "restoring"

    # Rebalance callbacks

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Open the tasks whose partitions are all here now; return where reading starts.

        Raises:
            BrokerUnreachableError: the offsets cannot be had; the membership is of no use any more.
        """
        try:
            return self._assign(partitions)
        except BrokerUnreachableError:
            self.broken = True
            raise

    def _assign(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        committed = self._consumer.committed(partitions)
        fresh = [partition for partition in partitions if partition not in committed]
        offsets = self._admin.beginning_offsets(fresh) if fresh else {}
        offsets |= {partition: commit.offset for partition, commit in committed.items()}
        self._offsets |= offsets
        self._committed |= committed
        self._assigned = True
        for task_id, sub, needed in self._possible_tasks():
            if task_id not in self._tasks and needed and all(part in self._offsets for part in needed):
                self._open(task_id, sub, needed)
        return offsets

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Commit and close the tasks of these partitions."""
        going = self._tasks_of(partitions)
        try:
            self._committer.commit(going)
        except (BrokerUnreachableError, TaskMigratedError):
            # Too late to commit: whoever gets these partitions starts from the last commit.
            self._committer.forget()
        self._close(going, partitions)

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Close the tasks of these partitions without committing."""
        self._committer.forget()
        self._close(self._tasks_of(partitions), partitions)

    def _possible_tasks(self) -> Iterator[tuple[TaskId, SubTopology, tuple[TopicPartition, ...]]]:
        for sub in self._environment.plan.subtopologies:
            for number in range(task_count(sub, dict(self._counts))):
                needed = tuple(
                    TopicPartition(topic, number) for topic in sub.topics if number < self._counts[topic]
                )
                yield TaskId(sub.id, number), sub, needed

    def _tasks_of(self, partitions: Sequence[TopicPartition]) -> list[Task]:
        tasks = {id(task): task for part in partitions if (task := self._by_partition.get(part))}
        return list(tasks.values())

    # Opening and closing

    def _open(self, task_id: TaskId, sub: SubTopology, partitions: tuple[TopicPartition, ...]) -> None:
        stores = {
            spec.name: open_store(spec, self._stores.open(task_id, spec.name), self._environment.config)
            for spec in sub.stores
        }
        task = Task(task_id, sub, partitions, stores, self._environment)
        self._tasks[task_id] = task
        self._by_partition.update(dict.fromkeys(partitions, task))
        changelogs = [task.changelog(name) for name in stores]
        if changelogs:
            committed, ends = self._consumer.committed(changelogs), self._admin.end_offsets(changelogs)
            self._restoration.add(task, committed, ends)

    def _progress(self, task: Task) -> Progress:
        """Return the times that were committed for the task; all its partitions carry the same."""
        for partition in task.partitions:
            if partition in self._committed:
                return decode_progress(self._committed[partition].metadata)
        return Progress()

    def _close(self, tasks: Sequence[Task], partitions: Sequence[TopicPartition]) -> None:
        for task in tasks:
            self._registry.unregister(task.id)
            self._restoration.remove(task)
            for partition in task.partitions:
                del self._by_partition[partition]
            del self._tasks[task.id]
            task.close()
        for partition in partitions:
            self._offsets.pop(partition, None)
            self._committed.pop(partition, None)
            self._paused.discard(partition)

    # Steps

    @property
    def busy(self) -> bool:
        """Whether there is work at hand, so that polling must not wait."""
        return self._restoration.active or any(
            len(queue) for task in self._tasks.values() for queue in task.queues.values()
        )

    def restore(self) -> int:
        """Restore a bounded number of records; start the tasks that are whole."""
        restored = 0
        if self._restoration.active:
            restored = self._restoration.step(self._environment.config.restore_records, 0.0)
        for task in self._tasks.values():
            if not task.started and self._restoration.is_restored(task):
                self._start(task)
        return restored

    def _start(self, task: Task) -> None:
        task.start(self._progress(task), {part: self._offsets[part] for part in task.partitions})
        for name, store in task.stores.items():
            self._registry.register(task.id, name, store)
        self._consumer.resume(task.partitions)

    def dispatch(self, messages: Sequence[Message]) -> int:
        """Put polled records on their tasks' queues; pause partitions that have enough."""
        runs: defaultdict[tuple[str, int], list[Message]] = defaultdict(list)
        for message in messages:
            runs[message.topic(), message.partition()].append(message)
        bound = self._environment.config.buffered_records
        for key, run in runs.items():
            task = self._by_partition.get(key)
            # Records of a partition that has just gone are its next owner's. Those of a task that is
            # not restored yet do not come: its partitions are paused until it starts.
            if task is not None:
                partition = TopicPartition(*key)
                if task.add(run, partition) > bound and partition not in self._paused:
                    self._consumer.pause([partition])
                    self._paused.add(partition)
        return len(messages)

    def process(self) -> int:
        """Process a bounded number of records of each task."""
        limit = self._environment.config.poll_records
        count = sum(task.process(limit, self._has_lag) for task in self._tasks.values() if task.started)
        if self._paused:
            self._resume_drained()
        return count

    def _has_lag(self, partition: TopicPartition, position: int) -> bool:
        """Whether the broker has records of `partition` that are not here yet."""
        end = self._consumer.end_offset(partition)
        return end is None or position < end

    def _resume_drained(self) -> None:
        half = self._environment.config.buffered_records // 2
        drained = [part for part in self._paused if len(self._by_partition[part].queues[part]) <= half]
        if drained:
            self._consumer.resume(drained)
            self._paused.difference_update(drained)

    def punctuate(self, now_ms: int) -> int:
        """Fire wall-clock punctuations that are due, and return how many tasks had one."""
        return sum(task.punctuate(now_ms) for task in self._tasks.values() if task.started)

    @property
    def cache_full(self) -> bool:
        """Whether a store holds as many uncommitted entries as it may."""
        return any(task.cache_full for task in self._tasks.values())

    def commit(self) -> None:
        """Commit all tasks; see `Committer.commit`."""
        try:
            self._committer.commit(self._tasks.values())
        except TaskMigratedError:
            self.abandon()
            self.broken = True

    def abandon(self) -> None:
        """Close all tasks without committing."""
        self._assigned = False
        self._committer.forget()
        self._close(list(self._tasks.values()), list(self._offsets))
