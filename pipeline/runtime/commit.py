"""The commit: five steps whose order is the contract.

What is delivered before offsets are committed can repeat after a crash, but never get lost. What is
written to a store after offsets are committed is never ahead of them: a crash in between is made
good from the changelog, up to the position committed beside the offset.

Steps 2 and 3 wait for the broker. What writes at its commits alone, as aggregations do with what their
caches hold, goes on processing meanwhile: nothing that it puts is part of the commit, and nothing is
produced before the broker has taken it.

```
step        1 flush    2 deliver                3 commit                      4 write stores, 5 report
worker      |------|-- processes on, into its caches ----------------------|--|
broker             |---------------------------|-- the transaction, if any --|
```

A consumer's offsets are committed in the worker's own turn: a client that polls lets no other thread in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from pipeline.errors import BrokerError, BrokerUnreachableError, DeliveryError, RewindError
from pipeline.record import TopicPartition
from pipeline.runtime.background import AtOnce, Background, Running
from pipeline.runtime.broker import Admin, Committed, Consumer
from pipeline.runtime.checkpoint import Checkpoint
from pipeline.runtime.chosen_topics import in_the_middle
from pipeline.runtime.environment import TaskEnvironment
from pipeline.runtime.task import Task
from pipeline.runtime.undelivered import Undelivered

#: How long one attempt waits for acknowledgements before it reports that the broker is slow or gone.
FLUSH_S = 1.0


@dataclass(slots=True)
class _Commit:
    """A commit, from the flush of its tasks' caches on.

    Attributes:
        of: what of each task is committed.
        whole: whether that is all that the tasks have done.
        partitions: those that were written to, of which it has to know where they end.
        dead_letters: how many there were when it began.
        spent_ns: how long the worker has been kept busy with it.
        ends: where they end, all being delivered; None: records were not.
        refused: those.
        offsets: what the broker is asked to commit; None: it has not been asked yet.
    """

    of: Sequence[tuple[Task, Checkpoint]]
    whole: bool
    partitions: Sequence[TopicPartition]
    dead_letters: int
    spent_ns: int = 0
    ends: Mapping[TopicPartition, int] | None = None
    refused: Sequence[Undelivered] = ()
    offsets: Mapping[TopicPartition, Committed] | None = None


class Committer:
    """Commits tasks; an attempt that fails because the broker is away can be made again.

    Args:
        environment: what tasks share.
        consumer: the member whose offsets are committed.
        admin: knows where partitions end.
        background: where the broker is waited for while the worker goes on.
    """

    def __init__(
        self, environment: TaskEnvironment, consumer: Consumer, admin: Admin, background: Background
    ) -> None:
        self._environment, self._consumer, self._admin = environment, consumer, admin
        self._background, self._here = background, AtOnce()
        #: At the last commit: global tables put records aside without a task.
        self._dead_letters = environment.counters["dead_letters"]
        self._internal = environment.plan.internal_topics
        #: What the broker is asked to take.
        self._under_way: tuple[_Commit, Running] | None = None
        #: What a transaction was asked to commit, until the answer comes.
        self._asked: tuple[_Commit, Mapping[TopicPartition, Committed]] | None = None
        #: How many records had been produced when caches had been flushed.
        self._produced = -1

    def commit(self, tasks: Iterable[Task], *, leaving: bool = False) -> bool:
        """Commit everything that `tasks` have done so far, and wait for it.

        Args:
            tasks: what to commit.
            leaving: whether they are about to be closed: another worker goes on from here.

        Returns:
            Whether it was everything. If not, agents of some task have records in flight: it takes up no
            more, and can be committed when they are done; with exactly-once, so can all.

        Raises:
            BrokerUnreachableError: not now; nothing is lost, commit again before processing on.
            DeliveryError: a record of state could not be written; the worker must stop.
            RewindError: records were not acknowledged in time; the worker must begin again.
            TaskMigratedError: another worker owns the partitions by now.
        """
        with self._failures_counted():
            self._settle()
            return self._begin(list(tasks), self._here, leaving=leaving)

    def advance(self, tasks: Iterable[Task], full: Callable[[], bool]) -> bool:
        """Begin to commit everything, or go on with the commit that is under way.

        Args:
            tasks: what to commit.
            full: says whether a commit has to end before anything more is processed.

        Returns:
            Whether a commit has ended, and it was everything. Raises as `commit` does.
        """
        with self._failures_counted():
            if self._under_way is None:
                beside = self._writes_at_commits_alone and not full()
                return self._begin(list(tasks), self._background if beside else self._here)
            return self._go_on(self._here if full() else self._background)

    @property
    def under_way(self) -> bool:
        """Whether a commit is."""
        return self._under_way is not None

    @property
    def _writes_at_commits_alone(self) -> bool:
        """Whether nothing was produced since caches were flushed last: probably nothing is until the next.

        Not with agents: what they have in flight, and write to global tables, is committed with them.
        """
        produced = self._environment.recorder.traffic.records_produced
        return produced == self._produced and not self._environment.has_agents

    def settle(self) -> None:
        """Wait for the commit that is under way, if one is, and take note of it. Raises as `commit` does."""
        with self._failures_counted():
            self._settle()

    def _settle(self) -> None:
        if self._under_way is not None:
            commit, _ = self._under_way
            with self._environment.recorder.committing.resumed(commit.spent_ns):
                self._wait()
                self._end()
                self._finish(commit)

    def _end(self) -> None:
        self._under_way = None
        self._environment.producer.release()

    def _wait(self) -> None:
        """Have the broker take the commit that is under way: before anything else is produced, too."""
        self._ask_to_commit(self._here)
        assert self._under_way is not None  # noqa: S101 - it was asked for
        self._under_way[1].wait()

    @contextmanager
    def _failures_counted(self) -> Iterator[None]:
        try:
            yield
        except BrokerError:
            self._environment.recorder.commit_failures += 1
            self._end()
            # Until one has succeeded, the worker waits for each.
            self._produced = -1
            raise

    def abandon(self) -> None:
        """Wait until nothing is asked of the broker any more; no task hears of what came of it."""
        if self._under_way is not None:
            _, running = self._under_way
            self._end()
            with suppress(BrokerError):
                # What was to be committed is done again.
                running.wait()

    def _begin(self, tasks: list[Task], background: Background, *, leaving: bool = False) -> bool:
        if self._asked is not None:
            self._ask_again(tasks)
        now = self._environment.clock.now_ms()
        due = [task for task in tasks if task.needs_commit(now, leaving=leaving)]
        if not due and self._environment.counters["dead_letters"] == self._dead_letters:
            return True
        begun_ns = self._environment.clock.now_ns()
        commit = self._flushed(due)
        if commit is None:
            return False
        self._under_way = commit, background.begin(partial(self._deliver, commit))
        self._environment.producer.hold(self._wait)
        commit.spent_ns = self._environment.clock.now_ns() - begun_ns
        return self._go_on(background) and commit.whole

    def _go_on(self, background: Background) -> bool:
        """Take what is under way as far as it can be without waiting, or to its end; return whether it is."""
        assert self._under_way is not None  # noqa: S101 - it was asked for
        if background is not self._here and self._under_way[1].done:
            now_ns, commit = self._environment.clock.now_ns, self._under_way[0]
            begun_ns = now_ns()
            self._ask_to_commit(background)
            commit.spent_ns += now_ns() - begun_ns
        if background is self._here or self._under_way[1].done:
            self._settle()
        return self._under_way is None

    def _flushed(self, due: list[Task]) -> _Commit | None:
        """Do step 1, and return what is to be committed; None: nothing can be yet."""
        environment = self._environment
        # 1. Flush caches: updates are forwarded downstream, changelog records are produced.
        settled = self._flush(due)
        whole = len(settled) == len(due)
        if not whole and (environment.transactions is not None or not settled):
            return None
        environment.global_writes.flush(settled)
        # While the client sends. All that is written was committed before.
        for task in settled:
            for behind in task.behind:
                behind.catch_up()
        self._produced = environment.recorder.traffic.records_produced
        of = [(task, task.checkpoint()) for task in settled]
        written = [partition for _, checkpoint in of for partition in checkpoint.written]
        written += environment.global_writes.partitions
        return _Commit(of, whole, written, environment.counters["dead_letters"])

    def _flush(self, due: list[Task]) -> list[Task]:
        """Flush the tasks that have nothing in flight, and return those that have nothing in flight then."""
        try:
            settled = [task for task in due if task.settle()]
            for task in settled:
                task.flush()
            # What was forwarded may be in flight now.
            return [task for task in settled if task.settle()]
        except BrokerUnreachableError as error:
            # An update was forwarded in part, and its store has not logged it: a second attempt would not.
            raise in_the_middle(error) from error

    def _deliver(self, commit: _Commit) -> None:
        """Do step 2, beside the worker's thread or in it."""
        # 2. Flush the producer: every record is acknowledged, or has gone to the dead letters.
        commit.refused = self._environment.producer.flush(FLUSH_S)
        if not commit.refused:
            commit.ends = self._admin.end_offsets(commit.partitions) if commit.partitions else {}

    def _ask_to_commit(self, background: Background) -> None:
        """Do step 3 when step 2 is done, unless that has been begun."""
        assert self._under_way is not None  # noqa: S101 - it was asked for
        commit, delivering = self._under_way
        if commit.offsets is not None:
            return
        delivering.wait()
        while commit.ends is None:
            self._environment.producer.release()
            self._put_aside(commit.refused)
            commit.dead_letters = self._environment.counters["dead_letters"]
            self._deliver(commit)
        self._environment.global_writes.delivered(commit.ends)
        # 3. Commit offsets, and with them the changelog positions that belong to them.
        offsets: dict[TopicPartition, Committed] = {}
        for _, checkpoint in commit.of:
            offsets |= checkpoint.offsets(commit.ends)
        if self._environment.transactions is not None:
            end = partial(self._end_transaction, commit, offsets, self._consumer.group_metadata())
            self._under_way = commit, background.begin(end)
        elif offsets:
            self._consumer.commit(offsets)
        commit.offsets = offsets

    def _end_transaction(
        self, commit: _Commit, offsets: Mapping[TopicPartition, Committed], member: object
    ) -> None:
        assert self._environment.transactions is not None  # noqa: S101 - who asks has one
        self._asked = commit, offsets
        self._environment.transactions.commit(offsets, member)
        self._asked = None

    def _ask_again(self, tasks: Collection[Task]) -> None:
        """Ask for the same commit once more.

        It may be committed, and the partitions with others who have gone on from there: what changelogs
        hold by now says nothing about this worker's stores any more.
        """
        assert self._asked is not None  # noqa: S101 - so it was asked for
        commit, offsets = self._asked
        self._end_transaction(commit, offsets, self._consumer.group_metadata())
        # Tasks that were closed meanwhile have no stores to write to: they start from the commit.
        commit.of = [(task, checkpoint) for task, checkpoint in commit.of if task in tasks]
        self._finish(commit)

    def _finish(self, commit: _Commit) -> None:
        """Do what is left, in the worker's thread."""
        self._environment.purge.committed(commit.offsets or {})
        # 4. Write each store's batch with its changelog position.
        now = self._environment.clock.now_ms()
        for task, checkpoint in commit.of:
            task.commit(checkpoint, now)
        self._environment.global_writes.committed()
        # 5. Report.
        self._dead_letters = commit.dead_letters
        self._environment.counters["commits"] += 1

    def _put_aside(self, refused: Sequence[Undelivered]) -> None:
        if self._environment.transactions is not None:
            raise _transaction_failed(refused[0])
        self._environment.failures.undelivered(refused, self._internal)


def _transaction_failed(record: Undelivered) -> BrokerError:
    """Return the error for a record that was refused in a transaction: nothing of it can be committed."""
    what = f"topic {record.topic!r} did not take a record: {record.reason}"
    if record.timed_out:
        return RewindError(f"{what}; the transaction is aborted, and what was in hand comes again")
    return DeliveryError(
        f"{what}; its transaction cannot be committed, and it would be refused again: the worker stops. "
        "Allow it in the topic's configuration, or let max_record_bytes= put such records aside before"
    )
