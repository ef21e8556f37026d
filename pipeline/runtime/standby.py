"""Standby replicas: copies of stores whose tasks run elsewhere, kept warm for the day they come here.

A copy follows its store's changelog, or the topic that stands for one, as far as the group has committed:
that is the state that belongs to the committed offsets, at any moment (`restore`). What is logged beyond
it may never be committed, so it is not read. Nor is a copy's time what it reads, but what was committed:
before its end a changelog holds what crashed workers had logged, until it was logged again.

```
changelog   |-----------------|----------|- - -
                  copy's position     committed: read up to here, then ask again
```

When the task comes here, it takes the copy over as it is open, and restores the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from pipeline.errors import CorruptStoreError
from pipeline.plan.planner import SubTopology
from pipeline.record import TaskId, TopicPartition
from pipeline.runtime.broker import Admin, Consumer, Message, Reader
from pipeline.runtime.environment import TaskEnvironment
from pipeline.runtime.progress import decode_each, tell_stores
from pipeline.runtime.restore import ReadRows, logged_rows
from pipeline.runtime.source_rows import handled_rows
from pipeline.runtime.standby_placement import keepers
from pipeline.runtime.stores import Engines, open_store
from pipeline.state.rows import Rows
from pipeline.state.store import BytesStore
from pipeline.topology import StoreSpec

_log: Final = logging.getLogger(__name__)
#: How often the group is looked at, and how often it is asked what it has committed.
_LOOK_MS: Final = 5_000
_ASK_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class StandbyStatus:
    """What copies a worker keeps.

    Attributes:
        tasks: of so many tasks.
        stores: so many stores.
        lag: changelog records committed and not in the copies yet, as last asked.
    """

    tasks: int
    stores: int
    lag: int


@dataclass(slots=True, eq=False)
class _Copy:
    """A store's copy, up to `position`; up to `end` its log was committed when that was last asked."""

    task: TaskId
    name: str
    log: TopicPartition
    engine: BytesStore
    store: Any
    rows: ReadRows
    #: Beside whose committed offsets its time is told; none if it has no time.
    sources: Sequence[TopicPartition]
    position: int
    end: int = 0
    #: Where what is being read ends, None if nothing is.
    target: int | None = None


