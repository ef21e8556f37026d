"""Bringing stores to where the last commit left them, before their task processes anything.

Each store starts from its own position, and takes its changelog only as far as the position that
was committed with the source offsets. What a crashed worker had logged beyond it is not part of
the state: the replay writes its own. But it stays in the changelog, before what is logged next; so
its keys are collected, and the task logs once more what they are worth (`Task.start`).

A store without a changelog starts from what it holds, unless its table's own topic stands for one
(`source_log`): that is read as far as it is committed, for nobody writes rows there twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pipeline.errors import StateError
from pipeline.record import TopicPartition
from pipeline.runtime.batches import by_partition
from pipeline.runtime.broker import Committed, Message, Reader
from pipeline.runtime.counters import Counters
from pipeline.runtime.queries import StoreRegistry
from pipeline.runtime.source_log import Row, SourceLog
from pipeline.runtime.task import Task

#: From the records of a log to rows as they are stored.
ReadRows: TypeAlias = Callable[[Sequence[Message]], list[Row]]


@dataclass(frozen=True, slots=True)
class _Target:
    """A partition to read: its rows up to `end` into the store, from there for their keys alone."""

    task: Task
    name: str
    store: Any
    start: int
    end: int
    rows: ReadRows
    uncommitted: set[bytes] = field(default_factory=set)


class Restoration:
    """Restores the stores of tasks, a bounded number of records at a time."""

    def __init__(self, reader: Reader, registry: StoreRegistry, counters: Counters) -> None:
        self._reader, self._registry, self._counters = reader, registry, counters
        self._targets: dict[TopicPartition, _Target] = {}

    @property
    def active(self) -> bool:
        """Whether anything is being restored."""
        return bool(self._targets)

    def add(
        self,
        task: Task,
        committed: Mapping[TopicPartition, Committed],
        log_ends: Mapping[TopicPartition, int],
        *,
        known: bool,
    ) -> None:
        """Start restoring a task's stores.

        Args:
            task: the task.
            committed: the group's offsets: of a changelog partition, or of a source that stands for one,
                the position to restore to.
            log_ends: where these partitions end.
            known: whether source offsets of the task are committed. If so, a changelog without a
                position has lost it, and all of it is restored, as Kafka Streams does; if not, nothing
                was ever committed, so nothing in it counts.

        Raises:
            StateError: a changelog ends before its committed position.
        """
        for name, changelog in task.changelogs.items():
            log_end = task.log_ends[name] = log_ends[changelog]
            end = committed.get(changelog, Committed(log_end if known else 0)).offset
            _check_end(changelog, end, log_end)
            # What lies beyond what is committed is read for its keys.
            self._read(task, name, changelog, end, log_end, _logged_rows)
        for name, topic in task.source_logs.items():
            end = committed.get(topic, Committed(0)).offset
            _check_end(topic, end, log_ends[topic])
            source = SourceLog(task.sub.source_logs[name], topic, task.environment)
            self._read(task, name, topic, end, end, source.rows)

    def _read(
        self, task: Task, name: str, log: TopicPartition, end: int, log_end: int, rows: ReadRows
    ) -> None:
        store = task.stores[name]
        if store.position() > end:
            # Its log is another one than this store was written with.
            store.wipe()
        start = store.position()
        if start < log_end:
            self._targets[log] = _Target(task, name, store, start, end, rows)
            self._reader.add(log, start, log_end)
            self._registry.progress(task.id, name, 0, end - start)

    def remove(self, task: Task) -> None:
        """Stop restoring a task that goes away."""
        for changelog, target in list(self._targets.items()):
            if target.task is task:
                self._reader.remove(changelog)
                del self._targets[changelog]

    def is_restored(self, task: Task) -> bool:
        """Whether all of a task's stores are where they should be."""
        return all(target.task is not task for target in self._targets.values())

    def step(self, max_records: int, timeout_s: float) -> int:
        """Read and apply up to `max_records` records, and return how many there were."""
        messages = self._reader.poll(max_records, timeout_s)
        for changelog, run in by_partition(messages).items():
            target = self._targets.get(changelog)
            if target is not None:
                self._apply(target, run)
        for changelog in self._reader.finished():
            target = self._targets.pop(changelog, None)
            if target is not None:
                self._finish(target)
        self._counters["records_restored"] += len(messages)
        return len(messages)

    def _apply(self, target: _Target, run: list[Message]) -> None:
        inside = run
        if run[-1].offset() >= target.end:
            inside = [message for message in run if message.offset() < target.end]
            target.uncommitted.update(message.key() or b"" for message in run[len(inside) :])
        if inside:
            position = inside[-1].offset() + 1
            target.store.restore(target.rows(inside), position)
            self._registry.progress(
                target.task.id, target.name, position - target.start, target.end - target.start
            )

    def _finish(self, target: _Target) -> None:
        if target.store.position() < target.end:
            # The last offsets may be holes: compaction removed what stood there.
            target.store.restore((), target.end)
        if target.uncommitted:
            target.task.uncommitted[target.name] = target.uncommitted

    def close(self) -> None:
        """Free the connection."""
        self._reader.close()


def _logged_rows(run: Sequence[Message]) -> list[Row]:
    # Keys are never null in a changelog; the type of a message cannot say so.
    return [(message.key() or b"", message.value()) for message in run]


def _check_end(log: TopicPartition, end: int, log_end: int) -> None:
    if end > log_end:
        raise StateError(
            f"{log} ends at {log_end}, and the state that belongs to the committed offsets ends at {end}: it "
            "was truncated or made anew. Delete the group's offsets, the application's changelogs and the "
            "data folder to build the state anew"
        )
