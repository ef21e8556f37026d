"""A task: one sub-topology over one partition number, with its own stores and its own time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

from pipeline.agents.in_flight import InFlight
from pipeline.errors import NoTimeError, RecordError
from pipeline.plan.compiler import compile_subtopology, inputs_of_sources
from pipeline.plan.planner import SubTopology
from pipeline.processor import Punctuations
from pipeline.record import NO_HEADERS, TaskId, TopicPartition
from pipeline.runtime.broker import Committed, Message
from pipeline.runtime.checkpoint import Checkpoint
from pipeline.runtime.environment import TaskEnvironment
from pipeline.runtime.failures import InHand, Punctuation, Update
from pipeline.runtime.forwarding import forwarding
from pipeline.runtime.metrics.timed_operators import time_operators
from pipeline.runtime.partition_group import HasLag, PartitionGroup
from pipeline.runtime.progress import Progress, encode_progress
from pipeline.runtime.record_queue import RecordQueue
from pipeline.runtime.task_context import TaskContext
from pipeline.runtime.task_time import TaskTime
from pipeline.state.rows import Log

#: How old a task's last commit gets: well under any broker's `offsets.retention.minutes`.
RENEWAL_MS = 3_600_000


class Task:
    """Runs records through a sub-topology; flushes and commits when the worker says so.

    Life: made with its stores, restored by the worker, `start`ed, fed and processed, flushed and
    committed, closed.
    """

    def __init__(
        self,
        task_id: TaskId,
        sub: SubTopology,
        partitions: tuple[TopicPartition, ...],
        stores: Mapping[str, Any],
        environment: TaskEnvironment,
    ) -> None:
        self.id = task_id
        self.sub = sub
        self.partitions = partitions
        self.stores = stores
        for node in sub.nodes:
            for spec in node.stores:
                stores[spec.name].owner = str(node)
        self.time = TaskTime(sub.nodes)
        #: The record in hand; or the table's update, while a flush forwards it.
        self.message: Message | None = None
        self.update: Update | None = None
        #: A record that waited in a store, while an operator lets it go on.
        self.waited: Update | None = None
        self.closers: list[Callable[[], None]] = []
        #: Whether its agents have global tables.
        self.writes_global = False
        #: What agents have taken up and not done with.
        self.in_flight = InFlight()
        self.flushing = False
        #: By the place of an operator: called when the update in hand has reached all that it reaches.
        self.deferred: dict[int, Callable[[], None]] = {}
        #: By store: called when the stores before it have been flushed.
        self.before_flush: dict[str, list[Callable[[], None]]] = {}
        self.environment = environment
        self.metrics = environment.recorder.open_task(task_id)
        self.sampling = environment.recorder.sampling(self.metrics)
        self._group = PartitionGroup(environment.config.max_task_idle_ms, self.in_flight.blocked)
        self.queues = self._group.queues
        #: What it goes on from, as committed or as if it were: changelogs' positions included.
        self.begins: dict[TopicPartition, Committed] = {}
        #: What is written later than it is committed.
        self.behind = [behind for store in stores.values() if (behind := store.behind) is not None]
        #: By store that has one: its changelog partition.
        self.changelogs = {spec.name: self.changelog(spec.name) for spec in sub.stores if spec.logged}
        #: By store that is restored from its table's topic: the topic's partition.
        self.source_logs = {
            name: TopicPartition(source.topics[0], task_id.partition)
            for name, source in sub.source_logs.items()
        }
        #: By store, where its changelog ends if nobody else writes to it; before `start`, where it ends.
        self.log_ends = dict.fromkeys(self.changelogs, 0)
        #: Stores that were logged since the last commit.
        self._logged: set[str] = set()
        self._positions = {name: store.position() for name, store in stores.items()}
        self._processed_since_commit = 0
        self._committed_ms = 0
        #: What a punctuation that fires is told.
        self._punctuated_ms = -1

    @property
    def started(self) -> bool:
        """Whether its stores are restored and it takes records."""
        return bool(self.queues)

    def start(
        self, committed: Mapping[TopicPartition, Progress], offsets: Mapping[TopicPartition, int]
    ) -> None:
        """Take up where the last commit left off.

        Args:
            committed: by source partition, what was written beside its offset.
            offsets: by source partition, the offset it is read from.
        """
        partition_times = {partition: progress.partition for partition, progress in committed.items()}
        # The operators' and stores' times are those of the task: the same beside each partition.
        progress = next(iter(committed.values()), Progress())
        for name, store in self.stores.items():
            store.resume(progress.stores.get(name, {}))
            self._positions[name] = store.position()
        context = TaskContext(self, progress.times)
        inputs = compile_subtopology(self.sub, context)
        for name, store in self.stores.items():
            if store.on_flush is not None:
                store.on_flush = forwarding(self, name, store.on_flush)
        # What was logged again is before what is logged next: the position is to be behind it soon.
        self._processed_since_commit += len(self._logged)
        clock, config = self.environment.clock, self.environment.config
        for source, forward in inputs_of_sources(self.sub, inputs).items():
            for topic in source.topics:
                partition = TopicPartition(topic, self.id.partition)
                if partition not in offsets:
                    # Without stores, partitions of topics with unequal counts are tasks of their own.
                    continue
                queue = RecordQueue(partition, source, forward, config, clock, self, self._reject)
                queue.partition_time = partition_times.get(partition, -1)
                queue.next_offset = queue.fetched_offset = queue.committed_offset = offsets[partition]
                self.queues[partition] = queue
        self.time.stream = max(progress.task, *(queue.partition_time for queue in self.queues.values()))
        self.time.heard(clock.now_ms())
        if self.environment.recorder.enabled:
            time_operators(self, inputs, context.processors)

    def _reject(self, message: Message, error: RecordError) -> None:
        """Handle a record that cannot be decoded; its offset is to be committed like any other."""
        if isinstance(error, NoTimeError):
            self.environment.failures.drop(message, "records_dropped", error, "no_time", str(self.id))
        else:
            self.environment.failures.handle(message, error, str(self.id))
        self.environment.counters["records_processed"] += 1
        self.metrics.processed += 1
        self._processed_since_commit += 1

    def log_again(self, name: str, keys: Iterable[bytes]) -> None:
        """Log the committed values of keys that a crashed worker had logged and not committed.

        Else a restore from an empty disk would find uncommitted values of keys that the replay
        does not touch, such as a window that takes no record this time because it comes late.
        """
        self._log(name, self.stores[name].stored(keys))
        self._processed_since_commit += 1

    def _log(self, name: str, records: Log) -> None:
        self.environment.log(self.changelogs[name], records)
        self.log_ends[name] += len(records)
        self._logged.add(name)

    @property
    def in_hand(self) -> InHand:
        """What fails if something fails now."""
        if self.waited is not None:
            return self.waited
        if self.message is not None:
            return self.message
        return Punctuation(self.id, self._punctuated_ms) if self.update is None else self.update

    def fail(self, error: RecordError) -> None:
        """Do with what is in hand as the settings say; see `OperatorContext.fail`."""
        self.environment.failures.handle(self.in_hand, error, str(self.id))

    def skip_to(self, partition: TopicPartition, offset: int) -> None:
        """Take note that reading goes on at `offset`, wherever it was before; the next commit says so."""
        queue = self.queues[partition]
        queue.fetched_offset = queue.next_offset = offset
        self._processed_since_commit += 1

    def process(self, limit: int, has_lag: HasLag, now_ms: int) -> int:
        """Process up to `limit` records, in the order that `PartitionGroup` says; return how many were."""
        count = self.sampling.run(partial(self._group.run, has_lag=has_lag, now_ms=now_ms), limit)
        self.message = None
        self._processed_since_commit += count
        self.environment.counters["records_processed"] += count
        self.metrics.processed += count
        return count

    @property
    def blocked(self) -> Collection[object]:
        """While there is anything in it, the task takes up no record."""
        return self.in_flight.blocked

    def punctuate_stream(self) -> bool:
        """Fire what stream time makes due, and return whether that blocks the task."""
        self._punctuate(self.time.stream_punctuations, self.time.stream)
        return bool(self.blocked)

    def punctuate(self, now_ms: int) -> bool:
        """Fire what the wall clock makes due, and return whether anything was."""
        return self._punctuate(self.time.clock_punctuations, now_ms)

    def _punctuate(self, punctuations: Punctuations, now: int) -> bool:
        # A punctuation has no record: what fails in one must not be blamed on the last record.
        self.message, self._punctuated_ms = None, now
        fired = punctuations.fire(now)
        self._processed_since_commit += fired
        return fired

    def is_silent(self, now_ms: int) -> bool:
        """Whether time is to go on without records, unless the broker has some (`source_idle_ms`)."""
        wait_ms, queues = self.environment.config.source_idle_ms, self.queues.values()
        return (
            wait_ms is not None
            and self.time.is_silent(now_ms, wait_ms)
            and not any(map(len, queues))
            and not self.in_flight
        )

    def advance(self, now_ms: int) -> None:
        """Let time go on as long as no record has come; operators do what is due."""
        time_ms = self._punctuated_ms = self.time.go_on(now_ms)
        self.message = None
        traffic = self.environment.recorder.traffic
        produced = traffic.records_produced
        for timed in self.time.timed:
            # What the operators before it have in caches belongs to the time before.
            self.flush()
            for time in timed.times:
                time.ms = max(time.ms, time_ms)
            for callback in timed.callbacks:
                callback(time_ms, NO_HEADERS)
        self.punctuate_stream()
        self._processed_since_commit += traffic.records_produced - produced

    def settle(self) -> bool:
        """Return whether a commit may include this task now; see `InFlight.settle`."""
        stateful = bool(self.stores) or self.writes_global or self.environment.transactions is not None
        return self.in_flight.settle(stateful=stateful)

    def needs_commit(self, now_ms: int, *, leaving: bool) -> bool:
        """Whether anything happened since the last commit, or the last is so old that it may expire.

        Time that went on without records is committed with what came of it, or when the task is `leaving`.

        A broker forgets a group's offset of a topic that the group does not subscribe to, as
        changelogs, when it has not been committed for `offsets.retention.minutes` (KIP-211).
        """
        if (
            self._processed_since_commit > 0
            or self.in_flight.moved
            or any(store.dirty for store in self.stores.values())
        ):
            return True
        if not self.started:
            return False
        if leaving and self.time.moved:
            return True
        return bool(self.stores) and now_ms - self._committed_ms >= RENEWAL_MS

    @property
    def cache_full(self) -> bool:
        """Whether a store holds as many uncommitted entries as it may."""
        bound = self.environment.config.cache_entries
        return any(store.dirty >= bound for store in self.stores.values())

    def flush(self) -> None:
        """Forward and log what the caches hold.

        Parents come before children in `stores`: what a flush forwards is flushed in turn.
        """
        self.flushing = True
        with self.sampling.flushing(self.stores.values()):
            for name, store in self.stores.items():
                for callback in self.before_flush.get(name, ()):
                    callback()
                while log := store.flush():
                    if name in self.changelogs:
                        self._log(name, log)
                    elif name not in self.source_logs:
                        # It counts what it would have logged.
                        self._positions[name] += len(log)
        self.flushing = False

    def changelog(self, store: str) -> TopicPartition:
        """Return what names one of its stores: the changelog partition that it has, or would have."""
        return TopicPartition(self.environment.plan.changelog(store), self.id.partition)

    def checkpoint(self) -> Checkpoint:
        """Return what a commit commits of it now that its caches are flushed.

        While it is restored, what it began with: so that in a transaction only whoever has the partitions
        commits what is logged again.
        """
        shared = self.environment.transactions is not None
        if not self.started:
            return Checkpoint(
                processed=self._processed_since_commit,
                reached={},
                sources=self.begins,
                changelogs={},
                positions={},
                logged={},
                shared=shared,
            )
        times = {name: time.ms for name, time in self.time.operators.items()}
        numbers = {name: kept for name, store in self.stores.items() if (kept := store.progress())}
        sources = {}
        for partition, queue in self.queues.items():
            if queue.next_offset is not None:
                progress = Progress(times, numbers, queue.partition_time, self.time.stream)
                first = self.in_flight.first(partition)
                offset = queue.next_offset if first is None else first
                sources[partition] = Committed(offset, encode_progress(progress))
        for name, partition in self.source_logs.items():
            if partition in sources:
                self._positions[name] = sources[partition].offset
        return Checkpoint(
            processed=self._processed_since_commit,
            reached={partition: queue.next_offset for partition, queue in self.queues.items()},
            sources=sources,
            changelogs=self.changelogs,
            positions=dict(self._positions),
            logged={name: self.log_ends[name] for name in self._logged},
            shared=shared,
        )

    def commit(self, checkpoint: Checkpoint, now_ms: int) -> None:
        """Write every store's batch with its changelog position: offsets are committed by now.

        What was processed since the checkpoint was taken stays uncommitted; nothing was flushed since.
        """
        # Of a task that has been started since, there is nothing to write.
        if checkpoint.reached:
            self._positions |= checkpoint.positions
            for name, store in self.stores.items():
                store.commit(self._positions[name])
            for partition, reached in checkpoint.reached.items():
                self.queues[partition].committed_offset = reached
            self._logged.clear()
        self._processed_since_commit -= checkpoint.processed
        self.time.moved = False
        self.in_flight.committed()
        self._committed_ms = now_ms

    def close(self) -> None:
        """Close processors and stores. What was not committed is forgotten."""
        with ExitStack() as stack:
            # Whatever one of them raises, the others are closed.
            for store in self.stores.values():
                stack.callback(store.close)
            for closer in self.closers:
                stack.callback(closer)
            self.environment.recorder.close_task(self.id)
            self.environment.global_writes.abandon(self)