class Standbys:
    """Keeps this worker's copies: opens, follows, hands over and closes them, a bounded step at a time.

    Args:
        environment: the plan, the settings, the counters.
        consumer: says who this worker is in the group.
        admin: shows the group.
        reader: reads changelogs; it is used for nothing else.
        engines: opens what stores are on.
        counts: partition counts by topic.
    """

    def __init__(
        self,
        environment: TaskEnvironment,
        consumer: Consumer,
        admin: Admin,
        reader: Reader,
        engines: Engines,
        counts: Mapping[str, int],
    ) -> None:
        self._environment, self._consumer, self._admin = environment, consumer, admin
        self._reader, self._engines, self._counts = reader, engines, counts
        self._group = environment.config.application_id
        self._copies: dict[TopicPartition, _Copy] = {}
        #: The topics of all logs that were ever read.
        self._tasks: dict[TaskId, list[_Copy]] = {}
        self._missing: list[tuple[TaskId, SubTopology]] = []
        self._look_ms = self._ask_ms = 0
        self._warned = False

    @property
    def tasks(self) -> Collection[TaskId]:
        """The tasks of which copies are kept."""
        return self._tasks.keys()

    def stores(self) -> dict[TaskId, Mapping[str, Any]]:
        """Return the copies by task and name."""
        return {task: {copy.name: copy.store for copy in copies} for task, copies in self._tasks.items()}

    def status(self) -> StandbyStatus:
        """Return what is kept, and how far behind it is."""
        lag = sum(max(0, copy.end - copy.position) for copy in self._copies.values())
        return StandbyStatus(len(self._tasks), len(self._copies), lag)

    def rebalanced(self) -> None:
        """Take note that the group has changed: who keeps what may have, too."""
        self._look_ms = 0

    def take(self, task: TaskId) -> dict[str, BytesStore]:
        """Hand over the copies of a task that is opened here, by store; none if none are kept."""
        self._missing = [(missing, sub) for missing, sub in self._missing if missing != task]
        copies = self._tasks.pop(task, [])
        for copy in copies:
            self._forget(copy)
        return {copy.name: copy.engine for copy in copies}

    def step(self, running: Callable[[], Collection[TaskId]], now_ms: int) -> int:
        """Look at the group if it is time, open one task's copies, follow; return how many records it read.

        Args:
            running: tells the tasks that run here.
            now_ms: the time by the wall clock.

        Raises:
            BrokerUnreachableError: no broker answers.
            StateError: a store cannot be opened.
        """
        if now_ms >= self._look_ms:
            self._look_ms = now_ms + _LOOK_MS
            self._look(running())
        if self._missing:
            self._open(*self._missing.pop(0))
            self._ask_ms = now_ms
        if self._copies and now_ms >= self._ask_ms:
            self._ask_ms = now_ms + _ASK_MS
            self._ask()
        return self._follow()

    def close(self) -> None:
        """Close all copies; the reader is closed by who opened it."""
        with ExitStack() as stack:
            for copy in self._copies.values():
                stack.callback(copy.store.close)
            self._copies, self._tasks, self._missing = {}, {}, []

    def _look(self, running: Collection[TaskId]) -> None:
        """Find out of which tasks copies are to be here; close the others."""
        members = self._admin.group_members(self._group)
        me = self._consumer.member_id()
        if not any(member.id == me for member in members):
            # Joining; or a broker that tells nobody who is in a group.
            if running and not members and not self._warned:
                self._warned = True
                _log.warning(
                    "standby_replicas has no effect here: the broker does not show the members of group %s",
                    self._group,
                )
            return
        kept, missing = set(), []
        for sub in self._environment.plan.subtopologies:
            topics = [topic for topic in sub.topics if topic in self._counts]
            if not topics or not any(_can_be_copied(spec) for spec in sub.stores):
                continue
            replicas = self._environment.config.standby_replicas
            # Topics of a sub-topology with stores have equal partition counts, and partitions of one number
            # one owner.
            for number, (owner, *heirs) in enumerate(
                keepers(members, topics[0], self._counts[topics[0]], replicas)
            ):
                task = TaskId(sub.id, number)
                if task in running or me not in (owner, *heirs):
                    continue
                # Whoever is to be the owner and is not yet has been an heir: its copy is about to be taken.
                kept.add(task)
                if me in heirs and task not in self._tasks:
                    missing.append((task, sub))
        for task in [task for task in self._tasks if task not in kept]:
            self._drop(task)
        self._missing = missing

    def _open(self, task: TaskId, sub: SubTopology) -> None:
        copies = self._tasks[task] = []
        sources = [TopicPartition(topic, task.partition) for topic in sub.topics if topic in self._counts]
        for spec in sub.stores:
            if not _can_be_copied(spec):
                continue
            rows: ReadRows = logged_rows
            if spec.logged:
                log = TopicPartition(self._environment.plan.changelog(spec.name), task.partition)
            else:
                source = sub.source_logs[spec.name]
                log = TopicPartition(source.topics[0], task.partition)
                rows = handled_rows(source, log, self._environment)
            engine = self._engines.of_task(task, spec)
            store = open_store(spec, engine, self._environment.config)
            timed = sources if store.progress() else ()
            copy = _Copy(task, spec.name, log, engine, store, rows, timed, store.position())
            self._copies[log] = copy
            copies.append(copy)

    def _ask(self) -> None:
        """Ask how far changelogs are committed, and read on to there."""
        sources = {source for copy in self._copies.values() for source in copy.sources}
        # In one request: times and positions belong together.
        committed = self._admin.group_offsets(self._group, sorted(sources | self._copies.keys()))
        for log, copy in self._copies.items():
            if log not in committed:
                continue
            copy.end = committed[log].offset
            if copy.target is not None:
                continue
            if copy.position > copy.end:
                # Its log is another one than this copy was written with.
                self._wipe(copy)
            tell_stores({copy.name: copy.store}, decode_each(committed, copy.sources).values())
            if copy.position < copy.end:
                self._reader.add(log, copy.position, copy.end)
                copy.target = copy.end

    def _follow(self) -> int:
        count = 0
        for log, run in self._reader.poll(self._environment.config.restore_records, 0).items():
            count += len(run)
            copy = self._copies.get(log)
            if copy is not None:
                self._apply(copy, run)
        for log in self._reader.finished():
            copy = self._copies.get(log)
            if copy is not None:
                self._finish(copy)
        self._environment.counters["records_standby"] += count
        return count

    def _apply(self, copy: _Copy, run: Sequence[Message]) -> None:
        try:
            if run[0].offset < copy.position:
                # The changelog was made anew meanwhile: what this copy holds is not of it.
                self._stop_reading(copy)
                self._wipe(copy)
            else:
                self._restore(copy, copy.rows(run), run[-1].offset + 1)
        except CorruptStoreError:
            # Opened again, it is set aside, with a line in the log, and begins anew.
            self._drop(copy.task)
            self._look_ms = 0

    def _finish(self, copy: _Copy) -> None:
        target, copy.target = copy.target, None
        if target is not None and copy.position < target:
            # The last offsets may be holes: of compaction, of transactions.
            self._restore(copy, Rows.of(()), target)
        # Windows that have expired are dropped.
        copy.store.commit(copy.position)

    def _restore(self, copy: _Copy, rows: Rows, position: int) -> None:
        copy.store.restore(rows, position)
        copy.position = position

    def _wipe(self, copy: _Copy) -> None:
        copy.store.wipe()
        copy.position = 0

    def _drop(self, task: TaskId) -> None:
        with ExitStack() as stack:
            for copy in self._tasks.pop(task):
                self._forget(copy)
                stack.callback(copy.store.close)

    def _forget(self, copy: _Copy) -> None:
        self._stop_reading(copy)
        del self._copies[copy.log]

    def _stop_reading(self, copy: _Copy) -> None:
        if copy.target is not None:
            copy.target = None
            self._reader.remove(copy.log)


def _can_be_copied(spec: StoreSpec) -> bool:
    return spec.logged or spec.source_is_log
