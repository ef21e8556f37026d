"""Deliberate bugs: what a runtime like this one is known to get wrong. Each must be caught."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

import pytest

from pipeline.agents.in_flight import InFlight
from pipeline.operators.agent import _AgentOperator
from pipeline.record import TopicPartition
from pipeline.runtime import memory_log, progress, standby
from pipeline.runtime.broker import Committed, Consumer
from pipeline.runtime.checkpoint import Checkpoint
from pipeline.runtime.commit import Committer
from pipeline.runtime.failures import Failures
from pipeline.runtime.memory import MemoryReader
from pipeline.runtime.memory_group import MemoryConsumer
from pipeline.runtime.memory_producer import MemoryTransactionalProducer
from pipeline.runtime.purge import Purge
from pipeline.runtime.restore import Restoration
from pipeline.runtime.standby import Standbys
from pipeline.runtime.task import Task
from pipeline.runtime.task_manager import TaskManager
from pipeline.state.memory import MemoryStore
from pipeline.state.rows import Rows
from pipeline.testing.simulation import Faults, disk
from pipeline.testing.simulation.link_producer import LinkProducer, LinkTransactionalProducer


class Bug(NamedTuple):
    """A bug, and the guarantee that it breaks.

    Attributes:
        guarantee: `processing_guarantee` to run with.
        plant: puts the bug in.
        application: one that shows it.
        faults: how often what goes wrong, where what is drawn seldom shows it.
    """

    guarantee: str
    plant: Callable[[pytest.MonkeyPatch], None]
    application: str = "shop"
    faults: Faults | None = None


def offsets_before_flush(patch: pytest.MonkeyPatch) -> None:
    """Commit what was read before its results are flushed."""
    begin = Committer._begin

    def early(self: Committer, tasks: list[Task], *arguments: Any, **options: Any) -> bool:
        offsets = {
            partition: Committed(queue.next_offset)
            for task in tasks
            for partition, queue in task.queues.items()
            if queue.next_offset is not None
        }
        if offsets:
            self._consumer.commit(offsets)
        return begin(self, tasks, *arguments, **options)

    patch.setattr(Committer, "_begin", early)


def unflushed_producer(patch: pytest.MonkeyPatch) -> None:
    """Commit without waiting for acknowledgements."""

    def unflushed(self: Committer, commit: Any) -> None:
        commit.ends = self._admin.end_offsets(commit.partitions) if commit.partitions else {}

    patch.setattr(Committer, "_deliver", unflushed)


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

    write = disk._DiskStore.write

    def apart(self: Any, changes: Mapping[bytes, bytes | None], position: int, drop: Any = ()) -> None:
        MemoryStore.write(self, {}, position)
        self._sync()
        write(self, changes, position, drop)

    patch.setattr(disk._DiskStore, "write", apart)


def revoked_without_a_commit(patch: pytest.MonkeyPatch) -> None:
    """Close revoked tasks, and let the transaction go on with what they wrote."""
    patch.setattr(TaskManager, "_commit_before_leaving", lambda self, tasks: True)


def lost_and_carried_on(patch: pytest.MonkeyPatch) -> None:
    """Go on with the transaction when partitions were lost."""
    patch.setattr(TaskManager, "_give_up_transaction", lambda self, partitions: None)


def offsets_outside_the_transaction(patch: pytest.MonkeyPatch) -> None:
    """Commit offsets first, and then the transaction."""
    commit = LinkTransactionalProducer.commit

    def apart(self: Any, offsets: Mapping[TopicPartition, Committed], consumer: Consumer) -> None:
        consumer.commit(offsets)
        commit(self, {}, consumer)

    patch.setattr(LinkTransactionalProducer, "commit", apart)


def not_logged_again(patch: pytest.MonkeyPatch) -> None:
    """Leave in the changelog what a crashed worker had not committed."""
    patch.setattr(Task, "log_again", lambda _self, _name, _keys: None)


def processing_before_restored(patch: pytest.MonkeyPatch) -> None:
    """Take records before the state they belong to is there."""
    patch.setattr(Restoration, "is_restored", lambda self, task: True)


def a_store_without_its_changelog(patch: pytest.MonkeyPatch) -> None:
    """Forget to log one store."""
    _forget(patch, "counts", "payment-left")


def suppress_buffer_lost(patch: pytest.MonkeyPatch) -> None:
    """Forget what is held back until its window closes or its time has come."""
    _forget(patch, "hold", "wait")


def join_buffer_lost(patch: pytest.MonkeyPatch) -> None:
    """Forget what waits for its partner, or for the row of a table."""
    _forget(patch, "meet-left", "meet-right", "meet-unmatched", "rate-buffer")


def closing_windows_lost(patch: pytest.MonkeyPatch) -> None:
    """Forget which windows are still to be emitted."""
    _forget(patch, "on-close-closing", "elsewhere-closing")


def _forget(patch: pytest.MonkeyPatch, *stores: str) -> None:
    log = Task._log

    def forgetful(self: Task, name: str, records: Any) -> None:
        if name not in stores:
            log(self, name, records)

    patch.setattr(Task, "_log", forgetful)


def operator_time_lost(patch: pytest.MonkeyPatch) -> None:
    """Start operators' time anew with each assignment."""
    patch.setattr(progress, "decode_progress", lambda _metadata: progress.Progress())


