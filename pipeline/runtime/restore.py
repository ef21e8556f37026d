"""Bringing stores to where the last commit left them, before their task processes anything.

Each store starts from its own position, and takes its changelog only as far as the position that
was committed with the source offsets. What a crashed worker had logged beyond it is not part of
the state: the replay writes its own. But it stays in the changelog, before what is logged next; so
its keys are collected, and the task logs once more what they are worth (`Task.start`).

A store without a changelog starts from what it holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import StateError
from pipeline.record import TopicPartition
from pipeline.runtime.batches import by_partition
from pipeline.runtime.broker import Committed, Message, Reader
from pipeline.runtime.counters import Counters
from pipeline.runtime.queries import StoreRegistry
from pipeline.runtime.task import Task


@dataclass(frozen=True, slots=True)
class _Target:
    """A changelog partition to read: up to `end` into the store, from there for its keys alone."""

    task: Task
    name: str
    store: Any
    start: int
    end: int
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
            committed: the group's offsets: of a changelog partition, the position to restore to.
            log_ends: where the changelog partitions end.
            known: whether source offsets of the task are committed. If so, a changelog without a
                position has lost it, and all of it is restored, as Kafka Streams does; if not, nothing
                was ever committed, so nothing in it counts.

        Raises:
            StateError: a changelog ends before its committed position.
        """
        for name, changelog in task.changelogs.items():
            store = task.stores[name]
            log_end = log_ends[changelog]
            position = Committed(log_end if known else 0)
            end = committed.get(changelog, position).offset
            if end > log_end:
                raise StateError(
                    f"changelog {changelog} ends at {log_end}, and the state that belongs to the committed "
                    f"offsets ends at {end}: it was truncated or made anew. Delete the group's offsets, the "
                    "changelog and the data folder to build the state anew"
                )
            task.log_ends[name] = log_end
            if store.position() > end:
                # Its changelog is another one than this store was written with.
                store.wipe()
            start = store.position()
            if start < log_end:
                self._targets[changelog] = _Target(task, name, store, start, end)
                self._reader.add(changelog, start, log_end)
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
        # Keys are never null in a changelog; the type of a message cannot say so.
        inside = run
        if run[-1].offset() >= target.end:
            inside = [message for message in run if message.offset() < target.end]
            target.uncommitted.update(message.key() or b"" for message in run[len(inside) :])
        if inside:
            position = inside[-1].offset() + 1
            target.store.restore([(message.key() or b"", message.value()) for message in inside], position)
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
