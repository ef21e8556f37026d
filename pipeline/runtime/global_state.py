"""The global tables of a worker: read whole before anything is processed, then followed.

```
topic       |---------------------------|------------ - - -
            first record held           end at the start
worker      load: nothing is processed  follow: while tasks run
```

A restart goes on from where the rows in the store end, which is kept with them; the topic itself is their
only log.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

from pipeline.config import StreamsConfig
from pipeline.errors import NoTimeError, ProcessingError, RecordError, StateError
from pipeline.plan.planner import Plan
from pipeline.record import GLOBAL, TopicPartition
from pipeline.runtime.broker import Admin, Message, Reader, Records
from pipeline.runtime.environment import TaskEnvironment
from pipeline.runtime.queries import StoreRegistry
from pipeline.runtime.restore_progress import RestoreProgress
from pipeline.runtime.source_rows import SourceRows
from pipeline.runtime.stores import Engines, open_store
from pipeline.state.keyvalue import KeyValueStore
from pipeline.state.partitioned import PartitionedStore, Progress
from pipeline.state.rows import Rows
from pipeline.topology import GlobalTable

#: How long a batch is gathered while tables are loaded, as in restoring.
_GATHER_S = 0.01


class GlobalStore(NamedTuple):
    """A global table's store: its rows, and the same as bytes, with how far each partition is read."""

    table: GlobalTable
    rows: KeyValueStore[Any, Any]
    partitions: PartitionedStore


def open_global_stores(
    plan: Plan, engines: Engines, config: StreamsConfig, opened: ExitStack
) -> dict[str, GlobalStore]:
    """Return the stores of a plan's global tables by name; `opened` closes them."""
    found = {}
    for table in plan.global_tables:
        partitions = PartitionedStore(engines.of_global_table(table.store))
        opened.callback(partitions.close)
        rows = open_store(table.store, partitions, config)
        found[table.store.name] = GlobalStore(table, rows, partitions)
    return found


class GlobalState:
    """Brings the global tables up to date, a bounded number of records at a time.

    Args:
        stores: the tables' stores.
        environment: settings, counters, and where records go that cannot be read.
        admin: asked for the offsets between which the topics have records.
        reader: reads the topics, outside any group.
        registry: where loaded tables are shown to queries.
        counts: partition counts by topic.
        progress: told how far all tables are loaded.
    """

    def __init__(
        self,
        stores: Iterable[GlobalStore],
        environment: TaskEnvironment,
        admin: Admin,
        reader: Reader,
        registry: StoreRegistry,
        counts: Mapping[str, int],
        progress: RestoreProgress,
    ) -> None:
        self._environment, self._reader, self._registry = environment, reader, registry
        self._progress, self._loaded = progress, 0
        self._admin = admin
        #: Where partitions ended when it was asked how far they are to be read before anything goes on.
        self._awaited: dict[TopicPartition, int] = {}
        self._readings = [_Reading(store, environment, counts) for store in stores]
        self._by_partition = {part: reading for reading in self._readings for part in reading.queues}
        begins = admin.beginning_offsets(list(self._by_partition))
        self._ends = admin.end_offsets(list(self._by_partition), stable=True)
        for reading in self._readings:
            reading.begin(begins, self._ends)
            for partition, queue in reading.queues.items():
                reader.add(partition, queue.next_offset or 0, self._ends[partition])
            self._report(reading)
            progress.begin(reading.progress(self._ends)[1])

    @property
    def loaded(self) -> bool:
        """Whether every table holds all that its topic had at the start."""
        return all(reading.loaded for reading in self._readings)

    def load(self) -> int:
        """Read a bounded number of records, and return how many: call it until `loaded`."""
        self._progress.report()
        count = self._read(_GATHER_S)
        for partition in self._reader.finished():
            reading = self._by_partition[partition]
            # The last offsets may be holes: of transactions, of compaction.
            reading.finish(partition, self._ends[partition])
            self._reader.add(partition, self._ends[partition], None)
            if reading.loaded:
                self._registry.register(GLOBAL, reading.name, reading.rows)
                self._progress.finish()
        loaded = sum(reading.progress(self._ends)[0] for reading in self._readings)
        self._progress.read(loaded - self._loaded)
        self._loaded = loaded
        self._progress.report()
        return count

    def follow(self, timeout_s: float) -> int:
        """Read what was written meanwhile, up to a bounded number of records, and return how many."""
        if not self._readings:
            return 0
        count = self._read(timeout_s)
        if self._awaited:
            self._finish_awaited()
        return count

    def behind(self) -> bool:
        """Return whether nothing may be processed before more is read of the tables that agents write to.

        When tasks come to this worker that write to them, what was committed before must be known here: it
        may be theirs. Up to the very end: what is committed can lie behind another's open transaction.

        Raises:
            BrokerUnreachableError: nobody can say where the topics end.
        """
        writes = self._environment.global_writes
        if not self._awaited and (writes.asked or writes.behind):
            followed = [partition for partition in self._by_partition if partition.topic in writes.topics]
            for partition, end in self._admin.end_offsets(followed).items():
                position = self._by_partition[partition].queues[partition].next_offset or 0
                if position < end:
                    self._awaited[partition] = end
                    self._reader.remove(partition)
                    self._reader.add(partition, position, end)
            writes.asked = False
        return bool(self._awaited)

    def _finish_awaited(self) -> None:
        for partition in self._reader.finished():
            end = self._awaited.pop(partition)
            # The last offsets may be holes, here too.
            self._by_partition[partition].finish(partition, end)
            self._reader.add(partition, end, None)

    def _read(self, timeout_s: float) -> int:
        count = 0
        runs: defaultdict[str, dict[TopicPartition, Sequence[Message]]] = defaultdict(dict)
        records = self._reader.poll(self._environment.config.restore_records, timeout_s)
        for partition, run in records.items():
            count += len(run)
            runs[partition.topic][partition] = run
        for topic, topic_runs in runs.items():
            for run in topic_runs.values():
                self._environment.recorder.polled_from(topic, run)
            reading = self._by_partition[next(iter(topic_runs))]
            reading.apply(topic_runs)
            self._report(reading)
        self._environment.counters["records_global"] += count
        return count

    def _report(self, reading: _Reading) -> None:
        if not reading.loaded:
            self._registry.progress(GLOBAL, reading.name, *reading.progress(self._ends))

    def close(self) -> None:
        """Show the tables to no query any more; stores and reader are closed by who opened them."""
        self._registry.unregister(GLOBAL)