def offsets_of_what_was_fetched(patch: pytest.MonkeyPatch) -> None:
    """Commit what was fetched, processed or not: an offset outside of the batch."""
    checkpoint = Task.checkpoint

    def fetched(self: Task) -> Checkpoint:
        found = checkpoint(self)
        return replace(
            found,
            sources={
                partition: each._replace(offset=self.queues[partition].fetched_offset)
                if partition in self.queues
                else each
                for partition, each in found.sources.items()
            },
        )

    patch.setattr(Task, "checkpoint", fetched)


def processing_after_revoke(patch: pytest.MonkeyPatch) -> None:
    """Go on with tasks whose partitions have gone, and commit the offsets of the others."""
    close, commit = TaskManager._close, MemoryConsumer.send_to_transaction

    def keep(self: TaskManager, tasks: Any, partitions: Any) -> None:
        if not self._assigned:
            close(self, tasks, partitions)

    def own_alone(self: MemoryConsumer, offsets: Mapping[TopicPartition, Committed], *rest: Any) -> None:
        own = {
            part: each
            for part, each in offsets.items()
            if part in self.owned or part.topic not in self.topics
        }
        commit(self, own, *rest)

    patch.setattr(TaskManager, "_close", keep)
    patch.setattr(TaskManager, "_give_up_transaction", lambda self, partitions: None)
    patch.setattr(MemoryConsumer, "send_to_transaction", own_alone)


def position_too_high(patch: pytest.MonkeyPatch) -> None:
    """Store a changelog position past what was written."""
    commit = Task.commit

    def ahead(self: Task, checkpoint: Checkpoint, now_ms: int) -> None:
        positions = {name: position + 1 for name, position in checkpoint.positions.items()}
        commit(self, replace(checkpoint, positions=positions), now_ms)

    patch.setattr(Task, "commit", ahead)


def restore_of_the_uncommitted(patch: pytest.MonkeyPatch) -> None:
    """Restore to the end with read_uncommitted: what was aborted, too."""
    restore_past_the_commit(patch)
    poll = MemoryReader.poll

    def reading(self: Any, *arguments: Any) -> Any:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(memory_log, "_is_committed", lambda _message: True)
            return poll(self, *arguments)

    patch.setattr(MemoryReader, "poll", reading)


def zombies_commit(patch: pytest.MonkeyPatch) -> None:
    """Let a member commit that the group has given up."""
    patch.setattr(MemoryConsumer, "check_owned", lambda self, offsets: None)


def produced_into_a_commit(patch: pytest.MonkeyPatch) -> None:
    """While a commit is under way, produce what is not part of it."""
    patch.setattr(LinkProducer, "hold", lambda self, until: None)


