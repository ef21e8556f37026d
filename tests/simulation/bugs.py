"""Deliberate bugs: what a runtime like this one is known to get wrong. Each must be caught."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import pytest

from pipeline.record import TopicPartition
from pipeline.runtime.broker import Committed, Consumer
from pipeline.runtime.commit import Committer
from pipeline.runtime.memory_producer import MemoryTransactionalProducer
from pipeline.runtime.restore import Restoration
from pipeline.runtime.task import Task
from pipeline.runtime.task_manager import TaskManager
from pipeline.state.memory import MemoryStore
from pipeline.testing.simulation import disk, link


class Bug(NamedTuple):
    """A bug, and the guarantee that it breaks.

    Attributes:
        guarantee: `processing_guarantee` to run with.
        plant: puts the bug in.
    """

    guarantee: str
    plant: Callable[[pytest.MonkeyPatch], None]


def offsets_before_flush(patch: pytest.MonkeyPatch) -> None:
    """Commit what was read before its results are flushed."""
    commit = Committer.commit

    def early(self: Committer, tasks: Iterable[Task], *, leaving: bool = False) -> None:
        tasks = list(tasks)
        offsets = {
            partition: Committed(queue.next_offset)
            for task in tasks
            for partition, queue in task.queues.items()
            if queue.next_offset is not None
        }
        if offsets:
            self._consumer.commit(offsets)
        commit(self, tasks, leaving=leaving)

    patch.setattr(Committer, "commit", early)


def unflushed_producer(patch: pytest.MonkeyPatch) -> None:
    """Commit without waiting for acknowledgements."""
    patch.setattr(Committer, "_deliver", lambda self: None)


def restore_past_the_commit(patch: pytest.MonkeyPatch) -> None:
    """Restore all that is logged, committed or not."""
    add = Restoration.add

    def greedy(
        self: Restoration,
        task: Task,
        committed: Mapping[TopicPartition, Committed],
        log_ends: Mapping[TopicPartition, int],
        *,
        known: bool,
    ) -> None:
        everything = (
            {partition: Committed(end) for partition, end in log_ends.items()} if known else committed
        )
        add(self, task, everything, log_ends, known=known)

    patch.setattr(Restoration, "add", greedy)


def position_without_its_batch(patch: pytest.MonkeyPatch) -> None:
    """Store the changelog position apart from the data that belongs to it."""

    def apart(self: Any, changes: Mapping[bytes, bytes | None], position: int, drop: Any = ()) -> None:
        MemoryStore.write(self, {}, position)
        self._sync()
        MemoryStore.write(self, changes, position, drop)

    patch.setattr(disk._DiskStore, "write", apart)


def revoked_without_a_commit(patch: pytest.MonkeyPatch) -> None:
    """Close revoked tasks, and let the transaction go on with what they wrote."""
    patch.setattr(TaskManager, "_commit_before_leaving", lambda self, tasks: True)


def lost_and_carried_on(patch: pytest.MonkeyPatch) -> None:
    """Go on with the transaction when partitions were lost."""
    patch.setattr(TaskManager, "_give_up_transaction", lambda self, partitions: None)


def offsets_outside_the_transaction(patch: pytest.MonkeyPatch) -> None:
    """Commit offsets first, and then the transaction."""
    commit = link.LinkTransactionalProducer.commit

    def apart(self: Any, offsets: Mapping[TopicPartition, Committed], consumer: Consumer) -> None:
        consumer.commit(offsets)
        commit(self, {}, consumer)

    patch.setattr(link.LinkTransactionalProducer, "commit", apart)


def not_logged_again(patch: pytest.MonkeyPatch) -> None:
    """Leave in the changelog what a crashed worker had not committed."""
    patch.setattr(Task, "_log_again", lambda self: self.uncommitted.clear())


def processing_before_restored(patch: pytest.MonkeyPatch) -> None:
    """Take records before the state they belong to is there."""
    patch.setattr(Restoration, "is_restored", lambda self, task: True)


def a_store_without_its_changelog(patch: pytest.MonkeyPatch) -> None:
    """Forget to log one store, such as a buffer of what is held back."""
    log = Task._log

    def forgetful(self: Task, name: str, records: Any) -> None:
        if name not in {"counts", "payment-left"}:
            log(self, name, records)

    patch.setattr(Task, "_log", forgetful)


def a_transaction_that_never_ends(patch: pytest.MonkeyPatch) -> None:
    """Leave open what a crashed worker had begun."""
    patch.setattr(MemoryTransactionalProducer, "fence", lambda self: None)


BUGS: Final[Mapping[str, Bug]] = {
    "offsets before flush": Bug("at_least_once", offsets_before_flush),
    "unflushed producer": Bug("exactly_once", unflushed_producer),
    "restore past the commit": Bug("at_least_once", restore_past_the_commit),
    "position without its batch": Bug("exactly_once", position_without_its_batch),
    "revoked without a commit": Bug("exactly_once", revoked_without_a_commit),
    "lost and carried on": Bug("exactly_once", lost_and_carried_on),
    "offsets outside the transaction": Bug("exactly_once", offsets_outside_the_transaction),
    "not logged again": Bug("at_least_once", not_logged_again),
    "processing before restored": Bug("exactly_once", processing_before_restored),
    "a store without its changelog": Bug("exactly_once", a_store_without_its_changelog),
    "a transaction that never ends": Bug("exactly_once", a_transaction_that_never_ends),
}