class _Reading:
    """One table while it is read: its store, and a queue for each partition that decodes records."""

    def __init__(self, store: GlobalStore, environment: TaskEnvironment, counts: Mapping[str, int]) -> None:
        self.table, self.rows, self._partitions = store.table, store.rows, store.partitions
        self.name = store.table.store.name
        self._environment = environment
        (topic,) = self.table.topics
        self._sources = {
            partition: SourceRows(
                self.table, partition, environment, keyless=self._keyless, refuse=self._reject
            )
            for partition in (TopicPartition(topic, number) for number in range(counts[topic]))
        }
        self.queues = {partition: source.queue for partition, source in self._sources.items()}
        self._starts: dict[TopicPartition, int] = {}
        self._loading = set(self.queues)

    @property
    def loaded(self) -> bool:
        """Whether all that was there at the start is read."""
        return not self._loading

    def begin(self, begins: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]) -> None:
        """Take up where the store ends; or start anew, if the topic does not go on from there.

        A topic that ends before is another one than the store was filled from. One that begins after
        has lost records, and with them rows that were changed or deleted meanwhile.
        """
        topic = self.table.topics[0]
        known = {TopicPartition(topic, number): at for number, at in self._partitions.progress().items()}
        if any(not begins.get(part, 0) <= at.position <= ends.get(part, -1) for part, at in known.items()):
            self.rows.wipe()
            known = {}
        for partition, queue in self.queues.items():
            queue.next_offset, queue.partition_time = known.get(partition, Progress(begins[partition], -1))
            self._starts[partition] = queue.next_offset

    def progress(self, ends: Mapping[TopicPartition, int]) -> tuple[int, int]:
        """Return how many records were read since the start, and how many there were to read."""
        read = sum((queue.next_offset or 0) - self._starts[part] for part, queue in self.queues.items())
        return read, sum(ends[part] - start for part, start in self._starts.items())

    def apply(self, runs: Records) -> None:
        """Put what was read into the store, and with it how far the partitions are read by now.

        Raises:
            StateError: the topic was made anew under the worker.
        """
        changes: dict[bytes, bytes | None] = {}
        for partition, run in runs.items():
            if run[0].offset < (self.queues[partition].next_offset or 0):
                self.rows.wipe()
                raise StateError(
                    f"{self.table} has read {partition} up to {self.queues[partition].next_offset}, and now "
                    f"it goes on at {run[0].offset}: the topic was made anew. The table was wiped: start "
                    "the worker again to load it"
                )
            changes.update(self._sources[partition].read(run))
        for partition in runs:
            self._reached(partition)
        self.rows.restore(Rows.of(changes.items()), 0)

    def _keyless(self, message: Message) -> None:
        error = ProcessingError(f"{self.table}: null key")
        self._environment.failures.drop(message, "records_rejected", error, "null_key", "global")

    def finish(self, partition: TopicPartition, end: int) -> None:
        """Take note that a partition is read up to where it ended at the start."""
        self._loading.discard(partition)
        queue = self.queues[partition]
        if queue.next_offset != end:
            queue.next_offset = end
            self._reached(partition)
            self.rows.restore(Rows.of(()), 0)

    def _reached(self, partition: TopicPartition) -> None:
        queue = self.queues[partition]
        position = queue.next_offset or 0
        self._partitions.reached(partition.partition, Progress(position, queue.partition_time))
        self._environment.global_writes.reached(partition, position)

    def _reject(self, message: Message, error: RecordError) -> None:
        failures = self._environment.failures
        if isinstance(error, NoTimeError):
            failures.drop(message, "records_dropped", error, "no_time", "global")
        else:
            failures.handle(message, error, "global")