def offsets_of_a_later_time(patch: pytest.MonkeyPatch) -> None:
    """Commit what was processed while a commit was under way, not what was flushed for it."""
    ask = Committer._ask_to_commit

    def later(self: Committer, background: Any) -> None:
        assert self._under_way is not None
        commit, _ = self._under_way
        if commit.offsets is None:
            commit.of = [(task, task.checkpoint()) for task, _ in commit.of]
        ask(self, background)

    patch.setattr(Committer, "_ask_to_commit", later)


def done_meanwhile_and_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Take what was processed while a commit was under way for committed."""
    commit = Task.commit

    def all_of_it(self: Task, checkpoint: Checkpoint, now_ms: int) -> None:
        commit(self, replace(checkpoint, processed=self._processed_since_commit), now_ms)
        for store in self.stores.values():
            store.flush()

    patch.setattr(Task, "commit", all_of_it)


def commit_asked_anew(patch: pytest.MonkeyPatch) -> None:
    """After an answer that got lost, work out anew which positions were committed."""

    def anew(self: Committer, commit: Any, offsets: Any, member: Any) -> None:
        assert self._environment.transactions is not None
        self._environment.transactions.commit(offsets, member)

    patch.setattr(Committer, "_end_transaction", anew)


def aborted_and_carried_on(patch: pytest.MonkeyPatch) -> None:
    """Begin the next transaction when the broker has aborted one, and go on from there."""

    def begin_anew(self: MemoryTransactionalProducer) -> None:
        if self.fenced:
            self.fenced = False
            self._begin()

    patch.setattr(MemoryTransactionalProducer, "check_fenced", begin_anew)


def full_queue_drops(patch: pytest.MonkeyPatch) -> None:
    """Drop a record for which the client's queue has no room."""
    patch.setattr(LinkProducer, "_wait_for_room", lambda self, target: self.queues[target].pop())


def timed_out_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Commit although a record was not acknowledged in time."""
    patch.setattr(Failures, "undelivered", lambda self, records, internal: None)


def a_transaction_that_never_ends(patch: pytest.MonkeyPatch) -> None:
    """Leave open what a crashed worker had begun."""
    patch.setattr(MemoryTransactionalProducer, "fence", lambda self: None)


def offsets_past_what_is_in_flight(patch: pytest.MonkeyPatch) -> None:
    """Commit what was taken up, although agents have not done with it."""
    patch.setattr(InFlight, "first", lambda self, partition: None)


def state_with_records_in_flight(patch: pytest.MonkeyPatch) -> None:
    """Commit tables, and transactions, although agents have records in hand."""
    patch.setattr(InFlight, "settle", lambda self, *, stateful: True)


def whoever_is_free_takes_it(patch: pytest.MonkeyPatch) -> None:
    """Let records of one key be taken up at once."""

    def anyone(self: _AgentOperator, event: Any) -> Any:
        return next((actor for actor in self._actors if actor.takes), None)

    patch.setattr(_AgentOperator, "_taker", anyone)


def given_up_and_committed(patch: pytest.MonkeyPatch) -> None:
    """Commit dead letters, and the transaction that they are in, after the tasks were given up."""
    revoked = TaskManager.on_revoked

    def committing(self: TaskManager, partitions: Any) -> None:
        if not self._assigned:
            self._committer.commit((), leaving=True)
        revoked(self, partitions)

    patch.setattr(TaskManager, "on_revoked", committing)


def an_error_acknowledged(patch: pytest.MonkeyPatch) -> None:
    """Go on after a record that the agent raised on, and say nothing."""
    patch.setattr(_AgentOperator, "failed", lambda self, events, error: self.done(events))


def purge_before_commit(patch: pytest.MonkeyPatch) -> None:
    """Delete from repartition topics more than is committed."""
    committed = Purge.committed

    def early(self: Purge, offsets: Mapping[TopicPartition, Committed]) -> None:
        committed(self, {part: each._replace(offset=each.offset + 2) for part, each in offsets.items()})

    patch.setattr(Purge, "committed", early)


def standby_skips(patch: pytest.MonkeyPatch) -> None:
    """Keep copies of which some rows are missing, under the position of all of them."""

    def skip(self: Standbys, copy: Any, run: Any) -> None:
        self._restore(copy, Rows.of(()), run[-1].offset + 1)

    patch.setattr(Standbys, "_apply", skip)


def standby_takes_time_from_the_log(patch: pytest.MonkeyPatch) -> None:
    """Let windows expire in copies by what a crashed worker had logged and not committed."""
    patch.setattr(standby, "tell_stores", lambda _stores, _committed: None)


def agents_windows_lost(patch: pytest.MonkeyPatch) -> None:
    """Forget the windows of agents' tables that wait for their close."""
    _forget(patch, "lately-closing")


