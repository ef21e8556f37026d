"""Bringing stores to where the last commit left them, before their task processes anything.

Each store starts from its own position, and takes its changelog only as far as the position that
was committed with the source offsets. What a crashed worker had logged beyond it is not part of
the state: the replay writes its own. But it stays in the changelog, before what is logged next; so
the task logs once more what its keys are worth, a bounded number at a time (`Task.log_again`).

```
changelog   |------------------|- - - - - - - - -|.........
               committed: state   only their keys   the same keys, with what the state says
```

A store without a changelog starts from what it holds, unless its table's own topic stands for one
(`source_rows`): that is read as far as it is committed, for nobody writes rows there twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pipeline.errors import StateError
from pipeline.record import TopicPartition
from pipeline.runtime.broker import Committed, Message, Reader
from pipeline.runtime.counters import Counters
from pipeline.runtime.queries import StoreRegistry
from pipeline.runtime.restore_progress import RestoreProgress
from pipeline.runtime.source_rows import handled_rows
from pipeline.runtime.task import Task
from pipeline.state.rows import Rows

#: From the records of a log to rows as they are stored.
ReadRows: TypeAlias = Callable[[Sequence[Message]], Rows]


@dataclass(slots=True)
class _Target:
    """A partition to read: its rows up to `end` into the store, from there for their keys alone."""

    task: Task
    name: str
    store: Any
    start: int
    end: int
    rows: ReadRows
    log_end: int
    #: Keys to log again.
    uncommitted: set[bytes] = field(default_factory=set)
    #: How far it is read.
    position: int = 0


class Restoration:
    """Restores the stores of tasks, a bounded number of records at a time.

    Args:
        reader: reads changelogs; it is used for nothing else.
        registry: told how far each store is.
        counters: of the worker.
        progress: told how far all of them are.
        most_keys: so many keys that were logged and not committed are kept of a store; then they are logged
            again.
    """

    def __init__(
        self,
        reader: Reader,
        registry: StoreRegistry,
        counters: Counters,
        progress: RestoreProgress,
        most_keys: int,
    ) -> None:
        self._reader, self._registry, self._counters = reader, registry, counters
        self._progress, self._most_keys = progress, most_keys
        self._targets: dict[TopicPartition, _Target] = {}
        #: The topics of all logs that were ever read.

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
            begin = task.begins[changelog] = committed.get(changelog, Committed(log_end if known else 0))
            end = begin.offset
            _check_end(changelog, end, log_end)
            # What lies beyond what is committed is read for its keys.
            self._read(task, name, changelog, end, log_end, logged_rows)
        for name, topic in task.source_logs.items():
            end = committed.get(topic, Committed(0)).offset
            _check_end(topic, end, log_ends[topic])
            rows = handled_rows(task.sub.source_logs[name], topic, task.environment)
            self._read(task, name, topic, end, end, rows)

    def _read(
        self, task: Task, name: str, log: TopicPartition, end: int, log_end: int, rows: ReadRows
    ) -> None:
        store = task.stores[name]
        if store.position() > end:
            # Its log is another one than this store was written with.
            store.wipe()
        start = store.position()
        if start < log_end:
            self._targets[log] = _Target(task, name, store, start, end, rows, log_end, position=start)
            store.expect(end - start)
            self._reader.add(log, start, log_end)
            self._progress.begin(log_end - start)
            self._registry.progress(task.id, name, 0, end - start)

    def remove(self, task: Task) -> None:
        """Stop restoring a task that goes away."""
        for changelog, target in list(self._targets.items()):
            if target.task is task:
                self._reader.remove(changelog)
                del self._targets[changelog]
                self._progress.finish(unread=target.log_end - target.position)

    def is_restored(self, task: Task) -> bool:
        """Whether all of a task's stores are where they should be."""
        return all(target.task is not task for target in self._targets.values())

    def step(self, max_records: int, timeout_s: float) -> int:
        """Read and apply up to `max_records` records, and return how many there were."""
        self._progress.report()
        count = 0
        for changelog, run in self._reader.poll(max_records, timeout_s).items():
            count += len(run)
            target = self._targets.get(changelog)
            if target is not None:
                self._apply(target, run)
        for changelog in self._reader.finished():
            target = self._targets.pop(changelog, None)
            if target is not None:
                self._finish(target)
        self._counters["records_restored"] += count
        self._progress.report()
        return count

    def _apply(self, target: _Target, run: Sequence[Message]) -> None:
        self._reached(target, run[-1].offset + 1)
        inside = run
        if run[-1].offset >= target.end:
            inside = [message for message in run if message.offset < target.end]
        if inside:
            position = inside[-1].offset + 1
            target.store.restore(target.rows(inside), position)
            self._registry.progress(
                target.task.id, target.name, position - target.start, target.end - target.start
            )
        for message in run[len(inside) :]:
            target.uncommitted.add(message.key or b"")
            if len(target.uncommitted) >= self._most_keys:
                self._log_again(target)

    def _log_again(self, target: _Target) -> None:
        # The store is where it is to be: what is committed comes first in the log.
        target.task.log_again(target.name, target.uncommitted)
        target.uncommitted.clear()

    def _reached(self, target: _Target, position: int) -> None:
        self._progress.read(position - target.position)
        target.position = position

    def _finish(self, target: _Target) -> None:
        self._reached(target, target.log_end)
        self._progress.finish()
        if target.store.position() < target.end:
            # The last offsets may be holes: compaction removed what stood there.
            target.store.restore(Rows.of(()), target.end)
        target.store.expect(0)
        if target.uncommitted:
            self._log_again(target)

    def close(self) -> None:
        """Free the connection."""
        self._reader.close()


def logged_rows(run: Sequence[Message]) -> Rows:
    """Return the records of a changelog as rows."""
    # Keys are never null in a changelog; the type of a message cannot say so.
    return Rows([message.key or b"" for message in run], [message.value for message in run])


def _check_end(log: TopicPartition, end: int, log_end: int) -> None:
    if end > log_end:
        raise StateError(
            f"{log} ends at {log_end}, and the state that belongs to the committed offsets ends at {end}: it "
            "was truncated or made anew. Delete the group's offsets, the application's changelogs and the "
            "data folder to build the state anew"
        )
