"""The commit: five steps whose order is the contract.

What is delivered before offsets are committed can repeat after a crash, but never get lost. What is
written to a store after offsets are committed is never ahead of them: a crash in between is made
good from the changelog, up to the position committed beside the offset.
"""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.errors import BrokerError, BrokerUnreachableError, DeliveryError, RewindError
from pipeline.record import TopicPartition
from pipeline.runtime.broker import Admin, Committed, Consumer
from pipeline.runtime.chosen_topics import in_the_middle
from pipeline.runtime.environment import TaskEnvironment
from pipeline.runtime.task import Task
from pipeline.runtime.undelivered import Undelivered

#: How long one attempt waits for acknowledgements before it reports that the broker is slow or gone.
FLUSH_S = 1.0


class Committer:
    """Commits tasks; an attempt that fails because the broker is away can be made again."""

    def __init__(self, environment: TaskEnvironment, consumer: Consumer, admin: Admin) -> None:
        self._environment, self._consumer, self._admin = environment, consumer, admin
        #: At the last commit: global tables put records aside without a task.
        self._dead_letters = environment.counters["dead_letters"]
        self._internal = environment.plan.internal_topics
        #: What a transaction was asked to commit, until the answer comes.
        self._asked: tuple[list[Task], dict[TopicPartition, Committed]] | None = None

    def commit(self, tasks: Iterable[Task], *, leaving: bool = False) -> bool:
        """Commit everything that `tasks` have done so far.

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
        tasks = list(tasks)
        recorder = self._environment.recorder
        try:
            if self._asked is not None:
                # It may be committed, and the partitions with others who have gone on from there: what
                # changelogs hold by now says nothing about this worker's stores any more.
                asked, offsets = self._asked
                # Tasks that were closed meanwhile have no stores to write to: they start from the commit.
                held = set(map(id, tasks))
                self._end_transaction([task for task in asked if id(task) in held], offsets)
            now = self._environment.clock.now_ms()
            due = [task for task in tasks if task.needs_commit(now, leaving=leaving)]
            if not due and self._environment.counters["dead_letters"] == self._dead_letters:
                return True
            with recorder.committing:
                return self._commit(due)
        except BrokerError:
            recorder.commit_failures += 1
            raise

    def _commit(self, due: list[Task]) -> bool:
        # 1. Flush caches: updates are forwarded downstream, changelog records are produced.
        settled = self._flush(due)
        whole = len(settled) == len(due)
        if not whole and (self._environment.transactions is not None or not settled):
            return False
        due = settled
        writes = self._environment.global_writes
        writes.flush(due)
        # While the client sends. All that is written was committed before.
        for task in due:
            for behind in task.behind:
                behind.catch_up()
        # 2. Flush the producer: every record is acknowledged, or has gone to the dead letters.
        self._deliver()
        logged = [*(changelog for task in due for changelog in task.logged), *writes.partitions]
        ends = self._admin.end_offsets(logged) if logged else {}
        writes.delivered(ends)
        # 3. Commit offsets, and with them the changelog positions that belong to them.
        offsets: dict[TopicPartition, Committed] = {}
        for task in due:
            offsets |= task.offsets(ends)
        if self._environment.transactions is not None:
            self._end_transaction(due, offsets)
            return whole
        if offsets:
            self._consumer.commit(offsets)
        self._environment.purge.committed(offsets)
        self._take_note(due)
        return whole

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

    def _end_transaction(self, due: list[Task], offsets: dict[TopicPartition, Committed]) -> None:
        assert self._environment.transactions is not None  # noqa: S101 - who asks has one
        self._asked = (due, offsets)
        self._environment.transactions.commit(offsets, self._consumer)
        self._asked = None
        self._environment.purge.committed(offsets)
        self._take_note(due)

    def _take_note(self, due: list[Task]) -> None:
        # 4. Write each store's batch with its changelog position.
        now = self._environment.clock.now_ms()
        for task in due:
            task.commit(now)
        self._environment.global_writes.committed()
        # 5. Report.
        self._dead_letters = self._environment.counters["dead_letters"]
        self._environment.counters["commits"] += 1

    def _deliver(self) -> None:
        refused = self._environment.producer.flush(FLUSH_S)
        if refused and self._environment.transactions is not None:
            raise _transaction_failed(refused[0])
        while refused:
            self._environment.failures.undelivered(refused, self._internal)
            refused = self._environment.producer.flush(FLUSH_S)


def _transaction_failed(record: Undelivered) -> BrokerError:
    """Return the error for a record that was refused in a transaction: nothing of it can be committed."""
    what = f"topic {record.topic!r} did not take a record: {record.reason}"
    if record.timed_out:
        return RewindError(f"{what}; the transaction is aborted, and what was in hand comes again")
    return DeliveryError(
        f"{what}; its transaction cannot be committed, and it would be refused again: the worker stops. "
        "Allow it in the topic's configuration, or let max_record_bytes= put such records aside before"
    )