def calls_without_their_commit(patch: pytest.MonkeyPatch) -> None:
    """Commit that windows were closed before the function that is told of it has returned."""
    hold, release = InFlight.hold, InFlight.release

    def hold_records(self: InFlight, in_hand: Any) -> None:
        if hasattr(in_hand, "offset"):
            hold(self, in_hand)

    def release_records(self: InFlight, in_hand: Any) -> None:
        if hasattr(in_hand, "offset"):
            release(self, in_hand)

    patch.setattr(InFlight, "hold", hold_records)
    patch.setattr(InFlight, "release", release_records)


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
    "suppress buffer lost": Bug("exactly_once", suppress_buffer_lost, "hours"),
    "join buffer lost": Bug("exactly_once", join_buffer_lost, "hours"),
    "closing windows lost": Bug("exactly_once", closing_windows_lost, "hours"),
    "operator time lost": Bug("exactly_once", operator_time_lost, "hours"),
    "offsets of what was fetched": Bug("at_least_once", offsets_of_what_was_fetched),
    "processing after revoke": Bug("exactly_once", processing_after_revoke),
    "position too high": Bug("exactly_once", position_too_high),
    "restore of the uncommitted": Bug("exactly_once", restore_of_the_uncommitted),
    "zombies commit": Bug("exactly_once", zombies_commit),
    "produced into a commit": Bug("exactly_once", produced_into_a_commit),
    "offsets of a later time": Bug("exactly_once", offsets_of_a_later_time),
    "done meanwhile and forgotten": Bug("exactly_once", done_meanwhile_and_forgotten),
    "commit asked anew": Bug("exactly_once", commit_asked_anew),
    "aborted and carried on": Bug("exactly_once", aborted_and_carried_on),
    "full queue drops": Bug("at_least_once", full_queue_drops),
    "timed out is forgotten": Bug(
        "at_least_once",
        timed_out_is_forgotten,
        "shop",
        Faults(held_back=0.5, queue_full=0.3, leader_lost=0.2),
    ),
    "purge before commit": Bug("exactly_once", purge_before_commit),
    "standby skips": Bug("exactly_once", standby_skips),
    "standby takes time from the log": Bug(
        "at_least_once",
        standby_takes_time_from_the_log,
        "hours",
        # What is logged and not committed, time and again: with drawn faults it takes hundreds of seeds.
        Faults(slow_flush=0.3, held_back=0.7, crash=0.03, leader_lost=0.1, expel=0.02, pause=0.03),
    ),
    "a transaction that never ends": Bug("exactly_once", a_transaction_that_never_ends),
    "offsets past what is in flight": Bug("at_least_once", offsets_past_what_is_in_flight, "couriers"),
    "state with records in flight": Bug("exactly_once", state_with_records_in_flight, "couriers"),
    "whoever is free takes it": Bug("at_least_once", whoever_is_free_takes_it, "couriers"),
    "given up and committed": Bug("exactly_once", given_up_and_committed, "couriers"),
    "an error acknowledged": Bug("at_least_once", an_error_acknowledged, "couriers"),
    "calls without their commit": Bug("exactly_once", calls_without_their_commit, "couriers"),
    "windows that close lost": Bug("exactly_once", agents_windows_lost, "couriers"),
}
